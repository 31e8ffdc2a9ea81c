package es

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"
)

// anew folds the events of one root into states of this process's rules, and stores them as rows. It goes through the events once
// for so many streams as may be held at a time, from the first event to a position that it has fixed, and stores their rows in
// pieces, each under the lock for one round trip only; the root's own row, by which others know that they may trust the rest, still
// says otherwise. Then it catches up with what other processes have written, at last under the lock, and stores what is left with
// the root's own row.
//
// Whoever else writes rows meanwhile does no harm: with the same rules, the row of the later position includes the other; with
// others, its fold says that it must not be trusted, and the root is folded once more by whoever meets it.
type anew[S, C, E any] struct {
	d       *desktop[S, C, E]
	session Session
	root    Stream
	keys    any
	room    int // states to hold at a time

	life   Incarnation
	at     Checker // the states that are held include everything up to there
	states map[Stream]*folded[S]
	whole  bool            // every stream of the root that has a state is held
	absent map[Stream]bool // streams that are not held, and whose row is out of date
}

// folded is a state that may not be stored yet.
type folded[S any] struct {
	state   S
	version Version
	due     bool   // its row is to be written
	data    []byte // of it, once encoded
}

const (
	// rowsAtOnce bounds the rows of one piece.
	rowsAtOnce = 1024
	// stallAfter bounds how long a log may take from one event of a root to the next: it sorts them before the first.
	stallAfter = 2 * time.Minute
	// roomOfStates is how many times as many states as a writer holds are held while a root is folded anew.
	roomOfStates = 8
)

func (d *desktop[S, C, E]) stale(begin func(root Stream, keys any)) {
	for root, keys := range d.old {
		begin(root, keys)
	}
	clear(d.old)
}

func (d *desktop[S, C, E]) refold(ctx context.Context, s Session, root Stream, keys any) error {
	a := &anew[S, C, E]{d: d, session: s, root: root, keys: keys, room: roomOfStates * d.w.engine.opts.States}
	return d.guard(func() error { return a.run(ctx) })
}

func (a *anew[S, C, E]) run(ctx context.Context) error {
	if err := a.all(ctx); err != nil {
		return err
	}
	for {
		if err := a.catchUp(ctx); err != nil {
			return err
		}
		if len(a.absent) > 0 {
			if err := a.fetch(ctx); err != nil {
				return err
			}
		}
		if err := a.store(ctx, true); err != nil {
			return err
		}
		if done, err := a.finish(ctx); done || err != nil {
			return err
		}
	}
}

// all folds all of the root's events up to the present tail.
func (a *anew[S, C, E]) all(ctx context.Context) error {
	ctx1, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	found, err := a.session.Load(ctx1, &Want{})
	if err != nil {
		return err
	}
	a.life, a.at = found.Tail.Incarnation, Checker{Position: found.Tail.Position, Chain: found.Tail.Chain}
	// The root has a row, whether or not anything has happened to it.
	a.states, a.absent = map[Stream]*folded[S]{a.root: {due: true}}, make(map[Stream]bool)
	for after := Stream(""); ; {
		var upTo Stream // the streams of this turn end there, if it is not empty
		err := a.scan(ctx, func(s Stream) *folded[S] {
			if s <= after || upTo != "" && s > upTo {
				return nil
			}
			f, ok := a.states[s]
			if !ok {
				f = &folded[S]{}
				a.states[s] = f
				if len(a.states) > a.room {
					upTo = a.narrow()
				}
			}
			return f
		})
		if err != nil {
			return err
		}
		if upTo == "" {
			a.whole = after == ""
			return nil
		}
		if err := a.clear(ctx); err != nil {
			return err
		}
		after = upTo
	}
}

// narrow leaves the first half of the streams that are held, by their names, and returns the last of them. The root's own is the
// first of all.
func (a *anew[S, C, E]) narrow() Stream {
	names := slices.Sorted(maps.Keys(a.states))
	half := max(2, len(names)/2)
	for _, s := range names[half:] {
		delete(a.states, s)
	}
	return names[half-1]
}

// clear stores and forgets everything but the root's own state.
func (a *anew[S, C, E]) clear(ctx context.Context) error {
	if err := a.store(ctx, false); err != nil {
		return err
	}
	a.whole = false
	a.states = map[Stream]*folded[S]{a.root: a.states[a.root]}
	return nil
}

// scan folds the root's events up to the present position into the states that are given, nil for those to pass over.
func (a *anew[S, C, E]) scan(ctx context.Context, state func(Stream) *folded[S]) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stall := time.AfterFunc(stallAfter, cancel)
	defer stall.Stop()
	n := 0
	return a.session.Root(ctx, a.root, func(r *Record) error {
		if n++; n%rowsAtOnce == 0 {
			stall.Reset(stallAfter)
		}
		if r.Position > a.at.Position {
			return nil
		}
		return a.fold(r, state)
	})
}

// fold an event into the states that it changes.
func (a *anew[S, C, E]) fold(r *Record, state func(Stream) *folded[S]) error {
	rules := a.d.rules
	e, err := rules.Decode(r, a.keys)
	if err != nil {
		return err
	}
	entry := entryOf(r, e)
	if f := state(r.Stream); f != nil {
		if r.Version != f.version+1 {
			return fmt.Errorf("%w: version %d of a stream of root %s follows %d", ErrGap, r.Version, rules.Name, f.version)
		}
		f.state = rules.Evolve(f.state, r.Stream, entry)
		f.version++
		f.due, f.data = true, nil
	}
	for _, s := range rules.Touch(entry) {
		if s == r.Stream {
			continue
		}
		if f := state(s); f != nil {
			f.state = rules.Evolve(f.state, s, entry)
			f.due, f.data = true, nil
		}
	}
	return nil
}

// catchUp folds what was written since, outside the lock.
func (a *anew[S, C, E]) catchUp(ctx context.Context) error {
	for {
		n, err := a.piece(ctx)
		if err != nil || n < missedAtOnce {
			return err
		}
	}
}

func (a *anew[S, C, E]) piece(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	return a.d.w.engine.log.Scan(ctx, a.d.w.p, a.at.Position, missedAtOnce, a.missed)
}

// missed takes in the partition's next event.
func (a *anew[S, C, E]) missed(r *Record) error {
	if err := a.at.Check(r); err != nil {
		return ErrUnavailable.Because(err) // another life has begun; or the writer will say what is wrong with this one
	}
	if r.Stream.Root() != string(a.root) {
		return nil
	}
	return a.fold(r, func(s Stream) *folded[S] {
		f, ok := a.states[s]
		switch {
		case ok:
		case a.whole:
			f = &folded[S]{}
			a.states[s] = f
		default:
			a.absent[s] = true
		}
		return f
	})
}

// fetch folds the states that are out of date and not held.
func (a *anew[S, C, E]) fetch(ctx context.Context) error {
	if len(a.states)+len(a.absent) > a.room {
		if err := a.clear(ctx); err != nil {
			return err
		}
	}
	err := a.scan(ctx, func(s Stream) *folded[S] {
		if !a.absent[s] {
			return nil
		}
		f, ok := a.states[s]
		if !ok {
			f = &folded[S]{}
			a.states[s] = f
		}
		return f
	})
	clear(a.absent)
	return err
}

// due are the streams whose rows are to be written, but for the root's own.
func (a *anew[S, C, E]) due() []Stream {
	var due []Stream
	for s, f := range a.states {
		if f.due && s != a.root {
			due = append(due, s)
		}
	}
	slices.Sort(due)
	return due
}

// store writes rows in pieces, but for the root's own, which is only encoded. It keeps the last piece, encoded, for when the lock
// is held.
func (a *anew[S, C, E]) store(ctx context.Context, keep bool) error {
	for due := a.due(); ; {
		rows, size := make([]StateRow, 0, min(len(due), rowsAtOnce)), 0
		for len(rows) < cap(rows) && size < batchBytes {
			row, err := a.row(due[len(rows)])
			if err != nil {
				return err
			}
			rows, size = append(rows, row), size+len(row.Data)
		}
		last := len(rows) == len(due)
		if len(rows) > 0 && !(last && keep) {
			if err := a.write(ctx, Tail{Incarnation: a.life, Position: a.at.Position, Chain: a.at.Chain}, rows); err != nil {
				return err
			}
		}
		if last {
			_, err := a.row(a.root)
			return err
		}
		due = due[len(rows):]
	}
}

// row of a state as of the present position.
func (a *anew[S, C, E]) row(s Stream) (StateRow, error) {
	f := a.states[s]
	if f.data == nil {
		data, err := a.d.rules.EncodeState(f.state, s, a.keys)
		if err != nil {
			return StateRow{}, err
		}
		f.data = data
	}
	return StateRow{Stream: s, Version: f.version, Position: a.at.Position, Fold: a.d.rules.Fold, Data: f.data}, nil
}

func (a *anew[S, C, E]) write(ctx context.Context, tail Tail, rows []StateRow) error {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	if _, err := a.session.Append(ctx, &Batch{Tail: tail, States: rows}); err != nil {
		return err
	}
	for i := range rows {
		f := a.states[rows[i].Stream]
		f.due, f.data = false, nil
	}
	return nil
}

// finish catches up under the lock and writes what is left, the root's own row with it. Where too much is left, it says so and has
// given back the lock. After an error the session is of no further use.
func (a *anew[S, C, E]) finish(ctx context.Context) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, opTimeout)
	defer cancel()
	found, err := a.session.Lock(ctx, &Want{After: a.at.Position, Missed: missedAtOnce})
	if err != nil {
		return false, err
	}
	if found.Tail.Incarnation != a.life || found.Link != a.at.Chain {
		return false, ErrUnavailable.And("partition", a.d.w.p).And("found", "another life of the partition")
	}
	for i := range found.Missed {
		if err := a.missed(&found.Missed[i]); err != nil {
			return false, err
		}
	}
	due := a.due()
	if found.Tail.Position != a.at.Position || len(a.absent) > 0 || len(due) > 2*rowsAtOnce {
		return false, a.session.Unlock(ctx)
	}
	rows := make([]StateRow, 0, len(due)+1)
	for _, s := range append(due, a.root) {
		row, err := a.row(s)
		if err != nil {
			return false, err
		}
		rows = append(rows, row)
	}
	return true, a.write(ctx, found.Tail, rows)
}
