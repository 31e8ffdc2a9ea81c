package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/projection"
)

// ErrLost: the log lost its tail, or has moved to another server. Nothing is written until it has been made whole.
var ErrLost = errors.New("node: the log is not the one that its topic knows: stop the service and run fsck --reconcile")

// compare holds every partition of a log against its topic.
func compare(ctx context.Context, c *boot.Config, url string, log *espg.Log) error {
	if len(c.Kafka.Brokers) == 0 && !c.Reconcile {
		return nil // there is no topic: the all-in-one at rest
	}
	out, err := boot.NewLog(c)
	if err != nil {
		return err
	}
	client, err := brokers(c)
	if err != nil {
		return err
	}
	topic := Topic(c.Kafka.Prefix, c.Service)
	var found []error
	for i := range log.Partitions() {
		p := es.Partition(i)
		lives, err := log.Lives(ctx, p)
		if err != nil {
			return err
		}
		here, err := log.Here(ctx, p)
		if err != nil {
			return err
		}
		stands, err := bus.Compare(ctx, client, log, topic, p)
		if here && !stands.Lost() {
			found = append(found, err) // nothing was lost; the topic is damaged perhaps
			continue
		}
		if !c.Reconcile {
			found = append(found, err, fmt.Errorf("%w: partition %d: equal up to position %d, the log ends at %d, the topic at %d",
				ErrLost, p, stands.Same, stands.Tail.Position, stands.Topic))
			continue
		}
		if err != nil && !errors.Is(err, bus.ErrAltered) && !errors.Is(err, bus.ErrDamaged) {
			return err // it was not read to its end
		}
		done, err := espg.Reconcile(ctx, url, p, espg.Recovery{
			Life: lives[len(lives)-1].Incarnation, Same: stands.Same, UpTo: stands.Topic, Dial: c.Seams.Database,
			Events: func(ctx context.Context, visit func(es.Incarnation, *es.Record) error) error {
				return bus.Whole(ctx, client, topic, p, func(r *bus.Received) error { return visit(r.Incarnation, &r.Record) })
			},
		})
		if err != nil {
			return fmt.Errorf("node: reconcile partition %d: %w", p, err)
		}
		out.Warn("reconciled: a new life has begun", "partition", i, "after", int64(done.After), "restored", done.Restored, "set_aside", done.SetAside)
	}
	return errors.Join(found...)
}

// Verify compares a projection's tables with the log. After a reconciliation they are folded anew first: they may hold what was
// set aside.
func Verify(ctx context.Context, c *boot.Config) func(*projection.Projection) error {
	return func(p *projection.Projection) error {
		if c.Reconcile {
			if err := p.Rebuild(ctx); err != nil {
				return err
			}
		}
		return p.Verify(ctx)
	}
}
