package wire

import (
	"errors"
	"slices"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

// A state row is a byte for the kind of state and then a box of the person's key: the row holds what the events hold, so it is
// no less sealed. Within, numbers are varints, ids their bytes, texts and lists their length before them; a row of another Fold is never
// read.
const (
	rowShelf     = 's'
	rowAgreement = 'a'
	rowDelivery  = 'd'
)

var errRow = errors.New("wire: malformed state row")

// encodeState gives the row of a state; what does not exist is an empty row.
func encodeState(s shelf.State, on es.Stream, keys any) ([]byte, error) {
	if s == nil {
		return []byte{}, nil
	}
	ring, ok := keys.(*vault.Ring)
	if !ok {
		return nil, es.ErrKeys
	}
	kind, plain := appendState(make([]byte, 0, 1024), s)
	box, err := ring.SealBytes(classOf(kind), []byte("state "+on), plain)
	if err != nil {
		return nil, err
	}
	return append([]byte{kind}, box...), nil
}

// decodeState is encodeState's inverse.
func decodeState(b []byte, on es.Stream, keys any) (shelf.State, error) {
	if len(b) == 0 {
		return nil, nil
	}
	ring, ok := keys.(*vault.Ring)
	if !ok {
		return nil, es.ErrKeys
	}
	plain, err := ring.OpenBytes(classOf(b[0]), []byte("state "+on), b[1:])
	if errors.Is(err, vault.ErrKeyUnknown) {
		return nil, es.ErrKeys
	}
	if err != nil {
		return nil, err
	}
	return readState(b[0], plain)
}

// classOf is how long the person's key of a kind of row is kept.
func classOf(kind byte) eventv1.Retention {
	if kind == rowAgreement {
		return eventv1.Retention_RETENTION_CONSENT_PROOF
	}
	return eventv1.Retention_RETENTION_CONTENT
}

func appendState(b []byte, s shelf.State) (kind byte, row []byte) {
	w := writer{b}
	switch s := s.(type) {
	case shelf.Shelf:
		kind = rowShelf
		w.shelf(s)
	case shelf.Agreement:
		kind = rowAgreement
		w.agreement(s)
	case shelf.Delivery:
		kind = rowDelivery
		w.id(s.Agreement.ID)
		w.int(s.Sequence)
		w.int(s.Slots)
		w.b = append(w.b, s.Digest[:]...)
		w.text(s.BuyerKey)
		w.int(int(s.Status))
		w.text(s.Blocked)
		w.int(int(micros(s.LapsesAt)))
	}
	return kind, w.b
}

func readState(kind byte, row []byte) (s shelf.State, err error) {
	r := reader{b: row}
	switch kind {
	case rowShelf:
		s = r.shelf()
	case rowAgreement:
		s = r.agreement()
	case rowDelivery:
		d := shelf.Delivery{Agreement: shelf.AgreementID{ID: r.id()}, Sequence: r.int(), Slots: r.int()}
		copy(d.Digest[:], r.take(len(d.Digest)))
		d.BuyerKey, d.Status, d.Blocked, d.LapsesAt = r.text(), shelf.Status(r.int()), r.text(), moment(int64(r.int()))
		s = d
	default:
		return nil, errRow
	}
	if r.bad || len(r.b) > 0 {
		return nil, errRow
	}
	return s, nil
}

// shelf writes the lots first, and then their numbers. The same state is the same row, whatever the maps' order; and a map that is empty
// is another one than none: fsck compares a row with what the events come to.
func (w *writer) shelf(s shelf.Shelf) {
	lots := make([]shelf.Lot, 0, len(s.Lots)+1)
	for lot := range s.Lots {
		lots = append(lots, lot)
	}
	for _, lot := range s.Of {
		lots = append(lots, lot)
	}
	for _, held := range s.Open {
		lots = append(lots, held.Lot)
	}
	slices.SortFunc(lots, compareLots)
	lots = slices.Compact(lots)
	number := make(map[shelf.Lot]int, len(lots))
	w.int(len(lots))
	for i, lot := range lots {
		number[lot] = i
		w.id(lot.Group.ID)
		w.text(lot.Product)
	}
	w.count(len(s.Lots), s.Lots == nil)
	for i, lot := range lots {
		if days, has := s.Lots[lot]; has {
			w.int(i)
			w.days(days)
		}
	}
	w.count(len(s.Of), s.Of == nil)
	for _, a := range s.Agreements() {
		w.id(a.ID)
		w.int(number[s.Of[a]])
	}
	w.count(len(s.Open), s.Open == nil)
	open := make([]shelf.DeliveryID, 0, len(s.Open))
	for d := range s.Open {
		open = append(open, d)
	}
	slices.SortFunc(open, func(a, b shelf.DeliveryID) int { return slices.Compare(a.ID[:], b.ID[:]) })
	for _, d := range open {
		w.id(d.ID)
		w.int(number[s.Open[d].Lot])
		w.days(s.Open[d].Slots)
	}
}

func compareLots(a, b shelf.Lot) int {
	if c := slices.Compare(a.Group.ID[:], b.Group.ID[:]); c != 0 {
		return c
	}
	return slices.Compare([]byte(a.Product), []byte(b.Product))
}

func (r *reader) shelf() (s shelf.Shelf) {
	lots := make([]shelf.Lot, r.length(1+len(shelf.GroupID{}.ID)))
	for i := range lots {
		lots[i] = shelf.Lot{Group: shelf.GroupID{ID: r.id()}, Product: r.text()}
	}
	lot := func() (l shelf.Lot) {
		if i := r.int(); i >= 0 && i < len(lots) {
			return lots[i]
		}
		r.bad = true
		return l
	}
	if n, some := r.count(2); some {
		s.Lots = make(map[shelf.Lot][]shelf.Day, n)
		for range n {
			l := lot()
			s.Lots[l] = r.days()
		}
	}
	if n, some := r.count(1 + len(shelf.AgreementID{}.ID)); some {
		s.Of = make(map[shelf.AgreementID]shelf.Lot, n)
		for range n {
			a := shelf.AgreementID{ID: r.id()}
			s.Of[a] = lot()
		}
	}
	if n, some := r.count(2 + len(shelf.DeliveryID{}.ID)); some {
		s.Open = make(map[shelf.DeliveryID]shelf.Held, n)
		for range n {
			d := shelf.DeliveryID{ID: r.id()}
			s.Open[d] = shelf.Held{Lot: lot(), Slots: r.days()}
		}
	}
	return s
}

func (w *writer) agreement(a shelf.Agreement) {
	l := &a.Licence
	w.id(l.Agreement.ID)
	w.id(l.Offer.ID)
	w.id(l.Bid.ID)
	w.id(l.Buyer.ID)
	w.id(l.Group.ID)
	w.id(l.Subscriber.ID)
	w.text(l.Product)
	w.text(l.Purpose)
	w.text(l.Currency)
	w.int(l.Slots)
	w.int(int(l.First))
	w.int(int(l.Last))
	w.int(int(l.Cadence))
	w.count(len(a.Document), a.Document == nil)
	w.b = append(w.b, a.Document...)
	w.bool(a.Cleared)
	w.bool(a.Ended)
	w.bool(a.Ordered)
	w.int(a.Sequence)
	w.int(a.Stopped)
	w.int(a.Slots)
	w.int(a.Charged)
	w.count(len(a.Open), a.Open == nil)
	for _, open := range a.Open {
		w.id(open.Delivery.ID)
		w.int(open.Slots)
	}
	w.count(len(a.Released), a.Released == nil)
	for _, d := range a.Released {
		w.id(d.ID)
	}
	w.int(int(micros(a.Awaited)))
}

func (r *reader) agreement() (a shelf.Agreement) {
	a.Licence = shelf.Licence{
		Agreement: shelf.AgreementID{ID: r.id()}, Offer: shelf.OfferID{ID: r.id()}, Bid: shelf.BidID{ID: r.id()}, Buyer: shelf.BuyerID{ID: r.id()},
		Group: shelf.GroupID{ID: r.id()}, Subscriber: shelf.SubscriberID{ID: r.id()}, Product: r.text(), Purpose: r.text(), Currency: r.text(),
		Slots: r.int(), First: shelf.Day(r.int()), Last: shelf.Day(r.int()), Cadence: shelf.Cadence(r.int()),
	}
	if n, some := r.count(1); some {
		a.Document = append(shelf.Document{}, r.take(n)...)
	}
	a.Cleared, a.Ended, a.Ordered = r.bool(), r.bool(), r.bool()
	a.Sequence, a.Stopped, a.Slots, a.Charged = r.int(), r.int(), r.int(), r.int()
	if n, some := r.count(1 + len(shelf.DeliveryID{}.ID)); some {
		a.Open = make([]shelf.Waits, n)
		for i := range a.Open {
			a.Open[i] = shelf.Waits{Delivery: shelf.DeliveryID{ID: r.id()}, Slots: r.int()}
		}
	}
	if n, some := r.count(len(shelf.DeliveryID{}.ID)); some {
		a.Released = make([]shelf.DeliveryID, n)
		for i := range a.Released {
			a.Released[i] = shelf.DeliveryID{ID: r.id()}
		}
	}
	a.Awaited = moment(int64(r.int()))
	return a
}
