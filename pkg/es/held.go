package es

import (
	"context"
	"sync"
	"time"
)

// Held reads a state as this process holds it, if its partition's writer has looked at the log within so long, and else as State
// does; that is then a look for all streams of the partition. What this process has stored is in it once its caller has been
// answered; what another process has stored is in it after at most that time. So it never decides: it is for queries that
// are asked much more often than their answers change. keys is asked only where the log is.
func (r *Root[S, C, E]) Held(ctx context.Context, s Stream, within time.Duration, keys func(context.Context) (any, error)) (S, error) {
	w := r.engine.writers[PartitionOf(s, len(r.engine.writers))]
	// When comes before what: a state that is read later is not older.
	if at := w.looked.Load(); at != nil && w.refusal.Load() == nil {
		if age := r.engine.opts.Clock().Sub(*at); age >= 0 && age < within {
			if state, ok := w.desks[r.desk].(*desktop[S, C, E]).shown.get(s); ok {
				return state, nil
			}
		}
	}
	k, err := keys(ctx)
	if err != nil {
		var none S
		return none, err
	}
	state, _, err := r.read(ctx, s, k, true)
	return state, err
}

// shown are the states of a desk that readers look at beside the writer, which keeps them: those of its cells that Held has been
// asked for, as they are stored. It changes them before it answers whose command it was, and before it says that it has looked.
type shown[S any] struct {
	mu     sync.RWMutex
	states map[Stream]S
}

func (b *shown[S]) get(s Stream) (S, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	state, ok := b.states[s]
	return state, ok
}

func (b *shown[S]) clear() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.states = make(map[Stream]S)
}

// show lets readers see a cell from now on; reshow what has become of it.
func (d *desktop[S, C, E]) show(c *cell[S]) {
	c.shown = true
	d.reshow(c)
}

func (d *desktop[S, C, E]) reshow(c *cell[S]) {
	if c.shown {
		d.shown.mu.Lock()
		defer d.shown.mu.Unlock()
		d.shown.states[c.stream] = c.state
	}
}

// hide a stream that is no longer held.
func (d *desktop[S, C, E]) hide(s Stream) {
	d.shown.mu.Lock()
	defer d.shown.mu.Unlock()
	delete(d.shown.states, s)
}
