package estest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
)

// Open makes a log of so many partitions. Each call of what it returns gives another handle on that log, as another process
// would have it.
type Open func(t *testing.T, partitions int) func() es.Log

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for name, test := range map[string]func(*testing.T, Open){
		"one hot stream": hotStream, "streams of one root": oneRoot, "repeats": repeats, "each fails alone": alone,
		"many engines": manyEngines, "evicted states": evicted, "what cannot be read": unreadable, "limits": limits, "states refolded": refolded,
		"held states": held, "many at once": many, "rows of a root": rows, "held at once": heldAtOnce,
		"new streams": created, "created at once": createdAtOnce, "said to be new": saidToBeNew, "a repeated creation": recreated,
		"a clock that steps back": stepsBack, "whose turn it is": turns, "picked": picked,
	} {
		t.Run(name, func(t *testing.T) { t.Parallel(); test(t, open) })
	}
}

// desk is an engine at work with both roots.
type desk struct {
	log    es.Log
	jar    *es.Root[State, Command, Event]
	rack   *es.Root[State, Command, Event]
	engine *es.Engine
}

func start(t *testing.T, log es.Log, o es.Options) *desk {
	t.Helper()
	o.Service = "test"
	d := &desk{log: log, engine: es.New(log, o)}
	d.jar, d.rack = es.Register(d.engine, Jar()), es.Register(d.engine, Rack())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- d.engine.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the engine ended with %v", err)
		}
	})
	return d
}

func put(on es.Stream, amounts ...int64) es.Command[Command] {
	return es.Command[Command]{ID: id.Random(), Body: Command{Put: &Put{On: on, Amounts: amounts}}}
}

func stream() es.Stream { return es.StreamOf(id.Random()) }

// inOrder reads the whole log and checks what must hold of every log: positions dense, the chain whole, versions contiguous,
// no command's event stored twice, time never backwards.
func inOrder(t *testing.T, log es.Log) (events int) {
	t.Helper()
	ctx := context.Background()
	type place struct {
		command id.ID
		ordinal int32
	}
	versions, seen := map[es.Stream]es.Version{}, map[place]bool{}
	for p := range log.Partitions() {
		part := es.Partition(p)
		lives, err := log.Lives(ctx, part)
		if err != nil {
			t.Fatal(err)
		}
		check := es.Checker{Lives: lives}
		var last time.Time
		for {
			n, err := log.Scan(ctx, part, check.Position, 1000, func(r *es.Record) error {
				if err := check.Check(r); err != nil {
					return err
				}
				if r.Version != versions[r.Stream]+1 {
					return fmt.Errorf("version %d of %s follows %d", r.Version, r.Stream, versions[r.Stream])
				}
				if es.PartitionOf(r.Stream, log.Partitions()) != part {
					return fmt.Errorf("%s is in partition %d", r.Stream, part)
				}
				where := place{r.Command, r.Ordinal}
				if seen[where] || r.At.Before(last) {
					return fmt.Errorf("position %d: stored twice, or before its predecessor", r.Position)
				}
				versions[r.Stream], seen[where], last = r.Version, true, r.At
				events++
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 {
				break
			}
		}
		tail, err := log.Tail(ctx, part)
		if err != nil || tail.Position != check.Position {
			t.Fatalf("the tail is at %d, the newest event at %d, %v", tail.Position, check.Position, err)
		}
	}
	return events
}

func hotStream(t *testing.T, open Open) {
	log := open(t, 2)()
	d := start(t, log, es.Options{})
	on := stream()
	const callers, each = 64, 20
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				r, err := d.jar.Do(t.Context(), put(on, 1, 2))
				if err != nil || len(r.Events) != 2 || r.Cursor.Position != r.Events[1].Position || r.Events[1].Version != r.Events[0].Version+1 {
					t.Errorf("%+v, %v", r, err)
					return
				}
			}
		})
	}
	wg.Wait()
	if n := inOrder(t, log); n != 2*callers*each {
		t.Errorf("%d events", n)
	}
	s, _, err := d.jar.State(t.Context(), on, nil)
	if err != nil || s.Sum != 3*callers*each || s.Events != 2*callers*each {
		t.Errorf("%+v, %v", s, err)
	}
}

func oneRoot(t *testing.T, open Open) {
	handle := open(t, 2)
	log := handle()
	d := start(t, log, es.Options{})
	root := id.Random()
	children := make([]es.Stream, 5)
	for i := range children {
		children[i] = es.StreamOf(root).Child(id.Random())
		if _, err := d.rack.Do(t.Context(), put(children[i], 100)); err != nil {
			t.Fatal(err)
		}
	}
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			for range 10 {
				from, to := children[rand.IntN(5)], children[rand.IntN(5)]
				if from == to {
					continue
				}
				_, err := d.rack.Do(t.Context(), es.Command[Command]{ID: id.Random(), Body: Command{Pour: &Pour{from, to, rand.Int64N(30)}}})
				if err != nil && !errors.Is(err, ErrFull) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	inOrder(t, log)
	// Another engine, which holds nothing, comes to the same states.
	other := start(t, handle(), es.Options{})
	var total int64
	for _, c := range children {
		a, _, err1 := d.rack.State(t.Context(), c, nil)
		b, _, err2 := other.rack.State(t.Context(), c, nil)
		if err1 != nil || err2 != nil || a != b || a.Sum < 0 {
			t.Errorf("%+v and %+v, %v, %v", a, b, err1, err2)
		}
		total += a.Sum
	}
	if total != 500 {
		t.Errorf("the rack holds %d", total)
	}
	_, err := d.rack.Do(t.Context(), es.Command[Command]{ID: id.Random(), Body: Command{Lose: &Pour{children[0], children[1], 10_000}}})
	if !errors.Is(err, es.ErrData) {
		t.Errorf("a batch that does not conserve: %v", err)
	}
}

func repeats(t *testing.T, open Open) {
	handle := open(t, 2)
	first, second := start(t, handle(), es.Options{}), start(t, handle(), es.Options{})
	on := stream()
	c := put(on, 7)
	c.Hash = [32]byte{1}
	results := make([]es.Result[Event], 8)
	var wg sync.WaitGroup
	for i := range results {
		wg.Go(func() {
			var err error
			if results[i], err = []*desk{first, second}[i%2].jar.Do(t.Context(), c); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	fresh := 0
	for _, r := range results {
		if !r.Repeated {
			fresh++
		}
		if len(r.Events) != 1 || r.Events[0].ID != results[0].Events[0].ID {
			t.Errorf("%+v is not %+v", r, results[0])
		}
	}
	if fresh != 1 {
		t.Errorf("%d of 8 equal commands were the first", fresh)
	}
	other := c
	other.Hash = [32]byte{2}
	for _, d := range []*desk{first, second, start(t, handle(), es.Options{})} {
		if r, err := d.jar.Do(t.Context(), c); err != nil || !r.Repeated || r.Events[0].ID != results[0].Events[0].ID {
			t.Errorf("repeated: %+v, %v", r, err)
		}
		if _, err := d.jar.Do(t.Context(), other); !errors.Is(err, es.ErrOtherBody) {
			t.Errorf("another body: %v", err)
		}
		again := c
		again.Fresh = true
		if _, err := d.jar.Do(t.Context(), again); !errors.Is(err, es.ErrRepeated) {
			t.Errorf("a repeat that must be fresh: %v", err)
		}
		late := c
		late.Refused = ErrFull
		if r, err := d.jar.Do(t.Context(), late); err != nil || !r.Repeated || r.Events[0].ID != results[0].Events[0].ID {
			t.Errorf("repeated when it may no longer be decided: %+v, %v", r, err)
		}
		late.ID = id.Random()
		if r, err := d.jar.Do(t.Context(), late); !errors.Is(err, ErrFull) || len(r.Events) != 0 {
			t.Errorf("what may not be decided: %+v, %v", r, err)
		}
	}
	// A command without events leaves no trace and is decided anew.
	once := es.Command[Command]{ID: id.Random(), Body: Command{Put: &Put{On: on, Amounts: []int64{1}, Once: true}}}
	for range 2 {
		if r, err := first.jar.Do(t.Context(), once); err != nil || len(r.Events) != 0 || r.Repeated || r.Cursor.Position == 0 {
			t.Errorf("nothing to change: %+v, %v", r, err)
		}
	}
	if n := inOrder(t, first.log); n != 1 {
		t.Errorf("%d events", n)
	}
}

func alone(t *testing.T, open Open) {
	log := open(t, 1)()
	var good, panics atomic.Int32
	d := start(t, log, es.Options{Hooks: es.Hooks{Panicked: func(root string, p fault.Panic) {
		if panics.Add(1); root != "jar" || p.Type != "string" || !strings.Contains(p.Stack, "estest.decide jar.go:") || strings.Contains(p.String(), "as told") {
			t.Errorf("root %s panicked: %v", root, p)
		}
	}}})
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			c := put(stream(), 1)
			want := error(nil)
			switch i % 5 {
			case 1:
				c.Body, want = Command{Panic: stream()}, es.ErrDefect
			case 2:
				c.Body, want = Command{Bad: stream()}, es.ErrData
			case 3:
				c.Body, want = Command{Huge: stream()}, es.ErrTooLarge
			case 4:
				c.Body, want = Command{Put: &Put{On: stream(), Amounts: []int64{5}, Max: 4}}, ErrFull
			}
			_, err := d.jar.Do(t.Context(), c)
			if !errors.Is(err, want) || want == nil && err != nil {
				t.Errorf("got %v, want %v", err, want)
			}
			if err == nil {
				good.Add(1)
			}
		})
	}
	wg.Wait()
	if n := inOrder(t, log); n != 40 || good.Load() != 40 || panics.Load() < 40 {
		t.Errorf("%d stored, %d acknowledged, %d panicked", n, good.Load(), panics.Load())
	}
}

func manyEngines(t *testing.T, open Open) {
	handle := open(t, 2)
	log := handle()
	streams := make([]es.Stream, 10)
	for i := range streams {
		streams[i] = stream()
	}
	var stored sync.Map
	var wg sync.WaitGroup
	var sum atomic.Int64
	desks := make([]*desk, 4)
	var following sync.WaitGroup
	over := make(chan struct{})
	for i := range desks {
		desks[i] = start(t, handle(), es.Options{States: 4})
		for p := range log.Partitions() {
			following.Go(func() {
				if err := follow(context.Background(), desks[i].log, es.Partition(p), over); err != nil {
					t.Error(err)
				}
			})
		}
		for range 8 {
			wg.Go(func() {
				for range 25 {
					amount := rand.Int64N(100)
					r, err := desks[i].jar.Do(t.Context(), put(streams[rand.IntN(len(streams))], amount))
					if err != nil {
						t.Error(err)
						return
					}
					sum.Add(amount)
					if _, twice := stored.LoadOrStore(r.Events[0].ID, true); twice {
						t.Error("one event was given to two callers")
					}
				}
			})
		}
	}
	wg.Wait()
	close(over)
	following.Wait()
	if n := inOrder(t, log); n != 4*8*25 {
		t.Errorf("%d events stored, %d acknowledged", n, 4*8*25)
	}
	for _, d := range desks {
		var held int64
		for _, on := range streams {
			s, _, err := d.jar.State(t.Context(), on, nil)
			if err != nil {
				t.Fatal(err)
			}
			held += s.Sum
		}
		if held != sum.Load() {
			t.Errorf("an engine holds %d, %d was put in", held, sum.Load())
		}
	}
}

func evicted(t *testing.T, open Open) {
	handle := open(t, 1)
	wants := &counting{Log: handle(), streams: map[es.Stream]int{}}
	small := start(t, wants, es.Options{States: 2, Commands: 2, Rows: 4})
	streams := make([]es.Stream, 12)
	for i := range streams {
		streams[i] = stream()
	}
	for i := range 240 {
		if _, err := small.jar.Do(t.Context(), put(streams[(i*7)%len(streams)], int64(i))); err != nil {
			t.Fatal(err)
		}
	}
	large := start(t, handle(), es.Options{})
	for _, on := range streams {
		// Twelve take turns in the place of two, so each is gone when its next turn comes.
		if n := wants.of(on); n < 15 {
			t.Errorf("a stream with 20 events was loaded %d times: nothing was evicted", n)
		}
		a, at, err1 := small.jar.State(t.Context(), on, nil)
		b, _, err2 := large.jar.State(t.Context(), on, nil)
		if err1 != nil || err2 != nil || a != b || a.Events != 20 || at.Position != 240 {
			t.Errorf("%+v and %+v at %d, %v, %v", a, b, at.Position, err1, err2)
		}
	}
}

func unreadable(t *testing.T, open Open) {
	handle := open(t, 1)
	log := handle()
	d := start(t, log, es.Options{})
	on, fine := stream(), stream()
	if _, err := d.jar.Do(t.Context(), put(on, 1)); err != nil {
		t.Fatal(err)
	}
	s, err := log.Session(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	tail, err := log.Tail(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	event := id.Random()
	r := es.Record{
		Position: tail.Position + 1, ID: event, Stream: on, Version: 2, Command: id.Random(), Type: "of tomorrow", Data: []byte("{}"),
		Meta: es.EncodeMeta(es.Meta{ID: event, Hash: [32]byte{1}}), At: tail.At,
	}
	r.Chain = es.NextChain(tail.Chain, &r)
	if _, err := s.Append(t.Context(), &es.Batch{Tail: tail, Records: []es.Record{r}}); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for _, d := range []*desk{d, start(t, handle(), es.Options{})} {
		if _, err := d.jar.Do(t.Context(), put(on, 1)); !errors.Is(err, es.ErrUnknownArm) {
			t.Errorf("on a stream with an unknown arm: %v", err)
		}
		if _, err := d.jar.Do(t.Context(), put(fine, 1)); err != nil {
			t.Errorf("on another stream: %v", err)
		}
	}
	c := put(fine, 1)
	c.Keys = "wrong"
	if _, err := start(t, handle(), es.Options{}).jar.Do(t.Context(), c); !errors.Is(err, es.ErrKeys) {
		t.Errorf("with the wrong keys: %v", err)
	}
}

func limits(t *testing.T, open Open) {
	d := start(t, open(t, 1)(), es.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), -time.Second)
	defer cancel()
	if _, err := d.jar.Do(ctx, put(stream(), 1)); !errors.Is(err, es.ErrDeadline) {
		t.Errorf("after the deadline: %v", err)
	}
	// An engine that does not run yet only queues.
	idle := es.New(d.log, es.Options{Queue: 4, Share: 2, Spared: 1, Service: "test"})
	jar := es.Register(idle, Jar())
	soon, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	var wg sync.WaitGroup
	refused := make(chan error, 16)
	for range 4 {
		wg.Go(func() {
			c := put(stream(), 1)
			c.Caller = "greedy"
			_, err := jar.Do(soon, c)
			refused <- err
		})
	}
	wg.Wait()
	close(refused)
	full := 0
	for err := range refused {
		if errors.Is(err, es.ErrQueueFull) {
			full++
		}
	}
	if full != 2 {
		t.Errorf("%d of 4 calls of one caller were refused, its share is 2", full)
	}
}

// refolded: every stored state is what its events say, and one that is not is found.
func refolded(t *testing.T, open Open) {
	log := open(t, 1)()
	d := start(t, log, es.Options{Rows: 2})
	root := id.Random()
	a, b := es.StreamOf(root).Child(id.Random()), es.StreamOf(root).Child(id.Random())
	for range 10 {
		if _, err := d.rack.Do(t.Context(), put(a, 5)); err != nil {
			t.Fatal(err)
		}
		if _, err := d.rack.Do(t.Context(), es.Command[Command]{ID: id.Random(), Body: Command{Pour: &Pour{a, b, 3}}}); err != nil {
			t.Fatal(err)
		}
	}
	all := func(*es.Record) bool { return true }
	none := func(es.Stream) (any, error) { return nil, nil }
	if n, err := es.Refold(t.Context(), log, 0, Rack(), all, none); err != nil || n < 2 {
		t.Errorf("%d states compared, %v", n, err)
	}
	for name, faulty := range map[string]rowless{"a row is gone": {log, b, 0}, "a row is an older copy": {log, b, 3}} {
		if _, err := es.Refold(t.Context(), faulty, 0, Rack(), all, none); !errors.Is(err, es.ErrState) {
			t.Errorf("%s, and fsck says %v", name, err)
		}
	}
	lazy := Rack()
	lazy.Evolve = func(s State, _ es.Stream, _ es.Entry[Event]) State { return s }
	if _, err := es.Refold(t.Context(), log, 0, lazy, all, none); !errors.Is(err, es.ErrState) {
		t.Errorf("a fold that does nothing agrees with the stored states: %v", err)
	}
}
