package bus

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// Relay publishes one partition of a log. Run it for each.
type Relay struct {
	Client    *kafka.Client
	Log       es.Reader
	Topic     string
	Partition es.Partition
	// Source is the CloudEvents source, as in "/obole/consent".
	Source string
	// Connect opens a connection of its own to the log's database: its session holds the relay's lock.
	Connect func(ctx context.Context) (*pgx.Conn, error)
	// Ahead is told that the topic holds what the log does not: the log lost its tail. The relay publishes nothing until it
	// has been made whole.
	Ahead func(p es.Partition, position es.Position, event id.ID)
	// Moved is told what was published, and how far behind the log that is.
	Moved func(p es.Partition, at es.Position, behind int64)
	// State is told whether the relay publishes, or waits for another or the broker.
	State func(p es.Partition, publishing bool)
	// Alarm is told what goes wrong.
	Alarm func(p es.Partition, err error)
}

const (
	relayPace   = 5 * time.Millisecond // at least between two batches; the first goes at once
	relayPoll   = time.Second          // a backstop: the log wakes us
	relayScan   = 5000
	relayRetry  = 200 * time.Millisecond
	relayResume = time.Second
)

// ErrAhead: the topic holds an event that the log does not.
var ErrAhead = errors.New("bus: the topic is ahead of the log, which has lost its tail: run fsck --reconcile")

// errSurprise: the broker answered otherwise than expected; begin anew.
var errSurprise = errors.New("bus: the topic is not where the relay left it")

// Run publishes until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	wake := r.Log.Wake(r.Partition)
	for ctx.Err() == nil {
		err := r.locked(ctx, wake)
		if ctx.Err() != nil {
			break
		}
		if err != nil && r.Alarm != nil && !errors.Is(err, errTaken) {
			r.Alarm(r.Partition, err)
		}
		pause := relayRetry
		if errors.Is(err, errTaken) || errors.Is(err, ErrAhead) {
			pause = relayResume
		}
		if sleep(ctx, pause+rand.N(pause/2)) != nil { //nolint:gosec // jitter keeps nobody out
			break
		}
	}
	return ctx.Err()
}

// errTaken: another relay has the partition.
var errTaken = errors.New("bus: another relay publishes this partition")

// locked publishes while it holds the partition's lock.
func (r *Relay) locked(ctx context.Context, wake <-chan struct{}) error {
	conn, err := r.Connect(ctx)
	if err != nil {
		return fmt.Errorf("bus: relay lock: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // gives the lock back; nothing is pending
	var ours bool
	if err := conn.QueryRow(ctx, `select pg_try_advisory_lock($1)`, r.key()).Scan(&ours); err != nil {
		return fmt.Errorf("bus: relay lock: %w", err)
	}
	if !ours {
		return errTaken
	}
	ctx, cancel := context.WithCancelCause(ctx)
	held := make(chan struct{})
	go func() { defer close(held); hold(ctx, cancel, conn) }()
	defer func() { cancel(nil); <-held }() // before the connection closes: it serves one goroutine at a time
	p := &publisher{Relay: r, wake: wake}
	p.batch.source = r.Source
	if r.State != nil {
		defer r.State(r.Partition, false)
	}
	for {
		err := p.resume(ctx)
		if err == nil {
			if r.State != nil {
				r.State(r.Partition, true)
			}
			err = p.publish(ctx)
		}
		if !errors.Is(err, errSurprise) {
			return err
		}
		if r.Alarm != nil {
			r.Alarm(r.Partition, err)
		}
		if err := sleep(ctx, relayRetry); err != nil {
			return err
		}
	}
}

// key is the advisory lock's: 64 bits of a hash of topic and partition.
func (r *Relay) key() int64 {
	name := id.Derive([]byte("relay"), []byte(r.Topic), []byte{byte(r.Partition >> 8), byte(r.Partition)})
	return int64(binary.BigEndian.Uint64(name[:]))
}

// hold ends the relay when the session that holds its lock is gone.
func hold(ctx context.Context, cancel context.CancelCauseFunc, conn *pgx.Conn) {
	for sleep(ctx, relayPoll) == nil {
		if err := conn.Ping(ctx); err != nil {
			cancel(fmt.Errorf("bus: relay lock lost: %w", err))
			return
		}
	}
}

// publisher is a relay at work.
type publisher struct {
	*Relay
	wake     <-chan struct{}
	batch    batch
	producer int64
	epoch    int16
	sequence int32
	offset   int64 // that the next record gets
	first    int64 // of the topic's oldest record
	at       es.Position
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
	base, err := p.send(ctx)
	if err != nil {
		return err
	}
	p.offset = base + 1
	newest, found, err := p.newest(ctx, base)
	if err != nil {
		return err
	}
	if !found {
		p.at = 0
		return nil
	}
	var here id.ID
	if newest.Position > 0 {
		_, err = p.Log.Scan(ctx, p.Partition, newest.Position-1, 1, func(r *es.Record) error {
			if r.Position == newest.Position {
				here = r.ID
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if here != newest.ID {
		if p.Ahead != nil {
			p.Ahead(p.Partition, newest.Position, newest.ID)
		}
		return ErrAhead
	}
	p.at = newest.Position
	return nil
}

// newest reads back from before an offset to the newest event, and makes sure that the topic begins with the first: otherwise
// the topic was cut, and is filled again.
func (p *publisher) newest(ctx context.Context, before int64) (newest Received, found bool, err error) {
	first, _, err := bounds(ctx, p.Client, p.Topic, int(p.Partition))
	if err != nil {
		return newest, false, err
	}
	p.first = first
	for step := int64(256); ; step *= 4 {
		from := max(first, before-step)
		for at := from; at < before; {
			f, err := fetch(ctx, p.Client, p.Topic, int(p.Partition), at, 4<<20, relayPoll)
			if err != nil {
				return newest, false, err
			}
			if len(f.records) == 0 {
				break
			}
			for i := range f.records {
				var r Received
				if f.records[i].offset >= before {
					break
				}
				if marker, err := read(&f.records[i], p.Partition, &r); err == nil && !marker {
					newest, found = r, true
				}
			}
			at = f.next
		}
		if found || from == first {
			break
		}
	}
	if !found {
		return newest, false, nil
	}
	for at := first; at < before; {
		f, err := fetch(ctx, p.Client, p.Topic, int(p.Partition), at, 256<<10, relayPoll)
		if err != nil {
			return newest, false, err
		}
		if len(f.records) == 0 {
			break
		}
		for i := range f.records {
			var r Received
			if marker, err := read(&f.records[i], p.Partition, &r); err == nil && !marker {
				return newest, r.Position == 1, nil
			}
		}
		at = f.next
	}
	return newest, found, nil
}

// publish sends what the log holds after what was sent, until ctx ends or something surprises.
func (p *publisher) publish(ctx context.Context) error {
	for {
		sent, err := p.flush(ctx)
		if err != nil {
			return err
		}
		if sent > 0 {
			if err := sleep(ctx, relayPace); err != nil {
				return err
			}
			continue
		}
		timer := time.NewTimer(relayPoll)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-p.wake:
			timer.Stop()
		case <-timer.C:
			if err := p.look(ctx); err != nil {
				return err
			}
		}
	}
}

// look makes sure, while nothing is published, that the topic still is what it was.
func (p *publisher) look(ctx context.Context) error {
	first, end, err := bounds(ctx, p.Client, p.Topic, int(p.Partition))
	if err != nil {
		return nil //nolint:nilerr // the broker is away; publishing will tell, and reading back then
	}
	if first != p.first || end != p.offset {
		return fmt.Errorf("%w: offsets %d to %d instead of %d to %d", errSurprise, first, end, p.first, p.offset)
	}
	return nil
}

// flush sends one scan's worth of records.
func (p *publisher) flush(ctx context.Context) (sent int, err error) {
	tail, err := p.Log.Tail(ctx, p.Partition)
	if err != nil {
		return 0, err
	}
	if tail.Position < p.at {
		if p.Ahead != nil {
			p.Ahead(p.Partition, p.at, id.ID{})
		}
		return 0, ErrAhead
	}
	if tail.Position == p.at {
		return 0, nil
	}
	lives, err := p.Log.Lives(ctx, p.Partition)
	if err != nil {
		return 0, err
	}
	p.batch.reset()
	last := p.at
	sent, err = p.Log.Scan(ctx, p.Partition, p.at, relayScan, func(r *es.Record) error {
		if !p.batch.fits(r) {
			if err := p.confirm(ctx, last); err != nil {
				return err
			}
			p.batch.reset()
		}
		p.batch.event(es.LifeAt(lives, r.Position).Incarnation, r)
		last = r.Position
		return nil
	})
	if err != nil {
		return sent, err
	}
	if p.batch.count > 0 {
		if err := p.confirm(ctx, last); err != nil {
			return sent, err
		}
	}
	if p.Moved != nil {
		p.Moved(p.Partition, p.at, int64(tail.Position-p.at))
	}
	return sent, nil
}

// confirm sends the batch and checks that it got the offset it must have got.
func (p *publisher) confirm(ctx context.Context, last es.Position) error {
	count := int64(p.batch.count)
	base, err := p.send(ctx)
	if err != nil {
		return err
	}
	if base != p.offset {
		return fmt.Errorf("%w: offset %d instead of %d", errSurprise, base, p.offset)
	}
	p.offset += count
	p.at = last
	return nil
}

// send produces the batch with the next sequence number.
func (p *publisher) send(ctx context.Context) (base int64, err error) {
	count := p.batch.count
	res, err := p.Client.RawProduce(ctx, &kafka.RawProduceRequest{
		Topic: p.Topic, Partition: int(p.Partition), RequiredAcks: kafka.RequireAll,
		RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(p.batch.seal(p.producer, p.epoch, p.sequence))},
	})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		// Whether it was stored is not known. Reading back will tell.
		return 0, fmt.Errorf("%w: %w", errSurprise, err)
	}
	p.sequence += count
	if p.offset > 0 && res.LogStartOffset > p.first {
		return 0, fmt.Errorf("%w: it begins at offset %d instead of %d", errSurprise, res.LogStartOffset, p.first)
	}
	return res.BaseOffset, nil
}
