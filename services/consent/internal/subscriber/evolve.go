package subscriber

// Evolve folds an event into the state of one stream, its own or one that Touches named. It is total.
func Evolve(s State, on On, e Entry) State {
	if on.Agreement.IsZero() {
		p, _ := s.(Person)
		return person(p, e)
	}
	a, _ := s.(Answered)
	switch e.Event.(type) {
	case Given:
		a.Given = true
	case Expired:
		a.Expired = true
	}
	return a
}

// Touches names the person's own stream for every event of a consent that changes what lives.
func Touches(e Entry) []On {
	if e.On.Agreement.IsZero() {
		return nil
	}
	switch e.Event.(type) {
	case Given, Withdrawn, Paused, Resumed, Expired:
		return []On{{Subscriber: e.On.Subscriber}}
	}
	return nil
}

func person(p Person, e Entry) State {
	switch ev := e.Event.(type) {
	case Enrolled:
		p.Identity = ev.Identity
	case AgeAssured:
		p.AtLeast, p.AssuredAt = ev.AtLeast, e.At
	case RulesSet:
		p.Rules = ev.Rules
	case Given:
		l := ev.Licence
		p = p.letGo(l.Agreement).with(l.Agreement, Consent{Offer: l.Offer, Bid: l.Bid, Buyer: l.Buyer, ExpiresAt: l.ExpiresAt, Position: e.Position, Retention: l.Retention})
	case Withdrawn:
		p = p.recall(ev.Scope)
		if ev.All {
			p.WithdrawnAll = e.At
		}
		if !ev.Awaited.IsZero() {
			p = p.await(ev.Awaited, e.At)
		}
	case ErasureRequested:
		p.ClosedAt = e.At
	case Expired:
		p = p.outlive(ev.Scope, e.At)
	case Paused:
		switch {
		case ev.All:
			p.PausedAll = true
		case !ev.Awaited.IsZero():
			p = p.holdBack(ev.Awaited, e.At)
		default:
			p = p.pause(ev.Scope, true)
		}
	case Resumed:
		p.PausedAll = p.PausedAll && !ev.All
		p = p.pause(ev.Scope, false).letGo(ev.Awaited)
		if ev.All {
			p.HeldBack = nil
		}
	}
	return p
}

// pause sets or lifts the pause of single consents. A pause of all is kept apart: it covers what is to come as well.
func (p Person) pause(scope []Scope, paused bool) Person {
	for _, s := range scope {
		if c, ok := p.Living[s.Agreement]; ok {
			c.Paused = paused
			p = p.with(s.Agreement, c)
		}
	}
	return p
}
