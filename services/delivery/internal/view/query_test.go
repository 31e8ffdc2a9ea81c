package view_test

import (
	"testing"
	"time"

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

// TestPagesEndWithinOneMoment: deliveries that changed at the same time, as those of one flush of the log do, are all listed, once
// each, however many there are to a page; so are those whose key has not left.
func TestPagesEndWithinOneMoment(t *testing.T) {
	t.Parallel()
	v, ctx := tables(t), t.Context()
	buyer, other, bid, alien := id.Random(), id.Random(), id.Random(), id.Random()
	at := time.Date(2026, 4, 12, 9, 0, 0, 0, time.UTC)
	for sql, args := range map[string][]any{
		`insert into store.bid (bid, buyer) values ($1, $2), ($3, $4)`: {[16]byte(bid), [16]byte(buyer), [16]byte(alien), [16]byte(other)},
		`insert into shelves.agreement (agreement, shelf, subscriber, bid, cleared, ended, stream, version, event, data)
			values ($1, $1, $1, $1, true, false, '', 1, $1, '')`: {[16]byte(bid)},
		`insert into shelves.delivery (delivery, shelf, subscriber, agreement, bid, sequence, state, blocked, slots, bytes, digest, partition, position,
				prepared_at, lapses_at, changed_at, stream, version, event, data)
			select gen_random_uuid(), $1, $1, $1, case when n % 5 = 0 then $3::uuid else $1 end, 1, case when n % 2 = 0 then 'prepared' else 'released' end,
				'', 1, 1, '', 0, n, $2::timestamptz, $2, $2, '', 1, $1, ''
			from generate_series(1, 50) n`: {[16]byte(bid), at, [16]byte(alien)},
	} {
		if _, err := v.Pool.Exec(ctx, sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	const page = 7
	pages := func(next func(last view.Delivery) ([]view.Delivery, error)) (n int) {
		t.Helper()
		seen := map[id.ID]bool{}
		var last view.Delivery
		last.ChangedAt = at.Add(-time.Second)
		for {
			rows, err := next(last)
			if err != nil {
				t.Fatal(err)
			}
			for i := range rows {
				if last = rows[i]; seen[last.ID] || last.Bid != bid {
					t.Fatalf("%s of bid %s is listed, and has been: %v", last.ID, last.Bid, seen[last.ID])
				}
				seen[last.ID] = true
			}
			if len(rows) < page {
				return len(seen)
			}
		}
	}
	for _, of := range []id.ID{{}, bid} {
		if n := pages(func(last view.Delivery) ([]view.Delivery, error) {
			return v.Changed(ctx, buyer, of, view.Place{At: last.ChangedAt, ID: last.ID}, page)
		}); n != 40 {
			t.Errorf("%d deliveries changed, want 40", n)
		}
		if n := pages(func(last view.Delivery) ([]view.Delivery, error) { return v.Unreleased(ctx, buyer, of, last.ID, page) }); n != 20 {
			t.Errorf("%d deliveries are not released, want 20", n)
		}
	}
	if rows, err := v.Changed(ctx, buyer, id.ID{}, view.Place{At: at.Add(time.Microsecond)}, page); err != nil || len(rows) > 0 {
		t.Errorf("after the change: %d, %v", len(rows), err)
	}
}
