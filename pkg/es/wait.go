package es

import (
	"context"
	"sync"
	"time"
)

// This file is how callers and the writer meet: a caller waits for its answer, and the writer, before it takes the next calls, for
// those whom it has just answered. They run for a moment and queue what they have next, so that the batch is full: yielding is
// not enough, for an idle processor takes up the writer again before it takes over any of them.

// Phases of a call, as its caller and the writer agree on them.
const (
	queued   = iota // the caller has not come to wait yet
	parked          // the caller waits
	answered        // it was answered
	left            // the caller has gone away before
)

// bells are channels with room for one, empty when they lie here.
var bells = sync.Pool{New: func() any { return make(chan struct{}, 1) }}

// answer ends the call. A call whose err is nil has succeeded.
func (c *call) answer(err error) {
	if c.answered {
		return
	}
	c.answered, c.err = true, err
	if c.phase.Swap(answered) == parked {
		c.queue.waking.Add(1)
	}
	c.done <- struct{}{}
}

// wait for the answer, as long as the caller waits.
func (c *call) wait(ctx context.Context) error {
	if !c.phase.CompareAndSwap(queued, parked) {
		<-c.done
	} else {
		select {
		case <-c.done:
		case <-ctx.Done():
			if c.phase.CompareAndSwap(parked, left) {
				return gaveUp(ctx)
			}
			<-c.done // both: the answer counts
		}
		c.queue.woke()
	}
	bells.Put(c.done)
	return c.err
}

// patience bounds the wait for callers who were answered: where the processor has so much else to do, the log need not stand
// still as well.
const patience = time.Millisecond

// settle waits until those who were answered run.
func (q *queue) settle() {
	if q.waking.Load() == 0 {
		return
	}
	enough := time.NewTimer(patience)
	defer enough.Stop()
	for q.waking.Load() > 0 {
		select {
		case <-q.awake:
		case <-enough.C:
			return
		}
	}
}

// woke says that a caller who was answered runs.
func (q *queue) woke() {
	if q.waking.Add(-1) == 0 {
		select {
		case q.awake <- struct{}{}:
		default:
		}
	}
}
