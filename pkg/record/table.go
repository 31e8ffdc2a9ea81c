package record

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// rest between two batches, at least: people look at their record seldom, and then wait for it, which ends a rest. In a tenth of a second
// of load what was a transaction for every few events is one of a hundred; much more than that is lent by no log any longer
// (es.Reader.Fresh).
const rest = 100 * time.Millisecond

// Name of the projection and of its schema.
const Name = "record"

// Fold is the version of the table's rules: another one means rebuilding.
const Fold = 1

const tables = `
-- Which events are about whom.
create table entry (
    subscriber uuid        not null,
    partition  integer     not null,
    position   bigint      not null,
    at         timestamptz not null, -- the event's; within a partition never before that of a lower position
    primary key (subscriber, partition, position)
);

-- Whose a stream is: some of its events do not say.
create table owner (
    stream     uuid primary key, -- its own id, the last part of its name
    subscriber uuid not null
);`

// New is the projection of a service's log. event is the service's Event message.
func New(service string, event proto.Message, pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	whose := paths(event.ProtoReflect().Descriptor())
	return projection.New(projection.Options{
		Name: Name, Service: service, Fold: Fold, Tables: tables, Pool: pool, Log: log, Least: rest,
		Project: func(ctx context.Context, tx pgx.Tx, records []es.Record) error {
			return project(ctx, tx, whose, records)
		},
	})
}

// path leads from an Event to a person's id.
type path []protowire.Number

// paths finds, by type of event, where it carries the id of the person whom it is about, in clear: in itself, or in what it holds.
func paths(event protoreflect.MessageDescriptor) map[string]path {
	out := map[string]path{}
	arms := event.Oneofs().ByName("event").Fields()
	for i := range arms.Len() {
		arm := arms.Get(i)
		if p := find(arm.Message(), 2); p != nil {
			out[string(arm.Name())] = append(path{arm.Number()}, p...)
		}
	}
	return out
}

// find looks for the nearest subscriber_id, at most so many messages deep.
func find(m protoreflect.MessageDescriptor, deep int) path {
	if f := m.Fields().ByName("subscriber_id"); f != nil && unsealed(f) {
		return path{f.Number()}
	}
	if deep == 1 {
		return nil
	}
	for i := range m.Fields().Len() {
		f := m.Fields().Get(i)
		if f.Message() == nil || f.IsList() || f.IsMap() || !unsealed(f) {
			continue
		}
		if p := find(f.Message(), deep-1); p != nil {
			return append(path{f.Number()}, p...)
		}
	}
	return nil
}

// unsealed says that a field is not sealed.
func unsealed(f protoreflect.FieldDescriptor) bool {
	class, _ := proto.GetExtension(f.Options(), eventv1.E_Personal).(eventv1.Retention)
	return class == eventv1.Retention_RETENTION_UNSPECIFIED
}

// of reads the id at the end of the path; empty where the event has none.
func (p path) of(data []byte) (string, error) {
	var last []byte
	for len(data) > 0 {
		number, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return "", protowire.ParseError(n)
		}
		data = data[n:]
		if number == p[0] && typ == protowire.BytesType {
			v, n := protowire.ConsumeBytes(data)
			if n < 0 {
				return "", protowire.ParseError(n)
			}
			last, data = v, data[n:]
			continue
		}
		if n = protowire.ConsumeFieldValue(number, typ, data); n < 0 {
			return "", protowire.ParseError(n)
		}
		data = data[n:]
	}
	if len(p) == 1 {
		return string(last), nil
	}
	return p[1:].of(last)
}

// own is the id of a stream itself: the last part of its name.
func own(s es.Stream) (id.ID, error) {
	_, child, some := strings.Cut(string(s), "/")
	if !some {
		child = string(s)
	}
	return id.Parse(child)
}

// project notes whom the events of a batch are about.
func project(ctx context.Context, tx pgx.Tx, whose map[string]path, records []es.Record) error {
	b := batch{owners: map[id.ID]id.ID{}}
	var asked []es.Record
	for i := range records {
		r := &records[i]
		stream, err := own(r.Stream)
		if err != nil {
			return fmt.Errorf("record: position %d: the stream's name: %w", r.Position, err)
		}
		p, says := whose[r.Type]
		if !says {
			if who, known := b.owners[stream]; known {
				b.add(who, r)
			} else {
				asked = append(asked, es.Record{Partition: r.Partition, Position: r.Position, At: r.At, ID: stream})
			}
			continue
		}
		text, err := p.of(r.Data)
		if err != nil {
			return fmt.Errorf("record: position %d: %w", r.Position, err)
		}
		who, err := id.Parse(text)
		if err != nil {
			return fmt.Errorf("record: position %d: the person's id: %w", r.Position, err)
		}
		b.add(who, r)
		if stream != who && b.owners[stream] != who {
			b.owners[stream] = who
			b.streams, b.of = append(b.streams, stream), append(b.of, who)
		}
	}
	if err := b.ask(ctx, tx, asked); err != nil {
		return err
	}
	return b.write(ctx, tx)
}

// batch is what is to be noted.
type batch struct {
	people      [][16]byte
	partitions  []int32
	positions   []int64
	at          []time.Time
	owners      map[id.ID]id.ID // by stream, as the batch says
	streams, of [][16]byte      // the same, for the table
}

func (b *batch) add(who id.ID, r *es.Record) {
	b.people, b.at = append(b.people, who), append(b.at, r.At)
	b.partitions, b.positions = append(b.partitions, int32(r.Partition)), append(b.positions, int64(r.Position))
}

// ask looks up whose the streams are that the batch does not say; a record's ID is its stream's. What belongs to nobody is about nobody.
func (b *batch) ask(ctx context.Context, tx pgx.Tx, asked []es.Record) error {
	if len(asked) == 0 {
		return nil
	}
	streams := make([][16]byte, len(asked))
	for i := range asked {
		streams[i] = asked[i].ID
	}
	rows, err := tx.Query(ctx, `select stream, subscriber from owner where stream = any($1::uuid[])`, streams)
	if err != nil {
		return fmt.Errorf("record: owners: %w", err)
	}
	var stream, who id.ID
	known := map[id.ID]id.ID{}
	if _, err := pgx.ForEachRow(rows, []any{(*[16]byte)(&stream), (*[16]byte)(&who)}, func() error { known[stream] = who; return nil }); err != nil {
		return fmt.Errorf("record: owners: %w", err)
	}
	for i := range asked {
		if who, ok := known[asked[i].ID]; ok {
			b.add(who, &asked[i])
		}
	}
	return nil
}

func (b *batch) write(ctx context.Context, tx pgx.Tx) error {
	if len(b.people) == 0 {
		return nil
	}
	var out pgx.Batch
	out.Queue(`insert into entry (subscriber, partition, position, at) select * from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::timestamptz[])`,
		b.people, b.partitions, b.positions, b.at)
	if len(b.streams) > 0 {
		out.Queue(`insert into owner (stream, subscriber) select * from unnest($1::uuid[], $2::uuid[]) on conflict do nothing`, b.streams, b.of)
	}
	if err := tx.SendBatch(ctx, &out).Close(); err != nil {
		return fmt.Errorf("record: %w", err)
	}
	return nil
}
