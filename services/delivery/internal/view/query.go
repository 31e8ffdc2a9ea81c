package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// View answers from the tables.
type View struct {
	Pool *pgxpool.Pool
}

// Place is where a page ended, by a time and what is listed among that of the same time.
type Place struct {
	At time.Time
	ID id.ID
}

// Stored is an event that a row carries: id, stream, version, type, data and time only.
type Stored struct {
	es.Record
}

// Source is a source as it was connected, and when measurements came from it last.
type Source struct {
	ID         id.ID
	Event      Stored
	ImportedAt *time.Time
	// RestrictedAt and DisconnectedAt are since when it is so; nil where it is not.
	RestrictedAt, DisconnectedAt *time.Time
}

// Sources lists a person's sources after a place, oldest first.
func (v View) Sources(ctx context.Context, subscriber id.ID, after Place, limit int) ([]Source, error) {
	rows, err := v.Pool.Query(ctx, `
		select source, connected_at, imported_at, restricted_at, disconnected_at, stream, version, event, data from shelves.source
		where subscriber = $1 and (connected_at, source) > ($2, $3) order by connected_at, source limit $4`,
		[16]byte(subscriber), after.At, [16]byte(after.ID), limit)
	return collect(rows, err, "sources", func(row pgx.CollectableRow) (s Source, err error) {
		s.Event.Type = "source_connected"
		err = row.Scan((*[16]byte)(&s.ID), &s.Event.At, &s.ImportedAt, &s.RestrictedAt, &s.DisconnectedAt, &s.Event.Stream, &s.Event.Version, (*[16]byte)(&s.Event.ID), &s.Event.Data)
		return s, err
	})
}

// Delivery is a delivery as it stands, with the events that say what is sealed: what was agreed, what it holds, and which key of
// the buyer it is for since.
type Delivery struct {
	ID         id.ID
	Shelf      id.ID
	Subscriber id.ID
	Agreement  id.ID
	Bid        id.ID
	Sequence   int32
	State      string
	Blocked    string
	Slots      int32
	Bytes      int64
	Digest     []byte
	Partition  es.Partition
	Position   int64
	Changed    es.Position // of the event that changed it last
	PreparedAt time.Time
	LapsesAt   time.Time
	ReleasedAt *time.Time
	Ordered    int16      // why the buyer must delete it, as the contract's EndReason; 0: it need not
	DeleteDue  *time.Time // until when

	Taken    Stored
	Prepared Stored
	Resealed *Stored
}

// ResealedVersion is that of the event that changed the buyer's key; 0 for none.
func (d *Delivery) ResealedVersion() int64 {
	if d.Resealed == nil {
		return 0
	}
	return int64(d.Resealed.Version)
}

const deliveryColumns = `
	d.delivery, d.shelf, d.subscriber, d.agreement, d.bid, d.sequence, d.state, d.blocked, d.slots, d.bytes, d.digest, d.partition, d.position,
	d.changed, d.prepared_at, d.lapses_at, d.released_at,
	coalesce(d.ordered, 0), d.delete_due, d.stream, d.version, d.event, d.data, d.resealed_version, d.resealed_event, d.resealed_data,
	a.stream, a.version, a.event, a.data`

func delivery(row pgx.CollectableRow) (d Delivery, err error) {
	var version *int64
	var event *[16]byte
	var data []byte
	d.Prepared.Type, d.Taken.Type = "delivery_prepared", "agreement_taken"
	err = row.Scan((*[16]byte)(&d.ID), (*[16]byte)(&d.Shelf), (*[16]byte)(&d.Subscriber), (*[16]byte)(&d.Agreement), (*[16]byte)(&d.Bid),
		&d.Sequence, &d.State, &d.Blocked, &d.Slots, &d.Bytes, &d.Digest, &d.Partition, &d.Position, &d.Changed, &d.PreparedAt, &d.LapsesAt, &d.ReleasedAt, &d.Ordered, &d.DeleteDue,
		&d.Prepared.Stream, &d.Prepared.Version, (*[16]byte)(&d.Prepared.ID), &d.Prepared.Data, &version, &event, &data,
		&d.Taken.Stream, &d.Taken.Version, (*[16]byte)(&d.Taken.ID), &d.Taken.Data)
	if version != nil && event != nil {
		d.Resealed = &Stored{es.Record{ID: *event, Stream: d.Prepared.Stream, Version: es.Version(*version), Type: "package_resealed", Data: data}}
	}
	return d, err
}

// Connected says whether a source is a person's.
func (v View) Connected(ctx context.Context, who, source id.ID) (is bool, err error) {
	err = v.Pool.QueryRow(ctx, `select exists (select from shelves.source where source = $1 and subscriber = $2)`, [16]byte(source), [16]byte(who)).Scan(&is)
	if err != nil {
		return false, fmt.Errorf("view: source: %w", err)
	}
	return is, nil
}

// Delivery finds a delivery.
func (v View) Delivery(ctx context.Context, number id.ID) (d Delivery, ok bool, err error) {
	rows, err := v.Pool.Query(ctx, `
		select `+deliveryColumns+` from shelves.delivery d join shelves.agreement a using (agreement) where d.delivery = $1`, [16]byte(number))
	list, err := collect(rows, err, "delivery", delivery)
	if err != nil || len(list) == 0 {
		return d, false, err
	}
	return list[0], true, nil
}

// Held is a delivery as its buyer asks for it, with what the store keeps of it.
type Held struct {
	ID         id.ID
	Shelf      id.ID
	Subscriber id.ID
	Agreement  id.ID
	Bid        id.ID
	Buyer      id.ID
	State      string
	Blocked    string
	Ended      bool // the agreement
	Bytes      int64
	Digest     []byte
	Resealed   int64  // version of the event that changed the buyer's key; 0 for none
	Kept       []byte // what was asked for; nil where it was destroyed
	Barred     bool   // something of a source is in it that its person has restricted
}

// ToOpen finds a delivery with its content key, sealed.
func (v View) ToOpen(ctx context.Context, number id.ID) (Held, bool, error) {
	return v.held(ctx, `select key from store.package where delivery = d.delivery and $2 >= 0`, number, 0)
}

// ToFetch finds a delivery with one of its stored pieces.
func (v View) ToFetch(ctx context.Context, number id.ID, piece int64) (Held, bool, error) {
	return v.held(ctx, `select data from store.chunk where delivery = d.delivery and number = $2`, number, piece)
}

func (v View) held(ctx context.Context, kept string, number id.ID, piece int64) (h Held, ok bool, err error) {
	err = v.Pool.QueryRow(ctx, `
		select d.shelf, d.subscriber, d.agreement, d.bid, b.buyer, d.state, d.blocked, a.ended, d.bytes, d.digest, coalesce(d.resealed_version, 0), (`+kept+`),
			exists (select from store.package p join store.bar r on r.subscriber = p.subscriber and r.restricted and (p.sources is null or r.source = any(p.sources))
				where p.delivery = d.delivery)
		from shelves.delivery d join shelves.agreement a using (agreement) join store.bid b on b.bid = d.bid where d.delivery = $1`,
		[16]byte(number), piece).Scan((*[16]byte)(&h.Shelf), (*[16]byte)(&h.Subscriber), (*[16]byte)(&h.Agreement), (*[16]byte)(&h.Bid), (*[16]byte)(&h.Buyer),
		&h.State, &h.Blocked, &h.Ended, &h.Bytes, &h.Digest, &h.Resealed, &h.Kept, &h.Barred)
	if errors.Is(err, pgx.ErrNoRows) {
		return h, false, nil
	}
	if err != nil {
		return h, false, fmt.Errorf("view: delivery: %w", err)
	}
	h.ID = number
	return h, true, nil
}

// Deliveries lists a buyer's deliveries after a place, oldest first; bid and state restrict them where they are set.
func (v View) Deliveries(ctx context.Context, buyer, bid id.ID, state string, after Place, limit int) ([]Delivery, error) {
	rows, err := v.Pool.Query(ctx, `
		select `+deliveryColumns+` from store.bid b join shelves.delivery d using (bid) join shelves.agreement a using (agreement)
		where b.buyer = $1 and ($2::uuid is null or d.bid = $2) and ($3 = '' or d.state = $3) and (d.prepared_at, d.delivery) > ($4, $5)
		order by d.prepared_at, d.delivery limit $6`, [16]byte(buyer), set(bid), state, after.At, [16]byte(after.ID), limit)
	return collect(rows, err, "deliveries", delivery)
}

// Uses lists the deliveries about a person before a place, newest first; position 0 means from the newest. Agreement and delivery restrict
// them where they are set; due to those whose buyer was to delete them before it.
func (v View) Uses(ctx context.Context, subscriber, agreement, delivered id.ID, due time.Time, before int64, limit int) ([]Delivery, error) {
	var dueBefore *time.Time
	if !due.IsZero() {
		dueBefore = &due
	}
	rows, err := v.Pool.Query(ctx, `
		select `+deliveryColumns+` from shelves.delivery d join shelves.agreement a using (agreement)
		where d.subscriber = $1 and ($2 = 0 or d.position < $2) and ($4::uuid is null or d.agreement = $4) and ($5::uuid is null or d.delivery = $5)
			and ($6::timestamptz is null or d.delete_due < $6)
		order by d.position desc limit $3`, [16]byte(subscriber), before, limit, set(agreement), set(delivered), dueBefore)
	return collect(rows, err, "uses", delivery)
}

// Count is how many deliveries stand alike.
type Count struct {
	State, Blocked string
	Deliveries     int64
	Newest         time.Time // when the last of them was prepared
}

// Counts counts all deliveries, by state and by what blocked them.
func (v View) Counts(ctx context.Context) ([]Count, error) {
	rows, err := v.Pool.Query(ctx, `
		select state, blocked, count(*), max(prepared_at) from shelves.delivery group by state, blocked order by state, blocked`)
	return collect(rows, err, "counts", func(row pgx.CollectableRow) (c Count, err error) {
		err = row.Scan(&c.State, &c.Blocked, &c.Deliveries, &c.Newest)
		return c, err
	})
}

// Agreement names an agreement and whose it is.
type Agreement struct {
	ID         id.ID
	Shelf      id.ID
	Subscriber id.ID
}

// OfBid lists the agreements of a bid that have not ended.
func (v View) OfBid(ctx context.Context, bid id.ID) ([]Agreement, error) {
	rows, err := v.Pool.Query(ctx, `
		select agreement, shelf, subscriber from shelves.agreement where bid = $1 and not ended order by agreement`, [16]byte(bid))
	return collect(rows, err, "agreements", agreement)
}

// Buyer is to whom an agreement is, or a delivery of one, once a package was made for it; none before.
func (v View) Buyer(ctx context.Context, agreement, delivery id.ID) (buyer id.ID, err error) {
	err = v.Pool.QueryRow(ctx, `
		select buyer from store.bid where bid in (
			select bid from shelves.agreement where agreement = $1 union all select bid from shelves.delivery where delivery = $2
		)`, [16]byte(agreement), [16]byte(delivery)).Scan((*[16]byte)(&buyer))
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return buyer, fmt.Errorf("view: bid: %w", err)
	}
	return buyer, nil
}

// Left says whether a key of a bid has left.
func (v View) Left(ctx context.Context, bid id.ID) (left bool, err error) {
	err = v.Pool.QueryRow(ctx, `select exists (select from shelves.delivery where bid = $1 and state = 'released')`, [16]byte(bid)).Scan(&left)
	if err != nil {
		return false, fmt.Errorf("view: bid: %w", err)
	}
	return left, nil
}

// Unreleased lists a buyer's deliveries whose key has not left, by their ids, after one of them.
func (v View) Unreleased(ctx context.Context, buyer, bid, after id.ID, limit int) ([]Delivery, error) {
	rows, err := v.Pool.Query(ctx, `
		select `+deliveryColumns+` from store.bid b join shelves.delivery d using (bid) join shelves.agreement a using (agreement)
		where b.buyer = $1 and ($2::uuid is null or d.bid = $2) and d.state in ('prepared', 'receipted') and d.delivery > $3
		order by d.delivery limit $4`, [16]byte(buyer), set(bid), [16]byte(after), limit)
	return collect(rows, err, "deliveries", delivery)
}

func agreement(row pgx.CollectableRow) (a Agreement, err error) {
	err = row.Scan((*[16]byte)(&a.ID), (*[16]byte)(&a.Shelf), (*[16]byte)(&a.Subscriber))
	return a, err
}

func collect[T any](rows pgx.Rows, err error, what string, one pgx.RowToFunc[T]) ([]T, error) {
	if err != nil {
		return nil, fmt.Errorf("view: %s: %w", what, err)
	}
	list, err := pgx.CollectRows(rows, one)
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return nil, fmt.Errorf("view: %s: %w", what, err)
	}
	return list, nil
}

// set is an id as SQL takes it: null for none.
func set(v id.ID) *[16]byte {
	if v.IsZero() {
		return nil
	}
	return (*[16]byte)(&v)
}

// Owner says whose a shelf is.
func (v View) Owner(ctx context.Context, shelf id.ID) (who id.ID, err error) {
	err = v.Pool.QueryRow(ctx, `select subscriber from shelves.agreement where shelf = $1 limit 1`, [16]byte(shelf)).Scan((*[16]byte)(&who))
	if err != nil {
		return who, fmt.Errorf("view: owner: %w", err)
	}
	return who, nil
}
