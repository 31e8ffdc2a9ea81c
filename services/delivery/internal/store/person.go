package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
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

// Page is where points stand.
type Page struct {
	Source id.ID
	Schema point.Schema
	Day    string
}

// Person is what there is of somebody.
type Person struct {
	Pages []Page `json:"pages"`
	// Slots that count, by product and day, with how far they can be trusted.
	Slots map[string]map[string]point.Assurance `json:"slots"`
}

// Days are the days of a product's slots, ascending; only those at least so trusted.
func (p Person) Days(product string, least point.Assurance) []string {
	var days []string
	for day, a := range p.Slots[product] {
		if a >= least {
			days = append(days, day)
		}
	}
	slices.Sort(days)
	return days
}

// on lists the pages of some schemas on some days; nil days mean all.
func (p Person) on(schemas []point.Schema, days []string) []Page {
	wanted := make(map[string]bool, len(days))
	for _, day := range days {
		wanted[day] = true
	}
	var out []Page
	for _, page := range p.Pages {
		if slices.Contains(schemas, page.Schema) && (days == nil || wanted[page.Day]) {
			out = append(out, page)
		}
	}
	return out
}

// Expected counts the days within two that have any measurement of some schemas.
func (p Person) Expected(schemas []point.Schema, first, last string) int {
	days := map[string]bool{}
	for _, page := range p.Pages {
		if slices.Contains(schemas, page.Schema) && page.Day >= first && page.Day <= last {
			days[page.Day] = true
		}
	}
	return len(days)
}

// querier is a pool or a transaction.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// Person reads what there is of the ring's person.
func (s Store) Person(ctx context.Context, ring *vault.Ring) (Person, error) {
	return person(ctx, s.Pool, ring)
}

func person(ctx context.Context, q querier, ring *vault.Ring) (p Person, err error) {
	var box []byte
	err = q.QueryRow(ctx, `select box from store.person where subscriber = $1`, [16]byte(ring.Subject())).Scan(&box)
	if errors.Is(err, pgx.ErrNoRows) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("store: person: %w", err)
	}
	plain, err := ring.OpenBytes(content, aad("person", ring), box)
	if errors.Is(err, vault.ErrErased) {
		return p, nil
	}
	if err != nil {
		return p, fmt.Errorf("store: person: %w", err)
	}
	if json.Unmarshal(plain, &p) != nil {
		return p, errPage // the cause may quote it
	}
	return p, nil
}

func keepPerson(ctx context.Context, tx pgx.Tx, ring *vault.Ring, p Person) error {
	plain, err := json.Marshal(p)
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

// Points reads a person's measurements of some schemas on some days, in the order of the days; nil days mean all.
func (s Store) Points(ctx context.Context, ring *vault.Ring, p Person, schemas []point.Schema, days []string) ([]point.Point, error) {
	return points(ctx, s.Pool, ring, p.on(schemas, days))
}

// points reads whole pages, with assurances and ids.
func points(ctx context.Context, q querier, ring *vault.Ring, pages []Page) ([]point.Point, error) {
	if len(pages) == 0 {
		return nil, nil
	}
	sources, buckets := make([][16]byte, len(pages)), make([][]byte, len(pages))
	for i, page := range pages {
		bucket, err := page.bucket(ring)
		if err != nil {
			return nil, err
		}
		sources[i], buckets[i] = page.Source, bucket
	}
	rows, err := q.Query(ctx, `
		select u.n, p.box from unnest($2::uuid[], $3::bytea[]) with ordinality as u(source, bucket, n)
		join store.page p on p.subscriber = $1 and p.source = u.source and p.bucket = u.bucket order by u.n`, [16]byte(ring.Subject()), sources, buckets)
	if err != nil {
		return nil, fmt.Errorf("store: points: %w", err)
	}
	defer rows.Close()
	var out []point.Point
	for rows.Next() {
		var n int64
		var box []byte
		if err := rows.Scan(&n, &box); err != nil {
			return nil, fmt.Errorf("store: points: %w", err)
		}
		list, err := pages[n-1].open(ring, box)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: points: %w", err)
	}
	return out, nil
}

// bucket is the page's key, from which neither schema nor day can be read.
func (p Page) bucket(ring *vault.Ring) ([]byte, error) {
	h, err := ring.Fingerprint(content, "page")
	if err != nil {
		return nil, err
	}
	h.Write([]byte(p.Schema.String() + "\x00" + p.Day))
	return h.Sum(nil)[:16], nil
}

// seal makes a page's box; its first byte is how far its points can be trusted.
func (p Page) seal(ring *vault.Ring, assurance point.Assurance, list []point.Point) ([]byte, error) {
	plain := []byte{byte(assurance), pageVersion}
	for i := range list {
		plain = appendPoint(plain, &list[i])
	}
	return ring.SealBytes(content, aad("page "+p.Source.String()+" "+p.Schema.String()+" "+p.Day, ring), plain)
}

// open is seal's inverse.
func (p Page) open(ring *vault.Ring, box []byte) ([]point.Point, error) {
	plain, err := ring.OpenBytes(content, aad("page "+p.Source.String()+" "+p.Schema.String()+" "+p.Day, ring), box)
	if err != nil {
		return nil, fmt.Errorf("store: page: %w", err)
	}
	if len(plain) == 0 {
		return nil, errPage
	}
	list, err := readPage(plain[1:])
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Schema, list[i].Source, list[i].Assurance = p.Schema, p.Source, point.Assurance(plain[0])
		list[i].ID = point.Identify(ring.Subject(), p.Source, &list[i])
	}
	return list, nil
}

func aad(what string, ring *vault.Ring) []byte {
	return []byte("store " + what + " " + ring.Subject().String())
}

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
func keepReach(ctx context.Context, tx pgx.Tx, ring *vault.Ring, p Person, facts map[string]string) error {
	h, err := ring.Fingerprint(content, "reach")
	if err != nil {
		return err
	}
	token := h.Sum(nil)[:16]
	labels := []string{} // not nil, which SQL would take for an unknown
	for product, days := range p.Slots {
		if len(days) > 0 {
			labels = append(labels, ProductLabel(product))
		}
	}
	for fact, band := range facts {
		labels = append(labels, FactLabel(fact, band))
	}
	slices.Sort(labels)
	if _, err := tx.Exec(ctx, `delete from store.reach where token = $1 and label <> all($2)`, token, labels); err != nil {
		return fmt.Errorf("store: reach: %w", err)
	}
	_, err = tx.Exec(ctx, `insert into store.reach (label, token) select unnest($2::text[]), $1 on conflict do nothing`, token, labels)
	if err != nil {
		return fmt.Errorf("store: reach: %w", err)
	}
	return nil
}

// merge adds pages that were touched, and replaces the slots of their days.
func (p Person) merge(touched map[Page]bool) Person {
	all := map[Page]bool{}
	for _, page := range p.Pages {
		all[page] = true
	}
	maps.Copy(all, touched)
	p.Pages = slices.SortedFunc(maps.Keys(all), func(a, b Page) int {
		if a.Day != b.Day {
			return slices.Compare([]byte(a.Day), []byte(b.Day))
		}
		return slices.Compare([]byte(a.Schema.String()+a.Source.String()), []byte(b.Schema.String()+b.Source.String()))
	})
	return p
}
