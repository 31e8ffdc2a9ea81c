package react_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent/internal/react"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
	"github.com/obole-market/obole/services/consent/internal/wire"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// at is when the frozen events happened.
var at = time.Date(2026, 11, 24, 12, 0, 0, 123_000, time.UTC)

func named(s string) id.ID { return id.Derive([]byte("golden"), []byte(s)) }

// market answers as offers does of the one acceptance that there is.
type market struct {
	offersv1.OffersServiceClient
	accepted *offersv1.OfferAccepted
	after    *eventv1.Cursor // that it was asked with last
}

func (m *market) GetLicence(_ context.Context, r *offersv1.GetLicenceRequest, _ ...grpc.CallOption) (*offersv1.GetLicenceResponse, error) {
	m.after = r.GetAfter()
	if m.accepted == nil {
		return nil, fault.Unavailable("offers does not answer")
	}
	if r.GetAgreementId() != m.accepted.GetLicence().GetAgreementId() {
		return nil, fault.NotFound("AGREEMENT_UNKNOWN", "there is no such agreement")
	}
	return &offersv1.GetLicenceResponse{Licence: m.accepted.GetLicence(), ExplicitStepAt: m.accepted.GetExplicitStepAt()}, nil
}

type scene struct {
	*worldtest.Memory
	t       *testing.T
	reactor *react.Reactor
	ring    *vault.Ring
	market  *market
}

// begin is a person of whom nothing is known but that they are enrolled.
func begin(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, Memory: worldtest.NewMemory(t, "consent", func() time.Time { return at.Add(5 * time.Second) })}
	keks, err := vault.NewKEKs(make([]byte, 32))
	s.must(err)
	keys := vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks})
	who := named("subscriber")
	s.ring, err = keys.Ring(t.Context(), who)
	s.must(err)
	packs, err := policy.Open("")
	s.must(err)
	accepted, ok := worldtest.Frozen(t, "offers", "offer_accepted.1").(*offersv1.Event)
	if !ok {
		t.Fatal("the frozen acceptance is none")
	}
	s.market = &market{accepted: accepted.GetOfferAccepted()}
	s.reactor = &react.Reactor{
		People: es.Register(s.Engine, wire.People()), Parties: es.Register(s.Engine, wire.Parties()), Keys: keys, Policy: packs, Market: s.market,
		Now: func() time.Time { return at }, Cause: func(id.ID, *eventv1.Meta) *eventv1.Meta { return new(eventv1.Meta) },
	}
	s.Run()
	_, err = s.reactor.People.Do(t.Context(), es.Command[subscriber.Command]{Keys: s.ring, Body: subscriber.Enrol{
		Subscriber: subscriber.ID{ID: who},
		Identity:   subscriber.Identity{Country: "BE", Language: "fr", Birth: at.AddDate(-30, 0, 0), LineUser: "L-1"},
	}})
	s.must(err)
	return s
}

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// comes handles an event and gives what it came to.
func (s *scene) comes(e *bus.Received) (list []*consentv1.Event) {
	s.t.Helper()
	before := s.Tail()
	s.must(s.reactor.Handle(s.t.Context(), e))
	for _, r := range s.Since(before) {
		m, err := wire.Message(&r, s.ring)
		s.must(err)
		list = append(list, m)
	}
	return list
}

// TestEveryFrozenShapeIsRead: whatever offers and delivery have ever published of what consent reacts to, it reads, and does what it means.
func TestEveryFrozenShapeIsRead(t *testing.T) {
	t.Parallel()
	given := func(s *scene) *scene {
		e := worldtest.Published(s.t, "offers", map[string]bus.Way{"offer_accepted": bus.Abreast})["offer_accepted.2"]
		e.At = at
		s.comes(e)
		return s
	}
	barred := func(s *scene) *scene {
		for _, e := range worldtest.Published(s.t, "offers", map[string]bus.Way{"buyer_suspended": bus.Overtaking}) {
			s.comes(e)
		}
		return s
	}
	fresh := func(s *scene) *scene { return s }
	isGiven := func(m *consentv1.Event) bool {
		g := m.GetConsentGiven()
		l := g.GetRecord().GetLicence()
		return g.GetAgreementId() == named("agreement").String() && g.GetSubscriberId() == named("subscriber").String() &&
			l.GetPurpose() == "https://w3id.org/dpv#AcademicResearch" && l.GetPredicates()[0].GetFact() == "steps_per_day" &&
			g.GetRecord().GetExplicitStepAt() == at.UnixMicro() && g.GetRecord().GetLineUser() == "L-1" &&
			m.GetMeta().GetPersonalPolicy().GetPack() == "BE" && m.GetMeta().GetPersonalPolicy().GetVersion() != ""
	}
	cases := map[string]struct {
		from string
		was  func(*scene) *scene
		want func(*consentv1.Event) bool // nil: it comes to nothing
	}{
		"offer_accepted.1": {"offers", fresh, isGiven},
		"offer_accepted.2": {"offers", fresh, isGiven},
		// The licence of this file has no end, so that it is over before it begins.
		"offer_accepted": {"offers", fresh, func(m *consentv1.Event) bool {
			r := m.GetConsentRefused()
			return r.GetRefusal() == consentv1.Reason_REASON_EXPIRED && r.GetReason() == 0 && r.GetAgreementId() == named("agreement").String() && m.GetMeta().GetPersonalPolicy() != nil
		}},
		"offer_voided": {"offers", given, func(m *consentv1.Event) bool {
			x := m.GetConsentExpired()
			return x.GetReason() == consentv1.ExpiryReason_EXPIRY_REASON_VOIDED && x.GetScope().GetAgreementId() == named("agreement").String()
		}},
		"buyer_suspended": {"offers", fresh, func(m *consentv1.Event) bool {
			b := m.GetBuyerBarred()
			return b.GetBuyerId() == named("buyer").String() && b.GetReason() == "FRAUD" && b.GetBuyerVersion() == 1
		}},
		"buyer_reinstated": {"offers", barred, func(m *consentv1.Event) bool {
			b := m.GetBuyerUnbarred()
			return b.GetBuyerId() == named("buyer").String() && b.GetBuyerVersion() == 2
		}},
		// Of this end consent itself has told: the person withdrew.
		"agreement_ended": {"delivery", given, nil},
	}
	for _, from := range react.Sources {
		var known []string
		for name, c := range cases {
			if c.from == from {
				known = append(known, name)
			}
		}
		slices.Sort(known)
		worldtest.Reads(t, from, react.Types, known, func(t *testing.T, name string, e *bus.Received) {
			s := cases[name].was(begin(t))
			e.At = at
			if name == "buyer_reinstated" {
				e.Version = 2
			}
			got := s.comes(e)
			switch want := cases[name].want; {
			case want == nil && len(got) > 0, want != nil && (len(got) != 1 || !want(got[0])):
				t.Errorf("it came to %v", got)
			}
			if after := s.market.after; name == "offer_accepted.2" && (after.GetService() != "offers" || after.GetPosition() != int64(e.Position)) {
				t.Errorf("offers was asked at %v", after)
			}
		})
	}
}

// TestAnAcceptanceWaitsForOffers: while offers does not answer, an acceptance is neither given nor refused.
func TestAnAcceptanceWaitsForOffers(t *testing.T) {
	t.Parallel()
	s := begin(t)
	accepted := proto.CloneOf(s.market.accepted)
	s.market.accepted = nil
	e := worldtest.Published(t, "offers", map[string]bus.Way{"offer_accepted": bus.Abreast})["offer_accepted.2"]
	e.At = at
	before := s.Tail()
	if err := s.reactor.Handle(t.Context(), e); !errors.Is(err, fault.KindUnavailable) || s.Tail() != before {
		t.Fatalf("without the licence: %v, and %d events", err, s.Tail()-before)
	}
	s.market.accepted = accepted
	if got := s.comes(e); len(got) != 1 || got[0].GetConsentGiven() == nil {
		t.Errorf("afterwards it came to %v", got)
	}
}
