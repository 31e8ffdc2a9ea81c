package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// Bounds of what a reaction has at hand of one partition. One event that must be tried again for long keeps the checkpoint
// behind it, but not the other roots' events from being handled, up to these.
const (
	windowEvents = 2000
	windowBytes  = 8 << 20
)

// window is what a reaction has at hand of one partition: events at work and behind those, in the order of the topic, and
// the checkpoint behind the oldest that is not done.
type window struct {
	*Reaction
	run    *run
	places chan struct{} // for events at work
	ready  chan struct{} // the oldest batch may be done
	room   chan struct{} // a batch has gone

	mu      sync.Mutex
	batches []*taken
	roots   map[string][]*task // behind the one at work, which is not in it
	parked  map[string]bool    // roots that were set aside
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
	reason string // empty: it waits behind another
}

// task is one event of a batch.
type task struct {
	event *Received
	batch *taken
}

func (r *Reaction) open(ctx context.Context, at *Checkpoint) (*window, error) {
	rows, err := r.Pool.Query(ctx, `select distinct root from parked where reader = $1 and topic = $2 and partition = $3`, at.Reader, at.Topic, int32(at.Partition))
	if err != nil {
		return nil, fmt.Errorf("bus: parked: %w", err)
	}
	workers := r.Workers
	if workers <= 0 {
		workers = 64
	}
	w := &window{
		Reaction: r, run: at.run, places: make(chan struct{}, workers), ready: make(chan struct{}, 1), room: make(chan struct{}, 1),
		roots: map[string][]*task{}, parked: map[string]bool{},
	}
	var root string
	if _, err := pgx.ForEachRow(rows, []any{&root}, func() error { w.parked[root] = true; return nil }); err != nil {
		return nil, fmt.Errorf("bus: parked: %w", err)
	}
	w.run.behind.Go(w.commit)
	return w, nil
}

// take puts events to work as soon as there is room for them.
func (w *window) take(ctx context.Context, at *Checkpoint, events []Received) error {
	b := &taken{at: *at, events: len(events), left: len(events)}
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
		t := &task{event: &events[i], batch: b}
		root := t.event.Stream.Root()
		queue, working := w.roots[root]
		if working {
			w.roots[root] = append(queue, t)
			continue
		}
		w.roots[root] = nil
		w.run.behind.Go(func() { w.work(root, t) })
	}
	return nil
}

// work handles a root's events until none is left.
func (w *window) work(root string, t *task) {
	for t != nil {
		w.mu.Lock()
		waits := w.parked[root]
		w.mu.Unlock()
		var set *aside
		if waits && (w.Overtakes == nil || !w.Overtakes(t.event.Type)) {
			set = &aside{t.event, ""}
		} else if err := w.try(w.run.ctx, t.batch.at.Topic, t.event); err != nil {
			if w.run.ctx.Err() != nil {
				return
			}
			set = &aside{t.event, describe(err)}
			if w.Parked != nil {
				w.Parked(t.batch.at.Topic, t.event, set.reason)
			}
		}
		t = w.done(root, t, set)
	}
}

// done notes an event's end and gives the root's next one.
func (w *window) done(root string, t *task, a *aside) (next *task) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if a != nil {
		w.parked[root] = true
		t.batch.aside = append(t.batch.aside, *a)
	}
	if t.batch.left--; t.batch.left == 0 {
		select {
		case w.ready <- struct{}{}:
		default:
		}
	}
	queue := w.roots[root]
	if len(queue) == 0 {
		delete(w.roots, root)
		return nil
	}
	next, w.roots[root] = queue[0], queue[1:]
	return next
}

// try handles an event until it is done or will never be.
func (w *window) try(ctx context.Context, topic string, e *Received) error {
	pause := 10 * time.Millisecond
	for {
		select {
		case w.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		err := w.handle(ctx, e)
		<-w.places // others may work while this one waits
		if err == nil || !passes(err) {
			return err
		}
		if w.Retried != nil {
			w.Retried(topic, err)
		}
		if err := sleep(ctx, pause+rand.N(pause)); err != nil { //nolint:gosec // jitter keeps nobody out
			return err
		}
		pause = min(2*pause, 5*time.Second)
	}
}

// commit moves the checkpoint behind the batches that are done, until the following ends or it fails.
func (w *window) commit() {
	for {
		select {
		case <-w.run.ctx.Done():
			return
		case <-w.ready:
		}
		w.mu.Lock()
		n := 0
		for n < len(w.batches) && w.batches[n].left == 0 {
			n++
		}
		done := w.batches[:n]
		w.mu.Unlock()
		if n == 0 {
			continue
		}
		if err := w.save(w.run.ctx, done); err != nil {
			w.run.fail(err)
			return
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
	}
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
		return park(ctx, tx, at, asides)
	})
}

// errRedriven: what an event waited behind has been handled meanwhile, so it must be handled too.
var errRedriven = errors.New("bus: a parked root goes on")

// park sets events aside. The checkpoint's row is locked.
func park(ctx context.Context, tx pgx.Tx, at *Checkpoint, asides []aside) error {
	behind := map[string]bool{} // roots with events that only wait
	for _, a := range asides {
		if a.reason == "" {
			behind[a.event.Stream.Root()] = true
		}
	}
	for _, a := range asides {
		if a.reason != "" {
			delete(behind, a.event.Stream.Root())
		}
	}
	var names []string
	for root := range behind {
		names = append(names, root)
	}
	var still int
	err := tx.QueryRow(ctx, `select count(distinct root) from parked where reader = $1 and topic = $2 and partition = $3 and root = any($4)`,
		at.Reader, at.Topic, int32(at.Partition), names).Scan(&still)
	if err != nil {
		return fmt.Errorf("bus: park: %w", err)
	}
	if still != len(names) {
		return errRedriven
	}
	var rows pgx.Batch
	for _, a := range asides {
		e := a.event
		rows.Queue(`
			insert into parked (reader, topic, partition, root, stream, position, incarnation, version, command, ordinal, type, data, meta, chain, at, reason)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
			at.Reader, at.Topic, int32(at.Partition), e.Stream.Root(), string(e.Stream), int64(e.Position), e.Incarnation[:], int64(e.Version), [16]byte(e.Command),
			e.Ordinal, e.Type, e.Data, e.Meta, e.Chain[:], e.At, a.reason)
	}
	if err := tx.SendBatch(ctx, &rows).Close(); err != nil {
		return fmt.Errorf("bus: park: %w", err)
	}
	return nil
}
