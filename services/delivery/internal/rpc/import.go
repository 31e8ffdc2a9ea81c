package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

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
	switch {
	case !slices.Contains(source.Importers(), r.GetImporter()):
		return nil, fault.Invalid("importer", "is none of "+strings.Join(source.Importers(), ", "))
	case source.OfFeed(r.GetImporter()) && holding.Route(r.GetRoute()).Assurance() != holding.OperatorFeed:
		return nil, fault.Invalid("route", "must be the operator's feed: traffic data comes by no other")
	}
	if !mayBring(boot.CallerFrom(ctx).Role, holding.Route(r.GetRoute())) {
		return nil, fault.Invalid("route", "only the operator and its sources connect what is trusted further than a person's own copy")
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

// chunks reads a file from a stream, as long as there is time and its sender goes on.
type chunks struct {
	ctx  context.Context
	came <-chan chunk
	left []byte
	end  error // once it has ended
}

// chunk is what a sender's next message came to.
type chunk struct {
	message *deliveryv1.ImportRequest
	err     error // io.EOF at the end
}

// receive reads a stream until it or ctx ends. Who waits for a message on a stream cannot be called back, and so it is not the reader.
func receive(ctx context.Context, recv func() (*deliveryv1.ImportRequest, error)) *chunks {
	came := make(chan chunk)
	go func() {
		for {
			m, err := recv()
			select {
			case came <- chunk{m, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return &chunks{ctx: ctx, came: came}
}

var errSilent = fault.Deadline("the sender of the file has sent nothing for " + silence.String())

func (c *chunks) Read(b []byte) (int, error) {
	for len(c.left) == 0 {
		if c.end != nil {
			return 0, c.end
		}
		idle := time.NewTimer(silence)
		var next chunk
		select {
		case next = <-c.came:
			idle.Stop()
		case <-idle.C:
			return 0, errSilent // it holds a place that others wait for
		case <-c.ctx.Done():
			idle.Stop()
			return 0, c.ctx.Err()
		}
		switch {
		case next.err != nil:
			c.end = next.err
			return 0, c.end
		case next.message.GetHeader() != nil:
			return 0, fault.Invalid("header", "must come once, first")
		case c.ctx.Err() != nil:
			return 0, c.ctx.Err() // what comes by drops holds a place for ever
		}
		c.left = next.message.GetChunk()
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	return n, nil
}

// Import reads one file as a stream.
func (s *Server) Import(stream grpc.ClientStreamingServer[deliveryv1.ImportRequest, deliveryv1.ImportResponse]) error {
	ctx := stream.Context()
	first, err := stream.Recv()
	if err != nil {
		if errors.Is(err, io.EOF) {
			return fault.Invalid("header", "must come first")
		}
		return err
	}
	h := first.GetHeader()
	if h == nil {
		return fault.Invalid("header", "must come first")
	}
	who, err := parse("header.subscriber_id", h.GetSubscriberId())
	if err != nil {
		return err
	}
	origin, err := parse("header.source_id", h.GetSourceId())
	if err != nil {
		return err
	}
	ring, err := s.Keys.Ring(ctx, who)
	if err != nil {
		return err
	}
	known, err := s.origin(ctx, origin, ring)
	if err != nil {
		return err
	}
	if err := s.enrolled(ctx, h.GetSubscriberId()); err != nil {
		return err
	}
	if !mayBring(boot.CallerFrom(ctx).Role, known.Route) {
		return fault.Invalid("header.source_id", "is a source into which only the operator and its sources bring")
	}
	leave, err := s.imports.enter(ctx, who, true)
	if err != nil {
		return err
	}
	defer leave()
	within, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	correspondent, err := store.Correspondents(ring)
	if err != nil {
		return err
	}
	assurance := point.Assurance(known.Route.Assurance())
	o := source.Options{
		Person: who, Source: origin, Importer: known.Importer, File: h.GetFileName(), Zone: h.GetZone(), Participant: h.GetPerson(),
		First: h.GetDays().GetFirst(), Last: h.GetDays().GetLast(), Assurance: assurance, Now: s.Now(),
		Correspondent: correspondent,
	}
	what := fmt.Sprintf("%x %s %s", sha256.Sum256([]byte(o.Participant)), o.First, o.Last)
	done, err := s.Store.Read(within, ring, origin, assurance, s.Catalog.Products(), what, s.Now(), func(emit func(*point.Point) error) (source.Summary, error) {
		summary, err := source.Import(within, receive(within, stream.Recv), o, emit)
		if err == nil {
			_, err = s.origin(within, origin, ring) // a file takes its time: the person may have disconnected the source since
		}
		return summary, err
	})
	if err != nil {
		return err
	}
	at, err := s.record(ctx, ring, done, meta(ctx))
	if err != nil {
		return err
	}
	return stream.SendAndClose(&deliveryv1.ImportResponse{
		ImportId: done.ID.String(), Arrivals: wire.ArrivalsProto(arrivals(done.Arrivals)), RepeatedPoints: uint32(done.Repeated), FileSha256: done.File[:], Cursor: cursor(at),
	})
}

// record tells the log of an import, or of a correction. However often it is told, it is told once.
func (s *Server) record(ctx context.Context, ring *vault.Ring, i store.Import, m *eventv1.Meta) (es.Cursor, error) {
	var c holding.Command = holding.Import{
		Holding: holding.ID{ID: i.Subscriber}, Import: holding.ImportID{ID: i.ID}, Source: holding.SourceID{ID: i.Source}, Zone: i.Zone,
		Fingerprint: i.Fingerprint, Importer: i.Version, File: i.File, Arrivals: arrivals(i.Arrivals), Repeated: i.Repeated, Rules: i.Rules, Facts: i.Facts,
	}
	if of := i.Corrected; of != nil {
		c = holding.Correct{
			Holding: holding.ID{ID: i.Subscriber}, Source: holding.SourceID{ID: i.Source}, Point: holding.PointID{ID: of.Point},
			Supersedes: holding.PointID{ID: of.Supersedes}, Schema: of.Schema, Day: of.Day, Deliveries: of.Deliveries, Rules: i.Rules, Facts: i.Facts,
		}
	}
	result, err := s.Holdings.Do(ctx, es.Command[holding.Command]{
		ID: id.Derive([]byte("imported"), i.ID[:]), Keys: ring, Meta: m, Caller: "import", Body: c,
	})
	if err != nil {
		return es.Cursor{}, err
	}
	at, err := s.Bars.Settle(ctx, holding.ID{ID: i.Subscriber}, ring, store.Derived{Rules: i.Rules, Facts: i.Facts}, result.Cursor, m)
	if err != nil {
		return es.Cursor{}, err
	}
	return at, s.Store.Recorded(ctx, i.ID)
}

// Catch tells the log of imports that were made and not told: the process ended between the two. One that cannot be told does not
// stop the others. One whose person was forgotten since will never be told: it is removed.
func (s *Server) Catch(ctx context.Context, list []store.Import, m *eventv1.Meta) error {
	var failed []error
	for _, open := range list {
		err := s.tell(ctx, open, m)
		if errors.Is(err, vault.ErrErased) {
			err = s.Store.Forgotten(ctx, open.ID)
		}
		failed = append(failed, err)
	}
	return errors.Join(failed...)
}

func (s *Server) tell(ctx context.Context, open store.Import, m *eventv1.Meta) error {
	ring, err := s.Keys.Ring(ctx, open.Subscriber)
	if err != nil {
		return err
	}
	i, err := s.Store.Import(ctx, ring, open.ID)
	if err != nil || i == nil {
		return err
	}
	_, err = s.record(ctx, ring, *i, m)
	return err
}

func arrivals(list []store.Arrival) []holding.Arrival {
	out := make([]holding.Arrival, 0, len(list))
	for _, a := range list {
		out = append(out, holding.Arrival(a))
	}
	return out
}

// PutPoints takes finished data points, a batch a message.
func (s *Server) PutPoints(stream grpc.BidiStreamingServer[deliveryv1.PutPointsRequest, deliveryv1.PutPointsResponse]) error {
	ctx := stream.Context()
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		out := &deliveryv1.PutPointsResponse{IdempotencyKey: r.GetIdempotencyKey()}
		done, at, err := s.put(ctx, r)
		switch f, refused := errors.AsType[*fault.Error](err); {
		case err == nil:
			out.RepeatedPoints, out.Cursor = uint32(done.Repeated), cursor(at)
			for _, a := range done.Arrivals {
				out.Points += uint32(a.Points)
			}
		case refused && (f.Kind == fault.KindInvalid || f.Kind == fault.KindNotFound || f.Kind == fault.KindConflict || f.Kind == fault.KindPrecondition):
			if out.Refused = wire.ReasonProto(f.Reason); out.Refused == 0 {
				out.Refused = deliveryv1.Reason_REASON_ROW_INVALID
			}
			out.Problem = problem(f)
		default:
			return err
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// problem says what is wrong with a batch: its facts name the point and the field.
func problem(f *fault.Error) string {
	text := ""
	for _, fact := range f.Facts {
		text += fact.Name + " " + fact.Text + "; "
	}
	return text + f.Msg
}

func (s *Server) put(ctx context.Context, r *deliveryv1.PutPointsRequest) (store.Import, es.Cursor, error) {
	var none store.Import
	who, err := parse("subscriber_id", r.GetSubscriberId())
	if err != nil {
		return none, es.Cursor{}, err
	}
	origin, err := parse("source_id", r.GetSourceId())
	if err != nil {
		return none, es.Cursor{}, err
	}
	ring, err := s.Keys.Ring(ctx, who)
	if err != nil {
		return none, es.Cursor{}, err
	}
	known, err := s.origin(ctx, origin, ring)
	if err != nil {
		return none, es.Cursor{}, err
	}
	if err := s.enrolled(ctx, r.GetSubscriberId()); err != nil {
		return none, es.Cursor{}, err
	}
	leave, err := s.imports.enter(ctx, who, false)
	if err != nil {
		return none, es.Cursor{}, err
	}
	defer leave()
	assurance := point.Assurance(known.Route.Assurance())
	command, _, err := boot.Command(ctx, "PutPoints", r.GetIdempotencyKey(), r)
	if err != nil {
		return none, es.Cursor{}, err
	}
	now := s.Now()
	done, err := s.Store.Read(ctx, ring, origin, assurance, s.Catalog.Products(), "", now, func(emit func(*point.Point) error) (source.Summary, error) {
		for i, raw := range r.GetPoints() {
			p, err := source.Read(raw)
			if err == nil {
				err = point.CheckPast("body.effective_time_frame", p.Frame, now)
			}
			if err != nil {
				if f, ok := errors.AsType[*fault.Error](err); ok {
					return source.Summary{}, f.And("point", i)
				}
				return source.Summary{}, err
			}
			p.Source, p.Assurance = origin, assurance
			p.ID = point.Identify(who, origin, &p)
			if err := emit(&p); err != nil {
				return source.Summary{}, err
			}
		}
		// It may have waited for a file of the person: they may have disconnected the source since.
		_, err := s.origin(ctx, origin, ring)
		return source.Summary{SHA256: sha256.Sum256(bytes.Join(r.GetPoints(), []byte{'\n'})), Command: command}, err
	})
	if err != nil {
		return none, es.Cursor{}, conflict(err)
	}
	at, err := s.record(ctx, ring, done, meta(ctx))
	return done, at, err
}
