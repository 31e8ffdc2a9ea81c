package bus_test

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
)

// road leads to the brokers, and can be closed.
type road struct {
	mu     sync.Mutex
	closed bool
	conns  []net.Conn
	tries  atomic.Int64 // in vain
}

var errClosed = errors.New("the road is closed")

func (r *road) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		r.tries.Add(1)
		return nil, errClosed
	}
	c, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err == nil {
		r.conns = append(r.conns, c)
	}
	return c, err
}

func (r *road) close(closed bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.closed = closed
	for _, c := range r.conns {
		_ = c.Close() // whoever reads from it learns of it
	}
	r.conns = nil
}

// TestAwayBrokersAreToldOfOnce: however often a reader tries to come to its group, it tells once that it cannot, and once that it
// could, with the number of tries; at the beginning and again later.
func TestAwayBrokersAreToldOfOnce(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.append("a:one")
	run(t, w.relay().Run)
	var c collector
	r := new(road)
	f := w.feed("reader", (&bus.Reaction{Name: "reader", Pool: w.pool, Types: ways, Handle: func(_ context.Context, e *bus.Received) error { c.add(e); return nil }}).Take)
	f.Client = bus.NewClient(brokers(t), &kafka.Transport{Dial: r.dial})
	var alarms atomic.Int64
	joined := make(chan int, 16)
	f.Alarm = func(_ string, p es.Partition, err error) {
		if p < 0 {
			alarms.Add(1)
			t.Logf("told: %v", err)
		}
	}
	f.Joined = func(failed int) { joined <- failed }
	r.close(true)
	run(t, f.Run)
	for turn := range int64(2) {
		before := r.tries.Load()
		await(t, "tries in vain", func() bool { return r.tries.Load() >= before+1+9*turn }) // the client waits longer between its own than the group does
		if n := alarms.Load(); n != turn+1 {
			t.Errorf("turn %d: %d alarms", turn, n)
		}
		r.close(false)
		if failed := <-joined; failed < 1 || turn == 1 && failed < 2 {
			t.Errorf("turn %d: joined after %d failures", turn, failed)
		}
		if n := alarms.Load(); n != turn+1 {
			t.Errorf("turn %d: %d alarms when it had joined", turn, n)
		}
		await(t, "an event", func() bool { return len(c.list()) > int(turn) })
		if turn == 0 {
			w.append("a:two")
			await(t, "the next", func() bool { return len(c.list()) == 2 })
			r.close(true)
		}
	}
	if len(joined) != 0 {
		t.Errorf("told of joining %d times more", len(joined))
	}
}
