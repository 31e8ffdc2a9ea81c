package rpc

import (
	"context"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/view"
	"github.com/obole-market/obole/services/consent/internal/wire"
)

const page = 100

var states = map[string]consentv1.ConsentState{
	"given": consentv1.ConsentState_CONSENT_STATE_GIVEN, "paused": consentv1.ConsentState_CONSENT_STATE_PAUSED,
	"withdrawn": consentv1.ConsentState_CONSENT_STATE_WITHDRAWN, "expired": consentv1.ConsentState_CONSENT_STATE_EXPIRED,
	"refused": consentv1.ConsentState_CONSENT_STATE_REFUSED,
}

// ListConsents lists a person's consents, newest first.
func (s *Server) ListConsents(ctx context.Context, r *consentv1.ListConsentsRequest) (*consentv1.ListConsentsResponse, error) {
	who, err := person(r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	filter := view.Filter{Live: r.GetLive()}
	filter.Agreement, _ = id.Parse(r.GetAgreementId()) // empty, or held to be one by the contract
	if r.GetEndsBefore() > 0 {
		filter.EndsBefore = time.UnixMicro(r.GetEndsBefore()).UTC()
	}
	list := "consents/" + who.String()
	place := new(eventv1.StoredEvent)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	limit := int(r.GetPageSize())
	if limit == 0 {
		limit = page
	}
	rows, err := s.View.Consents(ctx, who.ID, filter, place.GetPosition(), limit+1)
	if err != nil {
		return nil, err
	}
	p, _, err := s.person(ctx, who)
	if err != nil {
		return nil, err
	}
	ring, err := s.Keys.Ring(ctx, who.ID)
	if err != nil {
		return nil, err
	}
	out := &consentv1.ListConsentsResponse{Paused: p.PausedAll}
	if len(rows) > limit {
		rows = rows[:limit]
		if out.NextPageToken, err = boot.PageToken(list, &eventv1.StoredEvent{Position: int64(rows[limit-1].Event.Position)}); err != nil {
			return nil, err
		}
	}
	for i := range rows {
		c, err := consent(&rows[i], ring)
		if err != nil {
			return nil, err
		}
		if p.PausedAll && c.GetState() == consentv1.ConsentState_CONSENT_STATE_GIVEN {
			c.State = consentv1.ConsentState_CONSENT_STATE_PAUSED
		}
		out.Consents = append(out.Consents, c)
	}
	return out, nil
}

// consent opens what a row carries sealed.
func consent(row *view.Consent, keys wire.Opener) (*consentv1.Consent, error) {
	m, err := wire.Message(&row.Event, keys)
	if err != nil {
		return nil, err
	}
	out := &consentv1.Consent{
		AgreementId: row.Agreement.String(), State: states[row.State], Record: m.GetConsentGiven().GetRecord(),
		GivenAt: row.Event.At.UnixMicro(), Refused: wire.ReasonProto(row.Refused), Releases: uint32(row.Releases),
	}
	if row.PausedAt != nil {
		out.PausedAt = row.PausedAt.UnixMicro()
	}
	if row.EndedAt != nil {
		out.EndedAt = row.EndedAt.UnixMicro()
	}
	if row.Ended != nil {
		out.Ended = &eventv1.Cursor{Service: "consent", Partition: int32(row.Event.Partition), Position: *row.Ended}
	}
	return out, nil
}

// CountLive counts distinct people with a living consent under a bid. It waits for what this process has stored, so that a
// withdrawal just answered counts.
func (s *Server) CountLive(ctx context.Context, r *consentv1.CountLiveRequest) (*consentv1.CountLiveResponse, error) {
	bid, err := id.Parse(r.GetBidId())
	if err != nil {
		return nil, fault.Invalid("bid_id", "must be a UUID")
	}
	for part := range s.Log.Partitions() {
		tail, err := s.Log.Tail(ctx, es.Partition(part))
		if err != nil {
			return nil, err
		}
		if err := s.Seen.Wait(ctx, es.Cursor{Partition: es.Partition(part), Position: tail.Position}); err != nil {
			return nil, err
		}
	}
	n, err := s.View.Live(ctx, bid)
	if err != nil {
		return nil, err
	}
	return &consentv1.CountLiveResponse{Live: n}, nil
}

// seen waits until the tables have seen a cursor.
func (s *Server) seen(ctx context.Context, after *eventv1.Cursor) error {
	c := es.Cursor{Service: after.GetService(), Partition: es.Partition(after.GetPartition()), Position: es.Position(after.GetPosition())}
	copy(c.Incarnation[:], after.GetIncarnation())
	return s.Seen.Wait(ctx, c)
}
