package estest

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// remote is a log of which it is known how often it was read, and that can be out of reach.
type remote struct {
	es.Log
	loads atomic.Int32
	away  atomic.Bool
}

func (l *remote) Session(ctx context.Context, p es.Partition) (es.Session, error) {
	if l.away.Load() {
		return nil, es.ErrUnavailable
	}
	s, err := l.Log.Session(ctx, p)
	return remoteSession{s, l}, err
}

type remoteSession struct {
	es.Session
	log *remote
}

func (s remoteSession) Load(ctx context.Context, w *es.Want) (*es.Found, error) {
	if s.log.away.Load() {
		return nil, es.ErrUnavailable
	}
	s.log.loads.Add(1)
	return s.Session.Load(ctx, w)
}

func (s remoteSession) Lock(ctx context.Context, w *es.Want) (*es.Found, error) {
	if s.log.away.Load() {
		return nil, es.ErrUnavailable
	}
	s.log.loads.Add(1)
	return s.Session.Lock(ctx, w)
}

// hand is a clock that goes when it is told to.
type hand struct{ at atomic.Pointer[time.Time] }

func newHand() *hand {
	h := new(hand)
	now := time.Now()
	h.at.Store(&now)
	return h
}

func (h *hand) now() time.Time { return *h.at.Load() }

func (h *hand) on(by time.Duration) {
	next := h.now().Add(by)
	h.at.Store(&next)
}

const heldWithin = 250 * time.Millisecond

func noKeys(context.Context) (any, error) { return nil, nil }

// held: what this engine has stored is seen at once, what another one has after the time that was asked for; and no state outlives
// the log's reach, or its place among those that are held.
func held(t *testing.T, open Open) {
	for name, kind := range map[string]func(*desk) *es.Root[State, Command, Event]{
		"jar": func(d *desk) *es.Root[State, Command, Event] { return d.jar }, "rack": func(d *desk) *es.Root[State, Command, Event] { return d.rack },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handle, clock := open(t, 1), newHand()
			log := &remote{Log: handle()}
			here, there := kind(start(t, log, es.Options{Clock: clock.now, States: 6})), kind(start(t, handle(), es.Options{}))
			root := id.Random()
			a, b := es.StreamOf(root).Child(id.Random()), es.StreamOf(root).Child(id.Random())
			do := func(where *es.Root[State, Command, Event], c es.Command[Command]) {
				t.Helper()
				if _, err := where.Do(t.Context(), c); err != nil {
					t.Fatal(err)
				}
			}
			// sees what a stream is held to be, and whether the log was asked for it.
			sees := func(what string, on es.Stream, want int64, asked bool) {
				t.Helper()
				before := log.loads.Load()
				s, err := here.Held(t.Context(), on, heldWithin, noKeys)
				if err != nil || s.Sum != want || (log.loads.Load() > before) != asked {
					t.Errorf("%s: held to be %d, not %d, the log asked: %v, not %v; %v", what, s.Sum, want, log.loads.Load() > before, asked, err)
				}
			}
			sees("nothing", a, 0, true)
			sees("nothing again", a, 0, false)
			do(here, put(a, 7))
			sees("what this engine stored", a, 7, false)
			sees("another stream", b, 0, true)
			do(there, put(a, 1))
			do(there, put(b, 2))
			clock.on(heldWithin - 1)
			sees("what another engine stored, too early", a, 7, false)
			clock.on(1)
			sees("what another engine stored", a, 8, true)
			sees("the same look's other stream", b, 2, false)
			clock.on(heldWithin)
			do(there, put(b, 3))
			do(here, put(a, 1)) // which meets what it had missed
			sees("what an append met", b, 5, false)
			clock.on(-time.Minute)
			sees("a clock that was set back", b, 5, true)

			do(there, es.Command[Command]{ID: id.Random(), Body: Command{Pour: &Pour{b, a, 2}}})
			clock.on(heldWithin + time.Minute)
			sees("what was poured out", b, 3, true)
			now, _, err := there.State(t.Context(), a, nil)
			if err != nil {
				t.Fatal(err)
			}
			sees("what it may have touched", a, now.Sum, false)

			do(here, put(a, 0))
			do(here, put(a, 0)) // nobody else writes any more
			clock.on(heldWithin)
			reads := log.loads.Load()
			do(here, put(a, 0))
			sees("what an append has made sure of", a, now.Sum, false)
			if n := log.loads.Load() - reads; n != 0 {
				t.Errorf("the log was read %d times for an append to what is held", n)
			}

			for range 12 {
				do(here, put(stream(), 1)) // in the place of what is held
			}
			do(there, put(a, 1))
			do(here, put(stream(), 1))
			sees("a state that was not held meanwhile", a, now.Sum+1, true)
			sees("and is again", a, now.Sum+1, false)

			log.away.Store(true)
			sees("while the log is away", a, now.Sum+1, false)
			clock.on(heldWithin)
			soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if s, err := here.Held(soon, a, heldWithin, noKeys); !errors.Is(err, es.ErrDeadline) {
				t.Errorf("without its log an engine says %+v, %v", s, err)
			}
			locked := errors.New("no keys")
			if _, err := here.Held(t.Context(), a, heldWithin, func(context.Context) (any, error) { return nil, locked }); !errors.Is(err, locked) {
				t.Errorf("without keys: %v", err)
			}
		})
	}
}

// heldAtOnce: whoever was told that something is stored sees it, however many write and read.
func heldAtOnce(t *testing.T, open Open) {
	handle := open(t, 2)
	here, there := start(t, handle(), es.Options{States: 8}), start(t, handle(), es.Options{})
	streams := make([]es.Stream, 12) // of which some have to go
	for i := range streams {
		streams[i] = stream()
	}
	var wg sync.WaitGroup
	for i, on := range streams {
		wg.Go(func() {
			var mine int64
			for n := range 40 {
				amount := int64(n % 3)
				where := here
				if n%8 == 7 {
					where = there
				}
				if _, err := where.jar.Do(t.Context(), put(on, amount)); err != nil {
					t.Error(err)
					return
				}
				if where == here {
					mine += amount
				}
				s, err := here.jar.Held(t.Context(), on, time.Minute, noKeys)
				if err != nil || s.Sum < mine {
					t.Errorf("stream %d is held to be %+v, %d was stored here; %v", i, s, mine, err)
				}
			}
			s, _, err := here.jar.State(t.Context(), on, nil)
			h, err2 := here.jar.Held(t.Context(), on, time.Minute, noKeys)
			if err != nil || err2 != nil || s != h {
				t.Errorf("%+v is held to be %+v; %v, %v", s, h, err, err2)
			}
		})
	}
	wg.Wait()
}
