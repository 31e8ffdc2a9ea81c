package journey

import (
	"context"
	"fmt"
	"net"
	"os"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/figure"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

// echo answers a check at once: what a call costs before anything is done.
type echo struct {
	consentv1.UnimplementedConsentServiceServer
}

func (echo) Check(context.Context, *consentv1.CheckRequest) (*consentv1.CheckResponse, error) {
	return &consentv1.CheckResponse{Allowed: true}, nil
}

// BenchmarkPaths prints, for calls over the network, every path beside its limit, in one run, interleaved, medians of five
// rounds; then the whole path.
func BenchmarkPaths(b *testing.B) {
	for b.Loop() {
		b.Run("calls", calls)
		b.Run("whole", whole)
	}
}

const inFlight = 64

func calls(b *testing.B) {
	const (
		span, bidsAtOnce       = 1500 * time.Millisecond, 16
		plain, same, appending = "bare gRPC echo", "echo behind the same interceptors", "append through espg"
	)
	f := openFull(b)
	f.opens(1_000_000_00)
	who := participants(b, "dailyActivity_merged.csv")
	people := make([]*holder, 5)
	for i := range people {
		people[i] = f.holder()
		_, err := people[i].bring("dailyActivity_merged.csv", who[i], nil)
		f.must(err)
	}
	bid := f.place(f.bid(25, 5), "one")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	var checks []*consentv1.CheckRequest
	for _, p := range people {
		deal, err := p.accept(bid)
		f.must(err)
		f.Eventually("the consent", func() bool { return p.state(deal) == consentv1.ConsentState_CONSENT_STATE_GIVEN })
		checks = append(checks, &consentv1.CheckRequest{SubscriberId: p.id.String(), AgreementId: deal})
	}

	// What follows a call costs as much as the call, and is measured as the whole path: here the calls' own services run alone.
	for _, s := range []string{offers.Name, delivery.Name, settlement.Name} {
		f.stop[s]()
	}
	alone := openOffers(b)
	bare, guarded := plainEcho(b), f.guardedEcho()
	service := eventv1.Role_ROLE_SERVICE
	var checking, echoing []consentv1.ConsentServiceClient
	var bidding []offersv1.OffersServiceClient
	for range 4 { // connections
		checking = append(checking, consentv1.NewConsentServiceClient(f.Dial(consent.Name, "delivery", service)))
		echoing = append(echoing, consentv1.NewConsentServiceClient(f.DialAddr(guarded, "echo", "delivery", service)))
		bidding = append(bidding, offersv1.NewOffersServiceClient(alone.Dial(offers.Name, alone.buyer.String(), eventv1.Role_ROLE_BUYER)))
	}
	check := func(clients []consentv1.ConsentServiceClient) func(context.Context, int) error {
		return func(ctx context.Context, caller int) error {
			r, err := clients[caller%len(clients)].Check(ctx, checks[caller%len(checks)])
			if err == nil && !r.GetAllowed() {
				err = fmt.Errorf("not allowed: %v", r.GetReason())
			}
			return err
		}
	}
	one := alone.bid(5, 5)
	streams := make([]grpc.BidiStreamingClient[offersv1.PlaceBidsRequest, offersv1.PlaceBidsResponse], inFlight/bidsAtOnce)
	for i := range streams {
		var err error
		streams[i], err = bidding[i%len(bidding)].PlaceBids(b.Context())
		f.must(err)
	}
	load := func(callers, each int, call func(context.Context, int) error) func() float64 {
		return func() float64 {
			rate, err := figure.Load(b.Context(), callers, span, call)
			f.must(err)
			return rate * float64(each)
		}
	}
	f.must(figure.Race(os.Stdout, []figure.Path{
		{Name: plain, Unit: "calls/s", Run: load(inFlight, 1, check(bare))},
		{Name: same, Unit: "calls/s", Run: load(inFlight, 1, check(echoing)), Bars: []figure.Bar{{Of: plain}}},
		{
			Name: "consent check", Unit: "calls/s", Run: load(inFlight, 1, check(checking)),
			Bars: []figure.Bar{{Of: plain, AtLeast: 0.7}, {Of: same, AtLeast: 0.95}},
		},
		{Name: appending, Run: load(inFlight, 1, f.appends())},
		{
			Name: "PlaceBid", Unit: "bids/s", Bars: []figure.Bar{{Of: plain, AtLeast: 0.38}},
			Run: load(inFlight, 1, func(ctx context.Context, caller int) error {
				_, err := bidding[caller%len(bidding)].PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: one, IdempotencyKey: id.Random().String()})
				return err
			}),
		},
		{
			Name: "PlaceBids, 16 a message", Unit: "bids/s", Bars: []figure.Bar{{Of: appending, AtLeast: 0.65}},
			Run: load(len(streams), bidsAtOnce, func(_ context.Context, caller int) error {
				r := &offersv1.PlaceBidsRequest{BuyerId: alone.buyer.String()}
				for range bidsAtOnce {
					r.Bids = append(r.Bids, &offersv1.PlaceBidRequest{Bid: one, IdempotencyKey: id.Random().String()})
				}
				if err := streams[caller].Send(r); err != nil {
					return err
				}
				out, err := streams[caller].Recv()
				for _, placed := range out.GetBids() {
					if placed.GetBidId() == "" {
						err = fmt.Errorf("refused: %v %s", placed.GetRefused(), placed.GetProblem())
					}
				}
				return err
			}),
		},
	}))
}

// openOffers runs offers and nothing else, with a buyer who may bid.
func openOffers(b *testing.B) *full {
	b.Helper()
	f := &full{market: &market{World: worldtest.New(b), t: b, buyer: id.Random()}}
	c := offers.Config{Config: f.Config(offers.Name)}
	f.must(offers.Migrate(b.Context(), c))
	f.Start(func(ctx context.Context) error { return offers.Run(ctx, c) })
	f.operator = offersv1.NewOffersServiceClient(f.Dial(offers.Name, "staff", eventv1.Role_ROLE_OPERATOR))
	f.bids = offersv1.NewOffersServiceClient(f.Dial(offers.Name, f.buyer.String(), eventv1.Role_ROLE_BUYER))
	var err error
	f.keys, err = parcel.NewKeys(parcel.X25519)
	f.must(err)
	f.registers()
	return f
}

// plainEcho is gRPC as it comes.
func plainEcho(b *testing.B) (clients []consentv1.ConsentServiceClient) {
	b.Helper()
	l, err := new(net.ListenConfig).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	s := grpc.NewServer()
	consentv1.RegisterConsentServiceServer(s, echo{})
	go func() { _ = s.Serve(l) }() // until it is stopped
	b.Cleanup(s.Stop)
	for range 4 {
		conn, err := grpc.NewClient(l.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() { _ = conn.Close() }) // nothing is pending
		clients = append(clients, consentv1.NewConsentServiceClient(conn))
	}
	return clients
}

// guardedEcho is the echo behind everything that stands before a service of ours.
func (f *full) guardedEcho() (addr string) {
	f.t.Helper()
	c := f.Config("echo")
	telemetry, err := boot.Observe(&c)
	f.must(err)
	health := boot.NewHealth("echo")
	s, err := boot.NewServer(&c, telemetry, health)
	f.must(err)
	consentv1.RegisterConsentServiceServer(s, echo{})
	f.Start(s.Serve)
	return s.Addr()
}

// appends is the engine over a log of its own, with commands that cost next to nothing.
func (f *full) appends() func(context.Context, int) error {
	f.t.Helper()
	c := f.Config("plain")
	f.must(espg.Migrate(f.t.Context(), c.Database.URL, espg.Birth{Partitions: worldtest.Partitions}))
	log, err := espg.Open(f.t.Context(), espg.Config{URL: c.Database.URL, Partitions: worldtest.Partitions})
	f.must(err)
	f.t.Cleanup(log.Close)
	e := es.New(log, es.Options{Service: "plain"})
	data := make([]byte, 600) // as a placed bid
	root := es.Register(e, es.Rules[int, es.Stream, int]{
		Name: "plain", Fold: 1,
		Streams: func(on es.Stream) []es.Stream { return []es.Stream{on} },
		Decide: func(_ func(es.Stream) int, on es.Stream, _ time.Time) ([]es.Entry[int], error) {
			return []es.Entry[int]{{Stream: on, Event: 1}}, nil
		},
		Evolve: func(s int, _ es.Stream, _ es.Entry[int]) int { return s + 1 },
		Encode: func(int, *es.Header, any) (string, []byte, error) { return "plain", data, nil },
		Decode: func(*es.Record, any) (int, error) { return 1, nil },
	})
	f.Start(e.Run)
	return func(ctx context.Context, _ int) error {
		number := id.Random()
		_, err := root.Do(ctx, es.Command[es.Stream]{ID: number, Body: es.StreamOf(number)})
		return err
	}
}
