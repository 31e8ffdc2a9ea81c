package react

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// Name of the reaction; command ids derive from it.
const Name = "delivery"

// Sources are the services whose topics it reads, its own among them.
var Sources = []string{"offers", "consent", "delivery"}

// Types are the events it reacts to. The agreements of a bid say nothing about each other; that it has cleared is told after all
// that had formed.
var Types = map[string]bus.Way{
	"agreement_formed": bus.Abreast, "bid_cleared": bus.InOrder, "offer_voided": bus.Overtaking,
	"buyer_key_rotated": bus.InOrder, "consent_withdrawn": bus.Overtaking, "consent_expired": bus.Overtaking, "consent_resumed": bus.InOrder,
	"data_imported": bus.InOrder, "point_corrected": bus.InOrder, "source_restricted": bus.Overtaking, "restriction_lifted": bus.InOrder,
	"agreement_ended": bus.Abreast, "delivery_lapsed": bus.Abreast, "deletion_ordered": bus.Abreast,
}

// Parcel is a package whose key has not left.
type Parcel struct {
	Agreement packing.Agreement
	Delivery  shelf.DeliveryID
}

// Reactor reacts.
type Reactor struct {
	Shelves *es.Root[shelf.State, shelf.Command, shelf.Event]
	Keys    *vault.Keeper
	Store   store.Store
	Packer  *packing.Packer
	Bars    *packing.Bars
	Buyers  *packing.Buyers
	Market  offersv1.OffersServiceClient
	// OfBid lists the agreements of a bid that run; Unreleased a buyer's packages whose key has not left.
	OfBid      func(ctx context.Context, bid id.ID) ([]packing.Agreement, error)
	Unreleased func(ctx context.Context, buyer id.ID) ([]Parcel, error)
	// Caught waits until those lists have seen everything that is in the log now.
	Caught func(ctx context.Context) error
	// Cause says for whom a reaction acts.
	Cause func(cause id.ID, m *eventv1.Meta) *eventv1.Meta
}

// Handle reacts to one event.
func (r *Reactor) Handle(ctx context.Context, e *bus.Received) error {
	switch e.Type {
	case "agreement_formed", "bid_cleared", "offer_voided", "buyer_key_rotated":
		m := new(offersv1.Event)
		if err := proto.Unmarshal(e.Data, m); err != nil {
			return undecodable(e)
		}
		return r.offers(ctx, e, m)
	case "consent_withdrawn", "consent_expired", "consent_resumed":
		m := new(consentv1.Event)
		if err := proto.Unmarshal(e.Data, m); err != nil {
			return undecodable(e)
		}
		return r.consent(ctx, e, m)
	case "data_imported", "point_corrected", "source_restricted", "restriction_lifted", "agreement_ended", "delivery_lapsed", "deletion_ordered":
		m := new(deliveryv1.Event)
		if err := proto.Unmarshal(e.Data, m); err != nil {
			return undecodable(e)
		}
		return r.own(ctx, e, m)
	}
	return nil
}

func undecodable(e *bus.Received) error {
	return fault.Internal(fmt.Sprintf("an event of type %s cannot be read", e.Type))
}

func (r *Reactor) offers(ctx context.Context, e *bus.Received, m *offersv1.Event) error {
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_AgreementFormed:
		return r.take(ctx, e, m.GetMeta(), arm.AgreementFormed)
	case *offersv1.Event_BidCleared:
		return r.clear(ctx, e, m.GetMeta(), arm.BidCleared)
	case *offersv1.Event_OfferVoided:
		v := arm.OfferVoided
		if v.GetAgreementId() == "" || !v.GetConsented() {
			return nil // no agreement had formed
		}
		return r.end(ctx, e, 0, m.GetMeta(), v.GetSubscriberId(), v.GetAgreementId(), shelf.EndVoided)
	case *offersv1.Event_BuyerKeyRotated:
		return r.reseal(ctx, e, m.GetMeta(), arm.BuyerKeyRotated)
	}
	return nil
}

// take puts an agreement on its person's shelf, and prepares what is due under it.
func (r *Reactor) take(ctx context.Context, e *bus.Received, m *eventv1.Meta, formed *offersv1.AgreementFormed) error {
	agreed, err := r.agreed(ctx, e, formed)
	if err != nil {
		return err
	}
	licence, err := wire.Licence(agreed)
	if err != nil {
		return undecodable(e)
	}
	document, err := proto.MarshalOptions{Deterministic: true}.Marshal(agreed)
	if err != nil {
		return err
	}
	c := shelf.Take{Licence: licence, Document: document, Cleared: formed.GetCleared()}
	result, err := r.do(ctx, e, 0, m, c, licence.Subscriber)
	if err != nil {
		return err
	}
	// Also where the bid has not cleared: the consent may have ended before the agreement came here, and nobody says so again.
	if len(result.Events) == 0 || result.Repeated {
		return r.prepare(ctx, e, m, packing.Agreement{ID: licence.Agreement, Subscriber: licence.Subscriber})
	}
	return r.Packer.Begin(ctx, shelf.Agreement{Licence: c.Licence, Document: c.Document, Cleared: c.Cleared}, preparing(e, licence.Agreement), r.Cause(e.ID, m))
}

// agreed is what was agreed: offers is asked, as its events carry it sealed. Events of before they did carry it in clear.
func (r *Reactor) agreed(ctx context.Context, e *bus.Received, formed *offersv1.AgreementFormed) (*marketv1.Licence, error) {
	if l := formed.GetLicence(); l != nil {
		return l, nil
	}
	answer, err := r.Market.GetLicence(ctx, &offersv1.GetLicenceRequest{AgreementId: formed.GetAgreementId(), After: e.Cursor("offers")})
	return answer.GetLicence(), err
}

// clear lets the packages of a bid be prepared: enough people have agreed.
func (r *Reactor) clear(ctx context.Context, e *bus.Received, m *eventv1.Meta, cleared *offersv1.BidCleared) error {
	var p parser
	bid := p.id(cleared.GetBidId())
	if p.err != nil {
		return undecodable(e)
	}
	// The bid's agreements came before on the same stream, so they are in our log; the list must have seen them.
	if err := r.Caught(ctx); err != nil {
		return err
	}
	list, err := r.OfBid(ctx, bid)
	if err != nil {
		return err
	}
	// Side by side: what comes after it of the bid waits for all of them, and each for a commit or two.
	people, ctx := errgroup.WithContext(ctx)
	people.SetLimit(atOnce)
	for _, a := range list {
		people.Go(func() error {
			ring, err := r.Keys.Ring(ctx, a.Subscriber.ID)
			if err != nil {
				return err
			}
			if _, err := r.Shelves.Do(ctx, es.Command[shelf.Command]{
				ID:   id.Derive([]byte("clear"), e.ID[:], a.ID.ID[:]),
				Body: shelf.Clear{Shelf: shelf.Of(a.Subscriber), Agreement: a.ID}, Keys: ring, Meta: r.Cause(e.ID, m), Caller: "react",
			}); err != nil {
				return err
			}
			return r.prepare(ctx, e, m, a)
		})
	}
	return people.Wait()
}

// atOnce is how many people of one bid are seen to at a time when it clears.
const atOnce = 16

// prepare names its command after the event and the agreement: one event may be the cause of several packages.
func (r *Reactor) prepare(ctx context.Context, e *bus.Received, m *eventv1.Meta, a packing.Agreement) error {
	return r.Packer.Prepare(ctx, a, preparing(e, a.ID), r.Cause(e.ID, m))
}

func preparing(e *bus.Received, a shelf.AgreementID) id.ID {
	return id.Derive([]byte("prepare"), e.ID[:], a.ID[:])
}

// reseal gives every package whose key has not left the buyer's new key.
func (r *Reactor) reseal(ctx context.Context, e *bus.Received, m *eventv1.Meta, rotated *offersv1.BuyerKeyRotated) error {
	var p parser
	buyer := p.id(rotated.GetBuyerId())
	if p.err != nil {
		return undecodable(e)
	}
	r.Buyers.Forget(buyer)
	if err := r.Caught(ctx); err != nil {
		return err
	}
	list, err := r.Unreleased(ctx, buyer)
	if err != nil {
		return err
	}
	for _, parcel := range list {
		ring, err := r.Keys.Ring(ctx, parcel.Agreement.Subscriber.ID)
		if err != nil {
			return err
		}
		if _, err := r.Shelves.Do(ctx, es.Command[shelf.Command]{
			ID:   id.Derive([]byte("reseal"), e.ID[:], parcel.Delivery.ID[:]),
			Body: shelf.Reseal{Shelf: shelf.Of(parcel.Agreement.Subscriber), Delivery: parcel.Delivery, BuyerKey: rotated.GetKey().GetId()},
			Keys: ring, Meta: r.Cause(e.ID, m), Caller: "react",
		}); err != nil {
			return err
		}
	}
	return nil
}

func (r *Reactor) consent(ctx context.Context, e *bus.Received, m *consentv1.Event) error {
	switch arm := m.GetEvent().(type) {
	case *consentv1.Event_ConsentWithdrawn:
		w := arm.ConsentWithdrawn
		for i, s := range w.GetScope() {
			if err := r.end(ctx, e, i, m.GetMeta(), w.GetSubscriberId(), s.GetAgreementId(), shelf.EndWithdrawn); err != nil {
				return err
			}
		}
	case *consentv1.Event_ConsentExpired:
		x := arm.ConsentExpired
		why := shelf.EndExpired
		switch x.GetReason() {
		case consentv1.ExpiryReason_EXPIRY_REASON_FULFILLED:
			return nil // it was we who said so
		case consentv1.ExpiryReason_EXPIRY_REASON_VOIDED:
			why = shelf.EndVoided
		}
		return r.end(ctx, e, 0, m.GetMeta(), x.GetSubscriberId(), x.GetScope().GetAgreementId(), why)
	case *consentv1.Event_ConsentResumed:
		resumed := arm.ConsentResumed
		var p parser
		who := shelf.SubscriberID{ID: p.id(resumed.GetSubscriberId())}
		for _, s := range resumed.GetScope() {
			a := packing.Agreement{ID: shelf.AgreementID{ID: p.id(s.GetAgreementId())}, Subscriber: who, Heard: e.Cursor("consent")}
			if p.err != nil {
				return undecodable(e)
			}
			if err := r.prepare(ctx, e, m.GetMeta(), a); err != nil {
				return err
			}
		}
	}
	return nil
}

// own reacts to delivery's own events: what was imported may be due, and what can never be opened is destroyed.
func (r *Reactor) own(ctx context.Context, e *bus.Received, m *deliveryv1.Event) error {
	var p parser
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_DataImported:
		who := shelf.SubscriberID{ID: p.id(arm.DataImported.GetSubscriberId())}
		if p.err != nil {
			return undecodable(e)
		}
		return r.imported(ctx, e, m.GetMeta(), who)
	case *deliveryv1.Event_PointCorrected:
		who := shelf.SubscriberID{ID: p.id(arm.PointCorrected.GetSubscriberId())}
		if p.err != nil {
			return undecodable(e)
		}
		return r.imported(ctx, e, m.GetMeta(), who)
	case *deliveryv1.Event_SourceRestricted:
		return r.turned(ctx, e, m.GetMeta(), arm.SourceRestricted.GetSubscriberId(), arm.SourceRestricted.GetSourceId())
	case *deliveryv1.Event_RestrictionLifted:
		return r.turned(ctx, e, m.GetMeta(), arm.RestrictionLifted.GetSubscriberId(), arm.RestrictionLifted.GetSourceId())
	case *deliveryv1.Event_DeliveryLapsed:
		delivery := p.id(arm.DeliveryLapsed.GetDeliveryId())
		if p.err != nil {
			return undecodable(e)
		}
		return r.Store.Destroy(ctx, delivery)
	case *deliveryv1.Event_AgreementEnded:
		agreement := p.id(arm.AgreementEnded.GetAgreementId())
		if p.err != nil {
			return undecodable(e)
		}
		if arm.AgreementEnded.GetReason() == deliveryv1.EndReason_END_REASON_FULFILLED {
			return r.Store.Spend(ctx, agreement) // all of it has left: its buyer may fetch it once more
		}
		return r.Store.DestroyOf(ctx, agreement)
	case *deliveryv1.Event_DeletionOrdered:
		// The agreement may have ended before its withdrawal, and some of it may be kept for the buyer.
		deliveries := make([]id.ID, len(arm.DeletionOrdered.GetDeliveryIds()))
		for i, d := range arm.DeletionOrdered.GetDeliveryIds() {
			deliveries[i] = p.id(d)
		}
		if p.err != nil {
			return undecodable(e)
		}
		return r.Store.Destroy(ctx, deliveries...)
	}
	return nil
}

// turned has a restriction, or its end, hold, also where the process ended that decided it, and prepares what is due since: days that were
// blocked may be made of other sources.
func (r *Reactor) turned(ctx context.Context, e *bus.Received, m *eventv1.Meta, who, source string) error {
	var p parser
	on := holding.On{Holding: holding.ID{ID: p.id(who)}, Source: holding.SourceID{ID: p.id(source)}}
	if p.err != nil {
		return undecodable(e)
	}
	ring, err := r.Keys.Ring(ctx, on.Holding.ID)
	if err != nil {
		return err
	}
	switch _, err := r.Bars.Hold(ctx, on, ring, r.Cause(e.ID, m)); {
	case errors.Is(err, vault.ErrErased):
		return nil // nothing of the person is left that could be used
	case err != nil:
		return err
	}
	return r.imported(ctx, e, m, shelf.SubscriberID{ID: on.Holding.ID})
}

// imported prepares what is due of a person's measurements. The shelf itself is asked which agreements there are: a table may not
// have seen one that was just taken, and its day would wait for the next import. One that is taken after this look finds the
// measurements by itself.
func (r *Reactor) imported(ctx context.Context, e *bus.Received, m *eventv1.Meta, who shelf.SubscriberID) error {
	ring, err := r.Keys.Ring(ctx, who.ID)
	if err != nil {
		return err
	}
	state, _, err := r.Shelves.State(ctx, wire.Stream(shelf.On{Shelf: shelf.Of(who)}), ring)
	if err != nil {
		return err
	}
	own, _ := state.(shelf.Shelf)
	for _, a := range own.Agreements() {
		if err := r.prepare(ctx, e, m, packing.Agreement{ID: a, Subscriber: who}); err != nil {
			return err
		}
	}
	return nil
}

// end ends an agreement. One that was never taken has nothing to end.
func (r *Reactor) end(ctx context.Context, e *bus.Received, n int, m *eventv1.Meta, who, agreement string, why shelf.EndReason) error {
	var p parser
	subscriber := shelf.SubscriberID{ID: p.id(who)}
	c := shelf.End{Shelf: shelf.Of(subscriber), Agreement: shelf.AgreementID{ID: p.id(agreement)}, Reason: why}
	if p.err != nil {
		return undecodable(e)
	}
	_, err := r.do(ctx, e, n, m, c, subscriber)
	return err
}

func (r *Reactor) do(
	ctx context.Context, e *bus.Received, n int, m *eventv1.Meta, c shelf.Command, who shelf.SubscriberID,
) (es.Result[shelf.Event], error) {
	ring, err := r.Keys.Ring(ctx, who.ID)
	if err != nil {
		return es.Result[shelf.Event]{}, err
	}
	return r.Shelves.Do(ctx, es.Command[shelf.Command]{
		ID: bus.CommandID(Name, e.ID, n), Body: c, Keys: ring, Meta: r.Cause(e.ID, m), Caller: "react",
	})
}

// parser reads ids and keeps the first fault.
type parser struct{ err error }

func (p *parser) id(s string) id.ID {
	v, err := id.Parse(s)
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}
