package wire

import (
	"fmt"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/buyer"
)

// Buyers are the rules of the root buyer.
func Buyers() es.Rules[buyer.State, buyer.Command, buyer.Event] {
	return es.Rules[buyer.State, buyer.Command, buyer.Event]{
		Name:    "buyer",
		Fold:    3,
		Streams: func(c buyer.Command) []es.Stream { return []es.Stream{es.StreamOf(buyer.On(c).ID)} },
		Creates: func(c buyer.Command) (es.Stream, bool) { return es.StreamOf(buyer.On(c).ID), buyer.Creates(c) },
		Decide: func(state func(es.Stream) buyer.State, c buyer.Command, _ time.Time) (out []es.Entry[buyer.Event], _ error) {
			on := es.StreamOf(buyer.On(c).ID)
			events, err := buyer.Decide(state(on), c)
			for _, e := range events {
				out = append(out, es.Entry[buyer.Event]{Stream: on, Event: e})
			}
			return out, err
		},
		Evolve: func(s buyer.State, _ es.Stream, e es.Entry[buyer.Event]) buyer.State {
			return buyer.Evolve(s, e.Event, int64(e.Version), e.At)
		},
		Encode: func(e buyer.Event, h *es.Header, _ any) (string, []byte, error) { return encode(buyerProto(e), h) },
		Decode: func(r *es.Record, _ any) (buyer.Event, error) {
			m, err := Decode(r.Data)
			if err != nil {
				return nil, err
			}
			e, err := buyerEvent(m)
			if err == nil && e == nil {
				err = es.ErrUnknownArm
			}
			return e, err
		},
	}
}

// Key gives a buyer's key as the domain keeps it.
func Key(k *offersv1.BuyerKey) buyer.Key { return buyer.Key{ID: k.GetId(), Raw: Marshal(k)} }

// KeyProto is Key's inverse.
func KeyProto(k buyer.Key) *offersv1.BuyerKey {
	m := new(offersv1.BuyerKey)
	_ = proto.Unmarshal(k.Raw, m) // Key has made it
	return m
}

// Entity gives a legal entity as the domain keeps it.
func Entity(e *offersv1.LegalEntity) buyer.Entity { return Marshal(e) }

// EntityProto is Entity's inverse.
func EntityProto(e buyer.Entity) *offersv1.LegalEntity {
	m := new(offersv1.LegalEntity)
	_ = proto.Unmarshal(e, m) // Entity has made it
	return m
}

// EntityNumber is a legal entity's number as it is compared: letters in upper case and digits, whatever stands between them.
func EntityNumber(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			return -1
		}
		return unicode.ToUpper(r)
	}, text)
}

// Marshal serialises a message of the contract, the same way each time.
func Marshal(m proto.Message) []byte {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		panic("wire: a message of the contract cannot be serialised: " + err.Error())
	}
	return b
}

func buyerProto(e buyer.Event) *offersv1.Event {
	switch e := e.(type) {
	case buyer.Registered:
		m := &offersv1.BuyerRegistered{BuyerId: e.ID.String(), GroupId: e.Claim.String(), Entity: EntityProto(e.Entity)}
		for _, k := range e.Keys {
			m.Keys = append(m.Keys, KeyProto(k))
		}
		return &offersv1.Event{Event: &offersv1.Event_BuyerRegistered{BuyerRegistered: m}}
	case buyer.Vetted:
		m := &offersv1.BuyerVetted{BuyerId: e.ID.String()}
		if !e.Group.IsZero() {
			m.GroupId = e.Group.String()
		}
		return &offersv1.Event{Event: &offersv1.Event_BuyerVetted{BuyerVetted: m}}
	case buyer.Suspended:
		return &offersv1.Event{Event: &offersv1.Event_BuyerSuspended{BuyerSuspended: &offersv1.BuyerSuspended{BuyerId: e.ID.String(), Reason: e.Reason}}}
	case buyer.Reinstated:
		return &offersv1.Event{Event: &offersv1.Event_BuyerReinstated{BuyerReinstated: &offersv1.BuyerReinstated{BuyerId: e.ID.String()}}}
	case buyer.Rotated:
		return &offersv1.Event{Event: &offersv1.Event_BuyerKeyRotated{BuyerKeyRotated: &offersv1.BuyerKeyRotated{
			BuyerId: e.ID.String(), Key: KeyProto(e.Key), Replaces: e.Replaces,
		}}}
	}
	panic(fmt.Sprintf("wire: no arm for %T", e))
}

// buyerEvent reads an event about a buyer; nil where the arm is not one.
func buyerEvent(m *offersv1.Event) (buyer.Event, error) {
	var r ids
	who := func(s string) buyer.ID { return buyer.ID{ID: r.read("buyer_id", s)} }
	var e buyer.Event
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_BuyerRegistered:
		b := arm.BuyerRegistered
		out := buyer.Registered{ID: who(b.GetBuyerId()), Claim: r.read("group_id", b.GetGroupId()), Entity: Entity(b.GetEntity())}
		for _, k := range b.GetKeys() {
			out.Keys = append(out.Keys, Key(k))
		}
		e = out
	case *offersv1.Event_BuyerVetted:
		out := buyer.Vetted{ID: who(arm.BuyerVetted.GetBuyerId())}
		if group := arm.BuyerVetted.GetGroupId(); group != "" {
			out.Group = r.read("group_id", group)
		}
		e = out
	case *offersv1.Event_BuyerSuspended:
		e = buyer.Suspended{ID: who(arm.BuyerSuspended.GetBuyerId()), Reason: arm.BuyerSuspended.GetReason()}
	case *offersv1.Event_BuyerReinstated:
		e = buyer.Reinstated{ID: who(arm.BuyerReinstated.GetBuyerId())}
	case *offersv1.Event_BuyerKeyRotated:
		k := arm.BuyerKeyRotated
		e = buyer.Rotated{ID: who(k.GetBuyerId()), Key: Key(k.GetKey()), Replaces: k.GetReplaces()}
	}
	return e, r.err
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
