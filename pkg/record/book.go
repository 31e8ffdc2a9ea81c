package record

import (
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
)

// Book answers a person who asks for their record. All fields but Beat are required.
type Book struct {
	Service string
	Pool    *pgxpool.Pool
	Log     es.Reader
	Seen    *projection.Projection // New's
	// Tell makes the entry of an event about a person, as far as the event's type says; the Book fills in id, place, type and time. The
	// record is valid during the call only.
	Tell func(ctx context.Context, who id.ID, r *es.Record) (*recordv1.Entry, error)
	// Beat is how long a watch says nothing at most; 0 means 15 s, as the contract says.
	Beat time.Duration
}

// ListRequest is any service's ListRecordRequest.
type ListRequest interface {
	GetSubscriberId() string
	GetPageSize() uint32
	GetPageToken() string
	GetAfter() *eventv1.Cursor
	GetOnly() *eventv1.Cursor
}

// Page of a record.
type Page struct {
	Entries []*recordv1.Entry // newest first
	Next    string            // empty on the last page
	Watch   string            // where a watch goes on; on the first page only
}

// usual is how many entries a page has that names no number.
const usual = 100

// List gives a page of a person's record.
func (b *Book) List(ctx context.Context, r ListRequest) (*Page, error) {
	who, err := person(r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	if err := b.Seen.Wait(ctx, cursor(r.GetAfter())); err != nil {
		return nil, err
	}
	if r.GetOnly() != nil {
		if r.GetPageToken() != "" {
			return nil, fault.Invalid("only", "must not come with page_token")
		}
		return b.only(ctx, who, r.GetOnly())
	}
	list := "record/" + who.String()
	carried := new(eventv1.StoredEvent)
	if err := boot.ParsePage(list, r.GetPageToken(), carried); err != nil {
		return nil, err
	}
	here, err := b.now(ctx)
	if err != nil {
		return nil, err
	}
	out := new(Page)
	if r.GetPageToken() != "" {
		if err := here.resume(carried.GetData()); err != nil {
			return nil, err
		}
	} else if out.Watch, err = here.token(watched(who)); err != nil {
		return nil, err
	}
	limit := usual
	if r.GetPageSize() > 0 {
		limit = int(r.GetPageSize())
	}
	rows, err := b.before(ctx, who, here.at, limit+1)
	if err != nil {
		return nil, err
	}
	if len(rows) > limit {
		rows = rows[:limit]
		for _, row := range rows {
			here.at[row.partition] = row.position - 1 // they come newest first
		}
		if out.Next, err = here.token(list); err != nil {
			return nil, err
		}
	}
	out.Entries, err = b.entries(ctx, who, rows)
	return out, err
}

// only gives the entry at one place, if it is the person's.
func (b *Book) only(ctx context.Context, who id.ID, at *eventv1.Cursor) (*Page, error) {
	if at.GetService() != "" && at.GetService() != b.Service {
		return nil, fault.Invalid("only.service", "is another service than the one asked")
	}
	// Who asks for a place has heard of it elsewhere, maybe before this table did.
	part := es.Partition(at.GetPartition())
	if part < 0 || int(part) >= b.Log.Partitions() {
		return new(Page), nil
	}
	tail, err := b.Log.Tail(ctx, part)
	if err != nil {
		return nil, err
	}
	if err := b.Seen.Wait(ctx, es.Cursor{Partition: part, Position: min(es.Position(at.GetPosition()), tail.Position)}); err != nil {
		return nil, err
	}
	var row row
	err = b.Pool.QueryRow(ctx, `select partition, position, at from record.entry where subscriber = $1 and partition = $2 and position = $3`,
		[16]byte(who), at.GetPartition(), at.GetPosition()).Scan(&row.partition, &row.position, &row.at)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return new(Page), nil
	case err != nil:
		return nil, fmt.Errorf("record: %w", err)
	}
	entries, err := b.entries(ctx, who, []placed{row.placed()})
	if err != nil {
		return nil, err
	}
	if life := at.GetIncarnation(); len(life) > 0 && string(life) != string(entries[0].GetPlace().GetIncarnation()) {
		return new(Page), nil
	}
	return &Page{Entries: entries}, nil
}

// placed is where an entry stands.
type placed struct {
	partition es.Partition
	position  es.Position
	at        time.Time
}

type row struct {
	partition int32
	position  int64
	at        time.Time
}

func (r row) placed() placed { return placed{es.Partition(r.partition), es.Position(r.position), r.at} }

// before reads the newest entries up to and with some positions, newest first.
func (b *Book) before(ctx context.Context, who id.ID, upto []es.Position, limit int) ([]placed, error) {
	partitions, positions := arrays(upto)
	return b.read(ctx, `
		select e.partition, e.position, e.at
		from unnest($2::integer[], $3::bigint[]) w (partition, upto)
		cross join lateral (
			select * from record.entry e where e.subscriber = $1 and e.partition = w.partition and e.position <= w.upto order by e.position desc limit $4
		) e
		order by e.at desc, e.partition desc, e.position desc limit $4`, [16]byte(who), partitions, positions, limit)
}

// between reads the oldest entries after some positions and up to and with others, oldest first.
func (b *Book) between(ctx context.Context, who id.ID, after, upto []es.Position, limit int) ([]placed, error) {
	partitions, from := arrays(after)
	_, to := arrays(upto)
	return b.read(ctx, `
		select e.partition, e.position, e.at
		from unnest($2::integer[], $3::bigint[], $4::bigint[]) w (partition, after, upto)
		cross join lateral (
			select * from record.entry e
			where e.subscriber = $1 and e.partition = w.partition and e.position > w.after and e.position <= w.upto order by e.position limit $5
		) e
		order by e.at, e.partition, e.position limit $5`, [16]byte(who), partitions, from, to, limit)
}

func arrays(at []es.Position) (partitions []int32, positions []int64) {
	for p, position := range at {
		partitions, positions = append(partitions, int32(p)), append(positions, int64(position))
	}
	return partitions, positions
}

func (b *Book) read(ctx context.Context, sql string, args ...any) ([]placed, error) {
	rows, err := b.Pool.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(c pgx.CollectableRow) (placed, error) {
		var r row
		err := c.Scan(&r.partition, &r.position, &r.at)
		return r.placed(), err
	})
	if err != nil {
		return nil, fmt.Errorf("record: %w", err)
	}
	return list, nil
}

// entries tells of places, in their order.
func (b *Book) entries(ctx context.Context, who id.ID, rows []placed) ([]*recordv1.Entry, error) {
	picked := map[es.Partition][]es.Position{}
	for _, r := range rows {
		picked[r.partition] = append(picked[r.partition], r.position)
	}
	type place struct {
		es.Partition
		es.Position
	}
	told := make(map[place]*recordv1.Entry, len(rows))
	for part, positions := range picked {
		lives, err := b.Log.Lives(ctx, part)
		if err != nil {
			return nil, err
		}
		slices.Sort(positions)
		err = b.Log.Pick(ctx, part, positions, func(r *es.Record) error {
			e, err := b.Tell(ctx, who, r)
			if err != nil {
				return fmt.Errorf("record: %s: %w", r.Type, err)
			}
			e.EventId, e.Type, e.At = slices.Clone(r.ID[:]), r.Type, r.At.UnixMicro()
			e.Place = &eventv1.Cursor{Service: b.Service, Partition: int32(part), Position: int64(r.Position)}
			life := es.LifeAt(lives, r.Position).Incarnation
			e.Place.Incarnation = life[:]
			told[place{part, r.Position}] = e
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	out := make([]*recordv1.Entry, 0, len(rows))
	for _, r := range rows {
		e := told[place{r.partition, r.position}]
		if e == nil {
			return nil, fault.Internal("record: an event that was listed is not in the log")
		}
		out = append(out, e)
	}
	return out, nil
}

// By says who did something, as its event names them.
func By(m *eventv1.Meta) recordv1.By {
	switch cmp.Or(m.GetOnBehalfOf().GetRole(), m.GetActor().GetRole()) {
	case eventv1.Role_ROLE_SUBSCRIBER:
		return recordv1.By_BY_PERSON
	case eventv1.Role_ROLE_BUYER:
		return recordv1.By_BY_BUYER
	case eventv1.Role_ROLE_SOURCE:
		return recordv1.By_BY_SOURCE
	case eventv1.Role_ROLE_OPERATOR, eventv1.Role_ROLE_FINANCE, eventv1.Role_ROLE_AUDITOR:
		return recordv1.By_BY_OPERATOR
	}
	return recordv1.By_BY_MARKET
}

func person(text string) (id.ID, error) {
	who, err := id.Parse(text)
	if err != nil || who.IsZero() {
		return id.ID{}, fault.Invalid("subscriber_id", "must be a UUID")
	}
	return who, nil
}

func cursor(c *eventv1.Cursor) es.Cursor {
	out := es.Cursor{Service: c.GetService(), Partition: es.Partition(c.GetPartition()), Position: es.Position(c.GetPosition())}
	copy(out.Incarnation[:], c.GetIncarnation())
	return out
}

// here is a position of each partition, in the lives that they are in.
type here struct {
	lives [8]byte // of the partitions' incarnations: in another life the same position is another event
	at    []es.Position
}

// token carries the place.
func (h *here) token(list string) (string, error) {
	b := append(make([]byte, 0, len(h.lives)+4*len(h.at)), h.lives[:]...)
	for _, at := range h.at {
		b = binary.AppendUvarint(b, uint64(at))
	}
	return boot.PageToken(list, &eventv1.StoredEvent{Data: b})
}

// resume takes the place of a token, which is not ahead of where the log is.
func (h *here) resume(b []byte) error {
	if len(b) < len(h.lives) || [8]byte(b) != h.lives {
		return projection.ErrIncarnation
	}
	b = b[len(h.lives):]
	for p := range h.at {
		at, n := binary.Uvarint(b)
		if n <= 0 || at > uint64(h.at[p]) {
			return projection.ErrIncarnation
		}
		h.at[p], b = es.Position(at), b[n:]
	}
	return nil
}
