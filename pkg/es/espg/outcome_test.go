package espg_test

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"os/exec"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/es/estest"
	"github.com/obole-market/obole/pkg/id"
)

// lockClass is that of writers' locks.
const lockClass = 0x0b01e

// wire is a network whose connections can be cut; the server learns of it when it next has something to say, for what the
// driver then asks it to cancel does not arrive either.
type wire struct {
	mu    sync.Mutex
	conns []net.Conn
}

func (w *wire) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns = append(w.conns, c)
	return deaf{c}, nil
}

// deaf carries everything but requests to cancel.
type deaf struct{ net.Conn }

func (d deaf) Write(b []byte) (int, error) {
	const cancelRequest = 80877102
	if len(b) == 16 && binary.BigEndian.Uint32(b[4:]) == cancelRequest {
		return 0, net.ErrClosed
	}
	return d.Conn.Write(b)
}

func (w *wire) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.conns {
		_ = c.Close() // again, perhaps
	}
	w.conns = nil
}

// strange is somebody who holds partition 0's lock, and watches who waits for it.
type strange struct {
	t    *testing.T
	lock *pgx.Conn
	look *pgx.Conn
}

func hold(t *testing.T, url string) *strange {
	t.Helper()
	s := &strange{t: t}
	for _, c := range []**pgx.Conn{&s.lock, &s.look} {
		var err error
		if *c, err = pgx.Connect(t.Context(), url); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = (*c).Close(context.Background()) }) // nothing is pending
	}
	s.begin()
	return s
}

func (s *strange) begin() {
	s.t.Helper()
	_, err := s.lock.Exec(s.t.Context(), `begin`)
	if err == nil {
		_, err = s.lock.Exec(s.t.Context(), `select pg_advisory_xact_lock($1, 0)`, lockClass)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *strange) release() {
	s.t.Helper()
	if _, err := s.lock.Exec(s.t.Context(), `commit`); err != nil {
		s.t.Fatal(err)
	}
}

// waiting waits until so many sessions wait for the lock.
func (s *strange) waiting(n int) {
	s.t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		var have int
		err := s.look.QueryRow(s.t.Context(), `select count(*) from pg_locks where locktype = 'advisory' and not granted and classid = $1
			and database = (select oid from pg_database where datname = current_database())`, lockClass).Scan(&have)
		if err != nil {
			s.t.Fatal(err)
		}
		if have == n {
			return
		}
		if time.Since(began) > 15*time.Second {
			s.t.Fatalf("%d sessions wait for the lock, not %d", have, n)
		}
	}
}

// shoot ends on the server whoever waits longest for the lock.
func (s *strange) shoot() {
	s.t.Helper()
	_, err := s.look.Exec(s.t.Context(), `select pg_terminate_backend(pid) from pg_locks where locktype = 'advisory' and not granted and classid = $1
		and database = (select oid from pg_database where datname = current_database()) order by waitstart limit 1`, lockClass)
	if err != nil {
		s.t.Fatal(err)
	}
}

func one(command id.ID, on es.Stream) es.Command[estest.Command] {
	return es.Command[estest.Command]{ID: command, Body: estest.Command{Put: &estest.Put{On: on, Amounts: []int64{1, 2}}}}
}

// TestUnknownOutcome: the connection breaks while the batch waits at the server, which goes on with it or does not. The writer
// finds out behind it, under the lock; whatever happens, the command is stored once.
func TestUnknownOutcome(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ orphan, gone bool }{
		"the orphan lands": {orphan: true}, "the orphan dies": {}, "the orphan lands, the caller has gone": {true, true},
		"the orphan dies, the caller has gone": {gone: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := database(t, 1)
			w := new(wire)
			log, err := espg.Open(t.Context(), espg.Config{URL: url, Dial: w.dial})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(log.Close)
			e := es.New(log, es.Options{Service: "test"})
			jar := es.Register(e, estest.Jar())
			run(t, e)
			if err := e.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			s := hold(t, url)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			command, on := id.Random(), es.StreamOf(id.Random())
			answer := make(chan error, 1)
			go func() {
				_, err := jar.Do(ctx, one(command, on))
				answer <- err
			}()
			s.waiting(1)
			w.cut()
			s.waiting(2) // the orphan, and the writer that asks what became of it
			if c.gone {
				cancel()
				if err := <-answer; !errors.Is(err, es.ErrCanceled) {
					t.Errorf("a caller that went away is told %v", err)
				}
			}
			if !c.orphan {
				s.shoot()
				s.waiting(1)
			}
			s.release()
			if !c.gone {
				if err := <-answer; err != nil {
					t.Errorf("the caller is told %v", err)
				}
			}
			r, err := jar.Do(t.Context(), one(command, on))
			if err != nil || !r.Repeated || len(r.Events) != 2 {
				t.Errorf("the command again: %+v, %v", r, err)
			}
			if n := events(t, url); n != 2 {
				t.Errorf("%d events are stored of the one command's two", n)
			}
		})
	}
}

// asChild does what TestMain's process is for: one command with the id and stream it is told, or taking the lock and no more.
func asChild(ctx context.Context, log *espg.Log, what string) {
	if what == "lock" {
		s, err := log.Session(ctx, 0)
		if err == nil {
			_, err = s.Lock(ctx, &es.Want{})
		}
		if err != nil {
			panic(err)
		}
		_, _ = os.Stdout.WriteString("locked\n") // one write is one line
		select {}
	}
	command, err := id.Parse(what)
	if err != nil {
		panic(err)
	}
	e := es.New(log, es.Options{Service: "test"})
	jar := es.Register(e, estest.Jar())
	go func() { _ = e.Run(ctx) }() // the process is killed
	_, _ = jar.Do(ctx, one(command, es.StreamOf(command)))
	select {}
}

// TestALateOrphanOfADeadProcess: a process is killed while its batch waits at the server; its caller asks another process
// meanwhile. The batch lands late, and the command is stored once.
func TestALateOrphanOfADeadProcess(t *testing.T) {
	t.Parallel()
	url := database(t, 1)
	e := es.New(open(t, url), es.Options{Service: "test"})
	jar := es.Register(e, estest.Jar())
	run(t, e)
	if err := e.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	command := id.Random()
	s := hold(t, url)
	c := exec.CommandContext(context.Background(), os.Args[0])
	c.Env = append(os.Environ(), envChild+"="+command.String(), envURL+"="+url)
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s.waiting(1)
	if err := c.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = c.Wait() // killed
	type answer struct {
		es.Result[estest.Event]
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		r, err := jar.Do(t.Context(), one(command, es.StreamOf(command)))
		answers <- answer{r, err}
	}()
	s.waiting(2)
	s.release()
	if a := <-answers; a.err != nil || !a.Repeated || len(a.Events) != 2 {
		t.Errorf("what the dead process stored late is %+v, %v", a.Result, a.err)
	}
	if n := events(t, url); n != 2 {
		t.Errorf("%d events are stored of the one command's two", n)
	}
}

// TestAStoppedHolderLosesTheLock: a process that is stopped while it holds a partition's lock loses it within seconds, and with
// it its session.
func TestAStoppedHolderLosesTheLock(t *testing.T) {
	t.Parallel()
	url := database(t, 1)
	c := exec.CommandContext(context.Background(), os.Args[0])
	c.Env = append(os.Environ(), envChild+"=lock", envURL+"="+url)
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Process.Kill(); _ = c.Wait() }() // it was stopped
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "locked\n" {
		t.Fatal(line, err)
	}
	if err := c.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	e := es.New(open(t, url), es.Options{Service: "test"})
	jar := es.Register(e, estest.Jar())
	run(t, e)
	soon, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	if _, err := jar.Do(soon, one(id.Random(), es.StreamOf(id.Random()))); err != nil {
		t.Fatalf("the partition is held by a frozen process: %v", err)
	}
}
