package wire

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/party"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

// Schema names the form of this context's events, in what their boxes are bound to.
const Schema = "obole.consent.v1"

// Fold is the version of the subscriber's Evolve and Touches, and of the rows' form.
const Fold = 5

// People are the rules of the root subscriber. keys is the person's *vault.Ring.
func People() es.Rules[subscriber.State, subscriber.Command, subscriber.Event] {
	return es.Rules[subscriber.State, subscriber.Command, subscriber.Event]{
		Name: "subscriber",
		Fold: Fold,
		Streams: func(c subscriber.Command) []es.Stream {
			reads := subscriber.Reads(c)
			streams := make([]es.Stream, len(reads))
			for i, on := range reads {
				streams[i] = Stream(on)
			}
			return streams
		},
		Creates: func(c subscriber.Command) (es.Stream, bool) {
			on, ok := subscriber.Creates(c)
			return Stream(on), ok
		},
		Decide: func(state func(es.Stream) subscriber.State, c subscriber.Command, at time.Time) ([]es.Entry[subscriber.Event], error) {
			entries, err := subscriber.Decide(func(on subscriber.On) subscriber.State { return state(Stream(on)) }, c, at)
			if err != nil {
				return nil, err
			}
			out := make([]es.Entry[subscriber.Event], len(entries))
			for i, e := range entries {
				out[i] = es.Entry[subscriber.Event]{Stream: Stream(e.On), Event: e.Event}
			}
			return out, nil
		},
		Evolve: func(s subscriber.State, on es.Stream, e es.Entry[subscriber.Event]) subscriber.State {
			return subscriber.Evolve(s, place(on), entry(e))
		},
		Touch: func(e es.Entry[subscriber.Event]) []es.Stream {
			touched := subscriber.Touches(entry(e))
			streams := make([]es.Stream, len(touched))
			for i, on := range touched {
				streams[i] = Stream(on)
			}
			return streams
		},
		Encode: func(e subscriber.Event, h *es.Header, keys any) (string, []byte, error) {
			return encode(person(e), h, keys)
		},
		Decode: func(r *es.Record, keys any) (subscriber.Event, error) {
			ring, ok := keys.(*vault.Ring)
			if !ok {
				return nil, es.ErrKeys
			}
			return Person(r, ring)
		},
		EncodeState: encodeState,
		DecodeState: decodeState,
	}
}

// Parties are the rules of the root party.
func Parties() es.Rules[party.State, party.Command, party.Event] {
	return es.Rules[party.State, party.Command, party.Event]{
		Name:    "party",
		Fold:    2,
		Streams: func(c party.Command) []es.Stream { return []es.Stream{es.StreamOf(c.Buyer.ID)} },
		Decide: func(state func(es.Stream) party.State, c party.Command, _ time.Time) (out []es.Entry[party.Event], _ error) {
			on := es.StreamOf(c.Buyer.ID)
			for _, e := range party.Decide(state(on), c) {
				out = append(out, es.Entry[party.Event]{Stream: on, Event: e})
			}
			return out, nil
		},
		Evolve: func(s party.State, _ es.Stream, e es.Entry[party.Event]) party.State { return party.Evolve(s, e.Event) },
		Encode: func(e party.Event, h *es.Header, _ any) (string, []byte, error) { return encode(bars(e), h, nil) },
		Decode: func(r *es.Record, _ any) (party.Event, error) {
			m := new(consentv1.Event)
			if err := proto.Unmarshal(r.Data, m); err != nil {
				return nil, fmt.Errorf("wire: %w", err)
			}
			e, err := barring(m)
			if err == nil && e == nil {
				err = es.ErrUnknownArm
			}
			return e, err
		},
	}
}

// encode seals what is personal and serialises the rest. Events about buyers have nothing personal and no keys.
func encode(m *consentv1.Event, h *es.Header, keys any) (string, []byte, error) {
	m.Meta = h.Meta
	typ := Arm(m)
	stamp(m, h)
	if ring, ok := keys.(*vault.Ring); ok {
		m.Meta = vault.Meta(h.Meta)
		sealed, err := ring.Seal(m, vault.AAD(h.ID, string(h.Stream), int64(h.Version), typ, Schema))
		if err != nil {
			return "", nil, fmt.Errorf("wire: seal %s: %w", typ, err)
		}
		m.Sealed = sealed
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return "", nil, fmt.Errorf("wire: %w", err)
	}
	return typ, data, nil
}

// stamp says on which version of the consent's stream a release was decided: it stands there itself, right behind it.
func stamp(m *consentv1.Event, h *es.Header) {
	if r := m.GetReleaseCommitted(); r != nil {
		r.ConsentVersion = int64(h.Version) - 1
	}
}

// Opener opens sealed fields: a person's ring, or a bunch of several people's keys.
type Opener interface {
	Open(m proto.Message, sealed []*eventv1.Sealed, aad []byte) ([]vault.Retention, error)
}

// Message reads a stored event with its personal fields put back; those of forgotten classes stay empty.
func Message(r *es.Record, keys Opener) (*consentv1.Event, error) {
	m, _, err := Told(r, keys)
	return m, err
}

// Told is Message, and says whether anything of it is forgotten.
func Told(r *es.Record, keys Opener) (m *consentv1.Event, forgotten bool, err error) {
	m = new(consentv1.Event)
	if err := proto.Unmarshal(r.Data, m); err != nil {
		return nil, false, fmt.Errorf("wire: %w", err)
	}
	gone, err := keys.Open(m, m.GetSealed(), vault.AAD(r.ID, string(r.Stream), int64(r.Version), r.Type, Schema))
	if errors.Is(err, vault.ErrKeyUnknown) {
		return nil, false, es.ErrKeys
	}
	if err != nil {
		return nil, false, fmt.Errorf("wire: open %s: %w", r.Type, err)
	}
	return m, len(gone) > 0, nil
}

// Person reads a stored event about a person.
func Person(r *es.Record, keys Opener) (subscriber.Event, error) {
	m, err := Message(r, keys)
	if err != nil {
		return nil, err
	}
	e, err := personal(m)
	if err == nil && e == nil {
		err = es.ErrUnknownArm
	}
	return e, err
}

// Arm is the type of an event: the name of the arm that is set.
func Arm(m *consentv1.Event) string {
	if f := m.ProtoReflect().WhichOneof(arms); f != nil {
		return string(f.Name())
	}
	return ""
}

var arms = (*consentv1.Event)(nil).ProtoReflect().Descriptor().Oneofs().ByName("event")

// Stream is the name of a person's or a consent's stream.
func Stream(on subscriber.On) es.Stream {
	s := es.StreamOf(on.Subscriber.ID)
	if on.Agreement.IsZero() {
		return s
	}
	return s.Child(on.Agreement.ID)
}

// place is Stream's inverse, for names that Stream has made.
func place(s es.Stream) (on subscriber.On) {
	const text = 36
	on.Subscriber.ID, _ = id.Parse(s.Root())
	if len(s) > text {
		on.Agreement.ID, _ = id.Parse(string(s[text+1:]))
	}
	return on
}

func entry(e es.Entry[subscriber.Event]) subscriber.Entry {
	return subscriber.Entry{On: place(e.Stream), Event: e.Event, Position: int64(e.Position), At: e.At}
}
