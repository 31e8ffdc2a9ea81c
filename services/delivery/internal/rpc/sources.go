package rpc

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// ConnectSource names where measurements will come from.
func (s *Server) ConnectSource(ctx context.Context, r *deliveryv1.ConnectSourceRequest) (*deliveryv1.ConnectSourceResponse, error) {
	who, err := parse("subscriber_id", r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	if err := mayConnect(ctx, "", r.GetImporter(), holding.Route(r.GetRoute())); err != nil {
		return nil, err
	}
	command, hash, err := boot.Command(ctx, "ConnectSource", r.GetIdempotencyKey(), r)
	if err != nil {
		return nil, err
	}
	if err := s.enrolled(ctx, r.GetSubscriberId()); err != nil {
		// What was decided is answered again, whether consent is there or not.
		if fault.KindOf(err) != fault.KindUnavailable {
			return nil, err
		}
		if known, e := s.connected(ctx, who, sourceOf(who, command)); e != nil || !known {
			return nil, errors.Join(e, err)
		}
	}
	ring, err := s.Keys.Ring(ctx, who)
	if err != nil {
		return nil, err
	}
	c := holding.Connect{
		Holding: holding.ID{ID: who}, Source: sourceOf(who, command),
		Importer: r.GetImporter(), Route: holding.Route(r.GetRoute()),
	}
	result, err := s.Holdings.Do(ctx, es.Command[holding.Command]{
		ID: command, Hash: hash, Body: c, Keys: ring, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject,
	})
	if err != nil {
		return nil, conflict(err)
	}
	return &deliveryv1.ConnectSourceResponse{SourceId: c.Source.String(), Cursor: cursor(result.Cursor)}, nil
}

// mayConnect refuses a source that nothing reads, or that the caller may not connect. in is where its fields stand in the request.
func mayConnect(ctx context.Context, in, importer string, route holding.Route) error {
	switch {
	case !slices.Contains(source.Importers(), importer):
		return fault.Invalid(in+"importer", "is none of "+strings.Join(source.Importers(), ", "))
	case source.OfFeed(importer) && route.Assurance() != holding.OperatorFeed:
		return fault.Invalid(in+"route", "must be the operator's feed: traffic data comes by no other")
	case !mayBring(boot.CallerFrom(ctx).Role, route):
		return fault.Invalid(in+"route", "only the operator and its sources connect what is trusted further than a person's own copy")
	}
	return nil
}

// enrolWait is how long consent may take to say whether there is such a person.
const enrolWait = 2 * time.Second

// enrolled asks consent, which owns the fact. Nothing comes without a source, so nothing comes about somebody who never joined, and no
// keys are made for them; nothing comes either about somebody who has left.
func (s *Server) enrolled(ctx context.Context, who string) error {
	ctx, cancel := context.WithTimeout(ctx, enrolWait)
	defer cancel()
	r, err := s.Consent.IsEnrolled(ctx, &consentv1.IsEnrolledRequest{SubscriberId: who})
	switch {
	case err != nil:
		return fault.Unavailable("consent does not say whether there is such a person").Because(err)
	case !r.GetEnrolled():
		return errPerson.And("subscriber_id", "was never enrolled")
	case r.GetClosed():
		return errClosed
	}
	return nil
}

// connected says whether a source is in the log. The tables answer, which need no keys of the person, once they have come to its end.
func (s *Server) connected(ctx context.Context, who id.ID, from holding.SourceID) (bool, error) {
	if err := s.abreast(ctx, who); err != nil {
		return false, err
	}
	return s.View.Connected(ctx, who, from.ID)
}

// sourceOf names a source after its person and the command that connects it: the operator's idempotency key may be the same for many
// people, and where their holdings stand in different partitions the log takes each.
func sourceOf(who, command id.ID) holding.SourceID {
	return holding.SourceID{ID: id.Derive([]byte("source"), who[:], command[:])}
}

// mayBring says whether a caller in this role may bring measurements by this route. A person's own word makes a file neither the
// operator's feed nor a vendor's, into whichever source it is put: buyers pay for the assurance of the route.
func mayBring(r eventv1.Role, route holding.Route) bool {
	return r != eventv1.Role_ROLE_SUBSCRIBER || route.Assurance() == holding.OwnFile
}

// source finds a person's source.
func (s *Server) source(ctx context.Context, from id.ID, ring *vault.Ring) (holding.Source, error) {
	on := holding.On{Holding: holding.ID{ID: ring.Subject()}, Source: holding.SourceID{ID: from}}
	state, _, err := s.Holdings.State(ctx, wire.HoldingStream(on), ring)
	if err != nil {
		return holding.Source{}, err
	}
	found, known := state.(holding.Source)
	if !known {
		return found, holding.ErrSourceUnknown
	}
	return found, nil
}

// origin finds a person's source from which measurements may come.
func (s *Server) origin(ctx context.Context, from id.ID, ring *vault.Ring) (holding.Source, error) {
	found, err := s.source(ctx, from, ring)
	if err == nil && found.Disconnected {
		err = errDisconnected
	}
	return found, err
}

// from finds where a file comes from: a source that is there, or one that it brings.
func (s *Server) from(ctx context.Context, h *deliveryv1.ImportHeader, ring *vault.Ring) (from store.Origin, known holding.Source, err error) {
	of := h.GetConnect()
	if of == nil {
		if from.Source, err = parse("header.source_id", h.GetSourceId()); err != nil {
			return from, known, err
		}
		known, err = s.origin(ctx, from.Source, ring)
		if err == nil && !mayBring(boot.CallerFrom(ctx).Role, known.Route) {
			err = fault.Invalid("header.source_id", "is a source into which only the operator and its sources bring")
		}
		from.Assurance = point.Assurance(known.Route.Assurance())
		return from, known, err
	}
	if h.GetSourceId() != "" {
		return from, known, fault.Invalid("header.connect", "must not come with a source_id: a file has one source")
	}
	route := holding.Route(of.GetRoute())
	if err := mayConnect(ctx, "header.connect.", of.GetImporter(), route); err != nil {
		return from, known, err
	}
	command, _, err := boot.Command(ctx, "ConnectSource", of.GetIdempotencyKey(), of)
	if err != nil {
		return from, known, err
	}
	from.Source, from.Assurance = sourceOf(ring.Subject(), command).ID, point.Assurance(route.Assurance())
	known, err = s.origin(ctx, from.Source, ring)
	switch {
	case errors.Is(err, holding.ErrSourceUnknown):
		from.Brings = &store.Brings{Importer: of.GetImporter(), Route: int32(route)}
		return from, holding.Source{Importer: of.GetImporter(), Route: route}, nil
	case err == nil && (known.Importer != of.GetImporter() || known.Route != route):
		err = errIdempotency
	}
	return from, known, err
}

// still says whether measurements may come from a file's source by now. A file takes its time: the person may have disconnected it since, or left.
func (s *Server) still(ctx context.Context, from store.Origin, ring *vault.Ring) error {
	if err := s.enrolled(ctx, ring.Subject().String()); err != nil {
		return err
	}
	known, err := s.origin(ctx, from.Source, ring)
	switch brings := from.Brings; {
	case brings == nil:
		return err
	case errors.Is(err, holding.ErrSourceUnknown):
		return nil
	case err == nil && (known.Importer != brings.Importer || int32(known.Route) != brings.Route):
		return errIdempotency // another call has connected it meanwhile, as something else
	}
	return err
}

// ListSources lists a person's sources and what came from them.
func (s *Server) ListSources(ctx context.Context, r *deliveryv1.ListSourcesRequest) (*deliveryv1.ListSourcesResponse, error) {
	ring, err := s.reach(ctx, r)
	if err != nil {
		return nil, err
	}
	who := ring.Subject()
	list, place := "sources/"+who.String(), new(deliveryv1.Source)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	var after view.Place
	if place.GetSourceId() != "" {
		after.At = time.UnixMicro(place.GetConnectedAt()).UTC()
		after.ID, _ = id.Parse(place.GetSourceId()) // our own token
	}
	limit := page(r.GetPageSize(), 100)
	rows, err := s.View.Sources(ctx, who, after, limit+1)
	if err != nil {
		return nil, err
	}
	out := new(deliveryv1.ListSourcesResponse)
	if len(rows) > limit {
		rows = rows[:limit]
		last := &rows[limit-1]
		if out.NextPageToken, err = boot.PageToken(list, &deliveryv1.Source{SourceId: last.ID.String(), ConnectedAt: last.Event.At.UnixMicro()}); err != nil {
			return nil, err
		}
	}
	numbers := make([]id.ID, len(rows))
	for i := range rows {
		numbers[i] = rows[i].ID
	}
	came, err := s.Store.Arrived(ctx, ring, numbers)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		m, err := message(&rows[i].Event, ring)
		if err != nil {
			return nil, err
		}
		e := m.GetSourceConnected()
		source := &deliveryv1.Source{
			SourceId: e.GetSourceId(), Importer: e.GetImporter(), Route: e.GetRoute(), ConnectedAt: rows[i].Event.At.UnixMicro(),
			Arrivals: wire.ArrivalsProto(arrivals(came[rows[i].ID])), RestrictedAt: micros(rows[i].RestrictedAt), DisconnectedAt: micros(rows[i].DisconnectedAt),
		}
		if at := rows[i].ImportedAt; at != nil {
			source.ImportedAt = at.UnixMicro()
		}
		out.Sources = append(out.Sources, source)
	}
	return out, nil
}

// micros is a time as the contract writes it; 0 for none.
func micros(at *time.Time) int64 {
	if at == nil {
		return 0
	}
	return at.UnixMicro()
}
