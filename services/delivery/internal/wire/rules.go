package wire

import (
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

// Schema names the form of this context's events, in what their boxes are bound to.
const Schema = "obole.delivery.v1"

// Fold is the version of both roots' Evolve and Touches, and of the rows' form.
const Fold = 3

// Holdings are the rules of the root holding. keys is the person's *vault.Ring.
func Holdings() es.Rules[holding.State, holding.Command, holding.Event] {
	return es.Rules[holding.State, holding.Command, holding.Event]{
		Name: "holding",
		Fold: Fold,
		Streams: func(c holding.Command) (out []es.Stream) {
			for _, on := range holding.Reads(c) {
				out = append(out, HoldingStream(on))
			}
			return out
		},
		Creates: func(c holding.Command) (es.Stream, bool) {
			on, ok := holding.Creates(c)
			return HoldingStream(on), ok
		},
		Decide: func(state func(es.Stream) holding.State, c holding.Command, _ time.Time) ([]es.Entry[holding.Event], error) {
			entries, err := holding.Decide(func(on holding.On) holding.State { return state(HoldingStream(on)) }, c)
			if err != nil {
				return nil, err
			}
			out := make([]es.Entry[holding.Event], len(entries))
			for i, e := range entries {
				out[i] = es.Entry[holding.Event]{Stream: HoldingStream(e.On), Event: e.Event}
			}
			return out, nil
		},
		Evolve: func(s holding.State, _ es.Stream, e es.Entry[holding.Event]) holding.State {
			return holding.Evolve(s, e.Event)
		},
		Encode: func(e holding.Event, h *es.Header, keys any) (string, []byte, error) { return encode(held(e), h, keys) },
		Decode: func(r *es.Record, keys any) (holding.Event, error) {
			m, err := open(r, keys)
			if err != nil {
				return nil, err
			}
			return known(holds(m))
		},
	}
}

// Shelves are the rules of the root shelf. keys is the person's *vault.Ring.
func Shelves() es.Rules[shelf.State, shelf.Command, shelf.Event] {
	return es.Rules[shelf.State, shelf.Command, shelf.Event]{
		Name: "shelf",
		Fold: Fold,
		Streams: func(c shelf.Command) (out []es.Stream) {
			for _, on := range shelf.Reads(c) {
				out = append(out, Stream(on))
			}
			return out
		},
		Creates: func(c shelf.Command) (es.Stream, bool) {
			on, ok := shelf.Creates(c)
			return Stream(on), ok
		},
		Decide: func(state func(es.Stream) shelf.State, c shelf.Command, at time.Time) ([]es.Entry[shelf.Event], error) {
			entries, err := shelf.Decide(func(on shelf.On) shelf.State { return state(Stream(on)) }, c, at)
			if err != nil {
				return nil, err
			}
			out := make([]es.Entry[shelf.Event], len(entries))
			for i, e := range entries {
				out[i] = es.Entry[shelf.Event]{Stream: Stream(e.On), Event: e.Event}
			}
			return out, nil
		},
		Evolve: func(s shelf.State, on es.Stream, e es.Entry[shelf.Event]) shelf.State {
			return shelf.Evolve(s, place(on), shelf.Entry{On: place(e.Stream), Event: e.Event})
		},
		Touch: func(e es.Entry[shelf.Event]) (out []es.Stream) {
			for _, on := range shelf.Touches(shelf.Entry{On: place(e.Stream), Event: e.Event}) {
				out = append(out, Stream(on))
			}
			return out
		},
		Encode: func(e shelf.Event, h *es.Header, keys any) (string, []byte, error) { return encode(put(e), h, keys) },
		Decode: func(r *es.Record, keys any) (shelf.Event, error) {
			m, err := open(r, keys)
			if err != nil {
				return nil, err
			}
			return known(puts(m))
		},
		EncodeState: encodeState,
		DecodeState: decodeState,
	}
}

// known refuses an arm that the root does not have: its event is nil.
func known[E any](e E, err error) (E, error) {
	if err == nil && any(e) == nil {
		err = es.ErrUnknownArm
	}
	return e, err
}

// encode seals what is personal and serialises the rest.
func encode(m *deliveryv1.Event, h *es.Header, keys any) (string, []byte, error) {
	ring, ok := keys.(*vault.Ring)
	if !ok {
		return "", nil, es.ErrKeys
	}
	m.Meta = h.Meta
	typ := Arm(m)
	var err error
	if m.Sealed, err = ring.Seal(m, vault.AAD(h.ID, string(h.Stream), int64(h.Version), typ, Schema)); err != nil {
		return "", nil, fmt.Errorf("wire: seal %s: %w", typ, err)
	}
	data, err := proto.Marshal(m)
	if err != nil {
		return "", nil, fmt.Errorf("wire: %w", err)
	}
	return typ, data, nil
}

// Opener opens sealed fields: a person's ring, or a bunch of several people's keys.
type Opener interface {
	Open(m proto.Message, sealed []*eventv1.Sealed, aad []byte) ([]vault.Retention, error)
}

func open(r *es.Record, keys any) (*deliveryv1.Event, error) {
	ring, ok := keys.(Opener)
	if !ok {
		return nil, es.ErrKeys
	}
	return Message(r, ring)
}

// Message reads a stored event with its personal fields put back; those of forgotten classes stay empty.
func Message(r *es.Record, keys Opener) (*deliveryv1.Event, error) {
	m, _, err := Told(r, keys)
	return m, err
}

// Told is Message, and says whether anything of it is forgotten.
func Told(r *es.Record, keys Opener) (m *deliveryv1.Event, forgotten bool, err error) {
	m = new(deliveryv1.Event)
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

// Arm is the type of an event: the name of the arm that is set.
func Arm(m *deliveryv1.Event) string {
	if f := m.ProtoReflect().WhichOneof(arms); f != nil {
		return string(f.Name())
	}
	return ""
}

var arms = (*deliveryv1.Event)(nil).ProtoReflect().Descriptor().Oneofs().ByName("event")

// OfHolding says whether a type of event is one of the root holding; all others are the shelf's.
func OfHolding(typ string) bool {
	switch typ {
	case "source_connected", "data_imported", "point_corrected", "facts_derived",
		"source_restricted", "restriction_lifted", "source_disconnected", "source_reconnected":
		return true
	}
	return false
}

// HoldingStream is the name of a person's or a source's stream.
func HoldingStream(on holding.On) es.Stream {
	s := es.StreamOf(on.Holding.ID)
	if on.Source.IsZero() {
		return s
	}
	return s.Child(on.Source.ID)
}

// Stream is the name of a shelf's, an agreement's or a delivery's stream.
func Stream(on shelf.On) es.Stream {
	s := es.StreamOf(on.Shelf.ID)
	if on.Child.IsZero() {
		return s
	}
	return s.Child(on.Child)
}

// place is Stream's inverse, for names that Stream has made.
func place(s es.Stream) (on shelf.On) {
	const text = 36
	on.Shelf.ID, _ = id.Parse(s.Root())
	if len(s) > text {
		on.Child, _ = id.Parse(string(s[text+1:]))
	}
	return on
}
