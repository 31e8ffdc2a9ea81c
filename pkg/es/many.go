package es

import "context"

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
		room = min(window, r.engine.opts.Share, len(cs))
		jobs = make([]*job[S, C, E], len(cs))
		out  = make([]Outcome[E], len(cs))
	)
	// Those that may wait at a time are queued at once: one by one, the writers would begin with the first of them alone.
	lists := make([][]*call, len(r.engine.writers))
	places := make(map[*call]int, room)
	for i := range room {
		if jobs[i], out[i].Err = r.prepare(ctx, cs[i]); out[i].Err == nil {
			c := &jobs[i].call
			p := PartitionOf(c.streams[0], len(lists))
			lists[p], places[c] = append(lists[p], c), i
		}
	}
	for p, list := range lists {
		r.engine.writers[p].queue.pushAll(list, func(c *call, err error) { out[places[c]].Err, jobs[places[c]] = err, nil })
	}
	collect := func(i int) {
		if jobs[i] != nil {
			out[i].Result, out[i].Err = r.await(ctx, jobs[i])
			jobs[i] = nil
		}
	}
	for i := room; i < len(cs); i++ {
		collect(i - room)
		jobs[i], out[i].Err = r.queue(ctx, cs[i])
	}
	for i := len(cs) - room; i < len(cs); i++ {
		collect(i)
	}
	return out
}

// pushAll queues calls in their order, so that the writer finds all of them or none, and tells refused of those for which there is
// no room.
func (q *queue) pushAll(calls []*call, refused func(*call, error)) {
	if len(calls) == 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, c := range calls {
		if err := q.add(c); err != nil {
			refused(c, err)
		}
	}
	q.rouse()
}
