package view

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

// paying is an event of a payout and when it was.
type paying struct {
	at    *es.Record
	event book.Event
}

// pay folds an event of a payout; others are left alone.
func (b *batch) pay(r *es.Record, e book.Event) {
	switch e := e.(type) {
	case book.PayoutRequested:
		b.post(r, e.Postings, of{payout: e.Payout.ID})
	case book.PayoutInstructed:
	case book.PayoutSettled:
		b.post(r, e.Postings, of{payout: e.Payout.ID})
	case book.PayoutReturned:
		b.post(r, e.Postings, of{payout: e.Payout.ID})
	default:
		return
	}
	b.payouts = append(b.payouts, paying{r, e})
}

// writePayouts writes what happened to payouts in its order. People ask for their money now and then, so it is one statement each.
func (b *batch) writePayouts(ctx context.Context, tx pgx.Tx) (err error) {
	for _, p := range b.payouts {
		switch e := p.event.(type) {
		case book.PayoutRequested:
			_, err = tx.Exec(ctx, `
				insert into payout (payout, subscriber, partition, position, amount, method, state, requested_at) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
				[16]byte(e.Payout.ID), [16]byte(e.Subscriber.ID), int32(p.at.Partition), int64(p.at.Position), e.Amount, int16(e.Method), int16(book.Requested), p.at.At)
		case book.PayoutInstructed:
			_, err = tx.Exec(ctx, `update payout set state = $2, instructed_at = $3, end_to_end = $4 where payout = $1`,
				[16]byte(e.Payout.ID), int16(book.Instructed), p.at.At, e.EndToEnd)
		case book.PayoutSettled:
			_, err = tx.Exec(ctx, `update payout set state = $2, ended_at = $3, value_date = $4, reference = $5 where payout = $1`,
				[16]byte(e.Payout.ID), int16(book.Paid), p.at.At, e.ValueDate, e.Reference)
		case book.PayoutReturned:
			_, err = tx.Exec(ctx, `update payout set state = $2, ended_at = $3, reason = $4 where payout = $1`,
				[16]byte(e.Payout.ID), int16(book.Returned), p.at.At, e.Reason)
		}
		if err != nil {
			return fmt.Errorf("view: payouts: %w", err)
		}
	}
	return nil
}

// Payout is money that a person asked for, and what became of it.
type Payout struct {
	Place                                  Place
	Payout, Subscriber                     id.ID
	Amount                                 int64 // minor
	Method                                 book.Method
	Stage                                  book.Stage
	RequestedAt                            time.Time
	InstructedAt, EndedAt                  *time.Time // nil where it was not
	EndToEnd, ValueDate, Reference, Reason string
}

// Payouts lists payouts before a place, newest first; of everybody where subscriber is zero, in any stage where stage is, all where payout is.
func (v View) Payouts(ctx context.Context, subscriber, payout id.ID, stage book.Stage, before Place, limit int) ([]Payout, error) {
	rows, err := v.Pool.Query(ctx, `
		select partition, position, payout, subscriber, amount, method, state, requested_at, instructed_at, ended_at, end_to_end, value_date, reference, reason
		from ledger.payout where ($1::uuid is null or subscriber = $1) and ($2 = 0 or state = $2) and ($6::uuid is null or payout = $6) and ($4 = 0 or (partition, position) < ($3, $4))
		order by partition desc, position desc limit $5`, known(&subscriber), int16(stage), before.Partition, before.Position, limit, known(&payout))
	if err != nil {
		return nil, fmt.Errorf("view: payouts: %w", err)
	}
	payouts, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Payout, err error) {
		err = row.Scan(&p.Place.Partition, &p.Place.Position, (*[16]byte)(&p.Payout), (*[16]byte)(&p.Subscriber), &p.Amount, &p.Method, &p.Stage,
			&p.RequestedAt, &p.InstructedAt, &p.EndedAt, &p.EndToEnd, &p.ValueDate, &p.Reference, &p.Reason)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("view: payouts: %w", err)
	}
	return payouts, nil
}
