package bus

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
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
	// Workers is how many roots are handled at a time (64).
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

// Take handles the next events of a partition: roots side by side, the streams of one root in order, as what is decided
// together is told in order.
func (r *Reaction) Take(ctx context.Context, at *Checkpoint, events []Received) error {
	parked, err := r.parkedRoots(ctx, at)
	if err != nil {
		return err
	}
	type outcome struct {
		event  *Received
		reason string // empty: only waits
	}
	var (
		mu     sync.Mutex
		aside  []outcome
		wg     sync.WaitGroup
		places = make(chan struct{}, max(r.Workers, 64))
	)
	roots := map[string][]*Received{}
	var order []string
	for i := range events {
		e := &events[i]
		root := e.Stream.Root()
		if _, known := roots[root]; !known {
			order = append(order, root)
		}
		roots[root] = append(roots[root], e)
	}
	for _, root := range order {
		places <- struct{}{}
		wg.Go(func() {
			defer func() { <-places }()
			waits := parked[root]
			for _, e := range roots[root] {
				if ctx.Err() != nil {
					return
				}
				if waits && (r.Overtakes == nil || !r.Overtakes(e.Type)) {
					mu.Lock()
					aside = append(aside, outcome{e, ""})
					mu.Unlock()
					continue
				}
				if err := r.try(ctx, at.Topic, e); err != nil && ctx.Err() == nil {
					waits = true
					reason := describe(err)
					mu.Lock()
					aside = append(aside, outcome{e, reason})
					mu.Unlock()
					if r.Parked != nil {
						r.Parked(at.Topic, e, reason)
					}
				}
			}
		})
	}
	wg.Wait()
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return pgx.BeginFunc(ctx, r.Pool, func(tx pgx.Tx) error {
		if err := at.Save(ctx, tx, len(events)); err != nil {
			return err
		}
		for _, o := range aside {
			if err := park(ctx, tx, at, o.event, o.reason); err != nil {
				return err
			}
		}
		return nil
	})
}

// try handles an event until it is done or will never be.
func (r *Reaction) try(ctx context.Context, topic string, e *Received) error {
	pause := 10 * time.Millisecond
	for {
		err := r.handle(ctx, e)
		if err == nil || !passes(err) {
			return err
		}
		if r.Retried != nil {
			r.Retried(topic, err)
		}
		if err := sleep(ctx, pause+rand.N(pause)); err != nil { //nolint:gosec // jitter keeps nobody out
			return err
		}
		pause = min(2*pause, 5*time.Second)
	}
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

func (r *Reaction) parkedRoots(ctx context.Context, at *Checkpoint) (map[string]bool, error) {
	rows, err := r.Pool.Query(ctx, `select distinct root from parked where reader = $1 and topic = $2 and partition = $3`, at.Reader, at.Topic, int32(at.Partition))
	if err != nil {
		return nil, fmt.Errorf("bus: parked: %w", err)
	}
	out := map[string]bool{}
	var root string
	_, err = pgx.ForEachRow(rows, []any{&root}, func() error { out[root] = true; return nil })
	if err != nil {
		return nil, fmt.Errorf("bus: parked: %w", err)
	}
	return out, nil
}

func park(ctx context.Context, tx pgx.Tx, at *Checkpoint, e *Received, reason string) error {
	_, err := tx.Exec(ctx, `
		insert into parked (reader, topic, partition, root, stream, position, incarnation, version, command, ordinal, type, data, meta, chain, at, reason)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		at.Reader, at.Topic, int32(at.Partition), e.Stream.Root(), string(e.Stream), int64(e.Position), e.Incarnation[:], int64(e.Version), [16]byte(e.Command),
		e.Ordinal, e.Type, e.Data, e.Meta, e.Chain[:], e.At, reason)
	if err != nil {
		return fmt.Errorf("bus: park: %w", err)
	}
	return nil
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
		var e Received
		var inc, chain []byte
		err := r.Pool.QueryRow(ctx, `
			select stream, partition, position, incarnation, version, command, ordinal, type, data, meta, chain, at
			from parked where reader = $1 and topic = $2 and root = $3 order by position limit 1`, r.Name, topic, stream.Root()).
			Scan(&e.Stream, &e.Partition, &e.Position, &inc, &e.Version, (*[16]byte)(&e.Command), &e.Ordinal, &e.Type, &e.Data, &e.Meta, &chain, &e.At)
		if errors.Is(err, pgx.ErrNoRows) {
			return handled, 0, nil
		}
		if err != nil {
			return handled, left, fmt.Errorf("bus: parked: %w", err)
		}
		copy(e.Incarnation[:], inc)
		copy(e.Chain[:], chain)
		e.At = e.At.UTC()
		meta, err := es.DecodeMeta(e.Meta)
		if err != nil {
			return handled, left, err
		}
		e.ID = meta.ID
		if failed := r.handle(ctx, &e); failed != nil {
			err := r.Pool.QueryRow(ctx, `
				with again as (update parked set reason = $4 where reader = $1 and topic = $2 and root = $3 and position = $5)
				select count(*) from parked where reader = $1 and topic = $2 and root = $3`, r.Name, topic, stream.Root(), describe(failed), int64(e.Position)).Scan(&left)
			return handled, left, errors.Join(failed, err)
		}
		if _, err := r.Pool.Exec(ctx, `delete from parked where reader = $1 and topic = $2 and position = $3 and partition = $4`, r.Name, topic, int64(e.Position), int32(e.Partition)); err != nil {
			return handled, left, fmt.Errorf("bus: parked: %w", err)
		}
		handled++
	}
}
