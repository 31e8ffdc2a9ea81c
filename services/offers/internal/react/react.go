// Package react turns what settlement, consent, delivery and the market itself have decided into commands of buyers and bids.
package react

import (
	"context"
	"errors"
	"fmt"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
)

// Name of the reaction; command ids derive from it.
const Name = "offers"

// Sources are the services whose topics it reads, its own among them.
var Sources = []string{"settlement", "consent", "delivery", "offers"}

// Types are the events it reacts to. What is said of two agreements of one person, or of two bids of one buyer, is of two bids.
var Types = map[string]bus.Way{
	"funds_held": bus.InOrder, "hold_refused": bus.InOrder,
	"consent_given": bus.Abreast, "consent_refused": bus.Abreast, "consent_expired": bus.Abreast, "consent_withdrawn": bus.Overtaking,
	"agreement_ended": bus.Abreast, "bid_closed": bus.InOrder, "buyer_suspended": bus.Overtaking,
}

// Reactor reacts.
type Reactor struct {
	Bids *es.Root[bid.State, bid.Command, bid.Event]
	// Still lists the offers of a bid that run, with their agreements; Running the bids of a buyer that may still take slots.
	Still   func(ctx context.Context, number id.ID) (offers, agreements []id.ID, err error)
	Running func(ctx context.Context, buyer id.ID) ([]id.ID, error)
	// Caught waits until those lists have seen an event of our own.
	Caught func(ctx context.Context, c es.Cursor) error
	// Cause says for whom a reaction acts.
	Cause func(cause id.ID, m *eventv1.Meta) *eventv1.Meta
}

// Handle reacts to one event.
func (r *Reactor) Handle(ctx context.Context, e *bus.Received) error {
	read := func(m proto.Message) error {
		if err := proto.Unmarshal(e.Data, m); err != nil {
			return undecodable(e)
		}
		return nil
	}
	switch e.Type {
	case "funds_held", "hold_refused":
		m := new(settlementv1.Event)
		if err := read(m); err != nil {
			return err
		}
		return r.money(ctx, e, m)
	case "consent_given", "consent_refused", "consent_withdrawn", "consent_expired":
		m := new(consentv1.Event)
		if err := read(m); err != nil {
			return err
		}
		return r.consent(ctx, e, m)
	case "agreement_ended":
		m := new(deliveryv1.Event)
		if err := read(m); err != nil {
			return err
		}
		d := m.GetAgreementEnded()
		var p parser
		return r.do(ctx, e, 0, m.GetMeta(), &p, bid.Finish{
			Bid: p.bid(d.GetBidId()), Offer: p.offer(d.GetOfferId()), Agreement: p.deal(d.GetAgreementId()), Delivered: int64(d.GetSlotsReleased()),
			Reason: d.GetReason().String(),
		})
	case "bid_closed", "buyer_suspended":
		m := new(offersv1.Event)
		if err := read(m); err != nil {
			return err
		}
		return r.own(ctx, e, m)
	}
	return nil
}

func undecodable(e *bus.Received) error {
	return fault.Internal(fmt.Sprintf("an event of type %s cannot be read", e.Type))
}

func (r *Reactor) money(ctx context.Context, e *bus.Received, m *settlementv1.Event) error {
	var p parser
	switch arm := m.GetEvent().(type) {
	case *settlementv1.Event_FundsHeld:
		h := arm.FundsHeld
		return r.do(ctx, e, 0, m.GetMeta(), &p, bid.Open{Bid: p.bid(h.GetBidId()), Held: h.GetAmount().GetMinor(), Currency: h.GetAmount().GetCurrency()})
	case *settlementv1.Event_HoldRefused:
		reason := "INSUFFICIENT_FUNDS"
		if arm.HoldRefused.GetReason() == settlementv1.Reason_REASON_CURRENCY_MISMATCH {
			reason = "CURRENCY_UNSUPPORTED"
		}
		return r.do(ctx, e, 0, m.GetMeta(), &p, bid.Reject{Bid: p.bid(arm.HoldRefused.GetBidId()), Reason: reason})
	}
	return nil
}

func (r *Reactor) consent(ctx context.Context, e *bus.Received, m *consentv1.Event) error {
	var p parser
	switch arm := m.GetEvent().(type) {
	case *consentv1.Event_ConsentGiven:
		g := arm.ConsentGiven
		return r.do(ctx, e, 0, m.GetMeta(), &p, bid.Consented{
			Bid: p.bid(g.GetBidId()), Offer: p.offer(g.GetOfferId()), Agreement: p.deal(g.GetAgreementId()), Event: e.ID,
		})
	case *consentv1.Event_ConsentRefused:
		g := arm.ConsentRefused
		return r.do(ctx, e, 0, m.GetMeta(), &p, bid.Void{
			Bid: p.bid(g.GetBidId()), Offer: p.offer(g.GetOfferId()), Agreement: p.deal(g.GetAgreementId()),
			Reason: "REFUSED", // why is between consent and the person
		})
	case *consentv1.Event_ConsentWithdrawn:
		// Before the bid has cleared an acceptance can be undone; after that delivery says when the agreement has ended.
		for i, s := range arm.ConsentWithdrawn.GetScope() {
			if err := r.undo(ctx, e, i, m.GetMeta(), s, "WITHDRAWN"); err != nil {
				return err
			}
		}
	case *consentv1.Event_ConsentExpired:
		if arm.ConsentExpired.GetReason() == consentv1.ExpiryReason_EXPIRY_REASON_TIME {
			return r.undo(ctx, e, 0, m.GetMeta(), arm.ConsentExpired.GetScope(), "EXPIRED")
		}
	}
	return nil
}

func (r *Reactor) undo(ctx context.Context, e *bus.Received, n int, m *eventv1.Meta, s *consentv1.Ended, why string) error {
	var p parser
	return r.do(ctx, e, n, m, &p, bid.Void{
		Bid: p.bid(s.GetBidId()), Offer: p.offer(s.GetOfferId()), Agreement: p.deal(s.GetAgreementId()), Reason: why, Undo: true,
	})
}

// own reacts to the market's own events: a bid that closed for good, its cohort not there or its buyer gone, is voided offer by offer, a suspended buyer's
// bids close.
func (r *Reactor) own(ctx context.Context, e *bus.Received, m *offersv1.Event) error {
	if err := r.Caught(ctx, es.Cursor{Partition: e.Partition, Position: e.Position}); err != nil {
		return err
	}
	var p parser
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_BidClosed:
		number := p.bid(arm.BidClosed.GetBidId())
		state, _, err := r.Bids.State(ctx, es.StreamOf(number.ID), nil)
		if err != nil {
			return err
		}
		b, ok := state.(bid.Bid)
		if !ok || !b.Voids() {
			return nil
		}
		offers, agreements, err := r.Still(ctx, number.ID)
		if err != nil {
			return err
		}
		for i := range offers {
			// Named after offer and agreement: however often the list is read, each is voided once.
			_, err := r.Bids.Do(ctx, es.Command[bid.Command]{
				ID:   id.Derive([]byte("void"), e.ID[:], offers[i][:], agreements[i][:]),
				Body: bid.Void{Bid: number, Offer: bid.OfferID{ID: offers[i]}, Agreement: bid.AgreementID{ID: agreements[i]}, Reason: b.Reason.Voids()},
				Meta: r.Cause(e.ID, m.GetMeta()), Caller: "react",
			})
			if err != nil {
				return err
			}
		}
	case *offersv1.Event_BuyerSuspended:
		buyer, err := id.Parse(arm.BuyerSuspended.GetBuyerId())
		if err != nil {
			return undecodable(e)
		}
		running, err := r.Running(ctx, buyer)
		if err != nil {
			return err
		}
		for _, number := range running {
			_, err := r.Bids.Do(ctx, es.Command[bid.Command]{
				ID:   id.Derive([]byte("suspend"), e.ID[:], number[:]),
				Body: bid.Close{Bid: bid.ID{ID: number}, Reason: bid.ClosedSuspended}, Meta: r.Cause(e.ID, m.GetMeta()), Caller: "react",
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// do has a bid decide. An event about a bid that this market does not have is none of its business.
func (r *Reactor) do(ctx context.Context, e *bus.Received, n int, m *eventv1.Meta, p *parser, c bid.Command) error {
	if p.err != nil {
		return undecodable(e)
	}
	_, err := r.Bids.Do(ctx, es.Command[bid.Command]{ID: bus.CommandID(Name, e.ID, n), Body: c, Meta: r.Cause(e.ID, m), Caller: "react"})
	return err
}

var errDeadline = errors.New("react: malformed deadline")

// Due decides what a deadline was for.
func (r *Reactor) Due(ctx context.Context, d projection.Deadline) error {
	const text = 36
	var p parser
	var c bid.Command
	switch {
	case d.Kind == "answer" && len(d.Stream) == 2*text+1:
		number, offer := p.bid(d.Stream[:text]), p.offer(d.Stream[text+1:])
		state, _, err := r.Bids.State(ctx, es.StreamOf(number.ID).Child(offer.ID), nil)
		if err != nil {
			return err
		}
		o, _ := state.(bid.Offer)
		if o.Answer != bid.Taken {
			return nil
		}
		c = bid.Void{Bid: number, Offer: offer, Agreement: o.Agreement, Reason: "TIMEOUT"}
	case len(d.Stream) != text:
		return errDeadline
	case d.Kind == "hold":
		c = bid.Reject{Bid: p.bid(d.Stream), Reason: "HOLD_TIMEOUT"}
	case d.Kind == "window":
		c = bid.Close{Bid: p.bid(d.Stream), Reason: bid.ClosedExpired}
	default:
		return errDeadline
	}
	if p.err != nil {
		return errDeadline
	}
	_, err := r.Bids.Do(ctx, es.Command[bid.Command]{ID: d.CommandID(), Body: c, Meta: r.Cause(d.CommandID(), nil), Caller: "deadline"})
	return err
}

// parser reads ids and keeps the first fault.
type parser struct{ err error }

func (p *parser) read(s string) id.ID {
	v, err := id.Parse(s)
	if err != nil && p.err == nil {
		p.err = err
	}
	return v
}

func (p *parser) bid(s string) bid.ID           { return bid.ID{ID: p.read(s)} }
func (p *parser) offer(s string) bid.OfferID    { return bid.OfferID{ID: p.read(s)} }
func (p *parser) deal(s string) bid.AgreementID { return bid.AgreementID{ID: p.read(s)} }
