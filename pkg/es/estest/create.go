package estest

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// counted is a log of which it is known how often it was read, and how often it refused a batch for what was stored before.
type counted struct {
	es.Log
	loads, refusals atomic.Int32
	full            atomic.Bool // nothing can be appended
}

type countedSession struct {
	es.Session
	log *counted
}

func (l *counted) Session(ctx context.Context, p es.Partition) (es.Session, error) {
	s, err := l.Log.Session(ctx, p)
	return countedSession{s, l}, err
}

func (s countedSession) Load(ctx context.Context, w *es.Want) (*es.Found, error) {
	s.log.loads.Add(1)
	return s.Session.Load(ctx, w)
}

func (s countedSession) Lock(ctx context.Context, w *es.Want) (*es.Found, error) {
	s.log.loads.Add(1)
	return s.Session.Lock(ctx, w)
}

func (s countedSession) Append(ctx context.Context, b *es.Batch) (time.Time, error) {
	if s.log.full.Load() {
		return time.Time{}, es.ErrUnavailable
	}
	at, err := s.Session.Append(ctx, b)
	if errors.Is(err, es.ErrVersion) || errors.Is(err, es.ErrKnownCommand) {
		s.log.refusals.Add(1)
	}
	return at, err
}

// quiet are options under which an alarm fails the test.
func quiet(t *testing.T, o es.Options) es.Options {
	o.Hooks.Alarm = func(_ es.Partition, err error) { t.Errorf("alarm: %v", err) }
	return o
}

// kind of root that a test is about.
type kind struct {
	rules es.Rules[State, Command, Event]
	of    func(*desk) *es.Root[State, Command, Event]
}

// kinds runs a test with jars and with racks, whose streams touch each other.
func kinds(t *testing.T, test func(*testing.T, kind)) {
	for _, k := range []kind{
		{Jar(), func(d *desk) *es.Root[State, Command, Event] { return d.jar }},
		{Rack(), func(d *desk) *es.Root[State, Command, Event] { return d.rack }},
	} {
		t.Run(k.rules.Name, func(t *testing.T) { t.Parallel(); test(t, k) })
	}
}

func create(on es.Stream, amounts ...int64) es.Command[Command] {
	c := put(on, amounts...)
	c.Body.New = on
	return c
}

// agree checks that the log is in order, that every stored state is what the events say, and that an engine that holds
// nothing comes to the same states.
func agree(t *testing.T, handle func() es.Log, k kind, want map[es.Stream]int64) {
	t.Helper()
	log := handle()
	inOrder(t, log)
	for p := range log.Partitions() {
		if _, err := es.Refold(t.Context(), log, es.Partition(p), k.rules, func(*es.Record) bool { return true },
			func(es.Stream) (any, error) { return nil, nil }); err != nil {
			t.Error(err)
		}
	}
	last := k.of(start(t, log, quiet(t, es.Options{})))
	for on, sum := range want {
		if s, _, err := last.State(t.Context(), on, nil); err != nil || s.Sum != sum {
			t.Errorf("a stream holds %d, not %d, %v", s.Sum, sum, err)
		}
	}
}

// created: a stream that a command creates is not read before, and what was taken for empty and is not never shows.
func created(t *testing.T, open Open) {
	kinds(t, func(t *testing.T, k kind) {
		handle := open(t, 1)
		other := k.of(start(t, handle(), quiet(t, es.Options{})))
		root := es.StreamOf(id.Random())
		child := func() es.Stream { return root.Child(id.Random()) }
		do := func(r *es.Root[State, Command, Event], c Command, want error, version es.Version) {
			t.Helper()
			got, err := r.Do(t.Context(), es.Command[Command]{ID: id.Random(), Body: c})
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("%+v is answered with %v, not %v", c, err, want)
			}
			var at es.Version
			if len(got.Events) > 0 {
				at = got.Events[len(got.Events)-1].Version
			}
			if at != version {
				t.Errorf("%+v came to version %d, not %d", c, at, version)
			}
		}
		do(other, Command{Put: &Put{On: root, Amounts: []int64{1}}, New: root}, nil, 1)
		full, poured, drained, into, read := child(), child(), child(), child(), child()
		for _, s := range []es.Stream{full, poured, drained, into, read} {
			do(other, Command{Put: &Put{On: s, Amounts: []int64{8}}, New: s}, nil, 1)
		}
		want := map[es.Stream]int64{root: 1, full: 8, poured: 5, drained: 0, into: 8, read: 8}

		clock := time.Now()
		log := &counted{Log: handle()}
		// An engine whose clock stands is wary for ever once it was wrong: each assumption is tried by one of its own.
		fresh := func() *es.Root[State, Command, Event] {
			d := start(t, log, quiet(t, es.Options{Clock: func() time.Time { return clock }}))
			if err := d.engine.Ready(t.Context()); err != nil {
				t.Fatal(err)
			}
			return k.of(d)
		}
		here := fresh()
		if _, _, err := here.State(t.Context(), root, nil); err != nil {
			t.Fatal(err)
		}
		loads := log.loads.Load()
		for range 10 {
			s := child()
			do(here, Command{Put: &Put{On: s, Amounts: []int64{3}}, New: s}, nil, 1)
			do(here, Command{Put: &Put{On: s, Amounts: []int64{4}}, New: s}, nil, 2)
			want[s] = 7
		}
		if n := log.loads.Load() - loads; n != 0 {
			t.Errorf("the log was read %d times for streams that were created", n)
		}

		// What rests on the assumption alone: a refusal, an answer without events, a read, an event elsewhere. The root is
		// held, so that nothing else is loaded.
		mistakes := log.refusals.Load()
		for _, c := range []struct {
			Command
			want    error
			version es.Version
		}{
			{Command{Pour: &Pour{poured, root, 9}, New: poured}, ErrFull, 0},
			{Command{Pour: &Pour{poured, into, 3}, New: poured}, nil, 2},
			{Command{Drain: &Pour{drained, into, 0}, New: drained}, nil, 2},
			{Command{Put: &Put{On: read, Amounts: []int64{1}, Once: true}, New: read}, nil, 0},
			{Command{Put: &Put{On: full, Amounts: []int64{5}, Max: 10}, New: full}, ErrFull, 0},
			{Command{Put: &Put{On: child(), Amounts: []int64{5}, Max: 4}, New: full}, ErrFull, 0},
		} {
			do(fresh(), c.Command, c.want, c.version)
		}
		if n := log.refusals.Load() - mistakes; n != 2 {
			t.Errorf("the log objected to %d batches, not to the two that would have created what was there", n)
		}
		// What was taken for empty by a batch that came to nothing is looked at by the next.
		lost := fresh()
		log.full.Store(true)
		soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := lost.Do(soon, create(full, 1)); !errors.Is(err, es.ErrDeadline) {
			t.Errorf("while nothing can be stored: %v", err)
		}
		log.full.Store(false)
		do(lost, Command{Put: &Put{On: full, Amounts: []int64{2}}}, nil, 2)
		want[full] = 10
		// The stream that is said to be new is not the one of the event, but one that the event touches.
		from := child()
		do(other, Command{Put: &Put{On: from, Amounts: []int64{8}}}, nil, 1)
		do(fresh(), Command{Pour: &Pour{from, into, 5}, New: into}, nil, 2)
		want[from] = 3
		if k.rules.Touch != nil {
			want[into] += 3 + 8 + 5 // jars fold an event into its own stream alone
		}
		agree(t, handle, k, want)
	})
}

// createdAtOnce: of several that create one stream at once, in several engines, one does.
func createdAtOnce(t *testing.T, open Open) {
	kinds(t, func(t *testing.T, k kind) {
		handle := open(t, 2)
		engines := make([]*es.Root[State, Command, Event], 4)
		for i := range engines {
			engines[i] = k.of(start(t, handle(), quiet(t, es.Options{})))
		}
		want := map[es.Stream]int64{}
		for range 20 {
			root := es.StreamOf(id.Random())
			for _, on := range []es.Stream{root, root.Child(id.Random())} {
				var wg sync.WaitGroup
				var events atomic.Int32
				for i := range 12 {
					wg.Go(func() {
						c := create(on, 5)
						c.Body.Put.Once = true
						r, err := engines[i%len(engines)].Do(t.Context(), c)
						if err != nil || r.Cursor.Position == 0 {
							t.Errorf("%+v, %v", r, err)
						}
						events.Add(int32(len(r.Events)))
					})
				}
				wg.Wait()
				if n := events.Load(); n != 1 {
					t.Errorf("%d of 12 created a stream", n)
				}
				want[on] = 5
			}
		}
		agree(t, handle, k, want)
	})
}

// saidToBeNew: whatever commands say of their streams, with states that are evicted all the time and several engines that write,
// the outcome is the same.
func saidToBeNew(t *testing.T, open Open) {
	kinds(t, func(t *testing.T, k kind) {
		handle := open(t, 2)
		streams := make([]es.Stream, 24)
		sums := make([]atomic.Int64, len(streams))
		for i := range streams {
			if i%4 == 0 {
				streams[i] = stream()
			} else {
				streams[i] = es.Stream(streams[i-1].Root()).Child(id.Random())
			}
		}
		// What a root's own stream is said to be is only true before anything has happened on the root.
		first := k.of(start(t, handle(), quiet(t, es.Options{})))
		for i := 0; i < len(streams); i += 4 {
			if _, err := first.Do(t.Context(), create(streams[i], 1)); err != nil {
				t.Fatal(err)
			}
			sums[i].Add(1)
		}
		var wg sync.WaitGroup
		for range 3 {
			root := k.of(start(t, handle(), quiet(t, es.Options{States: 3, Commands: 2, Rows: 3})))
			for range 8 {
				wg.Go(func() {
					for range 25 {
						i, amount := rand.IntN(len(streams)), rand.Int64N(100)
						c := put(streams[i], amount)
						if rand.IntN(2) == 0 {
							c.Body.New = streams[i]
						}
						if _, err := root.Do(t.Context(), c); err != nil {
							t.Error(err)
							return
						}
						sums[i].Add(amount)
					}
				})
			}
		}
		wg.Wait()
		want := map[es.Stream]int64{}
		for i, on := range streams {
			want[on] = sums[i].Load()
		}
		agree(t, handle, k, want)
	})
}

// recreated: a command that created a stream is known again when it is repeated, after anything; and who repeats it all the time makes
// a batch fail once in a while, not every time.
func recreated(t *testing.T, open Open) {
	kinds(t, func(t *testing.T, k kind) {
		handle := open(t, 1)
		c := create(stream(), 7)
		c.Hash = [32]byte{1}
		first, err := k.of(start(t, handle(), quiet(t, es.Options{}))).Do(t.Context(), c)
		if err != nil {
			t.Fatal(err)
		}
		var now atomic.Int64
		log := &counted{Log: handle()}
		began := time.Now()
		d := start(t, log, quiet(t, es.Options{
			States: 1, Commands: 1, Clock: func() time.Time { return began.Add(time.Duration(now.Load())) },
		}))
		here := k.of(d)
		same := func(c es.Command[Command]) {
			t.Helper()
			r, err := here.Do(t.Context(), c)
			if err != nil || !r.Repeated || len(r.Events) != 1 || r.Events[0].ID != first.Events[0].ID {
				t.Errorf("repeated: %+v, %v", r, err)
			}
		}
		other, fresh := c, c
		other.Hash, fresh.Fresh = [32]byte{2}, true
		for i := range 3 {
			if err := d.engine.Ready(t.Context()); err != nil { // the log's time is heard of: nothing else asks for a look
				t.Fatal(err)
			}
			var wg sync.WaitGroup
			for range 16 {
				wg.Go(func() {
					for range 4 {
						if r, err := here.Do(t.Context(), create(stream(), 1)); err != nil || r.Repeated || r.Events[0].Version != 1 {
							t.Errorf("others: %+v, %v", r, err)
						}
						same(c)
					}
				})
			}
			wg.Wait()
			if n := log.refusals.Load(); n > int32(i)+1 || n == 0 {
				t.Errorf("%d batches failed for a repeated command in %d spells", n, i+1)
			}
			if _, err := here.Do(t.Context(), other); !errors.Is(err, es.ErrOtherBody) {
				t.Errorf("another body: %v", err)
			}
			if _, err := here.Do(t.Context(), fresh); !errors.Is(err, es.ErrRepeated) {
				t.Errorf("a repeat that must be fresh: %v", err)
			}
			now.Add(int64(10 * time.Second))
		}
		agree(t, handle, k, map[es.Stream]int64{c.Body.Put.On: 7})
	})
}
