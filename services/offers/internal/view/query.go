package view

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// View answers from the tables.
type View struct {
	Pool *pgxpool.Pool
}

// Buyer is a buyer as it stands.
type Buyer struct {
	Registered   *offersv1.BuyerRegistered // keys oldest first
	State        string
	Group        string // that counts; empty until it is vetted
	RegisteredAt time.Time
}

const buyerColumns = `registered, state, vetted_group, registered_at`

func buyer(row pgx.CollectableRow) (b Buyer, err error) {
	var raw []byte
	if err := row.Scan(&raw, &b.State, &b.Group, &b.RegisteredAt); err != nil {
		return b, err
	}
	b.Registered = new(offersv1.BuyerRegistered)
	if err := proto.Unmarshal(raw, b.Registered); err != nil {
		return b, err
	}
	b.Registered.Keys = join(b.Registered.GetKeys())
	return b, nil
}

// join puts what was said later of a key into the key. What ended first has ended.
func join(told []*offersv1.BuyerKey) (keys []*offersv1.BuyerKey) {
	for _, k := range told {
		i := slices.IndexFunc(keys, func(known *offersv1.BuyerKey) bool { return known.GetId() == k.GetId() })
		if i < 0 {
			keys = append(keys, k)
			continue
		}
		known := keys[i]
		if known.GetReplacedBy() == "" {
			known.ReplacedBy = k.GetReplacedBy()
		}
		if known.GetValidTo() == 0 || k.GetValidTo() < known.GetValidTo() {
			known.ValidTo = k.GetValidTo()
		}
	}
	return keys
}

// Buyers reads some buyers by their ids.
func (v View) Buyers(ctx context.Context, ids []id.ID) (map[string]Buyer, error) {
	rows, err := v.Pool.Query(ctx, `select `+buyerColumns+` from market.buyer where buyer = any($1)`, raw(ids))
	if err != nil {
		return nil, fmt.Errorf("view: buyers: %w", err)
	}
	list, err := pgx.CollectRows(rows, buyer)
	if err != nil {
		return nil, fmt.Errorf("view: buyers: %w", err)
	}
	out := make(map[string]Buyer, len(list))
	for _, b := range list {
		out[b.Registered.GetBuyerId()] = b
	}
	return out, nil
}

// ListBuyers lists buyers in the order in which they registered, after one of them; those in one state, where it is set.
func (v View) ListBuyers(ctx context.Context, state string, after time.Time, afterID id.ID, limit int) ([]Buyer, error) {
	rows, err := v.Pool.Query(ctx, `select `+buyerColumns+` from market.buyer where (registered_at, buyer) > ($1, $2) and ($4 = '' or state = $4) order by registered_at, buyer limit $3`, after, [16]byte(afterID), limit, state)
	if err != nil {
		return nil, fmt.Errorf("view: buyers: %w", err)
	}
	list, err := pgx.CollectRows(rows, buyer)
	if err != nil {
		return nil, fmt.Errorf("view: buyers: %w", err)
	}
	return list, nil
}

// EntityTaken says whether another buyer is registered, or vetted, under a legal entity's number as it is compared.
func (v View) EntityTaken(ctx context.Context, entity string, but id.ID) (registered, vetted bool, err error) {
	err = v.Pool.QueryRow(ctx, `select count(*) > 0, coalesce(bool_or(vetted), false) from market.buyer where legal_entity = $1 and buyer <> $2`,
		entity, [16]byte(but)).Scan(&registered, &vetted)
	if err != nil {
		return false, false, fmt.Errorf("view: buyers: %w", err)
	}
	return registered, vetted, nil
}

// Alone runs what decides on a legal entity's number while no other process does.
func (v View) Alone(ctx context.Context, entity string, run func() error) error {
	return pgx.BeginFunc(ctx, v.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtextextended('obole entity ' || $1, 0))`, entity); err != nil {
			return fmt.Errorf("view: buyers: %w", err)
		}
		return run()
	})
}

// Bid is a bid as it stands.
type Bid struct {
	Placed    *offersv1.BidPlaced
	State     string
	Rejected  string
	Closed    int32
	Cleared   bool
	Consented int64 // slots
	Held      int64 // minor
	PlacedAt  time.Time
}

const bidColumns = `placed, state, rejected, closed, cleared, consented, held, placed_at`

func bid(row pgx.CollectableRow) (b Bid, err error) {
	var raw []byte
	if err := row.Scan(&raw, &b.State, &b.Rejected, &b.Closed, &b.Cleared, &b.Consented, &b.Held, &b.PlacedAt); err != nil {
		return b, err
	}
	b.Placed = new(offersv1.BidPlaced)
	return b, proto.Unmarshal(raw, b.Placed)
}

// Bid reads one bid of a buyer.
func (v View) Bid(ctx context.Context, number, owner id.ID) (Bid, bool, error) {
	rows, err := v.Pool.Query(ctx, `select `+bidColumns+` from market.bid where bid = $1 and buyer = $2`, [16]byte(number), [16]byte(owner))
	if err != nil {
		return Bid{}, false, fmt.Errorf("view: bid: %w", err)
	}
	b, err := pgx.CollectExactlyOneRow(rows, bid)
	if errors.Is(err, pgx.ErrNoRows) {
		return Bid{}, false, nil
	}
	if err != nil {
		return Bid{}, false, fmt.Errorf("view: bid: %w", err)
	}
	return b, true, nil
}

// Bids lists a buyer's bids before a place, newest first; a zero time means from the newest.
func (v View) Bids(ctx context.Context, owner id.ID, before time.Time, beforeID id.ID, limit int) ([]Bid, error) {
	rows, err := v.Pool.Query(ctx, `
		select `+bidColumns+` from market.bid where buyer = $1 and ($2::timestamptz is null or (placed_at, bid) < ($2, $3))
		order by placed_at desc, bid desc limit $4`, [16]byte(owner), zero(before), [16]byte(beforeID), limit)
	if err != nil {
		return nil, fmt.Errorf("view: bids: %w", err)
	}
	list, err := pgx.CollectRows(rows, bid)
	if err != nil {
		return nil, fmt.Errorf("view: bids: %w", err)
	}
	return list, nil
}

// EachBid visits all of a buyer's bids, newest first.
func (v View) EachBid(ctx context.Context, owner id.ID, visit func(Bid) error) error {
	const page = 500
	var before time.Time
	var beforeID id.ID
	for {
		list, err := v.Bids(ctx, owner, before, beforeID, page)
		if err != nil {
			return err
		}
		for _, b := range list {
			if err := visit(b); err != nil {
				return err
			}
		}
		if len(list) < page {
			return nil
		}
		last := list[page-1]
		before = last.PlacedAt
		beforeID, _ = id.Parse(last.Placed.GetBidId()) // stored by us
	}
}

// Running lists the numbers of a buyer's bids that are placed or open.
func (v View) Running(ctx context.Context, owner id.ID) ([]id.ID, error) {
	rows, err := v.Pool.Query(ctx, `select bid from market.bid where buyer = $1 and state in ('placed', 'open')`, [16]byte(owner))
	if err != nil {
		return nil, fmt.Errorf("view: bids: %w", err)
	}
	return numbers(rows)
}

// Listed is what must be known of an open bid to say for whom it is.
type Listed struct {
	Bid, Buyer id.ID
	Placed     *offersv1.BidPlaced // whose buyer, and of whose terms product, purpose, price, days, assurance and conditions alone are set
	opens      time.Time
	closes     time.Time
	full       bool
}

// Open says whether the bid may be shown at a time.
func (l *Listed) Open(now time.Time) bool {
	return !l.full && !l.opens.After(now) && l.closes.After(now)
}

// Product that it asks for.
func (l *Listed) Product() string { return l.Placed.GetTerms().GetProduct().GetId() }

// Board lists the open bids and the buyers that may bid among some bids and buyers, or all of them where these are nil.
func (v View) Board(ctx context.Context, among []id.ID) (bids []*Listed, vetted []id.ID, err error) {
	rows, err := v.Pool.Query(ctx, `
		select bid, buyer, placed, opens_at, closes_at, consented >= quantity from market.bid
		where state = 'open' and ($1::uuid[] is null or bid = any($1))`, raw(among))
	if err != nil {
		return nil, nil, fmt.Errorf("view: open bids: %w", err)
	}
	if bids, err = pgx.CollectRows(rows, listed); err != nil {
		return nil, nil, fmt.Errorf("view: open bids: %w", err)
	}
	if rows, err = v.Pool.Query(ctx, `select buyer from market.buyer where state = 'vetted' and ($1::uuid[] is null or buyer = any($1))`, raw(among)); err != nil {
		return nil, nil, fmt.Errorf("view: buyers: %w", err)
	}
	vetted, err = numbers(rows)
	return bids, vetted, err
}

func listed(row pgx.CollectableRow) (*Listed, error) {
	l := new(Listed)
	var stored []byte
	if err := row.Scan((*[16]byte)(&l.Bid), (*[16]byte)(&l.Buyer), &stored, &l.opens, &l.closes, &l.full); err != nil {
		return nil, err
	}
	p := new(offersv1.BidPlaced)
	if err := proto.Unmarshal(stored, p); err != nil {
		return nil, err
	}
	t := p.GetTerms()
	l.Placed = &offersv1.BidPlaced{BuyerId: p.GetBuyerId(), Terms: &marketv1.Terms{
		Product: t.GetProduct(), Purpose: t.GetPurpose(), UnitPrice: t.GetUnitPrice(), Slots: t.GetSlots(), MinAssurance: t.GetMinAssurance(),
		Predicates: t.GetPredicates(),
	}}
	return l, nil
}

// OpenAmong reads those of some bids that are open.
func (v View) OpenAmong(ctx context.Context, bids []id.ID) (map[id.ID]Bid, error) {
	list, err := v.some(ctx, `bid = any($1) and state = 'open'`, raw(bids))
	out := make(map[id.ID]Bid, len(list))
	for _, b := range list {
		number, _ := id.Parse(b.Placed.GetBidId()) // stored by us
		out[number] = b
	}
	return out, err
}

// BidsOf reads those of some bids that are a buyer's.
func (v View) BidsOf(ctx context.Context, owner id.ID, bids []id.ID) ([]Bid, error) {
	return v.some(ctx, `bid = any($1) and buyer = $2`, raw(bids), [16]byte(owner))
}

func (v View) some(ctx context.Context, where string, args ...any) ([]Bid, error) {
	rows, err := v.Pool.Query(ctx, `select `+bidColumns+` from market.bid where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("view: bids: %w", err)
	}
	list, err := pgx.CollectRows(rows, bid)
	if err != nil {
		return nil, fmt.Errorf("view: bids: %w", err)
	}
	return list, nil
}

// Offer is an offer as it stands.
type Offer struct {
	Bid       id.ID
	Offer     id.ID
	State     string
	Card      []byte // hash of the card shown last
	Agreement *[16]byte
	Voided    string
}

// Offers reads a person's offers under some bids, or all of theirs where these are nil.
func (v View) Offers(ctx context.Context, subscriber id.ID, bids []id.ID) (map[id.ID]Offer, error) {
	rows, err := v.Pool.Query(ctx, `
		select bid, offer, state, card, agreement, voided from market.offer where subscriber = $1 and ($2::uuid[] is null or bid = any($2))`,
		[16]byte(subscriber), raw(bids))
	if err != nil {
		return nil, fmt.Errorf("view: offers: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (o Offer, err error) {
		err = row.Scan((*[16]byte)(&o.Bid), (*[16]byte)(&o.Offer), &o.State, &o.Card, &o.Agreement, &o.Voided)
		return o, err
	})
	if err != nil {
		return nil, fmt.Errorf("view: offers: %w", err)
	}
	out := make(map[id.ID]Offer, len(list))
	for _, o := range list {
		out[o.Bid] = o
	}
	return out, nil
}

// Declined lists the bids, as they were placed, whose offers a person has declined after a moment.
func (v View) Declined(ctx context.Context, subscriber id.ID, after time.Time) ([]*offersv1.BidPlaced, error) {
	rows, err := v.Pool.Query(ctx, `
		select b.placed from market.offer o join market.bid b on b.bid = o.bid where o.subscriber = $1 and o.declined_at > $2`, [16]byte(subscriber), after)
	if err != nil {
		return nil, fmt.Errorf("view: declined: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*offersv1.BidPlaced, error) {
		var raw []byte
		if err := row.Scan(&raw); err != nil {
			return nil, err
		}
		placed := new(offersv1.BidPlaced)
		return placed, proto.Unmarshal(raw, placed)
	})
	if err != nil {
		return nil, fmt.Errorf("view: declined: %w", err)
	}
	return list, nil
}

// Acceptance is the event of an acceptance by its agreement: id, stream, version, type and data, with what is personal sealed.
func (v View) Acceptance(ctx context.Context, agreement id.ID) (r es.Record, found bool, err error) {
	err = v.Pool.QueryRow(ctx, `select stream, version, type, event, data from market.acceptance where agreement = $1`, [16]byte(agreement)).
		Scan(&r.Stream, &r.Version, &r.Type, (*[16]byte)(&r.ID), &r.Data)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return r, false, nil
	case err != nil:
		return r, false, fmt.Errorf("view: acceptance: %w", err)
	}
	return r, true, nil
}

// Still lists the offers of a bid that run, with their agreements.
func (v View) Still(ctx context.Context, number id.ID) (offers, agreements []id.ID, err error) {
	rows, err := v.Pool.Query(ctx, `select offer, agreement from market.offer where bid = $1 and state in ('accepted', 'agreed')`, [16]byte(number))
	if err != nil {
		return nil, nil, fmt.Errorf("view: offers: %w", err)
	}
	var o, a [16]byte
	_, err = pgx.ForEachRow(rows, []any{&o, &a}, func() error {
		offers, agreements = append(offers, o), append(agreements, a)
		return nil
	})
	if err != nil {
		return nil, nil, fmt.Errorf("view: offers: %w", err)
	}
	return offers, agreements, nil
}

func numbers(rows pgx.Rows) ([]id.ID, error) {
	list, err := pgx.CollectRows(rows, pgx.RowTo[[16]byte])
	if err != nil {
		return nil, fmt.Errorf("view: %w", err)
	}
	out := make([]id.ID, len(list))
	for i := range list {
		out[i] = list[i]
	}
	return slices.Clip(out), nil
}

// zero is nil for the zero time.
func zero(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// raw is ids as the driver takes them; nil for nil.
func raw(ids []id.ID) [][16]byte {
	if ids == nil {
		return nil
	}
	out := make([][16]byte, len(ids))
	for i := range ids {
		out[i] = ids[i]
	}
	return out
}
