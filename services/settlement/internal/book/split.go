package book

import (
	"math/bits"

	"github.com/obole-market/obole/pkg/money"
)

// million is the base of rates.
const million = 1_000_000

// bound is the most that a hold's living agreements can still be charged, tax included, in minor units. Charges are
// differences of one running total rounded down, and floor(r+x) <= ceil(x) for every r below one: however the deliveries
// come, they never cost more.
func (l Ledger) bound(h HeldFor) int64 {
	return ceilDiv(h.Earmarked, l.Unit) + mulDivUp(h.Earmarked, h.TaxPPM, million*l.Unit)
}

// split makes the postings of a delivery of so many slots.
func (l Ledger) split(m Mark, h HeldFor, e Earner, o Operator, slots int64, pending bool) ([]Posting, error) {
	gross := m.Price * slots
	charge := (h.Gross+gross)/l.Unit - h.Gross/l.Unit
	tax := mulDiv(h.Gross+gross, h.TaxPPM, million*l.Unit) - mulDiv(h.Gross, h.TaxPPM, million*l.Unit)
	if charge+tax > h.Remaining {
		return nil, ErrHoldExceeded
	}
	share, err := money.Divide(m.Price, m.CommissionPPM, m.WithholdingPPM)
	if err != nil {
		return nil, ErrTermsMismatch
	}
	net, commission, withheld := share.Net*slots, share.Commission*slots, share.Withheld*slots
	whole := money.LargestRemainder(charge, net, commission, withheld)

	earnings := SubscriberPayable
	if pending {
		earnings = SubscriberPending
	}
	person, carry1 := l.owe(whole[0], net, e.Residual)
	fee, carry2 := l.owe(whole[1], commission, o.CommissionResidual)
	kept, carry3 := l.owe(whole[2], withheld, o.WithholdingResidual)
	person.Account, person.Owner = earnings, m.Subscriber.ID
	fee.Account = Commission
	kept.Account = Withholding
	kept.Tax = Tax{Kind: Withheld, RatePPM: m.WithholdingPPM, Country: m.Country, Base: (m.Price - share.Commission) * slots}

	postings := make([]Posting, 0, 6)
	for _, p := range []struct {
		Posting
		before int64
	}{
		{Posting{Account: BuyerHeld, Owner: h.Buyer.ID, Minor: -(charge + tax)}, 0},
		{person, e.Residual},
		{fee, o.CommissionResidual},
		{kept, o.WithholdingResidual},
		{Posting{Account: VATOutput, Minor: tax, Tax: Tax{Kind: VAT, RatePPM: h.TaxPPM, Country: h.TaxCountry, Base: gross}}, 0},
		{Posting{Account: Rounding, Minor: -(carry1 + carry2 + carry3)}, 0},
	} {
		// A posting of nothing is left out, unless it tells a new residual.
		if p.Minor != 0 || p.Residual != p.before {
			postings = append(postings, p.Posting)
		}
	}
	if sum(postings) != 0 {
		return nil, ErrUnbalanced
	}
	return postings, nil
}

// owe adds what is exactly owed to an owner's residual, takes what is posted from it, and posts a further unit where the
// residual has reached one: carry is that unit, taken from ROUNDING.
func (l Ledger) owe(posted, exact, residual int64) (p Posting, carry int64) {
	residual += exact - posted*l.Unit
	carry = residual / l.Unit
	return Posting{Minor: posted + carry, Residual: residual - carry*l.Unit}, carry
}

// Explain checks the one sentence that accounts for everything below a minor unit; see the package's documentation.
func (l Ledger) Explain(states []State) error {
	var rounding, residuals, fractions int64
	for _, s := range states {
		switch s := s.(type) {
		case Operator:
			rounding += s.Rounding
			residuals += s.CommissionResidual + s.WithholdingResidual
		case Earner:
			residuals += s.Residual
		case HeldFor:
			fractions += s.Gross % l.Unit
		}
	}
	if rounding*l.Unit != residuals-fractions {
		return ErrUnbalanced
	}
	return nil
}

func sum(postings []Posting) (total int64) {
	for _, p := range postings {
		total += p.Minor
	}
	return total
}

func ceilDiv(a, b int64) int64 { return (a + b - 1) / b }

// mulDiv is floor(a*b/c) for a, b >= 0 and c > 0, through 128 bits.
func mulDiv(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, _ := bits.Div64(hi, lo, uint64(c))
	return int64(q)
}

// mulDivUp is ceil(a*b/c).
func mulDivUp(a, b, c int64) int64 {
	hi, lo := bits.Mul64(uint64(a), uint64(b))
	q, r := bits.Div64(hi, lo, uint64(c))
	if r > 0 {
		q++
	}
	return int64(q)
}
