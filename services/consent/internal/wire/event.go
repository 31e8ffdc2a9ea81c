package wire

import (
	"cmp"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/party"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

// person gives the contract's form of an event about a person.
func person(e subscriber.Event) *consentv1.Event {
	switch e := e.(type) {
	case subscriber.Enrolled:
		who := e.Identity
		m := &consentv1.SubscriberEnrolled{
			SubscriberId: e.Subscriber.String(), Country: who.Country, Language: who.Language, BirthYear: int32(who.BirthYear),
			Level: consentv1.AssuranceLevel(who.Level), LineUser: who.LineUser,
		}
		if !who.Birth.IsZero() {
			m.BirthDate = who.Birth.Format(time.DateOnly)
		}
		return &consentv1.Event{Event: &consentv1.Event_SubscriberEnrolled{SubscriberEnrolled: m}}
	case subscriber.AgeAssured:
		return &consentv1.Event{Event: &consentv1.Event_AgeAssured{AgeAssured: &consentv1.AgeAssured{
			SubscriberId: e.Subscriber.String(), Method: e.Method, Level: consentv1.AssuranceLevel(e.Level), AtLeast: uint32(e.AtLeast),
		}}}
	case subscriber.RulesSet:
		return &consentv1.Event{Event: &consentv1.Event_RulesSet{RulesSet: &consentv1.RulesSet{
			SubscriberId: e.Subscriber.String(), Rules: RulesProto(e.Rules),
		}}}
	case subscriber.Given:
		l := e.Licence
		record := new(consentv1.Record)
		if err := proto.Unmarshal(e.Record, record); err != nil {
			panic("wire: a consent record was changed on its way")
		}
		record.LineUser = e.LineUser
		return &consentv1.Event{Event: &consentv1.Event_ConsentGiven{ConsentGiven: &consentv1.ConsentGiven{
			AgreementId: l.Agreement.String(), OfferId: l.Offer.String(), BidId: l.Bid.String(), SubscriberId: l.Subscriber.String(),
			ExpiresAt: l.ExpiresAt.UnixMicro(), Record: record,
		}}}
	case subscriber.Refused:
		return &consentv1.Event{Event: &consentv1.Event_ConsentRefused{ConsentRefused: &consentv1.ConsentRefused{
			AgreementId: e.Scope.Agreement.String(), OfferId: e.Scope.Offer.String(), BidId: e.Scope.Bid.String(),
			SubscriberId: e.Subscriber.String(), Refusal: ReasonProto(e.Reason),
		}}}
	case subscriber.Withdrawn:
		m := &consentv1.ConsentWithdrawn{
			SubscriberId: e.Subscriber.String(), Scope: scopeProto(e.Scope), All: e.All, Initiator: consentv1.Initiator(e.Initiator),
			AwaitedAgreementId: awaitedProto(e.Awaited),
		}
		return &consentv1.Event{Event: &consentv1.Event_ConsentWithdrawn{ConsentWithdrawn: m}}
	case subscriber.Paused:
		m := &consentv1.ConsentPaused{
			SubscriberId: e.Subscriber.String(), Scope: scopeProto(e.Scope), All: e.All, Initiator: consentv1.Initiator(e.Initiator),
			AwaitedAgreementId: awaitedProto(e.Awaited),
		}
		return &consentv1.Event{Event: &consentv1.Event_ConsentPaused{ConsentPaused: m}}
	case subscriber.Resumed:
		return &consentv1.Event{Event: &consentv1.Event_ConsentResumed{ConsentResumed: &consentv1.ConsentResumed{
			SubscriberId: e.Subscriber.String(), Scope: scopeProto(e.Scope), All: e.All, AwaitedAgreementId: awaitedProto(e.Awaited),
		}}}
	case subscriber.Expired:
		return &consentv1.Event{Event: &consentv1.Event_ConsentExpired{ConsentExpired: &consentv1.ConsentExpired{
			SubscriberId: e.Subscriber.String(), Scope: scopeProto([]subscriber.Scope{e.Scope})[0], Reason: consentv1.ExpiryReason(e.Reason),
		}}}
	case subscriber.Released:
		return &consentv1.Event{Event: &consentv1.Event_ReleaseCommitted{ReleaseCommitted: &consentv1.ReleaseCommitted{
			AgreementId: e.Agreement.String(), DeliveryId: e.Delivery.String(), SubscriberId: e.Subscriber.String(),
			ConsentPosition: e.ConsentPosition, AttemptId: e.Attempt.String(),
		}}}
	case subscriber.ErasureRequested:
		m := &consentv1.ErasureRequested{SubscriberId: e.Subscriber.String()}
		for _, class := range e.Retention {
			m.Retention = append(m.Retention, eventv1.Retention(class))
		}
		return &consentv1.Event{Event: &consentv1.Event_ErasureRequested{ErasureRequested: m}}
	}
	panic(fmt.Sprintf("wire: no arm for %T", e))
}

// bars gives the contract's form of an event about a buyer.
func bars(e party.Event) *consentv1.Event {
	switch e := e.(type) {
	case party.Barred:
		return &consentv1.Event{Event: &consentv1.Event_BuyerBarred{BuyerBarred: &consentv1.BuyerBarred{
			BuyerId: e.Buyer.String(), Reason: e.Reason, BuyerVersion: e.Word, AtGate: e.AtGate,
		}}}
	case party.Unbarred:
		return &consentv1.Event{Event: &consentv1.Event_BuyerUnbarred{BuyerUnbarred: &consentv1.BuyerUnbarred{
			BuyerId: e.Buyer.String(), BuyerVersion: e.Word, AtGate: e.AtGate,
		}}}
	}
	panic(fmt.Sprintf("wire: no arm for %T", e))
}

// ids reads the ids of one message and keeps the first fault.
type ids struct{ err error }

func (r *ids) read(field, s string) id.ID {
	v, err := id.Parse(s)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("wire: %s: %w", field, err)
	}
	return v
}

func (r *ids) subscriber(s string) subscriber.ID {
	return subscriber.ID{ID: r.read("subscriber_id", s)}
}

// awaited reads an agreement whose acceptance had not come; empty in most events.
func (r *ids) awaited(s string) (a subscriber.AgreementID) {
	if s != "" {
		a.ID = r.read("awaited_agreement_id", s)
	}
	return a
}

func awaitedProto(a subscriber.AgreementID) string {
	if a.IsZero() {
		return ""
	}
	return a.String()
}

func (r *ids) scope(m *consentv1.Ended) subscriber.Scope {
	return r.scopeOf(m.GetAgreementId(), m.GetOfferId(), m.GetBidId())
}

func (r *ids) scopeOf(agreement, offer, bid string) subscriber.Scope {
	return subscriber.Scope{
		Agreement: subscriber.AgreementID{ID: r.read("agreement_id", agreement)},
		Offer:     subscriber.OfferID{ID: r.read("offer_id", offer)},
		Bid:       subscriber.BidID{ID: r.read("bid_id", bid)},
	}
}

func (r *ids) scopes(list []*consentv1.Ended) []subscriber.Scope {
	out := make([]subscriber.Scope, 0, len(list))
	for _, m := range list {
		out = append(out, r.scope(m))
	}
	return out
}

// personal reads an event about a person; nil where the arm is not one.
func personal(m *consentv1.Event) (subscriber.Event, error) {
	var r ids
	e := r.personal(m)
	return e, r.err
}

func (r *ids) personal(m *consentv1.Event) subscriber.Event {
	switch arm := m.GetEvent().(type) {
	case *consentv1.Event_SubscriberEnrolled:
		e := arm.SubscriberEnrolled
		birth, _ := time.Parse(time.DateOnly, e.GetBirthDate())
		return subscriber.Enrolled{Subscriber: r.subscriber(e.GetSubscriberId()), Identity: subscriber.Identity{
			Country: e.GetCountry(), Language: e.GetLanguage(), Birth: birth, BirthYear: int(e.GetBirthYear()),
			Level: subscriber.Level(e.GetLevel()), LineUser: e.GetLineUser(),
		}}
	case *consentv1.Event_AgeAssured:
		e := arm.AgeAssured
		return subscriber.AgeAssured{
			Subscriber: r.subscriber(e.GetSubscriberId()), Method: e.GetMethod(), Level: subscriber.Level(e.GetLevel()), AtLeast: int(e.GetAtLeast()),
		}
	case *consentv1.Event_RulesSet:
		e := arm.RulesSet
		return subscriber.RulesSet{Subscriber: r.subscriber(e.GetSubscriberId()), Rules: r.rules(e.GetRules())}
	case *consentv1.Event_ConsentGiven:
		e := arm.ConsentGiven
		return r.given(e)
	case *consentv1.Event_ConsentRefused:
		e := arm.ConsentRefused
		return subscriber.Refused{
			Subscriber: r.subscriber(e.GetSubscriberId()), Scope: r.scopeOf(e.GetAgreementId(), e.GetOfferId(), e.GetBidId()),
			Reason: ReasonName(Refusal(e)),
		}
	case *consentv1.Event_ConsentWithdrawn:
		e := arm.ConsentWithdrawn
		return subscriber.Withdrawn{
			Subscriber: r.subscriber(e.GetSubscriberId()), Scope: r.scopes(e.GetScope()), All: e.GetAll(), Initiator: subscriber.Initiator(e.GetInitiator()),
			Awaited: r.awaited(e.GetAwaitedAgreementId()),
		}
	case *consentv1.Event_ConsentPaused:
		e := arm.ConsentPaused
		return subscriber.Paused{
			Subscriber: r.subscriber(e.GetSubscriberId()), Scope: r.scopes(e.GetScope()), All: e.GetAll(), Initiator: subscriber.Initiator(e.GetInitiator()),
			Awaited: r.awaited(e.GetAwaitedAgreementId()),
		}
	case *consentv1.Event_ConsentResumed:
		e := arm.ConsentResumed
		return subscriber.Resumed{
			Subscriber: r.subscriber(e.GetSubscriberId()), Scope: r.scopes(e.GetScope()), All: e.GetAll(), Awaited: r.awaited(e.GetAwaitedAgreementId()),
		}
	case *consentv1.Event_ConsentExpired:
		e := arm.ConsentExpired
		return subscriber.Expired{Subscriber: r.subscriber(e.GetSubscriberId()), Scope: r.scope(e.GetScope()), Reason: subscriber.Expiry(e.GetReason())}
	case *consentv1.Event_ReleaseCommitted:
		e := arm.ReleaseCommitted
		return subscriber.Released{
			Subscriber: r.subscriber(e.GetSubscriberId()), Agreement: subscriber.AgreementID{ID: r.read("agreement_id", e.GetAgreementId())},
			Delivery: subscriber.DeliveryID{ID: r.read("delivery_id", e.GetDeliveryId())},
			Attempt:  subscriber.AttemptID{ID: r.read("attempt_id", e.GetAttemptId())}, ConsentPosition: e.GetConsentPosition(),
		}
	case *consentv1.Event_ErasureRequested:
		e := subscriber.ErasureRequested{Subscriber: r.subscriber(arm.ErasureRequested.GetSubscriberId())}
		for _, class := range arm.ErasureRequested.GetRetention() {
			e.Retention = append(e.Retention, int32(class))
		}
		return e
	}
	return nil
}

// Refusal is why a consent was not given; unset once its proof is forgotten.
func Refusal(e *consentv1.ConsentRefused) consentv1.Reason {
	return cmp.Or(e.GetRefusal(), e.GetReason())
}

// given reads a consent. Once its proof is forgotten the record is empty: the consent is known to have been, and its buyer
// and product are not.
func (r *ids) given(e *consentv1.ConsentGiven) subscriber.Event {
	scope := r.scopeOf(e.GetAgreementId(), e.GetOfferId(), e.GetBidId())
	out := subscriber.Given{Licence: subscriber.Licence{
		Agreement: scope.Agreement, Offer: scope.Offer, Bid: scope.Bid, Subscriber: r.subscriber(e.GetSubscriberId()),
		ExpiresAt: time.UnixMicro(e.GetExpiresAt()).UTC(),
	}}
	if e.GetRecord() == nil {
		return out
	}
	l := e.GetRecord().GetLicence()
	out.Licence.Buyer = subscriber.BuyerID{ID: r.read("buyer_id", l.GetBuyerId())}
	out.Licence.Product, out.Licence.Purpose = l.GetProduct().GetId(), l.GetPurpose()
	out.Licence.Country, out.Licence.Health = l.GetCountry(), l.GetHealth()
	out.Licence.Retention = int(l.GetRetentionDays())
	out.LineUser = e.GetRecord().GetLineUser()
	bare := proto.CloneOf(e.GetRecord())
	bare.LineUser = ""
	record, err := proto.MarshalOptions{Deterministic: true}.Marshal(bare)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("wire: record: %w", err)
	}
	out.Record = record
	return out
}

// barring reads an event about a buyer; nil where the arm is not one.
func barring(m *consentv1.Event) (party.Event, error) {
	var r ids
	switch arm := m.GetEvent().(type) {
	case *consentv1.Event_BuyerBarred:
		e := arm.BuyerBarred
		return party.Barred{
			Buyer: party.ID{ID: r.read("buyer_id", e.GetBuyerId())}, Reason: e.GetReason(), Word: e.GetBuyerVersion(), AtGate: e.GetAtGate(),
		}, r.err
	case *consentv1.Event_BuyerUnbarred:
		e := arm.BuyerUnbarred
		return party.Unbarred{Buyer: party.ID{ID: r.read("buyer_id", e.GetBuyerId())}, Word: e.GetBuyerVersion(), AtGate: e.GetAtGate()}, r.err
	}
	return nil, nil
}

func scopeProto(scope []subscriber.Scope) []*consentv1.Ended {
	out := make([]*consentv1.Ended, 0, len(scope))
	for _, s := range scope {
		out = append(out, &consentv1.Ended{AgreementId: s.Agreement.String(), OfferId: s.Offer.String(), BidId: s.Bid.String()})
	}
	return out
}
