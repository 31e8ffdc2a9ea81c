package es

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// This file is the writer's dealings with its session: opening, losing, and finding out what became of a batch.

func (w *writer) open() error {
	if w.session != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	s, err := w.engine.log.Session(ctx, w.p)
	if err != nil {
		return err
	}
	w.session = s
	return nil
}

// drop ends the session; the next round opens another.
func (w *writer) drop() {
	if w.session != nil {
		_ = w.session.Close() // whatever it was doing, the server ends it as well
		w.session = nil
	}
	w.locked = false
}

// unlock gives the partition back after a round that took its lock and did not append.
func (w *writer) unlock() {
	if !w.locked || w.session == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	w.locked = false
	if err := w.session.Unlock(ctx); err != nil {
		w.drop()
	}
}

// resolve finds out what became of the batch whose append got no answer. The connection is gone, but the server may
// yet finish what it was told. So the answer is sought under the partition's lock, for which the old session, if it
// lives, is queued already. If the tail is where the batch expects it, the batch was not stored: the very same records
// are appended now, even if nobody waits for them any more, and the late orphan must miss. If the tail has moved, its
// first new event says whose it was.
func (w *writer) resolve(calls []*call) {
	var pause backoff
	for {
		w.drop()
		landed, err := w.settle()
		switch {
		case err == nil && landed:
			w.finish(calls)
			return
		case err == nil:
			w.rollback()
			w.contended = true
			return
		case !errors.Is(err, ErrUnavailable) && !errors.Is(err, ErrOutcome):
			w.rollback()
			w.fail(calls, err)
			return
		}
		now := w.engine.opts.Clock()
		for _, c := range calls {
			if c.open() && (c.ctx.Err() != nil || !now.Before(c.deadline)) {
				c.answer(ErrOutcome)
			}
		}
		if !pause.wait(w.ctx) {
			w.rollback()
			w.fail(calls, ErrOutcome)
			return
		}
	}
}

// settle says whether the batch at hand is stored. After false it is certain that it never will be.
func (w *writer) settle() (bool, error) {
	if len(w.records) == 0 {
		return false, nil // there is nothing whose outcome could be asked for
	}
	if err := w.open(); err != nil {
		return false, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), opTimeout)
	defer cancel()
	found, err := w.session.Lock(ctx, &Want{After: w.tail.Position, Missed: 1})
	if err != nil {
		return false, err
	}
	w.locked = true
	defer w.unlock()
	w.hear(found.Now)
	switch {
	case found.Tail.Incarnation != w.tail.Incarnation:
		return false, nil // a new life: the commands are looked up like any others
	case found.Link != w.tail.Chain:
		err := fmt.Errorf("%w: partition %d: the event at position %d is not the one that was stored", ErrIncarnation, w.p, w.tail.Position)
		w.refuse(w.tail.Incarnation, err)
		return false, err
	case found.Tail.Position > w.tail.Position:
		return found.Missed[0].ID == w.records[0].ID, nil
	}
	now, err := w.session.Append(ctx, &Batch{Tail: w.tail, Records: w.records, States: w.states})
	w.locked = false
	if err == nil {
		w.hear(now)
		return true, nil
	}
	if errors.Is(err, ErrUnavailable) || errors.Is(err, ErrOutcome) {
		return false, err
	}
	return false, nil // refused and so not stored: the next round meets the same refusal and deals with it
}

// refuse to write to one life of the partition. It may be called from any goroutine.
func (w *writer) refuse(i Incarnation, err error) {
	w.refusal.Store(&refusal{i, err})
	w.alarm(err)
}

func (w *writer) fail(calls []*call, err error) {
	for _, c := range calls {
		if c.open() {
			c.answer(err)
		}
	}
}

func (w *writer) rollback() {
	for _, d := range w.desks {
		d.rollback()
	}
	w.records = w.records[:0]
}

func (w *writer) forget() {
	for _, d := range w.desks {
		d.forget()
	}
}

// hear notes the log's clock.
func (w *writer) hear(now time.Time) { w.said, w.heard = now, w.engine.opts.Clock() }

// now is the time of the batch at hand: the log's clock as last heard, carried forward by at most staleAfter, and never
// before the newest event.
func (w *writer) now() time.Time {
	at := w.said.Add(max(0, w.engine.opts.Clock().Sub(w.heard))).UTC().Truncate(time.Microsecond)
	if at.Before(w.tail.At) {
		return w.tail.At
	}
	return at
}

// record is room for one more event of the batch.
func (w *writer) record() *Record {
	n := len(w.records)
	if n == cap(w.records) {
		w.records = append(w.records, Record{})
	}
	w.records = w.records[:n+1]
	r := &w.records[n]
	*r = Record{Partition: w.p, Position: w.tail.Position + Position(n) + 1, At: w.at, Meta: r.Meta}
	return r
}

// link is the chain that the newest record of the batch builds on.
func (w *writer) link() Chain {
	if n := len(w.records); n > 1 {
		return w.records[n-2].Chain
	}
	return w.tail.Chain
}

func (w *writer) cursor(p Position) Cursor {
	return Cursor{Service: w.engine.opts.Service, Incarnation: w.tail.Incarnation, Partition: w.p, Position: p}
}

func (w *writer) alarm(err error) {
	if alarm := w.engine.opts.Hooks.Alarm; alarm != nil {
		alarm(w.p, err)
	}
}

func (w *writer) missed(events int) {
	if missed := w.engine.opts.Hooks.Missed; missed != nil {
		missed(w.p, events)
	}
}

// backoff between attempts to reach the log: 20 ms, doubled up to a second.
type backoff time.Duration

// wait returns false when ctx is done.
func (b *backoff) wait(ctx context.Context) bool {
	*b = min(max(2**b, backoff(20*time.Millisecond)), backoff(time.Second))
	t := time.NewTimer(time.Duration(*b))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
