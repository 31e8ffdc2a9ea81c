package bus_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/mill"
)

// reacts has a reaction handle the world's events.
func (w *world) reacts(name string, handle func(context.Context, *bus.Received) error) *bus.Reaction {
	w.t.Helper()
	r := &bus.Reaction{Name: name, Pool: w.pool, Types: ways, Handle: handle}
	run(w.t, w.relay().Run)
	run(w.t, w.feed(name, r.Take).Run)
	return r
}

// routed is a handler behind Watermill's router.
func routed(t testing.TB, handle func(context.Context, *bus.Received) error) func(context.Context, *bus.Received) error {
	t.Helper()
	router, err := mill.NewRouter()
	if err != nil {
		t.Fatal(err)
	}
	handle = router.Handler("test", handle)
	run(t, router.Run)
	return handle
}

// stuck waits until so many events of one root are parked.
func (w *world) stuck(r *bus.Reaction, waiting int64) bus.Stuck {
	w.t.Helper()
	var stuck []bus.Stuck
	await(w.t, "the parked rows", func() bool {
		var err error
		stuck, err = r.Stuck(context.Background(), "", "", 10)
		return err == nil && len(stuck) == 1 && stuck[0].Waiting == waiting
	})
	return stuck[0]
}

func TestPoisonIsParkedWithItsRoot(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var c collector
	var cured atomic.Bool
	reaction := w.reacts("react", func(_ context.Context, e *bus.Received) error {
		if e.Type == "poison" && !cured.Load() {
			return fault.Refuse("TERMS_MISMATCH", "a secret of the payload is never told")
		}
		c.add(e)
		return nil
	})
	w.append("a:one", "a:poison", "b:one", "a:two", "a:withdrawn", "b:two")
	await(t, "what is not parked", func() bool { return len(c.list()) == 4 })
	w.append("a:three", "b:three", "a/x:agreed")
	await(t, "what is not parked, later", func() bool { return len(c.list()) == 5 })
	want := map[string]bool{"a:one": true, "b:one": true, "a:withdrawn": true, "b:two": true, "b:three": true}
	for _, e := range c.list() {
		if !want[e] {
			t.Errorf("%s was handled while its root was parked", e)
		}
	}
	stuck := w.stuck(reaction, 3)
	if stuck.Type != "poison" || stuck.Position != 2 || stuck.Reason != "refused: TERMS_MISMATCH" {
		t.Errorf("parked as %+v", stuck)
	}
	ctx := context.Background()
	if handled, left, err := reaction.Redrive(ctx, w.topic, stuck.Stream); err == nil || handled != 0 || left != 4 {
		t.Errorf("redriven too early: %d handled, %d left, %v", handled, left, err)
	}
	cured.Store(true)
	if handled, left, err := reaction.Redrive(ctx, w.topic, stuck.Stream); err != nil || handled != 4 || left != 0 {
		t.Fatalf("%d handled, %d left, %v", handled, left, err)
	}
	if got := strings.Join(c.list()[5:], " "); got != "a:poison a:two a:three a/x:agreed" {
		t.Errorf("redriven as %v", got)
	}
	w.append("a:four")
	await(t, "the root to go on", func() bool { l := c.list(); return l[len(l)-1] == "a:four" })
}

// TestPoisonAbreastHoldsUpItsStreamAlone: of two people of one bid the one goes on while the other is stuck, until something
// comes that is said of both.
func TestPoisonAbreastHoldsUpItsStreamAlone(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var c collector
	var cured atomic.Bool
	reaction := w.reacts("react", func(_ context.Context, e *bus.Received) error {
		if e.Type == "wrong" && !cured.Load() {
			return fault.Refuse("TERMS_MISMATCH", "no")
		}
		c.add(e)
		return nil
	})
	w.append("a/x:wrong", "a/y:agreed", "a/x:agreed")
	await(t, "the other stream", func() bool { return slices.Equal(c.list(), []string{"a/y:agreed"}) })
	stuck := w.stuck(reaction, 1)
	w.append("a/z:agreed", "a:one", "a/y:agreed")
	await(t, "a third", func() bool { return len(c.list()) == 2 })
	w.stuck(reaction, 3)
	if got := strings.Join(c.list(), " "); got != "a/y:agreed a/z:agreed" {
		t.Errorf("handled %s", got)
	}
	cured.Store(true)
	if handled, left, err := reaction.Redrive(context.Background(), w.topic, stuck.Stream); err != nil || handled != 4 || left != 0 {
		t.Fatalf("%d handled, %d left, %v", handled, left, err)
	}
	if got := strings.Join(c.list()[2:], " "); got != "a/x:wrong a/x:agreed a:one a/y:agreed" {
		t.Errorf("redriven as %s", got)
	}
}

// TestAbreastEventsAreHandledAtATime: each waits until all three are at work, and what is in order waits for all.
func TestAbreastEventsAreHandledAtATime(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var c collector
	var working atomic.Int32
	all := make(chan struct{})
	w.reacts("react", func(ctx context.Context, e *bus.Received) error {
		if e.Type == "agreed" && working.Add(1) == 3 {
			close(all)
		}
		if e.Type == "agreed" {
			select {
			case <-all:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		c.add(e)
		return nil
	})
	w.append("a:one", "a/x:agreed", "a/y:agreed", "a/z:agreed", "a:two")
	await(t, "all", func() bool { return len(c.list()) == 5 })
	if got := c.list(); got[0] != "a:one" || got[4] != "a:two" {
		t.Errorf("handled as %v", got)
	}
}

func TestWhatMayPassIsTriedUntilItDoes(t *testing.T) {
	t.Parallel()
	for name, via := range map[string]func(func(context.Context, *bus.Received) error) func(context.Context, *bus.Received) error{
		"routed": func(h func(context.Context, *bus.Received) error) func(context.Context, *bus.Received) error {
			return routed(t, h)
		},
		"read again": func(h func(context.Context, *bus.Received) error) func(context.Context, *bus.Received) error {
			return h
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			var tries atomic.Int32
			var c collector
			w.reacts("patient", via(func(_ context.Context, e *bus.Received) error {
				switch tries.Add(1) {
				case 1:
					return fault.Unavailable("away")
				case 2:
					return bus.Later(fault.Refuse("EARMARK_UNKNOWN", "not yet"))
				case 3:
					return es.ErrQueueFull
				}
				c.add(e)
				return nil
			}))
			w.append("a:one")
			await(t, "the fourth try", func() bool { return len(c.list()) == 1 })
		})
	}
}

// TestAWithdrawalDoesNotWaitForWhatFailsForNow: it overtakes; what is behind it does not.
func TestAWithdrawalDoesNotWaitForWhatFailsForNow(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var c collector
	var back atomic.Bool
	w.reacts("react", routed(t, func(_ context.Context, e *bus.Received) error {
		if e.Type == "two" && !back.Load() {
			return fault.Unavailable("away")
		}
		c.add(e)
		return nil
	}))
	w.append("a:one", "a:two", "a:three", "a:withdrawn", "a:four", "a:withdrawn", "a/x:agreed")
	await(t, "both withdrawals", func() bool { return len(c.list()) == 3 })
	w.append("a:withdrawn", "b:one")
	await(t, "a later one", func() bool { return len(c.list()) == 5 })
	back.Store(true)
	await(t, "the rest", func() bool { return len(c.list()) == 9 })
	var rest []string
	for _, e := range c.list() {
		if e != "a:withdrawn" && e != "b:one" {
			rest = append(rest, e)
		}
	}
	if got := strings.Join(rest, " "); got != "a:one a:two a:three a:four a/x:agreed" {
		t.Errorf("the others came as %s", got)
	}
}

// TestAPanicIsPoison: it parks, and its text goes nowhere.
func TestAPanicIsPoison(t *testing.T) {
	t.Parallel()
	w := begin(t)
	reaction := w.reacts("react", routed(t, func(context.Context, *bus.Received) error { panic("+32 470 00 00 00") }))
	w.append("a:one")
	if stuck := w.stuck(reaction, 0); stuck.Reason != "internal: the reaction panicked" {
		t.Errorf("the reason is %q", stuck.Reason)
	}
}

// TestATypeOfAnotherContractIsParked until this build knows it; then it passes, if it is none of the reaction's.
func TestATypeOfAnotherContractIsParked(t *testing.T) {
	t.Parallel()
	w := begin(t)
	var c collector
	var updated atomic.Bool
	reaction := &bus.Reaction{
		Name: "react", Pool: w.pool, Types: ways, Handle: func(_ context.Context, e *bus.Received) error { c.add(e); return nil },
		Knows: func(_, typ string) bool { return typ != "novel" || updated.Load() },
	}
	run(t, w.relay().Run)
	run(t, w.feed("react", reaction.Take).Run)
	w.append("a:presented", "a:novel", "a:one", "b:one")
	await(t, "the other root", func() bool { return slices.Equal(c.list(), []string{"b:one"}) })
	stuck := w.stuck(reaction, 1)
	if stuck.Type != "novel" {
		t.Errorf("parked %+v", stuck)
	}
	updated.Store(true)
	if handled, left, err := reaction.Redrive(context.Background(), w.topic, stuck.Stream); err != nil || handled != 2 || left != 0 {
		t.Fatalf("%d handled, %d left, %v", handled, left, err)
	}
}

// TestARouterOfNothingEnds: a service without reactions stops like any other.
func TestARouterOfNothingEnds(t *testing.T) {
	t.Parallel()
	router, err := mill.NewRouter()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	over := make(chan error, 1)
	go func() { over <- router.Run(ctx) }()
	cancel()
	select {
	case <-over:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

// TestTheRouterEndsWithWhatItHolds: nobody waits for ever on a router that has ended.
func TestTheRouterEndsWithWhatItHolds(t *testing.T) {
	t.Parallel()
	router, err := mill.NewRouter()
	if err != nil {
		t.Fatal(err)
	}
	began := make(chan struct{})
	handle := router.Handler("test", func(ctx context.Context, _ *bus.Received) error {
		close(began)
		<-ctx.Done()
		return ctx.Err()
	})
	stop := run(t, router.Run)
	ctx, cancel := context.WithCancel(t.Context())
	answer := make(chan error, 1)
	go func() { answer <- handle(ctx, &bus.Received{Record: es.Record{Type: "one"}}) }()
	<-began
	cancel()
	stop()
	for range 2 {
		select {
		case err := <-answer:
			if err == nil || !bus.Passes(err) {
				t.Errorf("answered %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("still waiting")
		}
		go func() { answer <- handle(context.Background(), &bus.Received{Record: es.Record{Type: "one"}}) }()
	}
}
