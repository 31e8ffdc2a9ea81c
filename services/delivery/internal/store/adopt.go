package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// errOld: what there is of the person stands in one box, as it did before there were months.
var errOld = errors.New("store: the person's row is of the form before")

// old is that box.
type old struct {
	Pages []Page                                `json:"pages"`
	Slots map[string]map[string]point.Assurance `json:"slots"` // by product and day
}

// adopt puts a person's row of the form before into months, and says whether there was one.
func (s Store) adopt(ctx context.Context, ring *vault.Ring) (moved bool, err error) {
	_, _, err = headOf(ctx, s.Pool, ring)
	if errors.Is(err, vault.ErrErased) {
		return false, nil
	}
	if !errors.Is(err, errOld) {
		return false, err
	}
	err = pgx.BeginFunc(ctx, s.Pool, func(tx pgx.Tx) error {
		if err := alone(ctx, tx, ring); err != nil {
			return err
		}
		if _, _, err := headOf(ctx, tx, ring); !errors.Is(err, errOld) {
			return err // another one was faster
		}
		return adopt(ctx, tx, ring)
	})
	return err == nil, err
}

// adopt works under the person's lock.
func adopt(ctx context.Context, tx pgx.Tx, ring *vault.Ring) error {
	plain, err := row(ctx, tx, ring, "person", `select box from store.person where subscriber = $1`, [16]byte(ring.Subject()))
	if err != nil {
		return err
	}
	var before old
	if json.Unmarshal(plain, &before) != nil {
		return errPage // the cause may quote it
	}
	list := map[string]*month{}
	in := func(day string) (*month, int) {
		name, n := monthOf(day)
		if list[name] == nil {
			list[name] = &month{Name: name}
		}
		return list[name], n
	}
	for _, page := range before.Pages {
		m, _ := in(page.Day)
		m.add(page)
	}
	h := head{Rules: minimise.FactsVersion}
	for product, slots := range before.Slots {
		for day, assurance := range slots {
			m, n := in(day)
			h.moved(product, day, m.set(product, n, assurance), assurance)
		}
	}
	if err := keepMonths(ctx, tx, ring, list); err != nil {
		return err
	}
	if err := h.renew(ctx, tx, ring); err != nil {
		return err
	}
	imports, err := importsOf(ctx, tx, ring)
	if err != nil {
		return err
	}
	came := map[id.ID][]Arrival{}
	for i := range imports {
		came[imports[i].Source] = sum(came[imports[i].Source], imports[i].Arrivals)
	}
	for source, list := range came {
		if err := keepSource(ctx, tx, ring, source, list); err != nil {
			return err
		}
	}
	return keepHead(ctx, tx, ring, h)
}

// importsOf reads what a person's imports came to.
func importsOf(ctx context.Context, q querier, ring *vault.Ring) ([]Import, error) {
	rows, err := q.Query(ctx, `select import from store.import where subscriber = $1`, [16]byte(ring.Subject()))
	if err != nil {
		return nil, fmt.Errorf("store: imports: %w", err)
	}
	numbers, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil {
		return nil, fmt.Errorf("store: imports: %w", err)
	}
	var out []Import
	for _, number := range numbers {
		i, err := kept(ctx, q, ring, number)
		if err != nil {
			return nil, err
		}
		if i != nil {
			out = append(out, *i)
		}
	}
	return out, nil
}
