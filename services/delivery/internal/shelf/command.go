package shelf

import (
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Command is what an agreement, a buyer, consent or time asks of a shelf.
type Command interface{ on() On }

// Take makes an agreement known.
type Take struct {
	Licence  Licence
	Document Document
	Cleared  bool
}

// Clear says that enough people have agreed.
type Clear struct {
	Shelf     ID
	Agreement AgreementID
}

// Prepare puts a package on the shelf.
type Prepare struct {
	Shelf     ID
	Agreement AgreementID
	Delivery  DeliveryID
	Contents  Contents
	Patience  time.Duration // for how long it waits for its receipt
}

// Conclude ends an agreement if nothing is left to deliver.
type Conclude struct {
	Shelf     ID
	Agreement AgreementID
	Stock     []Day // valid slots of the person within the agreement's days
}

// Await says when slots fall due of which there are measurements already.
type Await struct {
	Shelf     ID
	Agreement AgreementID
	DueAt     time.Time // zero: none is waited for
}

// Reseal replaces the buyer's key of a package whose content key has not left.
type Reseal struct {
	Shelf    ID
	Delivery DeliveryID
	BuyerKey string
}

// Release lets the key leave: the buyer has signed, consent's gate has answered.
type Release struct {
	Shelf        ID
	Agreement    AgreementID
	Delivery     DeliveryID
	Receipt      Receipt
	ReleaseEvent id.ID
	Elapsed      time.Duration // below one second
	Answer       Answer
}

// Block records why the key does not leave although the buyer has signed. It may be asked for again: what is for ever, an End says.
type Block struct {
	Shelf     ID
	Agreement AgreementID
	Delivery  DeliveryID
	Receipt   Receipt
	Reason    string
}

// Stop blocks a package for ever whose key has not left: something of it may not be used. Its slots are free again.
type Stop struct {
	Shelf     ID
	Agreement AgreementID
	Delivery  DeliveryID
	Reason    string
}

// Lapse ends a delivery for which no receipt came.
type Lapse struct {
	Shelf     ID
	Agreement AgreementID
	Delivery  DeliveryID
}

// End ends an agreement from outside: the consent is gone, or the offer came to nothing.
type End struct {
	Shelf     ID
	Agreement AgreementID
	Reason    EndReason
}

func (c Take) on() On     { return On{Of(c.Licence.Subscriber), c.Licence.Agreement.ID} }
func (c Clear) on() On    { return On{c.Shelf, c.Agreement.ID} }
func (c Prepare) on() On  { return On{c.Shelf, c.Agreement.ID} }
func (c Conclude) on() On { return On{c.Shelf, c.Agreement.ID} }
func (c Await) on() On    { return On{c.Shelf, c.Agreement.ID} }
func (c Reseal) on() On   { return On{c.Shelf, c.Delivery.ID} }
func (c Release) on() On  { return On{c.Shelf, c.Agreement.ID} }
func (c Block) on() On    { return On{c.Shelf, c.Agreement.ID} }
func (c Stop) on() On     { return On{c.Shelf, c.Agreement.ID} }
func (c Lapse) on() On    { return On{c.Shelf, c.Agreement.ID} }
func (c End) on() On      { return On{c.Shelf, c.Agreement.ID} }

// Reads names the streams that Decide looks at; the first is the one that the command is about.
func Reads(c Command) []On {
	on := c.on()
	switch c := c.(type) {
	case Prepare:
		return []On{on, {Shelf: c.Shelf}, {c.Shelf, c.Delivery.ID}}
	case Conclude:
		return []On{on, {Shelf: c.Shelf}}
	case Release:
		return []On{on, {c.Shelf, c.Delivery.ID}}
	case Block:
		return []On{on, {c.Shelf, c.Delivery.ID}}
	case Stop:
		return []On{on, {c.Shelf, c.Delivery.ID}}
	case Lapse:
		return []On{on, {c.Shelf, c.Delivery.ID}}
	}
	return []On{on}
}

// Creates names the stream that a command is the first to write to.
func Creates(c Command) (On, bool) {
	switch c := c.(type) {
	case Take:
		return c.on(), true
	case Prepare:
		return On{c.Shelf, c.Delivery.ID}, true
	}
	return On{}, false
}
