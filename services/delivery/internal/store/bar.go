package store

import (
	"context"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Derived is what rules say of a person's data.
type Derived struct {
	Rules int // version
	Facts map[string]string
}

// Bar has what comes from a source used in nothing, or used again, as the log said at a turn; one that is not newer than what is known
// changes nothing. Slots, facts and reach are counted anew in the same transaction, of the days that the source has. It gives what the
// rules say now, whether or not anything changed: whoever asked first may not have told it.
func (s Store) Bar(ctx context.Context, ring *vault.Ring, source id.ID, restricted bool, turn int, products []catalog.Product) (out Derived, err error) {
	out.Rules = minimise.FactsVersion
	err = s.alone(ctx, ring, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `
			insert into store.bar (subscriber, source, restricted, turn) values ($1, $2, $3, $4)
			on conflict (subscriber, source) do update set restricted = excluded.restricted, turn = excluded.turn where store.bar.turn < excluded.turn`,
			[16]byte(ring.Subject()), [16]byte(source), restricted, turn)
		if err != nil {
			return fmt.Errorf("store: bar: %w", err)
		}
		w := &writer{ctx: ctx, tx: tx, ring: ring, source: source, touched: map[Page]bool{}}
		if tag.RowsAffected() > 0 {
			all, err := months(ctx, tx, ring, nil)
			if err != nil {
				return err
			}
			for _, page := range (Person{all}).Pages() {
				if page.Source == source {
					w.touched[page] = true
				}
			}
		}
		out.Facts, err = w.derive(products)
		return err
	})
	return out, err
}

// Facts are what the rules say now of what is there and may be used.
func (s Store) Facts(ctx context.Context, ring *vault.Ring) (Derived, error) {
	h, known, err := headOf(ctx, s.Pool, ring)
	if err != nil || !known {
		return Derived{}, err
	}
	facts, err := h.Values.Facts()
	return Derived{Rules: h.Rules, Facts: facts}, err
}

// barred are the sources of a person of which nothing is used.
func barred(ctx context.Context, q querier, ring *vault.Ring) ([]id.ID, error) {
	rows, err := q.Query(ctx, `select source from store.bar where subscriber = $1 and restricted`, [16]byte(ring.Subject()))
	if err != nil {
		return nil, fmt.Errorf("store: bar: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (v id.ID, err error) {
		err = row.Scan((*[16]byte)(&v))
		return v, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: bar: %w", err)
	}
	return list, nil
}

// usable leaves out pages of sources of which nothing is used.
func usable(pages []Page, barred []id.ID) []Page {
	return slices.DeleteFunc(pages, func(p Page) bool { return slices.Contains(barred, p.Source) })
}

// Usable is what there is of a person but what comes from restricted sources; Days are the same.
func (p Person) Usable() Person {
	return p.only(func(m *month, c column) bool { return !slices.Contains(m.barred, c.Source) })
}

// Barred is what there is of a person from restricted sources, without slots.
func (p Person) Barred() Person {
	out := p.only(func(m *month, c column) bool { return slices.Contains(m.barred, c.Source) })
	for i := range out.months {
		out.months[i].Slots = nil
	}
	return out
}

// Any says whether there is anything.
func (p Person) Any() bool {
	return slices.ContainsFunc(p.months, func(m month) bool { return len(m.Columns) > 0 })
}

func (p Person) only(keep func(*month, column) bool) Person {
	out := Person{slices.Clone(p.months)}
	for i := range out.months {
		m := &out.months[i]
		m.Columns = slices.DeleteFunc(slices.Clone(m.Columns), func(c column) bool { return !keep(m, c) })
	}
	return out
}

// Sources are those that have any measurement of some schemas on some days, each once.
func (p Person) Sources(schemas []point.Schema, days []string) []id.ID {
	out := []id.ID{} // none is not unknown
	for _, page := range p.of(schemas, days) {
		if !slices.Contains(out, page.Source) {
			out = append(out, page.Source)
		}
	}
	return out
}

// Waiting names a package, and its agreement.
type Waiting struct{ Delivery, Agreement id.ID }

// From lists the packages about a person that may hold something of a source.
func (s Store) From(ctx context.Context, subscriber, source id.ID) ([]Waiting, error) {
	rows, err := s.Pool.Query(ctx, `
		select delivery, agreement from store.package where subscriber = $1 and (sources is null or $2 = any(sources)) order by delivery`,
		[16]byte(subscriber), [16]byte(source))
	if err != nil {
		return nil, fmt.Errorf("store: packages: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (w Waiting, err error) {
		err = row.Scan((*[16]byte)(&w.Delivery), (*[16]byte)(&w.Agreement))
		return w, err
	})
	if err != nil {
		return nil, fmt.Errorf("store: packages: %w", err)
	}
	return list, nil
}
