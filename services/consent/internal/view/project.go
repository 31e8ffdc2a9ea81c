package view

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
)

// Fold is the version of Project: another one means rebuilding.
const Fold = 3

// Project folds a batch of the log's records into the tables, within the transaction that moves the checkpoint. All
// statements of a batch go to the database in one round trip.
func Project(ctx context.Context, tx pgx.Tx, records []es.Record) error {
	var b pgx.Batch
	flood := flood{b: &b}
	for i := range records {
		r := &records[i]
		m := new(consentv1.Event)
		if err := proto.Unmarshal(r.Data, m); err != nil {
			return fmt.Errorf("view: partition %d, position %d: %w", r.Partition, r.Position, err)
		}
		if !flood.add(r, m) {
			flood.flush()
			add(&b, r, m)
		}
	}
	flood.flush()
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	return nil
}

// add queues what one event changes. An arm that is not named here changes no table.
func add(b *pgx.Batch, r *es.Record, m *consentv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *consentv1.Event_ConsentRefused:
		e := arm.ConsentRefused
		b.Queue(`
			insert into consent (agreement, subscriber, offer, bid, state, partition, position, given_at, releases, stream, version, type, event, data)
			values ($1, $2, $3, $4, 'refused', $5, $6, $7, 0, $8, $9, $10, $11, $12)`,
			e.GetAgreementId(), e.GetSubscriberId(), e.GetOfferId(), e.GetBidId(), int32(r.Partition), int64(r.Position), r.At,
			string(r.Stream), int64(r.Version), r.Type, [16]byte(r.ID), r.Data)
	case *consentv1.Event_ConsentWithdrawn:
		withdraw(b, r, arm.ConsentWithdrawn.GetScope())
	case *consentv1.Event_ConsentPaused:
		e := arm.ConsentPaused
		if e.GetAll() {
			b.Queue(`insert into paused (subscriber) values ($1) on conflict do nothing`, e.GetSubscriberId())
			return
		}
		b.Queue(`update consent set state = 'paused', paused_at = $2 where agreement = any($1::uuid[]) and state = 'given'`, agreements(e.GetScope()), r.At)
	case *consentv1.Event_ConsentResumed:
		e := arm.ConsentResumed
		if e.GetAll() {
			b.Queue(`delete from paused where subscriber = $1`, e.GetSubscriberId())
		}
		b.Queue(`update consent set state = 'given', paused_at = null where agreement = any($1::uuid[]) and state = 'paused'`, agreements(e.GetScope()))
	}
}

// withdraw ends consents, also those that had ended by themselves: the buyer still held the data.
func withdraw(b *pgx.Batch, r *es.Record, scope []*consentv1.Ended) {
	streams := make([]string, len(scope))
	for i, s := range scope {
		streams[i] = r.Stream.Root() + "/" + s.GetAgreementId()
	}
	b.Queue(`
		update consent set state = 'withdrawn', ended_at = $2, ended = $3, paused_at = null
		where agreement = any($1::uuid[]) and state in ('given', 'paused', 'expired')`, agreements(scope), r.At, int64(r.Position))
	b.Queue(`delete from deadline where stream = any($1)`, streams)
}

func agreements(scope []*consentv1.Ended) []string {
	out := make([]string, len(scope))
	for i, s := range scope {
		out[i] = s.GetAgreementId()
	}
	return out
}
