package estest

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/obole-market/obole/pkg/es"
)

// State of one stream of the suite's root, the jar.
type State struct {
	Events int64  // that changed it
	Sum    int64  // of all amounts
	Trail  uint64 // hash over the events in their order
	Last   time.Time
}

// Command on jars. The first field set says which; New may come with any.
type Command struct {
	Put   *Put
	Pour  *Pour
	Drain *Pour // of all there is; nothing to change if that is nothing
	Panic es.Stream
	Bad   es.Stream // an event that the log cannot store
	Huge  es.Stream // an event above es.MaxEvent
	Lose  *Pour     // a pour that asks nobody whether there is enough

	New es.Stream // which it says it creates, rightly or not
}

// Put adds to a stream, as one event per amount.
type Put struct {
	On      es.Stream
	Amounts []int64
	Max     int64 // refuse above it, 0 for no limit
	Once    bool  // nothing to change if the stream exists
}

// Pour moves an amount between two streams of a jar: an event of the first that touches the second.
type Pour struct {
	From, To es.Stream
	Amount   int64
}

// Event of a jar.
type Event struct {
	Kind   string    `json:"kind"`
	Amount int64     `json:"amount"`
	To     es.Stream `json:"to,omitempty"`
	Pad    string    `json:"pad,omitempty"`
}

// ErrFull is the jar's refusal.
var ErrFull = errors.New("the jar is full")

// Jar is a root without touching streams, with state rows for long ones.
func Jar() es.Rules[State, Command, Event] {
	return es.Rules[State, Command, Event]{
		Name: "jar", Fold: 1,
		Streams: streams, Decide: decide, Evolve: evolve, Encode: encode, Decode: decode,
		Creates:     func(c Command) (es.Stream, bool) { return c.New, c.New != "" },
		EncodeState: func(s State, _ es.Stream, _ any) ([]byte, error) { return json.Marshal(s) },
		DecodeState: func(b []byte, _ es.Stream, _ any) (s State, err error) { return s, json.Unmarshal(b, &s) },
	}
}

// Rack is a root whose streams touch each other.
func Rack() es.Rules[State, Command, Event] {
	r := Jar()
	r.Name = "rack"
	r.Touch = func(e es.Entry[Event]) []es.Stream {
		if e.Event.To == "" {
			return nil
		}
		return []es.Stream{e.Event.To}
	}
	r.Conserve = func(_, after []State) error {
		for _, s := range after {
			if s.Sum < 0 {
				return fmt.Errorf("a stream holds %d", s.Sum)
			}
		}
		return nil
	}
	return r
}

func streams(c Command) []es.Stream {
	switch {
	case c.Put != nil:
		return []es.Stream{c.Put.On}
	case c.Pour != nil:
		return []es.Stream{c.Pour.From, c.Pour.To}
	case c.Drain != nil:
		return []es.Stream{c.Drain.From, c.Drain.To}
	case c.Lose != nil:
		return []es.Stream{c.Lose.From}
	}
	return []es.Stream{c.Panic + c.Bad + c.Huge}
}

func decide(state func(es.Stream) State, c Command, at time.Time) ([]es.Entry[Event], error) {
	one := func(on es.Stream, e Event) []es.Entry[Event] { return []es.Entry[Event]{{Stream: on, Event: e}} }
	switch {
	case c.Put != nil:
		s := state(c.Put.On)
		if at.Before(s.Last) {
			panic("time went backwards")
		}
		if c.Put.Once && s.Events > 0 {
			return nil, nil
		}
		var out []es.Entry[Event]
		for _, a := range c.Put.Amounts {
			out = append(out, one(c.Put.On, Event{Kind: "put", Amount: a})...)
			s.Sum += a
		}
		if c.Put.Max > 0 && s.Sum > c.Put.Max {
			return nil, ErrFull
		}
		return out, nil
	case c.Pour != nil:
		if state(c.Pour.From).Sum < c.Pour.Amount {
			return nil, ErrFull
		}
		return one(c.Pour.From, Event{Kind: "pour", Amount: c.Pour.Amount, To: c.Pour.To}), nil
	case c.Drain != nil:
		sum := state(c.Drain.From).Sum
		if sum == 0 {
			return nil, nil
		}
		return one(c.Drain.From, Event{Kind: "pour", Amount: sum, To: c.Drain.To}), nil
	case c.Lose != nil:
		return one(c.Lose.From, Event{Kind: "pour", Amount: c.Lose.Amount, To: c.Lose.To}), nil
	case c.Bad != "":
		return one(c.Bad, Event{Kind: "\x00", Amount: 1}), nil
	case c.Huge != "":
		return one(c.Huge, Event{Kind: "put", Amount: 1, Pad: strings.Repeat("x", es.MaxEvent)}), nil
	}
	panic("as told")
}

func evolve(s State, on es.Stream, e es.Entry[Event]) State {
	h := fnv.New64a()
	_, _ = h.Write(binary.BigEndian.AppendUint64(nil, s.Trail)) // a hash does not fail
	_, _ = h.Write(binary.BigEndian.AppendUint64([]byte(e.Stream), uint64(e.Event.Amount)))
	s.Trail = h.Sum64()
	s.Events++
	switch {
	case e.Event.Kind != "pour":
		s.Sum += e.Event.Amount
	case e.Event.To == on && e.Stream == on:
	case e.Event.To == on:
		s.Sum += e.Event.Amount
	default:
		s.Sum -= e.Event.Amount
	}
	s.Last = e.At
	return s
}

func encode(e Event, _ *es.Header, _ any) (string, []byte, error) {
	data, err := json.Marshal(e)
	return e.Kind, data, err
}

func decode(r *es.Record, keys any) (e Event, err error) {
	if keys == "wrong" {
		return e, es.ErrKeys
	}
	if r.Type != "put" && r.Type != "pour" {
		return e, es.ErrUnknownArm
	}
	return e, json.Unmarshal(r.Data, &e)
}
