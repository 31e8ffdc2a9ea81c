package rpc

import (
	"context"
	"errors"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/record"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/buyer"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// Server answers OffersService.
type Server struct {
	offersv1.UnimplementedOffersServiceServer

	Buyers   *es.Root[buyer.State, buyer.Command, buyer.Event]
	Bids     *es.Root[bid.State, bid.Command, bid.Event]
	View     view.View
	Seen     *projection.Projection
	Record   *record.Book
	Catalog  *catalog.Catalog
	Policy   *policy.Set
	Keys     *vault.Keeper
	Consent  consentv1.ConsentServiceClient
	Delivery deliveryv1.DeliveryServiceClient
	Now      func() time.Time
	Log      es.Reader
	// Accepted are the events by which people accepted, by agreement, those asked for last.
	Accepted *lru.Map[id.ID, es.Record]
	// vetting is one at a time in a process: whoever waits for another process's holds a connection.
	vetting sync.Mutex
	board   board
	// Currency of the operator's book, and the commission on every slot in millionths.
	Currency   string
	Commission int64
}

var errIdempotency = fault.Conflict("IDEMPOTENCY_CONFLICT", "the same idempotency key came with another request")

// meta says who acts.
func meta(ctx context.Context) *eventv1.Meta {
	caller := boot.CallerFrom(ctx)
	return &eventv1.Meta{Actor: caller.Actor(), OnBehalfOf: caller.For}
}

// command makes a command of a request.
func command[C any](ctx context.Context, method, key string, r proto.Message, body C) (es.Command[C], error) {
	number, hash, err := boot.Command(ctx, method, key, r)
	return es.Command[C]{ID: number, Hash: hash, Body: body, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject}, err
}

// conflict tells a repeated idempotency key with another request as this context names it.
func conflict(err error) error {
	if errors.Is(err, es.ErrOtherBody) {
		return errIdempotency
	}
	return err
}

// seen waits until the tables have seen a cursor.
func (s *Server) seen(ctx context.Context, after *eventv1.Cursor) error {
	c := es.Cursor{Service: after.GetService(), Partition: es.Partition(after.GetPartition()), Position: es.Position(after.GetPosition())}
	copy(c.Incarnation[:], after.GetIncarnation())
	return s.Seen.Wait(ctx, c)
}

func cursor(c es.Cursor) *eventv1.Cursor {
	return &eventv1.Cursor{Service: c.Service, Incarnation: c.Incarnation[:], Partition: int32(c.Partition), Position: int64(c.Position)}
}

// parse reads an id of a request.
func parse(field, s string) (id.ID, error) {
	v, err := id.Parse(s)
	if err != nil || v.IsZero() {
		return v, fault.Invalid(field, "must be a UUID")
	}
	return v, nil
}
