package bus

import (
	"context"

	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/es"
)

// Walk visits every event that stands on a topic partition now, in the order of the topic; repeats come as often as they
// stand there. Reconciling and replaying a topic begin with it.
func Walk(ctx context.Context, c *kafka.Client, topic string, part es.Partition, visit func(*Received) error) error {
	at, end, err := bounds(ctx, c, topic, int(part))
	if err != nil {
		return err
	}
	for at < end {
		f, err := fetch(ctx, c, topic, int(part), at, 4<<20, fetchWait)
		if err != nil {
			return err
		}
		for i := range f.records {
			var r Received
			marker, err := read(&f.records[i], part, &r)
			if err != nil || marker {
				continue // not an event of ours
			}
			if err := visit(&r); err != nil {
				return err
			}
		}
		if f.next == at {
			break // control records only
		}
		at = f.next
	}
	return nil
}

// Positions lists the positions that stand on a topic partition, in the order of the topic.
func Positions(ctx context.Context, c *kafka.Client, topic string, part es.Partition) (out []es.Position, err error) {
	err = Walk(ctx, c, topic, part, func(r *Received) error {
		out = append(out, r.Position)
		return nil
	})
	return out, err
}
