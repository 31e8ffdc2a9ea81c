package view_test

import (
	"bytes"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/schema"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// tables makes a database of the test's own with the tables that View reads.
func tables(t *testing.T) view.View {
	t.Helper()
	return view.View{Pool: worldtest.Database(t, worldtest.Up(t, schema.Store, "store"), "create schema shelves; set search_path = shelves; "+schema.Shelves)}
}

// deal puts an agreement of a bid into the tables.
func deal(t *testing.T, v view.View, bid id.ID) {
	t.Helper()
	if _, err := v.Pool.Exec(t.Context(), `insert into shelves.agreement (agreement, shelf, subscriber, bid, cleared, ended, stream, version, event, data)
		values ($1, $1, $1, $1, true, false, '', 1, $1, '')`, [16]byte(bid)); err != nil {
		t.Fatal(err)
	}
}

// TestPagesOfAWatch: what changed between two places is listed once, partition by partition in the order of its changes, however many
// there are to a page and however far behind the place is; what is another buyer's is not, nor what changed before or after.
func TestPagesOfAWatch(t *testing.T) {
	t.Parallel()
	v, ctx := tables(t), t.Context()
	buyer, other, bid, second, alien := id.Random(), id.Random(), id.Random(), id.Random(), id.Random()
	at := time.Date(2026, 4, 12, 9, 0, 0, 0, time.UTC)
	deal(t, v, bid)
	for sql, args := range map[string][]any{
		`insert into store.bid (bid, buyer) values ($1, $2), ($3, $4), ($5, $2)`: {
			[16]byte(bid), [16]byte(buyer), [16]byte(alien), [16]byte(other), [16]byte(second),
		},
		// In each of two partitions one delivery a position, and ten at that of 1991: of every five one of another buyer and one of the second bid, every other one released.
		`insert into shelves.delivery (delivery, shelf, subscriber, agreement, bid, sequence, state, blocked, slots, bytes, digest, partition, position,
				changed, prepared_at, lapses_at, stream, version, event, data)
			select gen_random_uuid(), $1, $1, $1, case n % 5 when 0 then $3::uuid when 1 then $4::uuid else $1 end, 1,
				case when n % 2 = 0 then 'prepared' else 'released' end, '', 1, 1, '', p, at, at, $2::timestamptz, $2, '', 1, $1, ''
			from generate_series(0, 1) p, (select n, case when n > 1990 then 1991 else n end at from generate_series(1, 2000) n) n`: {[16]byte(bid), at, [16]byte(alien), [16]byte(second)},
	} {
		if _, err := v.Pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	for name, tc := range map[string]struct {
		of          id.ID
		after, upto []es.Position
		want        int
	}{
		"near":             {id.ID{}, []es.Position{100, 200}, []es.Position{150, 260}, 40 + 48},
		"near, one bid":    {second, []es.Position{100, 200}, []es.Position{150, 260}, 10 + 12},
		"far":              {id.ID{}, []es.Position{0, 500}, []es.Position{2000, 500}, 1600},
		"far, one bid":     {second, []es.Position{0, 0}, []es.Position{2000, 1999}, 800},
		"nothing":          {id.ID{}, []es.Position{100, 200}, []es.Position{100, 200}, 0},
		"another's bid":    {alien, []es.Position{0, 0}, []es.Position{2000, 2000}, 0},
		"at the very edge": {id.ID{}, []es.Position{1000, 2000}, []es.Position{2000, 2000}, 800},
	} {
		for _, page := range []int{7, 1000} {
			place, n := make([]view.Mark, len(tc.after)), 0
			for p, at := range tc.after {
				place[p].At = at
			}
			ends := make([]view.Mark, len(tc.upto))
			for p, at := range tc.upto {
				ends[p].At = at
			}
			for more := true; more; {
				rows, err := v.Changed(ctx, buyer, tc.of, place, tc.upto, page)
				if err != nil {
					t.Fatal(err)
				}
				for i := range rows {
					p := rows[i].Partition
					if rows[i].Changed < place[p].At || rows[i].Changed == place[p].At && (place[p].Last.IsZero() || bytes.Compare(rows[i].ID[:], place[p].Last[:]) <= 0) || rows[i].Changed > tc.upto[p] || rows[i].Bid == alien || !tc.of.IsZero() && rows[i].Bid != tc.of {
						t.Fatalf("%s: a delivery of bid %s that changed at %d is listed behind %v", name, rows[i].Bid, rows[i].Changed, place)
					}
					copy(place[:p], ends)
					place[p] = view.Mark{At: rows[i].Changed, Last: rows[i].ID}
					n++
				}
				more = len(rows) == page
			}
			if n != tc.want {
				t.Errorf("%s, %d to a page: %d deliveries, want %d", name, page, n, tc.want)
			}
		}
	}
	const page = 7
	for of, want := range map[id.ID]int{{}: 1600, bid: 1200} {
		seen := map[id.ID]bool{}
		var last id.ID
		for more := true; more; {
			rows, err := v.Unreleased(ctx, buyer, of, last, page)
			if err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				if last = rows[i].ID; seen[last] || rows[i].Bid == alien {
					t.Fatalf("%s of bid %s is listed, and has been: %v", last, rows[i].Bid, seen[last])
				}
				seen[last] = true
			}
			more = len(rows) == page
		}
		if len(seen) != want {
			t.Errorf("%d deliveries are not released, want %d", len(seen), want)
		}
	}
}
