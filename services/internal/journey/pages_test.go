package journey

import (
	"fmt"
	"testing"

	"google.golang.org/protobuf/proto"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// TestPagesAreStable: a bid that closes and one that opens between two pages move no other: each that stays is listed once. A buyer's holds
// come by pages too, and what is held is of all.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	m.register(100_00)
	placed := map[string]string{} // names by bid
	place := func(name string, micros int64) string {
		n := m.bid(10, 5)
		n.Terms.UnitPrice.Micros = micros
		number := m.place(n, name)
		m.comesTo(number, offersv1.BidState_BID_STATE_OPEN)
		placed[number] = name
		return number
	}
	dearest := place("80", 80_000)
	for i := range 4 { // two of them at the same price
		place(fmt.Sprint("middle ", i), 70_000-int64(i/2)*10_000)
	}
	place("50", 50_000)
	p := m.enrol("1990-02-03")
	var names []string
	page := func(size uint32, token string) string {
		t.Helper()
		r, err := p.offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: p.id.String(), PageSize: size, PageToken: token})
		m.must(err)
		var last int64
		for i, o := range r.GetOffers() {
			card := new(offersv1.Card)
			m.must(proto.Unmarshal(o.GetCard(), card))
			names = append(names, placed[card.GetBidId()])
			if net := card.GetNet().GetMicros(); i > 0 && net > last {
				t.Errorf("%d follows %d", net, last)
			}
			last = card.GetNet().GetMicros()
		}
		return r.GetNextPageToken()
	}
	token := page(2, "")
	if len(names) != 2 || names[0] != "80" || token == "" {
		t.Fatalf("the first page has %v", names)
	}
	// What was listed already goes, and something comes that would have stood before it.
	_, err := m.bids.WithdrawBid(ctx, &offersv1.WithdrawBidRequest{BidId: dearest, BuyerId: m.buyer.String(), IdempotencyKey: "w"})
	m.must(err)
	m.comesTo(dearest, offersv1.BidState_BID_STATE_DRAINED)
	token = page(2, token)
	place("90", 90_000)
	place("95", 95_000)
	if token = page(2, token); token != "" {
		t.Error("nothing is left, and there is a further page")
	}
	seen := map[string]int{}
	for _, name := range names {
		seen[name]++
	}
	for _, name := range []string{"80", "middle 0", "middle 1", "middle 2", "middle 3", "50"} {
		if seen[name] != 1 || len(names) != 6 {
			t.Errorf("%s is listed %d times among %v", name, seen[name], names)
		}
	}
	names = nil
	if token = page(2, ""); names[0] != "95" || names[1] != "90" || token == "" {
		t.Errorf("asked anew the first are %v", names)
	}

	var sum int64
	bids := map[string]bool{}
	m.Eventually("the first hold to be gone", func() bool {
		f, err := m.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: m.buyer.String()})
		m.must(err)
		return len(f.GetHolds()) == 7
	})
	for token, first := "", true; first || token != ""; first = false {
		f, err := m.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: m.buyer.String(), PageSize: 3, PageToken: token})
		m.must(err)
		for _, h := range f.GetHolds() {
			if bids[h.GetBidId()] || placed[h.GetBidId()] == "" {
				t.Errorf("the hold of %q is listed twice, or is none", placed[h.GetBidId()])
			}
			bids[h.GetBidId()] = true
			sum += h.GetHeld().GetMinor()
		}
		if token = f.GetNextPageToken(); token == "" && (f.GetHeld().GetMinor() != sum || len(bids) != 7 || f.GetHeld().GetMinor()+f.GetAvailable().GetMinor() != 100_00) {
			t.Errorf("%d holds come to %d, told is %v", len(bids), sum, f)
		}
		if len(f.GetHolds()) > 3 {
			t.Errorf("a page of %d holds", len(f.GetHolds()))
		}
	}
}
