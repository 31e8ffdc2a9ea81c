package wire

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

// Fold is the version of the book's Evolve and Touches, and of the rows' form.
const Fold = 4

// Rules are the book's as the engine wants them.
func Rules(l book.Ledger, c Codec) es.Rules[book.State, book.Command, book.Event] {
	return es.Rules[book.State, book.Command, book.Event]{
		Name: "book",
		Fold: Fold,
		Streams: func(c book.Command) []es.Stream {
			reads := book.Reads(c)
			streams := make([]es.Stream, len(reads))
			for i, on := range reads {
				streams[i] = Stream(on)
			}
			return streams
		},
		Creates: func(c book.Command) (es.Stream, bool) {
			on, ok := book.Creates(c)
			return Stream(on), ok
		},
		Decide: func(state func(es.Stream) book.State, c book.Command, at time.Time) ([]es.Entry[book.Event], error) {
			entries, err := l.Decide(func(on book.On) book.State { return state(Stream(on)) }, c, at)
			if err != nil {
				return nil, err
			}
			out := make([]es.Entry[book.Event], len(entries))
			for i, e := range entries {
				out[i] = es.Entry[book.Event]{Stream: Stream(e.On), Event: e.Event}
			}
			return out, nil
		},
		Evolve: func(s book.State, on es.Stream, e es.Entry[book.Event]) book.State {
			return l.Evolve(s, Place(on), e.Event, e.At)
		},
		Touch: func(e es.Entry[book.Event]) []es.Stream {
			touched := book.Touches(book.Entry{On: Place(e.Stream), Event: e.Event})
			streams := make([]es.Stream, len(touched))
			for i, on := range touched {
				streams[i] = Stream(on)
			}
			return streams
		},
		Conserve: book.Conserve,
		Encode: func(e book.Event, h *es.Header, _ any) (string, []byte, error) {
			if s, ok := e.(book.Settled); ok {
				return c.settled(&s, h.Meta)
			}
			m := c.Proto(e)
			m.Meta = h.Meta
			data, err := proto.Marshal(m)
			if err != nil {
				return "", nil, fmt.Errorf("wire: %w", err)
			}
			return Arm(m), data, nil
		},
		Decode:      func(r *es.Record, _ any) (book.Event, error) { return c.Decode(r.Data) },
		EncodeState: func(s book.State, _ es.Stream, _ any) ([]byte, error) { return EncodeState(s) },
		DecodeState: func(b []byte, _ es.Stream, _ any) (book.State, error) { return DecodeState(b) },
	}
}

// Decode reads a stored event. An arm without a rule is one of a newer version: es.ErrUnknownArm.
func (c Codec) Decode(data []byte) (book.Event, error) {
	m := new(settlementv1.Event)
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	e, err := c.Domain(m)
	switch {
	case err != nil:
		return nil, err
	case e == nil:
		return nil, es.ErrUnknownArm
	}
	return e, nil
}

// Arm is the type of an event: the name of the arm that is set.
func Arm(m *settlementv1.Event) string {
	r := m.ProtoReflect()
	if f := r.WhichOneof(arms); f != nil {
		return string(f.Name())
	}
	return ""
}

var arms = (*settlementv1.Event)(nil).ProtoReflect().Descriptor().Oneofs().ByName("event")
