package view

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// Fold is the version of Project: another one means rebuilding.
const Fold = 5

// HoldWait is how long a bid waits for its money before it is rejected.
const HoldWait = 15 * time.Minute

// Project folds a batch of the log's records into the tables, within the transaction that moves the checkpoint. All
// statements of a batch go to the database in one round trip. Bids come in floods and nothing comes before a bid's placing, so all of
// a batch are one statement, the first.
func Project(ctx context.Context, tx pgx.Tx, records []es.Record) error {
	var b pgx.Batch
	var placed placings
	events := make([]*offersv1.Event, len(records)) // nil for a placed bid
	for i := range records {
		r := &records[i]
		body := wire.PlacedBody(r.Data)
		var err error
		if body == nil {
			events[i], err = wire.Decode(r.Data)
		} else {
			err = placed.add(body, r.At)
		}
		if err != nil {
			return fmt.Errorf("view: partition %d, position %d: %w", r.Partition, r.Position, err)
		}
	}
	placed.queue(&b)
	flood := flood{b: &b}
	for i, m := range events {
		if m == nil || flood.add(&records[i], m) {
			continue
		}
		flood.flush()
		buyers(&b, &records[i], m)
		bids(&b, m)
		offers(&b, &records[i], m)
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

// placings are the columns of the bids that a batch places.
type placings struct {
	bid, buyer, product      []string
	placed                   [][]byte
	quantity                 []int64
	opens, closes, at, holds []time.Time
}

// add takes a BidPlaced as it is stored.
func (p *placings) add(body []byte, when time.Time) error {
	e := new(offersv1.BidPlaced)
	if err := proto.Unmarshal(body, e); err != nil {
		return err
	}
	p.bid, p.buyer, p.product = append(p.bid, e.GetBidId()), append(p.buyer, e.GetBuyerId()), append(p.product, e.GetTerms().GetProduct().GetId())
	p.placed, p.quantity = append(p.placed, body), append(p.quantity, int64(e.GetQuantity()))
	p.opens, p.closes = append(p.opens, at(e.GetOpensAt())), append(p.closes, at(e.GetClosesAt()))
	p.at, p.holds = append(p.at, when), append(p.holds, when.Add(HoldWait))
	return nil
}

func (p *placings) queue(b *pgx.Batch) {
	if len(p.bid) == 0 {
		return
	}
	b.Queue(`
		insert into bid (bid, buyer, product, state, placed, rejected, closed, cleared, consented, quantity, held, opens_at, closes_at, placed_at, hold_due)
		select bid::uuid, buyer::uuid, product, 'placed', placed, '', 0, false, 0, quantity, 0, opens, closes, at, holds
		from unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::bigint[], $6::timestamptz[], $7::timestamptz[], $8::timestamptz[], $9::timestamptz[])
			p (bid, buyer, product, placed, quantity, opens, closes, at, holds)`,
		p.bid, p.buyer, p.product, p.placed, p.quantity, p.opens, p.closes, p.at, p.holds)
}

func buyers(b *pgx.Batch, r *es.Record, m *offersv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_BuyerRegistered:
		e := arm.BuyerRegistered
		b.Queue(`insert into buyer (buyer, legal_entity, state, vetted, vetted_group, registered, registered_at, position, partition) values ($1, $2, 'registered', false, '', $3, $4, $5, $6)`,
			e.GetBuyerId(), wire.EntityNumber(e.GetEntity().GetLegalEntityId()), wire.Marshal(e), r.At, int64(r.Position), int32(r.Partition))
	case *offersv1.Event_BuyerVetted:
		e := arm.BuyerVetted
		b.Queue(`update buyer set vetted = true, vetted_group = $2, state = case state when 'registered' then 'vetted' else state end where buyer = $1`,
			e.GetBuyerId(), cmp.Or(e.GetGroupId(), e.GetBuyerId()))
	case *offersv1.Event_BuyerSuspended:
		b.Queue(`update buyer set state = 'suspended' where buyer = $1`, arm.BuyerSuspended.GetBuyerId())
	case *offersv1.Event_BuyerReinstated:
		b.Queue(`update buyer set state = case when vetted then 'vetted' else 'registered' end where buyer = $1`, arm.BuyerReinstated.GetBuyerId())
	case *offersv1.Event_BuyerKeyRotated:
		e := arm.BuyerKeyRotated
		// Messages of one type put behind one another are one message: a further key is appended as it would be serialised, behind what is
		// said of the key that it replaces.
		ended := &offersv1.BuyerKey{Id: e.GetReplaces(), ValidTo: r.At.UnixMicro(), ReplacedBy: e.GetKey().GetId()}
		b.Queue(`update buyer set registered = registered || $2 where buyer = $1`, e.GetBuyerId(),
			wire.Marshal(&offersv1.BuyerRegistered{Keys: []*offersv1.BuyerKey{ended, e.GetKey()}}))
	}
}

func bids(b *pgx.Batch, m *offersv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_BidOpened:
		b.Queue(`update bid set state = 'open', held = $2 where bid = $1`, arm.BidOpened.GetBidId(), arm.BidOpened.GetHeld().GetMinor())
	case *offersv1.Event_BidRejected:
		b.Queue(`update bid set state = 'rejected', rejected = $2 where bid = $1`, arm.BidRejected.GetBidId(), wire.ReasonName(arm.BidRejected.GetReason()))
	case *offersv1.Event_BidCleared:
		b.Queue(`update bid set cleared = true where bid = $1`, arm.BidCleared.GetBidId())
	case *offersv1.Event_BidClosed:
		b.Queue(`update bid set state = 'closed', closed = $2 where bid = $1`, arm.BidClosed.GetBidId(), int32(arm.BidClosed.GetReason()))
	case *offersv1.Event_BidDrained:
		b.Queue(`update bid set state = 'drained' where bid = $1`, arm.BidDrained.GetBidId())
	}
}

func offers(b *pgx.Batch, r *es.Record, m *offersv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_OfferDeclined:
		b.Queue(`update offer set state = 'declined', declined_at = $2 where offer = $1`, arm.OfferDeclined.GetOfferId(), r.At)
	case *offersv1.Event_OfferVoided:
		e := arm.OfferVoided
		b.Queue(`update offer set state = 'voided', voided = $2 where offer = $1`, e.GetOfferId(), e.GetReason())
		if e.GetConsented() {
			b.Queue(`update bid set consented = consented - $2 where bid = $1`, e.GetBidId(), int64(e.GetSlots()))
		}
	}
}

func at(us int64) time.Time { return time.UnixMicro(us).UTC() }
