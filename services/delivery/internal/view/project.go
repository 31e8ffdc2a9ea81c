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
const Fold = 5

// grace is how long a buyer may ask again for the key of the last delivery, whose answer was lost, before the agreement ends.
const grace = time.Minute

// Project folds a batch of the log's records into the tables, within the transaction that moves the checkpoint. All
// statements of a batch go to the database in one round trip.
func Project(ctx context.Context, tx pgx.Tx, records []es.Record) error {
	var b pgx.Batch
	flood := flood{b: &b}
	for i := range records {
		r := &records[i]
		if r.Type == "receipt_signed" && i+1 < len(records) && records[i+1].Type == "delivery_released" && records[i+1].Stream == r.Stream {
			continue // the release says all that the receipt does, and more
		}
		m := new(deliveryv1.Event)
		if err := proto.Unmarshal(r.Data, m); err != nil {
			return fmt.Errorf("view: partition %d, position %d: %w", r.Partition, r.Position, err)
		}
		if flood.add(r, m) {
			continue
		}
		flood.flush()
		if wire.OfHolding(r.Type) {
			holding(&b, r, m)
		} else {
			shelf(&b, r, m)
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

// holding queues what an event about a person's data changes. An arm that is not named changes no table.
func holding(b *pgx.Batch, r *es.Record, m *deliveryv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_SourceConnected:
		e := arm.SourceConnected
		b.Queue(`insert into source (source, subscriber, connected_at, stream, version, event, data) values ($1, $2, $3, $4, $5, $6, $7)`,
			e.GetSourceId(), e.GetSubscriberId(), r.At, string(r.Stream), int64(r.Version), [16]byte(r.ID), r.Data)
	case *deliveryv1.Event_DataImported:
		b.Queue(`update source set imported_at = $2 where source = $1`, arm.DataImported.GetSourceId(), r.At)
	case *deliveryv1.Event_SourceRestricted:
		b.Queue(`update source set restricted_at = $2 where source = $1`, arm.SourceRestricted.GetSourceId(), r.At)
	case *deliveryv1.Event_RestrictionLifted:
		b.Queue(`update source set restricted_at = null where source = $1`, arm.RestrictionLifted.GetSourceId())
	case *deliveryv1.Event_SourceDisconnected:
		b.Queue(`update source set disconnected_at = $2 where source = $1`, arm.SourceDisconnected.GetSourceId(), r.At)
	case *deliveryv1.Event_SourceReconnected:
		b.Queue(`update source set disconnected_at = null where source = $1`, arm.SourceReconnected.GetSourceId())
	}
}

// shelf queues what an event about what leaves changes.
func shelf(b *pgx.Batch, r *es.Record, m *deliveryv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_AgreementCleared:
		e := arm.AgreementCleared
		b.Queue(`
			with due as (insert into deadline (stream, kind, due) select $2::text, 'due', $3::timestamptz where $3 is not null on conflict do nothing)
			update agreement set cleared = true where agreement = $1`, e.GetAgreementId(), string(r.Stream), moment(e.GetDueAt()))
	case *deliveryv1.Event_SlotsAwaited:
		b.Queue(`
			with past as (delete from deadline where stream = $1 and kind = 'await' and due is distinct from $2)
			insert into deadline (stream, kind, due) select $1::text, 'await', $2::timestamptz where $2 is not null on conflict do nothing`,
			string(r.Stream), moment(arm.SlotsAwaited.GetDueAt()))
	case *deliveryv1.Event_PackageResealed:
		b.Queue(`update delivery set resealed_version = $2, resealed_event = $3, resealed_data = $4, changed = $5 where delivery = $1`,
			arm.PackageResealed.GetDeliveryId(), int64(r.Version), [16]byte(r.ID), r.Data, int64(r.Position))
	case *deliveryv1.Event_ReceiptSigned:
		b.Queue(`
			with over as (delete from deadline where stream = $3 and kind = 'lapse')
			update delivery set state = 'receipted', blocked = '', changed = $2 where delivery = $1`,
			arm.ReceiptSigned.GetDeliveryId(), int64(r.Position), string(r.Stream))
	case *deliveryv1.Event_DeliveryBlocked:
		e := arm.DeliveryBlocked
		b.Queue(`
			with over as (delete from deadline where $4 and stream = $5)
			update delivery set state = case when $4 then 'blocked' else state end, blocked = $2, changed = $3 where delivery = $1`,
			e.GetDeliveryId(), wire.ReasonName(e.GetReason()), int64(r.Position), e.GetFinal(), string(r.Stream))
	case *deliveryv1.Event_DeletionOrdered:
		e := arm.DeletionOrdered
		b.Queue(`update delivery set ordered = $2, delete_due = $3, changed = $4 where delivery = any($1::uuid[])`,
			e.GetDeliveryIds(), int16(e.GetReason()), time.UnixMicro(e.GetDue()).UTC(), int64(r.Position))
	case *deliveryv1.Event_DeliveryLapsed:
		b.Queue(`
			with over as (delete from deadline where stream = $3)
			update delivery set state = 'lapsed', blocked = 'LAPSED', changed = $2 where delivery = $1`,
			arm.DeliveryLapsed.GetDeliveryId(), int64(r.Position), string(r.Stream))
	}
}

// moment is one that the contract writes in microseconds; nil for 0.
func moment(us int64) *time.Time {
	if us == 0 {
		return nil
	}
	at := time.UnixMicro(us).UTC()
	return &at
}
