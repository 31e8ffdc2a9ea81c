package bus

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/es"
)

// Migrations are the tables of readers, as goose reads them.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Feed reads topics for one reader: a Table or a Reaction.
type Feed struct {
	Client  *kafka.Client
	Brokers []string
	Dialer  *kafka.Dialer // nil means in clear
	Pool    *pgxpool.Pool
	// Reader names who reads: its checkpoints, and with Group its membership.
	Reader string
	// Group shares the partitions among the processes of a service.
	Group  string
	Topics []string
	// Refetch reads from the owner's log what a topic withheld: the records after a position up to another. Without it a
	// gap stops the partition.
	Refetch func(ctx context.Context, topic string, p es.Partition, after, upTo es.Position, visit func(es.Incarnation, *es.Record) error) error
	// Take has the next events of a partition handled, in order, and moves the checkpoint in the same transaction as what
	// they cause. See Table and Reaction.
	Take func(ctx context.Context, at *Checkpoint, events []Received) error
	// Moved is told how far a partition has been read, and how many records are left of the topic.
	Moved func(topic string, p es.Partition, at es.Position, behind int64)
	// Passed counts records that were passed over: "foreign", "repeat" or "gap".
	Passed func(topic, why string)
	// Alarm is told what keeps a partition from being read.
	Alarm func(topic string, p es.Partition, err error)
}

// Checkpoint is how far a reader has come with a partition.
type Checkpoint struct {
	Reader      string
	Topic       string
	Partition   es.Partition
	Incarnation es.Incarnation
	Position    es.Position
	Chain       es.Chain
	Offset      int64
}

// Faults of a topic.
var (
	// ErrGap: positions are missing and the owner does not give them.
	ErrGap = errors.New("bus: the topic lacks events")
	// ErrChain: an event was altered on its way.
	ErrChain = errors.New("bus: an event does not continue the chain")
)

const (
	fetchBytes = 1 << 20
	fetchWait  = 500 * time.Millisecond
	feedMost   = 5 * time.Second
)

// Run reads until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := f.join(ctx); err != nil && ctx.Err() == nil {
			f.alarm("", -1, err)
			_ = sleep(ctx, 200*time.Millisecond) // ended by ctx, which the loop sees
		}
	}
	return ctx.Err()
}

func (f *Feed) alarm(topic string, p es.Partition, err error) {
	if f.Alarm != nil {
		f.Alarm(topic, p, err)
	}
}

// join is one membership of the group.
func (f *Feed) join(ctx context.Context) error {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: f.Group, Brokers: f.Brokers, Dialer: f.Dialer, Topics: f.Topics,
		JoinGroupBackoff: 200 * time.Millisecond, HeartbeatInterval: time.Second, SessionTimeout: 10 * time.Second,
		RebalanceTimeout: 10 * time.Second, StartOffset: kafka.FirstOffset, WatchPartitionChanges: false,
	})
	if err != nil {
		return fmt.Errorf("bus: group %s: %w", f.Group, err)
	}
	defer func() { _ = group.Close() }() // leaves the group; the session would end by itself
	for {
		gen, err := group.Next(ctx)
		if err != nil {
			if errors.Is(err, kafka.GroupCoordinatorNotAvailable) || errors.Is(err, kafka.GroupLoadInProgress) || errors.Is(err, kafka.NotCoordinatorForGroup) {
				continue // a broker that has just begun
			}
			return fmt.Errorf("bus: group %s: %w", f.Group, err)
		}
		for topic, parts := range gen.Assignments {
			for _, part := range parts {
				gen.Start(func(ctx context.Context) { f.read(ctx, topic, es.Partition(part.ID)) })
			}
		}
	}
}

// read follows one partition until its generation ends.
func (f *Feed) read(ctx context.Context, topic string, part es.Partition) {
	pause := 50 * time.Millisecond
	for ctx.Err() == nil {
		err := f.follow(ctx, topic, part, func() { pause = 50 * time.Millisecond })
		if ctx.Err() != nil {
			return
		}
		f.alarm(topic, part, err)
		if sleep(ctx, pause+rand.N(pause)) != nil { //nolint:gosec // jitter keeps nobody out
			return
		}
		pause = min(2*pause, feedMost)
	}
}

func (f *Feed) follow(ctx context.Context, topic string, part es.Partition, progress func()) error {
	at, err := f.load(ctx, topic, part)
	if err != nil {
		return err
	}
	first, end, err := bounds(ctx, f.Client, topic, int(part))
	if err != nil {
		return err
	}
	if at.Offset < first || at.Offset > end {
		at.Offset = first // the hint is of another life of the topic
	}
	for {
		got, err := fetch(ctx, f.Client, topic, int(part), at.Offset, fetchBytes, fetchWait)
		if err != nil {
			return err
		}
		events, err := f.sort(ctx, at, got.records)
		if err != nil {
			return err
		}
		next := at
		next.Offset = got.next
		if len(events) > 0 {
			last := &events[len(events)-1]
			next.Incarnation, next.Position, next.Chain = last.Incarnation, last.Position, last.Chain
			if err := f.Take(ctx, &next, events); err != nil {
				return err
			}
			progress()
		}
		at = next
		if f.Moved != nil && len(got.records) > 0 {
			f.Moved(topic, part, at.Position, got.end-got.next)
		}
	}
}

// load reads the checkpoint.
func (f *Feed) load(ctx context.Context, topic string, part es.Partition) (Checkpoint, error) {
	at := Checkpoint{Reader: f.Reader, Topic: topic, Partition: part}
	var inc, chain []byte
	err := f.Pool.QueryRow(ctx, `select incarnation, position, chain, "offset" from consumed where reader = $1 and topic = $2 and partition = $3`,
		f.Reader, topic, int32(part)).Scan(&inc, &at.Position, &chain, &at.Offset)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return at, fmt.Errorf("bus: checkpoint: %w", err)
	}
	copy(at.Incarnation[:], inc)
	copy(at.Chain[:], chain)
	return at, nil
}

// Save moves the checkpoint within a transaction. It never moves back: of two readers of one partition, the slower one fails.
func (c *Checkpoint) Save(ctx context.Context, tx pgx.Tx, taken int) error {
	tag, err := tx.Exec(ctx, `
		insert into consumed as c (reader, topic, partition, incarnation, position, chain, "offset") values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (reader, topic, partition) do update set incarnation = excluded.incarnation, position = excluded.position,
			chain = excluded.chain, "offset" = excluded."offset" where c.position = $5 - $8`,
		c.Reader, c.Topic, int32(c.Partition), c.Incarnation[:], int64(c.Position), c.Chain[:], c.Offset, taken)
	if err != nil {
		return fmt.Errorf("bus: checkpoint: %w", err)
	}
	if tag.RowsAffected() != 1 {
		return errMoved
	}
	return nil
}

// errMoved: another member reads the same partition since a moment ago.
var errMoved = errors.New("bus: the checkpoint was moved by another reader")

// sort makes the next events out of what was fetched: repeats dropped, gaps filled, the chain checked.
func (f *Feed) sort(ctx context.Context, at Checkpoint, records []record) ([]Received, error) {
	events := make([]Received, 0, len(records))
	take := func(r *Received) error {
		if r.Position <= at.Position {
			f.passed(at.Topic, "repeat")
			return nil
		}
		before := at.Chain
		switch {
		case r.Position == 1:
			before = es.FirstChain(r.Incarnation)
		case r.Incarnation != at.Incarnation:
			before = at.Chain.Reborn(r.Incarnation)
		}
		if es.NextChain(before, &r.Record) != r.Chain {
			return fmt.Errorf("%w: %s/%d position %d", ErrChain, at.Topic, at.Partition, r.Position)
		}
		events = append(events, *r)
		at.Incarnation, at.Position, at.Chain = r.Incarnation, r.Position, r.Chain
		return nil
	}
	for i := range records {
		var r Received
		marker, err := read(&records[i], at.Partition, &r)
		if err != nil {
			f.passed(at.Topic, "foreign")
			continue
		}
		if marker {
			continue
		}
		if r.Position > at.Position+1 {
			f.passed(at.Topic, "gap")
			if err := f.refetch(ctx, &at, r.Position-1, take); err != nil {
				return nil, err
			}
		}
		if err := take(&r); err != nil {
			if !errors.Is(err, ErrChain) || f.Refetch == nil {
				return nil, err
			}
			// What the topic holds is not what the owner stored: tell it, and take what the owner has.
			f.alarm(at.Topic, at.Partition, err)
			if err := f.refetch(ctx, &at, r.Position, take); err != nil {
				return nil, err
			}
		}
	}
	return events, nil
}

func (f *Feed) passed(topic, why string) {
	if f.Passed != nil {
		f.Passed(topic, why)
	}
}

func (f *Feed) refetch(ctx context.Context, at *Checkpoint, upTo es.Position, take func(*Received) error) error {
	if f.Refetch != nil {
		err := f.Refetch(ctx, at.Topic, at.Partition, at.Position, upTo, func(inc es.Incarnation, r *es.Record) error {
			return take(&Received{Record: *r, Incarnation: inc})
		})
		if err != nil {
			return fmt.Errorf("%w: %s/%d after position %d: %w", ErrGap, at.Topic, at.Partition, at.Position, err)
		}
	}
	if at.Position != upTo {
		return fmt.Errorf("%w: %s/%d after position %d up to %d", ErrGap, at.Topic, at.Partition, at.Position, upTo)
	}
	return nil
}

// Table makes Take of a fold into rows: events and checkpoint in one transaction.
func Table(pool *pgxpool.Pool, project func(ctx context.Context, tx pgx.Tx, events []Received) error) func(context.Context, *Checkpoint, []Received) error {
	return func(ctx context.Context, at *Checkpoint, events []Received) error {
		return pgx.BeginFunc(ctx, pool, func(tx pgx.Tx) error {
			if err := at.Save(ctx, tx, len(events)); err != nil {
				return err
			}
			return project(ctx, tx, events)
		})
	}
}
