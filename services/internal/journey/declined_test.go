package journey

import (
	"testing"

	"google.golang.org/protobuf/proto"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// states are the offers of an answer by their bids.
func states(t testing.TB, r *offersv1.ListOffersResponse) map[string]*offersv1.Offer {
	t.Helper()
	out := map[string]*offersv1.Offer{}
	for _, o := range r.GetOffers() {
		card := new(offersv1.Card)
		if err := proto.Unmarshal(o.GetCard(), card); err != nil {
			t.Fatal(err)
		}
		out[card.GetBidId()] = o
	}
	return out
}

// TestWhatWasDeclinedIsNotAskedAgain: who has declined is not asked the same by the same buyer for the same purpose, by what was open already nor by
// what comes later and pays more; is told how many such questions there are, finds them where they look for them, and may say yes then. Another
// purpose is another question, and another person has answered nothing.
func TestWhatWasDeclinedIsNotAskedAgain(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	m.register(200_00)
	const shown = offersv1.OfferState_OFFER_STATE_PRESENTED
	placed := func(key string, micros int64, purpose string) string {
		t.Helper()
		n := m.bid(25, 5)
		n.Terms.UnitPrice.Micros, n.Terms.Purpose = micros, purpose
		bid := m.place(n, key)
		m.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
		return bid
	}
	const research, scientific = "https://w3id.org/dpv#AcademicResearch", "https://w3id.org/dpv#ScientificResearch"
	first, open, other := placed("first", 50_000, research), placed("open", 60_000, research), placed("other", 50_000, scientific)
	p, somebody := m.enrol("1990-02-03"), m.enrol("1990-02-03")
	before := states(t, p.list())
	if len(before) != 3 || before[first].GetState() != shown || before[open].GetState() != shown || before[other].GetState() != shown {
		t.Fatalf("offered: %v", before)
	}
	declined, err := p.offers.DeclineOffer(ctx, &offersv1.DeclineOfferRequest{SubscriberId: p.id.String(), OfferId: before[first].GetOfferId(), BidId: first, IdempotencyKey: "no"})
	m.must(err)
	later := placed("later", 90_000, research)

	ask := func(who *person, declinedToo bool) *offersv1.ListOffersResponse {
		t.Helper()
		r, err := who.offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: who.id.String(), DeclinedToo: declinedToo, After: declined.GetCursor()})
		m.must(err)
		return r
	}
	said := ask(p, false)
	if got := states(t, said); len(got) != 2 || got[first].GetState() != offersv1.OfferState_OFFER_STATE_DECLINED || got[other].GetState() != shown || said.GetDeclinedBefore() != 2 {
		t.Errorf("after declining: %v", said)
	}
	preview, err := p.offers.PreviewRules(ctx, &offersv1.PreviewRulesRequest{SubscriberId: p.id.String()})
	if m.must(err); preview.GetShown() != 1 || preview.GetHidden() != 0 {
		t.Errorf("the preview: %v", preview)
	}
	if _, err := p.accept(later); err == nil {
		t.Error("what is not shown was accepted")
	}
	looked := ask(p, true)
	if got := states(t, looked); len(got) != 4 || got[open].GetState() != shown || got[later].GetState() != shown || looked.GetDeclinedBefore() != 0 {
		t.Errorf("looked for: %v", looked)
	}
	if got := ask(somebody, false); len(got.GetOffers()) != 4 || got.GetDeclinedBefore() != 0 {
		t.Errorf("somebody else: %v", got)
	}

	found := states(t, looked)[later]
	accepted, err := p.offers.AcceptOffer(ctx, &offersv1.AcceptOfferRequest{
		SubscriberId: p.id.String(), OfferId: found.GetOfferId(), BidId: later, CardSha256: found.GetCardSha256(), ExplicitStep: true, IdempotencyKey: "yes",
	})
	m.must(err)
	got, err := p.offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: p.id.String(), After: accepted.GetCursor()})
	if m.must(err); states(t, got)[later] == nil || got.GetDeclinedBefore() != 1 {
		t.Errorf("an answer that was given is gone: %v", got)
	}
}
