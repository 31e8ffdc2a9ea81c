package bus_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
)

func need(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: these tests run on the real thing, make test brings it", name)
	}
	return v
}

func brokers(t testing.TB) []string { return strings.Split(need(t, "KAFKA_BROKERS"), ",") }

// database makes a database of the test's own with the readers' tables.
func database(t testing.TB) *pgxpool.Pool {
	t.Helper()
	url := need(t, "DATABASE_URL")
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	name := "bus_" + strings.ReplaceAll(id.Random().String(), "-", "")
	if _, err := admin.Exec(ctx, "create database "+name); err != nil {
		t.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Database = name
	config.MaxConns = 32
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		if _, err := admin.Exec(ctx, "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
		_ = admin.Close(ctx)
	})
	db := stdlib.OpenDBFromPool(pool)
	files, err := fs.Sub(bus.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, db, files)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := provider.Up(ctx); err != nil {
		t.Fatal(err)
	}
	return pool
}

// world is a log, mostly of one partition, its topic and a database that reads it.
type world struct {
	t      testing.TB
	log    *esmem.Log
	client *kafka.Client
	topic  string
	pool   *pgxpool.Pool
	mu     sync.Mutex

	brokers []string // where not those of all
}

func begin(t testing.TB) *world { return beginOf(t, 1) }

func beginOf(t testing.TB, partitions int) *world {
	t.Helper()
	w := &world{
		t: t, log: esmem.New(partitions, time.Now), client: bus.NewClient(brokers(t), nil), topic: "test." + id.Random().String(), pool: database(t),
	}
	w.create()
	t.Cleanup(func() { w.drop() })
	return w
}

func (w *world) create() {
	w.t.Helper()
	if err := bus.Ensure(context.Background(), w.client, bus.Topic{Name: w.topic, Partitions: w.log.Partitions()}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) drop() {
	_, _ = w.client.DeleteTopics(context.Background(), &kafka.DeleteTopicsRequest{Topics: []string{w.topic}}) // it may be gone
}

// append stores events of these streams and types, given as "root:type" or "root/child:type", perhaps with a space and more.
func (w *world) append(events ...string) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	parts := map[es.Partition][]string{}
	for _, e := range events {
		p := es.PartitionOf(streamOf(e), w.log.Partitions())
		parts[p] = append(parts[p], e)
	}
	for p, events := range parts {
		w.appendTo(p, events)
	}
}

func streamOf(event string) es.Stream {
	name, _, _ := strings.Cut(event, ":")
	root, child, _ := strings.Cut(name, "/")
	stream := es.StreamOf(id.Derive([]byte(root)))
	if child != "" {
		stream = stream.Child(id.Derive([]byte(child)))
	}
	return stream
}

func (w *world) appendTo(p es.Partition, events []string) {
	w.t.Helper()
	ctx := context.Background()
	s, err := w.log.Session(ctx, p)
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	tail, err := w.log.Tail(ctx, p)
	if err != nil {
		w.t.Fatal(err)
	}
	batch := &es.Batch{Tail: tail}
	chain, versions := tail.Chain, map[es.Stream]es.Version{}
	at := time.Now().UTC().Truncate(time.Microsecond)
	for i, e := range events {
		_, typ, _ := strings.Cut(e, ":")
		typ, _, _ = strings.Cut(typ, " ")
		stream := streamOf(e)
		if _, known := versions[stream]; !known {
			found, err := s.Load(ctx, &es.Want{After: tail.Position, Streams: []es.WantStream{{Stream: stream}}})
			if err != nil {
				w.t.Fatal(err)
			}
			versions[stream] = es.Version(len(found.Events))
		}
		versions[stream]++
		event := id.Random()
		r := es.Record{
			Partition: p, Position: tail.Position + es.Position(i) + 1, ID: event, Stream: stream, Version: versions[stream], Command: id.Random(),
			Type: typ, Data: []byte(e), Meta: es.EncodeMeta(es.Meta{ID: event, Hash: [32]byte{1}}), At: at,
		}
		chain = es.NextChain(chain, &r)
		r.Chain = chain
		batch.Records = append(batch.Records, r)
	}
	if _, err := s.Append(ctx, batch); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) relay() *bus.Relay {
	return &bus.Relay{
		Client: w.client, Log: w.log, Topic: w.topic, Source: "/test",
		Alarm: func(_ es.Partition, err error) { w.t.Logf("relay: %v", err) },
		Connect: func(ctx context.Context) (*pgx.Conn, error) {
			return pgx.ConnectConfig(ctx, w.pool.Config().ConnConfig)
		},
	}
}

// run runs something until the test, or stop, ends it.
func run(t testing.TB, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f(ctx) }() // ends with ctx
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

// await waits for a condition that signals drive; it fails long before the test's own limit.
func await(t testing.TB, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(15 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// onTopic reads the positions that stand on the topic, in order; none while its leader is not known yet.
func (w *world) onTopic() []es.Position {
	w.t.Helper()
	positions, err := bus.Positions(context.Background(), w.client, w.topic, 0)
	if err != nil {
		w.t.Logf("topic: %v", err)
		return nil
	}
	return positions
}

// inOrder checks 1..n without a hole; repeats may follow a step back.
func inOrder(t testing.TB, positions []es.Position, n es.Position) {
	t.Helper()
	var newest es.Position
	for _, p := range positions {
		if p > newest+1 {
			t.Fatalf("position %d follows %d on the topic", p, newest)
		}
		newest = max(newest, p)
	}
	if newest != n {
		t.Fatalf("the topic ends at %d, the log at %d", newest, n)
	}
}

// once checks 1..n, each once: the epoch of a relay's producer ends with the relay, and the next goes on behind what it finds.
func once(t testing.TB, positions []es.Position, n es.Position) {
	t.Helper()
	inOrder(t, positions, n)
	if len(positions) != int(n) {
		t.Errorf("%d records stand on the topic for %d events", len(positions), n)
	}
}

// ways of the types that these tests use.
var ways = map[string]bus.Way{
	"one": bus.InOrder, "two": bus.InOrder, "three": bus.InOrder, "four": bus.InOrder, "poison": bus.InOrder, "withdrawn": bus.Overtaking,
	"agreed": bus.Abreast, "wrong": bus.Abreast, "x": bus.InOrder,
}

// collector is a reader that writes down what it handled.
type collector struct {
	mu     sync.Mutex
	events []string
	count  map[es.Position]int
}

func (c *collector) add(e *bus.Received) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.count == nil {
		c.count = map[es.Position]int{}
	}
	c.count[e.Position]++
	c.events = append(c.events, string(e.Data))
}

func (c *collector) list() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.events...)
}

func (w *world) feed(reader string, take func(context.Context, *bus.Checkpoint, []bus.Received) error) *bus.Feed {
	where := w.brokers
	if where == nil {
		where = brokers(w.t)
	}
	return &bus.Feed{
		Client: w.client, Brokers: where, Pool: w.pool, Reader: reader, Group: reader + w.topic, Topics: []string{w.topic}, Take: take,
		Alarm: func(_ string, _ es.Partition, err error) { w.t.Logf("feed: %v", err) },
		Refetch: func(ctx context.Context, _ string, p es.Partition, after, upTo es.Position, visit func(es.Incarnation, *es.Record) error) error {
			tail, err := w.log.Tail(ctx, p)
			if err != nil {
				return err
			}
			_, err = w.log.Scan(ctx, p, after, int(upTo-after), func(r *es.Record) error { c := *r; return visit(tail.Incarnation, &c) })
			return err
		},
	}
}

func TestRelayKilledUnderLoad(t *testing.T) {
	t.Parallel()
	times := 10
	if os.Getenv("OBOLE_TORTURE") == "full" {
		times = 100
	}
	w := begin(t)
	ctx := context.Background()
	if _, err := w.pool.Exec(ctx, `create table effect (position bigint primary key, nth bigserial)`); err != nil {
		t.Fatal(err)
	}
	run(t, w.feed("effects", bus.Table(w.pool, func(ctx context.Context, tx pgx.Tx, events []bus.Received) error {
		for _, e := range events {
			if _, err := tx.Exec(ctx, `insert into effect (position) values ($1)`, int64(e.Position)); err != nil {
				return err
			}
		}
		return nil
	})).Run)
	var stored atomic.Int64
	stopLoad := run(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			batch := make([]string, 1+rand.IntN(40))
			for i := range batch {
				batch[i] = fmt.Sprintf("s%d:happened", rand.IntN(5))
			}
			w.append(batch...)
			stored.Add(int64(len(batch)))
		}
		return nil
	})
	for range times {
		// The context is cut wherever the relay is: while it reads, sends, or waits for an answer.
		stop := run(t, w.relay().Run)
		time.Sleep(time.Duration(20+rand.IntN(200)) * time.Millisecond)
		stop()
	}
	stopLoad()
	run(t, w.relay().Run)
	run(t, w.relay().Run) // and a second one at the same time
	var n int64
	await(t, "all effects", func() bool {
		return w.pool.QueryRow(ctx, `select count(*) from effect`).Scan(&n) == nil && n == stored.Load()
	})
	var disorder int
	if err := w.pool.QueryRow(ctx, `select count(*) from (select position - lag(position) over (order by nth) as step from effect) s where step <> 1`).Scan(&disorder); err != nil || disorder > 0 {
		t.Fatalf("%d effects out of order, %v", disorder, err)
	}
	once(t, w.onTopic(), es.Position(stored.Load()))
	t.Logf("relay killed %d times over %d events", times, n)
}

func TestTopicEmptiedOrRecreatedIsRefilled(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.append("a:one", "b:one", "a:two")
	run(t, w.relay().Run)
	await(t, "the first three", func() bool { return len(w.onTopic()) == 3 })
	ctx := context.Background()

	var c collector
	reaction := &bus.Reaction{Name: "late", Pool: w.pool, Types: ways, Handle: func(_ context.Context, e *bus.Received) error { c.add(e); return nil }}
	run(t, w.feed("late", reaction.Take).Run)
	await(t, "the reader", func() bool { return len(c.list()) == 3 })

	w.drop()
	w.append("b:two")
	await(t, "the topic to be gone", func() bool {
		m, err := w.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{w.topic}})
		return err == nil && len(m.Topics) == 1 && m.Topics[0].Error != nil
	})
	w.create()
	w.append("b:three")
	await(t, "the topic to be refilled", func() bool {
		p, err := bus.Positions(ctx, w.client, w.topic, 0)
		// A new topic takes what a producer of the old one sends, which the relay then sees: that comes before the first.
		return err == nil && len(p) >= 5 && slices.Equal(p[len(p)-5:], []es.Position{1, 2, 3, 4, 5})
	})
	await(t, "the reader to go on", func() bool { return len(c.list()) == 5 })
	for p, n := range c.count {
		if n != 1 {
			t.Errorf("position %d was handled %d times", p, n)
		}
	}
}

func TestForeignRecordsAreCountedAndGapsFilled(t *testing.T) {
	t.Parallel()
	w := begin(t)
	ctx := context.Background()
	w.append("a:one", "a:two", "a:three", "a:four")
	// A relay that does not see the log's beginning stands for a topic that has lost its own.
	r := w.relay()
	r.Log = late{w.log, 3}
	stop := run(t, r.Run)
	await(t, "the topic", func() bool { return len(w.onTopic()) == 1 })
	stop()
	if _, err := w.client.Produce(ctx, &kafka.ProduceRequest{
		Topic: w.topic, RequiredAcks: kafka.RequireAll,
		Records: kafka.NewRecordReader(
			kafka.Record{Value: kafka.NewBytes([]byte("what is this"))},
			kafka.Record{Key: kafka.NewBytes([]byte("k")), Headers: []kafka.Header{{Key: "obole", Value: []byte{1, 2}}, {Key: "ce_type", Value: []byte("x")}}},
		),
	}); err != nil {
		t.Fatal(err)
	}
	var c collector
	var foreign, gaps atomic.Int32
	reaction := &bus.Reaction{Name: "gap", Pool: w.pool, Types: ways, Handle: func(_ context.Context, e *bus.Received) error { c.add(e); return nil }}
	f := w.feed("gap", reaction.Take)
	f.Passed = func(_, why string) {
		switch why {
		case "foreign":
			foreign.Add(1)
		case "gap":
			gaps.Add(1)
		}
	}
	run(t, f.Run)
	await(t, "all four", func() bool { return len(c.list()) == 4 && foreign.Load() == 2 })
	if got := strings.Join(c.list(), " "); got != "a:one a:two a:three a:four" || gaps.Load() != 1 {
		t.Errorf("%s, %d gaps", got, gaps.Load())
	}
}

// late is a log whose first events cannot be scanned.
type late struct {
	*esmem.Log
	from es.Position
}

func (l late) Scan(ctx context.Context, p es.Partition, after es.Position, limit int, visit func(*es.Record) error) (int, error) {
	return l.Log.Scan(ctx, p, max(after, l.from), limit, visit)
}

func TestAnAlteredEventIsFound(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.append("a:one", "a:two")
	// The relay publishes what somebody has altered in the database; the chain tells.
	w.log.Tamper(0, 2, func(r *es.Record) { r.Data = []byte("a:xxx") })
	run(t, w.relay().Run)
	found := make(chan error, 16)
	var c collector
	reaction := &bus.Reaction{Name: "watch", Pool: w.pool, Types: ways, Handle: func(_ context.Context, e *bus.Received) error { c.add(e); return nil }}
	f := w.feed("watch", reaction.Take)
	f.Refetch = nil
	f.Alarm = func(_ string, _ es.Partition, err error) {
		select {
		case found <- err:
		default:
		}
	}
	run(t, f.Run)
	select {
	case err := <-found:
		if !errors.Is(err, bus.ErrChain) {
			t.Fatal(err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody noticed")
	}
	for _, e := range c.list() {
		if e == "a:xxx" {
			t.Error("the altered event was handled")
		}
	}
}

func TestARelayThatFindsTheTopicAheadStops(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.append("a:one", "a:two", "a:three")
	stop := run(t, w.relay().Run)
	await(t, "the topic", func() bool { return len(w.onTopic()) == 3 })
	stop()
	older := &world{t: t, log: esmem.New(1, time.Now), client: w.client, topic: w.topic, pool: w.pool}
	older.append("a:one")
	ahead := make(chan es.Position, 16)
	r := older.relay()
	r.Ahead = func(_ es.Partition, p es.Position, _ id.ID) {
		select {
		case ahead <- p:
		default:
		}
	}
	run(t, r.Run)
	select {
	case p := <-ahead:
		if p != 3 {
			t.Fatalf("the topic is said to be at %d", p)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("nobody noticed")
	}
	if n := len(w.onTopic()); n != 3 {
		t.Errorf("%d events on the topic after all", n)
	}
}
