package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/record"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// Server answers DeliveryService.
type Server struct {
	deliveryv1.UnimplementedDeliveryServiceServer

	Holdings *es.Root[holding.State, holding.Command, holding.Event]
	Shelves  *es.Root[shelf.State, shelf.Command, shelf.Event]
	Keys     *vault.Keeper
	Store    store.Store
	Catalog  *catalog.Catalog
	View     view.View
	Seen     *projection.Projection
	Log      es.Reader
	Record   *record.Book
	Buyers   *packing.Buyers
	Bars     *packing.Bars
	// Antennas are where the operator's cells stand, by their names; nil where it does not say.
	Antennas map[string]source.Antenna
	Offers   offersv1.OffersServiceClient
	Consent  consentv1.ConsentServiceClient
	Now      func() time.Time
	// Tick is the monotonic clock on which the second from the gate to the key runs.
	Tick  func() time.Time
	NewID id.Source
	// Patience is for how long a package waits for its receipt, and for how long a recorded answer may come again.
	Patience time.Duration
	// Gate is told how long the gate took to answer, and with what; Sent how long it was from asking the gate to the key's leaving.
	Gate func(took time.Duration, outcome string)
	Sent func(took time.Duration)

	begun   begun
	imports turns
	terms   terms
}

// Refusals of this package, each named by the contract's Reason.
var (
	errIdempotency = fault.Conflict("IDEMPOTENCY_CONFLICT", "the same idempotency key came with another request")
	errProduct     = fault.NotFound("PRODUCT_UNKNOWN", "there is no such product")
	errOffset      = fault.New(fault.KindInvalid, "OFFSET_INVALID", "the offset is beyond the package")
	errSignature   = fault.Refuse("SIGNATURE_INVALID", "the signature does not verify")
	errKey         = fault.Refuse("KEY_UNKNOWN", "the buyer has no such valid key")
	errUnreachable = fault.New(fault.KindUnavailable, "CONSENT_UNREACHABLE", "consent could not be reached, or answered too late: no key leaves")
	errCohort      = fault.Refuse("COHORT_MISSED", "too few people were left before the first key")
	errClosed      = fault.Refuse("ACCOUNT_CLOSED", "the account is closed: nothing comes in about the person any more")
	errPerson      = fault.NotFound("SUBSCRIBER_UNKNOWN", "nobody is enrolled under this id")
)

func conflict(err error) error {
	if errors.Is(err, es.ErrOtherBody) || errors.Is(err, store.ErrOther) {
		return errIdempotency
	}
	return err
}

// parse reads an id of a request.
func parse(field, s string) (id.ID, error) {
	v, err := id.Parse(s)
	if err != nil || v.IsZero() {
		return v, fault.Invalid(field, "must be a UUID")
	}
	return v, nil
}

// seen waits until the tables have seen a cursor.
func (s *Server) seen(ctx context.Context, after *eventv1.Cursor) error {
	c := es.Cursor{Service: after.GetService(), Partition: es.Partition(after.GetPartition()), Position: es.Position(after.GetPosition())}
	copy(c.Incarnation[:], after.GetIncarnation())
	return s.Seen.Wait(ctx, c)
}

// personal is a request about one person's data.
type personal interface {
	GetSubscriberId() string
	GetAfter() *eventv1.Cursor
}

// reach gives the keys of whom a request is about, once the tables have seen what the caller has.
func (s *Server) reach(ctx context.Context, r personal) (*vault.Ring, error) {
	who, err := parse("subscriber_id", r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	return s.Keys.Ring(ctx, who)
}

// abreast waits until the tables have come to where the log of a root ends now.
func (s *Server) abreast(ctx context.Context, root id.ID) error {
	part := es.PartitionOf(es.StreamOf(root), s.Log.Partitions())
	tail, err := s.Log.Tail(ctx, part)
	if err != nil {
		return err
	}
	return s.Seen.Wait(ctx, es.Cursor{Partition: part, Position: tail.Position})
}

func cursor(c es.Cursor) *eventv1.Cursor {
	return &eventv1.Cursor{Service: c.Service, Incarnation: c.Incarnation[:], Partition: int32(c.Partition), Position: int64(c.Position)}
}

// meta says who asks.
func meta(ctx context.Context) *eventv1.Meta {
	caller := boot.CallerFrom(ctx)
	return &eventv1.Meta{Actor: caller.Actor(), OnBehalfOf: caller.For}
}

// page is the length of a page: what was asked for, or the usual.
func page(asked uint32, usual int) int {
	if asked == 0 {
		return usual
	}
	return int(asked)
}

// message reads a stored event of a row with its person's keys.
func message(e *view.Stored, ring *vault.Ring) (*deliveryv1.Event, error) {
	return wire.Message(&e.Record, ring)
}

// token makes the token of the next page.
func token(list string, position int64) (string, error) {
	return boot.PageToken(list, &eventv1.StoredEvent{Position: position})
}

// from reads a token of token.
func from(list, text string) (int64, error) {
	place := new(eventv1.StoredEvent)
	err := boot.ParsePage(list, text, place)
	return place.GetPosition(), err
}
