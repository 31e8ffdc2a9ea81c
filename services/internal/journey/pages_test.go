package journey

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

// TestPagesAreStable: a bid that closes and one that opens between two pages move no other: each that stays is listed once. A buyer's holds
// come by pages too, and what is held is of all.
func TestPagesAreStable(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	m.register(100_00)
	placed := map[string]string{} // names by bid
	place := func(name string, micros int64) string {
		n := m.bid(10, 5)
		n.Terms.UnitPrice.Micros = micros
		number := m.place(n, name)
		m.comesTo(number, offersv1.BidState_BID_STATE_OPEN)
		placed[number] = name
		return number
	}
	dearest := place("80", 80_000)
	for i := range 4 { // two of them at the same price
		place(fmt.Sprint("middle ", i), 70_000-int64(i/2)*10_000)
	}
	place("50", 50_000)
	p := m.enrol("1990-02-03")
	var names []string
	page := func(size uint32, token string) string {
		t.Helper()
		r, err := p.offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: p.id.String(), PageSize: size, PageToken: token})
		m.must(err)
		var last int64
		for i, o := range r.GetOffers() {
			card := new(offersv1.Card)
			m.must(proto.Unmarshal(o.GetCard(), card))
			names = append(names, placed[card.GetBidId()])
			if net := card.GetNet().GetMicros(); i > 0 && net > last {
				t.Errorf("%d follows %d", net, last)
			}
			last = card.GetNet().GetMicros()
		}
		return r.GetNextPageToken()
	}
	token := page(2, "")
	if len(names) != 2 || names[0] != "80" || token == "" {
		t.Fatalf("the first page has %v", names)
	}
	// What was listed already goes, and something comes that would have stood before it.
	_, err := m.bids.WithdrawBid(ctx, &offersv1.WithdrawBidRequest{BidId: dearest, BuyerId: m.buyer.String(), IdempotencyKey: "w"})
	m.must(err)
	m.comesTo(dearest, offersv1.BidState_BID_STATE_DRAINED)
	token = page(2, token)
	place("90", 90_000)
	place("95", 95_000)
	if token = page(2, token); token != "" {
		t.Error("nothing is left, and there is a further page")
	}
	seen := map[string]int{}
	for _, name := range names {
		seen[name]++
	}
	for _, name := range []string{"80", "middle 0", "middle 1", "middle 2", "middle 3", "50"} {
		if seen[name] != 1 || len(names) != 6 {
			t.Errorf("%s is listed %d times among %v", name, seen[name], names)
		}
	}
	names = nil
	if token = page(2, ""); names[0] != "95" || names[1] != "90" || token == "" {
		t.Errorf("asked anew the first are %v", names)
	}

	var sum int64
	bids := map[string]bool{}
	m.Eventually("the first hold to be gone", func() bool {
		f, err := m.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: m.buyer.String()})
		m.must(err)
		return len(f.GetHolds()) == 7
	})
	for token, first := "", true; first || token != ""; first = false {
		f, err := m.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: m.buyer.String(), PageSize: 3, PageToken: token})
		m.must(err)
		for _, h := range f.GetHolds() {
			if bids[h.GetBidId()] || placed[h.GetBidId()] == "" {
				t.Errorf("the hold of %q is listed twice, or is none", placed[h.GetBidId()])
			}
			bids[h.GetBidId()] = true
			sum += h.GetHeld().GetMinor()
		}
		if token = f.GetNextPageToken(); token == "" && (f.GetHeld().GetMinor() != sum || len(bids) != 7 || f.GetHeld().GetMinor()+f.GetAvailable().GetMinor() != 100_00) {
			t.Errorf("%d holds come to %d, told is %v", len(bids), sum, f)
		}
		if len(f.GetHolds()) > 3 {
			t.Errorf("a page of %d holds", len(f.GetHolds()))
		}
	}
}

// TestForgedPages: a token's sum is no secret. Whatever place somebody makes up, in any list of any service, is refused as page_token; an
// Internal would be a statement that the database did not take.
func TestForgedPages(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	h := f.holder()
	who, buyer := h.id.String(), f.buyer.String()
	micros := []int64{math.MinInt64, -1, math.MaxInt64}
	var positions []proto.Message
	for _, n := range micros {
		positions = append(positions, &eventv1.StoredEvent{Position: n})
	}
	bids := []proto.Message{&offersv1.Bid{BidId: "none"}}
	shelves := []proto.Message{&deliveryv1.Delivery{DeliveryId: "none"}}
	sources := []proto.Message{&deliveryv1.Source{SourceId: "none"}}
	buyers := []proto.Message{&offersv1.Buyer{BuyerId: "none"}}
	for _, n := range micros {
		at := id.Random().String()
		bids, shelves = append(bids, &offersv1.Bid{BidId: at, PlacedAt: n}), append(shelves, &deliveryv1.Delivery{DeliveryId: at, PreparedAt: n})
		sources, buyers = append(sources, &deliveryv1.Source{SourceId: at, ConnectedAt: n}), append(buyers, &offersv1.Buyer{BuyerId: at, RegisteredAt: n})
	}
	person, company, staff, finance := eventv1.Role_ROLE_SUBSCRIBER, eventv1.Role_ROLE_BUYER, eventv1.Role_ROLE_OPERATOR, eventv1.Role_ROLE_FINANCE
	subjects := map[eventv1.Role]string{person: who, company: buyer, staff: "staff", finance: "finance"}
	type list struct {
		as     eventv1.Role
		req    proto.Message
		name   string
		places []proto.Message
	}
	bytes := []proto.Message{&eventv1.StoredEvent{Position: -1, Data: []byte("record")}}
	lists := map[string]list{
		consentv1.ConsentService_ListConsents_FullMethodName: {person, &consentv1.ListConsentsRequest{SubscriberId: who}, "consents/" + who, positions},
		consentv1.ConsentService_ListRecord_FullMethodName:   {person, &consentv1.ListRecordRequest{SubscriberId: who}, "record/" + who, bytes},

		deliveryv1.DeliveryService_ListSources_FullMethodName:    {person, &deliveryv1.ListSourcesRequest{SubscriberId: who}, "sources/" + who, sources},
		deliveryv1.DeliveryService_ListPoints_FullMethodName:     {person, &deliveryv1.ListPointsRequest{SubscriberId: who}, "points/" + who + "/", positions},
		deliveryv1.DeliveryService_ListUses_FullMethodName:       {person, &deliveryv1.ListUsesRequest{SubscriberId: who}, "uses/" + who + "//0", positions},
		deliveryv1.DeliveryService_ListRecord_FullMethodName:     {person, &deliveryv1.ListRecordRequest{SubscriberId: who}, "record/" + who, bytes},
		deliveryv1.DeliveryService_ListProducts_FullMethodName:   {person, new(deliveryv1.ListProductsRequest), "products", positions},
		deliveryv1.DeliveryService_ListDeliveries_FullMethodName: {company, &deliveryv1.ListDeliveriesRequest{BuyerId: buyer}, "deliveries/" + buyer + "/", shelves},

		offersv1.OffersService_ListBuyers_FullMethodName: {staff, new(offersv1.ListBuyersRequest), "buyers", buyers},
		offersv1.OffersService_ListBids_FullMethodName:   {company, &offersv1.ListBidsRequest{BuyerId: buyer}, "bids/" + buyer, bids},
		offersv1.OffersService_ListOffers_FullMethodName: {person, &offersv1.ListOffersRequest{SubscriberId: who}, "offers/" + who, []proto.Message{&offersv1.Card{BidId: "none"}}},
		offersv1.OffersService_ListRecord_FullMethodName: {person, &offersv1.ListRecordRequest{SubscriberId: who}, "record/" + who, bytes},

		settlementv1.SettlementService_GetFunds_FullMethodName:     {company, &settlementv1.GetFundsRequest{BuyerId: buyer}, "holds/" + buyer, []proto.Message{&settlementv1.Hold{BidId: "none"}}},
		settlementv1.SettlementService_ListEarnings_FullMethodName: {person, &settlementv1.ListEarningsRequest{SubscriberId: who}, "earnings/" + who + "/////[]", positions},
		settlementv1.SettlementService_SumEarnings_FullMethodName: {
			person, &settlementv1.SumEarningsRequest{SubscriberId: who, By: 1}, "sums/" + who + "/1", []proto.Message{&settlementv1.EarningSum{Key: "a\x00"}},
		},
		settlementv1.SettlementService_ListPayouts_FullMethodName: {person, &settlementv1.ListPayoutsRequest{SubscriberId: who}, "payouts/" + who + "/0", positions},
		settlementv1.SettlementService_ListStatement_FullMethodName: {finance, &settlementv1.ListStatementRequest{Account: &settlementv1.Account{
			Kind: settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PAYABLE, OwnerId: who,
		}}, fmt.Sprintf("statement/%d/%s", settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PAYABLE, who), append(positions, &eventv1.StoredEvent{Ordinal: -1})},
		settlementv1.SettlementService_ListRecord_FullMethodName: {person, &settlementv1.ListRecordRequest{SubscriberId: who}, "record/" + who, bytes},

		logv1.LogService_ListParked_FullMethodName: {staff, new(logv1.ListParkedRequest), "parked", []proto.Message{&logv1.Parked{Reaction: "\x00"}}},
	}
	for _, service := range []string{consent.Name, delivery.Name, offers.Name, settlement.Name, "log"} {
		d, err := protoregistry.GlobalFiles.FindDescriptorByName(protoreflect.FullName(fmt.Sprintf("obole.%s.v1.%sService", service, strings.ToUpper(service[:1])+service[1:])))
		f.must(err)
		methods := d.(protoreflect.ServiceDescriptor).Methods()
		at := service
		if at == "log" {
			at = delivery.Name // each service has the same
		}
		conns := map[eventv1.Role]*grpc.ClientConn{}
		for role, subject := range subjects {
			conns[role] = f.Dial(at, subject, role)
		}
		for i := range methods.Len() {
			m := methods.Get(i)
			token := m.Input().Fields().ByName("page_token")
			if token == nil || m.IsStreamingServer() {
				continue
			}
			method := fmt.Sprintf("/%s/%s", d.FullName(), m.Name())
			l, known := lists[method]
			if !known {
				t.Errorf("%s is a list that nobody forges a page of", method)
				continue
			}
			answer, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
			f.must(err)
			for _, place := range l.places {
				forged, err := boot.PageToken(l.name, place)
				f.must(err)
				l.req.ProtoReflect().Set(token, protoreflect.ValueOfString(forged))
				err = grpcfault.From(conns[l.as].Invoke(t.Context(), method, l.req, answer.New().Interface()))
				e, typed := errors.AsType[*fault.Error](err)
				if !typed || e.Kind != fault.KindInvalid || len(e.Facts) == 0 || e.Facts[0].Name != "page_token" {
					t.Errorf("%s at %v: %v", method, place, err)
				}
			}
			// What a list gives is none of this.
			whole, err := boot.PageToken(l.name, l.places[0].ProtoReflect().New().Interface())
			f.must(err)
			l.req.ProtoReflect().Set(token, protoreflect.ValueOfString(whole))
			if err := conns[l.as].Invoke(t.Context(), method, l.req, answer.New().Interface()); err != nil && !strings.Contains(method, "ListRecord") {
				t.Errorf("%s under a token of its own: %v: the list has another name", method, err)
			}
		}
	}
}
