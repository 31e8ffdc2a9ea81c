package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
)

// Arrived gives what came from a person's sources in all, by schema; of a source from which nothing came, nothing.
func (s Store) Arrived(ctx context.Context, ring *vault.Ring, sources []id.ID) (map[id.ID][]Arrival, error) {
	_, _, err := headOf(ctx, s.Pool, ring)
	switch {
	case errors.Is(err, vault.ErrErased):
		return nil, nil
	case err != nil:
		return nil, err
	}
	return arrived(ctx, s.Pool, ring, sources)
}

func arrived(ctx context.Context, q querier, ring *vault.Ring, sources []id.ID) (map[id.ID][]Arrival, error) {
	numbers := make([][16]byte, len(sources))
	for i, s := range sources {
		numbers[i] = s
	}
	rows, err := q.Query(ctx, `select source, box from store.source where subscriber = $1 and source = any($2)`, [16]byte(ring.Subject()), numbers)
	if err != nil {
		return nil, fmt.Errorf("store: sources: %w", err)
	}
	defer rows.Close()
	out := make(map[id.ID][]Arrival, len(sources))
	for rows.Next() {
		var source [16]byte
		var box []byte
		if err := rows.Scan(&source, &box); err != nil {
			return nil, fmt.Errorf("store: sources: %w", err)
		}
		plain, err := ring.OpenBytes(content, aad("source "+id.ID(source).String(), ring), box)
		if err != nil {
			return nil, fmt.Errorf("store: sources: %w", err)
		}
		var list []Arrival
		if json.Unmarshal(plain, &list) != nil {
			return nil, errPage // the cause may quote it
		}
		out[source] = list
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: sources: %w", err)
	}
	return out, nil
}

func keepSource(ctx context.Context, tx pgx.Tx, ring *vault.Ring, source id.ID, list []Arrival) error {
	plain, err := json.Marshal(list)
	if err != nil {
		return err
	}
	box, err := ring.SealBytes(content, aad("source "+source.String(), ring), plain)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into store.source (subscriber, source, box) values ($1, $2, $3) on conflict (subscriber, source) do update set box = excluded.box`,
		[16]byte(ring.Subject()), [16]byte(source), box)
	if err != nil {
		return fmt.Errorf("store: sources: %w", err)
	}
	return nil
}

// sum adds arrivals up by schema.
func sum(all, more []Arrival) []Arrival {
	for _, m := range more {
		i, found := slices.BinarySearchFunc(all, m.Schema, func(a Arrival, name string) int { return slices.Compare([]byte(a.Schema), []byte(name)) })
		if !found {
			all = slices.Insert(all, i, m)
			continue
		}
		a := &all[i]
		a.Points, a.First, a.Last = a.Points+m.Points, min(a.First, m.First), max(a.Last, m.Last)
	}
	return all
}
