package journey

import (
	"testing"

	"google.golang.org/protobuf/proto"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers"
)

// TestTheCardIsWhatIsAgreed: between a card's showing and its acceptance the operator takes another commission. What was shown cannot be
// accepted any more; the card is shown anew, and what is agreed is what that one says.
func TestTheCardIsWhatIsAgreed(t *testing.T) {
	t.Parallel()
	f := openFull(t, listening(offers.Name))
	ctx := t.Context()
	f.opens(100_00)
	bid := f.place(f.bid(25, 5), "one")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	p := f.holder()
	_, err := p.bring(activity, walkers(t)[0], nil)
	f.must(err)
	shown := func(language string) (*offersv1.Offer, *offersv1.Card) {
		t.Helper()
		r, err := p.offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: p.id.String(), Language: language})
		f.must(err)
		if len(r.GetOffers()) != 1 {
			t.Fatalf("%d offers", len(r.GetOffers()))
		}
		card := new(offersv1.Card)
		f.must(proto.Unmarshal(r.GetOffers()[0].GetCard(), card))
		return r.GetOffers()[0], card
	}
	accept := func(o *offersv1.Offer, key string) (*offersv1.AcceptOfferResponse, error) {
		return p.offers.AcceptOffer(ctx, &offersv1.AcceptOfferRequest{
			SubscriberId: p.id.String(), OfferId: o.GetOfferId(), BidId: bid, CardSha256: o.GetCardSha256(), ExplicitStep: true, IdempotencyKey: key, Language: "fr",
		})
	}
	before, said := shown("fr")
	if said.GetNet().GetMicros() != 40_000 {
		t.Fatalf("the card promises %d", said.GetNet().GetMicros())
	}
	f.stop[offers.Name]()
	f.offers.Commission = 500_000
	f.stop[offers.Name] = f.Start(f.run[offers.Name])
	f.Eventually("offers to be back", func() bool {
		_, err := f.bids.GetBid(ctx, &offersv1.GetBidRequest{BidId: bid, BuyerId: f.buyer.String()})
		return err == nil
	})
	if got, err := accept(before, "a"); reason(err) != "CARD_CHANGED" {
		t.Errorf("a card that promised 40,000 is accepted at %v, %v", got.GetNet(), err)
	}
	after, says := shown("fr")
	if says.GetNet().GetMicros() != 25_000 {
		t.Fatalf("the card promises %d", says.GetNet().GetMicros())
	}
	got, err := accept(after, "b")
	f.must(err)
	if got.GetNet().GetMicros() != says.GetNet().GetMicros() {
		t.Errorf("agreed at %d", got.GetNet().GetMicros())
	}
}
