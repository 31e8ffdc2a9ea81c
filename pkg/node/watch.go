package node

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
)

// watchEvery is how often it is looked at what nobody tells: how far the log has gone on, and what is parked.
const watchEvery = 2 * time.Second

// relays know how each partition stands with this process's relay.
type relays struct {
	behind *prometheus.GaugeVec
	health func(all bool) // told whether every partition is published, by this process or, as far as it can tell, another

	mu   sync.Mutex
	each []standing
}

type standing struct {
	bus.Standing
	at    es.Position // on the topic
	known bool
}

func newRelays(n int, behind *prometheus.GaugeVec, health func(bool)) *relays {
	health(false)
	return &relays{behind: behind, health: health, each: make([]standing, n)}
}

func (r *relays) stands(p es.Partition, s bus.Standing) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.each[p].Standing = s
	if s == bus.Waiting { // the other process tells how far behind it is
		r.each[p].known = false
		r.behind.DeleteLabelValues(fmt.Sprint(p))
	}
	all := true
	for i := range r.each {
		all = all && r.each[i].Standing != bus.Stopped
	}
	r.health(all)
}

func (r *relays) moved(p es.Partition, at es.Position, behind int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.each[p].at, r.each[p].known = at, true
	r.behind.WithLabelValues(fmt.Sprint(p)).Set(float64(behind))
}

// measure says how far the topic is behind the log where this process publishes: also while it cannot.
func (r *relays) measure(ctx context.Context, log es.Reader) error {
	for i := range r.each {
		p := es.Partition(i)
		tail, err := log.Tail(ctx, p)
		if err != nil {
			return err
		}
		r.mu.Lock()
		if r.each[p].known {
			r.behind.WithLabelValues(fmt.Sprint(p)).Set(float64(max(0, tail.Position-r.each[p].at)))
		}
		r.mu.Unlock()
	}
	return nil
}

// watch keeps the gauges of what nobody tells, until ctx ends. What cannot be looked at now is looked at later; the log's own health
// tells that its database is away.
func (n *Node) watch(ctx context.Context) error {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if err := n.relays.measure(ctx, n.Log); err == nil {
			_ = n.countParked(ctx)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// countParked counts what each reaction has set aside.
func (n *Node) countParked(ctx context.Context) error {
	for name, r := range n.reactions {
		events, err := r.Aside(ctx)
		if err != nil {
			return err
		}
		n.metrics.aside.WithLabelValues(name).Set(float64(events))
	}
	return nil
}
