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
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// head is what must be known of a person however much there is of them. It does not grow with their days.
type head struct {
	Rules  int             `json:"rules"` // version of the rules that gave Values
	Values minimise.Values `json:"values"`
	Stock  map[string]Lot  `json:"stock"` // by product
}

// Lot sums up the slots of one product.
type Lot struct {
	First string `json:"first"` // day
	Last  string `json:"last"`
	Count [3]int `json:"count"` // by how far they can be trusted, weakest first
}

// Slots counts them.
func (l Lot) Slots() int { return l.Count[0] + l.Count[1] + l.Count[2] }

// Strongest is how far the best of them can be trusted.
func (l Lot) Strongest() (a point.Assurance) {
	for i, n := range l.Count {
		if n > 0 {
			a = point.Assurance(i + 1)
		}
	}
	return a
}

// Stock sums up a person's slots, by product; a product without slots is not in it.
func (s Store) Stock(ctx context.Context, ring *vault.Ring) (map[string]Lot, error) {
	h, _, err := headOf(ctx, s.Pool, ring)
	if errors.Is(err, vault.ErrErased) {
		return nil, nil
	}
	return h.Stock, err
}

// headOf reads a person's head and whether there is one.
func headOf(ctx context.Context, q querier, ring *vault.Ring) (h head, known bool, err error) {
	plain, err := row(ctx, q, ring, "person", `select box from store.person where subscriber = $1`, [16]byte(ring.Subject()))
	switch {
	case err != nil || plain == nil:
		return h, false, err
	case json.Unmarshal(plain, &h) != nil:
		return h, false, errPage // the cause may quote it
	}
	return h, true, nil
}

func keepHead(ctx context.Context, tx pgx.Tx, ring *vault.Ring, h head) error {
	plain, err := json.Marshal(h)
	if err != nil {
		return err
	}
	box, err := ring.SealBytes(content, aad("person", ring), plain)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into store.person (subscriber, box) values ($1, $2) on conflict (subscriber) do update set box = excluded.box`,
		[16]byte(ring.Subject()), box)
	if err != nil {
		return fmt.Errorf("store: person: %w", err)
	}
	return nil
}

// moved notes that a product's slot of a day counts as before no more. It says whether the first or last day may be another one now.
func (h *head) moved(product, day string, before, after point.Assurance) (lost bool) {
	if before == after {
		return false
	}
	l, known := h.Stock[product]
	if before != 0 {
		l.Count[before-1]--
	}
	if after != 0 {
		l.Count[after-1]++
		if !known || day < l.First {
			l.First = day
		}
		l.Last = max(l.Last, day)
	}
	if l.Slots() == 0 {
		delete(h.Stock, product)
		return false
	}
	if h.Stock == nil {
		h.Stock = map[string]Lot{}
	}
	h.Stock[product] = l
	return after == 0 && (day == l.First || day == l.Last)
}

// bound finds the first and last day of products anew, in all months. It is for the rare case that one of them counts no more.
func (h *head) bound(ctx context.Context, q querier, ring *vault.Ring, products map[string]bool) error {
	all, err := months(ctx, q, ring, nil)
	if err != nil {
		return err
	}
	for product := range products {
		l, known := h.Stock[product]
		if !known {
			continue
		}
		list := Person{all}.Days(product, point.OwnFile)
		l.First, l.Last = list[0], list[len(list)-1]
		h.Stock[product] = l
	}
	return nil
}

// renew takes from the newest days what facts look at, for rules that are new.
func (h *head) renew(ctx context.Context, q querier, ring *vault.Ring, barred []id.ID) error {
	const newest = 56 // of each schema; what facts look back on, and as many again where some do not count
	all, err := months(ctx, q, ring, nil)
	if err != nil {
		return err
	}
	h.Values = minimise.Values{}
	p, schemas := Person{all}, minimise.FactSchemas()
	var days []string
	for _, schema := range schemas {
		list := p.Measured([]point.Schema{schema}, "", "")
		days = append(days, list[max(0, len(list)-newest):]...)
	}
	slices.Sort(days)
	for _, day := range slices.Compact(days) {
		name, n := monthOf(day)
		i := slices.IndexFunc(all, func(m month) bool { return m.Name == name })
		list, err := points(ctx, q, ring, usable(all[i].pages(nil, schemas, n), barred))
		if err != nil {
			return err
		}
		if err := h.Values.Note(day, list); err != nil {
			return err
		}
	}
	return nil
}

// labels are what the person is counted by.
func (h *head) labels() ([]string, error) {
	if h.Values == nil {
		h.Values = minimise.Values{}
	}
	facts, err := h.Values.Facts()
	if err != nil {
		return nil, err
	}
	labels := []string{} // not nil, which SQL would take for an unknown
	for product := range h.Stock {
		labels = append(labels, ProductLabel(product))
	}
	for fact, band := range facts {
		labels = append(labels, FactLabel(fact, band))
	}
	slices.Sort(labels)
	return labels, nil
}
