package rpc

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/projection"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers/internal/schema"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// stall is a server whose tables follow a log in which a test says what happened. It counts the rows that the server reads.
type stall struct {
	*Server
	t    testing.TB
	root *es.Root[int, said, *offersv1.Event]
	rows atomic.Int64
}

// said are events of one bid or buyer.
type said struct {
	of     id.ID
	events []*offersv1.Event
}

// TraceQueryStart is half of a tracer.
func (*stall) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

// TraceQueryEnd counts.
func (s *stall) TraceQueryEnd(_ context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	if d.CommandTag.Select() {
		s.rows.Add(d.CommandTag.RowsAffected())
	}
}

var noon = time.Date(2026, 4, 12, 12, 0, 0, 0, time.UTC)

func setUp(t testing.TB) *stall {
	t.Helper()
	s := &stall{t: t}
	pool := worldtest.Database(t)
	log := esmem.New(2, time.Now)
	engine := es.New(log, es.Options{Service: "offers"})
	s.root = es.Register(engine, es.Rules[int, said, *offersv1.Event]{
		Name: "said", Streams: func(c said) []es.Stream { return []es.Stream{es.StreamOf(c.of)} },
		Decide: func(_ func(es.Stream) int, c said, _ time.Time) (out []es.Entry[*offersv1.Event], _ error) {
			for _, e := range c.events {
				out = append(out, es.Entry[*offersv1.Event]{Stream: es.StreamOf(c.of), Event: e})
			}
			return out, nil
		},
		Evolve: func(n int, _ es.Stream, _ es.Entry[*offersv1.Event]) int { return n + 1 },
		Encode: func(e *offersv1.Event, _ *es.Header, _ any) (string, []byte, error) {
			m := e.ProtoReflect()
			data, err := proto.Marshal(e)
			return string(m.WhichOneof(m.Descriptor().Oneofs().ByName("event")).Name()), data, err
		},
		Decode: func(r *es.Record, _ any) (*offersv1.Event, error) {
			e := new(offersv1.Event)
			return e, proto.Unmarshal(r.Data, e)
		},
	})
	rows := projection.New(projection.Options{
		Name: "market", Service: "offers", Fold: view.Fold, Tables: schema.Market, Pool: pool, Log: log, Project: view.Project,
		Alarm: func(_ es.Partition, err error) { t.Errorf("the tables do not follow: %v", err) },
	})
	s.must(rows.Migrate(t.Context(), ""))
	s.must(rows.Open(t.Context()))
	config := pool.Config()
	config.ConnConfig.Tracer = s
	counted, err := pgxpool.NewWithConfig(t.Context(), config)
	s.must(err)
	t.Cleanup(counted.Close)
	products, err := catalog.Open("")
	s.must(err)
	s.Server = &Server{View: view.View{Pool: counted}, Seen: rows, Log: log, Catalog: products, Now: func() time.Time { return noon }, Currency: "EUR", Commission: 150_000}
	for _, actor := range []func(context.Context) error{engine.Run, rows.Run} {
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan struct{})
		go func() { defer close(ended); _ = actor(ctx) }() // it ends with ctx
		t.Cleanup(func() { stop(); <-ended })
	}
	return s
}

func (s *stall) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// say has something happen, and waits until the tables know.
func (s *stall) say(of id.ID, events ...*offersv1.Event) {
	s.t.Helper()
	result, err := s.root.Do(s.t.Context(), es.Command[said]{ID: id.Random(), Body: said{of, events}})
	s.must(err)
	s.must(s.Seen.Wait(s.t.Context(), result.Cursor))
}

// vetted registers a buyer that may bid.
func (s *stall) vetted() id.ID {
	buyer := id.Random()
	s.say(buyer, &offersv1.Event{Event: &offersv1.Event_BuyerRegistered{BuyerRegistered: &offersv1.BuyerRegistered{BuyerId: buyer.String(), Entity: &offersv1.LegalEntity{LegalEntityId: buyer.String()}}}},
		&offersv1.Event{Event: &offersv1.Event_BuyerVetted{BuyerVetted: &offersv1.BuyerVetted{BuyerId: buyer.String()}}})
	return buyer
}

// opened is a bid that is placed and open.
func opened(number, buyer id.ID, micros int64) []*offersv1.Event {
	return []*offersv1.Event{
		{Event: &offersv1.Event_BidPlaced{BidPlaced: &offersv1.BidPlaced{
			BidId: number.String(), BuyerId: buyer.String(), Quantity: 5, OpensAt: noon.Add(-time.Hour).UnixMicro(), ClosesAt: noon.Add(time.Hour).UnixMicro(),
			Terms: &marketv1.Terms{
				Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, Purpose: "dpv:AcademicResearch", UnitPrice: &moneyv1.UnitPrice{Micros: micros, Currency: "EUR"},
				Slots: &marketv1.Days{First: "2026-04-01", Last: "2026-04-30"}, MinAssurance: marketv1.Assurance_ASSURANCE_OWN_FILE,
			},
		}}},
		{Event: &offersv1.Event_BidOpened{BidOpened: &offersv1.BidOpened{BidId: number.String()}}},
	}
}

func closed(number id.ID) *offersv1.Event {
	return &offersv1.Event{Event: &offersv1.Event_BidClosed{BidClosed: &offersv1.BidClosed{BidId: number.String(), Reason: offersv1.CloseReason_CLOSE_REASON_WITHDRAWN}}}
}

// told is a stream that hands on what it is sent.
type told struct {
	grpc.ServerStream
	ctx  context.Context
	bids chan *offersv1.Bid
}

func (s *told) Context() context.Context { return s.ctx }

func (s *told) Send(m *offersv1.WatchBidsResponse) error {
	select {
	case s.bids <- m.GetBid():
		return nil
	case <-s.ctx.Done():
		return s.ctx.Err()
	}
}

// TestAWatchReadsWhatMoved: the bids that did not change are read once, however many there are and whatever else happens.
func TestAWatchReadsWhatMoved(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	const many = 300
	buyer, other := s.vetted(), s.vetted()
	own := make([]id.ID, many)
	for i := range own {
		own[i] = id.Random()
		s.say(own[i], opened(own[i], buyer, 1000)...)
	}
	ctx, stop := context.WithCancel(t.Context())
	w := &told{ctx: ctx, bids: make(chan *offersv1.Bid)}
	ended := make(chan error, 1)
	go func() { ended <- s.WatchBids(&offersv1.WatchBidsRequest{BuyerId: buyer.String()}, w) }()
	seen := map[string]bool{}
	for range many {
		seen[(<-w.bids).GetBidId()] = true
	}
	if len(seen) != many {
		t.Errorf("%d bids are told of at first, of %d", len(seen), many)
	}
	before := s.rows.Load()
	for _, number := range own[:3] {
		theirs := id.Random()
		s.say(theirs, opened(theirs, other, 1000)...)
		s.say(number, closed(number))
		if got := <-w.bids; got.GetBidId() != number.String() || got.GetState() != offersv1.BidState_BID_STATE_CLOSED {
			t.Errorf("told is %v, closed is %v", got, number)
		}
	}
	if read := s.rows.Load() - before; read > 6 {
		t.Errorf("%d rows are read for three bids that have changed", read)
	}
	stop()
	<-ended
}

// TestTheBoardFollows: however things have moved, the board that went on knows what one knows that reads everything.
func TestTheBoardFollows(t *testing.T) {
	t.Parallel()
	s := setUp(t)
	r := rand.New(rand.NewPCG(1, 2))
	buyers := []id.ID{s.vetted(), s.vetted(), s.vetted()}
	var bids []id.ID
	listed := func(b *board) string {
		t.Helper()
		s.must(b.follow(t.Context(), s.Server))
		var out []string
		s.must(b.open("daily-steps", noon, func(l *view.Listed) error {
			out = append(out, fmt.Sprint(l.Bid, l.Placed.GetTerms().GetUnitPrice().GetMicros()))
			return nil
		}))
		slices.Sort(out)
		return strings.Join(out, "\n")
	}
	agreed := func(number id.ID, slots uint32) *offersv1.Event {
		return &offersv1.Event{Event: &offersv1.Event_AgreementFormed{AgreementFormed: &offersv1.AgreementFormed{
			AgreementId: id.Random().String(), OfferId: id.Random().String(), BidId: number.String(), SubscriberId: id.Random().String(), Slots: slots,
		}}}
	}
	kinds := map[int]int{}
	for range 60 {
		for range r.IntN(3) + 1 {
			number, buyer := id.Random(), buyers[r.IntN(len(buyers))]
			what := r.IntN(6)
			if len(bids) == 0 {
				what = 0
			}
			kinds[what]++
			if what > 0 {
				number = bids[r.IntN(len(bids))]
			}
			switch what {
			case 0, 1:
				number = id.Random()
				bids = append(bids, number)
				s.say(number, opened(number, buyer, r.Int64N(1000))...)
			case 2:
				s.say(number, closed(number))
			case 3:
				s.say(number, agreed(number, uint32(r.IntN(5)+1)))
			case 4:
				s.say(buyer, &offersv1.Event{Event: &offersv1.Event_BuyerSuspended{BuyerSuspended: &offersv1.BuyerSuspended{BuyerId: buyer.String()}}})
			case 5:
				s.say(buyer, &offersv1.Event{Event: &offersv1.Event_BuyerReinstated{BuyerReinstated: &offersv1.BuyerReinstated{BuyerId: buyer.String()}}})
			}
		}
		if got, want := listed(&s.board), listed(new(board)); got != want {
			t.Fatalf("on the board that went on:\n%s\non one that reads everything:\n%s", got, want)
		}
	}
	if n := len(slices.Collect(maps.Keys(kinds))); n != 6 || listed(&s.board) == "" {
		t.Errorf("%d kinds of things happened, and at the end %q is listed", n, listed(&s.board))
	}
	before := s.rows.Load()
	s.say(bids[0], agreed(bids[0], 1))
	listed(&s.board)
	if read := s.rows.Load() - before; read > 1 {
		t.Errorf("%d rows are read where one bid has moved", read)
	}
}

// BenchmarkOffers chooses what is shown to one person of all open bids, and reads a page of it: "read" each time from the tables alone, as
// the first who asks, "kept" from the board, as all others.
func BenchmarkOffers(b *testing.B) {
	for _, many := range []int{100, 10_000} {
		s := setUp(b)
		var buyers []id.ID
		for range 50 {
			buyers = append(buyers, s.vetted())
		}
		for i := range many {
			number := id.Random()
			s.say(number, opened(number, buyers[i%len(buyers)], int64(1000+i))...)
		}
		a := asker{
			profile: &consentv1.GetProfileResponse{Rules: &consentv1.Rules{}},
			facts: &deliveryv1.GetFactsResponse{Stock: []*deliveryv1.Stock{{
				Product: "daily-steps", ValidSlots: 30, Days: &marketv1.Days{First: "2026-04-01", Last: "2026-04-12"}, Assurance: marketv1.Assurance_ASSURANCE_OWN_FILE,
			}}},
		}
		rules, err := policy.Open("")
		s.must(err)
		pack, err := rules.At("BE", noon)
		s.must(err)
		person := id.Random()
		for name, keep := range map[string]bool{"read": false, "kept": true} {
			b.Run(fmt.Sprintf("%d/%s", many, name), func(b *testing.B) {
				for b.Loop() {
					if !keep {
						s.board.at = nil
					}
					fit, err := s.candidates(b.Context(), a, s.rates(pack), person, pack, false, new(offersv1.ListOffersResponse))
					s.must(err)
					page, err := s.page(b.Context(), person, fit[:20])
					s.must(err)
					if len(fit) != many || len(page) != 20 {
						b.Fatalf("%d fit, %d are on the page", len(fit), len(page))
					}
				}
			})
		}
	}
}
