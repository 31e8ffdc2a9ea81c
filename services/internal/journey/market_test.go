// Package journey tells the market's story with the real services over real Kafka and PostgreSQL.
package journey

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

// stock answers in delivery's place what a person has; what leaves, the test tells itself.
type stock struct {
	deliveryv1.UnimplementedDeliveryServiceServer
}

func (stock) GetFacts(context.Context, *deliveryv1.GetFactsRequest) (*deliveryv1.GetFactsResponse, error) {
	return &deliveryv1.GetFactsResponse{Stock: []*deliveryv1.Stock{{
		Product: "daily-steps", Days: &marketv1.Days{First: "2016-04-12", Last: "2016-05-12"}, ValidSlots: 31, Assurance: marketv1.Assurance_ASSURANCE_OWN_FILE,
	}}}, nil
}

func (stock) EstimateAudience(context.Context, *deliveryv1.EstimateAudienceRequest) (*deliveryv1.EstimateAudienceResponse, error) {
	return &deliveryv1.EstimateAudienceResponse{People: 120}, nil
}

// market is the three services at work.
type market struct {
	*worldtest.World
	t        testing.TB
	buyer    id.ID
	bids     offersv1.OffersServiceClient
	operator offersv1.OffersServiceClient
	finance  settlementv1.SettlementServiceClient
	gate     consentv1.ConsentServiceClient
	delivery *worldtest.Peer
	offers   offers.Config
}

func open(t testing.TB) *market {
	t.Helper()
	ctx := t.Context()
	m := &market{World: worldtest.New(t), t: t, buyer: id.Random()}
	m.offers = offers.Config{Config: m.Config(offers.Name)}
	consenting, settling := consent.Config{Config: m.Config(consent.Name)}, settlement.Config{Config: m.Config(settlement.Name)}
	for _, err := range []error{offers.Migrate(ctx, m.offers), consent.Migrate(ctx, consenting), settlement.Migrate(ctx, settling)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	fake := grpc.NewServer()
	deliveryv1.RegisterDeliveryServiceServer(fake, stock{})
	m.Start(func(ctx context.Context) error {
		go func() { <-ctx.Done(); fake.Stop() }()
		return fake.Serve(m.Listener("delivery"))
	})
	m.Start(func(ctx context.Context) error { return settlement.Run(ctx, settling) })
	m.Start(func(ctx context.Context) error { return consent.Run(ctx, consenting) })
	m.Start(func(ctx context.Context) error { return offers.Run(ctx, m.offers) })
	m.delivery = m.Peer("delivery")
	m.operator = offersv1.NewOffersServiceClient(m.Dial(offers.Name, "staff", eventv1.Role_ROLE_OPERATOR))
	m.bids = offersv1.NewOffersServiceClient(m.Dial(offers.Name, m.buyer.String(), eventv1.Role_ROLE_BUYER))
	m.finance = settlementv1.NewSettlementServiceClient(m.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE))
	m.gate = consentv1.NewConsentServiceClient(m.Dial(consent.Name, "delivery", eventv1.Role_ROLE_SERVICE))
	return m
}

func reason(err error) string { return fault.ReasonOf(grpcfault.From(err)) }

func (m *market) must(err error) {
	m.t.Helper()
	if err != nil {
		m.t.Fatal(err)
	}
}

// register opens the buyer's account, vetted and with this much money.
func (m *market) register(minor int64) {
	m.t.Helper()
	ctx := m.t.Context()
	keys, err := parcel.NewKeys(parcel.X25519)
	m.must(err)
	_, err = m.bids.RegisterBuyer(ctx, &offersv1.RegisterBuyerRequest{
		BuyerId: m.buyer.String(), IdempotencyKey: "r", Entity: &offersv1.LegalEntity{
			LegalEntityId: "TEST-" + m.buyer.String(), LegalName: "A sleep study", Country: "BE", Address: "-", DpoContact: "dpo@study.example",
			PrivacyNoticeUri: "https://study.example/privacy", ProcessingCountries: []string{"BE"},
		},
		Keys: []*offersv1.BuyerKey{{Id: "k1", Algorithm: keys.Algorithm, PublicKey: keys.Public, ReceiptKey: keys.Receipt}},
	})
	m.must(err)
	if _, err := m.bids.PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: m.bid(1, 5), IdempotencyKey: "early"}); reason(err) != "BUYER_NOT_VETTED" {
		m.t.Errorf("a bid before vetting: %v", err)
	}
	_, err = m.operator.VetBuyer(ctx, &offersv1.VetBuyerRequest{BuyerId: m.buyer.String(), IdempotencyKey: "v"})
	m.must(err)
	_, err = m.finance.Deposit(ctx, &settlementv1.DepositRequest{BuyerId: m.buyer.String(), Amount: &moneyv1.Money{Minor: minor, Currency: "EUR"}, Reference: "B" + m.buyer.String()[:8], IdempotencyKey: "d"})
	m.must(err)
}

// bid asks for daily steps, at most 5 slots a person at 5 cents.
func (m *market) bid(quantity, cohort uint32) *offersv1.NewBid {
	return &offersv1.NewBid{
		BuyerId: m.buyer.String(), Quantity: quantity, CohortMin: cohort, ClosesAt: time.Now().Add(time.Hour).UnixMicro(), Terms: &marketv1.Terms{
			Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, Purpose: "https://w3id.org/dpv#AcademicResearch",
			UnitPrice: &moneyv1.UnitPrice{Micros: 50_000, Currency: "EUR"}, MaxSlotsPerPerson: 5, RetentionDays: 365,
			Slots: &marketv1.Days{First: "2016-04-12", Last: "2016-05-12"}, Cadence: marketv1.Cadence_CADENCE_ONCE,
			Fields: []*marketv1.FieldTerm{
				{Id: "date", Rung: "exact", Required: true}, {Id: "steps", Rung: "hundred", Required: true}, {Id: "energy", Rung: "hundred", SharePpm: 200_000},
			},
		},
	}
}

func (m *market) place(n *offersv1.NewBid, key string) string {
	m.t.Helper()
	r, err := m.bids.PlaceBid(m.t.Context(), &offersv1.PlaceBidRequest{Bid: n, IdempotencyKey: key})
	m.must(err)
	return r.GetBidId()
}

func (m *market) stands(bid string) *offersv1.Bid {
	m.t.Helper()
	r, err := m.bids.GetBid(m.t.Context(), &offersv1.GetBidRequest{BidId: bid, BuyerId: m.buyer.String()})
	if status.Code(err) == codes.NotFound {
		return &offersv1.Bid{} // the tables have not seen it yet
	}
	m.must(err)
	return r.GetBid()
}

func (m *market) comesTo(bid string, want offersv1.BidState) {
	m.t.Helper()
	m.Eventually(want.String(), func() bool { return m.stands(bid).GetState() == want })
}

// person is a subscriber at the app.
type person struct {
	m       *market
	id      id.ID
	offers  offersv1.OffersServiceClient
	consent consentv1.ConsentServiceClient
	money   settlementv1.SettlementServiceClient
	// language of the cards, empty for the market's.
	language string
}

func (m *market) enrol(birth string) *person {
	m.t.Helper()
	p := &person{m: m, id: id.Random()}
	p.offers = offersv1.NewOffersServiceClient(m.Dial(offers.Name, p.id.String(), eventv1.Role_ROLE_SUBSCRIBER))
	p.consent = consentv1.NewConsentServiceClient(m.Dial(consent.Name, p.id.String(), eventv1.Role_ROLE_SUBSCRIBER))
	p.money = settlementv1.NewSettlementServiceClient(m.Dial(settlement.Name, p.id.String(), eventv1.Role_ROLE_SUBSCRIBER))
	_, err := p.consent.Enrol(m.t.Context(), &consentv1.EnrolRequest{SubscriberId: p.id.String(), Country: "BE", Language: "fr", BirthDate: birth, IdempotencyKey: "e"})
	m.must(err)
	return p
}

func (p *person) list() *offersv1.ListOffersResponse {
	p.m.t.Helper()
	r, err := p.offers.ListOffers(p.m.t.Context(), &offersv1.ListOffersRequest{SubscriberId: p.id.String(), Language: p.language})
	p.m.must(err)
	return r
}

// accept takes a bid's offer with these fields; none means all.
func (p *person) accept(bid string, fields ...string) (string, error) {
	p.m.t.Helper()
	for _, o := range p.list().GetOffers() {
		card := new(offersv1.Card)
		p.m.must(proto.Unmarshal(o.GetCard(), card))
		if card.GetBidId() != bid {
			continue
		}
		r, err := p.offers.AcceptOffer(p.m.t.Context(), &offersv1.AcceptOfferRequest{
			SubscriberId: p.id.String(), OfferId: o.GetOfferId(), BidId: bid, CardSha256: o.GetCardSha256(), Fields: fields, ExplicitStep: true, IdempotencyKey: "a" + bid,
		})
		return r.GetAgreementId(), err
	}
	return "", fmt.Errorf("the person is not shown the bid")
}

func (p *person) state(agreement string) consentv1.ConsentState {
	p.m.t.Helper()
	r, err := p.consent.ListConsents(p.m.t.Context(), &consentv1.ListConsentsRequest{SubscriberId: p.id.String()})
	p.m.must(err)
	for _, c := range r.GetConsents() {
		if c.GetAgreementId() == agreement {
			return c.GetState()
		}
	}
	return 0
}

func (p *person) consents() []*consentv1.Consent {
	p.m.t.Helper()
	r, err := p.consent.ListConsents(p.m.t.Context(), &consentv1.ListConsentsRequest{SubscriberId: p.id.String()})
	p.m.must(err)
	return r.GetConsents()
}

func (p *person) available() int64 {
	p.m.t.Helper()
	r, err := p.money.GetEarnings(p.m.t.Context(), &settlementv1.GetEarningsRequest{SubscriberId: p.id.String()})
	p.m.must(err)
	return r.GetPending().GetMinor() + r.GetAvailable().GetMinor()
}

// decided reads everything that the market has recorded.
func (m *market) decided() (list []*offersv1.Event) {
	m.t.Helper()
	log := logv1.NewLogServiceClient(m.Dial(offers.Name, "audit", eventv1.Role_ROLE_AUDITOR))
	for part := range int32(worldtest.Partitions) {
		stream, err := log.ReadLog(m.t.Context(), &logv1.ReadLogRequest{Partition: part})
		m.must(err)
		for {
			r, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			m.must(err)
			for _, stored := range r.GetEvents() {
				e := new(offersv1.Event)
				m.must(proto.Unmarshal(stored.GetData(), e))
				list = append(list, e)
			}
		}
	}
	return list
}

// booked reads everything that the book has recorded.
func (m *market) booked() (list []*settlementv1.Event) {
	m.t.Helper()
	stream, err := m.finance.ReplayEvents(m.t.Context(), &settlementv1.ReplayEventsRequest{})
	m.must(err)
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list
		}
		m.must(err)
		for _, stored := range r.GetEvents() {
			e := new(settlementv1.Event)
			m.must(proto.Unmarshal(stored.GetData(), e))
			list = append(list, e)
		}
	}
}

// TestFromBidToPosting: a bid is held before it opens, five people accept, one in part; their consents clear it; what is released
// is paid to the cent; a withdrawal ends it; and what is left goes back to the buyer.
func TestFromBidToPosting(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	m.register(100_00)
	tried, err := m.bids.TryBid(ctx, &offersv1.TryBidRequest{Bid: m.bid(25, 5)})
	m.must(err)
	if tried.GetHold().GetMinor() != 125+27 || len(tried.GetProblems()) != 0 || tried.GetAudience().GetAtLeast() != 100 || tried.GetAudience().GetBelow() != 150 {
		t.Errorf("tried: %v", tried)
	}
	wanted := m.bid(25, 5)
	bid := m.place(wanted, "one")
	if again := m.place(wanted, "one"); again != bid {
		t.Errorf("the same key and request made another bid")
	}
	if _, err := m.bids.PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: m.bid(24, 5), IdempotencyKey: "one"}); reason(err) != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("the same key with another request: %v", err)
	}
	m.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)

	people := make([]*person, 5)
	deals := make([]string, 5)
	for i := range people {
		people[i] = m.enrol("1990-02-03")
	}
	_, err = people[4].consent.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: people[4].id.String(), IdempotencyKey: "r", Rules: &consentv1.Rules{
		Floors: []*consentv1.Floor{{Product: "daily-steps", Micros: 40_001, Currency: "EUR"}},
	}})
	m.must(err)
	if l := people[4].list(); len(l.GetOffers()) != 0 || l.GetHiddenByFloor() != 1 {
		t.Errorf("above the net price: %d offers, %d hidden by the floor", len(l.GetOffers()), l.GetHiddenByFloor())
	}
	_, err = people[4].consent.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: people[4].id.String(), IdempotencyKey: "s", Rules: &consentv1.Rules{
		Floors: []*consentv1.Floor{{Product: "daily-steps", Micros: 40_000, Currency: "EUR"}},
	}})
	m.must(err)
	card := new(offersv1.Card)
	m.must(proto.Unmarshal(people[4].list().GetOffers()[0].GetCard(), card))
	if card.GetNet().GetMicros() != 40_000 || card.GetBuyerName() != "A sleep study" || !card.GetExplicitStep() || card.GetFields()[2].GetNet().GetMicros() != 8_000 {
		t.Errorf("the card says %v", card)
	}
	minor := m.enrol("2015-02-03")
	if l := minor.list(); l.GetNotEligible() != offersv1.Reason_REASON_NOT_ELIGIBLE || len(l.GetOffers()) != 0 {
		t.Errorf("a child is shown %v", l)
	}

	for i, p := range people {
		var fields []string
		if i == 0 {
			fields = []string{"date", "steps"} // without the optional energy
		}
		deals[i], err = p.accept(bid, fields...)
		m.must(err)
	}
	for i, p := range people {
		m.Eventually("the consent", func() bool { return p.state(deals[i]) == consentv1.ConsentState_CONSENT_STATE_GIVEN })
	}
	m.Eventually("the cohort", func() bool { return m.stands(bid).GetCleared() })
	m.comesTo(bid, offersv1.BidState_BID_STATE_CLOSED) // all 25 slots are consented
	if b := m.stands(bid); b.GetClosed() != offersv1.CloseReason_CLOSE_REASON_FILLED || b.GetFilledPpm() != 1_000_000 {
		t.Errorf("the bid is %v", b)
	}
	confirmed, err := offersv1.NewOffersServiceClient(m.Dial(offers.Name, "delivery", eventv1.Role_ROLE_SERVICE)).ConfirmCohort(ctx, &offersv1.ConfirmCohortRequest{BidId: bid})
	if err != nil || !confirmed.GetConfirmed() {
		t.Fatalf("the cohort is not confirmed: %v, %v", confirmed, err)
	}

	// Delivery releases for all, and one person withdraws in time.
	m.must(func() error {
		_, err := people[3].consent.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: people[3].id.String(), All: true, IdempotencyKey: "w"})
		return err
	}())
	for i, p := range people {
		shelf := es.StreamOf(id.Derive([]byte("shelf"), p.id[:]))
		parcel := id.Random()
		_, err := m.gate.Release(ctx, &consentv1.ReleaseRequest{
			SubscriberId: p.id.String(), AgreementId: deals[i], DeliveryId: parcel.String(), BuyerId: m.buyer.String(), AttemptId: id.Random().String(),
		})
		released := uint32(0)
		if i == 3 {
			if reason(err) != "WITHDRAWN" {
				t.Errorf("the gate after a withdrawal: %v", err)
			}
		} else {
			m.must(err)
			released = 5
			m.delivery.Tell(shelf.Child(parcel), &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryReleased{DeliveryReleased: &deliveryv1.DeliveryReleased{
				DeliveryId: parcel.String(), AgreementId: deals[i], BidId: bid, SubscriberId: p.id.String(), Slots: 5, Currency: "EUR",
			}}})
		}
		agreement, _ := id.Parse(deals[i])
		offer := id.Derive([]byte("offer"), must(id.Parse(bid)), p.id[:])
		m.delivery.Tell(shelf.Child(agreement), &deliveryv1.Event{Event: &deliveryv1.Event_AgreementEnded{AgreementEnded: &deliveryv1.AgreementEnded{
			AgreementId: deals[i], OfferId: offer.String(), BidId: bid, SubscriberId: p.id.String(), Currency: "EUR", SlotsReleased: released,
			Reason: deliveryv1.EndReason_END_REASON_FULFILLED,
		}}})
	}
	// 5 slots at 5 cents less 20 %: 20 cents; without the optional field at 4 cents: 16.
	for i, want := range []int64{16, 20, 20, 0, 20} {
		m.Eventually(fmt.Sprintf("%d cents for person %d", want, i), func() bool { return people[i].available() == want })
	}
	m.comesTo(bid, offersv1.BidState_BID_STATE_DRAINED)
	m.Eventually("the rest to be free", func() bool {
		f, err := m.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: m.buyer.String()})
		m.must(err)
		// Charged: 20 + 3 x 25 cents and 21 % VAT on 95 cents, rounded down.
		return f.GetHeld().GetMinor() == 0 && f.GetAvailable().GetMinor() == 100_00-95-19
	})
	trial, err := m.finance.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{})
	if err != nil || trial.GetTotal().GetMinor() != 0 {
		t.Errorf("trial balance: %v, %v", trial, err)
	}
	if err := offers.Fsck(ctx, m.offers); err != nil {
		t.Errorf("fsck: %v", err)
	}
}

func must(v id.ID, _ error) []byte { return v[:] }

// TestWhatIsRefused: money that is not there, a field that is wrong, a suspended buyer, a cohort that never came.
func TestWhatIsRefused(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	m.register(1_00)
	poor := m.place(m.bid(1000, 5), "poor")
	m.comesTo(poor, offersv1.BidState_BID_STATE_REJECTED)
	if b := m.stands(poor); b.GetRejected() != offersv1.Reason_REASON_INSUFFICIENT_FUNDS {
		t.Errorf("rejected for %v", b.GetRejected())
	}
	for name, tc := range map[string]struct {
		change func(*offersv1.NewBid)
		reason string
		field  string
	}{
		"product": {func(n *offersv1.NewBid) { n.Terms.Product.Id = "dreams" }, "PRODUCT_UNKNOWN", "bid.terms.product"},
		"purpose": {func(n *offersv1.NewBid) { n.Terms.Purpose = "https://w3id.org/dpv#InsurancePricing" }, "PURPOSE_NOT_ALLOWED", "bid.terms.purpose"},
		"field":   {func(n *offersv1.NewBid) { n.Terms.Fields[1].Id = "weight" }, "FIELD_UNKNOWN", "bid.terms.fields[1].id"},
		"rung":    {func(n *offersv1.NewBid) { n.Terms.Fields[1].Rung = "finest" }, "FIELD_UNKNOWN", "bid.terms.fields[1].rung"},
		"cohort":  {func(n *offersv1.NewBid) { n.CohortMin = 2 }, "COHORT_TOO_SMALL", "bid.cohort_min"},
		"price":   {func(n *offersv1.NewBid) { n.Terms.UnitPrice.Micros = 0 }, "TERMS_INVALID", "bid.terms.unit_price.micros"},
		"days":    {func(n *offersv1.NewBid) { n.Terms.Slots.Last = "2016-04-11" }, "TERMS_INVALID", "bid.terms.slots.last"},
		"far":     {func(n *offersv1.NewBid) { n.Terms.Slots = &marketv1.Days{First: "9999-01-01", Last: "9999-12-31"} }, "TERMS_INVALID", "bid.terms.slots.last"},
		"closed":  {func(n *offersv1.NewBid) { n.ClosesAt = 1 }, "TERMS_INVALID", "bid.closes_at"},
		"recipient": {func(n *offersv1.NewBid) {
			n.Terms.Recipients = []*marketv1.Recipient{{LegalName: "A lab", Country: "UK", Purpose: "counting"}}
		}, "TERMS_INVALID", "bid.terms.recipients[0].country"},
		"currency": {func(n *offersv1.NewBid) { n.Terms.UnitPrice.Currency = "USD" }, "CURRENCY_UNSUPPORTED", "bid.terms.unit_price.currency"},
		"predicate": {func(n *offersv1.NewBid) {
			n.Terms.Predicates = []*marketv1.Predicate{{Fact: "mood", Bands: []string{"low"}}}
		}, "PREDICATE_UNKNOWN", "bid.terms.predicates[0].fact"},
	} {
		n := m.bid(10, 5)
		tc.change(n)
		_, err := m.bids.PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: n, IdempotencyKey: name})
		if reason(err) != tc.reason {
			t.Errorf("%s: refused with %v", name, err)
		}
		tried, err := m.bids.TryBid(ctx, &offersv1.TryBidRequest{Bid: n})
		m.must(err)
		if p := tried.GetProblems(); len(p) != 1 || p[0].GetField() != tc.field || "REASON_"+tc.reason != p[0].GetReason().String() {
			t.Errorf("%s: tried, and told %v", name, p)
		}
	}
	small := m.place(m.bid(10, 5), "small") // more than one person takes
	m.comesTo(small, offersv1.BidState_BID_STATE_OPEN)
	p := m.enrol("1990-02-03")
	deal, err := p.accept(small)
	m.must(err)
	m.Eventually("the consent", func() bool { return p.state(deal) == consentv1.ConsentState_CONSENT_STATE_GIVEN })
	// The buyer is suspended: the bid closes, the acceptance is undone, the consent ends, the money comes back.
	_, err = m.operator.SuspendBuyer(ctx, &offersv1.SuspendBuyerRequest{BuyerId: m.buyer.String(), Reason: "FRAUD", IdempotencyKey: "x"})
	m.must(err)
	m.comesTo(small, offersv1.BidState_BID_STATE_DRAINED)
	for _, e := range m.decided() {
		if v := e.GetOfferVoided(); v != nil && v.GetReason() != "BUYER_SUSPENDED" {
			t.Errorf("voided for %s", v.GetReason())
		}
	}
	m.Eventually("the consent to end", func() bool { return p.state(deal) == consentv1.ConsentState_CONSENT_STATE_EXPIRED })
	// Delivery, which had prepared nothing, says that the agreement has ended.
	agreement, number := must(id.Parse(deal)), must(id.Parse(small))
	m.delivery.Tell(es.StreamOf(id.Derive([]byte("shelf"), p.id[:])).Child(id.ID(agreement)), &deliveryv1.Event{Event: &deliveryv1.Event_AgreementEnded{
		AgreementEnded: &deliveryv1.AgreementEnded{
			AgreementId: deal, OfferId: id.Derive([]byte("offer"), number, p.id[:]).String(), BidId: small, SubscriberId: p.id.String(), Currency: "EUR",
			Reason: deliveryv1.EndReason_END_REASON_VOIDED,
		},
	}})
	m.Eventually("the money to come back", func() bool {
		f, err := m.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: m.buyer.String()})
		m.must(err)
		return f.GetHeld().GetMinor() == 0 && f.GetAvailable().GetMinor() == 1_00
	})
	if _, err := m.bids.PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: m.bid(5, 5), IdempotencyKey: "late"}); reason(err) != "BUYER_SUSPENDED" {
		t.Errorf("a suspended buyer bids: %v", err)
	}
	if _, err := m.bids.GetBid(ctx, &offersv1.GetBidRequest{BidId: small, BuyerId: id.Random().String()}); status.Code(err) != codes.PermissionDenied {
		t.Errorf("somebody else's bid: %v", err)
	}
}

// TestManyAcceptAtOnce: 64 people accept at the same moment what only a few can have; slots, budget and money are never exceeded, and nothing is
// lost.
func TestManyAcceptAtOnce(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	m.register(100_00)
	const quantity = 52
	bid := m.place(m.bid(quantity, 5), "few")
	m.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	const hold = 260 + 55 // 52 slots at 5 cents and 21 % VAT, rounded up
	if held := m.stands(bid).GetHeld().GetMinor(); held != hold {
		t.Fatalf("%d is held", held)
	}
	people := make([]*person, 64)
	for i := range people {
		people[i] = m.enrol("1990-02-03")
		people[i].list()
	}
	var wg sync.WaitGroup
	deals := make([]string, len(people))
	for i, p := range people {
		wg.Go(func() {
			var err error
			deals[i], err = p.accept(bid)
			if err != nil && reason(err) != "SLOTS_EXHAUSTED" && reason(err) != "BID_NOT_OPEN" { // it closes once it is full
				t.Error(err)
			}
		})
	}
	wg.Wait()
	m.comesTo(bid, offersv1.BidState_BID_STATE_CLOSED)
	if b := m.stands(bid); b.GetClosed() != offersv1.CloseReason_CLOSE_REASON_FILLED || !b.GetCleared() || b.GetFilledPpm() != 1_000_000 {
		t.Errorf("the bid is %v", b)
	}
	// Ten take five slots each, one takes the two that are left; each has an agreement, and nobody else has.
	accepted, formed := map[string]uint32{}, map[string]uint32{}
	var slots uint32
	for _, e := range m.decided() {
		if a := e.GetOfferAccepted(); a != nil {
			accepted[a.GetAgreementId()] += a.GetSlots()
			slots += a.GetSlots()
		}
		if a := e.GetAgreementFormed(); a != nil {
			formed[a.GetAgreementId()] += a.GetSlots()
		}
	}
	if len(accepted) != 11 || slots != quantity || !maps.Equal(accepted, formed) {
		t.Errorf("%d acceptances of %d slots in all, %d agreements", len(accepted), slots, len(formed))
	}
	winners := 0
	for i, p := range people {
		switch {
		case deals[i] == "":
			if s := p.consents(); len(s) != 0 {
				t.Errorf("who was refused has consents: %v", s)
			}
		case accepted[deals[i]] == 0:
			t.Errorf("somebody was told of agreement %s, which nobody recorded", deals[i])
		default:
			winners++
			m.Eventually("the consent", func() bool { return p.state(deals[i]) == consentv1.ConsentState_CONSENT_STATE_GIVEN })
		}
	}
	if winners != len(accepted) {
		t.Errorf("%d were told that they have it, %d have", winners, len(accepted))
	}
	// The book has set aside what every slot can cost, never more than was held, and not a cent is missing.
	var cost int64
	m.Eventually("all earmarks", func() bool {
		marked := map[string]int64{}
		for _, e := range m.booked() {
			if f := e.GetFundsEarmarked(); f != nil {
				marked[f.GetAgreementId()] += int64(f.GetSlots()) * f.GetUnitPrice().GetMicros() / 10_000
			}
		}
		cost = 0
		for _, c := range marked {
			cost += c
		}
		return len(marked) == len(accepted)
	})
	f, err := m.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: m.buyer.String()})
	m.must(err)
	if cost != 260 || f.GetHeld().GetMinor() != hold || f.GetAvailable().GetMinor() != 100_00-hold || len(f.GetHolds()) != 1 {
		t.Errorf("%d is earmarked, the funds are %v", cost, f)
	}
	trial, err := m.finance.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{})
	if err != nil || trial.GetTotal().GetMinor() != 0 {
		t.Errorf("trial balance: %v, %v", trial, err)
	}
}
