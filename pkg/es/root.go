package es

import (
	"context"
	"fmt"
)

// Root takes the commands of one kind of root.
type Root[S, C, E any] struct {
	engine *Engine
	rules  Rules[S, C, E]
	desk   int
}

// Register adds a root to an engine that does not run yet. It panics when the rules lack something: that is a mistake
// in the program.
func Register[S, C, E any](e *Engine, rules Rules[S, C, E]) *Root[S, C, E] {
	switch {
	case e.started.Load():
		panic("es: Register after Run")
	case rules.Name == "" || rules.Streams == nil || rules.Decide == nil || rules.Evolve == nil ||
		rules.Encode == nil || rules.Decode == nil:
		panic("es: rules without Name, Streams, Decide, Evolve, Encode or Decode")
	case (rules.EncodeState == nil) != (rules.DecodeState == nil):
		panic("es: root " + rules.Name + ": EncodeState and DecodeState go together")
	case rules.Touch != nil && rules.EncodeState == nil:
		panic("es: root " + rules.Name + ": Touch needs EncodeState and DecodeState")
	}
	r := &Root[S, C, E]{engine: e, rules: rules, desk: len(e.roots)}
	e.roots = append(e.roots, r)
	for _, w := range e.writers {
		w.desks = append(w.desks, newDesk(r, w))
	}
	return r
}

// job is a call with its typed parts.
type job[S, C, E any] struct {
	call
	body    C
	refused error
	result  Result[E]
	state   S
}

// Do decides a command and returns once its events are stored, or refuses it.
func (r *Root[S, C, E]) Do(ctx context.Context, c Command[C]) (Result[E], error) {
	j, err := r.queue(ctx, c)
	if err != nil {
		return Result[E]{}, err
	}
	return r.await(ctx, j)
}

// Outcome is the answer to one command of several.
type Outcome[E any] struct {
	Result Result[E]
	Err    error
}

// window is how many commands of one DoMany wait at a time, so that a long stream of them neither fills the queue nor
// waits for the slowest.
const window = 256

// DoMany decides several commands and answers each in its place. Commands of one root are decided in the given order.
func (r *Root[S, C, E]) DoMany(ctx context.Context, cs []Command[C]) []Outcome[E] {
	var (
		room = min(window, r.engine.opts.Share)
		jobs = make([]*job[S, C, E], len(cs))
		out  = make([]Outcome[E], len(cs))
	)
	collect := func(i int) {
		if jobs[i] != nil {
			out[i].Result, out[i].Err = r.await(ctx, jobs[i])
			jobs[i] = nil
		}
	}
	for i, c := range cs {
		if i >= room {
			collect(i - room)
		}
		jobs[i], out[i].Err = r.queue(ctx, c)
	}
	for i := max(0, len(cs)-room); i < len(cs); i++ {
		collect(i)
	}
	return out
}

// State reads the present state of a stream, with the cursor at which it is that. keys open its events, as a command's
// do. Queries have projections; this is for what must not lag.
func (r *Root[S, C, E]) State(ctx context.Context, s Stream, keys any) (S, Cursor, error) {
	j := &job[S, C, E]{call: call{
		ctx: ctx, deadline: r.engine.deadline(ctx), kind: read, desk: r.desk, streams: []Stream{s}, keys: keys,
		done: make(chan struct{}),
	}}
	j.job = j
	var none S
	if err := r.engine.queue(&j.call); err != nil {
		return none, Cursor{}, err
	}
	if err := r.engine.wait(ctx, &j.call); err != nil {
		return none, Cursor{}, err
	}
	return j.state, j.result.Cursor, nil
}

// queue makes a job of a command.
func (r *Root[S, C, E]) queue(ctx context.Context, c Command[C]) (*job[S, C, E], error) {
	j := &job[S, C, E]{
		call: call{
			ctx: ctx, deadline: r.engine.deadline(ctx), kind: command, desk: r.desk,
			id: c.ID, hash: c.Hash, streams: r.rules.Streams(c.Body), meta: c.Meta, keys: c.Keys,
			caller: c.Caller, urgent: c.Urgent, fresh: c.Fresh, done: make(chan struct{}),
		},
		body: c.Body,
	}
	j.job = j
	if len(j.streams) == 0 {
		return nil, fmt.Errorf("%w: a command of root %s names no stream", ErrDefect, r.rules.Name)
	}
	root := j.streams[0].Root()
	for _, s := range j.streams[1:] {
		if s.Root() != root {
			return nil, fmt.Errorf("%w: a command of root %s names streams of several roots", ErrDefect, r.rules.Name)
		}
	}
	if j.id.IsZero() {
		j.id, j.looked = r.engine.opts.NewID(), true // a command without an id is never a repeat
	}
	if k, ok := c.Keys.(KeyRef); ok {
		j.keyRef = k.KeyRef()
	}
	j.refused = c.Refused
	if trace := r.engine.opts.Hooks.Trace; trace != nil {
		j.trace = trace(ctx)
	}
	if ctx.Err() != nil {
		return nil, gaveUp(ctx)
	}
	if err := r.engine.queue(&j.call); err != nil {
		return nil, err
	}
	return j, nil
}

func (r *Root[S, C, E]) await(ctx context.Context, j *job[S, C, E]) (Result[E], error) {
	if err := r.engine.wait(ctx, &j.call); err != nil {
		return Result[E]{}, err
	}
	return j.result, nil
}
