package book

import (
	"time"
)

// Ledger is what a book is fixed to at its birth.
type Ledger struct {
	// Unit is one minor unit in micros: 10,000 for a currency with two decimals.
	Unit int64
	// SplitRule names the version of the arithmetic; every settlement records it.
	SplitRule string
}

// Decide answers a command with the events that it causes at this time. state gives what Reads named.
func (l Ledger) Decide(state func(On) State, c Command, at time.Time) ([]Entry, error) {
	on := c.on()
	switch c := c.(type) {
	case PayIn:
		return payIn(state, c, at)
	case Hold:
		return hold(state, c), nil
	case Drain:
		return l.drain(state(On{c.Book, c.Bid.ID}), c)
	case Earmark:
		return l.earmark(state, c)
	case End:
		return l.end(state, c)
	case Settle:
		return l.settle(state, c, at)
	case Mature:
		return mature(state(on), c, at), nil
	case RequestPayout:
		return requestPayout(state, c)
	case InstructPayout:
		return instructPayout(state, c)
	case SettlePayout:
		return settlePayout(state(on), c, at)
	case ReturnPayout:
		return returnPayout(state, c)
	}
	panic("book: command without a rule")
}

func one(on On, e Event) []Entry { return []Entry{{On: on, Event: e}} }

// maxBalance keeps every sum of a book far from overflow: 10^15 minor units.
const maxBalance = 1_000_000_000_000_000

func payIn(state func(On) State, c PayIn, at time.Time) ([]Entry, error) {
	if p, told := state(c.payment()).(Payment); told {
		if p.Buyer != c.Buyer || p.Amount != c.Amount || c.ValueDate != "" && c.ValueDate != p.ValueDate {
			return nil, ErrReferenceConflict
		}
		return nil, nil
	}
	buyer, _ := state(c.on()).(Buyer)
	if c.Amount <= 0 || c.Amount > maxBalance-buyer.Available {
		return nil, ErrAmountOverflow
	}
	e := Deposited{Book: c.Book, Buyer: c.Buyer, Amount: c.Amount, Reference: c.Reference, ValueDate: c.ValueDate}
	if e.ValueDate == "" {
		e.ValueDate = at.Format(time.DateOnly)
	}
	e.Postings = move(c.Amount, Posting{Account: Clearing}, Posting{Account: BuyerAvailable, Owner: c.Buyer.ID})
	return one(c.on(), e), nil
}

// hold never fails: the bid waits for an answer, so a no is an event too.
func hold(state func(On) State, c Hold) []Entry {
	if state(On{c.Book, c.Bid.ID}) != nil {
		return nil
	}
	buyer, _ := state(c.on()).(Buyer)
	refuse := func(reason string) []Entry {
		return one(c.on(), HoldRefused{Book: c.Book, Buyer: c.Buyer, Bid: c.Bid, Reason: reason})
	}
	switch {
	case !c.Currency:
		return refuse(ErrCurrencyMismatch.Reason)
	case c.Amount <= 0 || buyer.Available < c.Amount:
		return refuse(ErrInsufficientFunds.Reason)
	}
	return one(c.on(), Held{
		Book: c.Book, Buyer: c.Buyer, Bid: c.Bid, Amount: c.Amount, Slots: c.Slots, TaxPPM: c.TaxPPM, TaxCountry: c.TaxCountry,
		Postings: move(c.Amount, Posting{Account: BuyerAvailable, Owner: c.Buyer.ID}, Posting{Account: BuyerHeld, Owner: c.Buyer.ID}),
	})
}

func (l Ledger) drain(s State, c Drain) ([]Entry, error) {
	held, ok := s.(HeldFor)
	switch {
	case !ok || held.Drained:
		return nil, nil
	case held.Buyer != c.Buyer:
		return nil, ErrTermsMismatch
	}
	free := held.Remaining - l.bound(held)
	return one(c.on(), HoldReleased{
		Book: c.Book, Buyer: c.Buyer, Bid: c.Bid, Amount: free, Final: held.Earmarked == 0, Postings: giveBack(free, c.Buyer),
	}), nil
}

func (l Ledger) earmark(state func(On) State, c Earmark) ([]Entry, error) {
	if state(c.on()) != nil {
		return nil, nil
	}
	held, ok := state(On{c.Book, c.Bid.ID}).(HeldFor)
	switch {
	case !ok:
		return nil, ErrHoldUnknown
	case held.Buyer != c.Buyer || c.Price < 0 || c.Slots <= 0:
		return nil, ErrTermsMismatch
	}
	held.Earmarked += c.Price * c.Slots
	if held.Drained || l.bound(held) > held.Remaining {
		return nil, ErrEarmarkExceeded
	}
	return one(c.on(), Earmarked(c)), nil
}

func (l Ledger) end(state func(On) State, c End) ([]Entry, error) {
	mark, ok := state(c.on()).(Mark)
	held, _ := state(On{c.Book, c.Bid.ID}).(HeldFor)
	switch {
	case !ok:
		return nil, ErrEarmarkUnknown
	case mark.Ended:
		return nil, nil
	case mark.Bid != c.Bid || mark.Buyer != c.Buyer:
		return nil, ErrTermsMismatch
	}
	e := EarmarkEnded{
		Book: c.Book, Buyer: c.Buyer, Bid: c.Bid, Agreement: c.Agreement, Settled: mark.Settled, Left: mark.Left, Price: mark.Price,
	}
	if held.Drained {
		held.Earmarked -= mark.Price * mark.Left
		e.Released = held.Remaining - l.bound(held)
		e.Postings = giveBack(e.Released, c.Buyer)
	}
	return one(c.on(), e), nil
}

func (l Ledger) settle(state func(On) State, c Settle, at time.Time) ([]Entry, error) {
	mark, marked := state(c.on()).(Mark)
	held, _ := state(On{c.Book, c.Bid.ID}).(HeldFor)
	switch {
	case !marked:
		return nil, ErrEarmarkUnknown
	case mark.Bid != c.Bid || mark.Buyer != c.Buyer || mark.Subscriber != c.Subscriber || held.Buyer != c.Buyer:
		return nil, ErrTermsMismatch
	case mark.Ended:
		return nil, ErrEarmarkEnded
	case c.Slots <= 0 || c.Slots > mark.Left:
		return nil, ErrEarmarkExceeded
	}
	earner, _ := state(On{c.Book, c.Subscriber.ID}).(Earner)
	operator, _ := state(On{Book: c.Book}).(Operator)
	available, pending := matures(at, mark.AvailableAfter)
	postings, err := l.split(mark, held, earner, operator, c.Slots, pending)
	if err != nil {
		return nil, err
	}
	return one(c.on(), Settled{
		Book: c.Book, Delivery: c.Delivery, Agreement: c.Agreement, Bid: c.Bid, Buyer: c.Buyer, Subscriber: c.Subscriber,
		Product: mark.Product, Slots: c.Slots, Price: mark.Price, SplitRule: l.SplitRule, ReleaseEvent: c.ReleaseEvent,
		AvailableAt: available, ValueDate: at.Format(time.DateOnly), Postings: postings,
	}), nil
}

// matures says when earnings of this moment are available, and whether they wait. They mature at midnight UTC, so that a
// person has few moments to wait for.
func matures(at time.Time, days int64) (time.Time, bool) {
	if days <= 0 {
		return at, false
	}
	const day = 24 * time.Hour
	return at.AddDate(0, 0, int(days)).Add(day - time.Microsecond).Truncate(day), true
}

// mature does nothing before the log's clock has come to the deadline: the command is named after it and is stored once, so it must not be
// spent on what was due before.
func mature(s State, c Mature, at time.Time) []Entry {
	if at.Before(c.UpTo) {
		return nil
	}
	earner, _ := s.(Earner)
	var sum int64
	for _, b := range earner.Due {
		if !b.At.After(c.UpTo) {
			sum += b.Minor
		}
	}
	if sum == 0 {
		return nil
	}
	return one(c.on(), Matured{
		Book: c.Book, Subscriber: c.Subscriber, Amount: sum, UpTo: c.UpTo,
		Postings: move(sum, Posting{Account: SubscriberPending, Owner: c.Subscriber.ID, Residual: earner.Residual},
			Posting{Account: SubscriberPayable, Owner: c.Subscriber.ID, Residual: earner.Residual}),
	})
}

// move takes an amount from one account to another. Clearing shows money at the bank: what comes in stands there as a debit.
func move(amount int64, from, to Posting) []Posting {
	from.Minor, to.Minor = -amount, amount
	return []Posting{from, to}
}

func giveBack(amount int64, b BuyerID) []Posting {
	if amount == 0 {
		return nil
	}
	return move(amount, Posting{Account: BuyerHeld, Owner: b.ID}, Posting{Account: BuyerAvailable, Owner: b.ID})
}
