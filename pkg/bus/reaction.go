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

// Reaction turns events into calls of ours.
type Reaction struct {
	// Name of the reaction; the ids of its commands derive from it.
	Name string
	Pool *pgxpool.Pool
	// Handle reacts to one event. nil: done. An error that Later made, or of a kind that may pass, is tried again until it
	// works; any other parks the event's root.
	Handle func(ctx context.Context, e *Received) error
	// Overtakes says of which types events are handled even while their root is parked.
	Overtakes func(typ string) bool
	// Workers is how many events of a partition are handled at a time (64).
	Workers int
	// Parked is told of a poison event; the reason carries no payload.
	Parked func(topic string, e *Received, reason string)
	// Retried counts tries that failed for now.
	Retried func(topic string, err error)
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

// passes says whether an error may go away by itself.
func passes(err error) bool {
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

// Take has the next events of a partition handled: roots side by side, the streams of one root in order, as what is decided
// together is told in order. It returns as soon as they are at work; the checkpoint follows behind what is done.
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

// errPanic: the reaction panicked on an event.
var errPanic = fault.Internal("the reaction panicked")

func (r *Reaction) handle(ctx context.Context, e *Received) (err error) {
	defer func() {
		if recover() != nil {
			err = errPanic
		}
	}()
	return r.Handle(ctx, e)
}

// describe says why an event was parked, without any of its content.
func describe(err error) string {
	f := grpcfault.Classify(err)
	if f.Reason != "" {
		return f.Kind.String() + ": " + f.Reason
	}
	return f.Kind.String() + ": " + f.Msg
}

// Stuck is a root that was set aside, named by the stream of its poison event.
type Stuck struct {
	Topic     string
	Partition es.Partition
	Stream    es.Stream
	Position  es.Position // of the poison event
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

// Redrive handles the parked events of a stream's root again, in order, and stops at the first that fails again.
func (r *Reaction) Redrive(ctx context.Context, topic string, stream es.Stream) (handled, left int64, err error) {
	for {
		e, err := r.oldest(ctx, topic, stream.Root())
		if errors.Is(err, pgx.ErrNoRows) {
			return handled, 0, nil
		}
		if err != nil {
			return handled, left, fmt.Errorf("bus: parked: %w", err)
		}
		if failed := r.handle(ctx, e); failed != nil {
			err := r.Pool.QueryRow(ctx, `
				with again as (update parked set reason = $4 where reader = $1 and topic = $2 and root = $3 and position = $5)
				select count(*) from parked where reader = $1 and topic = $2 and root = $3`, r.Name, topic, stream.Root(), describe(failed), int64(e.Position)).Scan(&left)
			return handled, left, errors.Join(failed, err)
		}
		err = pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
			// Under the checkpoint's lock: whoever parks behind this event meanwhile does it before or learns that it is gone.
			if _, err := tx.Exec(ctx, `select from consumed where reader = $1 and topic = $2 and partition = $3 for update`, r.Name, topic, int32(e.Partition)); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `delete from parked where reader = $1 and topic = $2 and partition = $3 and position = $4`, r.Name, topic, int32(e.Partition), int64(e.Position))
			return err
		})
		if err != nil {
			return handled, left, fmt.Errorf("bus: parked: %w", err)
		}
		handled++
	}
}

// oldest is the first parked event of a root.
func (r *Reaction) oldest(ctx context.Context, topic, root string) (*Received, error) {
	e := new(Received)
	var inc, chain []byte
	err := r.Pool.QueryRow(ctx, `
		select stream, partition, position, incarnation, version, command, ordinal, type, data, meta, chain, at
		from parked where reader = $1 and topic = $2 and root = $3 order by position limit 1`, r.Name, topic, root).
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
