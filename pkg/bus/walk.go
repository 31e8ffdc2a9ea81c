package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/es"
)

// walkBytes is how much a walk fetches at a time.
const walkBytes = 4 << 20

// errStop ends a walk that has seen enough.
var errStop = errors.New("bus: enough")

// Walk visits every event that stands on a topic partition now, in the order of the topic; repeats come as often as they
// stand there. Reconciling and replaying a topic begin with it. The event and its slices are only valid during the call;
// while one answer is visited the next is fetched. A damaged batch ends the walk.
func Walk(ctx context.Context, c *kafka.Client, topic string, part es.Partition, visit func(*Received) error) error {
	first, end, err := bounds(ctx, c, topic, int(part))
	if err != nil {
		return err
	}
	return walk(ctx, c, topic, part, first, end, walkBytes, func(err error, _ int) error { return err }, visit)
}

// walk visits the events from one offset up to, and without, another, fetching so many bytes at a time.
func walk(ctx context.Context, c *kafka.Client, topic string, part es.Partition, from, end int64, bytes int32,
	spoilt func(error, int) error, visit func(*Received) error,
) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	answers := make(chan fetched)
	var failed error // of the fetching, once answers is closed
	go func() {
		defer close(answers)
		var bufs [2][]byte // one is filled while the other is visited
		for i := 0; from < end; i = 1 - i {
			var f fetched
			if f, failed = fetch(ctx, c, topic, int(part), from, bytes, fetchWait, bufs[i]); failed != nil {
				return
			}
			bufs[i] = f.buf
			select {
			case answers <- f:
			case <-ctx.Done():
				failed = ctx.Err()
				return
			}
			next := f.next()
			if next == from {
				failed = fmt.Errorf("bus: %s/%d: %w at offset %d of %d", topic, part, io.ErrUnexpectedEOF, from, end)
				return
			}
			from = next
		}
	}()
	events := newReader(part)
	var r Received
	for f := range answers {
		_, err := f.each(func(rec *record) error {
			if rec.offset >= end {
				return nil
			}
			if marker, err := events.event(rec, &r); err != nil || marker {
				return nil //nolint:nilerr // not an event of ours
			}
			return visit(&r)
		}, spoilt)
		if errors.Is(err, errStop) {
			return nil
		}
		if err != nil {
			return err
		}
	}
	return failed
}

// next is where to go on reading after an answer, told by the heads of its batches.
func (f *fetched) next() int64 {
	next := f.from
	for b := f.batches; len(b) >= batchHead; {
		size := int64(int32(binary.BigEndian.Uint32(b[atLength:]))) + atLength + 4
		if size < batchHead || size > int64(len(b)) {
			break
		}
		next = max(next, int64(binary.BigEndian.Uint64(b))+int64(max(int32(binary.BigEndian.Uint32(b[atLast:])), 0))+1)
		b = b[size:]
	}
	return next
}

// Positions lists the positions that stand on a topic partition, in the order of the topic.
func Positions(ctx context.Context, c *kafka.Client, topic string, part es.Partition) (out []es.Position, err error) {
	err = Walk(ctx, c, topic, part, func(r *Received) error {
		out = append(out, r.Position)
		return nil
	})
	return out, err
}
