package wire

import (
	"encoding/json"
	"errors"
	"slices"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

// A state row is a byte for the kind of state and then a box of the person's key: the row holds what the events hold, so it is
// no less sealed.
const (
	rowShelf     = 's'
	rowAgreement = 'a'
	rowDelivery  = 'd'
)

var errRow = errors.New("wire: malformed state row")

// shelfRow is a shelf without maps, whose keys JSON could not write.
type shelfRow struct {
	Lots []lotRow
	Of   []dealRow
	Open []openRow
}

type lotRow struct {
	Lot  shelf.Lot
	Days []shelf.Day
}

type dealRow struct {
	Agreement shelf.AgreementID
	Lot       shelf.Lot
}

type openRow struct {
	Delivery shelf.DeliveryID
	Held     shelf.Held
}

// rowOf keeps apart a map that is empty and one that never was: fsck compares a row with what the events come to.
func rowOf(s shelf.Shelf) (row shelfRow) {
	if s.Lots != nil {
		row.Lots = []lotRow{}
	}
	for lot, days := range s.Lots {
		row.Lots = append(row.Lots, lotRow{lot, days})
	}
	if s.Of != nil {
		row.Of = []dealRow{}
	}
	for agreement, lot := range s.Of {
		row.Of = append(row.Of, dealRow{agreement, lot})
	}
	if s.Open != nil {
		row.Open = []openRow{}
	}
	for delivery, held := range s.Open {
		row.Open = append(row.Open, openRow{delivery, held})
	}
	// The same state is the same row, whatever the maps' order.
	slices.SortFunc(row.Lots, func(a, b lotRow) int {
		return slices.Compare(append(a.Lot.Group.ID[:], a.Lot.Product...), append(b.Lot.Group.ID[:], b.Lot.Product...))
	})
	slices.SortFunc(row.Of, func(a, b dealRow) int { return slices.Compare(a.Agreement.ID[:], b.Agreement.ID[:]) })
	slices.SortFunc(row.Open, func(a, b openRow) int { return slices.Compare(a.Delivery.ID[:], b.Delivery.ID[:]) })
	return row
}

func (row shelfRow) state() (s shelf.Shelf) {
	if row.Lots != nil {
		s.Lots = map[shelf.Lot][]shelf.Day{}
	}
	for _, l := range row.Lots {
		s.Lots[l.Lot] = l.Days
	}
	if row.Of != nil {
		s.Of = map[shelf.AgreementID]shelf.Lot{}
	}
	for _, d := range row.Of {
		s.Of[d.Agreement] = d.Lot
	}
	if row.Open != nil {
		s.Open = map[shelf.DeliveryID]shelf.Held{}
	}
	for _, o := range row.Open {
		s.Open[o.Delivery] = o.Held
	}
	return s
}

// encodeState gives the row of a state; what does not exist is an empty row.
func encodeState(s shelf.State, on es.Stream, keys any) ([]byte, error) {
	var kind byte
	var what any
	class := eventv1.Retention_RETENTION_CONTENT
	switch s := s.(type) {
	case nil:
		return []byte{}, nil
	case shelf.Shelf:
		kind, what = rowShelf, rowOf(s)
	case shelf.Agreement:
		kind, what, class = rowAgreement, s, eventv1.Retention_RETENTION_CONSENT_PROOF
	case shelf.Delivery:
		kind, what = rowDelivery, s
	}
	ring, ok := keys.(*vault.Ring)
	if !ok {
		return nil, es.ErrKeys
	}
	plain, err := json.Marshal(what)
	if err != nil {
		return nil, err
	}
	box, err := ring.SealBytes(class, []byte("state "+on), plain)
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
	class := eventv1.Retention_RETENTION_CONTENT
	if b[0] == rowAgreement {
		class = eventv1.Retention_RETENTION_CONSENT_PROOF
	}
	plain, err := ring.OpenBytes(class, []byte("state "+on), b[1:])
	if errors.Is(err, vault.ErrKeyUnknown) {
		return nil, es.ErrKeys
	}
	if err != nil {
		return nil, err
	}
	switch b[0] {
	case rowShelf:
		row, err := unmarshal[shelfRow](plain)
		return row.state(), err
	case rowAgreement:
		return unmarshal[shelf.Agreement](plain)
	case rowDelivery:
		return unmarshal[shelf.Delivery](plain)
	}
	return nil, errRow
}

func unmarshal[T any](plain []byte) (v T, err error) {
	if json.Unmarshal(plain, &v) != nil {
		err = errRow // the cause may quote the row
	}
	return v, err
}
