package react_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/react"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

func named(s string) id.ID { return id.Derive([]byte("golden"), []byte(s)) }

// The one bid of the frozen events, and the one offer of it that other contexts' name.
var (
	number = bid.ID{ID: named("bid")}
	offer  = bid.OfferID{ID: named("offer")}
)

type scene struct {
	*worldtest.Memory
	t       *testing.T
	at      time.Time // always
	reactor *react.Reactor
}

// begin is a bid to which these frozen events have happened.
func begin(t *testing.T, was ...string) *scene {
	t.Helper()
	s := &scene{t: t, at: time.Date(2026, 11, 24, 12, 0, 0, 123_000, time.UTC)}
	s.Memory = worldtest.NewMemory(t, "offers", func() time.Time { return s.at })
	own, of := wire.Stream(bid.On{Bid: number}), wire.Stream(bid.On{Bid: number, Offer: offer})
	for _, name := range was {
		m, ok := worldtest.Frozen(t, "offers", name).(*offersv1.Event)
		if !ok {
			t.Fatal("the frozen event is none")
		}
		stream := own
		switch arm := m.GetEvent().(type) {
		case *offersv1.Event_OfferPresented:
			stream, arm.OfferPresented.OfferId = of, offer.String()
		case *offersv1.Event_OfferAccepted:
			stream, arm.OfferAccepted.OfferId = of, offer.String()
		case *offersv1.Event_AgreementFormed:
			stream, arm.AgreementFormed.OfferId = of, offer.String()
		}
		s.Was(stream, m)
	}
	s.reactor = &react.Reactor{
		Bids:   es.Register(s.Engine, wire.Bids()),
		Caught: func(context.Context, es.Cursor) error { return nil },
		Still: func(_ context.Context, n id.ID) (offers, agreements []id.ID, err error) {
			if n == number.ID {
				offers, agreements = []id.ID{offer.ID}, []id.ID{named("agreement")}
			}
			return offers, agreements, nil
		},
		Running: func(_ context.Context, buyer id.ID) (list []id.ID, err error) {
			if buyer == named("buyer") {
				list = []id.ID{number.ID}
			}
			return list, nil
		},
		Cause: func(id.ID, *eventv1.Meta) *eventv1.Meta { return new(eventv1.Meta) },
	}
	s.Run()
	return s
}

// comes handles an event and gives what it came to.
func (s *scene) comes(e *bus.Received) []*offersv1.Event {
	s.t.Helper()
	return s.comesOf(func() error { return s.reactor.Handle(s.t.Context(), e) })
}

// comesOf does something and gives what it came to, as it is stored: nobody's keys are needed for any of it.
func (s *scene) comesOf(do func() error) (list []*offersv1.Event) {
	s.t.Helper()
	before := s.Tail()
	if err := do(); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range s.Since(before) {
		m := new(offersv1.Event)
		if err := proto.Unmarshal(r.Data, m); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// TestEveryFrozenShapeIsRead: whatever settlement, consent, delivery and the market itself have ever published of what the market reacts to,
// it reads, and does what it means; whatever shape its own events of before have.
func TestEveryFrozenShapeIsRead(t *testing.T) {
	t.Parallel()
	placed, open := []string{"bid_placed.2"}, []string{"bid_placed", "bid_opened"}
	accepted := append(slices.Clone(open), "offer_presented.2", "offer_accepted.2")
	before := append(slices.Clone(open), "offer_presented", "offer_accepted.1")
	formed := append(slices.Clone(accepted), "agreement_formed.2")
	formedBefore := append(slices.Clone(before), "agreement_formed.1")
	forms := func(m *offersv1.Event, e *bus.Received) bool {
		a := m.GetAgreementFormed()
		return a.GetAgreementId() == named("agreement").String() && a.GetOfferId() == offer.String() && a.GetBuyerId() == named("buyer").String() &&
			a.GetSubscriberId() == named("subscriber").String() && a.GetSlots() == 5 && string(a.GetConsentEventId()) == string(e.ID[:]) && a.GetLicence() == nil
	}
	voids := func(why string, consented bool) func(*offersv1.Event, *bus.Received) bool {
		return func(m *offersv1.Event, _ *bus.Received) bool {
			v := m.GetOfferVoided()
			return v.GetAgreementId() == named("agreement").String() && v.GetReason() == why && v.GetSlots() == 5 && v.GetConsented() == consented &&
				v.GetSubscriberId() == named("subscriber").String()
		}
	}
	finishes := func(m *offersv1.Event, _ *bus.Received) bool {
		f := m.GetAgreementFinished()
		return f.GetAgreementId() == named("agreement").String() && f.GetSlotsDelivered() == 2 && f.GetReason() == "END_REASON_WITHDRAWN"
	}
	opens := func(m *offersv1.Event, _ *bus.Received) bool {
		return m.GetBidOpened().GetBidId() == number.String() && m.GetBidOpened().GetHeld().GetMinor() == 6050
	}
	type want func(*offersv1.Event, *bus.Received) bool
	cases := map[string]struct {
		from string
		was  [][]string // what had happened, one or the other
		want want       // nil: it comes to nothing
	}{
		"funds_held":   {"settlement", [][]string{placed, {"bid_placed"}}, opens},
		"funds_held.2": {"settlement", [][]string{placed}, opens},
		"hold_refused": {"settlement", [][]string{placed}, func(m *offersv1.Event, _ *bus.Received) bool {
			return m.GetBidRejected().GetBidId() == number.String() && m.GetBidRejected().GetReason() == offersv1.Reason_REASON_INSUFFICIENT_FUNDS
		}},
		"consent_given":     {"consent", [][]string{accepted, before}, forms},
		"consent_given.2":   {"consent", [][]string{accepted, before}, forms},
		"consent_refused":   {"consent", [][]string{accepted, before}, voids("REFUSED", false)},
		"consent_refused.2": {"consent", [][]string{accepted}, voids("REFUSED", false)},
		"consent_expired":   {"consent", [][]string{formed, formedBefore}, voids("EXPIRED", true)},
		"consent_withdrawn": {"consent", [][]string{formed, formedBefore}, voids("WITHDRAWN", true)},
		// Nothing ends with it yet: consent will refuse the acceptance when it comes there.
		"consent_withdrawn_awaited": {"consent", [][]string{accepted}, nil},
		"agreement_ended":           {"delivery", [][]string{formed, formedBefore}, finishes},
		// A bid that was filled voids nothing.
		"bid_closed": {"offers", [][]string{formed}, nil},
		"buyer_suspended": {"offers", [][]string{open}, func(m *offersv1.Event, _ *bus.Received) bool {
			return m.GetBidClosed().GetBidId() == number.String() && m.GetBidClosed().GetReason() == offersv1.CloseReason_CLOSE_REASON_SUSPENDED ||
				m.GetBidDrained().GetBidId() == number.String()
		}},
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
			c := cases[name]
			for _, was := range c.was {
				got := begin(t, was...).comes(e)
				if c.want == nil && len(got) > 0 || c.want != nil && (len(got) == 0 || slices.ContainsFunc(got, func(m *offersv1.Event) bool { return !c.want(m, e) })) {
					t.Errorf("after %v it came to %v", was, got)
				}
			}
		})
	}
}
