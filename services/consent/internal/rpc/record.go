package rpc

import (
	"context"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/record"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
	"github.com/obole-market/obole/services/consent/internal/wire"
)

// ListRecord lists what the log holds about a person, newest first.
func (s *Server) ListRecord(ctx context.Context, r *consentv1.ListRecordRequest) (*consentv1.ListRecordResponse, error) {
	p, err := s.Record.List(ctx, r)
	if err != nil {
		return nil, err
	}
	return &consentv1.ListRecordResponse{Entries: p.Entries, NextPageToken: p.Next, WatchToken: p.Watch}, nil
}

// WatchRecord streams what happens to a person.
func (s *Server) WatchRecord(r *consentv1.WatchRecordRequest, stream grpc.ServerStreamingServer[consentv1.WatchRecordResponse]) error {
	return s.Record.Watch(stream.Context(), r, func(e *recordv1.Entry, token string) error {
		return stream.Send(&consentv1.WatchRecordResponse{Entry: e, WatchToken: token})
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
	switch arm := m.GetEvent().(type) {
	case *consentv1.Event_SubscriberEnrolled:
		out.Language = arm.SubscriberEnrolled.GetLanguage()
	case *consentv1.Event_AgeAssured:
		out.Reason = arm.AgeAssured.GetMethod()
	case *consentv1.Event_ConsentGiven:
		e := arm.ConsentGiven
		record.Licence(out, e.GetRecord().GetLicence())
		out.AgreementId, out.OfferId, out.BidId, out.Due = e.GetAgreementId(), e.GetOfferId(), e.GetBidId(), e.GetExpiresAt()
	case *consentv1.Event_ConsentRefused:
		e := arm.ConsentRefused
		out.AgreementId, out.OfferId, out.BidId = e.GetAgreementId(), e.GetOfferId(), e.GetBidId()
		out.Reason = record.Reason(e.GetReason(), "REASON_")
	case *consentv1.Event_ConsentWithdrawn:
		e := arm.ConsentWithdrawn
		reach(out, e.GetScope(), e.GetAll())
		if e.GetAwaitedAgreementId() != "" {
			out.AgreementId = e.GetAwaitedAgreementId()
		}
		initiated(out, e.GetInitiator())
	case *consentv1.Event_ConsentPaused:
		reach(out, arm.ConsentPaused.GetScope(), arm.ConsentPaused.GetAll())
		initiated(out, arm.ConsentPaused.GetInitiator())
	case *consentv1.Event_ConsentResumed:
		reach(out, arm.ConsentResumed.GetScope(), arm.ConsentResumed.GetAll())
	case *consentv1.Event_ConsentExpired:
		reach(out, []*consentv1.Ended{arm.ConsentExpired.GetScope()}, false)
		out.Reason = record.Reason(arm.ConsentExpired.GetReason(), "EXPIRY_REASON_")
	case *consentv1.Event_ReleaseCommitted:
		out.AgreementId, out.DeliveryId = arm.ReleaseCommitted.GetAgreementId(), arm.ReleaseCommitted.GetDeliveryId()
	case *consentv1.Event_ErasureRequested:
		out.All = true
	}
	return out, nil
}

// reach says what a withdrawal, pause, resumption or expiry was of.
func reach(out *recordv1.Entry, scope []*consentv1.Ended, all bool) {
	out.All = all
	for _, e := range scope {
		out.Scope = append(out.Scope, &recordv1.Touched{AgreementId: e.GetAgreementId(), OfferId: e.GetOfferId(), BidId: e.GetBidId()})
	}
	if !all && len(scope) == 1 {
		out.AgreementId, out.OfferId, out.BidId = scope[0].GetAgreementId(), scope[0].GetOfferId(), scope[0].GetBidId()
	}
}

// initiated says who did it, where the event itself knows better than who sent it.
func initiated(out *recordv1.Entry, by consentv1.Initiator) {
	switch by {
	case consentv1.Initiator_INITIATOR_PERSON:
		out.By = recordv1.By_BY_PERSON
	case consentv1.Initiator_INITIATOR_GUARDIAN:
		out.By = recordv1.By_BY_GUARDIAN
	case consentv1.Initiator_INITIATOR_CONTROLLER:
		out.By = recordv1.By_BY_OPERATOR
	case consentv1.Initiator_INITIATOR_AUTHORITY:
		out.By = recordv1.By_BY_AUTHORITY
	}
}
