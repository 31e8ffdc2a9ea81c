package store_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/store"
)

// work counts what is asked of a database: statements, rows that are read or written, and bytes that are sent.
type work struct{ statements, rows, bytes atomic.Int64 }

func (w *work) TraceQueryStart(ctx context.Context, _ *pgx.Conn, d pgx.TraceQueryStartData) context.Context {
	w.statements.Add(1)
	for _, arg := range d.Args {
		switch arg := arg.(type) {
		case []byte:
			w.bytes.Add(int64(len(arg)))
		case [][]byte:
			for _, b := range arg {
				w.bytes.Add(int64(len(b)))
			}
		}
	}
	return ctx
}

func (w *work) TraceQueryEnd(_ context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	w.rows.Add(d.CommandTag.RowsAffected())
}

// counted makes the room's store count.
func (r *room) counted() *work {
	r.t.Helper()
	w := new(work)
	config := r.Pool.Config()
	config.ConnConfig.Tracer = w
	pool, err := pgxpool.NewWithConfig(r.t.Context(), config)
	r.must(err)
	r.t.Cleanup(pool.Close)
	r.Pool = pool
	return w
}

// day is the n-th of the test's days.
func day(n int) string {
	return time.Date(2016, 1, 1, 0, 0, 0, 0, time.UTC).AddDate(0, 0, n).Format(time.DateOnly)
}

// batch is what a device sends of one day.
func batch(n int) []point.Point {
	return []point.Point{steps(day(n), point.Quantity(9000+n)), weight(day(n), 480, 70_000), weight(day(n), 1200, 70_500)}
}

// TestABatchCostsTheSameHoweverManyCameBefore: a batch a day for a year and a half asks the same of the database in the last quarter as
// in the second one, so that all of them together cost as much as there are.
func TestABatchCostsTheSameHoweverManyCameBefore(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring, w := r.ring(id.Random()), r.counted()
	const quarter = 92 // whole months are as long as a month is
	var spent [6][3]int64
	for n := range len(spent) * quarter {
		before := [3]int64{w.statements.Load(), w.rows.Load(), w.bytes.Load()}
		r.bring(ring, watch, day(n), batch(n)...)
		for i, now := range []int64{w.statements.Load(), w.rows.Load(), w.bytes.Load()} {
			spent[n/quarter][i] += now - before[i]
		}
	}
	for i, what := range []string{"statements", "rows", "bytes"} {
		if early, late := spent[1][i], spent[5][i]; late > early+early/20 {
			t.Errorf("%d %s in the second quarter, %d in the last", early, what, late)
		}
	}
	// Nothing is amiss that was not counted.
	p := r.person(ring)
	if days := p.Days("daily-steps", point.OwnFile); len(days) != len(spent)*quarter || len(r.points(ring)) != 3*len(days) {
		t.Errorf("%d slots, and %d points of %d", len(days), len(r.points(ring)), 3*len(spent)*quarter)
	}
}

// TestStockIsWhatThePersonHas however days come, are corrected and count no more.
func TestStockIsWhatThePersonHas(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring := r.ring(id.Random())
	check := func(what string) {
		t.Helper()
		p := r.person(ring)
		stock, err := r.Stock(t.Context(), ring)
		r.must(err)
		want := map[string]store.Lot{}
		for i := range r.products {
			if days := p.Days(r.products[i].ID, point.OwnFile); len(days) > 0 {
				want[r.products[i].ID] = store.Lot{First: days[0], Last: days[len(days)-1], Count: [3]int{len(days)}}
			}
		}
		if diff := cmp.Diff(want, stock); diff != "" {
			t.Errorf("%s:\n%s", what, diff)
		}
	}
	at := 0
	put := func(n int, much point.Quantity) {
		t.Helper()
		at++
		p := steps(day(n), much)
		p.Created = p.Created.Add(time.Duration(at) * time.Hour)
		r.bring(ring, watch, fmt.Sprint(at), p)
	}
	for i, n := range []int{40, 70, 10, 100, 41, 11} {
		put(n, 9000)
		check(fmt.Sprintf("day %d, which came as number %d", n, i))
	}
	for _, n := range []int{10, 100, 70, 40, 11, 41} { // the first, the last, one between...
		put(n, 0)
		check(fmt.Sprintf("day %d counts no more", n))
	}
	put(50, 9000)
	check("a day after none was left")
	r.bring(ring, scales, "w", weight(day(3), 480, 70_000), weight(day(500), 480, 70_000))
	check("another product")
}

// BenchmarkBatch is one batch of a person who has brought so many before.
func BenchmarkBatch(b *testing.B) {
	for _, before := range []int{30, 300, 1200} {
		b.Run(fmt.Sprint(before), func(b *testing.B) {
			r := begin(b)
			ring := r.ring(id.Random())
			for n := range before {
				r.bring(ring, watch, day(n), batch(n)...)
			}
			n := before
			for b.Loop() {
				r.bring(ring, watch, day(n), batch(n)...)
				n++
			}
		})
	}
}
