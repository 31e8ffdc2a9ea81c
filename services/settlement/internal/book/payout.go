package book

import (
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// PayoutID names what was asked for once.
type PayoutID struct{ id.ID }

// Method is how a person is paid. The numbers are the contract's.
type Method int32

// BillCredit is a credit on the operator's bill: the one method that needs to know nothing of a person.
const BillCredit Method = 1

// RequestPayout sets available money aside for its person. The id derives from what asks, so that asking again is the same payout.
type RequestPayout struct {
	Book       ID
	Payout     PayoutID
	Subscriber SubscriberID
	Amount     int64 // minor units; 0 means all that is available
	Method     Method
}

// InstructPayout says that billing was told.
type InstructPayout struct {
	Book     ID
	Payout   PayoutID
	EndToEnd string
}

// SettlePayout says that it was paid.
type SettlePayout struct {
	Book      ID
	Payout    PayoutID
	ValueDate string // YYYY-MM-DD
	Reference string
}

// ReturnPayout says that it cannot be paid. The caller names the person as the payout does.
type ReturnPayout struct {
	Book       ID
	Payout     PayoutID
	Subscriber SubscriberID
	Reason     string // a code of ISO 20022
}

// PayoutRequested: a person wants their money.
type PayoutRequested struct {
	Book       ID
	Payout     PayoutID
	Subscriber SubscriberID
	Amount     int64
	Method     Method
	Postings   []Posting
}

// PayoutInstructed: billing was told.
type PayoutInstructed struct {
	Book     ID
	Payout   PayoutID
	EndToEnd string
}

// PayoutSettled: it was paid.
type PayoutSettled struct {
	Book      ID
	Payout    PayoutID
	ValueDate string // YYYY-MM-DD
	Reference string
	Postings  []Posting
}

// PayoutReturned: it could not be paid.
type PayoutReturned struct {
	Book     ID
	Payout   PayoutID
	Reason   string // a code of ISO 20022
	Postings []Posting
}

func (PayoutRequested) event()  {}
func (PayoutInstructed) event() {}
func (PayoutSettled) event()    {}
func (PayoutReturned) event()   {}

// Stage is how far a payout has come.
type Stage int64

// Stages.
const (
	Requested Stage = iota + 1
	Instructed
	Paid
	Returned
)

// Payout is money that a person asked for. It holds its own parts of SUBSCRIBER_PAYOUT and BILL_CREDIT, so that an Earner is no larger for
// what was paid.
type Payout struct {
	Subscriber  SubscriberID
	Stage       Stage
	Amount      int64
	Asked       int64 // minor: its part of SUBSCRIBER_PAYOUT
	Credited    int64 // minor: its part of BILL_CREDIT
	RequestedAt time.Time
	EndToEnd    string
	ValueDate   string
	Reference   string
	Reason      string
}

// ahead is by how many days the day on which billing counts a credit may be after the one on which that is recorded: house. Whoever writes
// a later one has mistyped it.
const ahead = 7

// Told is what a reference stands for under which whoever pays was told: one payout, or they would take two for one.
type Told struct{ Payout PayoutID }

func (Payout) state() {}
func (Told) state()   {}

func (c InstructPayout) told() On { return toldAs(c.Book, c.EndToEnd) }

func toldAs(book ID, reference string) On {
	return On{book, id.Derive([]byte("end to end"), book.ID[:], []byte(reference))}
}

func (c RequestPayout) on() On  { return On{c.Book, c.Payout.ID} }
func (c InstructPayout) on() On { return On{c.Book, c.Payout.ID} }
func (c SettlePayout) on() On   { return On{c.Book, c.Payout.ID} }
func (c ReturnPayout) on() On   { return On{c.Book, c.Payout.ID} }

func requestPayout(state func(On) State, c RequestPayout) ([]Entry, error) {
	if state(c.on()) != nil {
		return nil, nil
	}
	earner, _ := state(On{c.Book, c.Subscriber.ID}).(Earner)
	amount := c.Amount
	if amount == 0 {
		amount = earner.Payable
	}
	switch {
	case c.Method != BillCredit:
		return nil, ErrMethodUnavailable
	case amount <= 0 || amount > earner.Payable:
		return nil, ErrInsufficientEarnings
	}
	return one(c.on(), PayoutRequested{
		Book: c.Book, Payout: c.Payout, Subscriber: c.Subscriber, Amount: amount, Method: c.Method,
		Postings: move(amount, Posting{Account: SubscriberPayable, Owner: c.Subscriber.ID, Residual: earner.Residual},
			Posting{Account: SubscriberPayout, Owner: c.Subscriber.ID}),
	}), nil
}

func instructPayout(state func(On) State, c InstructPayout) ([]Entry, error) {
	p, known := state(c.on()).(Payout)
	other, told := state(c.told()).(Told)
	switch {
	case !known:
		return nil, ErrPayoutUnknown
	case p.EndToEnd == c.EndToEnd:
		return nil, nil
	case p.Stage == Instructed:
		return nil, ErrReferenceConflict
	case p.Stage != Requested:
		return nil, ErrPayoutEnded
	case told && other.Payout != c.Payout:
		return nil, ErrReferenceConflict
	}
	return one(c.on(), PayoutInstructed(c)), nil
}

func settlePayout(s State, c SettlePayout, at time.Time) ([]Entry, error) {
	p, known := s.(Payout)
	switch {
	case !known:
		return nil, ErrPayoutUnknown
	case p.Stage == Paid && p.ValueDate == c.ValueDate && p.Reference == c.Reference:
		return nil, nil
	case p.Stage == Requested:
		return nil, ErrPayoutNotInstructed
	case p.Stage != Instructed:
		return nil, ErrPayoutEnded
	case c.ValueDate < p.RequestedAt.Format(time.DateOnly), c.ValueDate > at.AddDate(0, 0, ahead).Format(time.DateOnly):
		return nil, ErrValueDateInvalid
	}
	return one(c.on(), PayoutSettled{
		Book: c.Book, Payout: c.Payout, ValueDate: c.ValueDate, Reference: c.Reference,
		Postings: move(p.Asked, Posting{Account: SubscriberPayout, Owner: p.Subscriber.ID}, Posting{Account: BillCredited, Owner: p.Subscriber.ID}),
	}), nil
}

func returnPayout(state func(On) State, c ReturnPayout) ([]Entry, error) {
	p, known := state(c.on()).(Payout)
	switch {
	case !known:
		return nil, ErrPayoutUnknown
	case p.Subscriber != c.Subscriber:
		return nil, ErrTermsMismatch
	case p.Stage == Returned && p.Reason == c.Reason:
		return nil, nil
	case p.Stage != Requested && p.Stage != Instructed:
		return nil, ErrPayoutEnded
	}
	earner, _ := state(On{c.Book, c.Subscriber.ID}).(Earner)
	return one(c.on(), PayoutReturned{
		Book: c.Book, Payout: c.Payout, Reason: c.Reason,
		Postings: move(p.Asked, Posting{Account: SubscriberPayout, Owner: p.Subscriber.ID},
			Posting{Account: SubscriberPayable, Owner: p.Subscriber.ID, Residual: earner.Residual}),
	}), nil
}

// payout folds what postings change of a payout's parts.
func payout(s State, postings []Posting) Payout {
	p, _ := s.(Payout)
	for _, post := range postings {
		switch post.Account {
		case SubscriberPayout:
			p.Asked += post.Minor
		case BillCredited:
			p.Credited += post.Minor
		}
	}
	return p
}

// payee is whose available money postings change; zero where they change none.
func payee(postings []Posting) id.ID {
	for _, p := range postings {
		if p.Account == SubscriberPayable {
			return p.Owner
		}
	}
	return id.ID{}
}
