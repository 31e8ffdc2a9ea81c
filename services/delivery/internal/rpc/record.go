package rpc

import (
	"context"
	"errors"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/record"
	"github.com/obole-market/obole/pkg/vault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// ListRecord lists what the log holds about a person, newest first.
func (s *Server) ListRecord(ctx context.Context, r *deliveryv1.ListRecordRequest) (*deliveryv1.ListRecordResponse, error) {
	p, err := s.Record.List(ctx, r)
	if err != nil {
		return nil, err
	}
	return &deliveryv1.ListRecordResponse{Entries: p.Entries, NextPageToken: p.Next, WatchToken: p.Watch}, nil
}

// WatchRecord streams what happens to a person.
func (s *Server) WatchRecord(r *deliveryv1.WatchRecordRequest, stream grpc.ServerStreamingServer[deliveryv1.WatchRecordResponse]) error {
	return s.Record.Watch(stream.Context(), r, func(e *recordv1.Entry, token string) error {
		return stream.Send(&deliveryv1.WatchRecordResponse{Entry: e, WatchToken: token})
	})
}

// Tell makes the entry of an event about a person.
func (s *Server) Tell(ctx context.Context, who id.ID, r *es.Record) (*recordv1.Entry, error) {
	ring, err := s.Keys.Ring(ctx, who)
	if err != nil {
		return nil, err
	}
	m, forgotten, err := wire.Told(r, ring)
	if err != nil {
		return nil, err
	}
	out := &recordv1.Entry{By: record.By(m.GetMeta()), Forgotten: forgotten}
	if !held(out, m) {
		left(out, m)
	}
	if out.GetSourceId() != "" && out.GetImporter() == "" {
		out.Importer, err = s.importer(ctx, out.GetSourceId(), ring)
	}
	if err == nil && !forgotten && out.GetBuyerId() == "" && out.GetAgreementId()+out.GetDeliveryId() != "" {
		out.BuyerId, err = s.named(ctx, out)
	}
	return out, err
}

// named is the buyer that an entry is about: events name the agreement, or one of its deliveries. Empty before there was a package.
func (s *Server) named(ctx context.Context, e *recordv1.Entry) (string, error) {
	agreement, _ := id.Parse(e.GetAgreementId()) // ours, or empty
	delivery, _ := id.Parse(e.GetDeliveryId())
	to, err := s.View.Buyer(ctx, agreement, delivery)
	if err != nil || to.IsZero() {
		return "", err
	}
	return to.String(), nil
}

// importer names what reads a source; empty where that is forgotten.
func (s *Server) importer(ctx context.Context, source string, ring *vault.Ring) (string, error) {
	from, err := id.Parse(source)
	if err != nil {
		return "", err
	}
	known, err := s.source(ctx, from, ring)
	if errors.Is(err, holding.ErrSourceUnknown) {
		return "", nil
	}
	return known.Importer, err
}

// held tells of what came in.
func held(out *recordv1.Entry, m *deliveryv1.Event) bool {
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_SourceConnected:
		out.SourceId, out.Importer = arm.SourceConnected.GetSourceId(), arm.SourceConnected.GetImporter()
	case *deliveryv1.Event_DataImported:
		out.SourceId = arm.DataImported.GetSourceId()
		for _, a := range arm.DataImported.GetArrivals() {
			out.Received = append(out.Received, &recordv1.Received{Schema: a.GetSchema(), Points: a.GetPoints(), Days: a.GetDays()})
		}
	case *deliveryv1.Event_FactsDerived:
		for _, f := range arm.FactsDerived.GetFacts() {
			out.Derived = append(out.Derived, &recordv1.Derived{Fact: f.GetId(), Band: f.GetBand()})
		}
	case *deliveryv1.Event_PointCorrected:
		e := arm.PointCorrected
		out.SourceId = e.GetSourceId()
		if e.GetSchema() != "" {
			out.Corrected = &recordv1.Corrected{
				Schema: e.GetSchema(), Day: e.GetDay(), PointId: e.GetPointId(), Supersedes: e.GetSupersedes(), DeliveryIds: e.GetDeliveryIds(),
			}
		}
	case *deliveryv1.Event_SourceRestricted:
		out.SourceId = arm.SourceRestricted.GetSourceId()
	case *deliveryv1.Event_RestrictionLifted:
		out.SourceId = arm.RestrictionLifted.GetSourceId()
	case *deliveryv1.Event_SourceDisconnected:
		out.SourceId = arm.SourceDisconnected.GetSourceId()
	case *deliveryv1.Event_SourceReconnected:
		out.SourceId = arm.SourceReconnected.GetSourceId()
	default:
		return false
	}
	return true
}

// left tells of what is to leave, and does.
func left(out *recordv1.Entry, m *deliveryv1.Event) {
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_AgreementTaken:
		record.Licence(out, arm.AgreementTaken.GetLicence())
		out.AgreementId, out.BidId, out.Due = arm.AgreementTaken.GetAgreementId(), arm.AgreementTaken.GetBidId(), arm.AgreementTaken.GetDueAt()
	case *deliveryv1.Event_SlotsAwaited:
		out.AgreementId, out.Due = arm.SlotsAwaited.GetAgreementId(), arm.SlotsAwaited.GetDueAt()
	case *deliveryv1.Event_AgreementCleared:
		out.AgreementId, out.Due = arm.AgreementCleared.GetAgreementId(), arm.AgreementCleared.GetDueAt()
	case *deliveryv1.Event_AgreementEnded:
		e := arm.AgreementEnded
		out.AgreementId, out.OfferId, out.BidId, out.Slots = e.GetAgreementId(), e.GetOfferId(), e.GetBidId(), e.GetSlotsReleased()
		out.Reason = record.Reason(e.GetReason(), "END_REASON_")
	case *deliveryv1.Event_DeliveryPrepared:
		e := arm.DeliveryPrepared
		out.DeliveryId, out.AgreementId, out.Slots, out.SlotDays, out.Due = e.GetDeliveryId(), e.GetAgreementId(), e.GetDeliveredSlots(), e.GetSlots(), e.GetLapsesAt()
	case *deliveryv1.Event_PackageResealed:
		out.DeliveryId = arm.PackageResealed.GetDeliveryId()
	case *deliveryv1.Event_ReceiptSigned:
		out.DeliveryId, out.AgreementId = arm.ReceiptSigned.GetDeliveryId(), arm.ReceiptSigned.GetAgreementId()
	case *deliveryv1.Event_DeliveryReleased:
		e := arm.DeliveryReleased
		out.DeliveryId, out.AgreementId, out.BidId, out.Slots = e.GetDeliveryId(), e.GetAgreementId(), e.GetBidId(), e.GetSlots()
	case *deliveryv1.Event_DeliveryBlocked:
		e := arm.DeliveryBlocked
		out.DeliveryId, out.AgreementId, out.Reason = e.GetDeliveryId(), e.GetAgreementId(), record.Reason(e.GetReason(), "REASON_")
	case *deliveryv1.Event_DeliveryLapsed:
		out.DeliveryId, out.AgreementId = arm.DeliveryLapsed.GetDeliveryId(), arm.DeliveryLapsed.GetAgreementId()
	case *deliveryv1.Event_DeliveryDisputed:
		e := arm.DeliveryDisputed
		out.DeliveryId, out.AgreementId, out.Reason = e.GetDeliveryId(), e.GetAgreementId(), record.Reason(e.GetCode(), "DISPUTE_CODE_")
	case *deliveryv1.Event_DisputeResolved:
		out.DeliveryId, out.AgreementId = arm.DisputeResolved.GetDeliveryId(), arm.DisputeResolved.GetAgreementId()
	case *deliveryv1.Event_DeletionOrdered:
		e := arm.DeletionOrdered
		out.AgreementId, out.Reason, out.Due = e.GetAgreementId(), record.Reason(e.GetReason(), "END_REASON_"), e.GetDue()
	case *deliveryv1.Event_DeletionAttested:
		out.AgreementId, out.Reason = arm.DeletionAttested.GetAgreementId(), arm.DeletionAttested.GetMethod()
	}
}
