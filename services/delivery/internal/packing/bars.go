package packing

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// Bars has restrictions hold that the log knows of.
type Bars struct {
	Holdings *es.Root[holding.State, holding.Command, holding.Event]
	Shelves  *es.Root[shelf.State, shelf.Command, shelf.Event]
	Store    store.Store
	Catalog  *catalog.Catalog
}

// Hold has a source's restriction, or its end, hold as the log says now: what is counted of the person is counted anew, and what that
// changed of the facts is told. Where the source is restricted, packages that wait with something of it are blocked for ever and
// destroyed, on the shelf, which also decides whether a key leaves. It may be done any number of times, by anybody.
func (b *Bars) Hold(ctx context.Context, on holding.On, ring *vault.Ring, meta *eventv1.Meta) (es.Cursor, error) {
	state, _, err := b.Holdings.State(ctx, wire.HoldingStream(on), ring)
	if err != nil {
		return es.Cursor{}, err
	}
	source, known := state.(holding.Source)
	if !known {
		return es.Cursor{}, holding.ErrSourceUnknown
	}
	says, err := b.Store.Bar(ctx, ring, on.Source.ID, source.Restricted, source.Turns, b.Catalog.Products())
	if err != nil {
		return es.Cursor{}, err
	}
	turn := binary.BigEndian.AppendUint32(nil, uint32(source.Turns))
	told, err := b.Holdings.Do(ctx, es.Command[holding.Command]{
		ID: id.Derive([]byte("turn"), on.Source.ID[:], turn), Keys: ring, Meta: meta, Caller: "turn",
		Body: holding.Derive{Holding: on.Holding, Rules: says.Rules, Facts: says.Facts},
	})
	if err != nil {
		return told.Cursor, err
	}
	at, err := b.Settle(ctx, on.Holding, ring, says, told.Cursor, meta)
	if err != nil || !source.Restricted {
		return at, err
	}
	return at, b.stop(ctx, on, ring, turn, meta)
}

// Settle is called by whoever has told the log what the rules say. The store and the log are two: what the store says since may have been
// told before, and then the log says what is no more, of a restricted source too. Whoever tells last looks last. It gives how far the log
// is then.
func (b *Bars) Settle(
	ctx context.Context, who holding.ID, ring *vault.Ring, told store.Derived, at es.Cursor, meta *eventv1.Meta,
) (es.Cursor, error) {
	for {
		now, err := b.Store.Facts(ctx, ring)
		if errors.Is(err, vault.ErrErased) {
			return at, nil
		}
		if err != nil || now.Rules != told.Rules || maps.Equal(now.Facts, told.Facts) {
			return at, err
		}
		result, err := b.Holdings.Do(ctx, es.Command[holding.Command]{
			Keys: ring, Meta: meta, Caller: "settle", Body: holding.Derive{Holding: who, Rules: now.Rules, Facts: now.Facts},
		})
		if err != nil {
			return at, err
		}
		told, at = now, result.Cursor
	}
}

// stop blocks what waits with something of a source. One that is not on the shelf yet is found when its key is asked for.
func (b *Bars) stop(ctx context.Context, on holding.On, ring *vault.Ring, turn []byte, meta *eventv1.Meta) error {
	list, err := b.Store.From(ctx, on.Holding.ID, on.Source.ID)
	if err != nil {
		return err
	}
	who := shelf.SubscriberID{ID: on.Holding.ID}
	for _, w := range list {
		_, err := b.Stop(ctx, shelf.Of(who), w, es.Command[shelf.Command]{
			ID: id.Derive([]byte("stop"), w.Delivery[:], on.Source.ID[:], turn), Keys: ring, Meta: meta, Caller: "turn",
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Stop has a package that may hold something of a restricted source blocked for ever, and destroys what nobody may open any more. c says who
// asks, with whose keys. Whether the key has left the shelf alone knows: Stop gives the delivery as it is there, and one whose key has left
// stays as it is.
func (b *Bars) Stop(ctx context.Context, at shelf.ID, w store.Waiting, c es.Command[shelf.Command]) (shelf.Delivery, error) {
	c.Body = shelf.Stop{Shelf: at, Agreement: shelf.AgreementID{ID: w.Agreement}, Delivery: shelf.DeliveryID{ID: w.Delivery}, Reason: Restricted}
	if _, err := b.Shelves.Do(ctx, c); err != nil {
		return shelf.Delivery{}, err
	}
	state, _, err := b.Shelves.State(ctx, wire.Stream(shelf.On{Shelf: at, Child: w.Delivery}), c.Keys)
	if err != nil {
		return shelf.Delivery{}, err
	}
	d, _ := state.(shelf.Delivery) // none where it is not on the shelf yet
	if d.Status == shelf.Stopped {
		err = b.Store.Destroy(ctx, w.Delivery)
	}
	return d, err
}

// Restricted is the reason by which a package is blocked that holds something of a restricted source.
const Restricted = "SOURCE_RESTRICTED"
