package react_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/react"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/wire"
	"github.com/obole-market/obole/services/internal/worldtest"
)

func named(s string) id.ID { return id.Derive([]byte("golden"), []byte(s)) }

// market answers as offers does of the one agreement that there is.
type market struct {
	offersv1.OffersServiceClient
	licence *marketv1.Licence
}

func (m market) GetLicence(context.Context, *offersv1.GetLicenceRequest, ...grpc.CallOption) (*offersv1.GetLicenceResponse, error) {
	return &offersv1.GetLicenceResponse{Licence: m.licence}, nil
}

// stage is a scene of the frozen events' person, whose consent is paused.
type stage struct {
	*scene
	consent  *paused
	licence  *marketv1.Licence
	delivery shelf.DeliveryID
}

func raise(t *testing.T) *stage {
	t.Helper()
	s := &stage{scene: beginWith(t, named("subscriber")), consent: new(paused), delivery: shelf.DeliveryID{ID: named("delivery")}}
	formed, ok := worldtest.Frozen(t, "offers", "agreement_formed.1").(*offersv1.Event)
	if !ok {
		t.Fatal("the frozen agreement is none")
	}
	s.licence = formed.GetAgreementFormed().GetLicence()
	one := packing.Agreement{ID: shelf.AgreementID{ID: named("agreement")}, Subscriber: s.who}
	r := s.clock.Reactor
	r.Market, r.Buyers = market{licence: s.licence}, packing.NewBuyers(nil, time.Now)
	r.Packer = &packing.Packer{Shelves: r.Shelves, Keys: r.Keys, Consent: s.consent}
	r.Caught = func(context.Context) error { return nil }
	r.OfBid = func(_ context.Context, bid id.ID) ([]packing.Agreement, error) {
		if bid != named("bid") {
			return nil, nil
		}
		return []packing.Agreement{one}, nil
	}
	r.Unreleased = func(_ context.Context, buyer id.ID) ([]react.Parcel, error) {
		if buyer != named("buyer") {
			return nil, nil
		}
		return []react.Parcel{{Agreement: one, Delivery: s.delivery}}, nil
	}
	return s
}

// taken has the person's agreement on the shelf.
func (s *stage) taken(cleared bool) {
	s.t.Helper()
	licence, err := wire.Licence(s.licence)
	s.must(err)
	document, err := proto.Marshal(s.licence)
	s.must(err)
	s.do(shelf.Take{Licence: licence, Document: document, Cleared: cleared})
}

// TestEveryFrozenShapeIsRead: whatever offers and consent have ever published of what delivery reacts to, it reads, and does what it means.
func TestEveryFrozenShapeIsRead(t *testing.T) {
	t.Parallel()
	fresh := func(*stage) {}
	taken := func(s *stage) { s.taken(true) }
	waits := func(s *stage) { s.taken(false) }
	packed := func(s *stage) {
		s.taken(true)
		s.do(shelf.Prepare{
			Shelf: shelf.Of(s.who), Agreement: shelf.AgreementID{ID: named("agreement")}, Delivery: s.delivery, Patience: shelf.Patience,
			Contents: shelf.Contents{Slots: []shelf.Day{16_903}, BuyerKey: "k1"},
		})
	}
	takes := func(m *deliveryv1.Event) bool {
		a := m.GetAgreementTaken()
		l := a.GetLicence()
		return a.GetAgreementId() == named("agreement").String() && a.GetBidId() == named("bid").String() && a.GetCleared() && l.GetSlotsReserved() == 5 &&
			l.GetFields()[0].GetId() == "steps" && l.GetPredicates()[0].GetFact() == "steps_per_day"
	}
	ends := func(why deliveryv1.EndReason) func(*deliveryv1.Event) bool {
		return func(m *deliveryv1.Event) bool {
			e := m.GetAgreementEnded()
			return e.GetAgreementId() == named("agreement").String() && e.GetReason() == why
		}
	}
	cases := map[string]struct {
		from  string
		was   func(*stage)
		want  func(*deliveryv1.Event) bool // nil: it comes to nothing
		asked bool                         // consent is asked whether the agreement's data may be read
		wrong bool                         // it is parked
	}{
		// The licence of this file names neither group nor days, which no acceptance ever lacked: it is parked, and not taken for another.
		"agreement_formed":          {from: "offers", was: fresh, wrong: true},
		"agreement_formed.1":        {from: "offers", was: fresh, want: takes, asked: true},
		"agreement_formed.2":        {from: "offers", was: fresh, want: takes, asked: true},
		"offer_voided":              {from: "offers", was: taken, want: ends(deliveryv1.EndReason_END_REASON_VOIDED)},
		"consent_withdrawn":         {from: "consent", was: taken, want: ends(deliveryv1.EndReason_END_REASON_WITHDRAWN)},
		"consent_withdrawn_awaited": {from: "consent", was: taken},
		"consent_expired":           {from: "consent", was: taken, want: ends(deliveryv1.EndReason_END_REASON_EXPIRED)},
		"consent_resumed":           {from: "consent", was: taken, asked: true},
		"consent_resumed_awaited":   {from: "consent", was: taken},
		"bid_cleared": {from: "offers", was: waits, asked: true, want: func(m *deliveryv1.Event) bool {
			return m.GetAgreementCleared().GetAgreementId() == named("agreement").String()
		}},
		"buyer_key_rotated": {from: "offers", was: packed, want: func(m *deliveryv1.Event) bool {
			return m.GetPackageResealed().GetDeliveryId() == named("delivery").String() && m.GetPackageResealed().GetBuyerKeyId() == "k2"
		}},
	}
	for _, from := range react.Sources {
		if from == "delivery" {
			continue // its own events, which the tests beside this one tell it of
		}
		var known []string
		for name, c := range cases {
			if c.from == from {
				known = append(known, name)
			}
		}
		slices.Sort(known)
		worldtest.Reads(t, from, react.Types, known, func(t *testing.T, name string, e *bus.Received) {
			s, c := raise(t), cases[name]
			c.was(s)
			before := s.Tail()
			if err := s.clock.Handle(t.Context(), e); (err != nil) != c.wrong {
				t.Fatal(err)
			}
			var got []*deliveryv1.Event
			for _, r := range s.Since(before) {
				m, err := wire.Message(&r, s.ring)
				s.must(err)
				got = append(got, m)
			}
			if c.want == nil && len(got) > 0 || c.want != nil && (len(got) != 1 || !c.want(got[0])) {
				t.Errorf("it came to %v", got)
			}
			if asked := slices.Equal(s.consent.asked, []string{named("agreement").String()}); asked != c.asked {
				t.Errorf("consent was asked of %v", s.consent.asked)
			}
			// An answer from before the consent was resumed would be that it is paused, and nothing looks again.
			if name == "consent_resumed" && !proto.Equal(s.consent.heard[0], e.Cursor("consent")) {
				t.Errorf("consent was asked after %v", s.consent.heard)
			}
		})
	}
}
