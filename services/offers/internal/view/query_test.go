package view_test

import (
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/id"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers/internal/schema"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// TestEveryBidIsVisited: more bids than are read at a time, most of one moment, as many as one message may place, once each.
func TestEveryBidIsVisited(t *testing.T) {
	t.Parallel()
	pool := worldtest.Database(t, "create schema market; set search_path = market; "+schema.Market)
	v, ctx, buyer := view.View{Pool: pool}, t.Context(), id.Random()
	at := time.Date(2026, 4, 12, 9, 0, 0, 0, time.UTC)
	const bids = 1234
	var rows [][]any
	for i := range bids {
		number, owner := id.Random(), buyer
		if i%10 == 0 {
			owner = id.Random()
		}
		placed, err := proto.Marshal(&offersv1.BidPlaced{BidId: number.String(), BuyerId: owner.String()})
		if err != nil {
			t.Fatal(err)
		}
		when := at
		if i%100 == 1 {
			when = at.Add(time.Duration(i) * time.Second)
		}
		rows = append(rows, []any{[16]byte(number), [16]byte(owner), "p", "open", placed, "", 0, false, 0, 1, 0, at, at, when, at})
	}
	columns := []string{
		"bid", "buyer", "product", "state", "placed", "rejected", "closed", "cleared", "consented", "quantity", "held", "opens_at", "closes_at", "placed_at",
		"hold_due",
	}
	if _, err := pool.CopyFrom(ctx, pgx.Identifier{"market", "bid"}, columns, pgx.CopyFromRows(rows)); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	last := at.Add(time.Hour * 24)
	err := v.EachBid(ctx, buyer, func(b view.Bid) error {
		if number := b.Placed.GetBidId(); seen[number] || b.Placed.GetBuyerId() != buyer.String() || b.PlacedAt.After(last) {
			t.Errorf("bid %s of %s at %v after %v", number, b.Placed.GetBuyerId(), b.PlacedAt, last)
		}
		seen[b.Placed.GetBidId()], last = true, b.PlacedAt
		return nil
	})
	if want := bids - (bids+9)/10; err != nil || len(seen) != want {
		t.Errorf("%d bids were visited of %d, %v", len(seen), want, err)
	}
	enough := errors.New("enough")
	if err := v.EachBid(ctx, buyer, func(view.Bid) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("a visit that fails ends with %v", err)
	}
}
