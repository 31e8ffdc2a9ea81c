package bus_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/embedded/kafka"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
)

// TestABrokerOfItsOwn is killed and stopped under load, and a byte of its disk is flipped while it is down.
func TestABrokerOfItsOwn(t *testing.T) {
	t.Parallel()
	times, most := 1, 4*time.Minute
	if os.Getenv("OBOLE_TORTURE") == "full" {
		times, most = 10, 15*time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), most)
	defer cancel()
	b, err := kafka.Start(ctx, kafka.Options{Dir: t.TempDir(), Heap: "256m"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // its folder goes with the test
	w := &world{
		t: t, log: esmem.New(1, time.Now), client: bus.NewClient([]string{b.Addr()}, nil), topic: "own." + id.Random().String(), pool: database(t),
		brokers: []string{b.Addr()},
	}
	w.create()
	if _, err := w.pool.Exec(ctx, `create table effect (position bigint primary key, nth bigserial)`); err != nil {
		t.Fatal(err)
	}
	effects := bus.Table(w.pool, func(ctx context.Context, tx pgx.Tx, events []bus.Received) error {
		for i := range events {
			if _, err := tx.Exec(ctx, `insert into effect (position) values ($1)`, int64(events[i].Position)); err != nil {
				return err
			}
		}
		return nil
	})
	stopRelay, stopFeed := run(t, w.relay().Run), run(t, w.feed("effects", effects).Run)
	var stored, reached int64
	handled := func() int64 {
		if err := w.pool.QueryRow(ctx, `select count(*) from effect`).Scan(&reached); err != nil {
			t.Fatal(err)
		}
		return reached
	}
	load := func(n int) {
		for range n {
			w.append("a:x", "b:x", fmt.Sprintf("c:x payload-%d.", stored))
			stored += 3
		}
	}
	for i := range times {
		load(100)
		within(t, time.Minute, "some effects", func() bool { return handled() > stored-300 })
		if i%2 == 0 {
			b.Kill()
		} else if err := b.Stop(ctx); err != nil {
			t.Fatal(err)
		}
		load(100) // with nobody to tell
		if err := b.Resume(ctx); err != nil {
			t.Fatal(err)
		}
	}
	load(10)
	within(t, time.Minute, "all effects", func() bool { return handled() == stored })
	var disorder int
	if err := w.pool.QueryRow(ctx, `select count(*) from (select position - lag(position) over (order by nth) as step from effect) s where step <> 1`).Scan(&disorder); err != nil || disorder > 0 {
		t.Fatalf("%d effects out of order, %v", disorder, err)
	}
	inOrder(t, w.onTopic(), es.Position(stored))
	stopRelay()
	stopFeed()
	if c, err := bus.Compare(ctx, w.client, w.log, w.topic, 0); err != nil || c.Lost() || c.Same != es.Position(stored) {
		t.Fatalf("the topic stands at %+v, %v", c, err)
	}

	// The disk errs.
	if err := b.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	flip(t, b.Dir(), w.topic, "payload-3.")
	if err := b.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, "the damage to be found", func() bool { // beside broken connections
		c, err := bus.Compare(ctx, w.client, w.log, w.topic, 0)
		return errors.Is(err, bus.ErrDamaged) && !c.Lost() && c.Same == es.Position(stored)
	})
	var mu sync.Mutex
	passed := map[string]int{}
	var c collector
	f := w.feed("late", (&bus.Reaction{Name: "late", Pool: w.pool, Types: ways, Handle: func(_ context.Context, e *bus.Received) error { c.add(e); return nil }}).Take)
	f.Passed = func(_, why string) {
		mu.Lock()
		defer mu.Unlock()
		passed[why]++
	}
	run(t, f.Run)
	within(t, time.Minute, "the late reader", func() bool { return len(c.list()) == int(stored) })
	mu.Lock()
	defer mu.Unlock()
	if passed["spoilt"] == 0 {
		t.Errorf("the reader did not notice: %v", passed)
	}
	for _, e := range c.list() {
		if strings.HasPrefix(e, "c:") && !strings.HasPrefix(e, "c:x payload-") {
			t.Errorf("an altered event was handled: %q", e)
		}
	}
}

// within is await for what a broker's start delays.
func within(t *testing.T, most time.Duration, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Since(began) > most {
			t.Fatalf("waited too long for %s", what)
		}
	}
}

// flip changes one bit in a topic's file, before a text.
func flip(t *testing.T, dir, topic, text string) {
	t.Helper()
	flipped := false
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || filepath.Base(filepath.Dir(path)) != topic+"-0" || filepath.Ext(path) != ".log" {
			return err
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		if at := bytes.Index(data, []byte(text)); at > 0 {
			data[at] ^= 1
			flipped = true
		}
		return os.WriteFile(path, data, 0o600)
	})
	if err != nil || !flipped {
		t.Fatalf("flipped: %v, %v", flipped, err)
	}
}
