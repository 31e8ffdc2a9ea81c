package journey

import (
	"context"
	"net"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers"
)

// TestARetryIsAnsweredWhateverHasChanged: what was decided is told again when the window is over, when another process keeps other rates, and
// when the buyer is suspended; what was not decided is refused for what has changed.
func TestARetryIsAnsweredWhateverHasChanged(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	m.register(100_00)
	brief := m.bid(10, 5)
	brief.ClosesAt = time.Now().Add(3 * time.Second).UnixMicro()
	short := &offersv1.PlaceBidRequest{Bid: brief, IdempotencyKey: "short"}
	briefly, err := m.bids.PlaceBid(ctx, short)
	m.must(err)
	long := &offersv1.PlaceBidRequest{Bid: m.bid(25, 5), IdempotencyKey: "long"}
	placed, err := m.bids.PlaceBid(ctx, long)
	m.must(err)
	m.comesTo(placed.GetBidId(), offersv1.BidState_BID_STATE_OPEN)
	p := m.enrol("1990-02-03")
	card := new(offersv1.Card)
	var yes *offersv1.AcceptOfferRequest
	for _, o := range p.list().GetOffers() {
		m.must(proto.Unmarshal(o.GetCard(), card))
		if card.GetBidId() == placed.GetBidId() {
			yes = &offersv1.AcceptOfferRequest{
				SubscriberId: p.id.String(), OfferId: o.GetOfferId(), BidId: card.GetBidId(), CardSha256: o.GetCardSha256(), ExplicitStep: true, IdempotencyKey: "yes",
			}
		}
	}
	accepted, err := p.offers.AcceptOffer(ctx, yes)
	m.must(err)

	again := func(when string, bids, people offersv1.OffersServiceClient) {
		t.Helper()
		if r, err := bids.PlaceBid(ctx, long); err != nil || r.GetBidId() != placed.GetBidId() || !proto.Equal(r.GetHold(), placed.GetHold()) {
			t.Errorf("%s the bid is told as %v, %v", when, r, err)
		}
		if r, err := people.AcceptOffer(ctx, yes); err != nil || r.GetAgreementId() != accepted.GetAgreementId() || !proto.Equal(r.GetNet(), accepted.GetNet()) {
			t.Errorf("%s the acceptance is told as %v, %v", when, r, err)
		}
	}
	again("at once", m.bids, p.offers)

	m.comesTo(briefly.GetBidId(), offersv1.BidState_BID_STATE_DRAINED)
	if r, err := m.bids.PlaceBid(ctx, short); err != nil || r.GetBidId() != briefly.GetBidId() || !proto.Equal(r.GetHold(), briefly.GetHold()) {
		t.Errorf("after its window the bid is told as %v, %v", r, err)
	}
	late := proto.CloneOf(short)
	late.IdempotencyKey = "late"
	if _, err := m.bids.PlaceBid(ctx, late); reason(err) != "TERMS_INVALID" {
		t.Errorf("another bid of a window that is over: %v", err)
	}
	late.IdempotencyKey, late.Bid.Quantity = "short", 11
	if _, err := m.bids.PlaceBid(ctx, late); reason(err) != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("another bid that may not be placed under the key of one that was: %v", err)
	}

	// Another process of the service, which takes no commission.
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	m.must(err)
	free := m.offers
	free.Commission, free.Seams.Listener = -1, l
	m.Start(func(ctx context.Context) error { return offers.Run(ctx, free) })
	dial := func(who string, role eventv1.Role) offersv1.OffersServiceClient {
		return offersv1.NewOffersServiceClient(m.DialAddr(l.Addr().String(), offers.Name, who, role))
	}
	again("at other rates", dial(m.buyer.String(), eventv1.Role_ROLE_BUYER), dial(p.id.String(), eventv1.Role_ROLE_SUBSCRIBER))

	_, err = m.operator.SuspendBuyer(ctx, &offersv1.SuspendBuyerRequest{BuyerId: m.buyer.String(), Reason: "FRAUD", IdempotencyKey: "x"})
	m.must(err)
	again("while the buyer is suspended", m.bids, p.offers)
	stream, err := m.bids.PlaceBids(ctx)
	m.must(err)
	fresh := &offersv1.PlaceBidRequest{Bid: m.bid(5, 5), IdempotencyKey: "fresh"}
	m.must(stream.Send(&offersv1.PlaceBidsRequest{BuyerId: m.buyer.String(), Bids: []*offersv1.PlaceBidRequest{fresh, long, short}}))
	many, err := stream.Recv()
	m.must(err)
	if a := many.GetBids(); a[0].GetRefused() != offersv1.Reason_REASON_BUYER_SUSPENDED || a[0].GetBidId() != "" ||
		a[1].GetBidId() != placed.GetBidId() || !proto.Equal(a[1].GetHold(), placed.GetHold()) || a[2].GetBidId() != briefly.GetBidId() || a[2].GetRefused() != 0 {
		t.Errorf("a message of one new bid and two retries is told %v", a)
	}
	no := proto.CloneOf(yes)
	no.IdempotencyKey = "no"
	if _, err := p.offers.AcceptOffer(ctx, no); reason(err) != "BUYER_SUSPENDED" {
		t.Errorf("an acceptance of a suspended buyer's offer: %v", err)
	}
}
