package view

import (
	"context"
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

// Consent is a consent as it stands, with the event that gave or refused it.
type Consent struct {
	Agreement id.ID
	State     string
	PausedAt  *time.Time
	EndedAt   *time.Time
	Ended     *int64 // position of the event that ended it
	Refused   string
	Releases  int32
	Event     es.Record // id, stream, version, type, data, place and time only
}

// Filter restricts what is listed; what is zero does not.
type Filter struct {
	Live       bool
	EndsBefore time.Time // those that live and end by themselves before
	Agreement  id.ID
}

// Consents lists a person's consents before a place, newest first; position 0 means from the newest.
func (v View) Consents(ctx context.Context, subscriber id.ID, f Filter, before int64, limit int) ([]Consent, error) {
	var ends *time.Time
	if !f.EndsBefore.IsZero() {
		ends = &f.EndsBefore
	}
	var one *[16]byte
	if !f.Agreement.IsZero() {
		one = (*[16]byte)(&f.Agreement)
	}
	rows, err := v.Pool.Query(ctx, `
		select agreement, state, paused_at, ended_at, ended, refused, releases, partition, position, given_at, stream, version, type, event, data
		from people.consent
		where subscriber = $1 and (not $2 or state in ('given', 'paused')) and ($3 = 0 or position < $3)
			and ($5::timestamptz is null or state in ('given', 'paused') and expires_at < $5) and ($6::uuid is null or agreement = $6)
		order by position desc limit $4`, [16]byte(subscriber), f.Live, before, limit, ends, one)
	if err != nil {
		return nil, fmt.Errorf("view: consents: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (c Consent, err error) {
		err = row.Scan((*[16]byte)(&c.Agreement), &c.State, &c.PausedAt, &c.EndedAt, &c.Ended, &c.Refused, &c.Releases, &c.Event.Partition, &c.Event.Position,
			&c.Event.At, &c.Event.Stream, &c.Event.Version, &c.Event.Type, (*[16]byte)(&c.Event.ID), &c.Event.Data)
		return c, err
	})
	if err != nil {
		return nil, fmt.Errorf("view: consents: %w", err)
	}
	return list, nil
}

// Live counts distinct people whose consent under a bid lives and is not paused.
func (v View) Live(ctx context.Context, bid id.ID) (n uint32, err error) {
	err = v.Pool.QueryRow(ctx, `
		select count(distinct c.subscriber) from people.consent c
		where c.bid = $1 and c.state = 'given' and not exists (select from people.paused p where p.subscriber = c.subscriber)`, [16]byte(bid)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("view: living consents: %w", err)
	}
	return n, nil
}
