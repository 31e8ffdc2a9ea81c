package rpc

import (
	"context"
	"strings"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/record"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// ListRecord lists what the log holds about a person, newest first.
func (s *Server) ListRecord(ctx context.Context, r *offersv1.ListRecordRequest) (*offersv1.ListRecordResponse, error) {
	p, err := s.Record.List(ctx, r)
	if err != nil {
		return nil, err
	}
	return &offersv1.ListRecordResponse{Entries: p.Entries, NextPageToken: p.Next, WatchToken: p.Watch}, nil
}

// WatchRecord streams what happens to a person.
func (s *Server) WatchRecord(r *offersv1.WatchRecordRequest, stream grpc.ServerStreamingServer[offersv1.WatchRecordResponse]) error {
	return s.Record.Watch(stream.Context(), r, func(e *recordv1.Entry, token string) error {
		return stream.Send(&offersv1.WatchRecordResponse{Entry: e, WatchToken: token})
	})
}

// Tell makes the entry of an event about a person.
func (s *Server) Tell(ctx context.Context, _ id.ID, r *es.Record) (*recordv1.Entry, error) {
	m, forgotten, err := s.opened(ctx, r)
	if err != nil {
		return nil, err
	}
	out := &recordv1.Entry{By: record.By(m.GetMeta()), Forgotten: forgotten}
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_OfferPresented:
		e := arm.OfferPresented
		out.OfferId, out.BidId, out.CardSha256, out.Language = e.GetOfferId(), e.GetBidId(), e.GetCardSha256(), e.GetLanguage()
	case *offersv1.Event_OfferAccepted:
		e := arm.OfferAccepted
		out.AgreementId, out.BidId, out.Slots = e.GetAgreementId(), e.GetBidId(), e.GetSlots()
		record.Licence(out, e.GetLicence())
		out.OfferId, out.CardSha256, out.Due = e.GetOfferId(), e.GetCardSha256(), e.GetAnswerDue()
	case *offersv1.Event_OfferDeclined:
		out.OfferId, out.BidId = arm.OfferDeclined.GetOfferId(), arm.OfferDeclined.GetBidId()
	case *offersv1.Event_OfferVoided:
		e := arm.OfferVoided
		out.OfferId, out.BidId, out.AgreementId, out.Reason, out.Slots = e.GetOfferId(), e.GetBidId(), e.GetAgreementId(), e.GetReason(), e.GetSlots()
	case *offersv1.Event_AgreementFormed:
		e := arm.AgreementFormed
		out.AgreementId, out.OfferId, out.BidId, out.BuyerId, out.Slots = e.GetAgreementId(), e.GetOfferId(), e.GetBidId(), e.GetBuyerId(), e.GetSlots()
		record.Licence(out, e.GetLicence())
		out.Due = e.GetLicence().GetExpiresAt()
	case *offersv1.Event_AgreementFinished:
		e := arm.AgreementFinished
		out.OfferId, out.BidId, out.AgreementId, out.Slots = e.GetOfferId(), e.GetBidId(), e.GetAgreementId(), e.GetSlotsDelivered()
		out.Reason = strings.TrimPrefix(e.GetReason(), "END_REASON_") // delivery's word, as delivery itself tells it
	}
	return out, nil
}

// opened reads a stored event with what is personal in it, and says whether anything of that is forgotten.
func (s *Server) opened(ctx context.Context, r *es.Record) (m *offersv1.Event, forgotten bool, err error) {
	if m, err = wire.Decode(r.Data); err != nil || wire.Person(m) == "" {
		return m, false, err
	}
	person, err := id.Parse(wire.Person(m))
	if err != nil {
		return nil, false, err
	}
	ring, err := s.Keys.Ring(ctx, person)
	if err != nil {
		return nil, false, err
	}
	forgotten, err = wire.Open(m, r, ring)
	return m, forgotten, err
}
