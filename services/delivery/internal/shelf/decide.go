package shelf

import (
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/fault"
)

// Refusals, each named by the contract's Reason.
var (
	ErrAgreementEnded  = fault.Refuse("AGREEMENT_ENDED", "the agreement has ended, or is unknown")
	ErrSlotTaken       = fault.Refuse("SLOT_TAKEN", "a slot is delivered, or charged to the buyer's group already")
	ErrDeliveryUnknown = fault.NotFound("DELIVERY_UNKNOWN", "there is no such delivery for this buyer")
	ErrDigestMismatch  = fault.Refuse("DIGEST_MISMATCH", "the digest is not that of the package")
	ErrLapsed          = fault.Refuse("LAPSED", "the delivery lapsed: no receipt came in time")
)

// blocked are the refusals of a delivery that was blocked for ever, by its reason.
var blocked = map[string]*fault.Error{
	"WITHDRAWN":         fault.Refuse("WITHDRAWN", "the consent was withdrawn"),
	"EXPIRED":           fault.Refuse("EXPIRED", "the consent has expired"),
	"VOIDED":            fault.Refuse("VOIDED", "the offer was voided"),
	"BUYER_SUSPENDED":   fault.Refuse("BUYER_SUSPENDED", "the buyer is suspended"),
	"SOURCE_RESTRICTED": fault.Refuse("SOURCE_RESTRICTED", "something in the package is from a source that its person has restricted"),
	"COHORT_MISSED":     fault.Refuse("COHORT_MISSED", "too few people were left before the first key"),
	"CONSENT_UNKNOWN":   fault.Refuse("CONSENT_UNKNOWN", "consent knows no such agreement"),
}

// Decide answers a command with the events that it causes at this time. state gives what Reads named.
func Decide(state func(On) State, c Command, at time.Time) ([]Entry, error) {
	if t, ok := c.(Take); ok {
		return take(state(t.on()), t), nil
	}
	if r, ok := c.(Reseal); ok {
		return reseal(state(r.on()), r), nil
	}
	on := c.on()
	agreement, known := state(on).(Agreement)
	switch c := c.(type) {
	case Clear:
		if !known || agreement.Cleared || agreement.Ended {
			return nil, nil
		}
		return []Entry{{on, Cleared{Agreement: c.Agreement, DueAt: agreement.Licence.dueAt()}}}, nil
	case Await:
		return await(agreement, c, at), nil
	case Prepare:
		shelf, _ := state(On{Shelf: c.Shelf}).(Shelf)
		return prepare(agreement, shelf, state(On{c.Shelf, c.Delivery.ID}), c, at)
	case Conclude:
		shelf, _ := state(On{Shelf: c.Shelf}).(Shelf)
		return conclude(agreement, shelf, c, at), nil
	case End:
		if !known {
			return nil, nil
		}
		return end(agreement, c, at), nil
	}
	if !known {
		return nil, ErrDeliveryUnknown
	}
	return onDelivery(agreement, state, c, at)
}

// onDelivery answers commands about one delivery.
func onDelivery(a Agreement, state func(On) State, c Command, at time.Time) ([]Entry, error) {
	on := Reads(c)[1]
	d, _ := state(on).(Delivery)
	switch c := c.(type) {
	case Release:
		return release(a, d, on, c)
	case Block:
		return block(a, d, on, c)
	case Stop:
		return stop(d, on, c), nil
	case Lapse:
		return lapse(a, d, on, c, at), nil
	}
	panic("shelf: command without a rule")
}

// Refusal says why a receipt may not ask for the key any more, nil when it may.
func (d Delivery) Refusal() *fault.Error {
	switch d.Status {
	case Waiting, Signed, Gone:
		return nil
	case TooLate:
		return ErrLapsed
	case Stopped:
		if f := blocked[d.Blocked]; f != nil {
			return f
		}
		return ErrAgreementEnded
	}
	return ErrDeliveryUnknown
}

func take(own State, c Take) []Entry {
	if own != nil {
		return nil
	}
	return []Entry{{c.on(), Taken{Licence: c.Licence, Document: c.Document, Cleared: c.Cleared, DueAt: c.Licence.dueAt()}}}
}

// await notes the moment at which the next slots fall due. An earlier moment that is still to come stays: whoever looks then sees the
// later one too.
func await(a Agreement, c Await, at time.Time) []Entry {
	if !a.Cleared || a.Ended || c.DueAt.Equal(a.Awaited) || at.Before(a.Awaited) && (c.DueAt.IsZero() || c.DueAt.After(a.Awaited)) {
		return nil
	}
	return []Entry{{c.on(), Awaited{Agreement: c.Agreement, DueAt: c.DueAt}}}
}

func prepare(a Agreement, s Shelf, own State, c Prepare, at time.Time) ([]Entry, error) {
	if !a.Cleared || a.Ended {
		return nil, ErrAgreementEnded
	}
	if own != nil || len(c.Contents.Slots) == 0 {
		return nil, ErrSlotTaken
	}
	// What was due when the package was made is due still, or it was made for nothing.
	if due, _ := a.Due(s, c.Contents.Slots, at); !slices.Equal(due, c.Contents.Slots) {
		return nil, ErrSlotTaken
	}
	return []Entry{{On{c.Shelf, c.Delivery.ID}, Prepared{
		Delivery: c.Delivery, Agreement: c.Agreement, Subscriber: a.Licence.Subscriber, Sequence: a.Sequence + 1, Contents: c.Contents,
		LapsesAt: at.Add(c.Patience),
	}}}, nil
}

func reseal(own State, c Reseal) []Entry {
	d, _ := own.(Delivery)
	if d.Status != Waiting && d.Status != Signed || d.BuyerKey == c.BuyerKey {
		return nil
	}
	return []Entry{{c.on(), Resealed{Delivery: c.Delivery, BuyerKey: c.BuyerKey}}}
}

// sign records the receipt, unless there is one.
func sign(d Delivery, on On, delivery DeliveryID, r Receipt) []Entry {
	if d.Status != Waiting {
		return nil
	}
	return []Entry{{on, Receipted{Delivery: delivery, Agreement: d.Agreement, Receipt: r}}}
}

// mayAnswer refuses what asks for a key that cannot leave any more.
func mayAnswer(a Agreement, d Delivery, agreement AgreementID, r Receipt) error {
	switch {
	case d.Agreement != agreement:
		return ErrDeliveryUnknown
	case d.Refusal() != nil:
		return d.Refusal()
	case d.Digest != r.Digest:
		return ErrDigestMismatch
	case a.Ended && d.Status != Gone:
		return ErrAgreementEnded
	}
	return nil
}

func release(a Agreement, d Delivery, on On, c Release) ([]Entry, error) {
	if err := mayAnswer(a, d, c.Agreement, c.Receipt); err != nil {
		return nil, err
	}
	if d.Status == Gone {
		return nil, nil
	}
	l := a.Licence
	_, last := a.charged(c.Delivery, d.Slots).finished()
	return append(sign(d, on, c.Delivery, c.Receipt), Entry{on, Released{
		Delivery: c.Delivery, Agreement: c.Agreement, Bid: l.Bid, Subscriber: l.Subscriber, Slots: d.Slots, Currency: l.Currency,
		ReleaseEvent: c.ReleaseEvent, Elapsed: c.Elapsed, Answer: c.Answer, Last: last,
	}}), nil
}

func block(a Agreement, d Delivery, on On, c Block) ([]Entry, error) {
	if err := mayAnswer(a, d, c.Agreement, c.Receipt); err != nil {
		return nil, err
	}
	if d.Status == Gone {
		return nil, nil
	}
	out := sign(d, on, c.Delivery, c.Receipt)
	if d.Blocked != c.Reason {
		out = append(out, Entry{on, Blocked{Delivery: c.Delivery, Agreement: c.Agreement, Reason: c.Reason}})
	}
	return out, nil
}

func stop(d Delivery, on On, c Stop) []Entry {
	if d.Agreement != c.Agreement || d.Status != Waiting && d.Status != Signed {
		return nil
	}
	return []Entry{{on, Blocked{Delivery: c.Delivery, Agreement: c.Agreement, Reason: c.Reason, Final: true}}}
}

func lapse(a Agreement, d Delivery, on On, c Lapse, at time.Time) []Entry {
	if d.Status != Waiting || d.Agreement != c.Agreement || at.Before(d.LapsesAt) {
		return nil
	}
	out := []Entry{{on, Lapsed{Delivery: c.Delivery, Agreement: c.Agreement}}}
	if why, finished := a.gaveUp(c.Delivery).finished(); finished {
		out = append(out, Entry{c.on(), a.end(why)})
	}
	return out
}

// conclude ends an agreement of which all is delivered, or for which nothing is there and nothing will be.
func conclude(a Agreement, s Shelf, c Conclude, at time.Time) []Entry {
	why, finished := a.finished()
	if !finished {
		if _, none := a.Due(s, c.Stock, at); !none {
			return nil
		}
		why = EndNoSlots
	}
	return []Entry{{c.on(), a.end(why)}}
}

func (a Agreement) end(why EndReason) Ended {
	l := a.Licence
	return Ended{
		Agreement: l.Agreement, Offer: l.Offer, Bid: l.Bid, Subscriber: l.Subscriber, Currency: l.Currency, Released: a.Charged, Reason: why,
	}
}

// end stops what is open, then says that nothing more leaves, then orders to delete what has. A withdrawal may come after an end
// of which consent had not heard: the order is given all the same.
func end(a Agreement, c End, at time.Time) []Entry {
	var out []Entry
	if !a.Ended {
		for _, w := range a.Open {
			out = append(out, Entry{On{c.Shelf, w.Delivery.ID}, Blocked{Delivery: w.Delivery, Agreement: c.Agreement, Reason: c.Reason.blocks(), Final: true}})
		}
		out = append(out, Entry{c.on(), a.end(c.Reason)})
	}
	if c.Reason == EndWithdrawn && len(a.Released) > 0 && !a.Ordered {
		out = append(out, Entry{c.on(), DeletionOrdered{
			Agreement: c.Agreement, Deliveries: a.Released, Reason: c.Reason, Due: at.Add(deletion),
		}})
	}
	return out
}

// blocks is the reason by which an end blocks what is open.
func (r EndReason) blocks() string {
	switch r {
	case EndWithdrawn:
		return "WITHDRAWN"
	case EndExpired:
		return "EXPIRED"
	case EndSuspended:
		return "BUYER_SUSPENDED"
	}
	return "VOIDED"
}
