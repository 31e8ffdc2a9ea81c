package bid

import (
	"slices"

	"github.com/obole-market/obole/pkg/money"
)

// State is what deciding needs of one stream: a Bid or an Offer. Nil means that the stream does not exist.
type State interface{ state() }

// Status of a bid.
type Status int8

// Statuses of a bid.
const (
	StatusPlaced Status = iota + 1
	StatusOpen
	StatusRejected
	StatusClosed
	StatusDrained
)

// Bid is the state of a bid's own stream.
type Bid struct {
	Status    Status
	Reason    CloseReason // once closed
	Terms     Terms
	Body      []byte // the contract's BidPlaced
	Taken     int64  // slots accepted or consented, those delivered included
	Consented int64  // slots of these that are consented
	Delivered int64  // slots, of finished agreements
	People    int64  // distinct, with an agreement that was not voided
	Open      int64  // offers accepted or agreed, not finished
	Cleared   bool
	Confirmed bool
}

// Answer is where an offer stands.
type Answer int8

// Answers.
const (
	Shown Answer = iota + 1
	Taken
	Agreed
	Refused
	Undone
	Done
)

// Offer is the state of an offer's stream.
type Offer struct {
	Answer    Answer
	Card      [32]byte
	Agreement AgreementID
	Person    SubscriberID
	Slots     int64
	Licence   []byte
}

func (Bid) state()   {}
func (Offer) state() {}

// Price is what a slot costs for the fields granted: the unit price less the shares of the optional fields left out, micros.
func (t Terms) Price(granted []string) int64 {
	price := t.UnitPrice
	for _, f := range t.Fields {
		if !f.Required && !slices.Contains(granted, f.ID) {
			price -= money.PPM(t.UnitPrice, f.SharePPM)
		}
	}
	return price
}

// Grant works out which fields an acceptance grants: all where none is named. A required field left out declines the offer.
func (t Terms) Grant(named []string) ([]string, error) {
	var granted []string
	for _, f := range t.Fields {
		switch {
		case len(named) == 0 || slices.Contains(named, f.ID):
			granted = append(granted, f.ID)
		case f.Required:
			return nil, ErrFieldRequired.And("fields", f.ID+" is required")
		}
	}
	for _, n := range named {
		if !slices.Contains(granted, n) {
			return nil, ErrFieldUnknown.And("fields", n+" is not asked for")
		}
	}
	return granted, nil
}

// slots is how many an acceptance takes now.
func (b Bid) slots() int64 {
	return min(b.Terms.MaxPerPerson, b.Terms.Days, b.Terms.Quantity-b.Taken)
}
