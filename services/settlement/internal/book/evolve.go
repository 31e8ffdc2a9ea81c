package book

import (
	"slices"
	"time"
)

// Evolve folds an event that happened at this time into the state of one stream, its own or one that Touches named. It is total. Balances
// follow the postings and nothing else.
func (l Ledger) Evolve(s State, on On, e Event, at time.Time) State {
	switch e := e.(type) {
	case Deposited:
		switch on.Child {
		case e.Buyer.ID:
			return buyer(s, e.Postings)
		case paymentOf(e.Book, e.Reference).Child:
			return Payment{Buyer: e.Buyer, Amount: e.Amount, ValueDate: e.ValueDate}
		}
		return operator(s, e.Postings)
	case Held:
		if on.Child == e.Buyer.ID {
			return buyer(s, e.Postings)
		}
		return HeldFor{Buyer: e.Buyer, Initial: e.Amount, Remaining: e.Amount, TaxPPM: e.TaxPPM, TaxCountry: e.TaxCountry}
	case HoldReleased:
		if on.Child == e.Buyer.ID {
			return buyer(s, e.Postings)
		}
		h := held(s, e.Postings)
		h.Drained = true
		return h
	case Earmarked:
		if on.Child == e.Agreement.ID {
			return Mark{Terms: e.Terms, Left: e.Slots}
		}
		h := held(s, nil)
		h.Earmarked += e.Price * e.Slots
		return h
	case EarmarkEnded:
		switch on.Child {
		case e.Agreement.ID:
			m, _ := s.(Mark)
			m.Ended = true
			return m
		case e.Buyer.ID:
			return buyer(s, e.Postings)
		}
		h := held(s, e.Postings)
		h.Earmarked -= e.Price * e.Left
		return h
	case Settled:
		switch on.Child {
		case e.Agreement.ID:
			m, _ := s.(Mark)
			m.Left -= e.Slots
			m.Settled += e.Slots
			return m
		case e.Bid.ID:
			h := held(s, e.Postings)
			h.Gross += e.Price * e.Slots
			h.Earmarked -= e.Price * e.Slots
			return h
		case e.Subscriber.ID:
			return earner(s, e.Postings, e.AvailableAt)
		}
		return operator(s, e.Postings)
	case Matured:
		n := earner(s, e.Postings, time.Time{})
		n.Due = slices.DeleteFunc(slices.Clone(n.Due), func(b Bucket) bool { return !b.At.After(e.UpTo) })
		return n
	case PayoutRequested:
		if on.Child == e.Subscriber.ID {
			return earner(s, e.Postings, time.Time{})
		}
		p := payout(s, e.Postings)
		p.Subscriber, p.Stage, p.Amount, p.RequestedAt = e.Subscriber, Requested, e.Amount, at
		return p
	case PayoutInstructed:
		if on.Child != e.Payout.ID {
			return Told{Payout: e.Payout}
		}
		p := payout(s, nil)
		p.Stage, p.EndToEnd = Instructed, e.EndToEnd
		return p
	case PayoutSettled:
		p := payout(s, e.Postings)
		p.Stage, p.ValueDate, p.Reference = Paid, e.ValueDate, e.Reference
		return p
	case PayoutReturned:
		if on.Child != e.Payout.ID {
			return earner(s, e.Postings, time.Time{})
		}
		p := payout(s, e.Postings)
		p.Stage, p.Reason = Returned, e.Reason
		return p
	}
	return s
}

// Touches names the streams whose balances or bounds an event changes beside its own.
func Touches(e Entry) []On {
	book := On{Book: e.On.Book}
	switch ev := e.Event.(type) {
	case Deposited:
		return []On{book, paymentOf(book.Book, ev.Reference)}
	case Held:
		return []On{{book.Book, ev.Bid.ID}}
	case HoldReleased:
		return []On{{book.Book, ev.Bid.ID}}
	case Earmarked:
		return []On{{book.Book, ev.Bid.ID}}
	case EarmarkEnded:
		if ev.Released == 0 {
			return []On{{book.Book, ev.Bid.ID}}
		}
		return []On{{book.Book, ev.Bid.ID}, {book.Book, ev.Buyer.ID}}
	case Settled:
		return []On{{book.Book, ev.Bid.ID}, {book.Book, ev.Subscriber.ID}, book}
	case PayoutRequested:
		return []On{{book.Book, ev.Subscriber.ID}}
	case PayoutInstructed:
		return []On{toldAs(book.Book, ev.EndToEnd)}
	case PayoutReturned:
		return []On{{book.Book, payee(ev.Postings)}}
	}
	return nil
}

func buyer(s State, postings []Posting) State {
	b, _ := s.(Buyer)
	for _, p := range postings {
		if p.Account == BuyerAvailable {
			b.Available += p.Minor
		}
	}
	return b
}

func held(s State, postings []Posting) HeldFor {
	h, _ := s.(HeldFor)
	for _, p := range postings {
		if p.Account == BuyerHeld {
			h.Remaining += p.Minor
		}
	}
	return h
}

func earner(s State, postings []Posting, availableAt time.Time) Earner {
	e, _ := s.(Earner)
	for _, p := range postings {
		switch p.Account {
		case SubscriberPending:
			e.Pending += p.Minor
			e.Residual = p.Residual
			if p.Minor > 0 {
				e.Due = add(e.Due, Bucket{At: availableAt, Minor: p.Minor})
			}
		case SubscriberPayable:
			e.Payable += p.Minor
			e.Residual = p.Residual
		}
	}
	return e
}

// add returns the buckets with one more, leaving those given as they are.
func add(due []Bucket, b Bucket) []Bucket {
	i, found := slices.BinarySearchFunc(due, b, func(x, y Bucket) int { return x.At.Compare(y.At) })
	due = slices.Clone(due)
	if found {
		due[i].Minor += b.Minor
		return due
	}
	return slices.Insert(due, i, b)
}

func operator(s State, postings []Posting) State {
	o, _ := s.(Operator)
	for _, p := range postings {
		switch p.Account {
		case Commission:
			o.Commission += p.Minor
			o.CommissionResidual = p.Residual
		case Withholding:
			o.Withholding += p.Minor
			o.WithholdingResidual = p.Residual
		case VATOutput:
			o.VAT += p.Minor
		case Rounding:
			o.Rounding += p.Minor
		case Clearing:
			o.Clearing += p.Minor
		}
	}
	return o
}
