package bid

// Evolve folds an event into the state of one stream, its own or one that Touches named. It is total.
func Evolve(s State, on On, e Event) State {
	if on.Offer.IsZero() {
		b, _ := s.(Bid)
		return fold(b, e)
	}
	o, _ := s.(Offer)
	switch e := e.(type) {
	case Presented:
		return Offer{Answer: Shown, Card: e.Card, Person: e.Subscriber}
	case Accepted:
		o.Answer, o.Agreement, o.Slots, o.Licence, o.Person = Taken, e.Agreement, e.Slots, e.Licence, e.Subscriber
	case Declined:
		o.Answer = Refused
	case Voided:
		o.Answer, o.Licence = Undone, nil
	case Formed:
		o.Answer = Agreed
	case Finished:
		o.Answer, o.Licence = Done, nil
	}
	return o
}

// Touches names the bid's own stream for every event of an offer that changes its counters.
func Touches(e Entry) []On {
	switch e.Event.(type) {
	case Accepted, Voided, Formed, Finished:
		return []On{{Bid: e.On.Bid}}
	}
	return nil
}

func fold(b Bid, e Event) State {
	switch e := e.(type) {
	case Placed:
		return Bid{Status: StatusPlaced, Terms: e.Terms, Body: e.Body}
	case Opened:
		b.Status = StatusOpen
	case Rejected:
		b.Status = StatusRejected
	case Cleared:
		b.Cleared = true
	case Confirmed:
		b.Confirmed = true
	case Closed:
		b.Status, b.Reason = StatusClosed, e.Reason
	case Drained:
		b.Status = StatusDrained
	case Accepted:
		b.Taken += e.Slots
		b.Open++
	case Formed:
		b.Consented += e.Slots
		b.People++
	case Voided:
		b.Taken -= e.Slots
		b.Open--
		if e.Agreed {
			b.Consented -= e.Slots
			b.People--
		}
	case Finished:
		b.Open--
		b.Delivered += e.Delivered
	}
	return b
}
