// Package react turns what offers and delivery have decided into commands about people and buyers.
package react

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent/internal/party"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
	"github.com/obole-market/obole/services/consent/internal/wire"
)

// Name of the reaction; command ids derive from it.
const Name = "consent"

// Sources are the services whose topics it reads.
var Sources = []string{"offers", "delivery"}

// Types are the events it reacts to. The offers of a bid say nothing about each other, nor do the agreements of a person.
var Types = map[string]bus.Way{
	"offer_accepted": bus.Abreast, "offer_voided": bus.Abreast, "buyer_suspended": bus.Overtaking, "buyer_reinstated": bus.InOrder,
	"agreement_ended": bus.Abreast,
}

// Reactor reacts.
type Reactor struct {
	People  *es.Root[subscriber.State, subscriber.Command, subscriber.Event]
	Parties *es.Root[party.State, party.Command, party.Event]
	Keys    *vault.Keeper
	Policy  *policy.Set
	Market  offersv1.OffersServiceClient
	Now     func() time.Time
	// Cause says for whom a reaction acts.
	Cause func(cause id.ID, m *eventv1.Meta) *eventv1.Meta
}

// Handle reacts to one event.
func (r *Reactor) Handle(ctx context.Context, e *bus.Received) error {
	switch e.Type {
	case "offer_accepted", "offer_voided", "buyer_suspended", "buyer_reinstated":
		m := new(offersv1.Event)
		if err := proto.Unmarshal(e.Data, m); err != nil {
			return undecodable(e)
		}
		return r.offers(ctx, e, m)
	case "agreement_ended":
		m := new(deliveryv1.Event)
		if err := proto.Unmarshal(e.Data, m); err != nil {
			return undecodable(e)
		}
		d := m.GetAgreementEnded()
		switch d.GetReason() {
		case deliveryv1.EndReason_END_REASON_FULFILLED, deliveryv1.EndReason_END_REASON_NO_SLOTS:
			return r.expire(ctx, e, m.GetMeta(), d.GetSubscriberId(), d.GetAgreementId(), subscriber.ExpiryFulfilled)
		}
	}
	return nil
}

func undecodable(e *bus.Received) error {
	return fault.Internal(fmt.Sprintf("an event of type %s cannot be read", e.Type))
}

func (r *Reactor) offers(ctx context.Context, e *bus.Received, m *offersv1.Event) error {
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_OfferAccepted:
		return r.give(ctx, e, m.GetMeta(), arm.OfferAccepted)
	case *offersv1.Event_OfferVoided:
		v := arm.OfferVoided
		if v.GetAgreementId() == "" {
			return nil
		}
		return r.expire(ctx, e, m.GetMeta(), v.GetSubscriberId(), v.GetAgreementId(), subscriber.ExpiryVoided)
	case *offersv1.Event_BuyerSuspended:
		return r.bar(ctx, e, m.GetMeta(), arm.BuyerSuspended.GetBuyerId(), party.Command{Bar: true, Reason: arm.BuyerSuspended.GetReason()})
	case *offersv1.Event_BuyerReinstated:
		return r.bar(ctx, e, m.GetMeta(), arm.BuyerReinstated.GetBuyerId(), party.Command{})
	}
	return nil
}

// give asks for the consent that an acceptance needs.
func (r *Reactor) give(ctx context.Context, e *bus.Received, m *eventv1.Meta, a *offersv1.OfferAccepted) error {
	l, explicit, err := r.accepted(ctx, e, a)
	if err != nil {
		return err
	}
	licence, err := licence(l)
	if err != nil {
		return undecodable(e)
	}
	parts, err := money.Divide(l.GetUnitPrice().GetMicros(), int64(l.GetCommissionPpm()), int64(l.GetWithholdingPpm()))
	if err != nil {
		return undecodable(e)
	}
	record, err := proto.MarshalOptions{Deterministic: true}.Marshal(record(l, explicit))
	if err != nil {
		return err
	}
	law, policy := wire.Law(r.Policy, licence.Country, r.Now())
	barred, _, err := r.Parties.State(ctx, es.StreamOf(licence.Buyer.ID), nil)
	if err != nil {
		return err
	}
	return r.follow(ctx, e, m, policy, subscriber.Give{
		Licence: licence, Record: record, ExplicitStepAt: explicit, Law: law, BuyerBarred: barred.Barred, AcceptedAt: e.At,
		AnswerDue: moment(a.GetAnswerDue()), Net: subscriber.Price{Micros: parts.Net, Currency: l.GetUnitPrice().GetCurrency()},
	}, licence.Subscriber)
}

// accepted is what the person said yes to, with the time of the explicit step: offers is asked, as its event carries both sealed. Events of
// before they were carry them in clear.
func (r *Reactor) accepted(ctx context.Context, e *bus.Received, a *offersv1.OfferAccepted) (*marketv1.Licence, int64, error) {
	if l := a.GetLicence(); l != nil {
		return l, a.GetExplicitStepAt(), nil
	}
	answer, err := r.Market.GetLicence(ctx, &offersv1.GetLicenceRequest{AgreementId: a.GetAgreementId(), After: e.Cursor("offers")})
	return answer.GetLicence(), answer.GetExplicitStepAt(), err
}

// moment is a time of the contract; 0 is none.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}

func licence(l *marketv1.Licence) (out subscriber.Licence, err error) {
	for _, f := range []struct {
		to   *id.ID
		text string
	}{
		{&out.Agreement.ID, l.GetAgreementId()},
		{&out.Offer.ID, l.GetOfferId()},
		{&out.Bid.ID, l.GetBidId()},
		{&out.Buyer.ID, l.GetBuyerId()},
		{&out.Subscriber.ID, l.GetSubscriberId()},
	} {
		if *f.to, err = id.Parse(f.text); err != nil {
			return out, err
		}
	}
	out.Product, out.Purpose, out.Country, out.Health = l.GetProduct().GetId(), l.GetPurpose(), l.GetCountry(), l.GetHealth()
	out.ExpiresAt, out.Retention = time.UnixMicro(l.GetExpiresAt()).UTC(), int(l.GetRetentionDays())
	return out, nil
}

// record is the consent record (ISO/IEC TS 27560) of a licence.
func record(l *marketv1.Licence, explicitStepAt int64) *consentv1.Record {
	out := &consentv1.Record{
		Licence:          l,
		Controllers:      []*consentv1.Controller{{Id: l.GetBuyerId(), Role: "controller"}, {Id: "operator", Role: "controller"}},
		LegalBases:       []string{"GDPR-6-1-a"},
		StorageCountries: l.GetProcessingCountries(),
		Recipients:       l.GetRecipients(),
		Rights: []string{
			"https://w3id.org/dpv/legal/eu/gdpr#A7-3", "https://w3id.org/dpv/legal/eu/gdpr#A15", "https://w3id.org/dpv/legal/eu/gdpr#A16",
			"https://w3id.org/dpv/legal/eu/gdpr#A17", "https://w3id.org/dpv/legal/eu/gdpr#A20", "https://w3id.org/dpv/legal/eu/gdpr#A77",
		},
		ExplicitStepAt: explicitStepAt,
	}
	if l.GetHealth() {
		out.LegalBases = append(out.LegalBases, "GDPR-9-2-a")
	}
	return out
}

// expire ends a consent whose offer came to nothing, or that is fulfilled. One that was never given has nothing to end.
func (r *Reactor) expire(ctx context.Context, e *bus.Received, m *eventv1.Meta, who, agreement string, why subscriber.Expiry) error {
	p, err1 := id.Parse(who)
	a, err2 := id.Parse(agreement)
	if err1 != nil || err2 != nil {
		return undecodable(e)
	}
	c := subscriber.Expire{Subscriber: subscriber.ID{ID: p}, Agreement: subscriber.AgreementID{ID: a}, Reason: why}
	err := r.do(ctx, e, m, c, c.Subscriber)
	if errors.Is(err, subscriber.ErrSubscriberUnknown) {
		return nil
	}
	return err
}

func (r *Reactor) do(ctx context.Context, e *bus.Received, m *eventv1.Meta, c subscriber.Command, who subscriber.ID) error {
	return r.follow(ctx, e, m, nil, c, who)
}

// follow is do of what is decided under a policy pack; nil where there is none.
func (r *Reactor) follow(
	ctx context.Context, e *bus.Received, m *eventv1.Meta, policy *eventv1.PolicyRef, c subscriber.Command, who subscriber.ID,
) error {
	ring, err := r.Keys.Ring(ctx, who.ID)
	if err != nil {
		return err
	}
	cause := r.Cause(e.ID, m)
	cause.Policy = policy
	_, err = r.People.Do(ctx, es.Command[subscriber.Command]{
		ID: bus.CommandID(Name, e.ID, 0), Body: c, Keys: ring, Meta: cause, Caller: "react",
	})
	return err
}

// bar tells the gate what the market says of a buyer. The event stands on the buyer's stream, so its version tells which of two words is
// the newer one, whichever comes first.
func (r *Reactor) bar(ctx context.Context, e *bus.Received, m *eventv1.Meta, buyer string, c party.Command) error {
	b, err := id.Parse(buyer)
	if err != nil {
		return undecodable(e)
	}
	c.Buyer, c.Word = party.ID{ID: b}, int64(e.Version)
	_, err = r.Parties.Do(ctx, es.Command[party.Command]{
		ID: bus.CommandID(Name, e.ID, 0), Body: c, Meta: r.Cause(e.ID, m), Caller: "react", Urgent: true,
	})
	return err
}

var errDeadline = errors.New("react: malformed deadline")

// Expire ends a consent whose time is over.
func (r *Reactor) Expire(ctx context.Context, d projection.Deadline) error {
	const text = 36
	if len(d.Stream) != 2*text+1 {
		return errDeadline
	}
	p, err1 := id.Parse(d.Stream[:text])
	a, err2 := id.Parse(d.Stream[text+1:])
	if err1 != nil || err2 != nil {
		return errDeadline
	}
	ring, err := r.Keys.Ring(ctx, p)
	if err != nil {
		return err
	}
	_, err = r.People.Do(ctx, es.Command[subscriber.Command]{
		ID: d.CommandID(), Keys: ring, Meta: r.Cause(d.CommandID(), nil), Caller: "deadline",
		Body: subscriber.Expire{Subscriber: subscriber.ID{ID: p}, Agreement: subscriber.AgreementID{ID: a}, Reason: subscriber.ExpiryTime},
	})
	return err
}
