package store_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/schema"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/internal/worldtest"
)

var (
	now    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	watch  = id.Derive([]byte("watch"))
	scales = id.Derive([]byte("scales"))
	winter = time.FixedZone("", -5*3600)
)

// room is a store in a database of its own, with people's keys in memory.
type room struct {
	store.Store
	t        testing.TB
	keys     *vault.Keeper
	products []catalog.Product
	trust    point.Assurance // of what is brought
	brings   *store.Brings   // the source, with what is brought
}

func begin(t testing.TB) *room {
	t.Helper()
	pool := worldtest.Database(t, worldtest.Up(t, schema.Store, "store"), "create schema shelves; set search_path = shelves; "+schema.Shelves)
	keks, err := vault.NewKEKs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	products, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	return &room{store.Store{Pool: pool}, t, vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks}), products.Products(), point.OwnFile, nil}
}

func (r *room) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *room) ring(who id.ID) *vault.Ring {
	r.t.Helper()
	ring, err := r.keys.Ring(r.t.Context(), who)
	r.must(err)
	return ring
}

// bring imports points as a file of this name.
func (r *room) bring(ring *vault.Ring, from id.ID, file string, points ...point.Point) store.Import {
	r.t.Helper()
	done, err := r.read(ring, from, file, points, nil)
	r.must(err)
	return done
}

// read is bring with an error after the last point.
func (r *room) read(ring *vault.Ring, from id.ID, file string, points []point.Point, then error) (store.Import, error) {
	return r.Read(r.t.Context(), ring, store.Origin{Source: from, Assurance: r.trust, Brings: r.brings}, r.products, "everything", now, func(emit func(*point.Point) error) (source.Summary, error) {
		for i := range points {
			p := points[i] // emit may not keep what it is given
			p.Source, p.Assurance = from, r.trust
			p.ID = point.Identify(ring.Subject(), from, &p)
			if err := emit(&p); err != nil {
				return source.Summary{}, err
			}
		}
		return source.Summary{Zone: "America/New_York", SHA256: sha256.Sum256([]byte(file))}, then
	})
}

func (r *room) person(ring *vault.Ring) store.Person {
	r.t.Helper()
	p, err := r.Person(r.t.Context(), ring, "", "")
	r.must(err)
	return p
}

// points reads all measurements of a person.
func (r *room) points(ring *vault.Ring) []point.Point {
	r.t.Helper()
	p := r.person(ring)
	list, err := r.Points(r.t.Context(), ring, p, point.Schemas(), p.Measured(point.Schemas(), "", ""))
	r.must(err)
	return list
}

func (r *room) count(sql string, args ...any) (n int) {
	r.t.Helper()
	r.must(r.Pool.QueryRow(r.t.Context(), sql, args...).Scan(&n))
	return n
}

// dump is every byte of every row of the schema store, table by table.
func (r *room) dump() map[string][]byte {
	r.t.Helper()
	ctx := r.t.Context()
	rows, err := r.Pool.Query(ctx, `
		select table_name, string_agg('coalesce(' || case when data_type = 'bytea' then quote_ident(column_name)
			else 'convert_to(' || quote_ident(column_name) || '::text, ''UTF8'')' end || ', '''')', ' || convert_to(''|'', ''UTF8'') || ' order by ordinal_position)
		from information_schema.columns where table_schema = 'store' group by 1`)
	r.must(err)
	tables := map[string]string{}
	var name, columns string
	_, err = pgx.ForEachRow(rows, []any{&name, &columns}, func() error { tables[name] = columns; return nil })
	r.must(err)
	out := map[string][]byte{}
	for name, columns := range tables {
		rows, err := r.Pool.Query(ctx, fmt.Sprintf(`select %s from store.%s order by 1`, columns, pgx.Identifier{name}.Sanitize()))
		r.must(err)
		list, err := pgx.CollectRows(rows, pgx.RowTo[[]byte])
		r.must(err)
		out[name] = bytes.Join(list, []byte{'\n'})
	}
	if len(out) < 6 {
		r.t.Fatalf("only the tables %v were found", tables)
	}
	return out
}

func midnight(day string) time.Time {
	at, err := time.ParseInLocation(time.DateOnly, day, winter)
	if err != nil {
		panic(err)
	}
	return at
}

func steps(day string, n point.Quantity) point.Point {
	start := midnight(day)
	return point.Point{
		Schema: point.StepCount, Frame: point.Frame{Start: start, End: start.Add(24 * time.Hour)}, Created: start.Add(30 * time.Hour),
		Modality: point.Sensed, Values: []point.Value{{Measure: point.Steps, Quantity: n * point.Milli}},
	}
}

func weight(day string, minute int, grams point.Quantity) point.Point {
	at := midnight(day).Add(time.Duration(minute) * time.Minute)
	return point.Point{
		Schema: point.BodyWeight, Frame: point.At(at), Created: at, Modality: point.SelfReported,
		Values: []point.Value{{Measure: point.Weight, Quantity: grams}},
	}
}

// sorted is points in the order of their ids.
func sorted(list []point.Point) []point.Point {
	out := slices.Clone(list)
	slices.SortFunc(out, func(a, b point.Point) int { return slices.Compare(a.ID[:], b.ID[:]) })
	return out
}

var errFeed = errors.New("a row cannot be read")
