package bus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
)

// Bounds of what a reaction has at hand of one partition. One event that must be tried again for long keeps the checkpoint
// behind it, but not the other roots' events from being handled, up to these.
const (
	windowEvents = 2000
	windowBytes  = 8 << 20
	// commitPace is at least between two moves of the checkpoint, each of which costs a transaction.
	commitPace = 100 * time.Millisecond
)

// window is what a reaction has at hand of one partition: events at work and behind those, in the order of the topic, and
// the checkpoint behind the oldest that is not done.
type window struct {
	*Reaction
	run   *run
	ready chan struct{} // the oldest batch may be done
	room  chan struct{} // a batch has gone

	mu      sync.Mutex
	batches []*taken
	lines   map[string]*line   // by root
	parked  map[string]*parked // by root
	events  int
	bytes   int
}

// taken is one batch, with the checkpoint after it.
type taken struct {
	at     Checkpoint
	events int
	bytes  int
	left   int // not done
	aside  []aside
}

// aside is an event to be parked.
type aside struct {
	event  *Received
	way    Way
	reason string // empty: it waits behind another
}

func (r *Reaction) open(ctx context.Context, at *Checkpoint) (*window, error) {
	stuck, err := r.aside(ctx, r.Pool, at, nil)
	if err != nil {
		return nil, err
	}
	w := &window{
		Reaction: r, run: at.run, ready: make(chan struct{}, 1), room: make(chan struct{}, 1), lines: map[string]*line{}, parked: stuck,
	}
	w.run.behind.Go(w.commit)
	return w, nil
}

// take puts events to work as soon as there is room for them.
func (w *window) take(ctx context.Context, at *Checkpoint, events []Received) error {
	b := &taken{at: *at, events: len(events)}
	for i := range events {
		b.bytes += len(events[i].Data)
	}
	for {
		w.mu.Lock()
		if w.events == 0 || w.events+b.events <= windowEvents && w.bytes+b.bytes <= windowBytes {
			break
		}
		w.mu.Unlock()
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-w.room:
		}
	}
	defer w.mu.Unlock()
	w.batches = append(w.batches, b)
	w.events += b.events
	w.bytes += b.bytes
	for i := range events {
		e := &events[i]
		way := w.way(at.Topic, e.Type)
		if way == 0 {
			continue
		}
		b.left++
		root := e.Stream.Root()
		l := w.lines[root]
		if l == nil {
			l = new(line)
			w.lines[root] = l
		}
		if t := (&task{event: e, way: way, batch: b}); l.add(t) {
			w.begin(t)
		}
	}
	if b.left == 0 {
		w.notice()
	}
	return nil
}

func (w *window) begin(t *task) { w.run.behind.Go(func() { w.work(t) }) }

// work handles an event, and then whatever waited for it.
func (w *window) work(t *task) {
	for t != nil {
		w.mu.Lock()
		waits := t.way != Overtaking && w.parked[t.event.Stream.Root()].holds(t.event, t.way)
		w.mu.Unlock()
		var set *aside
		if waits {
			set = &aside{t.event, t.way, ""}
		} else if err := w.handle(context.WithValue(w.run.ctx, retryingKey{}, func() { w.failing(t) }), t.batch.at.Topic, t.event); err != nil {
			switch {
			case w.run.ctx.Err() != nil:
				return
			case Passes(err):
				w.run.fail(err)
				return
			}
			set = &aside{t.event, t.way, describe(err)}
			if w.Parked != nil {
				w.Parked(t.batch.at.Topic, t.event, set.reason)
			}
		}
		t = w.done(t, set)
	}
}

// failing lets overtaking events go before one that has failed for now.
func (w *window) failing(t *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, o := range w.lines[t.event.Stream.Root()].fails(t) {
		w.begin(o)
	}
}

// done notes an event's end, has those that waited for it handled and gives the caller one of them.
func (w *window) done(t *task, a *aside) (next *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	root := t.event.Stream.Root()
	if a != nil {
		if w.parked[root] == nil {
			w.parked[root] = new(parked)
		}
		w.parked[root].add(t.event.Stream, t.way, t.event.Position)
		t.batch.aside = append(t.batch.aside, *a)
	}
	if t.batch.left--; t.batch.left == 0 {
		w.notice()
	}
	l := w.lines[root]
	for i, o := range l.ends(t) {
		if i == 0 {
			next = o
			continue
		}
		w.begin(o)
	}
	if l.open == 0 {
		delete(w.lines, root)
	}
	return next
}

// notice wakes commit.
func (w *window) notice() {
	select {
	case w.ready <- struct{}{}:
	default:
	}
}

// commit moves the checkpoint behind the batches that are done, until the following ends or it fails. The end saves what is done
// by then, so that whoever follows next does not do it again.
func (w *window) commit() {
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(w.run.ctx), time.Second)
		defer cancel()
		_ = w.advance(ctx) // else it is handled again, as the same commands
	}()
	for {
		select {
		case <-w.run.ctx.Done():
			return
		case <-w.ready:
		}
		if err := w.advance(w.run.ctx); err != nil {
			w.run.fail(err)
			return
		}
		if sleep(w.run.ctx, commitPace) != nil {
			return
		}
	}
}

// advance moves the checkpoint once.
func (w *window) advance(ctx context.Context) error {
	w.mu.Lock()
	n := 0
	for n < len(w.batches) && w.batches[n].left == 0 {
		n++
	}
	done := w.batches[:n]
	w.mu.Unlock()
	if n == 0 {
		return nil
	}
	if err := w.save(ctx, done); err != nil {
		return err
	}
	w.mu.Lock()
	for _, b := range done {
		w.events -= b.events
		w.bytes -= b.bytes
	}
	w.batches = w.batches[n:]
	w.mu.Unlock()
	select {
	case w.room <- struct{}{}:
	default:
	}
	return nil
}

// save stores the checkpoint after batches that are done, with what they set aside.
func (w *window) save(ctx context.Context, done []*taken) error {
	at := &done[len(done)-1].at
	events := 0
	var asides []aside
	for _, b := range done {
		events += b.events
		asides = append(asides, b.aside...)
	}
	if len(asides) == 0 {
		return at.Save(ctx, w.Pool, events)
	}
	return pgx.BeginFunc(ctx, w.Pool, func(tx pgx.Tx) error {
		if err := at.Save(ctx, tx, events); err != nil {
			return err
		}
		return w.park(ctx, tx, at, asides)
	})
}

// errRedriven: what an event waited behind has been handled meanwhile, so it must be handled too.
var errRedriven = errors.New("bus: a parked root goes on")

// park sets events aside. The checkpoint's row is locked.
func (r *Reaction) park(ctx context.Context, tx pgx.Tx, at *Checkpoint, asides []aside) error {
	roots := map[string]bool{}
	for _, a := range asides {
		roots[a.event.Stream.Root()] = true
	}
	stuck, err := r.aside(ctx, tx, at, slices.Collect(maps.Keys(roots)))
	if err != nil {
		return err
	}
	slices.SortFunc(asides, func(a, b aside) int { return cmp.Compare(a.event.Position, b.event.Position) })
	var rows pgx.Batch
	for _, a := range asides {
		e, root := a.event, a.event.Stream.Root()
		if a.reason == "" && !stuck[root].holds(e, a.way) {
			return errRedriven
		}
		if stuck[root] == nil {
			stuck[root] = new(parked)
		}
		stuck[root].add(e.Stream, a.way, e.Position)
		rows.Queue(`
			insert into parked (reader, topic, partition, root, stream, position, incarnation, version, command, ordinal, type, data, meta, chain, at, reason)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			at.Reader, at.Topic, int32(at.Partition), root, string(e.Stream), int64(e.Position), e.Incarnation[:], int64(e.Version), [16]byte(e.Command),
			e.Ordinal, e.Type, e.Data, e.Meta, e.Chain[:], e.At, a.reason)
	}
	if err := tx.SendBatch(ctx, &rows).Close(); err != nil {
		return fmt.Errorf("bus: park: %w", err)
	}
	return nil
}

// aside reads what is parked of a partition: of these roots, or of all.
func (r *Reaction) aside(ctx context.Context, q querier, at *Checkpoint, roots []string) (map[string]*parked, error) {
	rows, err := q.Query(ctx, `select stream, type, position from parked
		where reader = $1 and topic = $2 and partition = $3 and ($4::text[] is null or root = any($4))`, at.Reader, at.Topic, int32(at.Partition), roots)
	if err != nil {
		return nil, fmt.Errorf("bus: parked: %w", err)
	}
	out := map[string]*parked{}
	var (
		stream   es.Stream
		typ      string
		position es.Position
	)
	_, err = pgx.ForEachRow(rows, []any{&stream, &typ, &position}, func() error {
		root := stream.Root()
		if out[root] == nil {
			out[root] = new(parked)
		}
		out[root].add(stream, max(r.way(at.Topic, typ), InOrder), position)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("bus: parked: %w", err)
	}
	return out, nil
}

// querier is a transaction or a pool.
type querier interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}
