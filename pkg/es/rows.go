package es

import "fmt"

// spreads says whether an event is more than its root's own stream can tell of. With the first such event a root gets its row; until
// then the events of its stream are all there is to fold, which is most of a root's life where roots are many and short.
func spreads(on Stream, touched []Stream) bool {
	if len(on.Root()) < len(on) {
		return true
	}
	for _, s := range touched {
		if s != on {
			return true
		}
	}
	return false
}

func (d *desktop[S, C, E]) rows(into []StateRow, at Position) ([]StateRow, error) {
	if d.rules.EncodeState == nil || len(d.dirty) == 0 {
		return into, nil
	}
	err := d.guard(func() error {
		for _, c := range d.dirty {
			if c.upcoming-c.row >= Version(d.w.engine.opts.Rows) {
				c.write = true
			}
			if !c.write {
				continue
			}
			data, err := d.rules.EncodeState(c.next, c.stream, c.keys)
			if err != nil {
				return err
			}
			into = append(into, StateRow{Stream: c.stream, Version: c.upcoming, Position: at, Fold: d.rules.Fold, Data: data})
		}
		return nil
	})
	if err != nil {
		return into, fmt.Errorf("%w: state of root %s: %w", ErrData, d.rules.Name, err)
	}
	if d.rules.Conserve == nil {
		return into, nil
	}
	d.before, d.after = d.before[:0], d.after[:0]
	for _, c := range d.dirty {
		d.before, d.after = append(d.before, c.state), append(d.after, c.next)
	}
	if err := d.guard(func() error { return d.rules.Conserve(d.before, d.after) }); err != nil {
		return into, fmt.Errorf("%w: root %s: %w", ErrData, d.rules.Name, err)
	}
	return into, nil
}
