package book

import (
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Command is what finance, a bid, an agreement, a delivery, a person or time asks of the book.
type Command interface{ on() On }

// PayIn records money that the bank has seen.
type PayIn struct {
	Book      ID
	Buyer     BuyerID
	Amount    int64 // minor units, more than zero
	Reference string
	ValueDate string // YYYY-MM-DD; empty means the day it is recorded
}

// Hold sets a bid's money aside. It always comes to an event: held or refused.
type Hold struct {
	Book       ID
	Buyer      BuyerID
	Bid        BidID
	Amount     int64 // minor units, tax included
	Slots      int64
	TaxPPM     int64
	TaxCountry string
	Currency   bool // whether the bid's currency is the book's
}

// Drain frees what no living agreement needs: the bid takes nothing new.
type Drain struct {
	Book  ID
	Buyer BuyerID
	Bid   BidID
}

// Earmark keeps part of a hold for an agreement.
type Earmark struct{ Terms }

// End says that nothing more is delivered under an agreement.
type End struct {
	Book      ID
	Buyer     BuyerID
	Bid       BidID
	Agreement AgreementID
}

// Settle pays for one delivery. The caller names buyer, bid and person as the earmark does.
type Settle struct {
	Book         ID
	Delivery     DeliveryID
	Agreement    AgreementID
	Bid          BidID
	Buyer        BuyerID
	Subscriber   SubscriberID
	Slots        int64
	ReleaseEvent id.ID
}

// Mature makes earnings payable whose dispute time is over.
type Mature struct {
	Book       ID
	Subscriber SubscriberID
	UpTo       time.Time
}

// payment is the place of what the bank calls by this reference: a book takes it once, whoever tells of it.
func (c PayIn) payment() On { return paymentOf(c.Book, c.Reference) }

func paymentOf(book ID, reference string) On {
	return On{book, id.Derive([]byte("payment"), book.ID[:], []byte(reference))}
}

func (c PayIn) on() On   { return On{c.Book, c.Buyer.ID} }
func (c Hold) on() On    { return On{c.Book, c.Buyer.ID} }
func (c Drain) on() On   { return On{c.Book, c.Buyer.ID} }
func (c Earmark) on() On { return On{c.Book, c.Agreement.ID} }
func (c End) on() On     { return On{c.Book, c.Agreement.ID} }
func (c Settle) on() On  { return On{c.Book, c.Agreement.ID} }
func (c Mature) on() On  { return On{c.Book, c.Subscriber.ID} }

// Reads names the streams that Decide looks at; the first is the one that the command is about.
func Reads(c Command) []On {
	on := c.on()
	switch c := c.(type) {
	case PayIn:
		return []On{on, c.payment()}
	case Hold:
		return []On{on, {c.Book, c.Bid.ID}}
	case Drain:
		return []On{on, {c.Book, c.Bid.ID}}
	case Earmark:
		return []On{on, {c.Book, c.Bid.ID}}
	case End:
		return []On{on, {c.Book, c.Bid.ID}}
	case Settle:
		return []On{on, {c.Book, c.Bid.ID}, {c.Book, c.Subscriber.ID}, {Book: c.Book}}
	case RequestPayout:
		return []On{on, {c.Book, c.Subscriber.ID}}
	case InstructPayout:
		return []On{on, c.told()}
	case ReturnPayout:
		return []On{on, {c.Book, c.Subscriber.ID}}
	}
	return []On{on}
}

// Creates names the stream that a command is the first to write to. A hold is none: its event is on the buyer's.
func Creates(c Command) (On, bool) {
	_, ok := c.(Earmark)
	return c.on(), ok
}
