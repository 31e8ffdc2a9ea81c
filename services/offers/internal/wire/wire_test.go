package wire

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/buyer"
)

var update = flag.Bool("update", false, "write the golden files of shapes that have none; a published one is never rewritten")

const golden = "../../../../proto/golden/offers/v1"

func named(s string) id.ID { return id.Derive([]byte("golden"), []byte(s)) }

var (
	when   = time.Date(2026, 11, 24, 12, 0, 0, 123_000, time.UTC)
	who    = buyer.ID{ID: named("buyer")}
	number = bid.ID{ID: named("bid")}
	person = bid.SubscriberID{ID: named("subscriber")}
	offer  = bid.OfferOf(number, person)
	deal   = bid.AgreementID{ID: named("agreement")}
	card   = [32]byte{1, 2, 3}
)

func key(name string) *offersv1.BuyerKey {
	return &offersv1.BuyerKey{Id: name, Algorithm: "HPKE-X25519-HKDF-SHA256-AES256GCM", PublicKey: []byte{1}, ReceiptKey: []byte{2}, ValidFrom: when.UnixMicro()}
}

func placed() *offersv1.BidPlaced {
	return &offersv1.BidPlaced{
		BidId: number.String(), BuyerId: who.String(), GroupId: who.String(), Quantity: 100, CohortMin: 5,
		Budget: &moneyv1.Money{Minor: 500, Currency: "EUR"}, Tax: &moneyv1.Money{Minor: 105, Currency: "EUR"}, TaxPpm: 210_000, TaxCountry: "BE",
		OpensAt: when.UnixMicro(), ClosesAt: when.Add(time.Hour).UnixMicro(), Pricing: 1, Allocation: 1, Exclusivity: 1, Version: 1, Health: true,
		Terms: &marketv1.Terms{
			Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, Purpose: "https://w3id.org/dpv#AcademicResearch",
			UnitPrice: &moneyv1.UnitPrice{Micros: 50_000, Currency: "EUR"}, MaxSlotsPerPerson: 5, Slots: &marketv1.Days{First: "2016-04-12", Last: "2016-05-12"},
			Cadence: marketv1.Cadence_CADENCE_ONCE, RetentionDays: 365,
			Fields: []*marketv1.FieldTerm{{Id: "steps", Rung: "exact", Required: true}, {Id: "energy", Rung: "hundred", SharePpm: 200_000}},
		},
	}
}

func granted() *marketv1.Licence {
	return &marketv1.Licence{
		AgreementId: deal.String(), OfferId: offer.String(), BidId: number.String(), BuyerId: who.String(), SubscriberId: person.String(), SlotsReserved: 5,
		UnitPrice: &moneyv1.UnitPrice{Micros: 50_000, Currency: "EUR"}, CommissionPpm: 200_000, Country: "BE",
	}
}

func bids(t *testing.T) []bid.Event {
	terms, err := Terms(placed())
	if err != nil {
		t.Fatal(err)
	}
	return []bid.Event{
		bid.Placed{Bid: number, Terms: terms, Body: Body(placed())},
		bid.Opened{Bid: number, Held: 605, Currency: "EUR"},
		bid.Rejected{Bid: number, Reason: "INSUFFICIENT_FUNDS"},
		bid.Cleared{Bid: number, Count: 5},
		bid.Confirmed{Bid: number, Live: 5},
		bid.Withdrawn{Bid: number},
		bid.Closed{Bid: number, Reason: bid.ClosedFilled},
		bid.Drained{Bid: number, Buyer: bid.BuyerID(who), Delivered: 25},
		bid.Presented{Bid: number, Offer: offer, Subscriber: person, Notice: "1", Language: "fr", Card: card},
		bid.Accepted{
			Bid: number, Offer: offer, Subscriber: person, Agreement: deal, Card: card, Slots: 5, Licence: Licence(granted()), ExplicitStep: when, AnswerDue: when.Add(time.Minute),
		},
		bid.Declined{Bid: number, Offer: offer, Subscriber: person},
		bid.Voided{Bid: number, Offer: offer, Subscriber: person, Agreement: deal, Reason: "LIMIT", Slots: 5, Agreed: true},
		bid.Formed{Bid: number, Offer: offer, Subscriber: person, Agreement: deal, Slots: 5, Licence: Licence(granted()), ConsentEvent: named("consent"), Cleared: true},
		bid.Finished{Bid: number, Offer: offer, Agreement: deal, Delivered: 5, Reason: "END_REASON_FULFILLED"},
	}
}

func buyersOf() []buyer.Event {
	return []buyer.Event{
		buyer.Registered{ID: who, Claim: who.ID, Keys: []buyer.Key{Key(key("k1"))}, Entity: Entity(&offersv1.LegalEntity{
			LegalEntityId: "529900T8BM49AURSDO55", LegalName: "A sleep study", Country: "BE", DpoContact: "dpo@study.example", PrivacyNoticeUri: "https://study.example/privacy",
		})},
		buyer.Vetted{ID: who},
		buyer.Vetted{ID: who, Group: named("group")},
		buyer.Suspended{ID: who, Reason: "FRAUD"},
		buyer.Reinstated{ID: who},
		buyer.Rotated{ID: who, Key: Key(key("k2")), Replaces: "k1"},
	}
}

// TestEveryPublishedShapeDecodesForEver holds today's code to the bytes of every shape that was ever published, and to
// writing the same shapes.
func TestEveryPublishedShapeDecodesForEver(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	check := func(m *offersv1.Event) {
		arm := Arm(m)
		seen[arm] = true
		event := named("event")
		m.Meta = &eventv1.Meta{EventId: event[:], RecordedAt: when.UnixMicro(), Actor: &eventv1.Actor{Role: eventv1.Role_ROLE_BUYER, Id: who.String()}}
		name := arm
		if m.GetBuyerVetted().GetGroupId() != "" {
			name += "_group" // the shape that came later
		}
		file := filepath.Join(golden, name+".binpb")
		frozen, err := os.ReadFile(file)
		if os.IsNotExist(err) && *update {
			text, _ := prototext.MarshalOptions{Multiline: true}.Marshal(m)
			for name, b := range map[string][]byte{file: Marshal(m), filepath.Join(golden, name+".txt"): text} {
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
			t.Fatalf("%s has no golden file; go test -update writes it: %v", name, err)
		}
		old := new(offersv1.Event)
		if err := proto.Unmarshal(frozen, old); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(old, m, protocmp.Transform()); diff != "" {
			t.Errorf("%s is not written as it was frozen:\n%s", name, diff)
		}
	}
	for _, e := range bids(t) {
		m := bidProto(e)
		check(m)
		back, err := bidEvent(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", e, diff)
		}
	}
	for _, e := range buyersOf() {
		m := buyerProto(e)
		check(m)
		back, err := buyerEvent(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", e, diff)
		}
	}
	raised := &offersv1.Event{Event: &offersv1.Event_BidPriceRaised{BidPriceRaised: &offersv1.BidPriceRaised{
		BidId: number.String(), UnitPrice: &moneyv1.UnitPrice{Micros: 60_000, Currency: "EUR"}, Version: 2,
	}}}
	check(raised)
	if e, err := bidEvent(raised); e != nil || err != nil {
		t.Errorf("an arm without a rule was read as %T, %v", e, err)
	}
	fields := arms.Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Name()); !seen[name] {
			t.Errorf("the arm %s has no golden file", name)
		}
	}
}

// TestWhatIsStoredIsTheMessage: a placed bid is put together from what was serialised before, and is byte for byte what it would be if
// it had been serialised now.
func TestWhatIsStoredIsTheMessage(t *testing.T) {
	t.Parallel()
	name := named("event")
	h := &es.Header{Meta: &eventv1.Meta{EventId: name[:], RecordedAt: when.UnixMicro(), Actor: &eventv1.Actor{Role: eventv1.Role_ROLE_BUYER, Id: who.String()}}}
	for _, e := range bids(t) {
		typ, data, err := Bids().Encode(e, h, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := bidProto(e)
		m.Meta = h.Meta
		if whole := Marshal(m); typ != Arm(m) || !bytes.Equal(data, whole) {
			t.Errorf("%s is stored as %x, not %x", typ, data, whole)
		}
	}
}

func TestStateRowsComeBack(t *testing.T) {
	t.Parallel()
	terms, err := Terms(placed())
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []bid.State{
		nil,
		bid.Bid{Status: bid.StatusClosed, Reason: bid.ClosedFilled, Terms: terms, Body: Body(placed()), Taken: 5, Consented: 5, Delivered: 2, People: 1, Open: 1, Cleared: true, Confirmed: true},
		bid.Offer{Answer: bid.Agreed, Card: card, Agreement: deal, Person: person, Slots: 5, Licence: Licence(granted())},
	} {
		b, err := encodeState(s)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeState(b)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", s, diff)
		}
	}
	for _, bad := range []string{"x", "b", "b{", "o[]"} {
		if s, err := decodeState([]byte(bad)); err == nil {
			t.Errorf("%q was read as %v", bad, s)
		}
	}
}

// TestAReasonOfANewerProcess is read, and is none of ours.
func TestAReasonOfANewerProcess(t *testing.T) {
	t.Parallel()
	if name := ReasonName(9999); name != "9999" || ReasonProto(name) != 0 {
		t.Errorf("it is called %q", name)
	}
}

// TestEntityNumber: case, spaces and separators make no other entity; a letter or a digit does.
func TestEntityNumber(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"BE0123456789", "be0123456789", " BE 0123.456.789 ", "Be-0123/456_789"} {
		if got := EntityNumber(text); got != "BE0123456789" {
			t.Errorf("%q is compared as %q", text, got)
		}
	}
	if EntityNumber("BE0123456780") == EntityNumber("BE0123456789") || EntityNumber(" -./ ") != "" {
		t.Error("another number is the same, or none is one")
	}
}
