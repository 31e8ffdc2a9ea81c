package bus

import (
	"github.com/obole-market/obole/pkg/es"
)

// line is the order among the events of one root that are not done. The zero value has none.
type line struct {
	open    int                 // events that others may have to wait for
	failing int                 // of them, those that have failed for now
	last    *task               // newest that is not abreast
	since   map[*task]struct{}  // those abreast after it
	newest  map[es.Stream]*task // of those, the newest of each stream
	over    []*task             // overtaking ones that have not begun
}

// task is one event of a batch.
type task struct {
	event  *Received
	way    Way
	batch  *taken
	waits  int     // events it waits for
	behind []*task // that wait for it

	begun, done, failing bool
}

// add puts an event at the line's end and says whether it may begin at once.
func (l *line) add(t *task) bool {
	after := func(o *task) {
		o.behind = append(o.behind, t)
		t.waits++
	}
	if t.way == Abreast {
		if o := l.newest[t.event.Stream]; o != nil {
			after(o)
		} else if l.last != nil {
			after(l.last)
		}
		if l.since == nil {
			l.since, l.newest = map[*task]struct{}{}, map[es.Stream]*task{}
		}
		l.since[t] = struct{}{}
		l.newest[t.event.Stream] = t
	} else {
		for o := range l.since {
			after(o) // each of which waits for the last
		}
		if len(l.since) == 0 && l.last != nil {
			after(l.last)
		}
		clear(l.since)
		clear(l.newest)
		l.last = t
	}
	l.open++
	if t.waits == 0 || t.way == Overtaking && l.failing > 0 {
		t.begun = true
		return true
	}
	if t.way == Overtaking {
		l.over = append(l.over, t)
	}
	return false
}

// fails notes that an event has failed for now and gives those that need not wait for it.
func (l *line) fails(t *task) (free []*task) {
	if !t.failing {
		t.failing = true
		l.failing++
	}
	for _, o := range l.over {
		if !o.begun {
			o.begun = true
			free = append(free, o)
		}
	}
	l.over = nil
	return free
}

// ends notes that an event is done and gives those that need not wait any longer. One that has overtaken holds back what is
// behind it until what it has overtaken is done too.
func (l *line) ends(t *task) (free []*task) {
	t.done = true
	if t.failing {
		l.failing--
	}
	return l.release(t, nil)
}

func (l *line) release(t *task, free []*task) []*task {
	if !t.done || t.waits > 0 {
		return free
	}
	l.open--
	if l.last == t {
		l.last = nil
	}
	delete(l.since, t)
	if l.newest[t.event.Stream] == t {
		delete(l.newest, t.event.Stream)
	}
	for _, o := range t.behind {
		o.waits--
		if o.begun {
			free = l.release(o, free)
		} else if o.waits == 0 {
			o.begun = true
			free = append(free, o)
		}
	}
	return free
}

// parked says which events of a root were set aside, as far as others must stay behind them: the first that is not abreast,
// the first of each stream, and the first of all. The zero value has none.
type parked struct {
	barrier, first es.Position
	streams        map[es.Stream]es.Position
}

func (p *parked) add(s es.Stream, w Way, at es.Position) {
	sooner := func(a es.Position) es.Position {
		if a == 0 {
			return at
		}
		return min(a, at)
	}
	p.first = sooner(p.first)
	if w != Abreast {
		p.barrier = sooner(p.barrier)
	}
	if p.streams == nil {
		p.streams = map[es.Stream]es.Position{}
	}
	p.streams[s] = sooner(p.streams[s])
}

// holds says whether an event is behind one that was set aside.
func (p *parked) holds(e *Received, w Way) bool {
	before := func(at es.Position) bool { return at > 0 && at < e.Position }
	if p == nil {
		return false
	}
	if w == Abreast {
		return before(p.barrier) || before(p.streams[e.Stream])
	}
	return before(p.first)
}
