package view_test

import (
	"testing"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers/internal/schema"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// TestBatchesFoldAlike: what comes in floods is written together, and an offer that is shown again, declined, voided or accepted anew
// within a batch ends as it does event by event.
func TestBatchesFoldAlike(t *testing.T) {
	t.Parallel()
	bid, buyer := id.Random(), id.Random()
	on := func(e *offersv1.Event, offer id.ID) worldtest.Happened {
		return worldtest.Happened{On: es.StreamOf(bid).Child(offer), Event: e}
	}
	own := func(e *offersv1.Event) worldtest.Happened { return worldtest.Happened{On: es.StreamOf(bid), Event: e} }
	what := []worldtest.Happened{
		own(&offersv1.Event{Event: &offersv1.Event_BidPlaced{BidPlaced: &offersv1.BidPlaced{
			BidId: bid.String(), BuyerId: buyer.String(), Quantity: 70, OpensAt: 1, ClosesAt: 2, Terms: &marketv1.Terms{Product: &marketv1.ProductRef{Id: "p"}},
		}}}),
		own(&offersv1.Event{Event: &offersv1.Event_BidOpened{BidOpened: &offersv1.BidOpened{BidId: bid.String()}}}),
	}
	card := byte(0)
	show := func(offer id.ID) {
		card++
		what = append(what, on(&offersv1.Event{Event: &offersv1.Event_OfferPresented{OfferPresented: &offersv1.OfferPresented{
			OfferId: offer.String(), BidId: bid.String(), SubscriberId: offer.String(), CardSha256: []byte{card},
		}}}, offer))
	}
	accept := func(offer id.ID) (agreement id.ID) {
		agreement = id.Random()
		what = append(what, on(&offersv1.Event{Event: &offersv1.Event_OfferAccepted{OfferAccepted: &offersv1.OfferAccepted{
			OfferId: offer.String(), AgreementId: agreement.String(), BidId: bid.String(), SubscriberId: offer.String(), Slots: 3, AnswerDue: int64(card) + 1,
		}}}, offer))
		return agreement
	}
	form := func(offer, agreement id.ID) {
		what = append(what, on(&offersv1.Event{Event: &offersv1.Event_AgreementFormed{AgreementFormed: &offersv1.AgreementFormed{
			AgreementId: agreement.String(), OfferId: offer.String(), BidId: bid.String(), SubscriberId: offer.String(), Slots: 3,
		}}}, offer))
	}
	void := func(offer id.ID, consented bool) {
		what = append(what, on(&offersv1.Event{Event: &offersv1.Event_OfferVoided{OfferVoided: &offersv1.OfferVoided{
			OfferId: offer.String(), BidId: bid.String(), Slots: 3, Consented: consented, Reason: "REFUSED",
		}}}, offer))
	}
	decline := func(offer id.ID) {
		what = append(what, on(&offersv1.Event{Event: &offersv1.Event_OfferDeclined{OfferDeclined: &offersv1.OfferDeclined{
			OfferId: offer.String(), BidId: bid.String(), SubscriberId: offer.String(),
		}}}, offer))
	}
	finish := func(offer, agreement id.ID) {
		what = append(what, on(&offersv1.Event{Event: &offersv1.Event_AgreementFinished{AgreementFinished: &offersv1.AgreementFinished{
			AgreementId: agreement.String(), OfferId: offer.String(), BidId: bid.String(),
		}}}, offer))
	}
	a, b, c, d := id.Random(), id.Random(), id.Random(), id.Random()
	show(a)
	show(b)
	show(a) // another card
	first := accept(a)
	show(c)
	second := accept(b)
	form(a, first)
	form(b, second)
	decline(c)
	void(b, true)
	show(c) // looked for
	show(b)
	third := accept(b)
	show(d)
	form(b, third)
	finish(a, first)
	fourth := accept(c)
	void(c, false)
	_ = fourth
	accept(d)
	what = append(what, own(&offersv1.Event{Event: &offersv1.Event_BidClosed{BidClosed: &offersv1.BidClosed{BidId: bid.String(), Reason: offersv1.CloseReason_CLOSE_REASON_EXPIRED}}}))
	finish(b, third)
	worldtest.Folds(t, schema.Market, view.Project, what)
}
