package bid

import "time"

// Decide answers a command with the events that it causes at this time. state gives what Reads named.
func Decide(state func(On) State, c Command, at time.Time) ([]Entry, error) {
	on := c.on()
	b, placed := state(On{Bid: on.Bid}).(Bid)
	if p, ok := c.(Place); ok {
		if placed {
			return nil, nil
		}
		return at1(on, Placed(p)), nil
	}
	if !placed {
		return nil, ErrUnknown
	}
	var o Offer
	if !on.Offer.IsZero() {
		o, _ = state(on).(Offer)
	}
	switch c := c.(type) {
	case Open:
		if b.Status == StatusPlaced {
			return at1(on, Opened(c)), nil
		}
	case Reject:
		if b.Status == StatusPlaced {
			return at1(on, Rejected(c)), nil
		}
	case Withdraw:
		return b.withdraw(on, c)
	case Close:
		return b.close(on, c.Reason), nil
	case Confirm:
		return b.confirm(on, c), nil
	case Present:
		return b.present(on, o, c, at), nil
	case Accept:
		return b.accept(on, o, c, at)
	case Decline:
		return b.decline(on, o, c)
	case Consented:
		return b.consented(on, o, c), nil
	case Void:
		if o.open(c.Agreement) && !(c.Undo && b.Cleared) {
			return b.void(on, o, c.Reason), nil
		}
	case Finish:
		return b.finish(on, o, c), nil
	}
	return nil, nil
}

func at1(on On, e Event) []Entry { return []Entry{{On: on, Event: e}} }

func (b Bid) withdraw(on On, c Withdraw) ([]Entry, error) {
	if b.Terms.Buyer != c.Buyer {
		return nil, ErrUnknown
	}
	switch b.Status {
	case StatusPlaced:
		return at1(on, Rejected{Bid: c.Bid, Reason: "WITHDRAWN"}), nil
	case StatusOpen:
		return append(at1(on, Withdrawn{c.Bid}), b.close(on, ClosedWithdrawn)...), nil
	}
	return nil, nil
}

// close takes no new slot from now on. A bid whose time is over before it cleared has missed its cohort, whatever ended it
// in time; its offers are voided one by one, and it drains with the last.
func (b Bid) close(on On, why CloseReason) []Entry {
	if b.Status == StatusPlaced {
		reason := "HOLD_TIMEOUT"
		if why == ClosedSuspended {
			reason = "BUYER_SUSPENDED"
		}
		return at1(on, Rejected{Bid: on.Bid, Reason: reason})
	}
	if b.Status != StatusOpen {
		return nil
	}
	if why == ClosedExpired && !b.Cleared {
		why = ClosedCohortMissed
	}
	return b.drain(at1(on, Closed{Bid: on.Bid, Reason: why}), b.Open, 0)
}

// drain adds that the bid is drained, where after these entries it is closed and nothing is open.
func (b Bid) drain(entries []Entry, open, delivered int64) []Entry {
	closed := b.Status == StatusClosed
	for _, e := range entries {
		if _, ok := e.Event.(Closed); ok {
			closed = true
		}
	}
	if !closed || open > 0 {
		return entries
	}
	on := On{Bid: entries[0].On.Bid}
	return append(entries, Entry{on, Drained{Bid: on.Bid, Buyer: b.Terms.Buyer, Delivered: b.Delivered + delivered}})
}

// confirm lets keys leave if enough people are left; otherwise the bid has missed its cohort. It is asked until the first key has left, which
// only who releases keys knows: that enough were left when it was asked before, and no key left then, says nothing of now.
func (b Bid) confirm(on On, c Confirm) []Entry {
	switch {
	case !b.Cleared || b.Reason == ClosedCohortMissed:
		return nil
	case c.Live >= b.Terms.CohortMin:
		if b.Confirmed {
			return nil
		}
		return at1(on, Confirmed(c))
	case b.Status == StatusClosed && !b.Voids():
		// It was filled, or its time was over, and now people have gone: it closes for another reason, and all of it is voided.
		return b.drain(at1(on, Closed{Bid: on.Bid, Reason: ClosedCohortMissed}), b.Open, 0)
	}
	return b.close(on, ClosedCohortMissed)
}

// MayRelease says whether keys of the bid may leave.
func (b Bid) MayRelease() bool { return b.Confirmed && b.Reason != ClosedCohortMissed }

// Voids says whether what is open of the bid is to be voided: it closed before its cohort was there, or lost it.
func (b Bid) Voids() bool {
	return b.Status == StatusClosed && (!b.Cleared || b.Reason == ClosedCohortMissed || b.Reason == ClosedSuspended)
}

// Voids names why an acceptance comes to nothing when its bid has closed so.
func (r CloseReason) Voids() string {
	switch r {
	case ClosedSuspended:
		return "BUYER_SUSPENDED"
	case ClosedWithdrawn:
		return "BID_WITHDRAWN"
	}
	return ErrCohortMissed.Reason
}

func (b Bid) present(on On, o Offer, c Present, at time.Time) []Entry {
	fresh := o.Answer == 0 || o.Answer == Shown || o.Answer == Undone
	if b.Status != StatusOpen || at.Before(b.Terms.OpensAt) || !at.Before(b.Terms.ClosesAt) || !fresh || o.Answer == Shown && o.Card == c.Card {
		return nil
	}
	return at1(on, Presented{
		Bid: c.Bid, Offer: on.Offer, Subscriber: c.Subscriber, Notice: c.Notice, Language: c.Language, Card: c.Card,
	})
}

func (b Bid) accept(on On, o Offer, c Accept, at time.Time) ([]Entry, error) {
	switch o.Answer {
	case 0, Undone:
		return nil, ErrOfferUnknown
	case Taken, Agreed, Refused, Done:
		return nil, ErrAnswered
	}
	switch {
	case b.Status != StatusOpen || at.Before(b.Terms.OpensAt) || !at.Before(b.Terms.ClosesAt):
		return nil, ErrNotOpen
	case o.Card != c.Card:
		return nil, ErrCardChanged
	case b.Terms.Health && !c.Explicit:
		return nil, ErrExplicitStepMissing
	case b.slots() <= 0:
		return nil, ErrSlotsExhausted
	}
	if _, err := b.Terms.Grant(c.Fields); err != nil {
		return nil, err
	}
	e := Accepted{
		Bid: c.Bid, Offer: on.Offer, Subscriber: c.Subscriber, Agreement: c.Agreement, Card: c.Card, Slots: b.slots(), Licence: c.Licence,
		AnswerDue: at.Add(c.Wait),
	}
	if c.Explicit {
		e.ExplicitStep = at
	}
	return at1(on, e), nil
}

func (b Bid) decline(on On, o Offer, c Decline) ([]Entry, error) {
	switch o.Answer {
	case Shown:
		return at1(on, Declined{Bid: c.Bid, Offer: on.Offer, Subscriber: c.Subscriber}), nil
	case Refused:
		return nil, nil
	case 0, Undone:
		return nil, ErrOfferUnknown
	}
	return nil, ErrAnswered
}

// open says whether this agreement of the offer still runs.
func (o Offer) open(a AgreementID) bool {
	return (o.Answer == Taken || o.Answer == Agreed) && o.Agreement == a
}

// consented forms the agreement, clears the bid with the person that makes the cohort, and closes it with its last slot. A yes
// that comes when the bid no longer runs voids the acceptance.
func (b Bid) consented(on On, o Offer, c Consented) []Entry {
	if o.Answer != Taken || o.Agreement != c.Agreement {
		return nil
	}
	if b.Voids() {
		return b.void(on, o, b.Reason.Voids())
	}
	own := On{Bid: on.Bid}
	entries := at1(on, Formed{
		Bid: c.Bid, Offer: on.Offer, Subscriber: o.Person, Buyer: b.Terms.Buyer, Agreement: c.Agreement, Slots: o.Slots, ConsentEvent: c.Event,
		Cleared: b.Cleared,
	})
	if people := b.People + 1; !b.Cleared && people >= b.Terms.CohortMin {
		entries = append(entries, Entry{own, Cleared{Bid: c.Bid, Count: people}})
	}
	if b.Status == StatusOpen && b.Consented+o.Slots >= b.Terms.Quantity {
		entries = append(entries, Entry{own, Closed{Bid: c.Bid, Reason: ClosedFilled}})
	}
	return entries
}

func (b Bid) void(on On, o Offer, why string) []Entry {
	return b.drain(at1(on, Voided{
		Bid: on.Bid, Offer: on.Offer, Subscriber: o.Person, Agreement: o.Agreement, Reason: why, Slots: o.Slots,
		Agreed: o.Answer == Agreed,
	}), b.Open-1, 0)
}

func (b Bid) finish(on On, o Offer, c Finish) []Entry {
	if o.Answer != Agreed || o.Agreement != c.Agreement {
		return nil
	}
	return b.drain(at1(on, Finished(c)), b.Open-1, c.Delivered)
}
