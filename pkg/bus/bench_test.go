package bus_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"testing"
	"text/tabwriter"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/id"
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
	measures := []struct {
		name   string
		before func()
		run    func() // benchEvents events
		of     string
		bar    float64
	}{
		{"reading the log alone", nil, h.scan, "", 0},
		{"relay, log to topic", h.fresh, h.relay, "reading the log alone", 0.5},
		{"kafka-go's Batch.ReadMessage", nil, h.messages, "", 0},
		{"walk of the topic", nil, h.walk, "kafka-go's Batch.ReadMessage", 1.5},
		{"walk of the topic, positions and chain checked", nil, h.checked, "kafka-go's Batch.ReadMessage", 1.5},
	}
	took := make(map[string][]time.Duration)
	for range benchRounds {
		for _, m := range measures {
			if m.before != nil {
				m.before()
			}
			began := time.Now()
			m.run()
			took[m.name] = append(took[m.name], time.Since(began))
		}
	}
	rate := func(name string) float64 {
		return benchEvents / slices.Sorted(slices.Values(took[name]))[benchRounds/2].Seconds()
	}
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "path\tevents/s\tagainst\tratio\tbar")
	for _, m := range measures {
		fmt.Fprintf(w, "%s\t%.0f\t", m.name, rate(m.name))
		if m.of == "" {
			fmt.Fprintln(w, "\t\t")
			continue
		}
		fmt.Fprintf(w, "%s\t%.2f\t>= %.2f\n", m.of, rate(m.name)/rate(m.of), m.bar)
	}
	if err := w.Flush(); err != nil {
		b.Fatal(err)
	}
}

// bench is a log of benchEvents events of about 300 bytes, and a world with the topic to which it was published last.
type bench struct {
	b   *testing.B
	w   *world
	log *espg.Log
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
	data := make([]byte, 250)
	_, _ = rand.Read(data) // never fails
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
				Command: id.Random(), Type: "delivery_settled", Data: data, At: at,
			}
			r.Meta = es.EncodeMeta(es.Meta{ID: r.ID, Hash: [32]byte{1}})
			r.Chain = es.NextChain(chain, r)
			chain = r.Chain
		}
		if _, err := s.Append(ctx, batch); err != nil {
			b.Fatal(err)
		}
	}
	return &bench{b: b, w: w, log: log}
}

func (h *bench) scan() {
	n, err := h.log.Scan(h.b.Context(), 0, 0, benchEvents, func(*es.Record) error { return nil })
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

func (h *bench) checked() {
	lives, err := h.log.Lives(h.b.Context(), 0)
	if err != nil {
		h.b.Fatal(err)
	}
	c := es.Checker{Lives: lives}
	err = bus.Walk(h.b.Context(), h.w.client, h.w.topic, 0, func(r *bus.Received) error { return c.Check(&r.Record) })
	if err != nil || c.Position != benchEvents {
		h.b.Fatal(c.Position, err)
	}
}
