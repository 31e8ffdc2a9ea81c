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
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	"github.com/obole-market/obole/services/consent/internal/party"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

var update = flag.Bool("update", false, "write the golden files of shapes that have none; a published one is never rewritten")

const golden = "../../../../proto/golden/consent/v1"

func named(s string) id.ID { return id.Derive([]byte("golden"), []byte(s)) }

var (
	at    = time.Date(2026, 11, 24, 12, 0, 0, 123_000, time.UTC)
	who   = subscriber.ID{ID: named("subscriber")}
	scope = subscriber.Scope{
		Agreement: subscriber.AgreementID{ID: named("agreement")}, Offer: subscriber.OfferID{ID: named("offer")}, Bid: subscriber.BidID{ID: named("bid")},
	}
	buyer = named("buyer")
)

func record() *consentv1.Record {
	return &consentv1.Record{
		Licence: &marketv1.Licence{
			AgreementId: scope.Agreement.String(), OfferId: scope.Offer.String(), BidId: scope.Bid.String(), BuyerId: buyer.String(),
			SubscriberId: who.String(), Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"},
			Purpose: "https://w3id.org/dpv#AcademicResearch", UnitPrice: &moneyv1.UnitPrice{Micros: 50_000, Currency: "EUR"},
			Fields: []*marketv1.GrantedField{{Id: "steps", Rung: "exact"}}, Country: "BE", Health: true, ExpiresAt: at.UnixMicro(),
		},
		Controllers: []*consentv1.Controller{{Id: buyer.String(), Role: "controller"}}, LegalBases: []string{"GDPR-6-1-a", "GDPR-9-2-a"},
		Rights: []string{"https://w3id.org/dpv/legal/eu/gdpr#A7-3"}, ExplicitStepAt: at.UnixMicro(),
	}
}

// people is one of each event about a person that the rules know.
func people(t *testing.T) []subscriber.Event {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(record())
	if err != nil {
		t.Fatal(err)
	}
	return []subscriber.Event{
		subscriber.Enrolled{Subscriber: who, Identity: subscriber.Identity{
			Country: "BE", Language: "fr", Birth: time.Date(1990, 2, 3, 0, 0, 0, 0, time.UTC), Level: subscriber.LevelContract, LineUser: "L-1",
		}},
		subscriber.AgeAssured{Subscriber: who, Method: "CONTRACT", Level: subscriber.LevelContract, AtLeast: 18},
		subscriber.RulesSet{Subscriber: who, Rules: subscriber.Rules{
			Floors:   map[string]subscriber.Price{"daily-steps": {Micros: 40_000, Currency: "EUR"}},
			Matching: true, PurposesNever: []string{"https://w3id.org/dpv#Marketing"}, BuyersNever: []subscriber.BuyerID{{ID: buyer}},
			ProductsNever: []string{"body-weight"}, MaxAgreements: 3,
		}},
		subscriber.Given{Licence: subscriber.Licence{
			Agreement: scope.Agreement, Offer: scope.Offer, Bid: scope.Bid, Buyer: subscriber.BuyerID{ID: buyer}, Subscriber: who, Product: "daily-steps",
			Purpose: "https://w3id.org/dpv#AcademicResearch", Country: "BE", Health: true, ExpiresAt: at,
		}, Record: raw},
		subscriber.Given{Licence: subscriber.Licence{
			Agreement: scope.Agreement, Offer: scope.Offer, Bid: scope.Bid, Buyer: subscriber.BuyerID{ID: buyer}, Subscriber: who, Product: "daily-steps",
			Purpose: "https://w3id.org/dpv#AcademicResearch", Country: "BE", Health: true, ExpiresAt: at,
		}, Record: raw, LineUser: "L-1"},
		subscriber.Refused{Scope: scope, Subscriber: who, Reason: "BELOW_FLOOR"},
		subscriber.Withdrawn{Subscriber: who, Scope: []subscriber.Scope{scope}, All: true, Initiator: subscriber.InitiatorPerson},
		subscriber.Withdrawn{Subscriber: who, Scope: []subscriber.Scope{}, Initiator: subscriber.InitiatorPerson, Awaited: scope.Agreement},
		subscriber.Paused{Subscriber: who, Scope: []subscriber.Scope{scope}, Initiator: subscriber.InitiatorPerson},
		subscriber.Paused{Subscriber: who, Scope: []subscriber.Scope{}, Initiator: subscriber.InitiatorPerson, Awaited: scope.Agreement},
		subscriber.Resumed{Subscriber: who, Scope: []subscriber.Scope{scope}},
		subscriber.Resumed{Subscriber: who, Scope: []subscriber.Scope{}, Awaited: scope.Agreement},
		subscriber.Expired{Subscriber: who, Scope: scope, Reason: subscriber.ExpiryTime},
		subscriber.Released{
			Subscriber: who, Agreement: scope.Agreement, Delivery: subscriber.DeliveryID{ID: named("delivery")},
			Attempt: subscriber.AttemptID{ID: named("attempt")}, ConsentPosition: 7,
		},
		subscriber.ErasureRequested{Subscriber: who, Retention: []int32{1}},
	}
}

func meta() *eventv1.Meta {
	event, story := named("event"), named("story")
	return &eventv1.Meta{
		EventId: event[:], CorrelationId: story[:], RecordedAt: at.UnixMicro(), Actor: &eventv1.Actor{Role: eventv1.Role_ROLE_SUBSCRIBER, Id: who.String()},
	}
}

// later names what a shape has that its arm did not have from the first version.
func later(m *consentv1.Event) string {
	switch {
	case m.GetBuyerBarred().GetBuyerVersion() > 0, m.GetBuyerUnbarred().GetBuyerVersion() > 0:
		return "_version"
	case m.GetBuyerBarred().GetAtGate(), m.GetBuyerUnbarred().GetAtGate():
		return "_at_gate"
	case m.GetConsentWithdrawn().GetAwaitedAgreementId() != "", m.GetConsentPaused().GetAwaitedAgreementId() != "", m.GetConsentResumed().GetAwaitedAgreementId() != "":
		return "_awaited"
	case m.GetConsentGiven().GetRecord().GetLineUser() != "", m.GetReleaseCommitted().GetConsentVersion() > 0,
		m.GetMeta().GetPersonalPolicy() != nil:
		return ".2"
	}
	return ""
}

// TestEveryPublishedShapeDecodesForEver holds today's code to the bytes of every shape that was ever published, and to
// writing the same shapes. Golden files hold personal fields in clear: what is sealed is random, and nobody is named.
func TestEveryPublishedShapeDecodesForEver(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	check := func(m *consentv1.Event, policy *eventv1.PolicyRef) {
		arm := Arm(m)
		seen[arm] = true
		m.Meta = meta()
		m.Meta.Policy = policy
		m.Meta = vault.Meta(m.Meta)
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		name := arm + later(m)
		file := filepath.Join(golden, name+".binpb")
		frozen, err := os.ReadFile(file)
		if os.IsNotExist(err) && *update {
			text, _ := prototext.MarshalOptions{Multiline: true}.Marshal(m)
			for name, b := range map[string][]byte{file: want, filepath.Join(golden, name+".txt"): text} {
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
		old := new(consentv1.Event)
		if err := proto.Unmarshal(frozen, old); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if diff := cmp.Diff(old, m, protocmp.Transform()); diff != "" {
			t.Errorf("%s is not written as it was frozen:\n%s", name, diff)
		}
	}
	for _, e := range people(t) {
		m := person(e)
		policy := &eventv1.PolicyRef{Pack: "BE", Version: "2026-01-01"}
		switch e := e.(type) {
		case subscriber.Given:
			if e.LineUser == "" {
				policy = nil
			}
			check(m, policy)
		case subscriber.AgeAssured:
			check(m, nil)
			check(m, policy)
		case subscriber.Refused:
			check(m, policy)
			before, err := os.ReadFile(filepath.Join(golden, "consent_refused.binpb"))
			if err != nil {
				t.Fatal(err)
			}
			old := new(consentv1.Event)
			if err := proto.Unmarshal(before, old); err != nil {
				t.Fatal(err)
			}
			if back, err := personal(old); err != nil || back != e || old.GetConsentRefused().GetReason() == 0 {
				t.Errorf("a refusal of before reads as %v, %v", back, err)
			}
		case subscriber.Released:
			check(m, nil)
			stamped := person(e)
			stamp(stamped, &es.Header{Version: 4})
			check(stamped, nil)
		default:
			check(m, nil)
		}
		back, err := personal(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", e, diff)
		}
	}
	for _, e := range []party.Event{
		party.Barred{Buyer: party.ID{ID: buyer}, Reason: "FRAUD"},
		party.Unbarred{Buyer: party.ID{ID: buyer}},
		party.Barred{Buyer: party.ID{ID: buyer}, Reason: "FRAUD", Word: 3},
		party.Unbarred{Buyer: party.ID{ID: buyer}, Word: 4},
		party.Barred{Buyer: party.ID{ID: buyer}, Reason: "FRAUD", AtGate: true},
		party.Unbarred{Buyer: party.ID{ID: buyer}, AtGate: true},
	} {
		m := bars(e)
		check(m, nil)
		back, err := barring(m)
		if err != nil || back != e {
			t.Errorf("%T came back as %v, %v", e, back, err)
		}
	}
	arms := arms.Fields()
	for i := range arms.Len() {
		if name := string(arms.Get(i).Name()); !seen[name] {
			t.Errorf("the arm %s has no golden file", name)
		}
	}
}

// TestSealedFieldsComeBackUntilForgotten: what is stored shows nothing personal, opens with the person's keys only, and not any
// more once they are forgotten.
func TestSealedFieldsComeBackUntilForgotten(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	keks, err := vault.NewKEKs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	keys := vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks})
	ring, err := keys.Ring(ctx, who.ID)
	if err != nil {
		t.Fatal(err)
	}
	stranger, err := keys.Ring(ctx, named("stranger"))
	if err != nil {
		t.Fatal(err)
	}
	rules := People()
	var stored []*es.Record
	for i, e := range people(t) {
		h := &es.Header{ID: named("event"), Stream: es.StreamOf(who.ID), Version: es.Version(i + 1), At: at, Meta: meta()}
		h.Meta.Policy = &eventv1.PolicyRef{Pack: "BE-CANARY", Version: "2026-01-01"}
		typ, data, err := rules.Encode(e, h, ring)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(data, []byte("CANARY")) || h.Meta.GetPolicy() == nil {
			t.Errorf("%s shows the policy, and with it the person's country, or took it away from the event that follows", typ)
		}
		r := &es.Record{ID: h.ID, Stream: h.Stream, Version: h.Version, Type: typ, Data: data}
		stored = append(stored, r)
		back, err := rules.Decode(r, ring)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		m, err := Message(r, ring)
		if err != nil || m.GetMeta().GetPersonalPolicy().GetPack() != "BE-CANARY" {
			t.Errorf("%s followed %v, %v", typ, m.GetMeta().GetPersonalPolicy(), err)
		}
		if v := m.GetReleaseCommitted().GetConsentVersion(); typ == "release_committed" && v != int64(i) {
			t.Errorf("a release of version %d was decided on version %d", i+1, v)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%s does not come back:\n%s", typ, diff)
		}
		moved := *r
		moved.Version++
		sealed := new(consentv1.Event)
		if err := proto.Unmarshal(data, sealed); err != nil {
			t.Fatal(err)
		}
		if len(sealed.GetSealed()) == 0 {
			continue
		}
		if _, err := rules.Decode(&moved, ring); err == nil {
			t.Errorf("%s opens at another version", typ)
		}
		if _, err := rules.Decode(r, stranger); err == nil {
			t.Errorf("%s opens with a stranger's keys", typ)
		}
	}
	if err := keys.Forget(ctx, who.ID, eventv1.Retention_RETENTION_IDENTITY, eventv1.Retention_RETENTION_CONTENT, eventv1.Retention_RETENTION_CONSENT_PROOF); err != nil {
		t.Fatal(err)
	}
	forgotten, err := keys.Ring(ctx, who.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range stored {
		e, err := rules.Decode(r, forgotten)
		if err != nil {
			t.Errorf("%s cannot be read any more: %v", r.Type, err)
		}
		if enrolled, ok := e.(subscriber.Enrolled); ok && enrolled.Identity != (subscriber.Identity{}) {
			t.Errorf("who the person was is still known: %+v", enrolled.Identity)
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
