package es

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
)

// Engine decides commands and appends their events: one writer per partition of its log. Any number of engines, in
// any processes, may work on one log.
type Engine struct {
	log     Log
	opts    Options
	writers []*writer
	started atomic.Bool
	roots   []any // *Root, by desk
}

// Options of an Engine. Everything works at zero but Service.
type Options struct {
	// Service is named in cursors.
	Service string
	// NewID makes event ids; id.Random if nil.
	NewID id.Source
	// Clock measures durations and compares with callers' deadlines, never more: events get the log's time. time.Now
	// if nil.
	Clock func() time.Time
	// Queue is how many calls may wait per partition (4,096), Share how many of them of one caller (a quarter of
	// Queue), Spared how many more if they are urgent (512).
	Queue, Share, Spared int
	// Batch is the most commands in one flush (1,024).
	Batch int
	// States is how many streams' states are kept per root and partition (8,192), Commands how many commands' results
	// (1,024). Everything can be had again from the log.
	States, Commands int
	// Rows is after how many own events a stream's state row is renewed, where the root stores states (256).
	Rows int
	// Timeout is how long a caller without a deadline waits (10 s).
	Timeout time.Duration
	// Hooks observe.
	Hooks Hooks
}

// Hooks observe an engine; those that are nil are left out. They run in the writer unless said otherwise: they must be
// quick and must not call the engine.
type Hooks struct {
	// Flushed: a batch was stored.
	Flushed func(p Partition, commands, events int, took time.Duration)
	// Missed: another process had written so many events since this one last looked.
	Missed func(p Partition, events int)
	// Alarm: something that must not happen, or that a person must see to. The error carries no personal data.
	Alarm func(p Partition, err error)
	// Panicked: the rules of a root panicked.
	Panicked func(root string, p fault.Panic)
	// Trace names the W3C trace parent of a caller's context, which events carry on. It runs in the caller.
	Trace func(ctx context.Context) string
}

// KeyRef is implemented by Command.Keys that seal: the events of the command carry its reference.
type KeyRef interface {
	KeyRef() string
}

// New makes an engine. Register its roots, then Run it.
func New(log Log, o Options) *Engine {
	set(&o.Queue, 4096)
	set(&o.Share, (o.Queue+3)/4)
	set(&o.Spared, 512)
	set(&o.Batch, 1024)
	set(&o.States, 8192)
	set(&o.Commands, 1024)
	set(&o.Rows, 256)
	if o.Timeout == 0 {
		o.Timeout = 10 * time.Second
	}
	if o.NewID == nil {
		o.NewID = id.Random
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	e := &Engine{log: log, opts: o}
	for p := range log.Partitions() {
		e.writers = append(e.writers, newWriter(e, Partition(p)))
	}
	return e
}

func set(field *int, otherwise int) {
	if *field == 0 {
		*field = otherwise
	}
}

// Run works until ctx is done, then ends the batches in flight, answers what is queued with ErrClosed and returns nil.
// An engine runs once.
func (e *Engine) Run(ctx context.Context) error {
	if e.started.Swap(true) {
		return fmt.Errorf("%w: an engine runs once", ErrClosed)
	}
	var writers sync.WaitGroup
	for _, w := range e.writers {
		writers.Go(func() { w.run(ctx) })
	}
	writers.Wait()
	return nil
}

// Ready says whether the engine could write now: every partition's tail is read anew. It returns the first refusal.
func (e *Engine) Ready(ctx context.Context) error {
	calls := make([]*call, len(e.writers))
	for i, w := range e.writers {
		calls[i] = &call{ctx: ctx, kind: probe, desk: -1, urgent: true, deadline: e.deadline(ctx)}
		if err := w.queue.push(calls[i]); err != nil {
			return fmt.Errorf("%w: partition %d", err, i)
		}
	}
	for i, c := range calls {
		if err := c.wait(ctx); err != nil {
			return fmt.Errorf("%w: partition %d", err, i)
		}
	}
	return nil
}

// Known tells the engine what others have seen of a partition, above all the newest record on its topic. If the log does
// not reach so far, or holds another event there, the partition refuses to write with ErrIncarnation, also in this call, until a new incarnation has
// begun.
func (e *Engine) Known(ctx context.Context, p Partition, at Position, event id.ID) error {
	tail, err := e.log.Tail(ctx, p)
	if err != nil {
		return err
	}
	if at == 0 {
		return nil
	}
	same := false
	if at <= tail.Position {
		_, err = e.log.Scan(ctx, p, at-1, 1, func(r *Record) error {
			same = r.ID == event
			return nil
		})
		if err != nil {
			return err
		}
	}
	if same {
		return nil
	}
	err = fmt.Errorf("%w: partition %d: event %s is known at position %d, the log ends at %d", ErrIncarnation, p, event, at, tail.Position)
	e.writers[p].refuse(tail.Incarnation, err)
	return err
}

// deadline of a caller by the engine's clock.
func (e *Engine) deadline(ctx context.Context) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return d
	}
	return e.opts.Clock().Add(e.opts.Timeout)
}

// queue hands a call to its partition's writer.
func (e *Engine) queue(c *call) error {
	return e.writers[PartitionOf(c.streams[0], len(e.writers))].queue.push(c)
}
