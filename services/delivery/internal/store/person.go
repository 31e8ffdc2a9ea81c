package store

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

const content = eventv1.Retention_RETENTION_CONTENT

// Store keeps measurements and packages.
type Store struct {
	Pool *pgxpool.Pool
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Page is where points stand.
type Page struct {
	Source id.ID
	Schema point.Schema
	Day    string
}

// Person is what there is of somebody within some days: their pages, and the slots that count.
type Person struct {
	months []month // ascending
}

// Pages lists them in the order of their days.
func (p Person) Pages() (out []Page) {
	for i := range p.months {
		for n := 1; n <= daysOfMonth; n++ {
			out = p.months[i].pages(out, nil, n)
		}
	}
	return out
}

// Days are the days of a product's slots, ascending; only those at least so trusted.
func (p Person) Days(product string, least point.Assurance) (out []string) {
	for i := range p.months {
		out = p.months[i].list(out, p.months[i].Slots[product].least(least))
	}
	return out
}

// Measured lists the days from one to another that have any measurement of some schemas, ascending; an empty day sets no bound.
func (p Person) Measured(schemas []point.Schema, first, last string) (out []string) {
	for i := range p.months {
		var any days
		for _, c := range p.months[i].Columns {
			if slices.Contains(schemas, c.Schema) {
				any |= c.Days
			}
		}
		out = p.months[i].list(out, any)
	}
	return slices.DeleteFunc(out, func(day string) bool { return day < first || last != "" && day > last })
}

// Person reads what there is of the ring's person from one day to another, in whole months; an empty day sets no bound.
func (s Store) Person(ctx context.Context, ring *vault.Ring, first, last string) (Person, error) {
	list, err := months(ctx, s.Pool, ring, between(first, last))
	if errors.Is(err, vault.ErrErased) {
		return Person{}, nil
	}
	return Person{list}, err
}

// Points reads a person's measurements of some schemas on some days, in the order of the days.
func (s Store) Points(ctx context.Context, ring *vault.Ring, p Person, schemas []point.Schema, days []string) ([]point.Point, error) {
	return points(ctx, s.Pool, ring, p.of(schemas, days))
}

// Whole is Points with those that were corrected among them.
func (s Store) Whole(ctx context.Context, ring *vault.Ring, p Person, schemas []point.Schema, days []string) ([]point.Point, error) {
	return whole(ctx, s.Pool, ring, p.of(schemas, days))
}

// of lists the pages of some schemas on some days.
func (p Person) of(schemas []point.Schema, days []string) (pages []Page) {
	for _, day := range days {
		name, n := monthOf(day)
		for i := range p.months {
			if p.months[i].Name == name {
				pages = p.months[i].pages(pages, schemas, n)
			}
		}
	}
	return pages
}

// row reads and opens one box; nil where there is none.
func row(ctx context.Context, q querier, ring *vault.Ring, what, sql string, args ...any) ([]byte, error) {
	var box []byte
	err := q.QueryRow(ctx, sql, args...).Scan(&box)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", what, err)
	}
	plain, err := ring.OpenBytes(content, aad(what, ring), box)
	if err != nil {
		return nil, fmt.Errorf("store: %s: %w", what, err)
	}
	return plain, nil
}

func aad(what string, ring *vault.Ring) []byte {
	return []byte("store " + what + " " + ring.Subject().String())
}

// buckets gives the function that hides a name under a key of the person: whoever has the table cannot read it off the hash.
func buckets(ring *vault.Ring, label string) (func(name string) []byte, error) {
	h, err := ring.Fingerprint(content, label)
	if err != nil {
		return nil, err
	}
	return func(name string) []byte {
		h.Reset()
		h.Write([]byte(name))
		return h.Sum(nil)[:16]
	}, nil
}
