package bus

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
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
	Pool    *pgxpool.Pool
	// Reader names who reads: its checkpoints, and with Group its membership.
	Reader string
	// Group shares the partitions among the processes of a service.
	Group  string
	Topics []string
	// Partitions are those that topics must have, where the reader knows; with another number nothing is read.
	Partitions map[string]int
	// Refetch reads from the owner's log what a topic withheld: the records after a position up to another. Without it a
	// gap stops the partition.
	Refetch func(ctx context.Context, topic string, p es.Partition, after, upTo es.Position, visit func(es.Incarnation, *es.Record) error) error
	// Take has the next events of a partition handled, in order, and moves the checkpoint in the same transaction as what
	// they cause. The events are its own. See Table and Reaction.
	Take func(ctx context.Context, at *Checkpoint, events []Received) error
	// Moved is told, whenever the broker has answered, how far a partition has been read, and how many records are left of the topic.
	Moved func(topic string, p es.Partition, at es.Position, behind int64)
	// Lost is told that this is not known any more: the partition cannot be read, or is another member's now.
	Lost func(topic string, p es.Partition)
	// Passed counts what was not read as it stands: "foreign" records, not our relays' or malformed; "repeat"s; "gap"s that were
	// filled; "altered" events and "spoilt" batches, which the owner's took the place of.
	Passed func(topic, why string)
	// Alarm is told what keeps a partition from being read, at every try; and, with partition -1, what keeps the reader from its group
	// or its topics: once, and again only when it is something else.
	Alarm func(topic string, p es.Partition, err error)
	// Joined is told, after such an alarm, that the group is joined, and how many tries had failed.
	Joined func(failed int)

	outside outside
}

// outside is what a reader that is in no group has told of it.
type outside struct {
	why    string
	failed int
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

	run *run
}

// run is one following of a partition. Who takes its events may work on behind it.
type run struct {
	ctx    context.Context
	fail   context.CancelCauseFunc // ends the following; it begins anew at the stored checkpoint
	behind sync.WaitGroup
	window *window
}

const (
	fetchBytes = 1 << 20
	fetchWait  = 500 * time.Millisecond
	feedMost   = 5 * time.Second
)

// Run reads until ctx ends.
func (f *Feed) Run(ctx context.Context) error {
	for ctx.Err() == nil {
		if err := f.join(ctx); err != nil && ctx.Err() == nil {
			f.kept("", err)
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

// kept tells what keeps the reader out of its group, unless it has just told the same: brokers that are away would be told of five
// times a second.
func (f *Feed) kept(topic string, err error) {
	why := topic + " " + kindOf(err)
	f.outside.failed++
	if f.outside.why != why {
		f.outside.why = why
		f.alarm(topic, -1, err)
	}
}

// within tells that the reader is in its group, where it had told that it was not.
func (f *Feed) within() {
	failed := f.outside.failed
	f.outside = outside{}
	if failed > 0 && f.Joined != nil {
		f.Joined(failed)
	}
}

// kindOf names what went wrong, the same for as long as it is the same: texts hold the ports of the moment.
func kindOf(err error) string {
	if errors.Is(err, ErrTopic) {
		return "topic"
	}
	if refused, ok := errors.AsType[kafka.Error](err); ok {
		return fmt.Sprintf("kafka %d", int(refused))
	}
	return "unreachable"
}

// join is one membership of the group.
func (f *Feed) join(ctx context.Context) error {
	if err := f.exist(ctx); err != nil {
		return err
	}
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: f.Group, Brokers: f.Brokers, Dialer: Dialer(f.Client), Topics: f.Topics,
		JoinGroupBackoff: 200 * time.Millisecond, HeartbeatInterval: time.Second, SessionTimeout: 10 * time.Second,
		RebalanceTimeout: 10 * time.Second, StartOffset: kafka.FirstOffset, WatchPartitionChanges: false,
	})
	if err != nil {
		return fmt.Errorf("bus: group %s: %w", f.Group, err)
	}
	defer func() { _ = group.Close() }() // leaves the group; the session would end by itself
	for {
		gen, err := group.Next(ctx)
		switch {
		case err == nil:
			f.within()
			for topic, parts := range gen.Assignments {
				for _, part := range parts {
					gen.Start(func(ctx context.Context) { f.read(ctx, topic, es.Partition(part.ID)) })
				}
			}
		case ctx.Err() != nil || errors.Is(err, kafka.ErrGroupClosed):
			return err
		case errors.Is(err, kafka.RebalanceInProgress), errors.Is(err, kafka.GroupCoordinatorNotAvailable),
			errors.Is(err, kafka.GroupLoadInProgress), errors.Is(err, kafka.NotCoordinatorForGroup):
			// Another member came or went meanwhile, or the broker has just begun: the group tries again by itself.
		default:
			f.kept("", fmt.Errorf("bus: group %s: %w", f.Group, err)) // and so it does after this
		}
	}
}

// exist waits for the topics: a group that is joined before them would never hear of them, and from one that does not keep its records
// they may be gone before they are read.
func (f *Feed) exist(ctx context.Context) error {
	for {
		meta, err := f.Client.Metadata(ctx, &kafka.MetadataRequest{Topics: f.Topics})
		if err != nil {
			return fmt.Errorf("bus: topics of %s: %w", f.Reader, err)
		}
		unfit := ""
		for _, t := range meta.Topics {
			if t.Error != nil || len(t.Partitions) == 0 {
				unfit = t.Name
			}
		}
		wrong := fmt.Errorf("%w: it does not exist", ErrTopic)
		if unfit == "" {
			unfit, wrong = f.unfit(ctx)
		}
		if !errors.Is(wrong, ErrTopic) {
			return wrong
		}
		f.kept(unfit, wrong)
		if err := sleep(ctx, time.Second); err != nil {
			return err
		}
	}
}

// unfit finds a topic that is not to be read as it is.
func (f *Feed) unfit(ctx context.Context) (topic string, err error) {
	for _, t := range f.Topics {
		if err := Fits(ctx, f.Client, t, f.Partitions[t]); err != nil {
			return t, err
		}
	}
	return "", nil
}

// read follows one partition until its generation ends.
func (f *Feed) read(ctx context.Context, topic string, part es.Partition) {
	const least = 50 * time.Millisecond
	pause := least
	for ctx.Err() == nil {
		err := f.follow(ctx, topic, part, func() { pause = least })
		if f.Lost != nil {
			f.Lost(topic, part)
		}
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
	ctx, fail := context.WithCancelCause(ctx)
	at.run = &run{ctx: ctx, fail: fail}
	defer at.run.behind.Wait()
	defer fail(nil)
	s := &sorter{Feed: f, reader: newReader(part), at: at}
	for {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		// What is fetched is its takers' own: they may work on it beyond the next fetch.
		got, err := fetch(ctx, f.Client, topic, int(part), s.at.Offset, fetchBytes, fetchWait, nil)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, kafka.OffsetOutOfRange) {
			return fmt.Errorf("bus: %s/%d was cut or begun anew: %w", topic, part, err)
		}
		if err != nil {
			return err
		}
		next, events, err := s.sort(ctx, &got)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			if err := f.Take(ctx, &next, events); err != nil {
				return err
			}
			progress()
		}
		s.at = next
		if f.Moved != nil {
			f.Moved(topic, part, next.Position, got.end-next.Offset)
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

// Save moves the checkpoint by so many events, within the transaction of what they caused. It never moves back: of two
// readers of one partition, the slower one fails.
//
// The commit does not wait for the disk: what a crash takes back is read and handled again, as the same commands, and the disk's
// time is the log's.
func (c *Checkpoint) Save(ctx context.Context, tx execer, taken int) error {
	tag, err := tx.Exec(ctx, `
		with lazy as (select set_config('synchronous_commit', 'off', true))
		insert into consumed as c (reader, topic, partition, incarnation, position, chain, "offset")
		select $1::text, $2::text, $3::integer, $4::bytea, $5::bigint, $6::bytea, $7::bigint from lazy
		on conflict (reader, topic, partition) do update set incarnation = excluded.incarnation, position = excluded.position,
			chain = excluded.chain, "offset" = excluded."offset" where c.position = $5::bigint - $8::bigint`,
		c.Reader, c.Topic, int32(c.Partition), c.Incarnation[:], int64(c.Position), c.Chain[:], c.Offset, taken)
	if err != nil {
		return fmt.Errorf("bus: checkpoint: %w", err)
	}
	if tag.RowsAffected() != 1 {
		return errMoved
	}
	return nil
}

// execer is a transaction or, where one statement is all, a pool.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}

// errMoved: another member reads the same partition since a moment ago.
var errMoved = errors.New("bus: the checkpoint was moved by another reader")

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
