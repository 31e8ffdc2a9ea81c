package settlement_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/ledger"
	"github.com/obole-market/obole/pkg/node"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement"
)

func euro(minor int64) *moneyv1.Money { return &moneyv1.Money{Minor: minor, Currency: "EUR"} }

type story struct {
	buyer, bid, agreement, person id.ID
	shelf                         es.Stream
}

func (s *story) placed(budget, tax int64) *offersv1.Event {
	return &offersv1.Event{Event: &offersv1.Event_BidPlaced{BidPlaced: &offersv1.BidPlaced{
		BidId: s.bid.String(), BuyerId: s.buyer.String(), Budget: euro(budget), Tax: euro(tax), TaxPpm: 210_000, TaxCountry: "BE", Quantity: 100,
	}}}
}

func (s *story) formed(slots uint32) *offersv1.Event {
	return &offersv1.Event{Event: &offersv1.Event_AgreementFormed{AgreementFormed: &offersv1.AgreementFormed{Licence: &marketv1.Licence{
		AgreementId: s.agreement.String(), BidId: s.bid.String(), BuyerId: s.buyer.String(), SubscriberId: s.person.String(),
		Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, UnitPrice: &moneyv1.UnitPrice{Micros: 50_000, Currency: "EUR"},
		SlotsReserved: slots, CommissionPpm: 200_000, Country: "BE", Policy: &eventv1.PolicyRef{Pack: "BE", Version: "2026-01-01"},
	}}}}
}

func (s *story) released(delivery id.ID, slots uint32) *deliveryv1.Event {
	return &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryReleased{DeliveryReleased: &deliveryv1.DeliveryReleased{
		DeliveryId: delivery.String(), AgreementId: s.agreement.String(), BidId: s.bid.String(), SubscriberId: s.person.String(), Slots: slots, Currency: "EUR",
	}}}
}

func (s *story) ended() *deliveryv1.Event {
	return &deliveryv1.Event{Event: &deliveryv1.Event_AgreementEnded{AgreementEnded: &deliveryv1.AgreementEnded{
		AgreementId: s.agreement.String(), BidId: s.bid.String(), SubscriberId: s.person.String(), Currency: "EUR", Reason: deliveryv1.EndReason_END_REASON_FULFILLED,
	}}}
}

func (s *story) drained() *offersv1.Event {
	return &offersv1.Event{Event: &offersv1.Event_BidDrained{BidDrained: &offersv1.BidDrained{BidId: s.bid.String(), BuyerId: s.buyer.String()}}}
}

// market answers in the place of offers: who is registered.
type market struct {
	offersv1.UnimplementedOffersServiceServer

	buyers []id.ID
}

func (m market) GetBuyer(_ context.Context, r *offersv1.GetBuyerRequest) (*offersv1.GetBuyerResponse, error) {
	if who, err := id.Parse(r.GetBuyerId()); err != nil || !slices.Contains(m.buyers, who) {
		return nil, grpcfault.Status(fault.NotFound("BUYER_UNKNOWN", "there is no such buyer")).Err()
	}
	return &offersv1.GetBuyerResponse{Buyer: &offersv1.Buyer{BuyerId: r.GetBuyerId()}}, nil
}

// register lets offers answer that these buyers are registered and no others.
func register(w *worldtest.World, buyers ...id.ID) {
	server := grpc.NewServer()
	offersv1.RegisterOffersServiceServer(server, market{buyers: buyers})
	w.Start(func(ctx context.Context) error {
		go func() { <-ctx.Done(); server.Stop() }()
		return server.Serve(w.Listener("offers"))
	})
}

// TestMoneyOfOneBid follows a bid's money from the bank to the person and back, over real Kafka and PostgreSQL, with finance
// replaying the log in the end.
func TestMoneyOfOneBid(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := worldtest.New(t)
	c := settlement.Config{Config: w.Config(settlement.Name)}
	if err := settlement.Migrate(ctx, c); err != nil {
		t.Fatal(err)
	}
	w.Start(func(ctx context.Context) error { return settlement.Run(ctx, c) })
	offers, delivery := w.Peer("offers"), w.Peer("delivery")
	finance := settlementv1.NewSettlementServiceClient(w.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE))

	s := story{buyer: id.Random(), bid: id.Random(), agreement: id.Random(), person: id.Random()}
	s.shelf = es.StreamOf(id.Derive([]byte("shelf"), s.person[:]))
	deposit := &settlementv1.DepositRequest{BuyerId: id.Random().String(), Amount: euro(1000_00), Reference: "BANK-1", IdempotencyKey: "1"}
	if _, err := finance.Deposit(ctx, deposit); status.Code(err) != codes.Unavailable {
		t.Fatalf("while nobody says who is registered: %v", err)
	}
	register(w, s.buyer)
	if _, err := finance.Deposit(ctx, deposit); reason(err) != "BUYER_UNKNOWN" {
		t.Fatalf("money of nobody: %v", err)
	}
	deposit.BuyerId = s.buyer.String()
	paid, err := finance.Deposit(ctx, deposit)
	if err != nil {
		t.Fatal(err)
	}
	conflict := func(what string, change func(*settlementv1.DepositRequest)) {
		t.Helper()
		r := proto.CloneOf(deposit)
		change(r)
		if _, err := finance.Deposit(ctx, r); reason(err) != "IDEMPOTENCY_CONFLICT" {
			t.Errorf("the same key with %s: %v", what, err)
		}
	}
	conflict("another reference", func(r *settlementv1.DepositRequest) { r.Reference = "BANK-2" })
	conflict("another amount", func(r *settlementv1.DepositRequest) { r.Amount = euro(5) })
	if again, err := finance.Deposit(ctx, deposit); err != nil || again.GetCursor().GetPosition() != paid.GetCursor().GetPosition() || !again.GetRecordedBefore() || paid.GetRecordedBefore() {
		t.Fatalf("a retry: %v, %v", again, err)
	}
	deposit.IdempotencyKey = "2"
	if again, err := finance.Deposit(ctx, deposit); err != nil || again.GetAvailable().GetMinor() != 1000_00 || again.GetCursor().GetPosition() != paid.GetCursor().GetPosition() || !again.GetRecordedBefore() {
		t.Fatalf("the same payment was booked twice: %v, %v", again, err)
	}
	deposit.Amount, deposit.IdempotencyKey = euro(5), "3"
	if _, err := finance.Deposit(ctx, deposit); reason(err) != "REFERENCE_CONFLICT" {
		t.Fatalf("another payment under the same reference: %v", err)
	}
	deposit.Amount = &moneyv1.Money{Minor: 5, Currency: "USD"}
	if _, err := finance.Deposit(ctx, deposit); reason(err) != "CURRENCY_MISMATCH" {
		t.Fatalf("dollars: %v", err)
	}

	funds := func() *settlementv1.GetFundsResponse {
		f, err := finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: s.buyer.String()})
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	bidStream, offerStream := es.StreamOf(s.bid), es.StreamOf(s.bid).Child(id.Random())
	offers.Tell(bidStream, s.placed(500, 105))
	w.Eventually("the hold", func() bool { return funds().GetHeld().GetMinor() == 605 })

	// A delivery may be told before its agreement: it waits. Told twice, it is paid once.
	parcel := id.Random()
	delivery.Tell(s.shelf.Child(parcel), s.released(parcel, 4))
	offers.Tell(offerStream, s.formed(10))
	delivery.Tell(s.shelf.Child(parcel), s.released(parcel, 4))
	earned := func() *settlementv1.GetEarningsResponse {
		e, err := finance.GetEarnings(ctx, &settlementv1.GetEarningsRequest{SubscriberId: s.person.String()})
		if err != nil {
			t.Fatal(err)
		}
		return e
	}
	w.Eventually("the person's 16 cents", func() bool { return earned().GetAvailable().GetMinor() == 16 })
	offers.Tell(bidStream, s.drained())
	w.Eventually("what no agreement needs to be free", func() bool { return funds().GetAvailable().GetMinor() == 1000_00-24-37 })
	delivery.Tell(s.shelf.Child(s.agreement), s.ended())
	w.Eventually("the rest to be free", func() bool {
		return funds().GetAvailable().GetMinor() == 1000_00-24 && funds().GetHeld().GetMinor() == 0
	})

	mine := settlementv1.NewSettlementServiceClient(w.Dial(settlement.Name, s.person.String(), eventv1.Role_ROLE_SUBSCRIBER))
	list, err := mine.ListEarnings(ctx, &settlementv1.ListEarningsRequest{SubscriberId: s.person.String()})
	if err != nil || len(list.GetEarnings()) != 1 || list.GetEarnings()[0].GetNet().GetMinor() != 16 || list.GetEarnings()[0].GetDeliveryId() != parcel.String() {
		t.Fatalf("earnings %v, %v", list, err)
	}
	if _, err := mine.GetEarnings(ctx, &settlementv1.GetEarningsRequest{SubscriberId: id.Random().String()}); status.Code(err) != codes.PermissionDenied {
		t.Fatalf("somebody else's earnings: %v", err)
	}
	// Their record speaks of what they get: of five cents a slot, the four that the commission leaves.
	w.Eventually("the record to tell of the earmark", func() bool {
		record, err := mine.ListRecord(ctx, &settlementv1.ListRecordRequest{SubscriberId: s.person.String()})
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(record.GetEntries(), func(e *recordv1.Entry) bool { return e.GetType() == "funds_earmarked" })
		if i < 0 {
			return false
		}
		if e := record.GetEntries()[i]; e.GetUnitPrice().GetMicros() != 50_000 || e.GetNetPrice().GetMicros() != 40_000 || e.GetNetPrice().GetCurrency() != "EUR" {
			t.Errorf("the record of the earmark is %v", e)
		}
		return true
	})
	if _, err := mine.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{}); status.Code(err) != codes.PermissionDenied {
		t.Fatalf("the trial balance for a subscriber: %v", err)
	}

	trial, err := finance.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{})
	if err != nil || trial.GetTotal().GetMinor() != 0 {
		t.Fatalf("trial balance %v, %v", trial, err)
	}
	equal(t, finance, trial)
	early, err := finance.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{AsOf: paid.GetCursor()})
	if err != nil || len(early.GetSums()) != 2 || early.GetSums()[0].GetBalance().GetMinor() != 1000_00 {
		t.Errorf("as of the deposit: %v, %v", early, err)
	}
	lines, err := finance.ListStatement(ctx, &settlementv1.ListStatementRequest{
		Account: &settlementv1.Account{Kind: settlementv1.AccountKind_ACCOUNT_KIND_BUYER_AVAILABLE, OwnerId: s.buyer.String()}, PageSize: 2,
	})
	if err != nil || len(lines.GetLines()) != 2 || lines.GetNextPageToken() == "" || lines.GetLines()[1].GetBalance().GetMinor() != 1000_00-605 {
		t.Errorf("statement %v, %v", lines, err)
	}
	if filtered := count(t, finance, &settlementv1.ReplayFilter{ProductId: "daily-steps"}); filtered != 2 {
		t.Errorf("%d events of the product, want the earmark and the settlement", filtered)
	}
	for _, e := range events(t, finance, &settlementv1.ReplayFilter{ProductId: "daily-steps"}) {
		m := new(settlementv1.Event)
		if err := proto.Unmarshal(e.GetData(), m); err != nil {
			t.Fatal(err)
		}
		if p := m.GetMeta().GetPolicy(); p.GetPack() != "BE" || p.GetVersion() != "2026-01-01" {
			t.Errorf("%s followed %v", e.GetType(), p)
		}
	}
	if filtered := count(t, finance, &settlementv1.ReplayFilter{BuyerId: id.Random().String()}); filtered != 0 {
		t.Errorf("%d events of nobody", filtered)
	}
	if err := settlement.Fsck(ctx, c); err != nil {
		t.Errorf("fsck: %v", err)
	}
	conn, err := pgx.Connect(ctx, c.Database.OwnerURL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	flip := func() {
		if _, err := conn.Exec(ctx, `update event set data = set_byte(data, 20, get_byte(data, 20) # 1) where position = 2`); err != nil {
			t.Fatal(err)
		}
	}
	flip()
	if err := settlement.Fsck(ctx, c); !errors.Is(err, es.ErrChain) {
		t.Errorf("a byte was flipped in the database, and fsck says %v", err)
	}
	flip() // back
	if _, err := conn.Exec(ctx, `update state set data = set_byte(data, 1, get_byte(data, 1) # 2) where data <> '' and stream like '%/%' and stream <> $1`, "x"); err != nil {
		t.Fatal(err)
	}
	if err := settlement.Fsck(ctx, c); !errors.Is(err, es.ErrState) {
		t.Errorf("states were altered in the database, and fsck says %v", err)
	}
	if err := settlement.Rebuild(ctx, c); err != nil {
		t.Errorf("rebuild: %v", err)
	}
	if again, err := finance.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{}); err != nil || len(again.GetSums()) != len(trial.GetSums()) {
		t.Errorf("after rebuilding: %v, %v", again, err)
	}
}

func TestABidWithoutMoneyIsRefused(t *testing.T) {
	t.Parallel()
	w := worldtest.New(t)
	c := settlement.Config{Config: w.Config(settlement.Name)}
	if err := settlement.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.Start(func(ctx context.Context) error { return settlement.Run(ctx, c) })
	offers := w.Peer("offers")
	finance := settlementv1.NewSettlementServiceClient(w.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE))
	s := story{buyer: id.Random(), bid: id.Random()}
	offers.Tell(es.StreamOf(s.bid), s.placed(500, 105))
	w.Eventually("the refusal", func() bool {
		return count(t, finance, &settlementv1.ReplayFilter{BuyerId: s.buyer.String()}) == 1
	})
}

// equal replays the stream and compares every balance that comes of it with the trial balance.
func equal(t *testing.T, finance settlementv1.SettlementServiceClient, trial *settlementv1.TrialBalanceResponse) *ledger.Ledger {
	t.Helper()
	replayed, at := replay(t, finance)
	sums, total := replayed.Sums()
	if total != 0 || at != trial.GetAsOf().GetPosition() || len(sums) != len(trial.GetSums()) {
		t.Fatalf("replayed to %d with total %d and %d kinds, the trial balance is %v", at, total, len(sums), trial)
	}
	for i, s := range sums { // both by kind
		if got := trial.GetSums()[i]; got.GetKind() != s.Kind || got.GetBalance().GetMinor() != s.Minor || got.GetAccounts() != s.Accounts ||
			!bytes.Equal(got.GetAccountsSha256(), s.Digest[:]) {
			t.Errorf("%v: %+v replayed, %v in the trial balance", s.Kind, s, got)
		}
	}
	return replayed
}

// replay folds the log as finance does.
func replay(t *testing.T, c settlementv1.SettlementServiceClient) (*ledger.Ledger, int64) {
	t.Helper()
	stream, err := c.ReplayEvents(t.Context(), &settlementv1.ReplayEventsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	var l *ledger.Ledger
	var at int64
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return l, at
		}
		if err != nil {
			t.Fatal(err)
		}
		part := es.Partition(m.GetCursor().GetPartition())
		if l == nil {
			lives := make([][]es.Life, worldtest.Partitions)
			lives[part] = node.Lived(m.GetLives())
			l = ledger.New(lives)
		}
		for _, e := range m.GetEvents() {
			if err := l.Apply(node.Record(part, e)); err != nil {
				t.Fatal(err)
			}
			at = e.GetPosition()
		}
	}
}

// count counts the events that a filter picks.
func count(t *testing.T, c settlementv1.SettlementServiceClient, f *settlementv1.ReplayFilter) int {
	t.Helper()
	return len(events(t, c, f))
}

func events(t *testing.T, c settlementv1.SettlementServiceClient, f *settlementv1.ReplayFilter) (list []*eventv1.StoredEvent) {
	t.Helper()
	stream, err := c.ReplayEvents(t.Context(), &settlementv1.ReplayEventsRequest{Filter: f})
	if err != nil {
		t.Fatal(err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return list
		}
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, m.GetEvents()...)
	}
}

func reason(err error) string { return fault.ReasonOf(grpcfault.From(err)) }

// TestASlotTakenAgain: a person undoes an acceptance before the bid has cleared, another takes the slots, and offers tells of it before
// delivery has said that the first agreement ended. The second is earmarked, and paid.
func TestASlotTakenAgain(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := worldtest.New(t)
	c := settlement.Config{Config: w.Config(settlement.Name)}
	if err := settlement.Migrate(ctx, c); err != nil {
		t.Fatal(err)
	}
	w.Start(func(ctx context.Context) error { return settlement.Run(ctx, c) })
	offers, delivery := w.Peer("offers"), w.Peer("delivery")
	finance := settlementv1.NewSettlementServiceClient(w.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE))
	first := story{buyer: id.Random(), bid: id.Random(), agreement: id.Random(), person: id.Random()}
	first.shelf = es.StreamOf(id.Derive([]byte("shelf"), first.person[:]))
	second := first
	second.agreement, second.person = id.Random(), id.Random()
	second.shelf = es.StreamOf(id.Derive([]byte("shelf"), second.person[:]))
	register(w, first.buyer)
	_, err := finance.Deposit(ctx, &settlementv1.DepositRequest{BuyerId: first.buyer.String(), Amount: euro(1000_00), Reference: "B", IdempotencyKey: "1"})
	if err != nil {
		t.Fatal(err)
	}
	offers.Tell(es.StreamOf(first.bid), first.placed(50, 11)) // ten slots of 5 cents
	w.Eventually("the hold", func() bool {
		f, err := finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: first.buyer.String()})
		return err == nil && f.GetHeld().GetMinor() == 61
	})
	offer := es.StreamOf(first.bid).Child(id.Random())
	offers.Tell(offer, first.formed(10))
	offers.Tell(offer, &offersv1.Event{Event: &offersv1.Event_OfferVoided{OfferVoided: &offersv1.OfferVoided{
		OfferId: id.Random().String(), BidId: first.bid.String(), AgreementId: first.agreement.String(), SubscriberId: first.person.String(),
		Reason: "WITHDRAWN", Slots: 10, Consented: true,
	}}})
	offers.Tell(es.StreamOf(first.bid).Child(id.Random()), second.formed(10))
	parcel := id.Random()
	delivery.Tell(second.shelf.Child(parcel), second.released(parcel, 10))
	w.Eventually("the delivery to be paid", func() bool {
		e, err := finance.GetEarnings(ctx, &settlementv1.GetEarningsRequest{SubscriberId: second.person.String()})
		return err == nil && e.GetPending().GetMinor()+e.GetAvailable().GetMinor() == 40
	})
	delivery.Tell(first.shelf.Child(first.agreement), first.ended()) // late, and known already
	delivery.Tell(second.shelf.Child(second.agreement), second.ended())
	w.Eventually("both ends", func() bool {
		trial, err := finance.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{})
		return err == nil && trial.GetTotal().GetMinor() == 0
	})
}
