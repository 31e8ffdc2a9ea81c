package rpc

import (
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// errDisconnected refuses what comes from a source that its person has disconnected.
var errDisconnected = fault.Refuse("SOURCE_DISCONNECTED", "the person has disconnected the source: nothing comes from it")

// RestrictSource has what comes from a source used in nothing. The answer comes when that is so.
func (s *Server) RestrictSource(ctx context.Context, r *deliveryv1.RestrictSourceRequest) (*deliveryv1.RestrictSourceResponse, error) {
	at, err := s.turn(ctx, "RestrictSource", r, func(on holding.On) holding.Command { return holding.Restrict(on) })
	if err != nil {
		return nil, err
	}
	return &deliveryv1.RestrictSourceResponse{Cursor: cursor(at)}, nil
}

// LiftRestriction has what comes from a source used again.
func (s *Server) LiftRestriction(ctx context.Context, r *deliveryv1.LiftRestrictionRequest) (*deliveryv1.LiftRestrictionResponse, error) {
	at, err := s.turn(ctx, "LiftRestriction", r, func(on holding.On) holding.Command { return holding.Lift(on) })
	if err != nil {
		return nil, err
	}
	return &deliveryv1.LiftRestrictionResponse{Cursor: cursor(at)}, nil
}

// turn decides a restriction, or its end, and has it hold.
func (s *Server) turn(ctx context.Context, method string, r sourced, body func(holding.On) holding.Command) (es.Cursor, error) {
	on, ring, at, err := s.ofSource(ctx, method, r, body)
	if err != nil {
		return at, err
	}
	after, err := s.Bars.Hold(ctx, on, ring, meta(ctx))
	if after.Position > at.Position {
		at = after
	}
	return at, err
}

// DisconnectSource ends that anything comes from a source.
func (s *Server) DisconnectSource(ctx context.Context, r *deliveryv1.DisconnectSourceRequest) (*deliveryv1.DisconnectSourceResponse, error) {
	_, _, at, err := s.ofSource(ctx, "DisconnectSource", r, func(on holding.On) holding.Command {
		return holding.Disconnect(on)
	})
	if err != nil {
		return nil, err
	}
	return &deliveryv1.DisconnectSourceResponse{Cursor: cursor(at)}, nil
}

// ReconnectSource lets measurements come from a source again.
func (s *Server) ReconnectSource(ctx context.Context, r *deliveryv1.ReconnectSourceRequest) (*deliveryv1.ReconnectSourceResponse, error) {
	if err := s.enrolled(ctx, r.GetSubscriberId()); err != nil {
		return nil, err
	}
	_, _, at, err := s.ofSource(ctx, "ReconnectSource", r, func(on holding.On) holding.Command {
		return holding.Reconnect(on)
	})
	if err != nil {
		return nil, err
	}
	return &deliveryv1.ReconnectSourceResponse{Cursor: cursor(at)}, nil
}

// sourced is a request about one source.
type sourced interface {
	proto.Message
	GetSubscriberId() string
	GetSourceId() string
	GetIdempotencyKey() string
}

// ofSource decides what a person asks of a source.
func (s *Server) ofSource(
	ctx context.Context, method string, r sourced, body func(holding.On) holding.Command,
) (on holding.On, ring *vault.Ring, at es.Cursor, err error) {
	if on.Holding.ID, err = parse("subscriber_id", r.GetSubscriberId()); err != nil {
		return on, nil, at, err
	}
	if on.Source.ID, err = parse("source_id", r.GetSourceId()); err != nil {
		return on, nil, at, err
	}
	command, hash, err := boot.Command(ctx, method, r.GetIdempotencyKey(), r)
	if err != nil {
		return on, nil, at, err
	}
	if ring, err = s.Keys.Ring(ctx, on.Holding.ID); err != nil {
		return on, nil, at, err
	}
	result, err := s.Holdings.Do(ctx, es.Command[holding.Command]{
		ID: command, Hash: hash, Body: body(on), Keys: ring, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject,
	})
	return on, ring, result.Cursor, conflict(err)
}

// CorrectPoint puts the person's own word in the place of a point.
func (s *Server) CorrectPoint(ctx context.Context, r *deliveryv1.CorrectPointRequest) (*deliveryv1.CorrectPointResponse, error) {
	who, err := parse("subscriber_id", r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	says, err := source.Read(r.GetPoint())
	if err != nil {
		return nil, err
	}
	listed, err := source.Decode(r.GetPoint())
	if err != nil {
		return nil, err
	}
	says.ID, says.Created = listed.ID, s.Now().UTC().Truncate(time.Microsecond)
	command, hash, err := boot.Command(ctx, "CorrectPoint", r.GetIdempotencyKey(), r)
	if err != nil {
		return nil, err
	}
	ring, err := s.Keys.Ring(ctx, who)
	if err != nil {
		return nil, err
	}
	leave, err := s.imports.enter(ctx, who, false)
	if err != nil {
		return nil, err
	}
	defer leave()
	carry, err := s.carry(ctx, ring, says.Schema, says.Day())
	if err != nil {
		return nil, err
	}
	done, err := s.Store.Correct(ctx, ring, s.Catalog.Products(), command, hash, says, carry, s.Now())
	if err != nil {
		return nil, conflict(err)
	}
	at, err := s.record(ctx, ring, done, meta(ctx))
	if err != nil {
		return nil, err
	}
	out := &deliveryv1.CorrectPointResponse{PointId: done.Corrected.Point.String(), Supersedes: done.Corrected.Supersedes.String(), Cursor: cursor(at)}
	for _, d := range done.Corrected.Deliveries {
		out.DeliveryIds = append(out.DeliveryIds, d.String())
	}
	return out, nil
}

// carry lists the deliveries about a person with a slot of a day and a product that reads a schema, whose packages were not given up. The
// tables answer once they have seen what is on the shelf now.
func (s *Server) carry(ctx context.Context, ring *vault.Ring, schema point.Schema, day string) (out []id.ID, err error) {
	who := ring.Subject()
	if err := s.abreast(ctx, shelf.Of(shelf.SubscriberID{ID: who}).ID); err != nil {
		return nil, err
	}
	const batch = 1000
	var before int64
	for more := true; more; {
		rows, err := s.View.Uses(ctx, who, id.ID{}, id.ID{}, time.Time{}, before, batch)
		if err != nil {
			return nil, err
		}
		for i := range rows {
			before = rows[i].Position
			if rows[i].State == "blocked" || rows[i].State == "lapsed" {
				continue
			}
			taken, prepared, _, err := opened(&rows[i], ring)
			if err != nil {
				return nil, err
			}
			if !slices.Contains(prepared.GetSlots(), day) {
				continue
			}
			product := taken.GetLicence().GetProduct()
			p, known := s.Catalog.Product(product.GetId(), product.GetVersion())
			if !known {
				return nil, fault.Internal("the catalogue has no such version of a product any more")
			}
			reads, err := minimise.Schemas(&p)
			if err != nil {
				return nil, err
			}
			if slices.Contains(reads, schema) {
				out = append(out, rows[i].ID)
			}
		}
		more = len(rows) == batch
	}
	return out, nil
}
