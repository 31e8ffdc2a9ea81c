package view

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// Fold is the version of Project: another one means rebuilding.
const Fold = 3

// grace is how long a buyer may ask again for the key of the last delivery, whose answer was lost, before the agreement ends.
const grace = time.Minute

// Project folds a batch of the log's records into the tables, within the transaction that moves the checkpoint. All
// statements of a batch go to the database in one round trip.
func Project(ctx context.Context, tx pgx.Tx, records []es.Record) error {
	var b pgx.Batch
	for i := range records {
		r := &records[i]
		m := new(deliveryv1.Event)
		if err := proto.Unmarshal(r.Data, m); err != nil {
			return fmt.Errorf("view: partition %d, position %d: %w", r.Partition, r.Position, err)
		}
		if wire.OfHolding(r.Type) {
			holding(&b, r, m)
		} else {
			shelf(&b, r, m)
		}
	}
	if b.Len() == 0 {
		return nil
	}
	if err := tx.SendBatch(ctx, &b).Close(); err != nil {
		return fmt.Errorf("view: %w", err)
	}
	return nil
}

// holding queues what an event about a person's data changes. An arm that is not named changes no table.
func holding(b *pgx.Batch, r *es.Record, m *deliveryv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_SourceConnected:
		e := arm.SourceConnected
		b.Queue(`insert into source (source, subscriber, connected_at, stream, version, event, data) values ($1, $2, $3, $4, $5, $6, $7)`,
			e.GetSourceId(), e.GetSubscriberId(), r.At, string(r.Stream), int64(r.Version), [16]byte(r.ID), r.Data)
	case *deliveryv1.Event_DataImported:
		b.Queue(`update source set imported_at = $2 where source = $1`, arm.DataImported.GetSourceId(), r.At)
	}
}

// shelf queues what an event about what leaves changes.
func shelf(b *pgx.Batch, r *es.Record, m *deliveryv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_AgreementTaken:
		e := arm.AgreementTaken
		b.Queue(`
			insert into agreement (agreement, shelf, subscriber, bid, cleared, ended, stream, version, event, data)
			values ($1, $2, $3, $4, $5, false, $6, $7, $8, $9)`,
			e.GetAgreementId(), r.Stream.Root(), e.GetSubscriberId(), e.GetBidId(), e.GetCleared(),
			string(r.Stream), int64(r.Version), [16]byte(r.ID), r.Data)
		if e.GetCleared() && e.GetDueAt() != 0 {
			deadline(b, string(r.Stream), "due", time.UnixMicro(e.GetDueAt()))
		}
	case *deliveryv1.Event_AgreementCleared:
		e := arm.AgreementCleared
		b.Queue(`update agreement set cleared = true where agreement = $1`, e.GetAgreementId())
		if e.GetDueAt() != 0 {
			deadline(b, string(r.Stream), "due", time.UnixMicro(e.GetDueAt()))
		}
	case *deliveryv1.Event_AgreementEnded:
		b.Queue(`update agreement set ended = true where agreement = $1`, arm.AgreementEnded.GetAgreementId())
		b.Queue(`delete from deadline where stream = $1`, string(r.Stream))
	case *deliveryv1.Event_DeliveryPrepared:
		prepared(b, r, arm.DeliveryPrepared)
	case *deliveryv1.Event_PackageResealed:
		b.Queue(`update delivery set resealed_version = $2, resealed_event = $3, resealed_data = $4, changed = $5 where delivery = $1`,
			arm.PackageResealed.GetDeliveryId(), int64(r.Version), [16]byte(r.ID), r.Data, int64(r.Position))
	case *deliveryv1.Event_ReceiptSigned:
		change(b, r, arm.ReceiptSigned.GetDeliveryId(), "receipted", "")
		b.Queue(`delete from deadline where stream = $1 and kind = 'lapse'`, string(r.Stream))
	case *deliveryv1.Event_DeliveryReleased:
		e := arm.DeliveryReleased
		change(b, r, e.GetDeliveryId(), "released", "")
		b.Queue(`update delivery set released_at = $2 where delivery = $1`, e.GetDeliveryId(), r.At)
		if e.GetLast() {
			deadline(b, r.Stream.Root()+"/"+e.GetAgreementId(), "finish", r.At.Add(grace))
		}
	case *deliveryv1.Event_DeliveryBlocked:
		e := arm.DeliveryBlocked
		state := ""
		if e.GetFinal() {
			state = "blocked"
			b.Queue(`delete from deadline where stream = $1`, string(r.Stream))
		}
		change(b, r, e.GetDeliveryId(), state, wire.ReasonName(e.GetReason()))
	case *deliveryv1.Event_DeliveryLapsed:
		change(b, r, arm.DeliveryLapsed.GetDeliveryId(), "lapsed", "LAPSED")
		b.Queue(`delete from deadline where stream = $1`, string(r.Stream))
	}
}

func prepared(b *pgx.Batch, r *es.Record, e *deliveryv1.DeliveryPrepared) {
	lapses := time.UnixMicro(e.GetLapsesAt()).UTC()
	b.Queue(`
		insert into delivery (delivery, shelf, subscriber, agreement, bid, sequence, state, blocked, slots, bytes, digest, partition, position, changed,
			prepared_at, lapses_at, stream, version, event, data)
		select $1::uuid, $2::uuid, $3::uuid, agreement, bid, $5::integer, 'prepared', '', $6::integer, $7::bigint, $8::bytea, $9::integer, $10::bigint, $10::bigint,
			$11::timestamptz, $12::timestamptz, $13::text, $14::bigint, $15::uuid, $16::bytea
		from agreement where agreement = $4::uuid`,
		e.GetDeliveryId(), r.Stream.Root(), e.GetSubscriberId(), e.GetAgreementId(), int32(e.GetSequence()), int32(e.GetDeliveredSlots()),
		int64(e.GetBytes()), e.GetDigest(), int32(r.Partition), int64(r.Position), r.At, lapses, string(r.Stream), int64(r.Version), [16]byte(r.ID), r.Data)
	deadline(b, string(r.Stream), "lapse", lapses)
	b.Queue(`delete from deadline where stream = $1 and kind = 'due' and due <= $2`, r.Stream.Root()+"/"+e.GetAgreementId(), r.At)
}

// change sets a delivery's state, unless it is empty, and why it is blocked.
func change(b *pgx.Batch, r *es.Record, delivery, state, blocked string) {
	b.Queue(`update delivery set state = coalesce(nullif($2, ''), state), blocked = $3, changed = $4 where delivery = $1`, delivery, state, blocked, int64(r.Position))
}

func deadline(b *pgx.Batch, stream, kind string, due time.Time) {
	b.Queue(`insert into deadline (stream, kind, due) values ($1, $2, $3) on conflict do nothing`, stream, kind, due.UTC())
}
