package es

import (
	"context"
	"errors"
	"fmt"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
)

// desk is what a writer does with one root: it keeps states and lays decisions over them until they are stored. All
// methods run in the writer.
type desk interface {
	// need says whether the desk holds what c decides on, and else notes it to be loaded.
	need(c *call) bool
	// doubt says whether c was decided on a stream that was taken for empty and that nothing vouches for, and notes it to be
	// loaded.
	doubt(c *call) bool
	// doubtAll notes everything that was taken for empty to be loaded, and says whether there was any.
	doubtAll() bool
	// gather adds to a load what was noted.
	gather(w *Want)
	// fold applies an event that another process stored to the states that are held.
	fold(r *Record)
	// learn takes in what was loaded.
	learn(f *Found)
	// stale hands over the roots whose state rows were found to be of another fold or lacking, and the keys that open them.
	stale(begin func(root Stream, keys any))
	// refold brings all rows of a root up to this process's rules. It alone runs beside the writer.
	refold(ctx context.Context, s Session, root Stream, keys any) error
	// recall answers a repeat from memory.
	recall(c *call) bool
	// repeat answers a repeat with its events from the log.
	repeat(c *call, events []Record)
	// decide runs the rules; false says that further streams must be loaded first.
	decide(c *call) bool
	// rows of the states that must be stored with the batch.
	rows(into []StateRow, at Position) ([]StateRow, error)
	// commit makes what was decided the states; rollback forgets it.
	commit()
	rollback()
	// done ends a command whose events are stored.
	done(c *call)
	// trim ends a batch: it forgets what could not be read and what is too much.
	trim()
	// forget everything.
	forget()
}

// cell is one stream's state: as stored, and as the batch at hand would leave it.
type cell[S any] struct {
	stream   Stream
	state    S
	version  Version
	next     S
	upcoming Version
	keys     any // of the last command on it: they open its events

	row     Version // that its state row includes
	hasRow  bool
	loading bool
	assumed bool // to be empty, and not to be read
	foreign bool // its row is of another fold
	dirty   bool // next differs from state
	write   bool // its row must be stored with the batch
	shown   bool // to readers beside the writer
	err     error
}

// memory is a command that was stored.
type memory[E any] struct {
	hash   [32]byte
	events []Recorded[E]
}

type undo[S any] struct {
	cell     *cell[S]
	next     S
	upcoming Version
	write    bool
}

type desktop[S, C, E any] struct {
	root  *Root[S, C, E]
	rules *Rules[S, C, E]
	w     *writer

	cells  recent[Stream, *cell[S]]
	shown  shown[S]
	held   map[string]int // cells per root, where the rules touch
	known  recent[id.ID, memory[E]]
	wanted []*cell[S]
	// assumed were taken for empty since the last batch: each is created by this one, or loaded, or forgotten at its end.
	assumed []*cell[S]
	broken  []*cell[S]
	old     map[Stream]any // roots to fold anew, and the keys for it
	dirty   []*cell[S]
	undo    []undo[S]
	// before and after are what Conserve is handed.
	before, after []S

	// Of the command being decided.
	now    *job[S, C, E]
	meta   eventv1.Meta
	header Header
	lookup func(Stream) S // method value, made once
}

func newDesk[S, C, E any](r *Root[S, C, E], w *writer) desk {
	d := &desktop[S, C, E]{root: r, rules: &r.rules, w: w}
	d.lookup = d.state
	d.forget()
	return d
}

func (d *desktop[S, C, E]) forget() {
	d.cells.init()
	d.shown.clear()
	d.known.init()
	d.held = make(map[string]int)
	d.old = make(map[Stream]any)
	d.wanted, d.assumed, d.broken, d.dirty, d.undo = nil, nil, nil, nil, nil
}

func (d *desktop[S, C, E]) need(c *call) bool {
	ready := true
	if c.creates != "" && d.w.trusting {
		d.assume(c.creates, c.keys)
	}
	for _, s := range c.streams {
		if !d.hold(s, c.keys) {
			ready = false
		}
	}
	return ready
}

// hold says whether a stream's state is here, and else notes it. Where the rules touch, the root's own stream comes
// along: the presence of its row vouches for all rows of the root. A root of which no event has happened to, or touched, another
// stream needs none.
func (d *desktop[S, C, E]) hold(s Stream, keys any) bool {
	ready := d.note(s, keys)
	if d.rules.Touch != nil {
		if root := s.Root(); len(root) < len(s) {
			ready = d.note(Stream(root), keys) && ready
		}
	}
	return ready
}

func (d *desktop[S, C, E]) note(s Stream, keys any) bool {
	if c, ok := d.cells.get(s); ok {
		return !c.loading
	}
	d.load(d.make(s, keys))
	return false
}

// make room for a stream that is not held.
func (d *desktop[S, C, E]) make(s Stream, keys any) *cell[S] {
	c := &cell[S]{stream: s, keys: keys}
	d.cells.put(s, c)
	if d.rules.Touch != nil {
		d.held[s.Root()]++
	}
	return c
}

func (d *desktop[S, C, E]) load(c *cell[S]) {
	c.assumed, c.loading = false, true
	d.wanted = append(d.wanted, c)
}

func (d *desktop[S, C, E]) gather(w *Want) {
	for _, c := range d.wanted {
		w.Streams = append(w.Streams, WantStream{
			Stream: c.stream, Rows: d.rules.EncodeState != nil, Fold: d.rules.Fold, Anew: d.rules.Touch != nil,
		})
		if d.rules.Touch != nil && d.isRoot(c) {
			w.Roots = append(w.Roots, c.stream)
		}
	}
}

func (d *desktop[S, C, E]) isRoot(c *cell[S]) bool { return len(c.stream.Root()) == len(c.stream) }

func (d *desktop[S, C, E]) learn(f *Found) {
	if len(d.wanted) == 0 {
		return
	}
	for i := range f.Rows {
		row := &f.Rows[i]
		c, ok := d.cells.peek(row.Stream)
		switch {
		case !ok || !c.loading || d.rules.DecodeState == nil:
		case row.Fold != d.rules.Fold:
			c.foreign = true
		default:
			c.row, c.hasRow, c.version = row.Version, true, row.Version
			c.err = d.guard(func() (err error) {
				c.state, err = d.rules.DecodeState(row.Data, c.stream, c.keys)
				return err
			})
		}
	}
	for i := range f.Events {
		if c, ok := d.cells.peek(f.Events[i].Stream); ok && c.loading && c.err == nil {
			c.err = d.apply(c, &f.Events[i])
		}
	}
	for _, root := range f.Roots {
		if c, ok := d.cells.peek(root); ok && c.loading && !c.hasRow && d.rules.Touch != nil {
			c.foreign = true // further streams, but no row to vouch for theirs
		}
	}
	for _, c := range d.wanted {
		c.loading = false
		c.next, c.upcoming = c.state, c.version
		if c.err != nil {
			d.broken = append(d.broken, c)
			d.w.alarm(c.err)
		}
		if c.foreign && d.rules.Touch != nil {
			d.old[Stream(c.stream.Root())] = c.keys
		}
	}
	d.wanted = d.wanted[:0]
	for root := range d.old {
		d.dropRoot(string(root)) // not to be decided on before the root is folded anew
	}
}

// apply folds an event of the cell's own stream into the stored state. Events that it includes are skipped; a hole is a
// fault.
func (d *desktop[S, C, E]) apply(c *cell[S], r *Record) error {
	if r.Version <= c.version {
		return nil
	}
	if r.Version != c.version+1 {
		return fmt.Errorf("%w: partition %d: version %d of a stream of root %s follows %d", ErrGap, r.Partition, r.Version, d.rules.Name, c.version)
	}
	return d.guard(func() error {
		e, err := d.rules.Decode(r, c.keys)
		if err != nil {
			return err
		}
		entry := entryOf(r, e)
		c.state = d.rules.Evolve(c.state, r.Stream, entry)
		c.version++
		if !c.hasRow && d.rules.Touch != nil && d.isRoot(c) && spreads(r.Stream, d.rules.Touch(entry)) {
			c.foreign = true
		}
		return nil
	})
}

func (d *desktop[S, C, E]) fold(r *Record) {
	own, ok := d.cells.peek(r.Stream)
	if d.rules.Touch == nil {
		if ok && !own.loading {
			if err := d.apply(own, r); err != nil {
				d.drop(own)
				return
			}
			own.next, own.upcoming = own.state, own.version
			d.reshow(own)
		}
		return
	}
	root := r.Stream.Root()
	if d.held[root] == 0 {
		return
	}
	err := d.guard(func() error {
		var keys any
		marker, known := d.cells.peek(Stream(root))
		if known {
			keys = marker.keys
		}
		if ok {
			keys = own.keys
		}
		e, err := d.rules.Decode(r, keys)
		if err != nil {
			return err
		}
		entry := entryOf(r, e)
		touched := d.rules.Touch(entry)
		if known && spreads(r.Stream, touched) {
			marker.hasRow = true // whoever wrote the event wrote that row
		}
		if ok && !own.loading {
			if r.Version != own.version+1 {
				return ErrGap
			}
			own.state = d.rules.Evolve(own.state, r.Stream, entry)
			own.version++
			own.next, own.upcoming = own.state, own.version
			d.reshow(own)
		}
		for _, s := range touched {
			if c, ok := d.cells.peek(s); ok && !c.loading && s != r.Stream {
				c.state = d.rules.Evolve(c.state, s, entry)
				c.next = c.state
				d.reshow(c)
			}
		}
		return nil
	})
	if err != nil {
		d.dropRoot(root)
	}
}

// drop forgets a stream; it is loaded again when it is needed.
func (d *desktop[S, C, E]) drop(c *cell[S]) {
	d.cells.drop(c.stream)
	d.gone(c.stream)
}

func (d *desktop[S, C, E]) gone(s Stream) {
	d.hide(s)
	if d.rules.Touch == nil {
		return
	}
	root := s.Root()
	if d.held[root]--; d.held[root] <= 0 {
		delete(d.held, root)
	}
}

func (d *desktop[S, C, E]) dropRoot(root string) {
	for s, n := range d.cells.at {
		if s.Root() == root && !n.value.loading {
			d.drop(n.value)
		}
	}
}

// state is what Decide asks.
func (d *desktop[S, C, E]) state(s Stream) S {
	if c := d.now.cell(s); c != nil {
		return c.next
	}
	panic(fmt.Sprintf("es: root %s: Decide asks for a stream that Streams did not name", d.rules.Name))
}

var errMore = errors.New("es: further streams are needed")

func (d *desktop[S, C, E]) decide(c *call) bool {
	j := c.job.(*job[S, C, E])
	j.result, j.cells = Result[E]{}, j.few[:0]
	for _, s := range c.streams {
		cell, ok := d.cells.peek(s)
		switch {
		case !ok || cell.loading:
			return false
		case cell.err != nil:
			c.refusal = cell.err
			return true
		}
		j.cells = append(j.cells, cell)
	}
	if c.kind == read {
		j.state = j.cells[0].next
		if c.show {
			d.show(j.cells[0])
		}
		return true
	}
	records := len(d.w.records)
	d.undo = d.undo[:0]
	d.now = j
	err := d.run(j)
	d.now = nil
	if err != nil {
		d.takeBack()
		d.w.records = d.w.records[:records]
		j.result.Events = nil
		if errors.Is(err, errMore) {
			return false
		}
		c.refusal = err
	}
	c.events = len(d.w.records) - records
	return true
}

// run decides a command and lays its events over the states.
func (d *desktop[S, C, E]) run(j *job[S, C, E]) (err error) {
	defer d.recovered(&err)
	if j.refused != nil {
		return j.refused
	}
	entries, err := d.rules.Decide(d.lookup, j.body, d.w.at)
	if err != nil || len(entries) == 0 {
		return err
	}
	j.result.Events = make([]Recorded[E], 0, len(entries))
	m := &d.meta
	m.CausationId, m.CorrelationId, m.OccurredAt = j.meta.GetCausationId(), j.meta.GetCorrelationId(), j.meta.GetOccurredAt()
	if len(m.CorrelationId) == 0 {
		m.CorrelationId = j.id[:] // a story begins here
	}
	m.Actor, m.OnBehalfOf, m.Policy = j.meta.GetActor(), j.meta.GetOnBehalfOf(), j.meta.GetPolicy()
	m.RecordedAt = d.w.at.UnixMicro()
	root := j.streams[0].Root()
	for i := range entries {
		if err := d.append(j, &entries[i], root); err != nil {
			return err
		}
	}
	return nil
}

// append encodes an event, folds it and puts it at the batch's end.
func (d *desktop[S, C, E]) append(j *job[S, C, E], e *Entry[E], root string) error {
	own, err := d.cell(e.Stream, j, root)
	if err != nil {
		return err
	}
	r := d.w.record()
	r.ID = d.w.engine.opts.NewID()
	r.Stream, r.Version = e.Stream, own.upcoming+1
	r.Command, r.Ordinal = j.id, int32(len(j.result.Events))
	d.meta.EventId = r.ID[:]
	d.header = Header{ID: r.ID, Stream: e.Stream, Version: r.Version, At: d.w.at, Meta: &d.meta}
	r.Type, r.Data, err = d.rules.Encode(e.Event, &d.header, j.keys)
	if err != nil {
		return err
	}
	if len(r.Data) > MaxEvent {
		return fmt.Errorf("%w: %s of %d bytes", ErrTooLarge, r.Type, len(r.Data))
	}
	about := Meta{ID: r.ID, Trace: j.trace, KeyRef: j.keyRef}
	if r.Ordinal == 0 {
		about.Hash = j.hash
	}
	r.Meta = AppendMeta(r.Meta[:0], about)
	r.Chain = NextChain(d.w.link(), r)
	e.Version, e.Position, e.At = r.Version, r.Position, r.At

	d.change(own)
	own.upcoming++
	own.next = d.rules.Evolve(own.next, e.Stream, *e)
	own.keys = j.keys
	if d.rules.Touch != nil {
		if err := d.touch(j, e, root); err != nil {
			return err
		}
	}
	j.result.Events = append(j.result.Events, Recorded[E]{
		ID: r.ID, Stream: r.Stream, Version: r.Version, Position: r.Position, At: r.At, Event: e.Event,
	})
	return nil
}

// touch folds the event into the other states that it changes, whose rows are stored with it.
func (d *desktop[S, C, E]) touch(j *job[S, C, E], e *Entry[E], root string) error {
	touched := d.rules.Touch(*e)
	if marker, err := d.cell(Stream(root), j, root); err != nil {
		return err
	} else if !marker.hasRow && spreads(e.Stream, touched) {
		d.change(marker)
		marker.write = true
	}
	for _, s := range touched {
		if s == e.Stream {
			continue
		}
		c, err := d.cell(s, j, root)
		if err != nil {
			return err
		}
		d.change(c)
		c.write = true
		c.next = d.rules.Evolve(c.next, s, *e)
	}
	return nil
}

// entryOf is a stored event as the rules see it.
func entryOf[E any](r *Record, e E) Entry[E] {
	return Entry[E]{Stream: r.Stream, Event: e, Version: r.Version, Position: r.Position, At: r.At}
}

// cell finds the state that an event changes; a stream that the command did not name is loaded first.
func (d *desktop[S, C, E]) cell(s Stream, j *job[S, C, E], root string) (*cell[S], error) {
	if c := j.cell(s); c != nil {
		return c, nil
	}
	c, ok := d.cells.peek(s)
	switch {
	case !ok:
		if s.Root() != root {
			return nil, fmt.Errorf("%w: root %s: an event for a stream of another root", ErrDefect, d.rules.Name)
		}
		d.hold(s, j.keys)
		return nil, errMore
	case c.loading:
		return nil, errMore
	case c.err != nil:
		return nil, c.err
	}
	return c, nil
}

// change notes what a cell was before the command at hand, and that it is no longer what is stored.
func (d *desktop[S, C, E]) change(c *cell[S]) {
	d.undo = append(d.undo, undo[S]{c, c.next, c.upcoming, c.write})
	if !c.dirty {
		c.dirty = true
		d.dirty = append(d.dirty, c)
	}
}

// takeBack undoes the command at hand. A cell that is clean again stays listed as dirty, which does no harm.
func (d *desktop[S, C, E]) takeBack() {
	for i := len(d.undo) - 1; i >= 0; i-- {
		u := &d.undo[i]
		u.cell.next, u.cell.upcoming, u.cell.write = u.next, u.upcoming, u.write
	}
	d.undo = d.undo[:0]
}

func (d *desktop[S, C, E]) rollback() {
	for _, c := range d.dirty {
		c.next, c.upcoming, c.dirty, c.write = c.state, c.version, false, false
	}
	d.dirty = d.dirty[:0]
}

func (d *desktop[S, C, E]) commit() {
	for _, c := range d.dirty {
		if c.write {
			c.row, c.hasRow = c.upcoming, true
		}
		c.state, c.version, c.dirty, c.write = c.next, c.upcoming, false, false
		d.reshow(c)
	}
	d.dirty = d.dirty[:0]
}

func (d *desktop[S, C, E]) trim() {
	d.believe()
	for _, c := range d.broken {
		if held, ok := d.cells.peek(c.stream); ok && held == c {
			d.drop(c)
		}
	}
	d.broken = d.broken[:0]
	d.cells.trim(d.w.engine.opts.States, d.gone)
	d.known.trim(d.w.engine.opts.Commands, nil)
}

// guard runs rules that a defect may make panic.
func (d *desktop[S, C, E]) guard(f func() error) (err error) {
	defer d.recovered(&err)
	return f()
}

func (d *desktop[S, C, E]) recovered(err *error) {
	v := recover()
	if v == nil {
		return
	}
	*err = fmt.Errorf("%w: root %s panicked", ErrDefect, d.rules.Name)
	if hook := d.w.engine.opts.Hooks.Panicked; hook != nil {
		hook(d.rules.Name, fault.PanicOf(v))
	}
}
