package view

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

// View answers from the tables.
type View struct {
	Pool *pgxpool.Pool
}

// Funds is a buyer's money in minor units, and the position up to which it is so.
type Funds struct {
	Available, Held, Position int64
}

// Funds reads both accounts of a buyer at one moment.
func (v View) Funds(ctx context.Context, buyer id.ID, partition int32) (f Funds, err error) {
	err = v.Pool.QueryRow(ctx, `
		select coalesce(sum(balance) filter (where kind = $2), 0)::bigint, coalesce(sum(balance) filter (where kind = $3), 0)::bigint,
			(select position from ledger.checkpoint where partition = $4)
		from ledger.account where owner = $1 and kind in ($2, $3)`,
		[16]byte(buyer), int16(book.BuyerAvailable), int16(book.BuyerHeld), partition).Scan(&f.Available, &f.Held, &f.Position)
	if err != nil {
		return f, fmt.Errorf("view: funds: %w", err)
	}
	return f, nil
}

// Earner is a person's money: minor units, and micros below one; and the position up to which it is so.
type Earner struct {
	Pending, Payable, Requested, Paid, Residual int64
	Position                                    int64
}

// Earner reads all accounts of a person at one moment. The residual is the person's, as what they earned told it last.
func (v View) Earner(ctx context.Context, subscriber id.ID, partition int32) (e Earner, err error) {
	err = v.Pool.QueryRow(ctx, `
		select coalesce(sum(balance) filter (where kind = $2), 0)::bigint, coalesce(sum(balance) filter (where kind = $3), 0)::bigint,
			coalesce(sum(balance) filter (where kind = $5), 0)::bigint, coalesce(sum(balance) filter (where kind = $6), 0)::bigint,
			coalesce((array_agg(residual order by told desc) filter (where kind in ($2, $3)))[1], 0), (select position from ledger.checkpoint where partition = $4)
		from ledger.account where owner = $1 and kind in ($2, $3, $5, $6)`,
		[16]byte(subscriber), int16(book.SubscriberPending), int16(book.SubscriberPayable), partition, int16(book.SubscriberPayout), int16(book.BillCredited)).
		Scan(&e.Pending, &e.Payable, &e.Requested, &e.Paid, &e.Residual, &e.Position)
	if err != nil {
		return e, fmt.Errorf("view: earnings: %w", err)
	}
	return e, nil
}

// Hold is the money of one bid, in minor units.
type Hold struct {
	Bid                     id.ID
	Initial, Held, Captured int64
}

// Holds lists a buyer's holds that are not empty, by bid, after one of them.
func (v View) Holds(ctx context.Context, buyer, after id.ID, limit int) ([]Hold, error) {
	rows, err := v.Pool.Query(ctx, `
		select bid, initial, held, captured from ledger.hold where buyer = $1 and bid > $2 and held > 0 order by bid limit $3`, [16]byte(buyer), [16]byte(after), limit)
	if err != nil {
		return nil, fmt.Errorf("view: holds: %w", err)
	}
	holds, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (h Hold, err error) {
		err = row.Scan((*[16]byte)(&h.Bid), &h.Initial, &h.Held, &h.Captured)
		return h, err
	})
	if err != nil {
		return nil, fmt.Errorf("view: holds: %w", err)
	}
	return holds, nil
}

// Place is where an event stands, and with Ordinal one of its postings: what a page begins after.
type Place struct {
	Partition int32
	Position  int64
	Ordinal   int32
}

// Line is one posting on a statement, in minor units.
type Line struct {
	Place          Place
	Type           string
	Minor, Balance int64
	// Zero where there is none.
	Bid, Delivery, Payout id.ID
	At                    time.Time
}

// Lines lists an account's postings after a place, oldest first. Postings of nothing, which only tell a residual, are left out.
func (v View) Lines(ctx context.Context, kind book.Kind, owner id.ID, after Place, limit int) ([]Line, error) {
	rows, err := v.Pool.Query(ctx, `
		select partition, position, ordinal, type, minor, balance, coalesce(bid, $7), coalesce(delivery, $7), coalesce(payout, $7), at
		from ledger.line where kind = $1 and owner = $2 and minor <> 0 and (partition, position, ordinal) > ($3, $4, $5::integer)
		order by partition, position, ordinal limit $6`, int16(kind), [16]byte(owner), after.Partition, after.Position, after.Ordinal, limit, [16]byte{})
	if err != nil {
		return nil, fmt.Errorf("view: statement: %w", err)
	}
	lines, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (l Line, err error) {
		err = row.Scan(&l.Place.Partition, &l.Place.Position, &l.Place.Ordinal, &l.Type, &l.Minor, &l.Balance,
			(*[16]byte)(&l.Bid), (*[16]byte)(&l.Delivery), (*[16]byte)(&l.Payout), &l.At)
		return l, err
	})
	if err != nil {
		return nil, fmt.Errorf("view: statement: %w", err)
	}
	return lines, nil
}

// Sum is all accounts of one kind, in minor units.
type Sum struct {
	Kind     book.Kind
	Accounts int64 // with a balance
	Minor    int64
	Digest   []byte // over these accounts, as the contract's Sum says
}

// Trial sums every kind of account as of a position of a partition.
func (v View) Trial(ctx context.Context, partition int32, asOf int64) ([]Sum, error) {
	rows, err := v.Pool.Query(ctx, `
		select kind, count(*) filter (where balance <> 0), sum(balance)::bigint,
			sha256(convert_to(coalesce(string_agg(owner || ' ' || balance || e'\n', '' order by owner) filter (where balance <> 0), ''), 'UTF8'))
		from (select kind, owner, sum(minor) as balance from ledger.line where partition = $1 and position <= $2 group by kind, owner) as a
		group by kind order by kind`, partition, asOf)
	if err != nil {
		return nil, fmt.Errorf("view: trial balance: %w", err)
	}
	sums, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (s Sum, err error) {
		err = row.Scan(&s.Kind, &s.Accounts, &s.Minor, &s.Digest)
		return s, err
	})
	if err != nil {
		return nil, fmt.Errorf("view: trial balance: %w", err)
	}
	return sums, nil
}
