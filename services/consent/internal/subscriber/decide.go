package subscriber

import (
	"cmp"
	"slices"
	"time"
)

// Decide answers a command with the events that it causes at this time. state gives what Reads named.
func Decide(state func(On) State, c Command, at time.Time) ([]Entry, error) {
	on := c.on()
	person, enrolled := state(On{Subscriber: on.Subscriber}).(Person)
	if e, ok := c.(Enrol); ok {
		return enrol(person, enrolled, e)
	}
	if g, ok := c.(Give); ok {
		return give(person, enrolled, state(on), g, at), nil
	}
	if !enrolled {
		return nil, ErrSubscriberUnknown
	}
	switch c := c.(type) {
	case AssureAge:
		return one(on, AgeAssured(c)), nil
	case SetRules:
		return setRules(person, c)
	case Withdraw:
		return withdraw(person, state(on), c, at)
	case Close:
		return closing(person, c, at), nil
	case Pause:
		return pause(person, state(on), c, at)
	case Resume:
		return resume(person, state(on), c, at)
	case Expire:
		return expire(person, c, at), nil
	case Release:
		return release(person, state(on), c, at)
	}
	panic("subscriber: command without a rule")
}

func one(on On, e Event) []Entry { return []Entry{{On: on, Event: e}} }

func enrol(p Person, enrolled bool, c Enrol) ([]Entry, error) {
	switch {
	case !enrolled:
		return one(c.on(), Enrolled(c)), nil
	case p.Closed():
		return nil, ErrAccountClosed
	}
	if p.Identity != c.Identity {
		return nil, ErrSubscriberExists
	}
	return nil, nil
}

func setRules(p Person, c SetRules) ([]Entry, error) {
	switch {
	case p.Closed():
		return nil, ErrAccountClosed
	case c.Over != nil && !c.Over.equal(p.Rules):
		return nil, ErrRulesChanged
	}
	return one(c.on(), RulesSet{Subscriber: c.Subscriber, Rules: c.Rules}), nil
}

// give never fails: the market waits for an answer, so a no is an event too.
func give(p Person, enrolled bool, own State, c Give, at time.Time) []Entry {
	if own != nil {
		return nil
	}
	l := c.Licence
	if err := mayGive(p, enrolled, c, at); err != nil {
		return one(c.on(), Refused{
			Scope:      Scope{Agreement: l.Agreement, Offer: l.Offer, Bid: l.Bid},
			Subscriber: l.Subscriber,
			Reason:     err.Reason,
		})
	}
	given := one(c.on(), Given{Licence: l, Record: c.Record, LineUser: p.Identity.LineUser})
	if p.holdsBack(l.Agreement, at) {
		// Given, because the person accepted, and paused before anybody can use it.
		given = append(given, Entry{On: c.on(), Event: Paused{
			Subscriber: l.Subscriber, Scope: []Scope{{Agreement: l.Agreement, Offer: l.Offer, Bid: l.Bid}}, Initiator: InitiatorPerson,
		}})
	}
	return given
}

func withdraw(p Person, own State, c Withdraw, at time.Time) ([]Entry, error) {
	e := Withdrawn{Subscriber: c.Subscriber, Initiator: c.Initiator}
	if c.Agreement.IsZero() {
		// Also where nothing lives: what was accepted a moment ago is still on its way here, and must find it.
		e.All, e.Scope = true, p.recallable(at)
		return one(c.on(), e), nil
	}
	if _, lives := p.Living[c.Agreement]; lives {
		e.Scope = []Scope{p.scope(c.Agreement)}
		return one(c.on(), e), nil
	}
	if s, held := p.retained(c.Agreement, at); held {
		// It has ended by itself, and what it was for is with the buyer: withdrawing it has that deleted.
		e.Scope = []Scope{s}
		return one(c.on(), e), nil
	}
	switch {
	case own != nil:
		return nil, known(own)
	case p.awaits(c.Agreement, at):
		return nil, nil
	case p.awaiting(at) >= MaxAwaited:
		return nil, ErrAwaitedLimit
	}
	// On the person's own stream: an id that somebody invents makes none.
	e.Awaited = c.Agreement
	return one(On{Subscriber: c.Subscriber}, e), nil
}

// closing withdraws everything, also what was accepted a moment ago, and asks for erasure. An account is closed once.
func closing(p Person, c Close, at time.Time) []Entry {
	if p.Closed() {
		return nil
	}
	return []Entry{
		{On: c.on(), Event: Withdrawn{Subscriber: c.Subscriber, Scope: p.recallable(at), All: true, Initiator: c.Initiator}},
		{On: c.on(), Event: ErasureRequested{Subscriber: c.Subscriber, Retention: c.Retention}},
	}
}

func pause(p Person, own State, c Pause, at time.Time) ([]Entry, error) {
	e := Paused{Subscriber: c.Subscriber, Initiator: c.Initiator}
	if c.Agreement.IsZero() {
		if p.PausedAll {
			return nil, nil
		}
		e.All, e.Scope = true, p.all()
		return one(c.on(), e), nil
	}
	consent, lives := p.Living[c.Agreement]
	switch {
	case lives && consent.Paused:
		return nil, nil
	case lives:
		e.Scope = []Scope{p.scope(c.Agreement)}
		return one(c.on(), e), nil
	case own != nil:
		return nil, gone(own)
	case p.awaits(c.Agreement, at):
		return nil, ErrWithdrawn
	case p.holdsBack(c.Agreement, at):
		return nil, nil
	case p.awaiting(at) >= MaxAwaited:
		return nil, ErrAwaitedLimit
	}
	// On the person's own stream: an id that somebody invents makes none.
	e.Awaited = c.Agreement
	return one(On{Subscriber: c.Subscriber}, e), nil
}

func resume(p Person, own State, c Resume, at time.Time) ([]Entry, error) {
	e := Resumed{Subscriber: c.Subscriber}
	if c.Agreement.IsZero() {
		for _, s := range p.all() {
			if p.PausedAll || p.Living[s.Agreement].Paused {
				e.Scope = append(e.Scope, s)
			}
		}
		if !p.PausedAll && len(e.Scope) == 0 && len(waiting(p.HeldBack, at)) == 0 {
			return nil, nil
		}
		e.All = true
		return one(c.on(), e), nil
	}
	consent, lives := p.Living[c.Agreement]
	switch {
	case !lives && own == nil && p.holdsBack(c.Agreement, at):
		e.Awaited = c.Agreement
		return one(On{Subscriber: c.Subscriber}, e), nil
	case !lives:
		return nil, gone(own)
	case p.PausedAll:
		// One consent cannot be taken out of a pause of everything: the person would think the rest still at work.
		return nil, ErrPaused
	case !consent.Paused:
		return nil, nil
	}
	e.Scope = []Scope{p.scope(c.Agreement)}
	return one(c.on(), e), nil
}

func expire(p Person, c Expire, at time.Time) []Entry {
	consent, lives := p.Living[c.Agreement]
	if !lives || c.Reason == ExpiryTime && at.Before(consent.ExpiresAt) {
		return nil
	}
	return one(c.on(), Expired{Subscriber: c.Subscriber, Scope: p.scope(c.Agreement), Reason: c.Reason})
}

func release(p Person, own State, c Release, at time.Time) ([]Entry, error) {
	// First of all: where a consent has ended delivery may repeat what it has told its buyer, and one who is suspended is told nothing.
	if c.BuyerBarred {
		return nil, ErrBuyerSuspended
	}
	if err := p.Allows(c.Agreement, own, at); err != nil {
		return nil, err
	}
	consent := p.Living[c.Agreement]
	if consent.Buyer != c.Buyer {
		// The consent names one recipient; for any other there is none.
		return nil, ErrConsentUnknown
	}
	return one(c.on(), Released{
		Subscriber:      c.Subscriber,
		Agreement:       c.Agreement,
		Delivery:        c.Delivery,
		Attempt:         c.Attempt,
		ConsentPosition: consent.Position,
	}), nil
}

// known is nil where the consent was given once: what has ended is ended again without an event.
func known(own State) error {
	if a, ok := own.(Answered); ok && a.Given {
		return nil
	}
	return ErrConsentUnknown
}

// gone is the refusal for a consent that no longer lives.
func gone(own State) error { return Person{}.Allows(AgreementID{}, own, time.Time{}) }

// recallable is the full scope of what lives, and of what has ended by itself and whose data the buyer may still hold.
func (p Person) recallable(at time.Time) []Scope {
	scope := p.all()
	for a := range p.Past {
		if s, held := p.retained(a, at); held {
			scope = append(scope, s)
		}
	}
	sortScope(scope)
	return scope
}

// all is the full scope of what lives, in an order that does not depend on the map's.
func (p Person) all() []Scope {
	scope := make([]Scope, 0, len(p.Living))
	for a := range p.Living {
		scope = append(scope, p.scope(a))
	}
	sortScope(scope)
	return scope
}

func sortScope(scope []Scope) {
	slices.SortFunc(scope, func(a, b Scope) int { return cmp.Compare(string(a.Agreement.ID[:]), string(b.Agreement.ID[:])) })
}
