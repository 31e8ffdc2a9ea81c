package es

// This file answers repeated commands.

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
