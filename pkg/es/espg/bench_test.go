package espg_test

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/figure"
	"github.com/obole-market/obole/pkg/id"
)

// BenchmarkPaths prints the table of docs/performance.md for the log: every path beside its limit, in one run,
// interleaved, medians of five rounds. Run it with
//
//	go test -run '^$' -bench Paths -benchtime 1x ./pkg/es/espg
func BenchmarkPaths(b *testing.B) {
	for b.Loop() {
		paths(b)
	}
}

// partitions on two cores: more writers only divide the batches.
const partitions = 2

func paths(b *testing.B) {
	const (
		span = 1200 * time.Millisecond

		bare32, bare128   = "bare loop of the append, batches of 32", "bare loop of the append, batches of 128"
		cold, own         = "engine, 64 callers, a new stream each command", "engine, 64 callers, streams of their own"
		outbox, underLock = "usual transaction with outbox, 64 callers", "the same under an advisory lock, 64 callers"
	)
	h := newHarness(b)
	within := func(run func(context.Context) float64) func() float64 {
		return func() float64 {
			ctx, cancel := context.WithTimeout(b.Context(), span)
			defer cancel()
			return run(ctx)
		}
	}
	err := figure.Race(os.Stdout, []figure.Path{
		{Name: bare32, Run: within(h.bare(64 / partitions))},
		{Name: cold, Run: within(h.engine(64, h.fresh)), Bars: []figure.Bar{
			{Of: bare32, AtLeast: 0.65}, {Of: outbox, AtLeast: 10}, {Of: underLock, AtLeast: 30},
		}},
		{Name: bare128, Run: within(h.bare(256 / partitions))},
		{Name: "engine, 256 callers, a new stream each command", Run: within(h.engine(256, h.fresh)), Bars: []figure.Bar{{Of: bare128, AtLeast: 0.55}}},
		{Name: outbox, Run: within(h.usual(64, false))},
		{Name: underLock, Run: within(h.usual(64, true))},
		{Name: own, Run: within(h.engine(64, h.own)), Bars: []figure.Bar{{Of: bare32}}},
		{Name: "engine, 64 callers, one hot stream", Run: within(h.engine(64, h.hot)), Bars: []figure.Bar{{Of: cold, AtLeast: 0.9}, {Of: own}}},
	})
	if err != nil {
		b.Fatal(err)
	}
}

type harness struct {
	b    *testing.B
	url  string
	jars *es.Root[tally, push, push]
	one  es.Stream
	// The usual way, for comparison.
	pool *pgxpool.Pool
}

// tally, push and their rules cost next to nothing: what is measured is the path.
type tally struct{ n int64 }

type push struct {
	on   es.Stream
	data []byte
	new  bool // the stream
}

func newHarness(b *testing.B) *harness {
	h := &harness{b: b, url: database(b, partitions), one: es.StreamOf(id.Random())}
	log, err := espg.Open(b.Context(), espg.Config{URL: h.url, Partitions: partitions})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(log.Close)
	e := es.New(log, es.Options{Service: "bench", Hooks: es.Hooks{Alarm: func(_ es.Partition, err error) { b.Error(err) }}})
	h.jars = es.Register(e, es.Rules[tally, push, push]{
		Name: "tally", Fold: 1,
		Streams: func(p push) []es.Stream { return []es.Stream{p.on} },
		Creates: func(p push) (es.Stream, bool) { return p.on, p.new },
		Decide: func(state func(es.Stream) tally, p push, _ time.Time) ([]es.Entry[push], error) {
			_ = state(p.on)
			return []es.Entry[push]{{Stream: p.on, Event: p}}, nil
		},
		Evolve: func(s tally, _ es.Stream, _ es.Entry[push]) tally { return tally{s.n + 1} },
		Encode: func(p push, _ *es.Header, _ any) (string, []byte, error) { return "pushed", p.data, nil },
		Decode: func(r *es.Record, _ any) (push, error) { return push{on: r.Stream, data: r.Data}, nil },
		// As every root with long streams has it.
		EncodeState: func(s tally, _ es.Stream, _ any) ([]byte, error) { return binary.AppendVarint(nil, s.n), nil },
		DecodeState: func(b []byte, _ es.Stream, _ any) (tally, error) {
			n, _ := binary.Varint(b)
			return tally{n}, nil
		},
	})
	run(b, e)
	if h.pool, err = pgxpool.New(b.Context(), h.url+"&pool_max_conns=64"); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(h.pool.Close)
	_, err = h.pool.Exec(b.Context(), `
		create table aggregate (id text collate "C" primary key, version bigint not null);
		create table usual (position bigserial primary key, stream text collate "C" not null, version bigint not null,
			command uuid not null, type text not null, data bytea not null, at timestamptz not null default now(),
			unique (stream, version), unique (command));
		create table outbox (id bigserial primary key, stream text not null, data bytea not null)`)
	if err != nil {
		b.Fatal(err)
	}
	return h
}

// payload is what a small event of the market has: 200 bytes.
func payload() []byte {
	b := make([]byte, 200)
	_, _ = rand.Read(b) // never fails
	return b
}

// fresh streams: each command creates one, and says so.
func (h *harness) fresh(int) func() push {
	return func() push { return push{on: es.StreamOf(id.Random()), new: true} }
}

// own streams: one per caller, held after the first command.
func (h *harness) own(int) func() push {
	s := es.StreamOf(id.Random())
	return func() push { return push{on: s} }
}

// hot is one stream for all.
func (h *harness) hot(int) func() push {
	return func() push { return push{on: h.one} }
}

func (h *harness) engine(callers int, commands func(int) func() push) func(context.Context) float64 {
	return h.drive(callers, func(i int) func(context.Context) error {
		next, data := commands(i), payload()
		return func(ctx context.Context) error {
			p := next()
			p.data = data
			_, err := h.jars.Do(context.WithoutCancel(ctx), es.Command[push]{ID: id.Random(), Body: p})
			return err
		}
	})
}

// drive runs callers until ctx is done and returns how often a second they came round.
func (h *harness) drive(callers int, each func(i int) func(context.Context) error) func(context.Context) float64 {
	return func(ctx context.Context) float64 {
		var (
			wg sync.WaitGroup
			n  atomic.Int64
		)
		began := time.Now()
		for i := range callers {
			call := each(i)
			wg.Go(func() {
				for ctx.Err() == nil {
					if err := call(ctx); err != nil {
						h.b.Error(err)
						return
					}
					n.Add(1)
				}
			})
		}
		wg.Wait()
		return float64(n.Load()) / time.Since(began).Seconds()
	}
}

// bare is the same append statement in a loop, one goroutine per partition, in a log of its own, of events made beforehand: no queue, no
// decision, no hash.
func (h *harness) bare(batch int) func(context.Context) float64 {
	log, err := espg.Open(h.b.Context(), espg.Config{URL: database(h.b, partitions), Partitions: partitions})
	if err != nil {
		h.b.Fatal(err)
	}
	h.b.Cleanup(log.Close)
	data, meta := payload(), es.EncodeMeta(es.Meta{ID: id.Random()})
	return func(ctx context.Context) float64 {
		var (
			wg sync.WaitGroup
			n  atomic.Int64
		)
		began := time.Now()
		for p := range partitions {
			wg.Go(func() {
				s, err := log.Session(ctx, es.Partition(p))
				if err != nil {
					h.b.Error(err)
					return
				}
				defer s.Close()
				found, err := s.Load(ctx, &es.Want{})
				if err != nil {
					h.b.Error(err)
					return
				}
				tail := found.Tail
				records := make([]es.Record, batch)
				for ctx.Err() == nil {
					at := time.Now().UTC()
					for i := range records {
						tail.Position++
						r := &records[i]
						*r = es.Record{
							Partition: es.Partition(p), Position: tail.Position, Stream: es.StreamOf(id.Random()), Version: 1,
							Command: id.Random(), Type: "pushed", Data: data, Meta: meta, At: at,
						}
						binary.BigEndian.PutUint64(r.Chain[:], uint64(tail.Position))
					}
					b := es.Batch{Tail: found.Tail, Records: records}
					if _, err := s.Append(context.WithoutCancel(ctx), &b); err != nil {
						h.b.Error(err)
						return
					}
					tail.Chain = records[batch-1].Chain
					found.Tail = tail
					n.Add(int64(batch))
				}
			})
		}
		wg.Wait()
		return float64(n.Load()) / time.Since(began).Seconds()
	}
}

// usual is how it is mostly done: a transaction per command that locks the aggregate, inserts the event and its outbox
// row. With order, all of it happens under one lock per partition, which is what dense positions would cost so.
func (h *harness) usual(callers int, order bool) func(context.Context) float64 {
	return h.drive(callers, func(int) func(context.Context) error {
		data := payload()
		return func(ctx context.Context) error {
			ctx = context.WithoutCancel(ctx)
			stream := es.StreamOf(id.Random())
			tx, err := h.pool.Begin(ctx)
			if err != nil {
				return err
			}
			defer tx.Rollback(ctx)
			if order {
				if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(7, $1)`, int32(es.PartitionOf(stream, partitions))); err != nil {
					return err
				}
			}
			if _, err := tx.Exec(ctx, `insert into aggregate values ($1, 1) on conflict (id) do update set version = aggregate.version + 1`, stream); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `insert into usual (stream, version, command, type, data) values ($1, 1, $2, 'pushed', $3)`, stream, id.Random(), data); err != nil {
				return err
			}
			if _, err := tx.Exec(ctx, `insert into outbox (stream, data) values ($1, $2)`, stream, data); err != nil {
				return err
			}
			return tx.Commit(ctx)
		}
	})
}
