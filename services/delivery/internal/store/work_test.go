package store_test

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
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

// TestARowOfTheFormBeforeIsAdopted: what stood in one row comes apart into months at the first look, whoever looks first, and is what it
// was.
func TestARowOfTheFormBeforeIsAdopted(t *testing.T) {
	t.Parallel()
	looks := map[string]func(r *room, who id.ID){
		"an import":     func(r *room, who id.ID) { r.bring(r.ring(who), watch, "new", steps(day(80), 9000)) },
		"the person":    func(r *room, who id.ID) { r.person(r.ring(who)) },
		"the stock":     func(r *room, who id.ID) { _, err := r.Stock(r.t.Context(), r.ring(who)); r.must(err) },
		"what has come": func(r *room, who id.ID) { _, err := r.Arrived(r.t.Context(), r.ring(who), []id.ID{watch}); r.must(err) },
	}
	for name, look := range looks {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := begin(t)
			who := id.Random()
			ring := r.ring(who)
			for n := range 70 {
				r.bring(ring, watch, day(n), batch(n)...)
			}
			want := r.person(ring)
			stock, err := r.Stock(t.Context(), ring)
			r.must(err)
			came, err := r.Arrived(t.Context(), ring, []id.ID{watch})
			r.must(err)

			before := struct {
				Pages []store.Page                          `json:"pages"`
				Slots map[string]map[string]point.Assurance `json:"slots"`
			}{want.Pages(), map[string]map[string]point.Assurance{}}
			for product := range stock {
				before.Slots[product] = map[string]point.Assurance{}
				for _, day := range want.Days(product, point.OwnFile) {
					before.Slots[product][day] = point.OwnFile
				}
			}
			plain, err := json.Marshal(before)
			r.must(err)
			box, err := ring.SealBytes(eventv1.Retention_RETENTION_CONTENT, []byte("store person "+who.String()), plain)
			r.must(err)
			for _, sql := range []string{`delete from store.month`, `delete from store.source`} {
				_, err := r.Pool.Exec(t.Context(), sql)
				r.must(err)
			}
			_, err = r.Pool.Exec(t.Context(), `update store.person set box = $1`, box)
			r.must(err)

			look(r, who)
			if n := r.count(`select count(*) from store.month`); n < 3 {
				t.Fatalf("there are %d months", n)
			}
			if name == "an import" {
				want, stock, came = r.person(ring), r.adds(stock, day(80)), r.arrives(came, day(80))
				if days := want.Days("daily-steps", point.OwnFile); !slices.Equal(days[69:], []string{day(69), day(80)}) {
					t.Errorf("the last days are %v", days[69:])
				}
			}
			if diff := cmp.Diff(want.Pages(), r.person(ring).Pages()); diff != "" {
				t.Errorf("other pages:\n%s", diff)
			}
			now, err := r.Stock(t.Context(), ring)
			r.must(err)
			if diff := cmp.Diff(stock, now); diff != "" {
				t.Errorf("another stock:\n%s", diff)
			}
			all, err := r.Arrived(t.Context(), ring, []id.ID{watch})
			r.must(err)
			if diff := cmp.Diff(came, all); diff != "" {
				t.Errorf("other arrivals:\n%s", diff)
			}
			if facts := r.bring(ring, watch, "last", steps(day(81), 9000)).Facts; facts["steps_per_day"] != "5000_9999" {
				t.Errorf("the facts are %v", facts)
			}
		})
	}
}

// adds and arrives are what one more day of steps makes of a stock and of arrivals.
func (*room) adds(stock map[string]store.Lot, day string) map[string]store.Lot {
	l := stock["daily-steps"]
	l.Last, l.Count[0] = day, l.Count[0]+1
	stock["daily-steps"] = l
	return stock
}

func (*room) arrives(came map[id.ID][]store.Arrival, day string) map[id.ID][]store.Arrival {
	for i, a := range came[watch] {
		if a.Schema == point.StepCount.String() {
			came[watch][i].Points, came[watch][i].Last = a.Points+1, day
		}
	}
	return came
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
