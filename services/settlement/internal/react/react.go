// Package react turns what offers and delivery have decided into commands of the book.
package react

import (
	"context"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// Name of the reaction; command ids derive from it.
const Name = "settlement"

// Sources are the services whose topics it reads.
var Sources = []string{"offers", "delivery"}

// Types are the events it reacts to. Agreements say nothing about each other, nor do deliveries; what ends one, frees its slots for the
// next, and a bid's money goes back only behind all of them.
var Types = map[string]bus.Way{
	"bid_placed": bus.InOrder, "bid_rejected": bus.InOrder, "bid_drained": bus.InOrder, "offer_voided": bus.InOrder, "agreement_formed": bus.Abreast,
	"delivery_released": bus.Abreast, "agreement_ended": bus.InOrder,
}

// Reactor reacts.
type Reactor struct {
	Book     book.ID
	Currency string
	Root     *es.Root[book.State, book.Command, book.Event]
	Market   offersv1.OffersServiceClient
	// Cause says for whom a reaction acts.
	Cause func(cause id.ID, m *eventv1.Meta) *eventv1.Meta
	// Deals are what never changes of an agreement, so that most deliveries need not ask the book.
	Deals *lru.Map[book.AgreementID, Deal]
}

// Deal is who pays for an agreement, and the policy by which the person is taxed.
type Deal struct {
	Buyer  book.BuyerID
	Policy *eventv1.PolicyRef
}

// DealsHeld is how many agreements are worth holding: some MiB.
const DealsHeld = 64 << 10

// Handle reacts to one event.
func (r *Reactor) Handle(ctx context.Context, e *bus.Received) error {
	switch e.Type {
	case "bid_placed", "bid_rejected", "bid_drained", "agreement_formed", "offer_voided":
		m := new(offersv1.Event)
		if err := proto.Unmarshal(e.Data, m); err != nil {
			return undecodable(e)
		}
		return r.offers(ctx, e, m)
	case "delivery_released", "agreement_ended":
		m := new(deliveryv1.Event)
		if err := proto.Unmarshal(e.Data, m); err != nil {
			return undecodable(e)
		}
		return r.delivery(ctx, e, m)
	}
	return nil
}

func undecodable(e *bus.Received) error {
	return fault.Internal(fmt.Sprintf("an event of type %s cannot be read", e.Type))
}

func (r *Reactor) offers(ctx context.Context, e *bus.Received, m *offersv1.Event) error {
	var p parser
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_BidPlaced:
		b := arm.BidPlaced
		c := book.Hold{
			Book: r.Book, Buyer: book.BuyerID{ID: p.id(b.GetBuyerId())}, Bid: book.BidID{ID: p.id(b.GetBidId())},
			Amount: b.GetBudget().GetMinor() + b.GetTax().GetMinor(), Slots: int64(b.GetQuantity()), TaxPPM: int64(b.GetTaxPpm()),
			TaxCountry: b.GetTaxCountry(), Currency: b.GetBudget().GetCurrency() == r.Currency && b.GetTax().GetCurrency() == r.Currency,
		}
		return r.follow(ctx, e, m.GetMeta(), m.GetMeta().GetPolicy(), p.err, c) // the VAT is that of the bid
	case *offersv1.Event_BidRejected:
		// A hold may have come too late for its bid.
		held, err := r.holder(ctx, &p, arm.BidRejected.GetBidId())
		if err != nil || held == nil {
			return err
		}
		return r.do(ctx, e, m.GetMeta(), p.err, book.Drain{Book: r.Book, Buyer: held.Buyer, Bid: book.BidID{ID: p.id(arm.BidRejected.GetBidId())}})
	case *offersv1.Event_BidDrained:
		b := arm.BidDrained
		return r.do(ctx, e, m.GetMeta(), p.err, book.Drain{
			Book: r.Book, Buyer: book.BuyerID{ID: p.id(b.GetBuyerId())}, Bid: book.BidID{ID: p.id(b.GetBidId())},
		})
	case *offersv1.Event_OfferVoided:
		// Undone before the bid cleared: nothing of it was ever prepared, and its slots go to somebody else at once. Delivery says so
		// too, on a topic of its own and perhaps later than offers tells of the next agreement.
		v := arm.OfferVoided
		if !v.GetConsented() || v.GetReason() != "WITHDRAWN" && v.GetReason() != "EXPIRED" {
			return nil
		}
		agreement := book.AgreementID{ID: p.id(v.GetAgreementId())}
		deal, err := r.deal(ctx, agreement)
		if err != nil {
			return err
		}
		return r.follow(ctx, e, m.GetMeta(), deal.Policy, p.err, book.End{Book: r.Book, Buyer: deal.Buyer, Bid: book.BidID{ID: p.id(v.GetBidId())}, Agreement: agreement})
	case *offersv1.Event_AgreementFormed:
		l, err := r.agreed(ctx, e, arm.AgreementFormed)
		if err != nil {
			return err
		}
		agreement, deal := book.AgreementID{ID: p.id(l.GetAgreementId())}, Deal{Buyer: book.BuyerID{ID: p.id(l.GetBuyerId())}, Policy: l.GetPolicy()}
		err = r.follow(ctx, e, m.GetMeta(), deal.Policy, p.err, book.Earmark{Terms: book.Terms{
			Book: r.Book, Agreement: agreement, Bid: book.BidID{ID: p.id(l.GetBidId())}, Buyer: deal.Buyer, Subscriber: book.SubscriberID{ID: p.id(l.GetSubscriberId())},
			Product: l.GetProduct().GetId(), Price: l.GetUnitPrice().GetMicros(), Slots: int64(l.GetSlotsReserved()),
			CommissionPPM: int64(l.GetCommissionPpm()), WithholdingPPM: int64(l.GetWithholdingPpm()), AvailableAfter: int64(l.GetAvailableAfterDays()),
			Country: l.GetCountry(), PolicyPack: l.GetPolicy().GetPack(), PolicyVersion: l.GetPolicy().GetVersion(),
		}})
		if err == nil {
			r.Deals.Put(agreement, deal)
		}
		return err
	}
	return nil
}

func (r *Reactor) delivery(ctx context.Context, e *bus.Received, m *deliveryv1.Event) error {
	var p parser
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_DeliveryReleased:
		d := arm.DeliveryReleased
		agreement := book.AgreementID{ID: p.id(d.GetAgreementId())}
		deal, err := r.deal(ctx, agreement)
		if err != nil {
			return err
		}
		return r.follow(ctx, e, m.GetMeta(), deal.Policy, p.err, book.Settle{
			Book: r.Book, Delivery: book.DeliveryID{ID: p.id(d.GetDeliveryId())}, Agreement: agreement, Bid: book.BidID{ID: p.id(d.GetBidId())},
			Buyer: deal.Buyer, Subscriber: book.SubscriberID{ID: p.id(d.GetSubscriberId())}, Slots: int64(d.GetSlots()), ReleaseEvent: e.ID,
		})
	case *deliveryv1.Event_AgreementEnded:
		d := arm.AgreementEnded
		agreement := book.AgreementID{ID: p.id(d.GetAgreementId())}
		deal, err := r.deal(ctx, agreement)
		if err != nil {
			return err
		}
		return r.follow(ctx, e, m.GetMeta(), deal.Policy, p.err, book.End{
			Book: r.Book, Buyer: deal.Buyer, Bid: book.BidID{ID: p.id(d.GetBidId())}, Agreement: agreement,
		})
	}
	return nil
}

// agreed is what was agreed: offers is asked, as its events carry it sealed. Events of before they did carry it in clear.
func (r *Reactor) agreed(ctx context.Context, e *bus.Received, formed *offersv1.AgreementFormed) (*marketv1.Licence, error) {
	if l := formed.GetLicence(); l != nil {
		return l, nil
	}
	answer, err := r.Market.GetLicence(ctx, &offersv1.GetLicenceRequest{AgreementId: formed.GetAgreementId(), After: e.Cursor("offers")})
	return answer.GetLicence(), err
}

// deal of an agreement that the book has earmarked. An agreement comes on one topic and its deliveries on another: what is not
// there yet will be.
func (r *Reactor) deal(ctx context.Context, agreement book.AgreementID) (Deal, error) {
	if deal, ok := r.Deals.Get(agreement); ok {
		return deal, nil
	}
	s, _, err := r.Root.State(ctx, wire.Stream(book.On{Book: r.Book, Child: agreement.ID}), nil)
	if err != nil {
		return Deal{}, err
	}
	mark, ok := s.(book.Mark)
	if !ok {
		return Deal{}, bus.Later(book.ErrEarmarkUnknown)
	}
	deal := Deal{Buyer: mark.Buyer}
	if mark.PolicyPack != "" {
		deal.Policy = &eventv1.PolicyRef{Pack: mark.PolicyPack, Version: mark.PolicyVersion}
	}
	r.Deals.Put(agreement, deal)
	return deal, nil
}

// holder reads a bid's hold; nil where there is none.
func (r *Reactor) holder(ctx context.Context, p *parser, bid string) (*book.HeldFor, error) {
	s, _, err := r.Root.State(ctx, wire.Stream(book.On{Book: r.Book, Child: p.id(bid)}), nil)
	if err != nil {
		return nil, err
	}
	if held, ok := s.(book.HeldFor); ok {
		return &held, nil
	}
	return nil, nil
}

// do has the book decide what no policy says anything about.
func (r *Reactor) do(ctx context.Context, e *bus.Received, m *eventv1.Meta, malformed error, c book.Command) error {
	return r.follow(ctx, e, m, nil, malformed, c)
}

// follow has the book decide under a policy; nil where none is known. A settlement's command is named after its delivery, whichever event
// asks for it: one delivery posts once, for ever.
func (r *Reactor) follow(ctx context.Context, e *bus.Received, m *eventv1.Meta, policy *eventv1.PolicyRef, malformed error, c book.Command) error {
	if malformed != nil {
		return undecodable(e)
	}
	cause := r.Cause(e.ID, m)
	cause.Policy = policy
	command := es.Command[book.Command]{ID: bus.CommandID(Name, e.ID, 0), Body: c, Meta: cause, Caller: "react"}
	if s, ok := c.(book.Settle); ok {
		command.ID = SettleID(s.Delivery)
		command.Hash = hash(s)
	}
	_, err := r.Root.Do(ctx, command)
	return err
}

// SettleID names the one settlement of a delivery.
func SettleID(d book.DeliveryID) id.ID { return id.Derive([]byte("settle"), d.ID[:]) }

// parser reads ids and keeps the first fault.
type parser struct{ err error }

func (p *parser) id(s string) id.ID {
	v, err := id.Parse(s)
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}
