// Package buyer decides who may bid. Its root is a legal entity.
package buyer

import (
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
)

// ID is a buyer's id.
type ID struct{ id.ID }

// Entity describes the legal entity. It is kept whole and opaque: deciding reads nothing of it.
type Entity []byte

// Key is a public key of a buyer, kept whole and opaque but for its name.
type Key struct {
	ID  string
	Raw []byte
	// Until is when another took its place; zero while none has.
	Until time.Time
}

// State of a buyer's stream; its zero value is a buyer that is not there.
type State struct {
	Registered bool
	Claim      id.ID // the group that the buyer says it belongs to
	Group      id.ID // the one that counts; zero until it is vetted
	Entity     Entity
	Keys       []Key // newest first
	Vetted     bool
	Suspended  bool
	Version    int64 // of the stream: by it others tell which of two words about the buyer is the newer one
}

// Command is what a buyer or the operator asks for.
type Command interface{ on() ID }

// Commands.
type (
	// Register opens an account.
	Register struct {
		ID     ID
		Claim  id.ID // of a group; its own id where it claims none
		Entity Entity
		Keys   []Key
	}
	// Vet lets a buyer bid, as one of a group. Zero leaves the group as it was found before, and is at first the buyer's own.
	Vet struct {
		ID    ID
		Group id.ID
	}
	// Suspend stops a buyer.
	Suspend struct {
		ID     ID
		Reason string
	}
	// Reinstate ends a suspension.
	Reinstate struct{ ID ID }
	// Rotate replaces a key.
	Rotate struct {
		ID       ID
		Key      Key
		Replaces string
	}
)

func (c Register) on() ID  { return c.ID }
func (c Vet) on() ID       { return c.ID }
func (c Suspend) on() ID   { return c.ID }
func (c Reinstate) on() ID { return c.ID }
func (c Rotate) on() ID    { return c.ID }

// On is whom a command is about.
func On(c Command) ID { return c.on() }

// Creates says whether a command is the first on its buyer.
func Creates(c Command) bool {
	_, ok := c.(Register)
	return ok
}

// Event is a fact about a buyer.
type Event interface{ event() }

// Events: what a command of the same name came to.
type (
	// Registered: the account is open.
	Registered Register
	// Vetted: the buyer may bid.
	Vetted Vet
	// Suspended: the buyer may do nothing.
	Suspended Suspend
	// Reinstated: the suspension is over.
	Reinstated Reinstate
	// Rotated: a new key took the place of another.
	Rotated Rotate
)

func (Registered) event() {}
func (Vetted) event()     {}
func (Suspended) event()  {}
func (Reinstated) event() {}
func (Rotated) event()    {}

// Refusals, each named by the contract's Reason.
var (
	ErrUnknown     = fault.NotFound("BUYER_UNKNOWN", "there is no such buyer")
	ErrExists      = fault.Exists("BUYER_EXISTS", "the buyer is registered already, with another entity")
	ErrKeyConflict = fault.Refuse("KEY_CONFLICT", "the key id is in use, or the key to be replaced is unknown or was replaced before")
	ErrNotVetted   = fault.Refuse("BUYER_NOT_VETTED", "the buyer is not vetted yet")
	ErrSuspended   = fault.Refuse("BUYER_SUSPENDED", "the buyer is suspended")
	ErrUnconfirmed = fault.Refuse("GROUP_UNCONFIRMED", "the buyer claims a group: say which one counts")
)

// MayBid says why the buyer may not bid, nil when it may.
func (s State) MayBid() *fault.Error {
	switch {
	case !s.Registered:
		return ErrUnknown
	case s.Suspended:
		return ErrSuspended
	case !s.Vetted:
		return ErrNotVetted
	}
	return nil
}

// Decide answers a command with the event that it causes, if any.
func Decide(s State, c Command) ([]Event, error) {
	if r, ok := c.(Register); ok {
		switch {
		case !s.Registered && distinct(r.Keys):
			return []Event{Registered(r)}, nil
		case !s.Registered:
			return nil, ErrKeyConflict
		case s.Claim != r.Claim || string(s.Entity) != string(r.Entity):
			return nil, ErrExists
		}
		return nil, nil
	}
	if !s.Registered {
		return nil, ErrUnknown
	}
	switch c := c.(type) {
	case Vet:
		return s.vet(c)
	case Suspend:
		if !s.Suspended {
			return []Event{Suspended(c)}, nil
		}
	case Reinstate:
		if s.Suspended {
			return []Event{Reinstated(c)}, nil
		}
	case Rotate:
		if i := s.find(c.Replaces); i < 0 || !s.Keys[i].Until.IsZero() || s.find(c.Key.ID) >= 0 {
			return nil, ErrKeyConflict
		}
		return []Event{Rotated(c)}, nil
	}
	return nil, nil
}

// vet takes no buyer's word for its group: whoever could choose it could have another's days charged as its own, or taken.
func (s State) vet(c Vet) ([]Event, error) {
	if c.Group.IsZero() {
		switch {
		case s.Vetted:
			return nil, nil
		case s.Claim != c.ID.ID:
			return nil, ErrUnconfirmed.And("group_id", "the buyer claims "+s.Claim.String())
		}
		c.Group = c.ID.ID
	}
	if s.Vetted && s.Group == c.Group {
		return nil, nil
	}
	return []Event{Vetted(c)}, nil
}

// Evolve folds the event of a version of the stream, and of a time, into the state. It is total.
func Evolve(s State, e Event, version int64, at time.Time) State {
	s.Version = version
	switch e := e.(type) {
	case Registered:
		return State{Registered: true, Claim: e.Claim, Entity: e.Entity, Keys: e.Keys, Version: version}
	case Vetted:
		s.Vetted, s.Group = true, e.Group
		if e.Group.IsZero() {
			s.Group = e.ID.ID // vetted before the operator named groups: nobody has confirmed what it claims
		}
	case Suspended:
		s.Suspended = true
	case Reinstated:
		s.Suspended = false
	case Rotated:
		keys := append([]Key{e.Key}, s.Keys...)
		if i := s.find(e.Replaces); i >= 0 && keys[i+1].Until.IsZero() {
			keys[i+1].Until = at
		}
		s.Keys = keys
	}
	return s
}

// find gives a key's place, -1 where there is none of the name.
func (s State) find(key string) int {
	return slices.IndexFunc(s.Keys, func(k Key) bool { return k.ID == key })
}

func distinct(keys []Key) bool {
	seen := map[string]bool{}
	for _, k := range keys {
		if k.ID == "" || seen[k.ID] {
			return false
		}
		seen[k.ID] = true
	}
	return len(keys) > 0
}
