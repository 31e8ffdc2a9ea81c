package es

import (
	"errors"
	"fmt"
	"maps"
	"slices"
)

// This file answers repeated commands and folds roots anew: what a desk does with events that are stored already.

func (d *desktop[S, C, E]) recall(c *call) bool {
	m, ok := d.known.get(c.id)
	if !ok {
		return false
	}
	d.answerRepeat(c, m)
	return true
}

func (d *desktop[S, C, E]) repeat(c *call, events []Record) {
	var m memory[E]
	about, err := DecodeMeta(events[0].Meta)
	if err != nil {
		c.answer(err)
		return
	}
	m.hash = about.Hash
	if m.hash != c.hash || c.fresh {
		d.answerRepeat(c, m)
		return
	}
	err = d.guard(func() error {
		for i := range events {
			r := &events[i]
			e, err := d.rules.Decode(r, c.keys)
			if err != nil {
				return err
			}
			m.events = append(m.events, Recorded[E]{
				ID: r.ID, Stream: r.Stream, Version: r.Version, Position: r.Position, At: r.At, Event: e,
			})
		}
		return nil
	})
	if err != nil {
		c.answer(err)
		return
	}
	d.known.put(c.id, m)
	d.answerRepeat(c, m)
}

func (d *desktop[S, C, E]) answerRepeat(c *call, m memory[E]) {
	switch {
	case m.hash != c.hash:
		c.answer(ErrOtherBody)
	case c.fresh:
		c.answer(ErrRepeated)
	default:
		j := c.job.(*job[S, C, E])
		j.result = Result[E]{
			Events:   m.events,
			Cursor:   d.w.cursor(m.events[len(m.events)-1].Position),
			Repeated: true,
		}
		c.answer(nil)
	}
}

func (d *desktop[S, C, E]) done(c *call) {
	j := c.job.(*job[S, C, E])
	j.result.Cursor = d.w.cursor(c.reach)
	if c.kind == command && c.events > 0 {
		d.known.put(c.id, memory[E]{c.hash, j.result.Events})
	}
	c.answer(nil)
}

func (d *desktop[S, C, E]) stale() []Stream { return slices.Collect(maps.Keys(d.old)) }

// refold reads all events of a root under the partition's lock. Its states are then rows of this fold, and the desk loads them
// like any others.
func (d *desktop[S, C, E]) refold(root Stream, at Position, scan func(visit func(*Record) error) error) ([]StateRow, error) {
	keys := d.old[root]
	delete(d.old, root)
	states := map[Stream]*cell[S]{root: {stream: root}}
	state := func(s Stream) *cell[S] {
		c, ok := states[s]
		if !ok {
			c = &cell[S]{stream: s}
			states[s] = c
		}
		return c
	}
	err := d.guard(func() error {
		return scan(func(r *Record) error {
			c := state(r.Stream)
			if r.Version != c.version+1 {
				return fmt.Errorf("%w: version %d of a stream of root %s follows %d", ErrGap, r.Version, d.rules.Name, c.version)
			}
			e, err := d.rules.Decode(r, keys)
			if err != nil {
				return err
			}
			entry := entryOf(r, e)
			c.state = d.rules.Evolve(c.state, r.Stream, entry)
			c.version++
			for _, s := range d.rules.Touch(entry) {
				if s != r.Stream {
					t := state(s)
					t.state = d.rules.Evolve(t.state, s, entry)
				}
			}
			return nil
		})
	})
	var rows []StateRow
	for _, s := range slices.Sorted(maps.Keys(states)) {
		if err != nil {
			break
		}
		c := states[s]
		err = d.guard(func() error {
			data, err := d.rules.EncodeState(c.state, c.stream, c.keys)
			rows = append(rows, StateRow{Stream: s, Version: c.version, Position: at, Fold: d.rules.Fold, Data: data})
			return err
		})
	}
	if err != nil {
		if !errors.Is(err, ErrUnavailable) {
			d.failed[string(root)] = err
		}
		return nil, err
	}
	return rows, nil
}
