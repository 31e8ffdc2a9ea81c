package es

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"
)

// This file is the writer's side of bringing roots up to this process's rules, which is a step of its own with its own end: calls
// on such a root are set aside, others go on, and the folding (anew.go) is done beside the writer, in a session of its own. Its
// rows may be stored any number of times, so a lost connection leaves nothing open.

const (
	// refoldsAtOnce bounds the sessions that fold roots of one partition.
	refoldsAtOnce = 2
	// refoldTick is how often calls that were set aside are looked through for those whose deadline has passed.
	refoldTick = 100 * time.Millisecond
)

// refolds are the roots of a partition that are being folded anew.
type refolds struct {
	w *writer

	// The writer's.
	roots map[place]*refolding
	aside int // calls of all roots

	mu      sync.Mutex // guards what follows
	due     []*refolding
	ended   []*refolding
	workers int
	running sync.WaitGroup
}

type place struct {
	desk int
	root string
}

// refolding is one of them.
type refolding struct {
	place
	keys  any
	calls []*call // that wait for it, in their order; the writer's
	err   error   // once it has ended

	alone atomic.Bool // nobody waits for it any more
}

// begin folding a root anew.
func (r *refolds) begin(desk int, root Stream, keys any) {
	f := &refolding{place: place{desk, string(root)}, keys: keys}
	if _, ok := r.roots[f.place]; ok {
		return
	}
	if r.roots == nil {
		r.roots = make(map[place]*refolding)
	}
	r.roots[f.place] = f
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due = append(r.due, f)
	if r.workers < refoldsAtOnce {
		r.workers++
		r.running.Go(r.work)
	}
}

// setAside takes from a batch the calls that must wait for their root.
func (r *refolds) setAside(calls []*call) {
	if len(r.roots) == 0 {
		return
	}
	for _, c := range calls {
		if !c.open() || c.kind == probe {
			continue
		}
		f, ok := r.roots[place{c.desk, c.streams[0].Root()}]
		if !ok {
			continue
		}
		room := r.w.engine.opts.Queue
		if c.urgent {
			room += r.w.engine.opts.Spared
		}
		if r.aside >= room {
			c.answer(ErrQueueFull)
			continue
		}
		c.postponed = true
		c.looked = false // others may store its command meanwhile
		f.calls = append(f.calls, c)
		f.alone.Store(false)
		r.aside++
	}
}

// resume puts the calls whose roots are up to date before those of later, and answers those that cannot wait any longer.
func (r *refolds) resume(now time.Time, later []*call) []*call {
	if len(r.roots) == 0 {
		return later
	}
	r.mu.Lock()
	ended := r.ended
	r.ended = nil
	r.mu.Unlock()
	var back []*call
	for _, f := range ended {
		delete(r.roots, f.place)
		r.aside -= len(f.calls)
		if f.err == nil {
			back = append(back, f.calls...)
			continue
		}
		for _, c := range f.calls {
			c.answer(f.err)
		}
	}
	for _, f := range r.roots {
		kept := f.calls[:0]
		for _, c := range f.calls {
			if c.ctx.Err() != nil || !now.Before(c.deadline) {
				c.answer(ErrDeadline)
			} else {
				kept = append(kept, c)
			}
		}
		r.aside -= len(f.calls) - len(kept)
		clear(f.calls[len(kept):])
		f.calls = kept
		f.alone.Store(len(kept) == 0)
	}
	return append(back, later...)
}

// close waits for what is under way, which ends with the writer, and answers who waits.
func (r *refolds) close() {
	r.running.Wait()
	for _, f := range r.roots {
		for _, c := range f.calls {
			c.answer(ErrClosed)
		}
	}
}

// work folds roots until none is due, in one session.
func (r *refolds) work() {
	var session Session
	drop := func() {
		if session != nil {
			_ = session.Close() // nothing is pending
			session = nil
		}
	}
	defer drop()
	tick := time.NewTicker(refoldTick)
	defer tick.Stop()
	over := make(chan struct{})
	defer close(over)
	go func() {
		for {
			select {
			case <-tick.C:
				r.w.queue.nudge()
			case <-over:
				return
			}
		}
	}()
	for {
		f := r.next()
		if f == nil {
			return
		}
		f.err = r.fold(f, &session, drop)
		r.mu.Lock()
		r.ended = append(r.ended, f)
		r.mu.Unlock()
		r.w.queue.nudge()
	}
}

func (r *refolds) next() *refolding {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.due) == 0 {
		r.workers--
		return nil
	}
	f := r.due[0]
	r.due = r.due[1:]
	return f
}

// fold one root, again and again while the log cannot be reached and somebody waits.
func (r *refolds) fold(f *refolding, session *Session, drop func()) error {
	var pause backoff
	for {
		var err error
		if *session == nil {
			var s Session
			if s, err = r.w.engine.log.Session(r.w.ctx, r.w.p); err == nil {
				*session = s
			}
		}
		if err == nil {
			err = r.w.desks[f.desk].refold(r.w.ctx, *session, Stream(f.root), f.keys)
		}
		if err == nil {
			return nil
		}
		drop() // whatever it holds
		switch {
		case r.w.ctx.Err() != nil:
			return ErrClosed
		case errors.Is(err, ErrOutcome): // of rows: they are stored again
			err = ErrUnavailable.Because(err)
		case !errors.Is(err, ErrUnavailable):
			r.w.alarm(err)
			return err
		}
		if f.alone.Load() {
			return err
		}
		if !pause.wait(r.w.ctx) {
			return ErrClosed
		}
	}
}
