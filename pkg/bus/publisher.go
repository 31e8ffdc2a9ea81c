package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// publisher is a relay at work: an idempotent producer that has one batch on the way and fills the next meanwhile. Several on the way
// would have to share one connection to arrive in order, and gain nothing more.
type publisher struct {
	*Relay
	wake     <-chan struct{}
	batch    *batch  // being filled
	spare    *batch  // nil while it is on the way
	flight   *flight // nil while nothing is on the way
	producer int64
	epoch    int16
	sequence int32
	offset   int64 // that the next record gets
	first    int64 // of the topic's oldest record
	lives    []es.Life
	at       es.Position   // of the newest event on the topic
	event    id.ID         // its id
	last     es.Position   // of the newest event that was put into a batch
	newest   id.ID         // its id
	took     time.Duration // the last batch, to be stored
}

// flight is a batch on the way.
type flight struct {
	batch *batch
	at    es.Position // of its newest event
	event id.ID       // its id

	done chan struct{} // closed when there is an answer
	base int64         // offset of its first record
	took time.Duration
	err  error
}

// resume finds out how far the topic has come.
func (p *publisher) resume(ctx context.Context) error {
	res, err := p.Client.InitProducerID(ctx, &kafka.InitProducerIDRequest{
		// The name makes the broker raise the epoch of the relay before us, and refuse that one from our first record on.
		TransactionalID: fmt.Sprintf("obole-relay-%s-%d", p.Topic, p.Partition), TransactionTimeoutMs: 60_000,
		ProducerID: -1, ProducerEpoch: -1, // we know of none; zeros would name one and be fenced
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return fmt.Errorf("bus: producer id: %w", err)
	}
	p.producer, p.epoch, p.sequence, p.offset = int64(res.Producer.ProducerID), int16(res.Producer.ProducerEpoch), 0, 0
	p.batch.reset()
	p.batch.marker(time.Now(), p.Source)
	base, err := p.send(ctx, p.batch)
	if err != nil {
		return err
	}
	p.arrived(base, 1)
	p.batch.reset()
	if p.first, _, err = bounds(ctx, p.Client, p.Topic, int(p.Partition)); err != nil {
		return err
	}
	last, err := newest(ctx, p.Client, p.Topic, p.Partition, p.first, base, p.spoilt)
	if err != nil || last.Position == 0 {
		return err
	}
	var here id.ID
	_, err = p.Log.Scan(ctx, p.Partition, last.Position-1, 1, func(r *es.Record) error {
		if r.Position == last.Position {
			here = r.ID
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("bus: read the log: %w", err)
	}
	if here != last.ID {
		return p.ahead(last.Position, last.ID)
	}
	whole, err := p.whole(ctx, base)
	if err != nil || !whole {
		return err // what was cut is filled again from the first event
	}
	p.at, p.event = last.Position, last.ID
	p.last, p.newest = p.at, p.event
	return nil
}

func (p *publisher) ahead(at es.Position, event id.ID) error {
	if p.Ahead != nil {
		p.Ahead(p.Partition, at, event)
	}
	return ErrAhead
}

// whole says whether the first event is on the topic: what follows it is without a hole, for every relay writes so. A topic
// that was cut has it nowhere, or later, where it was filled again.
func (p *publisher) whole(ctx context.Context, before int64) (found bool, err error) {
	err = walk(ctx, p.Client, p.Topic, p.Partition, p.first, before, 256<<10, p.spoilt, func(r *Received) error {
		if found = r.Position == 1; found {
			return errStop
		}
		return nil
	})
	return found, err
}

// spoilt is told of a damaged batch: it counts as missing, and is published again if nothing follows it.
func (p *publisher) spoilt(err error, _ int) error {
	p.alarm(err)
	return nil
}

// pace is how long a relay rests after a batch that the broker took so long to store. Where that is quick, what follows goes out almost at
// once. A broker that is slow has much to do, or shares its processors with those that have, and each batch costs it, and everybody who
// fetches it and notes how far they are, about the same whatever it holds: then there are fewer and fuller ones.
func pace(took time.Duration) time.Duration {
	return max(relayPace, es.Rest(took, relayLongest))
}

// publish sends what the log holds after what was sent, until ctx ends or something surprises.
func (p *publisher) publish(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer func() {
		cancel()
		if p.flight != nil {
			<-p.flight.done // it reads its batch
		}
	}()
	for {
		sent, more, err := p.flush(ctx)
		if err != nil {
			return err
		}
		if more {
			continue
		}
		if sent {
			if err := sleep(ctx, pace(p.took)); err != nil {
				return context.Cause(ctx)
			}
		}
		if err := p.rest(ctx); err != nil { // what was appended since has woken us already
			return err
		}
	}
}

// rest waits until there is something to publish, and makes sure meanwhile that the topic still is what it was.
func (p *publisher) rest(ctx context.Context) error {
	timer := time.NewTimer(relayPoll)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-p.wake:
		return nil
	case <-timer.C:
	}
	first, end, err := bounds(ctx, p.Client, p.Topic, int(p.Partition))
	if err != nil {
		p.stands(Stopped) // the broker is away; publishing will tell, and reading back then
		return nil
	}
	p.stands(Publishing)
	if first != p.first || end != p.offset {
		return fmt.Errorf("%w: offsets %d to %d instead of %d to %d", errSurprise, first, end, p.first, p.offset)
	}
	return nil
}

// flush takes one scan's worth of records, and says whether there are more. If not, all that was taken is on the topic.
func (p *publisher) flush(ctx context.Context) (sent, more bool, err error) {
	before, from := p.at, p.last
	var tail es.Position
	if fresh, life := p.Log.Fresh(p.Partition, p.last); len(fresh) > 0 {
		tail, err = fresh[len(fresh)-1].Position, p.takeFresh(ctx, fresh, life)
	} else {
		tail, err = p.takeStored(ctx)
	}
	if err != nil {
		return false, false, err
	}
	if more = from < p.last && p.last < tail; !more {
		if err := p.launch(ctx); err != nil {
			return false, false, err
		}
		if err := p.land(); err != nil {
			return false, false, err
		}
	}
	if sent = before < p.at; sent {
		p.moved(tail)
	}
	return sent, more, nil
}

func (p *publisher) moved(tail es.Position) {
	if p.Moved != nil {
		p.Moved(p.Partition, p.at, int64(tail-p.at))
	}
}

// takeFresh takes records that this process has just appended.
func (p *publisher) takeFresh(ctx context.Context, records []es.Record, life es.Incarnation) error {
	if err := p.know(ctx, life); err != nil {
		return err
	}
	for i := range records {
		if err := p.add(ctx, &records[i]); err != nil {
			return err
		}
	}
	return nil
}

// takeStored takes what it reads from the log, and says where that ends.
func (p *publisher) takeStored(ctx context.Context) (es.Position, error) {
	tail, err := p.Log.Tail(ctx, p.Partition)
	switch {
	case err != nil:
		return 0, fmt.Errorf("bus: read the log: %w", err)
	case tail.Position < p.last:
		if err := p.land(); err != nil {
			return 0, err
		}
		return 0, p.ahead(p.at, p.event)
	case tail.Position == p.last:
		return p.last, nil
	}
	if err := p.know(ctx, tail.Incarnation); err != nil {
		return 0, err
	}
	_, err = p.Log.Scan(ctx, p.Partition, p.last, relayScan, func(r *es.Record) error {
		if r.Position > tail.Position {
			return errStop // perhaps of a life that we do not know
		}
		return p.add(ctx, r)
	})
	if err != nil && !errors.Is(err, errStop) {
		return 0, err
	}
	return tail.Position, nil
}

// know reads the lives of the partition if there is one that is not known.
func (p *publisher) know(ctx context.Context, life es.Incarnation) (err error) {
	if n := len(p.lives); n == 0 || p.lives[n-1].Incarnation != life {
		if p.lives, err = p.Log.Lives(ctx, p.Partition); err != nil {
			return fmt.Errorf("bus: read the log: %w", err)
		}
	}
	return nil
}

// add puts a record into the batch, sending that first if it is full.
func (p *publisher) add(ctx context.Context, r *es.Record) error {
	if !p.batch.fits(r) {
		if err := p.launch(ctx); err != nil {
			return err
		}
	}
	p.batch.event(es.LifeAt(p.lives, r.Position).Incarnation, r)
	p.last, p.newest = r.Position, r.ID
	return nil
}

// launch sends the batch, if it has any records, once the one before has arrived, and begins another.
func (p *publisher) launch(ctx context.Context) error {
	if p.batch.count == 0 {
		return nil
	}
	if err := p.land(); err != nil {
		return err
	}
	f := &flight{batch: p.batch, at: p.last, event: p.newest, done: make(chan struct{})}
	p.flight, p.batch, p.spare = f, p.spare, nil
	p.batch.reset()
	go func() {
		defer close(f.done)
		began := time.Now()
		f.base, f.err = p.send(ctx, f.batch)
		f.took = time.Since(began)
	}()
	return nil
}

// land waits for the batch on the way, if there is one, and checks that it got the offset it must have got.
func (p *publisher) land() error {
	f := p.flight
	if f == nil {
		return nil
	}
	<-f.done
	p.flight, p.spare, p.took = nil, f.batch, f.took
	if f.err != nil {
		return f.err
	}
	if f.base != p.offset {
		return fmt.Errorf("%w: offset %d instead of %d", errSurprise, f.base, p.offset)
	}
	p.arrived(f.base, f.batch.count)
	p.at, p.event = f.at, f.event
	return nil
}

// arrived counts records that have got their offsets.
func (p *publisher) arrived(base int64, count int32) {
	p.offset = base + int64(count)
	p.sequence = int32((int64(p.sequence) + int64(count)) & 0x7fffffff) // it goes round
}

// send produces a batch with the next sequence number. After an error the publisher is of no further use: whether the
// batch was stored is not known, and a request that was given up may still be reading it.
func (p *publisher) send(ctx context.Context, b *batch) (base int64, err error) {
	res, err := p.Client.RawProduce(ctx, &kafka.RawProduceRequest{
		Topic: p.Topic, Partition: int(p.Partition), RequiredAcks: kafka.RequireAll,
		RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(b.seal(p.producer, p.epoch, p.sequence))},
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return 0, fmt.Errorf("%w: %w", errSurprise, err)
	}
	if p.offset > 0 && res.LogStartOffset > p.first {
		return 0, fmt.Errorf("%w: it begins at offset %d instead of %d", errSurprise, res.LogStartOffset, p.first)
	}
	return res.BaseOffset, nil
}
