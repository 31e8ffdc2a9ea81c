package es

import (
	"context"
	"fmt"
	"slices"
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

	// cells are those of the call's streams, since it was last decided; most have few.
	cells []*cell[S]
	few   [4]*cell[S]
}

// cell of one of the streams that the call names, nil for others.
func (j *job[S, C, E]) cell(s Stream) *cell[S] {
	for i, named := range j.streams {
		if named == s {
			return j.cells[i]
		}
	}
	return nil
}

// Do decides a command and returns once its events are stored, or refuses it.
func (r *Root[S, C, E]) Do(ctx context.Context, c Command[C]) (Result[E], error) {
	j, err := r.queue(ctx, c)
	if err != nil {
		return Result[E]{}, err
	}
	return r.await(ctx, j)
}

// State reads the present state of a stream, with the cursor at which it is that. keys open its events, as a command's
// do. Queries have projections; this is for what must not lag.
func (r *Root[S, C, E]) State(ctx context.Context, s Stream, keys any) (S, Cursor, error) {
	return r.read(ctx, s, keys, false)
}

func (r *Root[S, C, E]) read(ctx context.Context, s Stream, keys any, show bool) (S, Cursor, error) {
	j := &job[S, C, E]{call: call{
		ctx: ctx, deadline: r.engine.deadline(ctx), kind: read, desk: r.desk, streams: []Stream{s}, keys: keys, show: show,
	}}
	j.job = j
	var none S
	if err := r.engine.queue(&j.call); err != nil {
		return none, Cursor{}, err
	}
	if err := j.wait(ctx); err != nil {
		return none, Cursor{}, err
	}
	return j.state, j.result.Cursor, nil
}

// queue makes a job of a command and queues it.
func (r *Root[S, C, E]) queue(ctx context.Context, c Command[C]) (*job[S, C, E], error) {
	j, err := r.prepare(ctx, c)
	if err == nil {
		err = r.engine.queue(&j.call)
	}
	if err != nil {
		return nil, err
	}
	return j, nil
}

// prepare makes a job of a command.
func (r *Root[S, C, E]) prepare(ctx context.Context, c Command[C]) (*job[S, C, E], error) {
	j := &job[S, C, E]{
		call: call{
			ctx: ctx, deadline: r.engine.deadline(ctx), kind: command, desk: r.desk,
			id: c.ID, hash: c.Hash, streams: r.rules.Streams(c.Body), meta: c.Meta, keys: c.Keys,
			caller: c.Caller, urgent: c.Urgent, fresh: c.Fresh,
		},
		body: c.Body,
	}
	j.job = j
	if r.rules.Creates != nil {
		if s, ok := r.rules.Creates(c.Body); ok && slices.Contains(j.streams, s) {
			j.creates = s
		}
	}
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
	return j, nil
}

func (r *Root[S, C, E]) await(ctx context.Context, j *job[S, C, E]) (Result[E], error) {
	if err := j.wait(ctx); err != nil {
		return Result[E]{}, err
	}
	return j.result, nil
}
