package view_test

import (
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement/internal/schema"
	"github.com/obole-market/obole/services/settlement/internal/view"
)

// TestPricesAreThoseOfAgreements: each agreement counts once, however often it delivered; the quartiles are prices that there were; and old
// settlements, other products and reversals say nothing.
func TestPricesAreThoseOfAgreements(t *testing.T) {
	t.Parallel()
	pool := worldtest.Database(t, `create schema ledger; set search_path to ledger; create table checkpoint (partition integer, position bigint);
		insert into checkpoint values (0, 17);`+schema.Ledger)
	now := time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)
	position := 0
	settle := func(who, agreement, buyer id.ID, product string, price, net int64, at time.Time) {
		t.Helper()
		position++
		_, err := pool.Exec(t.Context(), `
			insert into ledger.earning (subscriber, partition, position, delivery, agreement, buyer, product, slots, price, net, commission, withheld, settled_at, available_at)
			values ($1, 0, $2, $3, $4, $5, $6, 2, $7, $8, 1, 0, $9, $9)`,
			[16]byte(who), position, [16]byte(id.Random()), [16]byte(agreement), [16]byte(buyer), product, price, net, at)
		if err != nil {
			t.Fatal(err)
		}
	}
	me, one, two := id.Random(), id.Random(), id.Random()
	for i, price := range []int64{10, 20, 30, 40} {
		who, buyer := id.Random(), one
		if i == 3 {
			who, buyer = me, two
		}
		agreement := id.Random()
		for range i + 1 {
			settle(who, agreement, buyer, "daily-steps", price, 7, now)
		}
	}
	settle(me, id.Random(), one, "sleep-nights", 99, 5, now.AddDate(0, -1, 0))
	settle(me, id.Random(), one, "daily-steps", 1, 3, now.AddDate(-2, 0, 0))
	settle(me, id.Random(), one, "daily-steps", 2, -4, now)

	v := view.View{Pool: pool}
	prices, err := v.Prices(t.Context(), []string{"daily-steps", "body-weight"}, now.AddDate(-1, 0, 0))
	if err != nil {
		t.Fatal(err)
	}
	p := prices["daily-steps"]
	if len(prices) != 1 || p.Buyers != 2 || p.People != 4 || len(p.Quartiles) != 3 || p.Quartiles[0] != 10 || p.Quartiles[1] != 20 || p.Quartiles[2] != 30 {
		t.Errorf("prices are %v", prices)
	}

	// 4 x 7 + 5 + 3 - 4, by what they are asked for; page by page.
	for by, want := range map[view.Group][]string{
		view.ByMonth: {"2026-11", "2026-10", "2024-11"}, view.ByProduct: {"daily-steps", "sleep-nights"},
	} {
		var keys []string
		var net int64
		for after := ""; ; {
			s, err := v.Sum(t.Context(), me, by, after, 1, 0)
			if err != nil {
				t.Fatal(err)
			}
			if s.Total.Net != 32 || s.Total.Deliveries != 7 || s.Total.Slots != 14 || s.Position != 17 {
				t.Fatalf("all in all %v", s)
			}
			if len(s.Sums) == 0 {
				break
			}
			after = s.Sums[0].Key
			keys, net = append(keys, after), net+s.Sums[0].Net
		}
		if len(keys) != len(want) || net != 32 {
			t.Errorf("by %d: %v come to %d", by, keys, net)
			continue
		}
		for i := range want {
			if keys[i] != want[i] {
				t.Errorf("by %d: %v, want %v", by, keys, want)
			}
		}
	}
	nobody, err := v.Sum(t.Context(), id.Random(), view.ByBuyer, "", 10, 0)
	if err != nil || nobody.Total.Deliveries != 0 || len(nobody.Sums) != 0 {
		t.Errorf("nobody earned %v, %v", nobody, err)
	}
	only, err := v.Earnings(t.Context(), me, view.Filter{Buyer: one, From: now.AddDate(0, 0, -1), To: now.AddDate(0, 0, 1)}, view.Place{}, 10)
	if err != nil || len(only) != 1 || only[0].Net != -4 {
		t.Errorf("of one buyer today: %v, %v", only, err)
	}
}
