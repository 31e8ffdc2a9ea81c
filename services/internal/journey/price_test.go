package journey

import (
	"testing"

	"google.golang.org/protobuf/proto"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// TestPricesAreToldOnceEnoughAreBehindThem: three buyers pay ten people three prices. Two buyers are too few, and so are nine people of three
// buyers; with the tenth the quartiles are told, to whoever asks, and a card's own price can be placed among them.
func TestPricesAreToldOnceEnoughAreBehindThem(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	ctx := t.Context()
	f.opens(100_00)
	second, third := f.another("", "", 100_00), f.another("", "", 100_00)
	who := walkers(t)
	people := make([]*holder, 10)
	for i := range people {
		people[i] = f.holder()
		_, err := people[i].bring(activity, who[i], april(12, 16))
		f.must(err)
	}
	// Five days of a person at a price, of which a fifth is commission.
	const slots = 5
	earned := map[*holder]int64{}
	opened := func(of *full, micros int64) string {
		t.Helper()
		n := of.bid(50, 5)
		n.Terms.Slots, n.Terms.UnitPrice.Micros = april(12, 16), micros
		bid := of.place(n, "price")
		of.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
		return bid
	}
	delivers := func(of *full, bid string, micros int64, to ...*holder) {
		t.Helper()
		for _, p := range to {
			_, err := p.accept(bid)
			f.must(err)
		}
		f.Eventually("packages for all", func() bool { return len(of.waiting(bid, prepared)) == len(to) })
		for _, d := range of.waiting(bid, prepared) {
			of.signed(d)
		}
		for _, p := range to {
			earned[p] += slots * micros / 10_000 * 8 / 10
			f.Eventually("the person to be paid", func() bool { return p.available() == earned[p] })
		}
	}
	compared := func(p *holder) *settlementv1.PriceRange {
		t.Helper()
		r, err := p.money.ComparePrices(ctx, &settlementv1.ComparePricesRequest{ProductIds: []string{"daily-steps"}})
		f.must(err)
		if len(r.GetRanges()) != 1 || r.GetLeastBuyers() != 3 || r.GetLeastPeople() != 10 {
			t.Fatalf("compared with %v", r)
		}
		return r.GetRanges()[0]
	}
	few := func(when string) {
		t.Helper()
		if r := compared(people[0]); !r.GetTooFew() || r.GetLower() != nil || r.GetMedian() != nil || r.GetUpper() != nil {
			t.Errorf("%s: %v", when, r)
		}
	}
	first, next := opened(f, 50_000), opened(second, 40_000)
	delivers(f, first, 50_000, people[:5]...)
	delivers(second, next, 40_000, people[:5]...)
	few("two buyers and five people")
	dearest := opened(third, 60_000)
	delivers(third, dearest, 60_000, people[4:9]...)
	few("three buyers and nine people")
	delivers(third, dearest, 60_000, people[9])

	// Of 16 agreements, 5 at 4 cents, 5 at 5 and 6 at 6: the fourth, the eighth and the twelfth.
	for _, p := range []*holder{people[0], people[9], f.holder()} {
		r := compared(p)
		if r.GetTooFew() || r.GetLower().GetMicros() != 40_000 || r.GetMedian().GetMicros() != 50_000 || r.GetUpper().GetMicros() != 60_000 || r.GetMedian().GetCurrency() != "EUR" {
			t.Errorf("compared with %v", r)
		}
	}
	offer, err := people[9].offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: people[9].id.String(), Language: "en"})
	f.must(err)
	asked := map[string]int64{}
	for _, o := range offer.GetOffers() {
		card := new(offersv1.Card)
		f.must(proto.Unmarshal(o.GetCard(), card))
		if g := card.GetGross(); card.GetProduct().GetId() == "daily-steps" && g.GetCurrency() == "EUR" {
			asked[card.GetBidId()] = g.GetMicros()
		}
	}
	// What the page places among the quartiles is of their kind: before VAT, commission included, of one slot.
	if asked[first] != 50_000 || asked[next] != 40_000 {
		t.Errorf("cards at %v", asked)
	}
}
