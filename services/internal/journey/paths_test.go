package journey

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"text/tabwriter"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
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

// path is one way of doing something, measured against others of the same run.
type path struct {
	name string
	do   func(ctx context.Context, caller, n int) (done int, err error)
	// callers at once
	callers int
	of      []string
	bars    []float64
	rates   []float64
}

// BenchmarkPaths prints, for calls over the network, every path beside its limit, in one run, interleaved, medians of five
// rounds.
func BenchmarkPaths(b *testing.B) {
	for b.Loop() {
		paths(b)
	}
}

const inFlight = 64

func paths(b *testing.B) {
	const rounds, span, bidsAtOnce = 5, 1500 * time.Millisecond, 16
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
	check := func(clients []consentv1.ConsentServiceClient) func(context.Context, int, int) (int, error) {
		return func(ctx context.Context, caller, n int) (int, error) {
			r, err := clients[caller%len(clients)].Check(ctx, checks[n%len(checks)])
			if err == nil && !r.GetAllowed() {
				err = fmt.Errorf("not allowed: %v", r.GetReason())
			}
			return 1, err
		}
	}
	one := alone.bid(5, 5)
	streams := make([]grpc.BidiStreamingClient[offersv1.PlaceBidsRequest, offersv1.PlaceBidsResponse], inFlight/bidsAtOnce)
	for i := range streams {
		var err error
		streams[i], err = bidding[i%len(bidding)].PlaceBids(b.Context())
		f.must(err)
	}
	run := id.Random().String()[:8]
	measures := []*path{
		{name: "bare gRPC echo", callers: inFlight, do: check(bare)},
		{name: "echo behind the same interceptors", callers: inFlight, do: check(echoing), of: []string{"bare gRPC echo"}, bars: []float64{0}},
		{name: "consent check", callers: inFlight, do: check(checking), of: []string{"bare gRPC echo", "echo behind the same interceptors"}, bars: []float64{0.7, 0.95}},
		{name: "append through espg", callers: inFlight, do: f.appends()},
		{
			name: "PlaceBid", callers: inFlight, of: []string{"bare gRPC echo"}, bars: []float64{0.38},
			do: func(ctx context.Context, caller, n int) (int, error) {
				_, err := bidding[caller%len(bidding)].PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: one, IdempotencyKey: fmt.Sprint(run, caller, "-", n)})
				return 1, err
			},
		},
		{
			name: "PlaceBids, 16 a message", callers: len(streams), of: []string{"append through espg"}, bars: []float64{0.65},
			do: func(_ context.Context, caller, n int) (int, error) {
				r := &offersv1.PlaceBidsRequest{BuyerId: alone.buyer.String()}
				for i := range bidsAtOnce {
					r.Bids = append(r.Bids, &offersv1.PlaceBidRequest{Bid: one, IdempotencyKey: fmt.Sprint(run, "s", caller, "-", n, "-", i)})
				}
				if err := streams[caller].Send(r); err != nil {
					return 0, err
				}
				_, err := streams[caller].Recv()
				return bidsAtOnce, err
			},
		},
	}
	counts := map[string]int{} // calls of a path so far: keys are never repeated
	only := os.Getenv("OBOLE_BENCH")
	measures = slices.DeleteFunc(measures, func(m *path) bool { return !strings.Contains(m.name, only) })
	for range rounds {
		for _, m := range measures {
			m.rates = append(m.rates, m.run(b, span, counts))
		}
	}
	report(measures)
}

// run does a path for a while and says how often a second.
func (m *path) run(b *testing.B, span time.Duration, counts map[string]int) float64 {
	b.Helper()
	began := time.Now()
	end := began.Add(span)
	var done atomic.Int64
	var most atomic.Int64
	var wg sync.WaitGroup
	first := counts[m.name]
	for caller := range m.callers {
		wg.Go(func() {
			n := first
			for time.Now().Before(end) {
				k, err := m.do(b.Context(), caller, n)
				if err != nil {
					b.Error(m.name, err)
					return
				}
				done.Add(int64(k))
				n++
			}
			for {
				seen := most.Load()
				if int64(n) <= seen || most.CompareAndSwap(seen, int64(n)) {
					return
				}
			}
		})
	}
	wg.Wait()
	counts[m.name] = int(most.Load())
	return float64(done.Load()) / time.Since(began).Seconds()
}

// report prints medians, each beside its limits.
func report(measures []*path) {
	median := func(name string) float64 {
		i := slices.IndexFunc(measures, func(m *path) bool { return m.name == name })
		if i < 0 {
			return 0
		}
		return slices.Sorted(slices.Values(measures[i].rates))[len(measures[i].rates)/2]
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "path\ta second\tagainst\tratio\tbar")
	for _, m := range measures {
		fmt.Fprintf(w, "%s\t%.0f", m.name, median(m.name))
		for i, of := range m.of {
			bar := "-"
			if m.bars[i] > 0 {
				bar = fmt.Sprintf(">= %.2f", m.bars[i])
			}
			fmt.Fprintf(w, "%s\t%s\t%.2f\t%s\n", cmp.Or(map[bool]string{true: "\t"}[i > 0], ""), of, median(m.name)/median(of), bar)
		}
		if len(m.of) == 0 {
			fmt.Fprintln(w, "\t\t\t")
		}
	}
	_ = w.Flush() // to standard output
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
func (f *full) appends() func(context.Context, int, int) (int, error) {
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
	return func(ctx context.Context, _, _ int) (int, error) {
		number := id.Random()
		_, err := root.Do(ctx, es.Command[es.Stream]{ID: number, Body: es.StreamOf(number)})
		return 1, err
	}
}
