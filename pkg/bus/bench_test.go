package bus_test

import (
	"context"
	"errors"
	"io"
	"net/url"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/figure"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/ledger"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// BenchmarkPaths prints the table of docs/performance.md for the bus: every path beside its limit, in one run, interleaved,
// medians of five rounds. Run it with
//
//	go test -run '^$' -bench Paths -benchtime 1x ./pkg/bus
func BenchmarkPaths(b *testing.B) {
	for b.Loop() {
		paths(b)
	}
}

const (
	benchRounds = 5
	benchEvents = 300_000
)

func paths(b *testing.B) {
	h := newBench(b)
	const log, plain, messages = "reading the log alone", "bare scan: pgx rows.Scan of the log", "kafka-go's Batch.ReadMessage"
	took := func(before, run func()) func() float64 {
		return func() float64 {
			if before != nil {
				before()
			}
			began := time.Now()
			run()
			return benchEvents / time.Since(began).Seconds()
		}
	}
	err := figure.Race(os.Stdout, []figure.Path{
		{Name: log, Run: took(nil, h.scan)},
		{Name: "relay, log to topic", Run: took(h.fresh, h.relay), Bars: []figure.Bar{{Of: log, AtLeast: 0.5}}},
		{Name: plain, Run: took(nil, h.plain)},
		{Name: messages, Run: took(nil, h.messages)},
		{Name: "walk of the topic", Run: took(nil, h.walk), Bars: []figure.Bar{{Of: messages}}},
		{Name: "replay from Kafka: decoded, positions, chain, folded, balances equal", Run: took(nil, h.replay), Bars: []figure.Bar{{Of: messages, AtLeast: 1.5}}},
		{Name: "replay from the log: the same", Run: took(nil, h.refold), Bars: []figure.Bar{{Of: plain, AtLeast: 0.8}, {Of: log}}},
	})
	if err != nil {
		b.Fatal(err)
	}
}

// bench is a log of benchEvents settled deliveries, and a world with the topic to which it was published last.
type bench struct {
	b   *testing.B
	w   *world
	log *espg.Log
	// what the accounts must come to
	balances map[ledger.Account]int64
}

func newBench(b *testing.B) *bench {
	w := begin(b)
	ctx := b.Context()
	where, err := url.Parse(need(b, "DATABASE_URL"))
	if err != nil {
		b.Fatal(err)
	}
	where.Path = "/" + w.pool.Config().ConnConfig.Database
	if err := espg.Migrate(ctx, where.String(), espg.Birth{Partitions: 1}); err != nil {
		b.Fatal(err)
	}
	log, err := espg.Open(ctx, espg.Config{URL: where.String(), Partitions: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(log.Close)
	s, err := log.Session(ctx, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = s.Close() }() // nothing is pending
	h := &bench{b: b, w: w, log: log, balances: map[ledger.Account]int64{}}
	versions := make([]es.Version, 1000)
	streams := make([]es.Stream, len(versions))
	for i := range streams {
		streams[i] = es.StreamOf(id.Random())
	}
	const each = 2000
	for range benchEvents / each {
		tail, err := log.Tail(ctx, 0)
		if err != nil {
			b.Fatal(err)
		}
		batch := &es.Batch{Tail: tail, Records: make([]es.Record, each)}
		chain, at := tail.Chain, time.Now().UTC().Truncate(time.Microsecond)
		for i := range batch.Records {
			n := i % len(streams)
			versions[n]++
			r := &batch.Records[i]
			*r = es.Record{
				Position: tail.Position + es.Position(i) + 1, ID: id.Random(), Stream: streams[n], Version: versions[n],
				Command: id.Random(), Type: "delivery_settled", Data: h.settled(n), At: at,
			}
			r.Meta = es.EncodeMeta(es.Meta{ID: r.ID, Hash: [32]byte{1}})
			r.Chain = es.NextChain(chain, r)
			chain = r.Chain
		}
		if _, err := s.Append(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	return h
}

func (h *bench) scan() {
	n, err := h.log.Scan(h.b.Context(), 0, 0, benchEvents, func(*es.Record) error { return nil })
	if err != nil || n != benchEvents {
		h.b.Fatal(n, err)
	}
}

// plain reads the log as one does with pgx, every column into a variable.
func (h *bench) plain() {
	var (
		r              es.Record
		command, chain []byte
		n              int
	)
	rows, err := h.w.pool.Query(h.b.Context(), `select position, stream, version, command, ordinal, type, data, meta, at, chain from event
		where partition = 0 order by position`)
	if err != nil {
		h.b.Fatal(err)
	}
	_, err = pgx.ForEachRow(rows, []any{&r.Position, &r.Stream, &r.Version, &command, &r.Ordinal, &r.Type, &r.Data, &r.Meta, &r.At, &chain}, func() error {
		n++
		return nil
	})
	if err != nil || n != benchEvents {
		h.b.Fatal(n, err)
	}
}

// fresh makes a new topic.
func (h *bench) fresh() {
	h.w.drop()
	h.w.topic = "bench." + id.Random().String()
	h.w.create()
}

// relay publishes the log to an empty topic.
func (h *bench) relay() {
	ctx, cancel := context.WithCancel(h.b.Context())
	defer cancel()
	r := h.w.relay()
	r.Log = h.log
	r.Moved = func(_ es.Partition, at es.Position, _ int64) {
		if at == benchEvents {
			cancel()
		}
	}
	_ = r.Run(ctx) // ends with ctx
}

// messages reads the topic as kafka-go does it fastest message by message.
func (h *bench) messages() {
	conn, err := kafka.DialLeader(h.b.Context(), "tcp", brokers(h.b)[0], h.w.topic, 0)
	if err != nil {
		h.b.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // nothing is pending
	for n := 0; n < benchEvents; {
		batch := conn.ReadBatchWith(kafka.ReadBatchConfig{MinBytes: 1, MaxBytes: 8 << 20, MaxWait: time.Second})
		for {
			m, err := batch.ReadMessage()
			if err != nil {
				if !errors.Is(err, io.EOF) {
					h.b.Fatal(err)
				}
				break
			}
			if len(m.Key) > 0 {
				n++
			}
		}
		if err := batch.Close(); err != nil {
			h.b.Fatal(err)
		}
	}
}

func (h *bench) walk() {
	n := 0
	err := bus.Walk(h.b.Context(), h.w.client, h.w.topic, 0, func(*bus.Received) error { n++; return nil })
	if err != nil || n != benchEvents {
		h.b.Fatal(n, err)
	}
}

// settled is a delivery paid for: four postings, of a person each.
func (h *bench) settled(n int) []byte {
	book, buyer, person := id.Derive([]byte("book")), id.Derive([]byte("buyer")), id.Derive([]byte{byte(n >> 8), byte(n)})
	post := func(kind settlementv1.AccountKind, owner id.ID, minor int64) *settlementv1.Posting {
		h.balances[ledger.Account{Book: book, Kind: kind, Owner: owner}] += minor
		p := &settlementv1.Posting{Account: kind, Minor: minor}
		if !owner.IsZero() {
			p.OwnerId = owner.String()
		}
		return p
	}
	data, err := proto.Marshal(&settlementv1.Event{Event: &settlementv1.Event_DeliverySettled{DeliverySettled: &settlementv1.DeliverySettled{
		BookId: book.String(), DeliveryId: person.String(), AgreementId: person.String(), BidId: buyer.String(), BuyerId: buyer.String(),
		SubscriberId: person.String(), Slots: 5, Postings: []*settlementv1.Posting{
			post(settlementv1.AccountKind_ACCOUNT_KIND_BUYER_HELD, buyer, -30),
			post(settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PENDING, person, 20),
			post(settlementv1.AccountKind_ACCOUNT_KIND_OPERATOR_COMMISSION, id.ID{}, 5),
			post(settlementv1.AccountKind_ACCOUNT_KIND_VAT_OUTPUT, id.ID{}, 5),
		},
	}}})
	if err != nil {
		h.b.Fatal(err)
	}
	return data
}

// balanced folds what feed gives and compares every account.
func (h *bench) balanced(feed func(*ledger.Ledger) error) {
	lives, err := h.log.Lives(h.b.Context(), 0)
	if err != nil {
		h.b.Fatal(err)
	}
	l := ledger.New([][]es.Life{lives})
	if err := feed(l); err != nil || l.Position(0) != benchEvents {
		h.b.Fatal(l.Position(0), err)
	}
	accounts := l.Accounts()
	if len(accounts) != len(h.balances) {
		h.b.Fatalf("%d accounts, not %d", len(accounts), len(h.balances))
	}
	for _, a := range accounts {
		if got := l.Balance(a).Minor; got != h.balances[a] {
			h.b.Fatalf("%v comes to %d, not %d", a, got, h.balances[a])
		}
	}
}

// replay folds the topic.
func (h *bench) replay() {
	h.balanced(func(l *ledger.Ledger) error {
		return bus.Walk(h.b.Context(), h.w.client, h.w.topic, 0, func(r *bus.Received) error { return l.Apply(&r.Record) })
	})
}

// refold folds the log.
func (h *bench) refold() {
	h.balanced(func(l *ledger.Ledger) error {
		_, err := h.log.Scan(h.b.Context(), 0, 0, benchEvents, l.Apply)
		return err
	})
}
