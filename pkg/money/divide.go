package money

import "math/bits"

// Million is the base of rates: parts are given in millionths (ppm).
const Million = 1_000_000

// Parts is the price of one slot divided: what the person gets, what the operator keeps, what is withheld for the state.
// They sum to the price. All in micros.
type Parts struct {
	Net        int64
	Commission int64
	Withheld   int64
}

// Divide divides a slot's price (micros, from 0). The commission is a part of the price, the withholding one of what is left
// after it; both are rounded down to a micro, so that the person has what is left. Card and ledger call this one function:
// what was promised is what is posted. A price below 0, or a rate outside 0 to Million, is ErrRange.
func Divide(price, commissionPPM, withholdingPPM int64) (Parts, error) {
	if price < 0 || commissionPPM < 0 || commissionPPM > Million || withholdingPPM < 0 || withholdingPPM > Million {
		return Parts{}, ErrRange
	}
	var p Parts
	p.Commission = PPM(price, commissionPPM)
	p.Withheld = PPM(price-p.Commission, withholdingPPM)
	p.Net = price - p.Commission - p.Withheld
	return p, nil
}

// PPM is x times a rate, rounded down; x and rate from 0 on, the rate at most Million, so that it always fits.
func PPM(x, rate int64) int64 {
	hi, lo := bits.Mul64(uint64(x), uint64(rate))
	part, _ := bits.Div64(hi, lo, Million)
	return int64(part)
}
