package shelf

import (
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Ids that must not be swapped.
type (
	ID           struct{ id.ID } // a shelf
	AgreementID  struct{ id.ID }
	DeliveryID   struct{ id.ID }
	OfferID      struct{ id.ID }
	BidID        struct{ id.ID }
	BuyerID      struct{ id.ID }
	GroupID      struct{ id.ID } // a buyer and its parent's other companies
	SubscriberID struct{ id.ID }
)

// Of names a person's shelf.
func Of(s SubscriberID) ID { return ID{id.Derive([]byte("shelf"), s.ID[:])} }

// On names a stream: the shelf's own where Child is zero, else an agreement's or a delivery's.
type On struct {
	Shelf ID
	Child id.ID
}

// Entry is an event and where it happens.
type Entry struct {
	On    On
	Event Event
}

// Event is a fact about what leaves.
type Event interface{ event() }

// Day is a local day, counted from 1970-01-01.
type Day int32

// ParseDay reads YYYY-MM-DD.
func ParseDay(s string) (Day, error) {
	t, err := time.Parse(time.DateOnly, s)
	return Day(t.Unix() / secondsPerDay), err
}

const secondsPerDay = 24 * 60 * 60

// String is YYYY-MM-DD.
func (d Day) String() string {
	return time.Unix(int64(d)*secondsPerDay, 0).UTC().Format(time.DateOnly)
}

// Cadence says when slots fall due. The numbers are the contract's.
type Cadence int32

// Cadences.
const (
	Once   Cadence = 1 // all of them together, when the days are over or as many are there as were agreed
	Daily  Cadence = 2 // each as soon as it is over and there
	Weekly Cadence = 3 // those of a week when the week is over
)

// Licence is what deciding needs of what was agreed.
type Licence struct {
	Agreement   AgreementID
	Offer       OfferID
	Bid         BidID
	Buyer       BuyerID
	Group       GroupID
	Subscriber  SubscriberID
	Product     string
	Purpose     string
	Currency    string
	Slots       int // at most so many
	First, Last Day
	Cadence     Cadence
}

// Document is the licence as the contract writes it, kept whole and opaque: deciding reads Licence.
type Document []byte

// Taken: the shelf knows the agreement.
type Taken struct {
	Licence  Licence
	Document Document
	Cleared  bool      // whether enough people had agreed already
	DueAt    time.Time // when all its slots fall due together; zero when they do as they come
}

// Cleared: enough people have agreed, so that packages may be prepared.
type Cleared struct {
	Agreement AgreementID
	DueAt     time.Time // as in Taken
}

// Awaited: measurements are there of slots that are not over yet.
type Awaited struct {
	Agreement AgreementID
	DueAt     time.Time // when the first of them falls due; zero when none is waited for any more
}

// EndReason says why nothing more is delivered. The numbers are the contract's.
type EndReason int32

// Reasons of an end.
const (
	EndFulfilled EndReason = 1
	EndWithdrawn EndReason = 2
	EndExpired   EndReason = 3
	EndVoided    EndReason = 4
	EndSuspended EndReason = 5
	EndNoSlots   EndReason = 6
)

// Ended: nothing more will leave under the agreement.
type Ended struct {
	Agreement  AgreementID
	Offer      OfferID
	Bid        BidID
	Subscriber SubscriberID
	Currency   string
	Released   int // slots in all
	Reason     EndReason
}

// Contents says what a package holds.
type Contents struct {
	Slots     []Day // ascending
	Schema    string
	Bytes     int64
	Rows      int
	Expected  int // slots that the days at hand could have held
	Valid     int // of these, valid ones
	Digest    [32]byte
	BuyerKey  string
	Scope     string // of the pseudonym
	Epoch     uint32 // of the pseudonym's secret
	Minimiser string // version
}

// Prepared: a package waits.
type Prepared struct {
	Delivery   DeliveryID
	Agreement  AgreementID
	Subscriber SubscriberID
	Sequence   int // within the agreement, from 1
	Contents   Contents
	LapsesAt   time.Time
}

// Resealed: the content key will go to another key of the buyer.
type Resealed struct {
	Delivery DeliveryID
	BuyerKey string
}

// Receipt is the buyer's word that the package has arrived. Its signature was verified.
type Receipt struct {
	Digest    [32]byte
	BuyerKey  string
	Signature []byte
}

// Receipted: the buyer has the package.
type Receipted struct {
	Delivery  DeliveryID
	Agreement AgreementID
	Receipt   Receipt
}

// Answer is a content key as it left.
type Answer struct {
	BuyerKey string // to which it is sealed
	Sealed   []byte
}

// Released: the key left. It is charged once.
type Released struct {
	Delivery     DeliveryID
	Agreement    AgreementID
	Bid          BidID
	Subscriber   SubscriberID
	Slots        int
	Currency     string
	ReleaseEvent id.ID
	Elapsed      time.Duration
	Answer       Answer
	// Last says that nothing is left to deliver. The agreement ends when the buyer has had time to ask for a lost answer again.
	Last bool
}

// Blocked: the key did not leave; with Final it never will.
type Blocked struct {
	Delivery  DeliveryID
	Agreement AgreementID
	Reason    string // name of the contract's Reason
	Final     bool
}

// Lapsed: no receipt came in time.
type Lapsed struct {
	Delivery  DeliveryID
	Agreement AgreementID
}

// DeletionOrdered: the buyer must delete what it has.
type DeletionOrdered struct {
	Agreement  AgreementID
	Deliveries []DeliveryID
	Reason     EndReason
	Due        time.Time
}

func (Taken) event()           {}
func (Cleared) event()         {}
func (Awaited) event()         {}
func (Ended) event()           {}
func (Prepared) event()        {}
func (Resealed) event()        {}
func (Receipted) event()       {}
func (Released) event()        {}
func (Blocked) event()         {}
func (Lapsed) event()          {}
func (DeletionOrdered) event() {}
