package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"

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
	// Moved is told what stands on the topic, when the relay begins and whenever it has published, and how far behind the log that is.
	Moved func(p es.Partition, at es.Position, behind int64)
	// State is told how the partition stands.
	State func(p es.Partition, s Standing)
	// Alarm is told what goes wrong.
	Alarm func(p es.Partition, err error)
}

// Standing is how a partition stands with a relay.
type Standing uint8

const (
	// Stopped is a partition that is not published as far as this relay knows: the broker or the database is away, or the topic unfit.
	Stopped Standing = iota
	// Publishing is what this relay does.
	Publishing
	// Waiting is for another relay, which has the partition's lock and tells of it.
	Waiting
)

const (
	relayPace    = 5 * time.Millisecond // at least between two batches; the first goes at once
	relayLongest = 25 * time.Millisecond
	relayPoll    = time.Second // a backstop: the log wakes us
	relayScan    = 5000
	relayRetry   = 200 * time.Millisecond
	relayMost    = 2 * time.Second // between two tries
	relayIdle    = 5 * time.Second // after which the session of a stopped process ends, and its lock with it
)

// ErrAhead: the topic holds an event that the log does not.
var ErrAhead = errors.New("bus: the topic is ahead of the log, which has lost its tail: run fsck --reconcile")

// errSurprise: the broker answered otherwise than expected; begin anew.
var errSurprise = errors.New("bus: the topic is not where the relay left it")

// Run publishes until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	wake := r.Log.Wake(r.Partition)
	pause := relayRetry
	for ctx.Err() == nil {
		err := r.locked(ctx, wake, func() { pause = relayRetry })
		if ctx.Err() != nil {
			break
		}
		switch {
		case errors.Is(err, errTaken):
			r.stands(Waiting)
			pause = relayPoll
		default:
			r.stands(Stopped)
			if r.alarm(err); errors.Is(err, ErrAhead) || errors.Is(err, ErrTopic) {
				pause = relayPoll
			}
		}
		if sleep(ctx, pause+rand.N(pause/2)) != nil { //nolint:gosec // jitter keeps nobody out
			break
		}
		pause = min(2*pause, relayMost)
	}
	return ctx.Err()
}

func (r *Relay) stands(s Standing) {
	if r.State != nil {
		r.State(r.Partition, s)
	}
}

func (r *Relay) alarm(err error) {
	if r.Alarm != nil {
		r.Alarm(r.Partition, err)
	}
}

// errTaken: another relay has the partition.
var errTaken = errors.New("bus: another relay publishes this partition")

// locked publishes while it holds the partition's lock. Whatever surprises it ends it, so that it comes back with the lock
// known to be its own and a new epoch.
func (r *Relay) locked(ctx context.Context, wake <-chan struct{}, resumed func()) error {
	conn, err := r.Connect(ctx)
	if err != nil {
		return fmt.Errorf("bus: relay lock: %w", err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // gives the lock back; nothing is pending
	var ours bool
	// A process that is stopped, but not dead, must not keep the lock.
	err = conn.QueryRow(ctx, `select pg_try_advisory_lock($1) from set_config('idle_session_timeout', $2, false)`,
		r.key(), fmt.Sprint(relayIdle.Milliseconds())).Scan(&ours)
	if err != nil {
		return fmt.Errorf("bus: relay lock: %w", err)
	}
	if !ours {
		return errTaken
	}
	ctx, cancel := context.WithCancelCause(ctx)
	var holding sync.WaitGroup
	holding.Go(func() { hold(ctx, cancel, conn) })
	defer func() {
		cancel(nil)
		holding.Wait() // a connection serves one goroutine
	}()
	// What the topic would not keep, or keep elsewhere, is not published.
	if err := Fits(ctx, r.Client, r.Topic, r.Log.Partitions()); err != nil {
		return err
	}
	p := &publisher{Relay: r, wake: wake, batch: newBatch(r.Source), spare: newBatch(r.Source)}
	if err := p.resume(ctx); err != nil {
		return err
	}
	resumed()
	tail, err := r.Log.Tail(ctx, r.Partition)
	if err != nil {
		return fmt.Errorf("bus: read the log: %w", err)
	}
	p.moved(tail.Position)
	r.stands(Publishing)
	defer r.stands(Stopped)
	err = p.publish(ctx)
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// key is the advisory lock's: 64 bits of a hash of topic and partition.
func (r *Relay) key() int64 {
	name := id.Derive([]byte("relay"), []byte(r.Topic), []byte{byte(r.Partition >> 8), byte(r.Partition)})
	return int64(binary.BigEndian.Uint64(name[:]))
}

// hold keeps the session that holds the relay's lock, and ends the relay when it is gone.
func hold(ctx context.Context, cancel context.CancelCauseFunc, conn *pgx.Conn) {
	for sleep(ctx, relayPoll) == nil {
		ping, done := context.WithTimeout(ctx, relayIdle)
		err := conn.Ping(ping)
		done()
		if err != nil {
			cancel(fmt.Errorf("bus: relay lock lost: %w", err))
			return
		}
	}
}
