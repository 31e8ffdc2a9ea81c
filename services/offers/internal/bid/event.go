package bid

import (
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Ids that must not be swapped.
type (
	ID           struct{ id.ID } // a bid
	OfferID      struct{ id.ID } // one per bid and person
	BuyerID      struct{ id.ID }
	SubscriberID struct{ id.ID }
	AgreementID  struct{ id.ID }
)

// OfferOf is the one offer of a bid to a person.
func OfferOf(b ID, s SubscriberID) OfferID {
	return OfferID{id.Derive([]byte("offer"), b.ID[:], s.ID[:])}
}

// On names a stream: the bid's own, or with an offer that offer's.
type On struct {
	Bid   ID
	Offer OfferID
}

// Entry is an event and where it happens.
type Entry struct {
	On    On
	Event Event
}

// Event is a fact about a bid.
type Event interface{ event() }

// Field is what the bid asks of one field.
type Field struct {
	ID       string
	Rung     string
	Required bool
	SharePPM int64 // of the unit price, for an optional field
}

// Terms are what deciding needs of what was asked for.
type Terms struct {
	Buyer        BuyerID
	UnitPrice    int64 // micros of a slot with all fields
	Quantity     int64 // slots
	MaxPerPerson int64 // slots
	Days         int64 // days that slots can be of
	CohortMin    int64 // people
	OpensAt      time.Time
	ClosesAt     time.Time
	Fields       []Field
	Health       bool
}

// Placed: a buyer asks. Body is the contract's BidPlaced, whole and opaque.
type Placed struct {
	Bid   ID
	Terms Terms
	Body  []byte
}

// Opened: the money is held.
type Opened struct {
	Bid      ID
	Held     int64 // minor, tax included
	Currency string
}

// Rejected: the bid never opened.
type Rejected struct {
	Bid    ID
	Reason string
}

// Cleared: enough people have consented.
type Cleared struct {
	Bid   ID
	Count int64
}

// Confirmed: enough people were still in it just before the first key.
type Confirmed struct {
	Bid  ID
	Live int64
}

// Withdrawn: the buyer takes no new slot.
type Withdrawn struct{ Bid ID }

// CloseReason says why a bid takes no new slot. The numbers are the contract's.
type CloseReason int32

// Reasons.
const (
	ClosedFilled       CloseReason = 1
	ClosedExpired      CloseReason = 2
	ClosedCohortMissed CloseReason = 3
	ClosedSuspended    CloseReason = 4
	ClosedWithdrawn    CloseReason = 5
)

// Closed: the bid takes no new slot.
type Closed struct {
	Bid    ID
	Reason CloseReason
}

// Drained: closed and nothing open.
type Drained struct {
	Bid       ID
	Buyer     BuyerID
	Delivered int64 // slots
}

// Presented: exactly this card was shown to this person.
type Presented struct {
	Bid        ID
	Offer      OfferID
	Subscriber SubscriberID
	Notice     string
	Language   string
	Card       [32]byte
}

// Accepted: the person said yes; slots are taken until consent answers. Licence is the contract's, opaque; like the step, and the language of
// what was shown, it is empty where the event was read without the person's keys: deciding needs none of them.
type Accepted struct {
	Bid          ID
	Offer        OfferID
	Subscriber   SubscriberID
	Agreement    AgreementID
	Card         [32]byte
	Slots        int64
	Licence      []byte
	ExplicitStep time.Time // zero: not taken
	AnswerDue    time.Time
}

// Declined: the person said no.
type Declined struct {
	Bid        ID
	Offer      OfferID
	Subscriber SubscriberID
}

// Voided: an acceptance came to nothing.
type Voided struct {
	Bid        ID
	Offer      OfferID
	Subscriber SubscriberID
	Agreement  AgreementID
	Reason     string
	Slots      int64
	Agreed     bool // it had been consented
}

// Formed: accepted and consented.
type Formed struct {
	Bid          ID
	Offer        OfferID
	Subscriber   SubscriberID
	Buyer        BuyerID
	Agreement    AgreementID
	Slots        int64
	ConsentEvent id.ID
	Cleared      bool // the bid had cleared already
}

// Finished: nothing more is delivered under the agreement.
type Finished struct {
	Bid       ID
	Offer     OfferID
	Agreement AgreementID
	Delivered int64
	Reason    string
}

func (Placed) event()    {}
func (Opened) event()    {}
func (Rejected) event()  {}
func (Cleared) event()   {}
func (Confirmed) event() {}
func (Withdrawn) event() {}
func (Closed) event()    {}
func (Drained) event()   {}
func (Presented) event() {}
func (Accepted) event()  {}
func (Declined) event()  {}
func (Voided) event()    {}
func (Formed) event()    {}
func (Finished) event()  {}
