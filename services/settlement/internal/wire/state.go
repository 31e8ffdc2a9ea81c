package wire

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

// A state row is a byte for the kind of state and then its fields in order: integers as signed varints, ids as 16 bytes,
// texts behind their length. What does not exist is an empty row. Rows of another fold version are never read, so the form may change with it.
const (
	rowBuyer    = 'b'
	rowPayment  = 'p'
	rowHeld     = 'h'
	rowMark     = 'm'
	rowEarner   = 'e'
	rowOperator = 'o'
	rowPayout   = 'q'
	rowTold     = 't'
)

var errRow = errors.New("wire: malformed state row")

// EncodeState gives the row of a state.
func EncodeState(s book.State) ([]byte, error) {
	var room [256]byte // on the stack; more moves to the heap
	w := room[:0]
	switch s := s.(type) {
	case nil:
	case book.Buyer:
		w = rowInts(append(w, rowBuyer), s.Available)
	case book.Payment:
		w = append(append(w, rowPayment), s.Buyer.ID[:]...)
		w = rowInts(w, s.Amount)
		w = rowText(w, s.ValueDate)
	case book.HeldFor:
		w = append(append(w, rowHeld), s.Buyer.ID[:]...)
		w = rowInts(w, s.Initial, s.Remaining, s.Gross, s.TaxPPM, s.Earmarked, flag(s.Drained))
		w = rowText(w, s.TaxCountry)
	case book.Mark:
		w = append(w, rowMark)
		for _, v := range [...]id.ID{s.Book.ID, s.Agreement.ID, s.Bid.ID, s.Buyer.ID, s.Subscriber.ID} {
			w = append(w, v[:]...)
		}
		w = rowInts(w, s.Price, s.Slots, s.CommissionPPM, s.WithholdingPPM, s.AvailableAfter, s.Left, s.Settled, flag(s.Ended))
		for _, v := range [...]string{s.Product, s.Country, s.PolicyPack, s.PolicyVersion} {
			w = rowText(w, v)
		}
	case book.Earner:
		w = rowInts(append(w, rowEarner), s.Pending, s.Payable, s.Residual, int64(len(s.Due)))
		for _, b := range s.Due {
			w = rowInts(w, b.At.UnixMicro(), b.Minor)
		}
	case book.Payout:
		w = append(append(w, rowPayout), s.Subscriber.ID[:]...)
		w = rowInts(w, int64(s.Stage), s.Amount, s.Asked, s.Credited, s.RequestedAt.UnixMicro())
		for _, v := range [...]string{s.EndToEnd, s.ValueDate, s.Reference, s.Reason} {
			w = rowText(w, v)
		}
	case book.Told:
		w = append(append(w, rowTold), s.Payout.ID[:]...)
	case book.Operator:
		w = rowInts(append(w, rowOperator), s.Commission, s.VAT, s.Withholding, s.Rounding, s.Clearing, s.CommissionResidual, s.WithholdingResidual)
	default:
		return nil, errRow
	}
	return append(make([]byte, 0, len(w)), w...), nil
}

// DecodeState is EncodeState's inverse.
func DecodeState(b []byte) (book.State, error) {
	if len(b) == 0 {
		return nil, nil
	}
	r := reader{rest: b[1:]}
	var s book.State
	switch b[0] {
	case rowBuyer:
		s = book.Buyer{Available: r.int()}
	case rowPayment:
		s = book.Payment{Buyer: book.BuyerID{ID: r.id()}, Amount: r.int(), ValueDate: r.text()}
	case rowHeld:
		s = book.HeldFor{
			Buyer: book.BuyerID{ID: r.id()}, Initial: r.int(), Remaining: r.int(), Gross: r.int(), TaxPPM: r.int(),
			Earmarked: r.int(), Drained: r.int() != 0, TaxCountry: r.text(),
		}
	case rowMark:
		var m book.Mark
		m.Book.ID, m.Agreement.ID, m.Bid.ID, m.Buyer.ID, m.Subscriber.ID = r.id(), r.id(), r.id(), r.id(), r.id()
		m.Price, m.Slots, m.CommissionPPM, m.WithholdingPPM = r.int(), r.int(), r.int(), r.int()
		m.AvailableAfter, m.Left, m.Settled, m.Ended = r.int(), r.int(), r.int(), r.int() != 0
		m.Product, m.Country, m.PolicyPack, m.PolicyVersion = r.text(), r.text(), r.text(), r.text()
		s = m
	case rowEarner:
		e := book.Earner{Pending: r.int(), Payable: r.int(), Residual: r.int()}
		for range min(r.int(), int64(len(r.rest))) {
			e.Due = append(e.Due, book.Bucket{At: time.UnixMicro(r.int()).UTC(), Minor: r.int()})
		}
		s = e
	case rowPayout:
		s = book.Payout{
			Subscriber: book.SubscriberID{ID: r.id()}, Stage: book.Stage(r.int()), Amount: r.int(), Asked: r.int(), Credited: r.int(), RequestedAt: time.UnixMicro(r.int()).UTC(),
			EndToEnd: r.text(), ValueDate: r.text(), Reference: r.text(), Reason: r.text(),
		}
	case rowTold:
		s = book.Told{Payout: book.PayoutID{ID: r.id()}}
	case rowOperator:
		s = book.Operator{
			Commission: r.int(), VAT: r.int(), Withholding: r.int(), Rounding: r.int(), Clearing: r.int(),
			CommissionResidual: r.int(), WithholdingResidual: r.int(),
		}
	default:
		return nil, errRow
	}
	if r.bad || len(r.rest) > 0 {
		return nil, errRow
	}
	return s, nil
}

func flag(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

func rowInts(b []byte, list ...int64) []byte {
	for _, v := range list {
		b = binary.AppendVarint(b, v)
	}
	return b
}

func rowText(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

// reader reads a row; after a fault it gives zeros and stays bad.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n < 0 || n > len(r.rest) {
		r.bad = true
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.rest)
	if n <= 0 {
		r.bad = true
		return 0
	}
	r.take(n)
	return v
}

func (r *reader) id() (v id.ID) {
	copy(v[:], r.take(len(v)))
	return v
}

func (r *reader) text() string {
	v, n := binary.Uvarint(r.rest)
	if n <= 0 || v > uint64(len(r.rest)) {
		r.bad = true
		return ""
	}
	r.take(n)
	return string(r.take(int(v)))
}
