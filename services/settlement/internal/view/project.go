package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// Fold is the version of Project: another one means rebuilding.
const Fold = 5

// ErrUnbalanced: the postings of an event do not sum to zero, or the database, which sums once more, refused a batch's account rows.
var ErrUnbalanced = errors.New("view: account changes do not sum to zero")

// account is a row's key.
type account struct {
	kind  book.Kind
	owner id.ID
}

// batch is what some events change, folded before anything is written.
type batch struct {
	codec    wire.Codec
	accounts map[account]*change
	order    []account
	lines    []line
	holds    map[id.ID]*hold
	bids     []id.ID
	earnings []earning
	payouts  []paying
	due      map[deadline]bool    // to add
	over     map[string]time.Time // by stream, up to when those of before the batch are removed

	unbalanced bool // the event just added
}

type change struct {
	before, delta, residual int64
	told                    es.Position
}

type line struct {
	at      *es.Record
	ordinal int16
	account
	minor, balance int64
	of             of
}

// of is what postings are about; zero where they are about no such thing.
type of struct{ bid, delivery, payout id.ID }

type deadline struct {
	stream string
	due    time.Time
}

type hold struct {
	buyer                   id.ID
	initial, held, captured int64
}

type earning struct {
	position                  es.Position
	partition                 es.Partition
	at                        time.Time
	settled                   book.Settled
	net, commission, withheld int64
}

// Project folds a batch of the log's records into the tables, within the transaction that moves the checkpoint.
func Project(ctx context.Context, tx pgx.Tx, codec wire.Codec, records []es.Record) error {
	b := batch{codec: codec, accounts: map[account]*change{}, holds: map[id.ID]*hold{}, due: map[deadline]bool{}, over: map[string]time.Time{}}
	for i := range records {
		if err := b.add(&records[i]); err != nil {
			return err
		}
	}
	if err := b.load(ctx, tx); err != nil {
		return err
	}
	return b.write(ctx, tx)
}

// add folds one event. An arm without a rule changes nobody's money yet, and is left to whoever rebuilds with a rule for it.
func (b *batch) add(r *es.Record) error {
	e, err := b.codec.Decode(r.Data)
	if errors.Is(err, es.ErrUnknownArm) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("view: partition %d, position %d: %w", r.Partition, r.Position, err)
	}
	switch e := e.(type) {
	case book.Deposited:
		b.post(r, e.Postings, of{})
	case book.Held:
		b.post(r, e.Postings, of{bid: e.Bid.ID})
		h := b.hold(e.Bid, e.Buyer)
		h.initial += e.Amount
		h.held += e.Amount
	case book.HoldReleased:
		b.post(r, e.Postings, of{bid: e.Bid.ID})
		b.hold(e.Bid, e.Buyer).held -= e.Amount
	case book.EarmarkEnded:
		b.post(r, e.Postings, of{bid: e.Bid.ID})
		b.hold(e.Bid, e.Buyer).held -= e.Released
	case book.Settled:
		b.post(r, e.Postings, of{bid: e.Bid.ID, delivery: e.Delivery.ID})
		n := earning{position: r.Position, partition: r.Partition, at: r.At, settled: e}
		h := b.hold(e.Bid, e.Buyer)
		for _, p := range e.Postings {
			switch p.Account {
			case book.BuyerHeld:
				h.held += p.Minor
				h.captured -= p.Minor
			case book.SubscriberPending:
				n.net += p.Minor
				if p.Minor > 0 {
					b.due[b.matures(e.Book, e.Subscriber, e.AvailableAt)] = true
				}
			case book.SubscriberPayable:
				n.net += p.Minor
			case book.Commission:
				n.commission += p.Minor
			case book.Withholding:
				n.withheld += p.Minor
			}
		}
		b.earnings = append(b.earnings, n)
	case book.Matured:
		b.post(r, e.Postings, of{})
		b.matured(b.matures(e.Book, e.Subscriber, e.UpTo))
	default:
		b.pay(r, e)
	}
	if b.unbalanced {
		return fmt.Errorf("%w: partition %d, position %d", ErrUnbalanced, r.Partition, r.Position)
	}
	return nil
}

// matures is the deadline of what becomes payable at a time.
func (b *batch) matures(ledger book.ID, s book.SubscriberID, at time.Time) deadline {
	return deadline{string(wire.Stream(book.On{Book: ledger, Child: s.ID})), at}
}

// matured removes what is due up to a deadline, of this batch and of what was before it.
func (b *batch) matured(upTo deadline) {
	for d := range b.due {
		if d.stream == upTo.stream && !d.due.After(upTo.due) {
			delete(b.due, d)
		}
	}
	if upTo.due.After(b.over[upTo.stream]) {
		b.over[upTo.stream] = upTo.due
	}
}

func (b *batch) post(r *es.Record, postings []book.Posting, about of) {
	var sum int64
	for i, p := range postings {
		sum += p.Minor
		key := account{p.Account, p.Owner}
		c := b.accounts[key]
		if c == nil {
			c = new(change)
			b.accounts[key] = c
			b.order = append(b.order, key)
		}
		c.delta += p.Minor
		c.residual, c.told = p.Residual, r.Position
		b.lines = append(b.lines, line{at: r, ordinal: int16(i), account: key, minor: p.Minor, balance: c.delta, of: about})
	}
	b.unbalanced = sum != 0
}

func (b *batch) hold(bid book.BidID, buyer book.BuyerID) *hold {
	h := b.holds[bid.ID]
	if h == nil {
		h = &hold{buyer: buyer.ID}
		b.holds[bid.ID] = h
		b.bids = append(b.bids, bid.ID)
	}
	return h
}

// load reads the balances that the batch builds on; a line's balance so far counts from the batch's start only.
func (b *batch) load(ctx context.Context, tx pgx.Tx) error {
	if len(b.order) == 0 {
		return nil
	}
	kinds, owners := b.keys()
	rows, err := tx.Query(ctx, `select kind, owner, balance from account join unnest($1::smallint[], $2::uuid[]) as k(kind, owner) using (kind, owner)`, kinds, owners)
	if err != nil {
		return fmt.Errorf("view: balances: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var key account
		var balance int64
		if err := rows.Scan(&key.kind, (*[16]byte)(&key.owner), &balance); err != nil {
			return fmt.Errorf("view: balances: %w", err)
		}
		b.accounts[key].before = balance
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("view: balances: %w", err)
	}
	return nil
}

func (b *batch) keys() (kinds []int16, owners [][16]byte) {
	for _, key := range b.order {
		kinds = append(kinds, int16(key.kind))
		owners = append(owners, key.owner)
	}
	return kinds, owners
}

func (b *batch) write(ctx context.Context, tx pgx.Tx) error {
	if err := b.writeAccounts(ctx, tx); err != nil {
		return err
	}
	if err := b.writeLines(ctx, tx); err != nil {
		return err
	}
	if err := b.writeHolds(ctx, tx); err != nil {
		return err
	}
	if err := b.writeEarnings(ctx, tx); err != nil {
		return err
	}
	if err := b.writePayouts(ctx, tx); err != nil {
		return err
	}
	return b.writeDeadlines(ctx, tx)
}

// writeDeadlines removes what has matured, up to and with its moment, and then adds what is to: what the batch itself has matured is no
// more among that.
func (b *batch) writeDeadlines(ctx context.Context, tx pgx.Tx) error {
	for stream, upTo := range b.over {
		if _, err := tx.Exec(ctx, `delete from deadline where stream = $1 and kind = 'mature' and due <= $2`, stream, upTo); err != nil {
			return fmt.Errorf("view: deadlines: %w", err)
		}
	}
	for d := range b.due {
		if _, err := tx.Exec(ctx, `insert into deadline (stream, kind, due) values ($1, 'mature', $2) on conflict do nothing`, d.stream, d.due); err != nil {
			return fmt.Errorf("view: deadlines: %w", err)
		}
	}
	return nil
}

func (b *batch) writeAccounts(ctx context.Context, tx pgx.Tx) error {
	if len(b.order) == 0 {
		return nil
	}
	kinds, owners := b.keys()
	var deltas, residuals, told []int64
	for _, key := range b.order {
		deltas = append(deltas, b.accounts[key].delta)
		residuals = append(residuals, b.accounts[key].residual)
		told = append(told, int64(b.accounts[key].told))
	}
	tag, err := tx.Exec(ctx, `
		with d as materialized (select * from unnest($1::smallint[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[]) as d(kind, owner, delta, residual, told))
		insert into account as a (kind, owner, balance, residual, told)
		select kind, owner, delta, residual, told from d where (select sum(delta) from d) = 0
		on conflict (kind, owner) do update set balance = a.balance + excluded.balance, residual = excluded.residual, told = excluded.told`,
		kinds, owners, deltas, residuals, told)
	if err != nil {
		return fmt.Errorf("view: accounts: %w", err)
	}
	if tag.RowsAffected() != int64(len(b.order)) {
		return ErrUnbalanced
	}
	return nil
}

func (b *batch) writeLines(ctx context.Context, tx pgx.Tx) error {
	if len(b.lines) == 0 {
		return nil
	}
	n := len(b.lines)
	partitions, positions, ordinals, kinds := make([]int32, n), make([]int64, n), make([]int16, n), make([]int16, n)
	owners, minors, balances, types := make([][16]byte, n), make([]int64, n), make([]int64, n), make([]string, n)
	bids, deliveries, payouts, ats := make([]*[16]byte, n), make([]*[16]byte, n), make([]*[16]byte, n), make([]time.Time, n)
	for i := range b.lines {
		l := &b.lines[i]
		partitions[i], positions[i], ordinals[i] = int32(l.at.Partition), int64(l.at.Position), l.ordinal
		kinds[i], owners[i], minors[i], types[i], ats[i] = int16(l.kind), l.owner, l.minor, l.at.Type, l.at.At
		balances[i] = b.accounts[l.account].before + l.balance
		bids[i], deliveries[i], payouts[i] = known(&l.of.bid), known(&l.of.delivery), known(&l.of.payout)
	}
	_, err := tx.Exec(ctx, `
		insert into line (partition, position, ordinal, kind, owner, minor, balance, type, bid, delivery, payout, at)
		select * from unnest($1::integer[], $2::bigint[], $3::smallint[], $4::smallint[], $5::uuid[], $6::bigint[], $7::bigint[],
			$8::text[], $9::uuid[], $10::uuid[], $11::uuid[], $12::timestamptz[])`,
		partitions, positions, ordinals, kinds, owners, minors, balances, types, bids, deliveries, payouts, ats)
	if err != nil {
		return fmt.Errorf("view: lines: %w", err)
	}
	return nil
}

func (b *batch) writeHolds(ctx context.Context, tx pgx.Tx) error {
	if len(b.bids) == 0 {
		return nil
	}
	n := len(b.bids)
	bids, buyers, initial, held, captured := make([][16]byte, n), make([][16]byte, n), make([]int64, n), make([]int64, n), make([]int64, n)
	for i, bid := range b.bids {
		h := b.holds[bid]
		bids[i], buyers[i], initial[i], held[i], captured[i] = bid, h.buyer, h.initial, h.held, h.captured
	}
	_, err := tx.Exec(ctx, `
		insert into hold as h (bid, buyer, initial, held, captured)
		select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::bigint[], $5::bigint[])
		on conflict (bid) do update set initial = h.initial + excluded.initial, held = h.held + excluded.held, captured = h.captured + excluded.captured`,
		bids, buyers, initial, held, captured)
	if err != nil {
		return fmt.Errorf("view: holds: %w", err)
	}
	return nil
}

func (b *batch) writeEarnings(ctx context.Context, tx pgx.Tx) error {
	n := len(b.earnings)
	if n == 0 {
		return nil
	}
	subscribers, partitions, positions := make([][16]byte, n), make([]int32, n), make([]int64, n)
	deliveries, agreements, buyers, products := make([][16]byte, n), make([][16]byte, n), make([][16]byte, n), make([]string, n)
	slots, prices, nets, commissions, withheld := make([]int32, n), make([]int64, n), make([]int64, n), make([]int64, n), make([]int64, n)
	settled, available := make([]time.Time, n), make([]time.Time, n)
	for i, e := range b.earnings {
		s := e.settled
		subscribers[i], partitions[i], positions[i] = s.Subscriber.ID, int32(e.partition), int64(e.position)
		deliveries[i], agreements[i], buyers[i], products[i] = s.Delivery.ID, s.Agreement.ID, s.Buyer.ID, s.Product
		slots[i], prices[i], nets[i], commissions[i], withheld[i] = int32(s.Slots), s.Price, e.net, e.commission, e.withheld
		settled[i], available[i] = e.at, s.AvailableAt
	}
	_, err := tx.Exec(ctx, `
		insert into earning (subscriber, partition, position, delivery, agreement, buyer, product, slots, price, net, commission, withheld, settled_at, available_at)
		select * from unnest($1::uuid[], $2::integer[], $3::bigint[], $4::uuid[], $5::uuid[], $6::uuid[], $7::text[], $8::integer[],
			$9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::timestamptz[], $14::timestamptz[])`,
		subscribers, partitions, positions, deliveries, agreements, buyers, products, slots, prices, nets, commissions, withheld, settled, available)
	if err != nil {
		return fmt.Errorf("view: earnings: %w", err)
	}
	return nil
}

// known is nil for the zero id, which stands for none.
func known(v *id.ID) *[16]byte {
	if v.IsZero() {
		return nil
	}
	return (*[16]byte)(v)
}
