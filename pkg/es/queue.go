package es

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"

	"github.com/obole-market/obole/pkg/id"
)

// call is what the writer sees of something queued: a command, a read or a probe of the partition. Whoever queued it
// waits for done; until then the fields below it belong to the writer.
type call struct {
	ctx      context.Context
	deadline time.Time // by the engine's clock
	kind     kind
	desk     int // of the root, -1 for a probe
	id       id.ID
	hash     [32]byte
	streams  []Stream
	creates  Stream // of them, if it does not exist; empty for none
	meta     *eventv1.Meta
	keys     any
	keyRef   string
	trace    string
	caller   string
	urgent   bool
	fresh    bool
	show     bool // what a read finds, to other readers
	job      any  // *job of the desk's types

	done     chan struct{} // receives once, when the call is answered
	phase    atomic.Uint32
	queue    *queue // in which it waits
	err      error
	answered bool

	// Of the present round.
	looked    bool     // the log was asked for id and did not know it
	events    int      // that it caused
	reach     Position // newest position that its answer rests on
	refusal   error    // its answer, once it is certain
	postponed bool     // to the next batch
}

// open says whether the batch at hand has yet to answer the call.
func (c *call) open() bool { return !c.answered && !c.postponed }

type kind uint8

const (
	command kind = iota
	read
	probe
)

// queue holds what waits for one partition's writer: bounded, a lane per caller served in turn, and a lane for urgent
// calls that is served first.
type queue struct {
	room   int // calls of all callers together
	share  int // of them for one caller
	spared int // room beyond it for urgent calls

	mu     sync.Mutex
	lanes  map[string]*lane // that have calls
	ring   []*lane          // the same, in the order of their turns
	turn   int              // place in ring
	idle   []*lane          // empty ones for reuse
	urgent lane
	count  int
	closed bool
	wake   chan struct{} // room for one
	nudged atomic.Bool   // the writer has something else to see to

	waking atomic.Int32  // callers that were answered and do not run yet
	awake  chan struct{} // room for one: the last of them runs
}

type lane struct {
	caller string
	calls  []*call
	head   int
}

func (l *lane) len() int { return len(l.calls) - l.head }

func (l *lane) pop() *call {
	c := l.calls[l.head]
	l.calls[l.head] = nil
	l.head++
	if l.head == len(l.calls) {
		l.calls, l.head = l.calls[:0], 0
	}
	return c
}

func newQueue(room, share, spared int) *queue {
	return &queue{
		room: room, share: share, spared: spared,
		lanes: make(map[string]*lane), wake: make(chan struct{}, 1), awake: make(chan struct{}, 1),
	}
}

func (q *queue) push(c *call) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	err := q.add(c)
	if err == nil {
		q.rouse()
	}
	return err
}

// add queues a call under the lock.
func (q *queue) add(c *call) error {
	if q.closed {
		return ErrClosed
	}
	if c.urgent {
		if q.count >= q.room+q.spared {
			return ErrQueueFull
		}
		q.urgent.calls = append(q.urgent.calls, c)
	} else {
		l, ok := q.lanes[c.caller]
		if q.count >= q.room || ok && l.len() >= q.share {
			return ErrQueueFull
		}
		if !ok {
			l = q.lane(c.caller)
		}
		l.calls = append(l.calls, c)
	}
	q.count++
	c.queue, c.done = q, bells.Get().(chan struct{})
	return nil
}

// rouse the writer if it sleeps.
func (q *queue) rouse() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// lane opens a lane for a caller that has none.
func (q *queue) lane(caller string) *lane {
	var l *lane
	if n := len(q.idle); n > 0 {
		l, q.idle = q.idle[n-1], q.idle[:n-1]
	} else {
		l = new(lane)
	}
	l.caller = caller
	q.lanes[caller] = l
	q.ring = append(q.ring, l)
	return l
}

// take appends up to size calls to into: urgent ones first, then one of each caller in turn.
func (q *queue) take(into []*call, size int) []*call {
	q.mu.Lock()
	defer q.mu.Unlock()
	for q.urgent.len() > 0 && len(into) < size {
		into = append(into, q.urgent.pop())
		q.count--
	}
	for len(q.ring) > 0 && len(into) < size {
		if q.turn >= len(q.ring) {
			q.turn = 0
		}
		l := q.ring[q.turn]
		into = append(into, l.pop())
		q.count--
		if l.len() > 0 {
			q.turn++
			continue
		}
		delete(q.lanes, l.caller)
		q.ring = append(q.ring[:q.turn], q.ring[q.turn+1:]...)
		if len(q.idle) < 64 {
			q.idle = append(q.idle, l)
		}
	}
	return into
}

// next waits for calls and takes them as soon as their number has stopped growing: whoever was just answered, or is about to
// queue a call, gets the processor first, and no timer holds up a lonely one. It returns false when ctx is done, whatever still
// waits, and comes without calls when it is nudged.
func (q *queue) next(ctx context.Context, into []*call, size int) ([]*call, bool) {
	q.settle()
	for {
		if ctx.Err() != nil {
			return into, false
		}
		if n := q.len(); n > 0 {
			for last := 0; n > last && n < size; n = q.len() {
				last = n
				runtime.Gosched()
			}
			return q.take(into, size), true
		}
		if q.nudged.Swap(false) || len(into) > 0 {
			return into, true
		}
		select {
		case <-q.wake:
		case <-ctx.Done():
			return into, false
		}
	}
}

// nudge the writer, also if no calls wait.
func (q *queue) nudge() {
	q.nudged.Store(true)
	q.rouse()
}

func (q *queue) len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.count
}

// close refuses later calls and answers those that wait.
func (q *queue) close() {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	for _, c := range q.take(nil, q.room+q.spared) {
		c.answer(ErrClosed)
	}
}
