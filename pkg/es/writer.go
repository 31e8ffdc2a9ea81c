package es

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// writer serves one partition. It is the only goroutine of its engine that does, so its fields need no lock.
type writer struct {
	engine *Engine
	p      Partition
	queue  *queue
	desks  []desk
	ctx    context.Context // of Run

	session Session
	locked  bool // the session holds the partition's lock
	adopted bool // tail is known
	tail    Tail // newest position that is known to be stored
	// The log's clock as last heard, and when that was by our own.
	said, heard time.Time
	refusal     atomic.Pointer[refusal]
	// looked is when the log was last found to hold nothing but what is held, by the engine's clock.
	looked atomic.Pointer[time.Time]
	// contended: others write here too, so lock before loading instead of hoping.
	contended bool
	// Until then, by the engine's clock, nothing is left to the append to find out: it was wrong of late.
	wary time.Time

	calls  []*call // being served
	later  []*call // taken, but for the next batch
	seen   map[id.ID]struct{}
	wanted Want

	// Of the batch at hand.
	at      time.Time
	records []Record
	states  []StateRow
	checked bool // the tail was looked at since the batch was taken
	lookup  bool // look up command ids although no stream must be loaded
	// trusting: a stream that a command says it creates is taken for empty.
	trusting bool

	refolds refolds
}

// refusal to write to one life of a partition.
type refusal struct {
	incarnation Incarnation
	err         error
}

const (
	// missedAtOnce bounds how many events of others are folded into what is held; further behind, everything held is
	// forgotten, which costs less.
	missedAtOnce = 2048
	// staleAfter bounds how long the log's clock is carried forward by our own.
	staleAfter = time.Second
	// waryFor bounds how often an append fails for what could have been looked up before: once in so long, whatever one
	// caller repeats.
	waryFor = time.Second
	// batchBytes bounds the data of one flush.
	batchBytes = 4 << 20
	// maxTries bounds how often a batch is tried in which something other than the connection fails.
	maxTries = 16
	// opTimeout bounds one round trip. A log that does not answer for so long is treated as lost.
	opTimeout = 20 * time.Second
)

func newWriter(e *Engine, p Partition) *writer {
	w := &writer{
		engine: e, p: p, queue: newQueue(e.opts.Queue, e.opts.Share, e.opts.Spared), seen: make(map[id.ID]struct{}),
	}
	w.refolds.w = w
	return w
}

func (w *writer) run(ctx context.Context) {
	w.ctx = ctx
	defer func() {
		w.queue.close()
		w.refolds.close()
		for _, c := range w.later {
			c.answer(ErrClosed)
		}
		w.drop()
	}()
	for {
		w.later = w.refolds.resume(w.engine.opts.Clock(), w.later)
		calls, ok := w.queue.next(ctx, append(w.calls[:0], w.later...), w.engine.opts.Batch)
		w.later = w.later[:0]
		w.calls = calls
		if !ok {
			w.later = append(w.later, calls...)
			return
		}
		for _, c := range calls {
			c.postponed = false
		}
		w.checked, w.lookup = false, false
		w.serve(calls)
		for _, d := range w.desks {
			d.trim()
		}
		clear(w.calls)
	}
}

// serve answers every call, some of them in the next batch.
func (w *writer) serve(calls []*call) {
	var (
		pause backoff
		tries int
	)
	for {
		if calls = w.admit(calls); len(calls) == 0 {
			return
		}
		err := w.round(calls)
		if err != nil && !errors.Is(err, ErrOutcome) {
			w.rollback()
		}
		w.unlock()
		if tries++; tries > maxTries && err != nil && !errors.Is(err, ErrUnavailable) {
			w.alarm(fmt.Errorf("es: partition %d: a batch failed %d times: %w", w.p, maxTries, err))
			w.fail(calls, ErrUnavailable)
			return
		}
		switch {
		case err == nil:
			return
		case errors.Is(err, ErrMoved):
			w.look(calls)
			w.contended = true
		case errors.Is(err, ErrKnownCommand):
			w.lookup, w.wary = true, w.engine.opts.Clock().Add(waryFor)
		case errors.Is(err, ErrVersion) && w.doubt():
			w.wary = w.engine.opts.Clock().Add(waryFor)
		case errors.Is(err, ErrVersion):
			w.alarm(fmt.Errorf("es: partition %d: what is held contradicts the log: %w", w.p, err))
			w.forget()
		case errors.Is(err, ErrData) && len(calls) > 1:
			for i := range calls {
				w.serve(calls[i : i+1])
			}
			return
		case errors.Is(err, ErrOutcome):
			w.resolve(calls)
		case errors.Is(err, ErrUnavailable):
			w.drop()
			if !pause.wait(w.ctx) {
				w.fail(calls, ErrClosed)
			}
		default:
			w.fail(calls, err)
		}
	}
}

// look catches up without the lock, so that little is left to do under it. It is no matter if that fails.
func (w *writer) look(calls []*call) {
	w.contended = false
	w.want()
	if _, err := w.load(calls); err != nil {
		w.drop()
	}
}

// admit drops calls that are answered or whose caller has given up, answers those whose command is remembered, and
// puts off the second of two with the same id.
func (w *writer) admit(calls []*call) []*call {
	now := w.engine.opts.Clock()
	clear(w.seen)
	kept := calls[:0]
	for _, c := range calls {
		switch {
		case !c.open():
		case c.ctx.Err() != nil || !now.Before(c.deadline):
			c.answer(ErrDeadline)
		case c.kind == command && w.desks[c.desk].recall(c):
		default:
			if c.kind == command {
				if _, twice := w.seen[c.id]; twice {
					w.later = append(w.later, c)
					continue
				}
				w.seen[c.id] = struct{}{}
			}
			kept = append(kept, c)
		}
	}
	return kept
}

// round is one attempt: load, decide, append, answer. Whatever it returns but nil, nothing was answered that may be
// wrong, and the states are those that are stored.
func (w *writer) round(calls []*call) error {
	if err := w.open(); err != nil {
		return err
	}
	w.checked = false
	now := w.engine.opts.Clock()
	lookup := w.lookup || w.contended || !w.adopted || w.refusal.Load() != nil || now.Sub(w.heard) > staleAfter || now.Before(w.wary)
	w.trusting = !lookup
	for turn := 0; ; turn++ {
		if turn > 8 && !w.locked {
			return ErrMoved // others write faster than we read: stop them for a moment
		}
		w.refolds.setAside(calls)
		if w.gather(calls, lookup) {
			if _, err := w.load(calls); err != nil {
				return err
			}
			w.refolds.setAside(calls)
		}
		lookup = false
		if !w.decide(calls) {
			continue
		}
		if settled, err := w.verify(calls); err != nil {
			return err
		} else if settled {
			break
		}
	}
	if len(w.records) > 0 {
		if err := w.append(); err != nil {
			return err
		}
	}
	w.finish(calls)
	return nil
}

// doubt makes everything that was taken for empty be loaded, and says whether there was any.
func (w *writer) doubt() (any bool) {
	for _, d := range w.desks {
		any = d.doubtAll() || any
	}
	return any
}

// gather fills w.wanted with what the calls need and is not here, and says whether there is anything to load. Ids are
// looked up whenever a load is necessary anyway; otherwise the append itself would meet a known one.
func (w *writer) gather(calls []*call, lookup bool) bool {
	for _, c := range calls {
		if !c.open() {
			continue
		}
		if c.kind != probe && !w.desks[c.desk].need(c) || c.kind != command && !w.checked {
			lookup = true
		}
	}
	w.want()
	for _, d := range w.desks {
		d.gather(&w.wanted)
	}
	if lookup || len(w.wanted.Streams) > 0 {
		w.ask(calls)
		return true
	}
	return false
}

// want begins a new want.
func (w *writer) want() {
	w.wanted.Streams, w.wanted.Commands, w.wanted.Roots = w.wanted.Streams[:0], w.wanted.Commands[:0], w.wanted.Roots[:0]
}

// ask adds to w.wanted the ids that were not looked up yet.
func (w *writer) ask(calls []*call) {
	for _, c := range calls {
		if c.kind == command && c.open() && !c.looked {
			w.wanted.Commands = append(w.wanted.Commands, c.id)
		}
	}
}

// decide runs the rules over all calls in order and says whether it could; if not, streams were noted to be loaded.
func (w *writer) decide(calls []*call) bool {
	w.rollback()
	w.at = w.now()
	complete, size := true, 0
	for i, c := range calls {
		if !c.open() {
			continue
		}
		c.refusal, c.events = nil, 0
		if c.kind != probe && !w.desks[c.desk].decide(c) {
			complete = false
			continue // the others may need streams as well: note them in the same turn
		}
		c.reach = w.tail.Position + Position(len(w.records))
		for j := len(w.records) - c.events; j < len(w.records); j++ {
			size += len(w.records[j].Data)
		}
		if size >= batchBytes && complete {
			w.postpone(calls[i+1:])
			break
		}
	}
	return complete
}

// postpone leaves calls to the next batch.
func (w *writer) postpone(calls []*call) {
	for _, c := range calls {
		if c.open() {
			c.postponed = true
			w.later = append(w.later, c)
		}
	}
}

// verify makes sure that answers which no event of their own vouches for are right: their ids were looked up, the tail was
// looked at, and no stream was taken for empty that is not created now. An append does all that by itself. It says whether
// the decisions stand.
func (w *writer) verify(calls []*call) (bool, error) {
	open, doubt := len(w.records) == 0 && !w.checked, false
	for _, c := range calls {
		if !c.open() || c.kind == probe {
			continue
		}
		if w.desks[c.desk].doubt(c) {
			doubt = true
		}
		if c.kind == command && c.events == 0 && !c.looked {
			open = true
		}
	}
	if doubt {
		return false, nil
	}
	if !open {
		return true, nil
	}
	w.want()
	w.ask(calls)
	changed, err := w.load(calls)
	return !changed, err
}

// load reads what is wanted and takes it in. It says whether anything that was decided before must be decided again.
func (w *writer) load(calls []*call) (changed bool, err error) {
	w.wanted.After, w.wanted.Missed = w.tail.Position, missedAtOnce
	if !w.adopted {
		w.wanted.Missed = 0
	}
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	began := w.engine.opts.Clock()
	var found *Found
	if w.contended && !w.locked {
		found, err = w.session.Lock(ctx, &w.wanted)
		w.locked = err == nil
	} else {
		found, err = w.session.Load(ctx, &w.wanted)
	}
	if err != nil {
		return false, err
	}
	w.hear(found.Now)
	w.checked = true
	missed := w.tail.Position
	if err := w.catchUp(found, calls); err != nil {
		return false, err
	}
	w.looked.Store(&began)
	missed = w.tail.Position - missed
	if w.locked {
		w.contended = missed > 0
	}
	for i, d := range w.desks {
		d.learn(found)
		d.stale(func(root Stream, keys any) { w.refolds.begin(i, root, keys) })
	}
	known := w.repeats(calls, found.Commands)
	return missed != 0 || known || len(w.wanted.Streams) > 0, nil
}

// catchUp makes the tail that was found ours.
func (w *writer) catchUp(f *Found, calls []*call) error {
	if r := w.refusal.Load(); r != nil {
		if r.incarnation == f.Tail.Incarnation {
			w.drop()
			return r.err
		}
		w.refusal.CompareAndSwap(r, nil) // reconciled
	}
	switch {
	case !w.adopted:
	case f.Tail.Incarnation != w.tail.Incarnation:
		w.forget()
	case f.Link != w.tail.Chain:
		err := fmt.Errorf("%w: partition %d: the event at position %d is not the one that was stored", ErrIncarnation, w.p, w.tail.Position)
		w.refuse(w.tail.Incarnation, err)
		w.drop()
		return err
	case f.Tail.Position == w.tail.Position:
		return nil
	case f.Tail.Position-w.tail.Position > Position(len(f.Missed)):
		w.missed(int(f.Tail.Position - w.tail.Position))
		w.forget()
	default:
		w.missed(len(f.Missed))
		check := Checker{Position: w.tail.Position, Chain: w.tail.Chain}
		for i := range f.Missed {
			r := &f.Missed[i]
			if err := check.Check(r); err != nil {
				w.alarm(err)
				w.refuse(w.tail.Incarnation, err)
				w.drop()
				return err
			}
			for _, d := range w.desks {
				d.fold(r)
			}
		}
	}
	for _, c := range calls {
		// Their commands may be among what was missed, unless this very load looks them up.
		c.looked = false
	}
	w.tail, w.adopted = f.Tail, true
	return nil
}

// repeats answers the calls whose commands were found, and marks the others that were asked for as looked up.
func (w *writer) repeats(calls []*call, events []Record) (any bool) {
	clear(w.seen)
	for _, asked := range w.wanted.Commands {
		w.seen[asked] = struct{}{}
	}
	for _, c := range calls {
		if _, asked := w.seen[c.id]; !asked || c.kind != command || !c.open() {
			continue
		}
		c.looked = true
		for i := range events {
			if events[i].Command != c.id {
				continue
			}
			end := i + 1
			for end < len(events) && events[end].Command == c.id {
				end++
			}
			w.desks[c.desk].repeat(c, events[i:end])
			any = any || c.events > 0
			break
		}
	}
	return any
}

// append stores the batch.
func (w *writer) append() error {
	began := w.engine.opts.Clock()
	last := &w.records[len(w.records)-1]
	w.states = w.states[:0]
	for _, d := range w.desks {
		var err error
		if w.states, err = d.rows(w.states, last.Position); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	now, err := w.session.Append(ctx, &Batch{Tail: w.tail, Records: w.records, States: w.states})
	w.locked = false
	if err != nil {
		return err
	}
	w.hear(now)
	w.looked.Store(&began)
	if flushed := w.engine.opts.Hooks.Flushed; flushed != nil {
		commands := 1
		for i := 1; i < len(w.records); i++ {
			if w.records[i].Ordinal == 0 {
				commands++
			}
		}
		flushed(w.p, commands, len(w.records), w.engine.opts.Clock().Sub(began))
	}
	return nil
}

// finish makes what was decided the states and gives the answers.
func (w *writer) finish(calls []*call) {
	for _, d := range w.desks {
		d.commit()
	}
	if n := len(w.records); n > 0 {
		last := &w.records[n-1]
		w.tail.Position, w.tail.Chain, w.tail.At = last.Position, last.Chain, last.At
	}
	w.records = w.records[:0]
	for _, c := range calls {
		switch {
		case !c.open():
		case c.refusal != nil:
			c.answer(c.refusal)
		case c.kind == probe:
			c.answer(nil)
		default:
			w.desks[c.desk].done(c)
		}
	}
}
