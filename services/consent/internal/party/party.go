package party

import "github.com/obole-market/obole/pkg/id"

// ID is a buyer's id.
type ID struct{ id.ID }

// State of a buyer's stream; the zero value is a buyer that nothing is held against.
type State struct {
	// Barred is what the gate obeys: either of the two below.
	Barred bool
	// Suspended says the market, AtGate the operator at the gate itself; neither undoes the other's word.
	Suspended bool
	AtGate    bool
	// Word is the market's newest word that was obeyed: the version of the buyer's stream there. 0 means none that had one.
	Word int64
}

// Command bars a buyer or ends that.
type Command struct {
	Buyer  ID
	Bar    bool
	Reason string // the operator's code, when barring
	Word   int64  // version of the buyer's stream at the market; 0 from a process of before words had versions
	AtGate bool   // the operator's own word to the gate
}

// Event is a fact about a buyer.
type Event interface{ event() }

// Barred: the gate refuses this buyer from now on.
type Barred struct {
	Buyer  ID
	Reason string
	Word   int64
	AtGate bool
}

// Unbarred ends what one of the two has said.
type Unbarred struct {
	Buyer  ID
	Word   int64
	AtGate bool
}

func (Barred) event()   {}
func (Unbarred) event() {}

// Decide answers a command with the event that it causes, if any. The market's words come by call and by topic, in any order: one that is
// older than what was obeyed changes nothing, and a newer one is kept also where it changes nothing yet, lest an older one should
// undo it later.
func Decide(s State, c Command) []Event {
	switch {
	case c.AtGate && c.Bar == s.AtGate:
		return nil
	case !c.AtGate && c.Word == 0 && c.Bar == s.Suspended:
		return nil
	case !c.AtGate && c.Word > 0 && c.Word <= s.Word:
		return nil
	case c.Bar:
		return []Event{Barred{Buyer: c.Buyer, Reason: c.Reason, Word: c.Word, AtGate: c.AtGate}}
	}
	return []Event{Unbarred{Buyer: c.Buyer, Word: c.Word, AtGate: c.AtGate}}
}

// Evolve folds an event into the state. It is total.
func Evolve(s State, e Event) State {
	switch e := e.(type) {
	case Barred:
		s = s.told(true, e.Word, e.AtGate)
	case Unbarred:
		s = s.told(false, e.Word, e.AtGate)
	}
	s.Barred = s.Suspended || s.AtGate
	return s
}

func (s State) told(bar bool, word int64, atGate bool) State {
	if atGate {
		s.AtGate = bar
		return s
	}
	s.Suspended, s.Word = bar, max(s.Word, word)
	return s
}
