package rpc

import (
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers/internal/schema"
	"github.com/obole-market/obole/services/offers/internal/view"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// TestADeclinedQuestionWaitsForItsInterval: it is the same at another price, for other days and in another version, and another one from another
// buyer, on another product or for another purpose; it waits until the last moment of the interval, and is another person's never.
func TestADeclinedQuestionWaitsForItsInterval(t *testing.T) {
	t.Parallel()
	pool := worldtest.Database(t, "create schema market; set search_path = market; "+schema.Market)
	said := time.Date(2026, 4, 12, 9, 0, 0, 0, time.UTC)
	now := said
	s := &Server{View: view.View{Pool: pool}, Now: func() time.Time { return now }}
	person, number, buyer := id.Random(), id.Random(), id.Random()
	placed := func(buyer, product, version, purpose string, micros int64) *offersv1.BidPlaced {
		return &offersv1.BidPlaced{BidId: number.String(), BuyerId: buyer, Terms: &marketv1.Terms{
			Product: &marketv1.ProductRef{Id: product, Version: version}, Purpose: purpose, UnitPrice: &moneyv1.UnitPrice{Micros: micros, Currency: "EUR"},
		}}
	}
	for sql, args := range map[string][]any{
		`insert into market.bid (bid, buyer, product, state, placed, rejected, closed, cleared, consented, quantity, held, opens_at, closes_at, placed_at, hold_due)
			values ($1, $2, 'p', 'closed', $3, '', 1, false, 0, 1, 0, $4, $4, $4, $4)`: {
			[16]byte(number), [16]byte(buyer), wire.Marshal(placed(buyer.String(), "p", "1", "research", 1)), said,
		},
		`insert into market.offer (offer, bid, subscriber, state, card, slots, voided, declined_at) values ($1, $1, $2, 'declined', '', 0, '', $3)`: {
			[16]byte(number), [16]byte(person), said,
		},
	} {
		if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	const days = 180
	waits := func(who id.ID, after time.Duration, q *offersv1.BidPlaced) bool {
		t.Helper()
		now = said.Add(after)
		all, err := s.declined(t.Context(), who, days)
		if err != nil {
			t.Fatal(err)
		}
		return all[asked(q)]
	}
	same := placed(buyer.String(), "p", "2", "research", 9)
	for what, c := range map[string]struct {
		who   id.ID
		after time.Duration
		q     *offersv1.BidPlaced
		want  bool
	}{
		"at once":                           {person, 0, same, true},
		"a moment before the interval ends": {person, days*24*time.Hour - time.Microsecond, same, true},
		"when it has ended":                 {person, days * 24 * time.Hour, same, false},
		"another buyer":                     {person, 0, placed(person.String(), "p", "1", "research", 1), false},
		"another product":                   {person, 0, placed(buyer.String(), "q", "1", "research", 1), false},
		"another purpose":                   {person, 0, placed(buyer.String(), "p", "1", "marketing", 1), false},
		"another person":                    {buyer, 0, same, false},
	} {
		if got := waits(c.who, c.after, c.q); got != c.want {
			t.Errorf("%s: it waits: %v", what, got)
		}
	}
}
