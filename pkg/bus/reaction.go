package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
)

// Way is how events of one type go beside the others of their root.
type Way uint8

const (
	// InOrder events wait for all of their root that came before, and all that come after wait for them.
	InOrder Way = iota + 1
	// Abreast events say nothing about those of other streams: the acceptances of two people of one bid. They wait for what
	// came before on their own stream, and for the root's newest event before them that is not abreast.
	Abreast
	// Overtaking events are in order too, but do not wait for what is parked, nor for what has failed for now: withdrawals,
	// pauses and suspensions.
	Overtaking
)

// Reaction turns events into calls of ours.
type Reaction struct {
	// Name of the reaction; the ids of its commands derive from it.
	Name string
	Pool *pgxpool.Pool
	// Types are the events it reacts to. The others pass unhandled.
	Types map[string]Way
	// Knows says whether this build's contract has a type at all; one that it does not have is parked, for who knows what it
	// means. nil: all.
	Knows func(topic, typ string) bool
	// Handle reacts to one event. nil: done. An error that passes has the partition read again from the checkpoint on, so try
	// again before you return it, and say Retrying; package mill does. Any other parks the event.
	Handle func(ctx context.Context, e *Received) error
	// Parked is told of a poison event; the reason carries no payload.
	Parked func(topic string, e *Received, reason string)
}

// CommandID names the command that a reaction makes of an event; n tells several commands of one event apart.
func CommandID(reaction string, event id.ID, n int) id.ID {
	return id.Derive([]byte("reaction"), []byte(reaction), event[:], []byte{byte(n >> 8), byte(n)})
}

// laterError is what Later made.
type laterError struct{ error }

func (e laterError) Unwrap() error { return e.error }

// Later says that an error will pass: try again.
func Later(err error) error { return laterError{err} }

// Passes says whether an error may go away by itself: Later made it, or it is of such a kind.
func Passes(err error) bool {
	var later laterError
	if errors.As(err, &later) {
		return true
	}
	switch grpcfault.Classify(err).Kind {
	case fault.KindUnavailable, fault.KindDeadline, fault.KindExhausted, fault.KindCanceled, fault.KindUnauthenticated:
		return true
	}
	return false
}

type retryingKey struct{}

// Retrying says that the event of this context has failed for now and is about to be tried again: what overtakes need not
// wait for it any longer.
func Retrying(ctx context.Context) {
	if told, ok := ctx.Value(retryingKey{}).(func()); ok {
		told()
	}
}

// Take has the next events of a partition handled. It returns as soon as they are at work; the checkpoint follows behind what
// is done.
func (r *Reaction) Take(ctx context.Context, at *Checkpoint, events []Received) error {
	if at.run.window == nil {
		w, err := r.open(ctx, at)
		if err != nil {
			return err
		}
		at.run.window = w
	}
	return at.run.window.take(ctx, at, events)
}

// way of an event among its root's; 0 for one that passes.
func (r *Reaction) way(topic, typ string) Way {
	if w := r.Types[typ]; w != 0 {
		return w
	}
	if r.Knows != nil && !r.Knows(topic, typ) {
		return InOrder
	}
	return 0
}

// errPanic: the reaction panicked on an event. errUnknown: its type is of another version of the contract.
var (
	errPanic   = fault.Internal("the reaction panicked")
	errUnknown = fault.Internal("the type is unknown here")
)

func (r *Reaction) handle(ctx context.Context, topic string, e *Received) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	switch {
	case r.Types[e.Type] != 0:
		return r.Handle(ctx, e)
	case r.way(topic, e.Type) != 0:
		return errUnknown
	}
	return nil
}

// describe says why an event was parked, without any of its content.
func describe(err error) string {
	f := grpcfault.Classify(err)
	if f.Reason != "" {
		return f.Kind.String() + ": " + f.Reason
	}
	return f.Kind.String() + ": " + f.Msg
}

// Stuck is a root of which events were set aside, named by the stream of the first.
type Stuck struct {
	Topic     string
	Partition es.Partition
	Stream    es.Stream
	Position  es.Position // of the first poison event
	Type      string
	Reason    string
	Waiting   int64
	ParkedAt  time.Time
}

// Stuck lists a reaction's parked roots, by topic and root, after that of a given stream.
func (r *Reaction) Stuck(ctx context.Context, afterTopic string, after es.Stream, limit int) ([]Stuck, error) {
	rows, err := r.Pool.Query(ctx, `
		select distinct on (topic, root) topic, partition, stream, position, type, reason,
			(select count(*) - 1 from parked w where w.reader = p.reader and w.topic = p.topic and w.root = p.root), parked_at
		from parked p where reader = $1 and (topic, root) > ($2, $3) order by topic, root, position limit $4`,
		r.Name, afterTopic, after.Root(), limit)
	if err != nil {
		return nil, fmt.Errorf("bus: parked: %w", err)
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[Stuck])
}

// Aside counts the events that a reaction has set aside.
func (r *Reaction) Aside(ctx context.Context) (events int64, err error) {
	if err := r.Pool.QueryRow(ctx, `select count(*) from parked where reader = $1`, r.Name).Scan(&events); err != nil {
		return 0, fmt.Errorf("bus: parked: %w", err)
	}
	return events, nil
}

// Redrive handles the parked events of a stream's root again, in order. What fails again stays, with what waits for it; left
// counts both, and err is the first fault.
func (r *Reaction) Redrive(ctx context.Context, topic string, stream es.Stream) (handled, left int64, err error) {
	var still parked // of those gone over
	var after es.Position
	for {
		e, next := r.parkedAfter(ctx, topic, stream.Root(), after)
		if errors.Is(next, pgx.ErrNoRows) {
			return handled, left, err
		}
		if next != nil {
			return handled, left, errors.Join(err, fmt.Errorf("bus: parked: %w", next))
		}
		after = e.Position
		way := r.way(topic, e.Type)
		if way != Overtaking && still.holds(e, way) {
			still.add(e.Stream, way, e.Position)
			left++
			continue
		}
		if failed := r.handle(ctx, topic, e); failed != nil {
			still.add(e.Stream, way, e.Position)
			left++
			_, next := r.Pool.Exec(ctx, `update parked set reason = $5 where reader = $1 and topic = $2 and partition = $3 and position = $4`,
				r.Name, topic, int32(e.Partition), int64(e.Position), describe(failed))
			err = errors.Join(err, failed, next)
			continue
		}
		if next := r.unpark(ctx, topic, e); next != nil {
			return handled, left, errors.Join(err, next)
		}
		handled++
	}
}

// unpark removes a parked event that is done, under the checkpoint's lock: whoever parks behind it meanwhile does it before or
// learns that it is gone.
func (r *Reaction) unpark(ctx context.Context, topic string, e *Received) error {
	err := pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select from consumed where reader = $1 and topic = $2 and partition = $3 for update`, r.Name, topic, int32(e.Partition)); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `delete from parked where reader = $1 and topic = $2 and partition = $3 and position = $4`, r.Name, topic, int32(e.Partition), int64(e.Position))
		return err
	})
	if err != nil {
		return fmt.Errorf("bus: parked: %w", err)
	}
	return nil
}

// parkedAfter is the first parked event of a root after a position. A root is in one partition.
func (r *Reaction) parkedAfter(ctx context.Context, topic, root string, after es.Position) (*Received, error) {
	e := new(Received)
	var inc, chain []byte
	err := r.Pool.QueryRow(ctx, `
		select stream, partition, position, incarnation, version, command, ordinal, type, data, meta, chain, at
		from parked where reader = $1 and topic = $2 and root = $3 and position > $4 order by position limit 1`, r.Name, topic, root, int64(after)).
		Scan(&e.Stream, &e.Partition, &e.Position, &inc, &e.Version, (*[16]byte)(&e.Command), &e.Ordinal, &e.Type, &e.Data, &e.Meta, &chain, &e.At)
	if err != nil {
		return nil, err
	}
	copy(e.Incarnation[:], inc)
	copy(e.Chain[:], chain)
	e.At = e.At.UTC()
	if len(e.Meta) >= metaLeast {
		e.ID = id.ID(e.Meta[1:metaLeast])
	}
	return e, nil
}
