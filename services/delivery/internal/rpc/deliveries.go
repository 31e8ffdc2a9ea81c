package rpc

import (
	"context"
	"fmt"
	"math"
	"strings"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

var states = map[string]deliveryv1.DeliveryState{
	"prepared": deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED, "receipted": deliveryv1.DeliveryState_DELIVERY_STATE_RECEIPTED,
	"released": deliveryv1.DeliveryState_DELIVERY_STATE_RELEASED, "blocked": deliveryv1.DeliveryState_DELIVERY_STATE_BLOCKED,
	"lapsed": deliveryv1.DeliveryState_DELIVERY_STATE_LAPSED,
}

// named is the state's name in the tables; empty for the unset one.
func named(s deliveryv1.DeliveryState) string {
	for name, v := range states {
		if v == s {
			return name
		}
	}
	return ""
}

// buying reads whose deliveries are asked for, and of which bid.
func buying(buyer, bid string) (owner, of id.ID, err error) {
	if owner, err = parse("buyer_id", buyer); err != nil || bid == "" {
		return owner, of, err
	}
	of, err = parse("bid_id", bid)
	return owner, of, err
}

// ListDeliveries lists what waits for, or went to, a buyer.
func (s *Server) ListDeliveries(ctx context.Context, r *deliveryv1.ListDeliveriesRequest) (*deliveryv1.ListDeliveriesResponse, error) {
	owner, bid, err := buying(r.GetBuyerId(), r.GetBidId())
	if err != nil {
		return nil, err
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	list, place := "deliveries/"+owner.String()+"/"+r.GetBidId(), new(deliveryv1.Delivery)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	var after view.Place
	if place.GetDeliveryId() != "" {
		after.At = time.UnixMicro(place.GetPreparedAt()).UTC()
		after.ID, _ = id.Parse(place.GetDeliveryId()) // our own token
	}
	limit := page(r.GetPageSize(), 100)
	rows, err := s.View.Deliveries(ctx, owner, bid, named(r.GetState()), after, limit+1)
	if err != nil {
		return nil, err
	}
	out := new(deliveryv1.ListDeliveriesResponse)
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		if out.NextPageToken, err = boot.PageToken(list, &deliveryv1.Delivery{DeliveryId: last.ID.String(), PreparedAt: last.PreparedAt.UnixMicro()}); err != nil {
			return nil, err
		}
	}
	for i := range rows {
		d, err := s.delivery(ctx, &rows[i])
		if err != nil {
			return nil, err
		}
		out.Deliveries = append(out.Deliveries, d)
	}
	return out, nil
}

// delivery is a row as its buyer sees it.
func (s *Server) delivery(ctx context.Context, row *view.Delivery) (*deliveryv1.Delivery, error) {
	ring, err := s.Keys.Ring(ctx, row.Subscriber)
	if err != nil {
		return nil, err
	}
	known, err := s.terms.of(row.ID, ring, row.ResealedVersion(), func() (*view.Delivery, error) { return row, nil })
	if err != nil {
		return nil, err
	}
	out := &deliveryv1.Delivery{
		DeliveryId: row.ID.String(), AgreementId: row.Agreement.String(), BidId: row.Bid.String(), Sequence: uint32(row.Sequence),
		Product: known.product, State: states[row.State], Blocked: wire.ReasonProto(row.Blocked), Slots: uint32(row.Slots),
		Bytes: uint64(row.Bytes), Digest: row.Digest, PreparedAt: row.PreparedAt.UnixMicro(), LapsesAt: row.LapsesAt.UnixMicro(), BuyerKeyId: known.key,
		ExpectedSlots: known.expected, ValidSlots: known.valid,
	}
	out.Deletion = deletionOf(row)
	if row.ReleasedAt != nil {
		out.ReleasedAt = row.ReleasedAt.UnixMicro()
	}
	return out, nil
}

// deletionOf is the order to delete what was received; nil where there is none.
func deletionOf(row *view.Delivery) *deliveryv1.Deletion {
	if row.DeleteDue == nil {
		return nil
	}
	return &deliveryv1.Deletion{Reason: deliveryv1.EndReason(row.Ordered), Due: row.DeleteDue.UnixMicro()}
}

// opened reads the events of a row: what was agreed, what was prepared, and the buyer's key since.
func opened(row *view.Delivery, ring *vault.Ring) (taken *deliveryv1.AgreementTaken, prepared *deliveryv1.DeliveryPrepared, key string, err error) {
	t, err := message(&row.Taken, ring)
	if err != nil {
		return nil, nil, "", err
	}
	p, err := message(&row.Prepared, ring)
	if err != nil {
		return nil, nil, "", err
	}
	key = p.GetDeliveryPrepared().GetBuyerKeyId()
	if row.Resealed != nil {
		r, err := message(row.Resealed, ring)
		if err != nil {
			return nil, nil, "", err
		}
		key = r.GetPackageResealed().GetBuyerKeyId()
	}
	return t.GetAgreementTaken(), p.GetDeliveryPrepared(), key, nil
}

// find looks a delivery up for its buyer, with what is kept of it. One of another buyer is unknown. The tables answer, which may lag behind
// the log by a moment: what is decided on them is decided again, by consent's gate and by the shelf, before a key leaves.
func (s *Server) find(ctx context.Context, buyer, delivery string, look func(context.Context, id.ID) (view.Held, bool, error)) (p view.Held, err error) {
	owner, err := parse("buyer_id", buyer)
	if err != nil {
		return p, err
	}
	number, err := parse("delivery_id", delivery)
	if err != nil {
		return p, err
	}
	p, known, err := look(ctx, number)
	if err != nil {
		return p, err
	}
	if !known || p.Buyer != owner {
		return p, shelf.ErrDeliveryUnknown
	}
	if no := (shelf.Delivery{Status: statuses[p.State], Blocked: p.Blocked}).Refusal(); no != nil {
		return p, no
	}
	return p, nil
}

// statuses are the shelf's, by the state's name in the tables.
var statuses = map[string]shelf.Status{
	"prepared": shelf.Waiting, "receipted": shelf.Signed, "released": shelf.Gone, "blocked": shelf.Stopped, "lapsed": shelf.TooLate,
}

// FetchPackage streams a package's ciphertext from an offset, while the consent lives, and a while after all of it has left.
func (s *Server) FetchPackage(r *deliveryv1.FetchPackageRequest, stream grpc.ServerStreamingServer[deliveryv1.FetchPackageResponse]) error {
	ctx, at := stream.Context(), int64(min(r.GetOffset(), math.MaxInt64))
	p, err := s.find(ctx, r.GetBuyerId(), r.GetDeliveryId(), func(ctx context.Context, number id.ID) (view.Held, bool, error) {
		return s.View.ToFetch(ctx, number, min(at/store.PieceSize, math.MaxInt32)) // no package has so many
	})
	if err != nil {
		return err
	}
	if at > p.Bytes {
		return errOffset
	}
	if err := s.lives(ctx, &p); err != nil {
		return err
	}
	const size = 64 << 10
	for piece := p.Kept[min(at%store.PieceSize, int64(len(p.Kept))):]; at < p.Bytes; {
		if len(piece) == 0 {
			return shelf.ErrAgreementEnded // destroyed meanwhile
		}
		for len(piece) > 0 {
			n := min(size, len(piece))
			if err := stream.Send(&deliveryv1.FetchPackageResponse{Offset: uint64(at), Chunk: piece[:n]}); err != nil {
				return err
			}
			at, piece = at+int64(n), piece[n:]
		}
		if at < p.Bytes {
			if piece, err = s.Store.Piece(ctx, p.ID, at); err != nil {
				return err
			}
		}
	}
	return nil
}

// lives asks consent whether the data may be used. Where it cannot be asked nothing is sent.
func (s *Server) lives(ctx context.Context, p *view.Held) error {
	if p.Ended {
		if err := s.kept(ctx, p); err != nil {
			return err
		}
	}
	r, err := s.Consent.Check(ctx, &consentv1.CheckRequest{SubscriberId: p.Subscriber.String(), AgreementId: p.Agreement.String()})
	if err != nil {
		return errUnreachable.Because(err)
	}
	switch {
	case r.GetAllowed(), p.Ended && r.GetHeld(): // consent has expired by being fulfilled
		return nil
	}
	return refusal(reasonOf(r.GetReason()))
}

// kept refuses a package of an agreement that has ended, unless its key had left, and its answer would come again (Patience): who lost the
// answer may have lost what it opens. What the store keeps after other ends is nothing.
func (s *Server) kept(ctx context.Context, p *view.Held) error {
	d, _, err := s.View.Delivery(ctx, p.ID)
	if err != nil {
		return err
	}
	if d.ReleasedAt == nil || d.DeleteDue != nil || !s.Now().Before(d.ReleasedAt.Add(s.Patience)) {
		return shelf.ErrAgreementEnded
	}
	ring, err := s.Keys.Ring(ctx, p.Subscriber)
	if err != nil {
		return err
	}
	if forgotten(ring) {
		return shelf.ErrAgreementEnded
	}
	// Of a consent that lives no more, consent says nothing about the buyer.
	s.Buyers.Forget(p.Buyer)
	buyer, err := s.Buyers.Find(ctx, p.Buyer)
	if err == nil && buyer.Suspended {
		err = gate["BUYER_SUSPENDED"]
	}
	return err
}

// reasonOf names consent's reason as this context does.
func reasonOf(r consentv1.Reason) string {
	name := strings.TrimPrefix(r.String(), "REASON_") // one of a newer process is a number
	if wire.ReasonProto(name) == 0 {
		return "CONSENT_UNKNOWN"
	}
	return name
}

// gate are the refusals of consent's gate, by its reason.
var gate = map[string]*fault.Error{
	"WITHDRAWN":       fault.Refuse("WITHDRAWN", "the consent was withdrawn"),
	"PAUSED":          fault.Refuse("PAUSED", "the consent is paused"),
	"EXPIRED":         fault.Refuse("EXPIRED", "the consent has expired"),
	"BUYER_SUSPENDED": fault.Refuse("BUYER_SUSPENDED", "the buyer is suspended"),
	"CONSENT_UNKNOWN": fault.Refuse("CONSENT_UNKNOWN", "consent knows no such agreement"),
}

// refusal is the fault behind a reason of the gate.
func refusal(reason string) *fault.Error {
	if f := gate[reason]; f != nil {
		return f
	}
	return gate["CONSENT_UNKNOWN"]
}

// ListUses lists for a person every delivery about them.
func (s *Server) ListUses(ctx context.Context, r *deliveryv1.ListUsesRequest) (*deliveryv1.ListUsesResponse, error) {
	ring, err := s.reach(ctx, r)
	if err != nil {
		return nil, err
	}
	who := ring.Subject()
	list := fmt.Sprintf("uses/%s%s/%s/%d", who, r.GetAgreementId(), r.GetDeliveryId(), r.GetDeleteDueBefore())
	place, err := from(list, r.GetPageToken())
	if err != nil {
		return nil, err
	}
	agreement, _ := id.Parse(r.GetAgreementId()) // empty, or held to be one by the contract
	delivery, _ := id.Parse(r.GetDeliveryId())
	var due time.Time
	if at := r.GetDeleteDueBefore(); at > 0 {
		due = time.UnixMicro(at).UTC()
	}
	limit := page(r.GetPageSize(), 100)
	rows, err := s.View.Uses(ctx, who, agreement, delivery, due, place, limit+1)
	if err != nil {
		return nil, err
	}
	out := new(deliveryv1.ListUsesResponse)
	if len(rows) > limit {
		rows = rows[:limit]
		if out.NextPageToken, err = token(list, rows[limit-1].Position); err != nil {
			return nil, err
		}
	}
	for i := range rows {
		row := &rows[i]
		taken, prepared, _, err := opened(row, ring)
		if err != nil {
			return nil, err
		}
		l := taken.GetLicence()
		use := &deliveryv1.Use{
			DeliveryId: row.ID.String(), AgreementId: row.Agreement.String(), BuyerId: l.GetBuyerId(), Product: l.GetProduct(), Fields: l.GetFields(),
			Purpose: l.GetPurpose(), Slots: prepared.GetSlots(), State: states[row.State], Blocked: wire.ReasonProto(row.Blocked),
			PreparedAt: row.PreparedAt.UnixMicro(), BidId: row.Bid.String(), UnitPrice: l.GetUnitPrice(), RetentionDays: l.GetRetentionDays(),
			Recipients: l.GetRecipients(), Event: &eventv1.Cursor{Service: "delivery", Partition: int32(row.Partition), Position: row.Position},
		}
		if row.ReleasedAt != nil {
			use.ReleasedAt = row.ReleasedAt.UnixMicro()
		}
		use.Deletion = deletionOf(row)
		out.Uses = append(out.Uses, use)
	}
	return out, nil
}

// CountDeliveries counts deliveries that stand alike, of all buyers.
func (s *Server) CountDeliveries(ctx context.Context, r *deliveryv1.CountDeliveriesRequest) (*deliveryv1.CountDeliveriesResponse, error) {
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	counts, err := s.View.Counts(ctx)
	if err != nil {
		return nil, err
	}
	out := new(deliveryv1.CountDeliveriesResponse)
	for _, c := range counts {
		out.Counts = append(out.Counts, &deliveryv1.DeliveryCount{
			State: states[c.State], Blocked: wire.ReasonProto(c.Blocked), Deliveries: uint64(c.Deliveries), NewestAt: c.Newest.UnixMicro(),
		})
	}
	return out, nil
}
