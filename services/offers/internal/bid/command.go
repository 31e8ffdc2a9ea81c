package bid

import (
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Command is what a buyer, a person, another service or time asks of a bid.
type Command interface{ on() On }

// Commands on a bid.
type (
	// Place records a bid.
	Place struct {
		Bid   ID
		Terms Terms
		Body  []byte
	}
	// Open says that the money is held.
	Open struct {
		Bid      ID
		Held     int64
		Currency string
	}
	// Reject says that it is not, or that no answer came.
	Reject struct {
		Bid    ID
		Reason string
	}
	// Withdraw takes no new slot.
	Withdraw struct {
		Bid   ID
		Buyer BuyerID
	}
	// Close ends the window, or a suspended buyer's bid.
	Close struct {
		Bid    ID
		Reason CloseReason
	}
	// Confirm asks, as long as no key has left, whether enough people are left.
	Confirm struct {
		Bid  ID
		Live int64
	}
)

// Commands on an offer.
type (
	// Present records the card that a person is shown.
	Present struct {
		Bid        ID
		Subscriber SubscriberID
		Notice     string
		Language   string
		Card       [32]byte
	}
	// Accept says yes to a card. Licence is the contract's, but for agreement and slots.
	Accept struct {
		Bid        ID
		Subscriber SubscriberID
		Card       [32]byte
		Fields     []string // granted; empty means all
		Explicit   bool     // the separate step for health
		Agreement  AgreementID
		Licence    []byte
		Wait       time.Duration // for consent's answer
	}
	// Decline says no.
	Decline struct {
		Bid        ID
		Subscriber SubscriberID
	}
	// Consented says that consent said yes.
	Consented struct {
		Bid       ID
		Offer     OfferID
		Agreement AgreementID
		Event     id.ID
	}
	// Void says that an acceptance comes to nothing. With Undo only while the bid has not cleared.
	Void struct {
		Bid       ID
		Offer     OfferID
		Agreement AgreementID
		Reason    string
		Undo      bool
	}
	// Finish says that nothing more is delivered.
	Finish struct {
		Bid       ID
		Offer     OfferID
		Agreement AgreementID
		Delivered int64
		Reason    string
	}
)

func (c Place) on() On     { return On{Bid: c.Bid} }
func (c Open) on() On      { return On{Bid: c.Bid} }
func (c Reject) on() On    { return On{Bid: c.Bid} }
func (c Withdraw) on() On  { return On{Bid: c.Bid} }
func (c Close) on() On     { return On{Bid: c.Bid} }
func (c Confirm) on() On   { return On{Bid: c.Bid} }
func (c Present) on() On   { return On{c.Bid, OfferOf(c.Bid, c.Subscriber)} }
func (c Accept) on() On    { return On{c.Bid, OfferOf(c.Bid, c.Subscriber)} }
func (c Decline) on() On   { return On{c.Bid, OfferOf(c.Bid, c.Subscriber)} }
func (c Consented) on() On { return On{c.Bid, c.Offer} }
func (c Void) on() On      { return On{c.Bid, c.Offer} }
func (c Finish) on() On    { return On{c.Bid, c.Offer} }

// Reads names what Decide looks at: the bid, and the offer where one is meant.
func Reads(c Command) []On {
	on := c.on()
	if on.Offer.IsZero() {
		return []On{on}
	}
	return []On{{Bid: on.Bid}, on}
}

// Creates names the stream that a command is the first to write to.
func Creates(c Command) (On, bool) {
	_, ok := c.(Place)
	return c.on(), ok
}
