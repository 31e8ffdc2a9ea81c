package book

import "time"

// State is what deciding needs of one stream: a Buyer, a Payment, Held money, Marked money, an Earner, a Payout, what was Told or the Operator. Nil
// means that the stream does not exist. States are values; none is changed in place.
type State interface{ state() }

// Buyer is a buyer's own money.
type Buyer struct {
	Available int64 // minor
}

// Payment is what the bank's reference stands for.
type Payment struct {
	Buyer     BuyerID
	Amount    int64 // minor
	ValueDate string
}

// HeldFor is the money of one bid.
type HeldFor struct {
	Buyer      BuyerID
	Initial    int64 // minor, tax included
	Remaining  int64 // minor: its part of BUYER_HELD
	Gross      int64 // micros charged on so far, tax not included
	TaxPPM     int64
	TaxCountry string
	Earmarked  int64 // micros: what living agreements can still cost, tax not included
	Drained    bool
}

// Mark is what one agreement may still cost.
type Mark struct {
	Terms
	Left    int64 // slots
	Settled int64 // slots
	Ended   bool
}

// Earner is one person's earnings.
type Earner struct {
	Pending  int64
	Payable  int64
	Residual int64    // micros, between minus and plus one minor unit
	Due      []Bucket // pending by the day on which it matures, oldest first
}

// Bucket is what matures at one moment.
type Bucket struct {
	At    time.Time
	Minor int64
}

// Operator is everything that is nobody else's.
type Operator struct {
	Commission          int64
	VAT                 int64
	Withholding         int64
	Rounding            int64
	Clearing            int64
	CommissionResidual  int64 // micros
	WithholdingResidual int64 // micros
}

func (Buyer) state()    {}
func (Payment) state()  {}
func (HeldFor) state()  {}
func (Mark) state()     {}
func (Earner) state()   {}
func (Operator) state() {}

// Balance is what the state holds of the book's money, credit positive.
func Balance(s State) int64 {
	switch s := s.(type) {
	case Buyer:
		return s.Available
	case HeldFor:
		return s.Remaining
	case Earner:
		return s.Pending + s.Payable
	case Payout:
		return s.Asked + s.Credited
	case Operator:
		return s.Commission + s.VAT + s.Withholding + s.Rounding + s.Clearing
	}
	return 0
}

// Conserve says whether money was neither made nor lost between the states before and after.
func Conserve(before, after []State) error {
	var sum int64
	for _, s := range before {
		sum -= Balance(s)
	}
	for _, s := range after {
		sum += Balance(s)
	}
	if sum != 0 {
		return ErrUnbalanced
	}
	return nil
}
