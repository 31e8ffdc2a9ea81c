package es

// This file is about streams that a writer takes for empty because a command says that it creates them. The log's unique index on
// stream and version objects to a second first event, so a batch that creates such a stream was right about it or is not
// stored. Nothing else vouches for it: a refusal, an answer without events or an event on another stream waits until the
// stream has been loaded.

// assume takes a stream for empty if it is not held.
func (d *desktop[S, C, E]) assume(s Stream, keys any) {
	if _, ok := d.cells.peek(s); ok {
		return
	}
	c := d.make(s, keys)
	c.assumed = true
	d.assumed = append(d.assumed, c)
}

// created says whether the batch at hand, or one that is stored, holds the first event of a stream that was taken for empty.
func (c *cell[S]) created() bool { return c.upcoming > 0 }

func (d *desktop[S, C, E]) doubt(c *call) (any bool) {
	if len(d.assumed) == 0 {
		return false
	}
	for _, cell := range c.job.(*job[S, C, E]).cells {
		if cell.assumed && !cell.created() {
			d.load(cell)
			any = true
		}
	}
	return any
}

func (d *desktop[S, C, E]) doubtAll() (any bool) {
	for _, c := range d.assumed {
		// One whose first event is stored, by this writer or by another, is as good as loaded.
		if c.assumed && c.version == 0 && d.holds(c) {
			d.load(c)
			any = true
		}
	}
	return any
}

// believe ends a batch: what it created is known from now on, the rest was never looked at.
func (d *desktop[S, C, E]) believe() {
	for _, c := range d.assumed {
		switch {
		case !c.assumed || !d.holds(c):
		case c.version > 0:
			c.assumed = false
		default:
			d.drop(c)
		}
	}
	clear(d.assumed)
	d.assumed = d.assumed[:0]
}

// holds says whether a cell is still the one of its stream.
func (d *desktop[S, C, E]) holds(c *cell[S]) bool {
	held, ok := d.cells.peek(c.stream)
	return ok && held == c
}
