package espg_test

import (
	"bytes"
	"context"
	"errors"
	"net"
	"net/url"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/es/estest"
	"github.com/obole-market/obole/pkg/id"
)

func open(t testing.TB, url string) *espg.Log {
	t.Helper()
	log, err := espg.Open(context.Background(), espg.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(log.Close)
	return log
}

func TestSuite(t *testing.T) {
	t.Parallel()
	estest.Run(t, func(t *testing.T, n int) func() es.Log {
		url := database(t, n)
		return func() es.Log { return open(t, url) }
	})
}

// TestTheApplicationMayOnlyAppend: whatever else the application's role tries with events is refused by the database.
func TestTheApplicationMayOnlyAppend(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := empty(t)
	role := "es_" + strings.ReplaceAll(id.Random().String(), "-", "")
	execute(t, url, `create role `+role)
	t.Cleanup(func() { execute(t, server(t), `drop role `+role) })
	t.Cleanup(func() { execute(t, url, `drop owned by `+role) })
	if err := espg.Migrate(ctx, url, espg.Birth{Partitions: 1, Role: role}); err != nil {
		t.Fatal(err)
	}
	execute(t, url, `grant usage on schema public to `+role)
	conn, err := pgx.Connect(ctx, url+"&role="+role)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	if _, err := conn.Exec(ctx, `select count(*) from event`); err != nil {
		t.Errorf("the application may not read: %v", err)
	}
	for _, sql := range []string{
		`update event set data = ''`, `delete from event`, `truncate event`, `drop table event`, `alter table event add column x int`,
		`update partition set incarnation = gen_random_uuid()`, `delete from partition`, `delete from state`,
	} {
		_, err := conn.Exec(ctx, sql)
		var pg *pgconn.PgError
		if !errors.As(err, &pg) || pg.Code != "42501" {
			t.Errorf("%s: %v", sql, err)
		}
	}
}

// TestALostStateRowIsFound: a stream that others' events have changed reads as empty without its row, and what it held could be had
// twice; fsck says so.
func TestALostStateRowIsFound(t *testing.T) {
	t.Parallel()
	url := database(t, 1)
	log := open(t, url)
	e := es.New(log, es.Options{Service: "test"})
	rack := es.Register(e, estest.Rack())
	run(t, e)
	root := id.Random()
	from, to := es.StreamOf(root).Child(id.Random()), es.StreamOf(root).Child(id.Random())
	for _, body := range []estest.Command{{Put: &estest.Put{On: from, Amounts: []int64{9}}}, {Pour: &estest.Pour{From: from, To: to, Amount: 4}}} {
		if _, err := rack.Do(t.Context(), es.Command[estest.Command]{ID: id.Random(), Body: body}); err != nil {
			t.Fatal(err)
		}
	}
	refold := func() error {
		_, err := es.Refold(t.Context(), log, 0, estest.Rack(), func(*es.Record) bool { return true }, func(es.Stream) (any, error) { return nil, nil })
		return err
	}
	if err := refold(); err != nil {
		t.Fatal(err)
	}
	execute(t, url, `delete from state where stream = $1`, string(to))
	if err := refold(); !errors.Is(err, es.ErrState) {
		t.Errorf("a state's row is gone, and fsck says %v", err)
	}
	execute(t, url, `delete from state`)
	if err := refold(); err != nil {
		t.Errorf("all rows are gone, which whoever loads the root sees, and fsck says %v", err)
	}
	other := es.New(log, es.Options{Service: "test"})
	again := es.Register(other, estest.Rack())
	run(t, other)
	if s, _, err := again.State(t.Context(), to, nil); err != nil || s.Sum != 4 {
		t.Errorf("folded anew: %+v, %v", s, err)
	}
	if err := refold(); err != nil {
		t.Error(err)
	}
}

// TestALogBornOtherwiseIsRefused: the number of partitions is fixed at birth.
func TestALogBornOtherwiseIsRefused(t *testing.T) {
	t.Parallel()
	url := database(t, 2)
	if log, err := espg.Open(t.Context(), espg.Config{URL: url, Partitions: 3}); err == nil {
		log.Close()
		t.Error("opened with another number of partitions")
	}
	if err := espg.Migrate(t.Context(), url, espg.Birth{Partitions: 3}); err == nil {
		t.Error("born again with another number of partitions")
	}
}

// TestEveryWayInGoesThroughTheDialer: a server whose name nobody knows but the dialer that is given, for whoever gives birth to a log,
// reads it, writes it or makes it whole.
func TestEveryWayInGoesThroughTheDialer(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	u, err := url.Parse(empty(t))
	if err != nil {
		t.Fatal(err)
	}
	real := u.Host
	u.Host = "postgres.invalid:5432" // a name that never is one (RFC 2606)
	var calls atomic.Int32
	dial := func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != u.Host {
			t.Errorf("asked for %s", addr)
		}
		calls.Add(1)
		return new(net.Dialer).DialContext(ctx, network, real)
	}
	through := func(what string, do func() error) {
		before := calls.Load()
		if err := do(); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if calls.Load() == before {
			t.Errorf("%s asked nobody", what)
		}
	}
	through("birth", func() error { return espg.Migrate(ctx, u.String(), espg.Birth{Partitions: 1, Dial: dial}) })
	var log *espg.Log
	through("reading", func() (err error) {
		log, err = espg.Open(ctx, espg.Config{URL: u.String(), Dial: dial})
		return err
	})
	defer log.Close()
	through("writing", func() error {
		s, err := log.Session(ctx, 0)
		if err != nil {
			return err
		}
		return s.Close()
	})
	lives, err := log.Lives(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	through("making whole", func() error {
		_, err := espg.Reconcile(ctx, u.String(), 0, espg.Recovery{Life: lives[0].Incarnation, Dial: dial})
		return err
	})
}

// TestAForeignTransactionDelaysNothing: a long transaction of somebody else's hides nothing, holds nothing up, and appends cost
// the same after it.
func TestAForeignTransactionDelaysNothing(t *testing.T) {
	t.Parallel()
	long := 3 * time.Second
	if os.Getenv("OBOLE_TORTURE") == "full" {
		long = time.Minute
	}
	ctx := t.Context()
	// Two logs on one server, only the first of which has the stranger: what else the machine does hits both alike.
	type side struct {
		url    string
		log    *espg.Log
		append func() time.Duration
		stored int
	}
	begin := func() *side {
		s := &side{url: database(t, 1)}
		s.log = open(t, s.url)
		e := es.New(s.log, es.Options{Service: "test"})
		jar, hot := es.Register(e, estest.Jar()), es.StreamOf(id.Random())
		run(t, e)
		s.append = func() time.Duration {
			began := time.Now()
			soon, cancel := context.WithTimeout(ctx, 5*time.Second)
			defer cancel()
			if _, err := jar.Do(soon, es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: hot, Amounts: []int64{1}}}}); err != nil {
				t.Fatal(err)
			}
			s.stored++
			return time.Since(began)
		}
		return s
	}
	beside, without := begin(), begin()
	// during appends to both in turn, and gives the times.
	during := func(most time.Duration) (a, b []time.Duration) {
		for began := time.Now(); time.Since(began) < most; {
			a, b = append(a, beside.append()), append(b, without.append())
		}
		return a, b
	}
	during(long / 10)
	before, _ := during(long / 3)
	conn, err := pgx.Connect(ctx, beside.url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }() // rolls back
	for _, sql := range []string{`begin isolation level repeatable read`, `select count(*) from event`, `create table stranger (x int)`} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	with, control := during(long)
	if tail, err := beside.log.Tail(ctx, 0); err != nil || tail.Position != es.Position(beside.stored) {
		t.Fatalf("%d events are stored, readers see %d, %v", beside.stored, tail.Position, err)
	}
	n := 0
	if _, err := beside.log.Scan(ctx, 0, 0, 1<<30, func(*es.Record) error { n++; return nil }); err != nil || n != beside.stored {
		t.Errorf("%d of %d events are seen, %v", n, beside.stored, err)
	}
	if _, err := conn.Exec(ctx, `rollback`); err != nil {
		t.Fatal(err)
	}
	after, _ := during(long / 3)
	const noise = 25 * time.Millisecond
	if with, without := quantile(with, 0.99), quantile(control, 0.99); with > 3*without+noise {
		t.Errorf("99 of 100 appends take %v at most beside a long transaction, and %v without it", with, without)
	}
	// The fastest: what an append itself costs.
	if b, a := quantile(before, 0.1), quantile(after, 0.1); a > 2*b+time.Millisecond {
		t.Errorf("the fastest tenth of the appends takes %v at most before the transaction and %v after it", b, a)
	}
	t.Logf("99 of 100 appends within %v beside %v of a foreign transaction, %v without; half within %v and %v; %d stored",
		quantile(with, 0.99), long, quantile(control, 0.99), quantile(with, 0.5), quantile(control, 0.5), beside.stored)
}

func quantile(times []time.Duration, q float64) time.Duration {
	slices.Sort(times)
	return times[int(q*float64(len(times)-1))]
}

const (
	envChild = "OBOLE_TEST_CHILD"
	envURL   = "OBOLE_TEST_URL"
)

// TestMain lets the test binary be a process of its own that appends until it is killed, and tells what was acknowledged.
func TestMain(m *testing.M) {
	if os.Getenv(envChild) == "" {
		os.Exit(m.Run())
	}
	ctx := context.Background()
	log, err := espg.Open(ctx, espg.Config{URL: os.Getenv(envURL)})
	if err != nil {
		panic(err)
	}
	if what := os.Getenv(envChild); what != "1" {
		asChild(ctx, log, what)
	}
	e := es.New(log, es.Options{Service: "test"})
	jar := es.Register(e, estest.Jar())
	go func() { _ = e.Run(ctx) }() // the process is killed
	for range 16 {
		go func() {
			for {
				command := id.Random()
				_, err := jar.Do(ctx, es.Command[estest.Command]{ID: command, Body: estest.Command{Put: &estest.Put{On: es.StreamOf(id.Random()), Amounts: []int64{1}}}})
				if err == nil {
					_, _ = os.Stdout.WriteString(command.String() + "\n") // one write is one line
				}
			}
		}()
	}
	select {}
}

func child(t *testing.T, url string) (*exec.Cmd, *strings.Builder) {
	t.Helper()
	c := exec.CommandContext(context.Background(), os.Args[0])
	c.Env = append(os.Environ(), envChild+"=1", envURL+"="+url)
	out := new(strings.Builder)
	c.Stdout, c.Stderr = out, os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return c, out
}

// events counts what is stored.
func events(t *testing.T, url string) (n int) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(t.Context()) }() // nothing is pending
	if err := conn.QueryRow(t.Context(), `select count(*) from event`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// grows waits until more events are stored than before.
func grows(t *testing.T, url string, by int) {
	t.Helper()
	from := events(t, url)
	for began := time.Now(); events(t, url) < from+by; time.Sleep(5 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatal("nothing is stored any more")
		}
	}
}

// TestKilledUnderLoad: whatever was acknowledged is stored when the process is killed at any moment.
func TestKilledUnderLoad(t *testing.T) {
	t.Parallel()
	times := 5
	if os.Getenv("OBOLE_TORTURE") == "full" {
		times = 50
	}
	url := database(t, 2)
	log := open(t, url)
	acknowledged := map[string]bool{}
	for life := range times {
		c, out := child(t, url)
		grows(t, url, 200)
		if err := c.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = c.Wait() // killed
		lines := strings.Split(out.String(), "\n")
		if len(lines) < 2 {
			t.Errorf("life %d acknowledged nothing", life)
		}
		for _, line := range lines[:len(lines)-1] {
			acknowledged[line] = true
		}
	}
	stored := map[string]bool{}
	for p := range log.Partitions() {
		var check es.Checker
		lives, err := log.Lives(t.Context(), es.Partition(p))
		if err != nil {
			t.Fatal(err)
		}
		check.Lives = lives
		if _, err := log.Scan(t.Context(), es.Partition(p), 0, 1<<30, func(r *es.Record) error {
			stored[r.Command.String()] = true
			return check.Check(r)
		}); err != nil {
			t.Fatal(err)
		}
	}
	for command := range acknowledged {
		if !stored[command] {
			t.Errorf("%s was acknowledged and is not stored", command)
		}
	}
	t.Logf("killed %d times, %d acknowledged, %d stored", times, len(acknowledged), len(stored))
}

// TestAFrozenWriterFreesItsPartition: a process that is stopped in the middle of a flush does not hold others up.
func TestAFrozenWriterFreesItsPartition(t *testing.T) {
	t.Parallel()
	url := database(t, 1)
	c, _ := child(t, url)
	grows(t, url, 200)
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }() // it was stopped
	e := es.New(open(t, url), es.Options{Service: "test"})
	jar := es.Register(e, estest.Jar())
	run(t, e)
	soon, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if _, err := jar.Do(soon, es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: es.StreamOf(id.Random()), Amounts: []int64{1}}}}); err != nil {
		t.Fatalf("the partition is held by a frozen process: %v", err)
	}
}

// TestWhatTheTopicLacksIsNotMadeUp: a recovery that cannot restore everything changes nothing.
func TestWhatTheTopicLacksIsNotMadeUp(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	url := database(t, 1)
	log := open(t, url)
	e := es.New(log, es.Options{Service: "test"})
	jar := es.Register(e, estest.Jar())
	run(t, e)
	for range 10 {
		if _, err := jar.Do(ctx, es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: es.StreamOf(id.Random()), Amounts: []int64{1}}}}); err != nil {
			t.Fatal(err)
		}
	}
	lives, err := log.Lives(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	var topic []es.Record
	if _, err := log.Scan(ctx, 0, 0, 10, func(r *es.Record) error {
		c := *r
		c.Data, c.Meta = bytes.Clone(r.Data), bytes.Clone(r.Meta)
		topic = append(topic, c)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	execute(t, url, `delete from event where position > 6`)
	altered := topic[8]
	altered.Data = []byte("{}")
	recovery := espg.Recovery{Life: lives[0].Incarnation, Same: 6, UpTo: 10, Events: func(_ context.Context, visit func(es.Incarnation, *es.Record) error) error {
		for _, r := range append(append([]es.Record{}, topic[:8]...), altered, topic[9]) {
			if err := visit(lives[0].Incarnation, &r); err != nil {
				return err
			}
		}
		return nil
	}}
	if _, err := espg.Reconcile(ctx, url, 0, recovery); !errors.Is(err, espg.ErrLost) {
		t.Errorf("position 9 is altered on the topic, and reconciling says %v", err)
	}
	if n := events(t, url); n != 6 {
		t.Errorf("%d events are stored after a recovery that failed", n)
	}
	recovery.Life = es.Incarnation{1}
	if _, err := espg.Reconcile(ctx, url, 0, recovery); !errors.Is(err, es.ErrMoved) {
		t.Errorf("a partition that has begun another life meanwhile: %v", err)
	}
}
