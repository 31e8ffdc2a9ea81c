package react_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/react"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// at is when the frozen events happened.
var at = time.Date(2026, 11, 24, 12, 0, 0, 123_000, time.UTC)

func named(s string) id.ID { return id.Derive([]byte("golden"), []byte(s)) }

// market answers as offers does of the one agreement that there is.
type market struct {
	offersv1.OffersServiceClient
	licence *marketv1.Licence
}

func (m market) GetLicence(context.Context, *offersv1.GetLicenceRequest, ...grpc.CallOption) (*offersv1.GetLicenceResponse, error) {
	return &offersv1.GetLicenceResponse{Licence: m.licence}, nil
}

type scene struct {
	*worldtest.Memory
	t       *testing.T
	reactor *react.Reactor
}

// begin is a book in which the buyer has 100 EUR.
func begin(t *testing.T) *scene {
	t.Helper()
	s := &scene{t: t, Memory: worldtest.NewMemory(t, "settlement", func() time.Time { return at })}
	formed, ok := worldtest.Frozen(t, "offers", "agreement_formed.1").(*offersv1.Event)
	if !ok {
		t.Fatal("the frozen agreement is none")
	}
	euro, ledger := wire.Codec{Currency: "EUR"}, book.Ledger{Unit: 10_000, SplitRule: "1"}
	s.reactor = &react.Reactor{
		Book: book.ID{ID: named("book")}, Currency: "EUR", Root: es.Register(s.Engine, wire.Rules(ledger, euro)), Market: market{licence: formed.GetAgreementFormed().GetLicence()},
		Deals: lru.New[book.AgreementID, react.Deal](react.DealsHeld), Cause: func(id.ID, *eventv1.Meta) *eventv1.Meta { return new(eventv1.Meta) },
	}
	s.Run()
	if _, err := s.reactor.Root.Do(t.Context(), es.Command[book.Command]{Body: book.PayIn{
		Book: s.reactor.Book, Buyer: book.BuyerID{ID: named("buyer")}, Amount: 100_00, Reference: "BANK-1",
	}}); err != nil {
		t.Fatal(err)
	}
	return s
}

// comes handles an event and gives what it came to.
func (s *scene) comes(e *bus.Received) (list []*settlementv1.Event) {
	s.t.Helper()
	before := s.Tail()
	if err := s.reactor.Handle(s.t.Context(), e); err != nil {
		s.t.Fatal(err)
	}
	for _, r := range s.Since(before) {
		m := new(settlementv1.Event)
		if err := proto.Unmarshal(r.Data, m); err != nil {
			s.t.Fatal(err)
		}
		list = append(list, m)
	}
	return list
}

// after is a scene in which these shapes of offers' events have come.
func after(names ...string) func(*scene) {
	return func(s *scene) {
		for _, name := range names {
			s.comes(worldtest.Published(s.t, "offers", react.Types)[name])
		}
	}
}

// TestEveryFrozenShapeIsRead: whatever offers and delivery have ever published of what the book reacts to, it reads, and does what it means,
// under the policy that was named.
func TestEveryFrozenShapeIsRead(t *testing.T) {
	t.Parallel()
	earmarked := func(policy bool) func(*settlementv1.Event) bool {
		return func(m *settlementv1.Event) bool {
			f := m.GetFundsEarmarked()
			return f.GetAgreementId() == named("agreement").String() && f.GetBuyerId() == named("buyer").String() && f.GetSlots() == 5 &&
				f.GetSubscriberId() == named("subscriber").String() && f.GetUnitPrice().GetMicros() == 50_000 && f.GetCommissionPpm() == 200_000 && f.GetCountry() == "BE" &&
				(m.GetMeta().GetPolicy().GetVersion() == "2026-01-01") == policy
		}
	}
	held := func(policy string) func(*settlementv1.Event) bool {
		return func(m *settlementv1.Event) bool {
			h := m.GetFundsHeld()
			return h.GetBidId() == named("bid").String() && h.GetAmount().GetMinor() == 605 && m.GetMeta().GetPolicy().GetPack() == policy
		}
	}
	settled := func(m *settlementv1.Event) bool {
		d := m.GetDeliverySettled()
		return d.GetDeliveryId() == named("delivery").String() && d.GetSlots() == 2 && len(d.GetPostings()) > 0 && m.GetMeta().GetPolicy().GetPack() == "BE"
	}
	freed := func(m *settlementv1.Event) bool {
		h := m.GetHoldReleased()
		return h.GetBidId() == named("bid").String() && h.GetAmount().GetMinor() == 605 && h.GetFinal()
	}
	cases := map[string]struct {
		from string
		was  func(*scene)
		want func(*settlementv1.Event) bool // nil: it comes to nothing
	}{
		"bid_placed":         {"offers", after(), held("")},
		"bid_placed.2":       {"offers", after(), held("BE")},
		"bid_rejected":       {"offers", after("bid_placed"), freed},
		"bid_drained":        {"offers", after("bid_placed"), freed},
		"agreement_formed":   {"offers", after("bid_placed"), earmarked(false)},
		"agreement_formed.1": {"offers", after("bid_placed"), earmarked(true)},
		"agreement_formed.2": {"offers", after("bid_placed"), earmarked(true)},
		// An acceptance that consent refused was never earmarked as an agreement that ended; delivery tells of one that was.
		"offer_voided":        {"offers", after("bid_placed", "agreement_formed.2"), nil},
		"delivery_released":   {"delivery", after("bid_placed", "agreement_formed.2"), settled},
		"delivery_released-2": {"delivery", after("bid_placed", "agreement_formed.1"), settled},
		"agreement_ended": {"delivery", after("bid_placed", "agreement_formed.2"), func(m *settlementv1.Event) bool {
			e := m.GetEarmarkEnded()
			return e.GetAgreementId() == named("agreement").String() && e.GetSlotsLeft() == 5 && m.GetMeta().GetPolicy().GetPack() == "BE"
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
			s := begin(t)
			cases[name].was(s)
			got := s.comes(e)
			switch want := cases[name].want; {
			case want == nil && len(got) > 0, want != nil && (len(got) != 1 || !want(got[0])):
				t.Errorf("it came to %v", got)
			}
		})
	}
}
