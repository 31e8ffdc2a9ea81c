package wire_test

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

var update = flag.Bool("update", false, "write the golden files of shapes that have none; a published one is never rewritten")

const golden = "../../../../proto/golden/settlement/v1"

func named(s string) id.ID { return id.Derive([]byte("golden"), []byte(s)) }

var (
	at     = time.Date(2026, 11, 24, 12, 0, 0, 123_000, time.UTC)
	ledger = book.ID{ID: named("book")}
	buyer  = book.BuyerID{ID: named("buyer")}
	bid    = book.BidID{ID: named("bid")}
	deal   = book.AgreementID{ID: named("agreement")}
	person = book.SubscriberID{ID: named("subscriber")}
	payout = book.PayoutID{ID: named("payout")}
	euro   = wire.Codec{Currency: "EUR"}
)

// events is one of each that the book's rules know.
var events = []book.Event{
	book.Deposited{Book: ledger, Buyer: buyer, Amount: 10_000, Reference: "R-1", ValueDate: "2026-11-24", Postings: []book.Posting{
		{Account: book.Clearing, Minor: -10_000}, {Account: book.BuyerAvailable, Owner: buyer.ID, Minor: 10_000},
	}},
	book.Held{Book: ledger, Buyer: buyer, Bid: bid, Amount: 6_050, Slots: 1000, TaxPPM: 210_000, TaxCountry: "BE", Postings: []book.Posting{
		{Account: book.BuyerAvailable, Owner: buyer.ID, Minor: -6_050}, {Account: book.BuyerHeld, Owner: buyer.ID, Minor: 6_050},
	}},
	book.HoldRefused{Book: ledger, Buyer: buyer, Bid: bid, Reason: "INSUFFICIENT_FUNDS"},
	book.HoldReleased{Book: ledger, Buyer: buyer, Bid: bid, Amount: 50, Final: true, Postings: []book.Posting{
		{Account: book.BuyerHeld, Owner: buyer.ID, Minor: -50}, {Account: book.BuyerAvailable, Owner: buyer.ID, Minor: 50},
	}},
	book.Earmarked{Terms: book.Terms{
		Book: ledger, Agreement: deal, Bid: bid, Buyer: buyer, Subscriber: person, Product: "daily-steps", Price: 45_000, Slots: 31,
		CommissionPPM: 200_000, WithholdingPPM: 300_000, AvailableAfter: 10, Country: "BE", PolicyPack: "BE", PolicyVersion: "2026-01-01",
	}},
	book.EarmarkEnded{Book: ledger, Buyer: buyer, Bid: bid, Agreement: deal, Settled: 10, Left: 21, Price: 45_000, Released: 3, Postings: []book.Posting{
		{Account: book.BuyerHeld, Owner: buyer.ID, Minor: -3}, {Account: book.BuyerAvailable, Owner: buyer.ID, Minor: 3},
	}},
	book.Settled{
		Book: ledger, Delivery: book.DeliveryID{ID: named("delivery")}, Agreement: deal, Bid: bid, Buyer: buyer, Subscriber: person,
		Product: "daily-steps", Slots: 3, Price: 45_000, SplitRule: "1", ReleaseEvent: named("release"), AvailableAt: at.AddDate(0, 0, 10),
		ValueDate: "2026-11-24", Postings: []book.Posting{
			{Account: book.BuyerHeld, Owner: buyer.ID, Minor: -15},
			{Account: book.SubscriberPending, Owner: person.ID, Minor: 7, Residual: 5600},
			{Account: book.Commission, Minor: 3, Residual: -3000},
			{Account: book.Withholding, Minor: 3, Residual: 2400, Tax: book.Tax{Kind: book.Withheld, RatePPM: 300_000, Country: "BE", Base: 108_000}},
			{Account: book.VATOutput, Minor: 2, Tax: book.Tax{Kind: book.VAT, RatePPM: 210_000, Country: "BE", Base: 135_000}},
		},
	},
	book.Matured{Book: ledger, Subscriber: person, Amount: 7, UpTo: at, Postings: []book.Posting{
		{Account: book.SubscriberPending, Owner: person.ID, Minor: -7, Residual: 5600},
		{Account: book.SubscriberPayable, Owner: person.ID, Minor: 7, Residual: 5600},
	}},
	book.PayoutRequested{Book: ledger, Payout: payout, Subscriber: person, Amount: 7, Method: book.BillCredit, Postings: []book.Posting{
		{Account: book.SubscriberPayable, Owner: person.ID, Minor: -7, Residual: 5600}, {Account: book.SubscriberPayout, Owner: person.ID, Minor: 7},
	}},
	book.PayoutInstructed{Book: ledger, Payout: payout, EndToEnd: "E2E-1"},
	book.PayoutSettled{Book: ledger, Payout: payout, ValueDate: "2026-11-25", Reference: "BILL-7", Postings: []book.Posting{
		{Account: book.SubscriberPayout, Owner: person.ID, Minor: -7}, {Account: book.BillCredited, Owner: person.ID, Minor: 7},
	}},
	book.PayoutReturned{Book: ledger, Payout: payout, Reason: "AC04", Postings: []book.Posting{
		{Account: book.SubscriberPayout, Owner: person.ID, Minor: -7}, {Account: book.SubscriberPayable, Owner: person.ID, Minor: 7, Residual: 5600},
	}},
}

// early are arms as they were frozen before a rule emitted them; none emits the last yet.
func early() []*settlementv1.Event {
	amount := &moneyv1.Money{Minor: 700, Currency: "EUR"}
	move := []*settlementv1.Posting{
		{Account: settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PAYABLE, OwnerId: person.String(), Minor: -700},
		{Account: settlementv1.AccountKind_ACCOUNT_KIND_CLEARING, Minor: 700},
	}
	payout := named("payout").String()
	return []*settlementv1.Event{
		{Event: &settlementv1.Event_PayoutRequested{PayoutRequested: &settlementv1.PayoutRequested{
			BookId: ledger.String(), PayoutId: payout, SubscriberId: person.String(), Amount: amount,
			Method: settlementv1.PayoutMethod_PAYOUT_METHOD_BILL_CREDIT, Postings: move,
		}}},
		{Event: &settlementv1.Event_PayoutSettled{PayoutSettled: &settlementv1.PayoutSettled{BookId: ledger.String(), PayoutId: payout, ValueDate: "2026-11-25", Postings: move}}},
		{Event: &settlementv1.Event_PayoutReturned{PayoutReturned: &settlementv1.PayoutReturned{BookId: ledger.String(), PayoutId: payout, Reason: "AC04", Postings: move}}},
		{Event: &settlementv1.Event_PeriodClosed{PeriodClosed: &settlementv1.PeriodClosed{BookId: ledger.String(), LastDay: "2026-11-30"}}},
	}
}

func meta() *eventv1.Meta {
	event, cause, story := named("event"), named("cause"), named("story")
	return &eventv1.Meta{
		EventId: event[:], CausationId: cause[:], CorrelationId: story[:], RecordedAt: at.UnixMicro(),
		Actor: &eventv1.Actor{Role: eventv1.Role_ROLE_SERVICE, Id: "settlement"},
	}
}

// TestEveryPublishedShapeDecodesForEver holds today's code to the bytes of every shape that was ever published, and to
// writing the same shapes.
func TestEveryPublishedShapeDecodesForEver(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	check := func(m *settlementv1.Event, policy *eventv1.PolicyRef, second bool) {
		arm := wire.Arm(m)
		seen[arm] = true
		m.Meta = meta()
		if m.Meta.Policy = policy; second {
			arm += ".2"
		}
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(golden, arm+".binpb")
		frozen, err := os.ReadFile(file)
		if os.IsNotExist(err) && *update {
			text, _ := prototext.MarshalOptions{Multiline: true}.Marshal(m)
			for name, b := range map[string][]byte{file: want, filepath.Join(golden, arm+".txt"): text} {
				if err := os.MkdirAll(golden, 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(name, b, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			return
		}
		if err != nil {
			t.Fatalf("%s has no golden file; go test -update writes it: %v", arm, err)
		}
		old := new(settlementv1.Event)
		if err := proto.Unmarshal(frozen, old); err != nil {
			t.Fatalf("%s: %v", arm, err)
		}
		if len(old.ProtoReflect().GetUnknown()) > 0 {
			t.Errorf("%s: the frozen shape holds fields that the contract no longer knows", arm)
		}
		if diff := cmp.Diff(old, m, protocmp.Transform()); diff != "" {
			t.Errorf("%s is not written as it was frozen:\n%s", arm, diff)
		}
	}
	for _, e := range events {
		m := euro.Proto(e)
		switch e.(type) {
		case book.Held, book.Earmarked, book.EarmarkEnded, book.Settled: // since decisions name the policy that they followed
			check(euro.Proto(e), &eventv1.PolicyRef{Pack: "BE", Version: "2026-01-01"}, true)
			check(m, nil, false)
		case book.PayoutRequested, book.PayoutSettled, book.PayoutReturned: // since what is asked for is set aside
			check(m, nil, true)
		default:
			check(m, nil, false)
		}
		back, err := euro.Domain(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", e, diff)
		}
	}
	for _, m := range early() {
		check(m, nil, false)
		if e, err := euro.Domain(m); (e == nil) != (wire.Arm(m) == "period_closed") || err != nil {
			t.Errorf("%s was read as %T, %v", wire.Arm(m), e, err)
		}
	}
	arms := (*settlementv1.Event)(nil).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	for i := range arms.Len() {
		if name := string(arms.Get(i).Name()); !seen[name] {
			t.Errorf("the arm %s has no golden file", name)
		}
	}
}

func TestStateRowsComeBack(t *testing.T) {
	t.Parallel()
	for _, s := range []book.State{
		nil,
		book.Buyer{Available: 12},
		book.Payment{Buyer: buyer, Amount: 5, ValueDate: "2026-11-24"},
		book.HeldFor{Buyer: buyer, Initial: 5, Remaining: 4, Gross: 10_000, TaxPPM: 210_000, TaxCountry: "BE", Earmarked: 7, Drained: true},
		book.Mark{Terms: events[4].(book.Earmarked).Terms, Left: 3, Settled: 28, Ended: true},
		book.Earner{Pending: 5, Payable: -1, Residual: -9_999, Due: []book.Bucket{{At: at, Minor: 5}}},
		book.Payout{
			Subscriber: person, Stage: book.Returned, Amount: 700, Asked: 3, Credited: 4, EndToEnd: "E2E-1", ValueDate: "2026-11-25", Reference: "B-7", Reason: "AC04",
		},
		book.Told{Payout: book.PayoutID(person)},
		book.Operator{Commission: 1, VAT: 2, Withholding: 3, Rounding: -4, Clearing: -5, CommissionResidual: 6, WithholdingResidual: -7},
	} {
		b, err := wire.EncodeState(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := wire.DecodeState(b)
		if err != nil {
			t.Fatalf("%T: %v", s, err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", s, diff)
		}
	}
}

func TestAnyRowIsReadOrRefused(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := rapid.SliceOfN(rapid.Byte(), 1, 300).Draw(t, "row")
		b[0] = rapid.SampledFrom([]byte("bphmeoq?")).Draw(t, "kind")
		s, err := wire.DecodeState(b)
		if (s == nil) == (err == nil) {
			t.Fatalf("%v and %v", s, err)
		}
	})
}

// TestAReasonOfANewerProcess is read, and is none of ours.
func TestAReasonOfANewerProcess(t *testing.T) {
	t.Parallel()
	if name := wire.ReasonName(9999); name != "9999" || wire.ReasonProto(name) != 0 {
		t.Errorf("it is called %q", name)
	}
}
