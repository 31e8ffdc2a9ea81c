package party

import "github.com/obole-market/obole/pkg/id"

// ID is a buyer's id.
type ID struct{ id.ID }

// State of a buyer's stream; the zero value is a buyer that nothing is held against.
type State struct {
	Barred bool
}

// Command bars a buyer or ends that.
type Command struct {
	Buyer  ID
	Bar    bool
	Reason string // the operator's code, when barring
}

// Event is a fact about a buyer.
type Event interface{ event() }

// Barred: the gate refuses this buyer from now on.
type Barred struct {
	Buyer  ID
	Reason string
}

// Unbarred ends it.
type Unbarred struct{ Buyer ID }

func (Barred) event()   {}
func (Unbarred) event() {}

// Decide answers a command with the event that it causes, if any.
func Decide(s State, c Command) []Event {
	switch {
	case c.Bar == s.Barred:
		return nil
	case c.Bar:
		return []Event{Barred{Buyer: c.Buyer, Reason: c.Reason}}
	}
	return []Event{Unbarred{Buyer: c.Buyer}}
}

// Evolve folds an event into the state. It is total.
func Evolve(_ State, e Event) State {
	_, barred := e.(Barred)
	return State{Barred: barred}
}
