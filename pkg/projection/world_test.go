package projection_test

import (
	"context"
	"encoding/binary"
	"errors"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
)

// world is a log in memory, and a database for projections of it.
type world struct {
	tb   testing.TB
	log  *esmem.Log
	pool *pgxpool.Pool
	mu   sync.Mutex
}

func begin(tb testing.TB, partitions int) *world {
	tb.Helper()
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		tb.Fatal("DATABASE_URL is not set: this test needs a real PostgreSQL; run it with `make test`")
	}
	ctx := context.Background() // also in cleanups
	admin, err := pgx.Connect(ctx, url)
	if err != nil {
		tb.Fatal(err)
	}
	name := "projection_" + strings.ReplaceAll(id.Random().String(), "-", "")
	if _, err := admin.Exec(ctx, "create database "+name); err != nil {
		tb.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		tb.Fatal(err)
	}
	config.ConnConfig.Database = name
	config.MaxConns = 16
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		pool.Close()
		if _, err := admin.Exec(ctx, "drop database "+name+" with (force)"); err != nil {
			tb.Error(err)
		}
		_ = admin.Close(ctx) // nothing is pending
	})
	return &world{tb: tb, log: esmem.New(partitions, time.Now), pool: pool}
}

// append stores events on a partition: each adds an amount to one of its streams.
func (w *world) append(part es.Partition, amounts ...int64) es.Cursor {
	w.tb.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	ctx := context.Background()
	s, err := w.log.Session(ctx, part)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer func() { _ = s.Close() }() // nothing is pending
	tail, err := w.log.Tail(ctx, part)
	if err != nil {
		w.tb.Fatal(err)
	}
	b := &es.Batch{Tail: tail}
	chain, at := tail.Chain, time.Now().UTC().Truncate(time.Microsecond)
	for i, amount := range amounts {
		position := tail.Position + es.Position(i) + 1
		r := es.Record{
			Position: position, ID: id.Random(), Stream: es.StreamOf(id.Derive([]byte{byte(part), byte(position % 7)})),
			Version: es.Version(position+6) / 7, Command: id.Random(), Type: "put", Data: binary.AppendVarint(nil, amount), At: at,
		}
		if position%7 == 0 {
			r.Version = es.Version(position / 7)
		}
		r.Meta = es.EncodeMeta(es.Meta{ID: r.ID, Hash: [32]byte{1}})
		r.Chain = es.NextChain(chain, &r)
		chain = r.Chain
		b.Records = append(b.Records, r)
	}
	if _, err := s.Append(ctx, b); err != nil {
		w.tb.Fatal(err)
	}
	return es.Cursor{Service: "test", Incarnation: tail.Incarnation, Partition: part, Position: tail.Position + es.Position(len(amounts))}
}

const tables = `
create table total (stream text primary key, events bigint not null, amount bigint not null);
create table deadline (stream text, kind text, due timestamptz, primary key (stream, kind));`

// totals folds a batch before it is written: one statement, one row a stream.
func totals(ctx context.Context, tx pgx.Tx, records []es.Record) error {
	streams, events, amounts := []string{}, []int64{}, []int64{}
	at := map[es.Stream]int{}
	for i := range records {
		r := &records[i]
		amount, _ := binary.Varint(r.Data)
		n, known := at[r.Stream]
		if !known {
			n = len(streams)
			at[r.Stream] = n
			streams, events, amounts = append(streams, string(r.Stream)), append(events, 0), append(amounts, 0)
		}
		events[n]++
		amounts[n] += amount
	}
	_, err := tx.Exec(ctx, `
		insert into total as t select * from unnest($1::text[], $2::bigint[], $3::bigint[])
		on conflict (stream) do update set events = t.events + excluded.events, amount = t.amount + excluded.amount`, streams, events, amounts)
	return err
}

func (w *world) options() projection.Options {
	return projection.Options{
		Name: "tally", Service: "test", Fold: 1, Tables: tables, Pool: w.pool, Log: w.log, Project: totals, Batch: 50,
		Alarm: func(p es.Partition, err error) { w.tb.Logf("partition %d: %v", p, err) },
	}
}

// open makes the tables and a projection that is ready to run.
func (w *world) open(o projection.Options) *projection.Projection {
	w.tb.Helper()
	p := projection.New(o)
	ctx := context.Background()
	if err := errors.Join(p.Migrate(ctx, ""), p.Open(ctx)); err != nil {
		w.tb.Fatal(err)
	}
	return p
}

// run runs something until the test, or stop, ends it.
func run(tb testing.TB, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f(ctx) }() // ends with ctx
	stop = sync.OnceFunc(func() { cancel(); <-done })
	tb.Cleanup(stop)
	return stop
}

func (w *world) total() (events, amount int64) {
	w.tb.Helper()
	err := w.pool.QueryRow(context.Background(), `select coalesce(sum(events), 0), coalesce(sum(amount), 0) from tally.total`).Scan(&events, &amount)
	if err != nil {
		w.tb.Fatal(err)
	}
	return events, amount
}

func (w *world) wait(p *projection.Projection, c es.Cursor) {
	w.tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := p.Wait(ctx, c); err != nil {
		w.tb.Fatal(err)
	}
}

func amounts(n int) []int64 {
	out := make([]int64, n)
	for i := range out {
		out[i] = int64(i + 1)
	}
	return out
}
