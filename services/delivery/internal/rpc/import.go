package rpc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

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
	if err := s.enrolled(ctx, h.GetSubscriberId()); err != nil {
		return err
	}
	ring, err := s.Keys.Ring(ctx, who)
	if err != nil {
		return err
	}
	from, known, err := s.from(ctx, h, ring)
	if err != nil {
		return err
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
	o := source.Options{
		Person: who, Source: from.Source, Importer: known.Importer, File: h.GetFileName(), Zone: h.GetZone(), Participant: h.GetPerson(),
		First: h.GetDays().GetFirst(), Last: h.GetDays().GetLast(), Assurance: from.Assurance, Now: s.Now(),
		Correspondent: correspondent,
	}
	what := fmt.Sprintf("%x %s %s", sha256.Sum256([]byte(o.Participant)), o.First, o.Last)
	done, err := s.Store.Read(within, ring, from, s.Catalog.Products(), what, s.Now(), func(emit func(*point.Point) error) (source.Summary, error) {
		summary, err := source.Import(within, receive(within, stream.Recv), o, emit)
		if err == nil {
			err = s.still(within, from, ring)
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
		SourceId: done.Source.String(),
	})
}

// record tells the log of an import, or of a correction. However often it is told, it is told once.
func (s *Server) record(ctx context.Context, ring *vault.Ring, i store.Import, m *eventv1.Meta) (es.Cursor, error) {
	c := holding.Import{
		Holding: holding.ID{ID: i.Subscriber}, Import: holding.ImportID{ID: i.ID}, Source: holding.SourceID{ID: i.Source}, Zone: i.Zone,
		Fingerprint: i.Fingerprint, Importer: i.Version, File: i.File, Arrivals: arrivals(i.Arrivals), Repeated: i.Repeated, Rules: i.Rules, Facts: i.Facts,
	}
	if of := i.Brings; of != nil {
		c.Brings = &holding.Connect{Holding: c.Holding, Source: c.Source, Importer: of.Importer, Route: holding.Route(of.Route)}
	}
	var body holding.Command = c
	if of := i.Corrected; of != nil {
		body = holding.Correct{
			Holding: holding.ID{ID: i.Subscriber}, Source: holding.SourceID{ID: i.Source}, Point: holding.PointID{ID: of.Point},
			Supersedes: holding.PointID{ID: of.Supersedes}, Schema: of.Schema, Day: of.Day, Deliveries: of.Deliveries, Rules: i.Rules, Facts: i.Facts,
		}
	}
	result, err := s.Holdings.Do(ctx, es.Command[holding.Command]{
		ID: id.Derive([]byte("imported"), i.ID[:]), Keys: ring, Meta: m, Caller: "import", Body: body,
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
	if err := s.enrolled(ctx, r.GetSubscriberId()); err != nil {
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
	done, err := s.Store.Read(ctx, ring, store.Origin{Source: origin, Assurance: assurance}, s.Catalog.Products(), "", now, func(emit func(*point.Point) error) (source.Summary, error) {
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
		// It may have waited for a file of the person.
		err := s.still(ctx, store.Origin{Source: origin}, ring)
		return source.Summary{SHA256: sha256.Sum256(bytes.Join(r.GetPoints(), []byte{'\n'})), Command: command}, err
	})
	if err != nil {
		return none, es.Cursor{}, conflict(err)
	}
	at, err := s.record(ctx, ring, done, meta(ctx))
	return done, at, err
}
