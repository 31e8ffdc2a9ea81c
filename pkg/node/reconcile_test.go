package node_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/es/estest"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/node"
	"github.com/obole-market/obole/pkg/projection"
)

const partitions = 2

func need(t *testing.T, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: these tests run on the real thing, make test brings it", name)
	}
	return v
}

func brokers(t *testing.T) []string {
	t.Helper()
	return strings.Split(need(t, "KAFKA_BROKERS"), ",")
}

// house is one service's log, its topic, and another service that reads it.
type house struct {
	t      *testing.T
	config boot.Config
	client *kafka.Client
	topic  string
	reader *pgxpool.Pool
}

func open(t *testing.T) *house {
	t.Helper()
	h := &house{t: t, config: boot.Config{
		Service: "test", Partitions: partitions, Telemetry: boot.TelemetryConfig{Level: "warn", Format: "text"},
		Kafka: boot.Kafka{Brokers: brokers(t), Prefix: "test-" + id.Random().String() + "."},
		Seams: boot.Seams{Log: t.Output()},
	}}
	h.client, h.topic = bus.NewClient(h.config.Kafka.Brokers, nil), node.Topic(h.config.Kafka.Prefix, "test")
	if err := bus.Ensure(t.Context(), h.client, bus.Topic{Name: h.topic, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	h.use(h.database(""))
	if err := espg.Migrate(t.Context(), h.config.Database.URL, espg.Birth{Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	var err error
	if h.reader, err = pgxpool.New(t.Context(), h.at(h.database(""))); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(h.reader.Close)
	files, err := fs.Sub(bus.Migrations, "migrations")
	if err != nil {
		t.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectPostgres, stdlib.OpenDBFromPool(h.reader), files)
	if err == nil {
		_, err = provider.Up(t.Context())
	}
	if err != nil {
		t.Fatal(err)
	}
	h.execute(h.reader, `create table effect (partition integer, position bigint, nth bigserial, id uuid unique, primary key (partition, position))`)
	return h
}

// database makes one, as a copy of another where that is named.
func (h *house) database(of string) string {
	h.t.Helper()
	name := "node_" + strings.ReplaceAll(id.Random().String(), "-", "")
	sql := "create database " + name
	if of != "" {
		sql += " template " + of
	}
	h.admin(sql)
	h.t.Cleanup(func() { h.admin("drop database " + name + " with (force)") })
	return name
}

func (h *house) at(name string) string {
	u, err := url.Parse(need(h.t, "DATABASE_URL"))
	if err != nil {
		h.t.Fatal("DATABASE_URL is malformed")
	}
	u.Path = "/" + name
	return u.String()
}

func (h *house) admin(sql string) {
	h.t.Helper()
	ctx := context.Background() // also in cleanups
	conn, err := pgx.Connect(ctx, need(h.t, "DATABASE_URL"))
	if err != nil {
		h.t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	if _, err := conn.Exec(ctx, sql); err != nil {
		h.t.Error(err)
	}
}

// use makes a database the service's.
func (h *house) use(name string) {
	h.config.Database = boot.Database{URL: h.at(name), OwnerURL: h.at(name)}
}

func (h *house) name() string {
	u, err := url.Parse(h.config.Database.URL)
	if err != nil {
		h.t.Fatal("the database url is malformed")
	}
	return u.Path[1:]
}

func (h *house) execute(pool *pgxpool.Pool, sql string, args ...any) {
	h.t.Helper()
	if _, err := pool.Exec(h.t.Context(), sql, args...); err != nil {
		h.t.Fatal(err)
	}
}

func (h *house) pool() *pgxpool.Pool {
	h.t.Helper()
	pool, err := pgxpool.New(h.t.Context(), h.config.Database.URL)
	if err != nil {
		h.t.Fatal(err)
	}
	h.t.Cleanup(pool.Close)
	return pool
}

// one asks a database for one number.
func (h *house) one(pool *pgxpool.Pool, sql string) (n int64) {
	h.t.Helper()
	if err := pool.QueryRow(h.t.Context(), sql).Scan(&n); err != nil {
		h.t.Fatal(err)
	}
	return n
}

func run(t *testing.T, f func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = f(ctx) }() // ends with ctx
	stop = sync.OnceFunc(func() { cancel(); <-done })
	t.Cleanup(stop)
	return stop
}

func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	within(t, 30*time.Second, what, ok)
}

// within is await for what a broker's start delays.
func within(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Since(began) > most {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// tables are a projection of the service's: how many events each stream has.
func tables(pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	return projection.New(projection.Options{
		Name: "tally", Service: "test", Fold: 1, Tables: `create table tally (stream text primary key, events bigint not null)`, Pool: pool, Log: log,
		Project: func(ctx context.Context, tx pgx.Tx, records []es.Record) error {
			for i := range records {
				_, err := tx.Exec(ctx, `insert into tally as t values ($1, 1) on conflict (stream) do update set events = t.events + 1`, string(records[i].Stream))
				if err != nil {
					return err
				}
			}
			return nil
		},
	})
}

// service is the house's service at work.
type service struct {
	h      *house
	log    *espg.Log
	jar    *es.Root[estest.State, estest.Command, estest.Event]
	engine *es.Engine
	pool   *pgxpool.Pool
	rows   *projection.Projection
	stops  []func()
}

func (h *house) start(relay bool) *service {
	h.t.Helper()
	ctx := h.t.Context()
	log, err := espg.Open(ctx, espg.Config{URL: h.config.Database.URL, Partitions: partitions})
	if err != nil {
		h.t.Fatal(err)
	}
	s := &service{h: h, log: log, engine: es.New(log, es.Options{Service: "test", States: 4}), pool: h.pool()}
	s.jar = es.Register(s.engine, estest.Jar())
	s.rows = tables(s.pool, log)
	if err := errors.Join(s.rows.Migrate(ctx, ""), s.rows.Open(ctx)); err != nil {
		h.t.Fatal(err)
	}
	s.stops = append(s.stops, run(h.t, s.engine.Run), run(h.t, s.rows.Run))
	if relay {
		s.publish()
	}
	return s
}

func (s *service) publish() {
	for p := range es.Partition(partitions) {
		r := &bus.Relay{
			Client: s.h.client, Log: s.log, Topic: s.h.topic, Partition: p, Source: "/obole/test",
			Connect: func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, s.h.config.Database.URL) },
			Ahead: func(p es.Partition, at es.Position, event id.ID) {
				if err := s.engine.Known(context.Background(), p, at, event); !errors.Is(err, es.ErrIncarnation) {
					s.h.t.Errorf("the topic is ahead, and the engine says %v", err)
				}
			},
			Alarm: func(_ es.Partition, err error) { s.h.t.Logf("relay: %v", err) },
		}
		s.stops = append(s.stops, run(s.h.t, r.Run))
	}
}

func (s *service) stop() {
	for _, stop := range s.stops {
		stop()
	}
	s.pool.Close()
	s.log.Close()
}

// put stores events and gives their commands.
func (s *service) put(n int) (commands []es.Command[estest.Command]) {
	s.h.t.Helper()
	for range n {
		c := es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: es.StreamOf(id.Random()), Amounts: []int64{1}}}}
		if _, err := s.jar.Do(s.h.t.Context(), c); err != nil {
			s.h.t.Fatal(err)
		}
		commands = append(commands, c)
	}
	return commands
}

// read is the other service: it writes down what happened, once and in order.
func (h *house) read() {
	f := &bus.Feed{
		Client: h.client, Brokers: h.config.Kafka.Brokers, Pool: h.reader, Reader: "effects", Group: h.topic, Topics: []string{h.topic},
		Take: bus.Table(h.reader, func(ctx context.Context, tx pgx.Tx, events []bus.Received) error {
			for i := range events {
				e := &events[i]
				if _, err := tx.Exec(ctx, `insert into effect (partition, position, id) values ($1, $2, $3)`, int32(e.Partition), int64(e.Position), [16]byte(e.ID)); err != nil {
					return err
				}
			}
			return nil
		}),
		Alarm: func(_ string, p es.Partition, err error) { h.t.Errorf("the reader of partition %d: %v", p, err) },
	}
	run(h.t, f.Run)
}

func (h *house) heard(n int64) {
	h.t.Helper()
	await(h.t, fmt.Sprintf("%d events at the reader", n), func() bool { return h.one(h.reader, `select count(*) from effect`) == n })
	if disorder := h.one(h.reader, `select count(*) from (select position - lag(position) over (partition by partition order by nth) as step from effect) s where step <> 1`); disorder > 0 {
		h.t.Errorf("%d events came out of order", disorder)
	}
}

func (h *house) check(reconcile bool) error {
	c := h.config
	c.Reconcile = reconcile
	err := node.Check(h.t.Context(), &c, func(k node.Checked) error {
		for p := range k.Log.Partitions() {
			if _, err := es.Fsck(h.t.Context(), k.Log, es.Partition(p), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return node.Tables(h.t.Context(), &c, []node.Rows{tables}, node.Verify(h.t.Context(), &c))
}

// TestAnOlderCopyIsMadeWhole: a database is restored from an older copy while the topic is ahead. The writer refuses and says
// what to run; that restores from the topic what was lost, sets aside what was stored in its place, and begins a new life;
// readers go on, with nothing applied twice or skipped.
func TestAnOlderCopyIsMadeWhole(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.read()
	first := h.start(true)
	first.put(50)
	h.heard(50)
	first.stop()
	original := h.name()
	older := h.database(original)
	second := h.start(true)
	lost := second.put(40)
	h.heard(90)
	second.stop()
	if err := h.check(false); err != nil {
		t.Fatalf("before anything happened: %v", err)
	}
	whole := h.pool()

	h.use(older)
	restored := h.start(false)
	restored.put(5) // before anybody could know
	restored.publish()
	await(t, "the writers to refuse", func() bool {
		for range 8 {
			_, err := restored.jar.Do(t.Context(), es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Bad: es.StreamOf(id.Random())}})
			if !errors.Is(err, es.ErrIncarnation) {
				return false // stored nothing: the log cannot hold it
			}
			if !strings.Contains(err.Error(), "fsck --reconcile") {
				t.Fatalf("the writer does not say what to run: %v", err)
			}
		}
		return true
	})
	restored.stop()
	if err := h.check(false); !errors.Is(err, node.ErrLost) || !strings.Contains(err.Error(), "fsck --reconcile") {
		t.Fatalf("fsck says %v", err)
	}
	if err := h.check(true); err != nil {
		t.Fatal(err)
	}
	pool := h.pool()
	const all = `select count(*) * 1000000007 + sum(hashtextextended(e::text, 7) % 1000003)::bigint from event e`
	if h.one(pool, all) != h.one(whole, all) {
		t.Error("the log is not what it was")
	}
	if n := h.one(pool, `select count(*) from set_aside`); n != 5 {
		t.Errorf("%d events were set aside, 5 were stored in places that were taken", n)
	}
	lives := h.one(pool, `select count(*) from partition`)
	if err := h.check(true); err != nil || lives != 2*partitions || h.one(pool, `select count(*) from partition`) != lives {
		t.Errorf("done twice: %v, %d lives", err, lives)
	}

	after := h.start(true)
	for _, c := range lost {
		if r, err := after.jar.Do(t.Context(), c); err != nil || !r.Repeated {
			t.Fatalf("a command whose events came back is done anew: %+v, %v", r, err)
		}
	}
	after.put(30)
	h.heard(120)
	after.stop()
	if err := h.check(false); err != nil {
		t.Error(err)
	}
}

// TestAnotherServerIsRefused: a log that was carried to another server, or whose server was promoted, is written to only after
// a new life has begun there.
func TestAnotherServerIsRefused(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.read()
	first := h.start(true)
	first.put(20)
	h.heard(20)
	first.stop()
	pool := h.pool()
	h.execute(pool, `update partition set timeline = timeline + 1`)
	moved := h.start(true)
	_, err := moved.jar.Do(t.Context(), es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: es.StreamOf(id.Random()), Amounts: []int64{1}}}})
	if !errors.Is(err, es.ErrIncarnation) {
		t.Errorf("on another timeline: %v", err)
	}
	if err := h.check(false); !errors.Is(err, node.ErrLost) {
		t.Errorf("fsck says %v", err)
	}
	if err := h.check(true); err != nil {
		t.Fatal(err)
	}
	moved.put(20) // the process went on all the time
	h.heard(40)
}

// TestALogIsHadFromItsTopic: the database is gone altogether.
func TestALogIsHadFromItsTopic(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.read()
	first := h.start(true)
	first.put(30)
	h.heard(30)
	first.stop()
	h.use(h.database(""))
	if err := espg.Migrate(t.Context(), h.config.Database.URL, espg.Birth{Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	h.start(false).stop() // makes the tables
	if err := h.check(true); err != nil {
		t.Fatal(err)
	}
	again := h.start(true)
	again.put(10)
	h.heard(40)
	again.stop()
	if err := h.check(false); err != nil {
		t.Error(err)
	}
}

// TestAFlippedByteInTheDatabase is found by fsck and by the first who reads it: the tables, and the readers of the topic. So is one that is
// flipped on the topic alone.
func TestAFlippedByteInTheDatabase(t *testing.T) {
	t.Parallel()
	h := open(t)
	first := h.start(false)
	on := es.StreamOf(id.Random())
	for range 3 {
		c := es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: on, Amounts: []int64{1}}}}
		if _, err := first.jar.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	part := es.PartitionOf(on, partitions)
	await(t, "the tables", func() bool { return first.rows.Seen(part) == 3 })
	first.stop()
	pool := h.pool()
	flip := func() {
		h.execute(pool, `update event set data = set_byte(data, 5, get_byte(data, 5) # 1) where partition = $1 and position = 2`, int32(part))
	}
	flip()
	if err := h.check(false); !errors.Is(err, es.ErrChain) {
		t.Errorf("fsck says %v", err)
	}
	log, err := espg.Open(t.Context(), espg.Config{URL: h.config.Database.URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	rows := tables(pool, log)
	if err := rows.Rebuild(t.Context()); !errors.Is(err, es.ErrChain) {
		t.Errorf("rebuilding the tables: %v", err)
	}
	second := h.start(true) // publishes it
	found := make(chan error, 64)
	f := &bus.Feed{
		Client: h.client, Brokers: h.config.Kafka.Brokers, Pool: h.reader, Reader: "watch", Group: h.topic + "watch", Topics: []string{h.topic},
		Take: bus.Table(h.reader, func(context.Context, pgx.Tx, []bus.Received) error { return nil }),
		Alarm: func(_ string, p es.Partition, err error) {
			select {
			case found <- err:
			default:
			}
		},
	}
	run(t, f.Run)
	for noticed := false; !noticed; {
		select {
		case err := <-found:
			noticed = errors.Is(err, bus.ErrChain)
			t.Log(err)
		case <-time.After(30 * time.Second):
			t.Fatal("the reader did not notice")
		}
	}
	second.stop()
	flip() // back; what is on the topic stays
	if err := h.check(false); !errors.Is(err, bus.ErrAltered) || errors.Is(err, es.ErrChain) {
		t.Errorf("a byte is flipped on the topic, and fsck says %v", err)
	}
}
