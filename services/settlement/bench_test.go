package settlement

import (
	"context"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/figure"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// BenchmarkPaths prints the table of docs/performance.md for the book: deliveries of one bid settled by 64 callers, beside
// the bare append of the very events and account rows that this writes. Run it with
//
//	go test -run '^$' -bench Paths -benchtime 1x ./services/settlement
func BenchmarkPaths(b *testing.B) {
	for b.Loop() {
		paths(b)
	}
}

const settlers = 64

func paths(b *testing.B) {
	const (
		span       = 1200 * time.Millisecond
		bare, rows = "bare append loop of settlement's events", "bare append loop of the events and account rows"
	)
	tap := &tap{Log: benchLog(b)}
	settle := settling(b, tap)
	if _, err := figure.Load(b.Context(), settlers, span, settle); err != nil { // warm, and what the bare loops repeat
		b.Fatal(err)
	}
	batch := tap.taken()
	if len(batch.Records) != settlers || len(batch.States) < settlers {
		b.Fatalf("a batch of %d events and %d rows was taken", len(batch.Records), len(batch.States))
	}
	err := figure.Race(os.Stdout, []figure.Path{
		{Name: bare, Run: repeating(b, benchLog(b), es.Batch{Records: batch.Records}, span)},
		{Name: rows, Run: repeating(b, benchLog(b), batch, span)},
		{
			Name: "settlement, four postings, one buyer, account rows in the commit, 64 callers",
			Run: func() float64 {
				rate, err := figure.Load(b.Context(), settlers, span, settle)
				if err != nil {
					b.Fatal(err)
				}
				return rate
			},
			Bars: []figure.Bar{{Of: bare, AtLeast: 0.45}, {Of: rows, AtLeast: 0.7}},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
}

// benchLog is a log of one partition: a book is never more.
func benchLog(b *testing.B) *espg.Log {
	b.Helper()
	server := worldtest.Need(b, "DATABASE_URL")
	name := "book_" + strings.ReplaceAll(id.Random().String(), "-", "")
	admin := func(sql string) {
		ctx := context.Background() // also in cleanups
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			b.Fatal(err)
		}
		defer func() { _ = conn.Close(ctx) }() // nothing is pending
		if _, err := conn.Exec(ctx, sql); err != nil {
			b.Fatal(err)
		}
	}
	admin("create database " + name)
	b.Cleanup(func() { admin("drop database " + name + " with (force)") })
	u, err := url.Parse(server)
	if err != nil {
		b.Fatal("DATABASE_URL is malformed")
	}
	u.Path = "/" + name
	if err := espg.Migrate(b.Context(), u.String(), espg.Birth{Partitions: 1}); err != nil {
		b.Fatal(err)
	}
	log, err := espg.Open(b.Context(), espg.Config{URL: u.String(), Partitions: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(log.Close)
	return log
}

// settling runs a book with one bid's money, 64 agreements and their people, and gives the call that settles a delivery.
func settling(b *testing.B, log es.Log) func(context.Context, int) error {
	b.Helper()
	number, rules, codec, err := new(Config).ledger()
	if err != nil {
		b.Fatal(err)
	}
	engine := es.New(log, es.Options{Service: Name, Hooks: es.Hooks{Alarm: func(_ es.Partition, err error) { b.Error(err) }}})
	root := es.Register(engine, wire.Rules(rules, codec))
	ctx, cancel := context.WithCancel(context.Background())
	var ended sync.WaitGroup
	ended.Go(func() { _ = engine.Run(ctx) }) // it ends with ctx, without a fault
	b.Cleanup(func() { cancel(); ended.Wait() })
	do := func(ctx context.Context, c book.Command) error {
		_, err := root.Do(ctx, es.Command[book.Command]{ID: id.Random(), Body: c})
		return err
	}
	const plenty = 1 << 40
	buyer, bid := book.BuyerID{ID: id.Random()}, book.BidID{ID: id.Random()}
	first := []book.Command{
		book.PayIn{Book: number, Buyer: buyer, Amount: 2 * plenty, Reference: "B1"},
		book.Hold{Book: number, Buyer: buyer, Bid: bid, Amount: 2 * plenty, Slots: plenty, TaxPPM: 210_000, TaxCountry: "BE", Currency: true},
	}
	deals := make([]book.Terms, settlers)
	for i := range deals {
		deals[i] = book.Terms{
			Book: number, Agreement: book.AgreementID{ID: id.Random()}, Bid: bid, Buyer: buyer, Subscriber: book.SubscriberID{ID: id.Random()},
			Product: "daily-steps", Price: 50_000, Slots: plenty / settlers / 50_000, CommissionPPM: 200_000, Country: "BE",
			PolicyPack: "BE", PolicyVersion: "2026-01-01",
		}
		first = append(first, book.Earmark{Terms: deals[i]})
	}
	for _, c := range first {
		if err := do(b.Context(), c); err != nil {
			b.Fatal(err)
		}
	}
	return func(ctx context.Context, i int) error {
		d := &deals[i]
		return do(ctx, book.Settle{
			Book: number, Delivery: book.DeliveryID{ID: id.Random()}, Agreement: d.Agreement, Bid: bid, Buyer: buyer, Subscriber: d.Subscriber,
			Slots: 2, ReleaseEvent: id.Random(),
		})
	}
}

// tap is a log that keeps the fullest batch appended to it.
type tap struct {
	es.Log
	mu    sync.Mutex
	batch es.Batch
}

type tapped struct {
	es.Session
	*tap
}

func (t *tap) Session(ctx context.Context, p es.Partition) (es.Session, error) {
	s, err := t.Log.Session(ctx, p)
	return tapped{s, t}, err
}

func (s tapped) Append(ctx context.Context, b *es.Batch) (time.Time, error) {
	s.mu.Lock()
	if len(b.Records) > len(s.batch.Records) {
		s.batch = es.Batch{Records: slices.Clone(b.Records), States: slices.Clone(b.States)}
		for i := range s.batch.Records {
			r := &s.batch.Records[i]
			r.Data, r.Meta = slices.Clone(r.Data), slices.Clone(r.Meta)
		}
	}
	s.mu.Unlock()
	return s.Session.Append(ctx, b)
}

func (t *tap) taken() es.Batch {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.batch
}

// repeating appends a batch again and again, as later events of its streams and later rows of its states.
func repeating(b *testing.B, log *espg.Log, batch es.Batch, span time.Duration) func() float64 {
	s, err := log.Session(b.Context(), 0)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() }) // nothing is pending
	batch.Records, batch.States = slices.Clone(batch.Records), slices.Clone(batch.States)
	for i := range batch.Records {
		batch.Records[i].Version = 0
	}
	if batch.Tail, err = log.Tail(b.Context(), 0); err != nil {
		b.Fatal(err)
	}
	return func() float64 {
		n, began := 0, time.Now()
		for time.Since(began) < span {
			at := time.Now().UTC()
			tail := batch.Tail
			for i := range batch.Records {
				r := &batch.Records[i]
				tail.Position++
				r.Position, r.Command, r.At = tail.Position, id.Random(), at
				r.Version++
				copy(r.Chain[:], r.Command[:]) // any: nobody checks it
			}
			for i := range batch.States {
				batch.States[i].Version++
				batch.States[i].Position = tail.Position
			}
			if _, err := s.Append(b.Context(), &batch); err != nil {
				b.Fatal(err)
			}
			tail.Chain = batch.Records[len(batch.Records)-1].Chain
			batch.Tail = tail
			n += len(batch.Records)
		}
		return float64(n) / time.Since(began).Seconds()
	}
}
