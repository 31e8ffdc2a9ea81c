package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/vault"
)

// Reach counts people of whom there is at least one label of every set, as tokens of which nobody can tell whose they are.
func (s Store) Reach(ctx context.Context, sets [][]string) (n int, err error) {
	sql, args := `select count(*) from (`, []any{}
	for i, labels := range sets {
		if i > 0 {
			sql += ` intersect `
		}
		args = append(args, labels)
		sql += fmt.Sprintf(`select distinct token from store.reach where label = any($%d)`, i+1)
	}
	if err := s.Pool.QueryRow(ctx, sql+`) reached`, args...).Scan(&n); err != nil {
		return 0, fmt.Errorf("store: reach: %w", err)
	}
	return n, nil
}

// ProductLabel and FactLabel name what Reach counts.
func ProductLabel(product string) string { return "product " + product }

// FactLabel names a band of a fact.
func FactLabel(fact, band string) string { return "fact " + fact + " " + band }

// keepReach replaces the labels of a person.
func keepReach(ctx context.Context, tx pgx.Tx, ring *vault.Ring, labels []string) error {
	h, err := ring.Fingerprint(content, "reach")
	if err != nil {
		return err
	}
	token := h.Sum(nil)[:16]
	if _, err := tx.Exec(ctx, `delete from store.reach where token = $1 and label <> all($2)`, token, labels); err != nil {
		return fmt.Errorf("store: reach: %w", err)
	}
	_, err = tx.Exec(ctx, `insert into store.reach (label, token) select unnest($2::text[]), $1 on conflict do nothing`, token, labels)
	if err != nil {
		return fmt.Errorf("store: reach: %w", err)
	}
	return nil
}
