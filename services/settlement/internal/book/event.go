package book

import (
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Ids that must not be swapped.
type (
	ID           struct{ id.ID } // a book
	BuyerID      struct{ id.ID }
	BidID        struct{ id.ID }
	AgreementID  struct{ id.ID }
	SubscriberID struct{ id.ID }
	DeliveryID   struct{ id.ID }
)

// On names a stream of the book: the book's own where Child is zero, else that of a buyer, a bid, an agreement, a person or a payout.
type On struct {
	Book  ID
	Child id.ID
}

// Entry is an event and where it happens.
type Entry struct {
	On    On
	Event Event
}

// Event is a fact about money.
type Event interface{ event() }

// Kind says whose money an account shows, and why. The numbers are the contract's.
type Kind int32

// Kinds of accounts.
const (
	BuyerAvailable    Kind = 1
	BuyerHeld         Kind = 2
	SubscriberPending Kind = 3
	SubscriberPayable Kind = 4
	Commission        Kind = 5
	VATOutput         Kind = 6
	Withholding       Kind = 7
	Rounding          Kind = 8
	Clearing          Kind = 9
	Suspense          Kind = 10
	Dispute           Kind = 11
	Deposit           Kind = 12
	SubscriberPayout  Kind = 13
	BillCredited      Kind = 14
)

// TaxKind says which tax. The numbers are the contract's.
type TaxKind int32

// Kinds of taxes.
const (
	VAT      TaxKind = 1
	Withheld TaxKind = 2
)

// Tax says how a tax posting came about; its zero value, that it is none.
type Tax struct {
	Kind    TaxKind
	RatePPM int64
	Country string
	Base    int64 // micros
}

// Posting changes one account.
type Posting struct {
	Account  Kind
	Owner    id.ID // zero for the operator's own
	Minor    int64 // credit positive
	Residual int64 // micros left below a minor unit for this owner after the posting
	Tax      Tax
}

// Deposited: a buyer's money came in.
type Deposited struct {
	Book      ID
	Buyer     BuyerID
	Amount    int64
	Reference string
	ValueDate string // YYYY-MM-DD
	Postings  []Posting
}

// Held: a bid's money is set aside.
type Held struct {
	Book       ID
	Buyer      BuyerID
	Bid        BidID
	Amount     int64 // tax included
	Slots      int64
	TaxPPM     int64
	TaxCountry string
	Postings   []Posting
}

// HoldRefused: the money is not there.
type HoldRefused struct {
	Book   ID
	Buyer  BuyerID
	Bid    BidID
	Reason string // name of the contract's Reason
}

// HoldReleased: money is free again.
type HoldReleased struct {
	Book     ID
	Buyer    BuyerID
	Bid      BidID
	Amount   int64
	Final    bool
	Postings []Posting
}

// Terms are what settling one agreement follows, as the person's card promised them.
type Terms struct {
	Book           ID
	Agreement      AgreementID
	Bid            BidID
	Buyer          BuyerID
	Subscriber     SubscriberID
	Product        string
	Price          int64 // micros of a slot, before VAT
	Slots          int64
	CommissionPPM  int64
	WithholdingPPM int64
	AvailableAfter int64  // days
	Country        string // whose rules tax the person
	PolicyPack     string
	PolicyVersion  string
}

// Earmarked: part of a hold is kept for one agreement.
type Earmarked struct{ Terms }

// EarmarkEnded: nothing more will be settled under an agreement. Released is what went back to the buyer.
type EarmarkEnded struct {
	Book      ID
	Buyer     BuyerID
	Bid       BidID
	Agreement AgreementID
	Settled   int64 // slots
	Left      int64 // slots earmarked and not settled
	Price     int64 // micros of a slot
	Released  int64
	Postings  []Posting
}

// Settled: one delivery is paid for, once.
type Settled struct {
	Book         ID
	Delivery     DeliveryID
	Agreement    AgreementID
	Bid          BidID
	Buyer        BuyerID
	Subscriber   SubscriberID
	Product      string
	Slots        int64
	Price        int64 // micros of a slot
	SplitRule    string
	ReleaseEvent id.ID
	AvailableAt  time.Time
	ValueDate    string // YYYY-MM-DD, UTC
	Postings     []Posting
}

// Matured: the dispute time of some earnings is over.
type Matured struct {
	Book       ID
	Subscriber SubscriberID
	Amount     int64
	UpTo       time.Time
	Postings   []Posting
}

func (Deposited) event()    {}
func (Held) event()         {}
func (HoldRefused) event()  {}
func (HoldReleased) event() {}
func (Earmarked) event()    {}
func (EarmarkEnded) event() {}
func (Settled) event()      {}
func (Matured) event()      {}
