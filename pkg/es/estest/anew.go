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

// seam is a log whose sessions can be looked at and held up where roots are folded anew; what is nil is left alone.
type seam struct {
	es.Log
	t *testing.T

	// scan is called for each event of a root.
	scan func(ctx context.Context, r *es.Record) error
	// rows is called instead of an append of state rows alone.
	rows func(ctx context.Context, s es.Session, b *es.Batch) (time.Time, error)

	scans atomic.Int32 // of a root's events
	roots atomic.Int32 // rows of roots themselves, with which folding them anew ends
}

func (l *seam) Session(ctx context.Context, p es.Partition) (es.Session, error) {
	s, err := l.Log.Session(ctx, p)
	return &seamed{Session: s, log: l}, err
}

// seamed holds its engine to what it may ask for at a time.
type seamed struct {
	es.Session
	log    *seam
	locked bool
}

// atOnce is far more than the suite's streams have between their rows, and far less than a large root has.
const atOnce = 2500

func (s *seamed) found(f *es.Found, err error) (*es.Found, error) {
	if err == nil && (len(f.Events) > atOnce || len(f.Missed) > atOnce) {
		s.log.t.Errorf("%d events of streams and %d missed ones at once", len(f.Events), len(f.Missed))
	}
	return f, err
}

func (s *seamed) Load(ctx context.Context, w *es.Want) (*es.Found, error) {
	return s.found(s.Session.Load(ctx, w))
}

func (s *seamed) Lock(ctx context.Context, w *es.Want) (*es.Found, error) {
	f, err := s.Session.Lock(ctx, w)
	s.locked = err == nil
	return s.found(f, err)
}

func (s *seamed) Unlock(ctx context.Context) error {
	s.locked = false
	return s.Session.Unlock(ctx)
}

func (s *seamed) Root(ctx context.Context, root es.Stream, visit func(*es.Record) error) error {
	s.log.scans.Add(1)
	if s.locked {
		s.log.t.Error("a root's events are read under the lock")
	}
	return s.Session.Root(ctx, root, func(r *es.Record) error {
		if s.log.scan != nil {
			if err := s.log.scan(ctx, r); err != nil {
				return err
			}
		}
		return visit(r)
	})
}

func (s *seamed) Append(ctx context.Context, b *es.Batch) (time.Time, error) {
	s.locked = false
	if len(b.Records) > 0 {
		return s.Session.Append(ctx, b)
	}
	if len(b.States) > atOnce {
		s.log.t.Errorf("%d rows at once", len(b.States))
	}
	for i := range b.States {
		if on := b.States[i].Stream; len(on) == len(on.Root()) {
			s.log.roots.Add(1)
		}
	}
	if s.log.rows != nil {
		return s.log.rows(ctx, s.Session, b)
	}
	return s.Session.Append(ctx, b)
}

// racks starts an engine with the rack's rules alone.
func racks(t *testing.T, log es.Log, rules es.Rules[State, Command, Event], o es.Options) *es.Root[State, Command, Event] {
	t.Helper()
	o.Service = "test"
	e := es.New(log, o)
	r := es.Register(e, rules)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("the engine ended with %v", err)
		}
	})
	return r
}

// newer is the rack of a release with another fold.
func newer() es.Rules[State, Command, Event] {
	r := Rack()
	r.Fold++
	return r
}

func must(t *testing.T, r *es.Root[State, Command, Event], c es.Command[Command]) {
	t.Helper()
	if res, err := r.Do(t.Context(), c); err != nil || len(res.Events) == 0 {
		t.Errorf("%+v, %v", res, err)
	}
}

func pour(from, to es.Stream, amount int64) es.Command[Command] {
	return es.Command[Command]{ID: id.Random(), Body: Command{Pour: &Pour{from, to, amount}}}
}

// refoldable checks that every stored state is what its events say to these rules, and that there are so many.
func refoldable(t *testing.T, log es.Log, rules es.Rules[State, Command, Event], atLeast int) {
	t.Helper()
	n, err := es.Refold(t.Context(), log, 0, rules, func(*es.Record) bool { return true }, func(es.Stream) (any, error) { return nil, nil })
	if err != nil || n < atLeast {
		t.Errorf("%d states compared, %v", n, err)
	}
}

// lostRows: the answer to the rows of a root that is folded anew is lost, whether they were stored or not, and whether another
// process has written meanwhile or not. What is acknowledged is stored.
func lostRows(t *testing.T, open Open) {
	for name, c := range map[string]struct{ stored, another bool }{
		"stored": {stored: true}, "not stored": {}, "stored, and another writes": {true, true}, "not stored, and another writes": {another: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			handle := open(t, 1)
			old := racks(t, handle(), Rack(), es.Options{})
			root := stream()
			child := root.Child(id.Random())
			must(t, old, put(root, 5))
			must(t, old, put(child, 5))
			log := &seam{Log: handle(), t: t}
			lose := 3
			log.rows = func(ctx context.Context, s es.Session, b *es.Batch) (time.Time, error) {
				if lose--; lose < 0 {
					return s.Append(ctx, b)
				}
				var err error
				if c.stored {
					_, err = s.Append(ctx, b)
				} else {
					err = s.Unlock(ctx)
				}
				if err != nil {
					t.Error(err)
				}
				if c.another {
					must(t, old, put(child, 1))
				}
				return time.Time{}, es.ErrOutcome
			}
			now := racks(t, log, newer(), es.Options{})
			want := int64(12)
			if c.another {
				want += 3
			}
			r, err := now.Do(t.Context(), put(child, 7))
			if err != nil || len(r.Events) != 1 {
				t.Errorf("%+v, %v", r, err)
			}
			if s, _, err := now.State(t.Context(), child, nil); err != nil || s.Sum != want {
				t.Errorf("the state is %+v, not %d, %v", s, want, err)
			}
			if s, _, err := now.State(t.Context(), root, nil); err != nil || s.Sum != 5 {
				t.Errorf("the root's state is %+v, %v", s, err)
			}
			if n := inOrder(t, log); n != int(want-12)+3 {
				t.Errorf("%d events are stored", n)
			}
			refoldable(t, log, newer(), 2)
		})
	}
}

// largeRoot: a root with many more streams than are held at a time is folded anew in pieces, beside the writer: other roots of its
// partition go on, and so does a process with the older rules.
func largeRoot(t *testing.T, open Open) {
	handle := open(t, 1)
	old := racks(t, handle(), Rack(), es.Options{})
	root, other := stream(), stream()
	children := make([]es.Stream, 1500)
	var cs []es.Command[Command]
	for i := range children {
		children[i] = root.Child(id.Random())
		cs = append(cs, put(children[i], 7, 1, 1, 1))
	}
	for range 6 { // more events than may be loaded at once
		cs = append(cs, put(children[0], make([]int64, atOnce/5)...))
	}
	for i := range children {
		cs = append(cs, pour(children[i], children[(i+1)%len(children)], 2))
	}
	for i, o := range old.DoMany(t.Context(), cs) {
		if o.Err != nil {
			t.Fatal(i, o.Err)
		}
	}
	log := &seam{Log: handle(), t: t}
	began, others := make(chan struct{}), make(chan struct{})
	var once sync.Once
	log.scan = func(context.Context, *es.Record) error {
		once.Do(func() { close(began); <-others })
		return nil
	}
	now := racks(t, log, newer(), es.Options{States: 64})
	answer := make(chan error, 2)
	go func() {
		_, err := now.Do(t.Context(), put(children[0], 100))
		answer <- err
	}()
	<-began
	must(t, now, put(other, 1)) // while the root waits
	must(t, now, put(other.Child(id.Random()), 1))
	late := root.Child(id.Random())
	for i := range 5 {
		must(t, old, pour(children[i], late, 1)) // what has been there, and what has not
	}
	close(others)
	if err := <-answer; err != nil {
		t.Errorf("on the root: %v", err)
	}
	for i, on := range children {
		want := int64(10)
		switch {
		case i == 0:
			want += 99
		case i < 5:
			want--
		}
		if s, _, err := now.State(t.Context(), on, nil); err != nil || s.Sum != want {
			t.Fatalf("stream %d holds %+v, not %d, %v", i, s, want, err)
		}
	}
	if s, _, err := now.State(t.Context(), late, nil); err != nil || s.Sum != 5 {
		t.Errorf("a stream that was not there holds %+v, %v", s, err)
	}
	if scans, roots := log.scans.Load(), log.roots.Load(); scans < 4 || roots != 1 {
		t.Errorf("of %d streams: the root was read %d times and folded anew %d times", len(children), scans, roots)
	}
	inOrder(t, log)
	refoldable(t, log, newer(), len(children)+2)
}

// foldedTwice: two processes of a new release fold one root anew at once. One is late with its rows: they do not take the place of what
// the other has stored since.
func foldedTwice(t *testing.T, open Open) {
	handle := open(t, 1)
	old := racks(t, handle(), Rack(), es.Options{})
	root := stream()
	var cs []es.Command[Command]
	children := make([]es.Stream, 1200) // more rows than one piece has
	for i := range children {
		children[i] = root.Child(id.Random())
		cs = append(cs, put(children[i], 1))
	}
	for i, o := range old.DoMany(t.Context(), cs) {
		if o.Err != nil {
			t.Fatal(i, o.Err)
		}
	}
	log := &seam{Log: handle(), t: t}
	late, stored, looked := make(chan struct{}), make(chan struct{}), make(chan struct{})
	overtaken := make(chan struct{})
	first := true
	log.rows = func(ctx context.Context, s es.Session, b *es.Batch) (time.Time, error) {
		if !first {
			return s.Append(ctx, b)
		}
		first = false
		close(late)
		select {
		case <-overtaken:
		case <-ctx.Done():
		}
		now, err := s.Append(ctx, b)
		close(stored)
		select {
		case <-looked:
		case <-ctx.Done():
		}
		return now, err
	}
	slow := racks(t, log, newer(), es.Options{})
	answer := make(chan error, 1)
	go func() {
		_, err := slow.Do(t.Context(), put(children[0], 100))
		answer <- err
	}()
	<-late
	quick := racks(t, handle(), newer(), es.Options{})
	for i := range children {
		if i%2 == 0 {
			must(t, quick, pour(children[i], children[i+1], 1))
		}
	}
	close(overtaken)
	<-stored
	third := racks(t, handle(), newer(), es.Options{})
	for i, on := range children {
		if s, _, err := third.State(t.Context(), on, nil); err != nil || s.Sum != int64(i%2*2) {
			t.Fatalf("stream %d holds %+v, %v", i, s, err)
		}
	}
	close(looked)
	if err := <-answer; err != nil {
		t.Error(err)
	}
	inOrder(t, log)
	refoldable(t, log, newer(), len(children)+1)
}

// waiting: who waits for a root that is folded anew is told when its time is over, when too many wait, and when the engine ends.
func waiting(t *testing.T, open Open) {
	handle := open(t, 1)
	old := racks(t, handle(), Rack(), es.Options{})
	root := stream()
	child := root.Child(id.Random())
	must(t, old, put(child, 5))
	log := &seam{Log: handle(), t: t}
	began, release := make(chan struct{}, 1), make(chan struct{})
	log.scan = func(ctx context.Context, _ *es.Record) error {
		select {
		case began <- struct{}{}:
		default:
		}
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return es.ErrUnavailable.Because(ctx.Err())
		}
	}
	e := es.New(log, es.Options{Service: "test", Queue: 4, Share: 4, Spared: 1, Timeout: 2 * time.Second})
	now := es.Register(e, newer())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	defer cancel()
	const callers = 12
	answers := make(chan error, callers)
	for range callers {
		go func() {
			_, err := now.Do(context.Background(), put(child, 1))
			answers <- err
		}()
	}
	const room = 4
	for range callers - room {
		if err := <-answers; !errors.Is(err, es.ErrQueueFull) {
			t.Errorf("who comes when %d wait is told %v", room, err)
		}
	}
	if _, err := now.Do(context.Background(), put(child, 1)); !errors.Is(err, es.ErrQueueFull) {
		t.Errorf("who comes later is told %v", err)
	}
	for range room {
		if err := <-answers; !errors.Is(err, es.ErrDeadline) {
			t.Errorf("who has waited too long is told %v", err)
		}
	}
	patient, stop := context.WithTimeout(context.Background(), time.Minute)
	defer stop()
	last := make(chan error, 1)
	go func() {
		_, err := now.Do(patient, put(child, 1))
		last <- err
	}()
	<-began
	must(t, old, put(child, 1)) // the root is not locked
	cancel()
	if err := <-done; err != nil {
		t.Errorf("the engine ended with %v", err)
	}
	if err := <-last; !errors.Is(err, es.ErrClosed) {
		t.Errorf("who waits when the engine ends is told %v", err)
	}
	close(release)
	again := racks(t, log, newer(), es.Options{})
	must(t, again, put(child, 1))
	if s, _, err := again.State(t.Context(), child, nil); err != nil || s.Sum != 7 {
		t.Errorf("%+v, %v", s, err)
	}
}

// sealedRows: states whose rows are sealed are folded anew with the keys of the command that needs them.
func sealedRows(t *testing.T, open Open) {
	sealed := func(r es.Rules[State, Command, Event]) es.Rules[State, Command, Event] {
		encode, decode := r.EncodeState, r.DecodeState
		r.EncodeState = func(s State, on es.Stream, keys any) ([]byte, error) {
			if keys != "right" {
				return nil, es.ErrKeys
			}
			return encode(s, on, keys)
		}
		r.DecodeState = func(b []byte, on es.Stream, keys any) (State, error) {
			if keys != "right" {
				return State{}, es.ErrKeys
			}
			return decode(b, on, keys)
		}
		return r
	}
	handle := open(t, 1)
	child := stream().Child(id.Random())
	with := func(keys string) es.Command[Command] {
		c := put(child, 5)
		c.Keys = keys
		return c
	}
	must(t, racks(t, handle(), sealed(Rack()), es.Options{}), with("right"))
	now := racks(t, handle(), sealed(newer()), es.Options{})
	if _, err := now.Do(t.Context(), with("wrong")); !errors.Is(err, es.ErrKeys) {
		t.Errorf("folded anew with the wrong keys: %v", err)
	}
	must(t, now, with("right"))
	if s, _, err := now.State(t.Context(), child, "right"); err != nil || s.Sum != 10 {
		t.Errorf("%+v, %v", s, err)
	}
}

// ended: an engine that is told to end does not go on for those who go on asking.
func ended(t *testing.T, open Open) {
	e := es.New(open(t, 1)(), es.Options{Service: "test"})
	jar := es.Register(e, Jar())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	const callers = 64
	var (
		wg     sync.WaitGroup
		stored atomic.Int64
		many   = make(chan struct{})
		enough atomic.Bool
	)
	for range callers {
		wg.Go(func() {
			for !enough.Load() {
				_, err := jar.Do(context.Background(), put(stream(), 1))
				if errors.Is(err, es.ErrClosed) {
					return
				}
				if err != nil {
					t.Error(err)
					return
				}
				if stored.Add(1) == 10*callers {
					close(many)
				}
			}
		})
	}
	<-many
	cancel()
	before := stored.Load()
	over := time.AfterFunc(20*time.Second, func() { enough.Store(true) })
	defer over.Stop()
	if err := <-done; err != nil {
		t.Errorf("the engine ended with %v", err)
	}
	// One batch was in flight, and one may have been answered that its callers have not counted yet.
	if n := stored.Load() - before; n > 2*callers || enough.Load() {
		t.Errorf("%d commands were taken from %d callers after the end", n, callers)
	}
	wg.Wait()
}
