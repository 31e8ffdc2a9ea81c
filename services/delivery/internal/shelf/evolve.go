package shelf

import (
	"maps"
	"slices"
)

// Evolve folds an event into the state of one stream, its own or one that Touches named. It is total.
func Evolve(s State, on On, e Entry) State {
	switch {
	case on.Child.IsZero():
		shelf, _ := s.(Shelf)
		return shelf.evolve(e.Event)
	case isAgreement(on, e):
		a, _ := s.(Agreement)
		return a.evolve(e.Event)
	}
	d, _ := s.(Delivery)
	return d.evolve(e.Event)
}

// Touches names the shelf's own stream, and the agreement's for what happens to its deliveries.
func Touches(e Entry) []On {
	root := On{Shelf: e.On.Shelf}
	switch ev := e.Event.(type) {
	case Taken, Ended:
		return []On{root}
	case Prepared:
		return []On{root, {e.On.Shelf, ev.Agreement.ID}}
	case Released:
		return []On{root, {e.On.Shelf, ev.Agreement.ID}}
	case Lapsed:
		return []On{root, {e.On.Shelf, ev.Agreement.ID}}
	case Blocked:
		if ev.Final {
			return []On{root, {e.On.Shelf, ev.Agreement.ID}}
		}
	}
	return nil
}

// isAgreement says whether a child's stream is that of the agreement that an event is about.
func isAgreement(on On, e Entry) bool {
	switch ev := e.Event.(type) {
	case Taken, Cleared, Awaited, Ended, DeletionOrdered:
		return true
	case Prepared:
		return on.Child == ev.Agreement.ID
	case Released:
		return on.Child == ev.Agreement.ID
	case Lapsed:
		return on.Child == ev.Agreement.ID
	case Blocked:
		return on.Child == ev.Agreement.ID
	}
	return false
}

func (s Shelf) evolve(e Event) State {
	switch e := e.(type) {
	case Taken:
		s.Of = maps.Clone(s.Of)
		if s.Of == nil {
			s.Of = map[AgreementID]Lot{}
		}
		s.Of[e.Licence.Agreement] = Lot{e.Licence.Group, e.Licence.Product}
	case Ended:
		s.Of = maps.Clone(s.Of)
		delete(s.Of, e.Agreement)
	case Prepared:
		s = s.with(e.Agreement, e.Delivery, e.Contents.Slots)
	case Released:
		s = s.without(e.Delivery, false)
	case Lapsed:
		s = s.without(e.Delivery, true)
	case Blocked:
		s = s.without(e.Delivery, true)
	}
	return s
}

func (a Agreement) evolve(e Event) State {
	switch e := e.(type) {
	case Taken:
		a.Licence, a.Document, a.Cleared = e.Licence, e.Document, e.Cleared
	case Cleared:
		a.Cleared = true
	case Awaited:
		a.Awaited = e.DueAt
	case Ended:
		a.Ended = true
	case DeletionOrdered:
		a.Ordered = true
	case Prepared:
		a.Sequence, a.Slots = e.Sequence, a.Slots+len(e.Contents.Slots)
		a.Open = append(slices.Clone(a.Open), Waits{e.Delivery, len(e.Contents.Slots)})
	case Released:
		a = a.charged(e.Delivery, e.Slots)
	case Lapsed:
		a = a.gaveUp(e.Delivery)
	case Blocked:
		a = a.gaveUp(e.Delivery)
		a.Stopped++
	}
	return a
}

func (d Delivery) evolve(e Event) State {
	switch e := e.(type) {
	case Prepared:
		return Delivery{
			Agreement: e.Agreement, Sequence: e.Sequence, Slots: len(e.Contents.Slots), Digest: e.Contents.Digest, BuyerKey: e.Contents.BuyerKey,
			Status: Waiting, LapsesAt: e.LapsesAt,
		}
	case Resealed:
		d.BuyerKey = e.BuyerKey
	case Receipted:
		d.Status = Signed
	case Released:
		d.Status = Gone
	case Blocked:
		d.Blocked = e.Reason
		if e.Final {
			d.Status = Stopped
		}
	case Lapsed:
		d.Status = TooLate
	}
	return d
}

// charged is the agreement after a delivery's key has left.
func (a Agreement) charged(d DeliveryID, slots int) Agreement {
	a.Charged += slots
	a.Released = append(slices.Clone(a.Released), d)
	return a.closed(d)
}

func (a Agreement) closed(d DeliveryID) Agreement {
	a.Open = slices.DeleteFunc(slices.Clone(a.Open), func(w Waits) bool { return w.Delivery == d })
	return a
}

// gaveUp is the agreement after a delivery whose key never leaves.
func (a Agreement) gaveUp(d DeliveryID) Agreement {
	for _, w := range a.Open {
		if w.Delivery == d {
			a.Slots -= w.Slots
		}
	}
	return a.closed(d)
}
