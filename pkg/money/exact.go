package money

import "cmp"

// MaxMicros is the highest price of a slot, 10^9 major units, as the contract says (obole.money.v1.UnitPrice).
const MaxMicros = 1_000_000_000_000_000

// Price is what one slot costs. The zero Price has no currency.
type Price struct {
	micros   int64
	currency Currency
}

// NewPrice makes a price of 0 to MaxMicros, else ErrRange.
func NewPrice(micros int64, c Currency) (Price, error) {
	if micros < 0 || micros > MaxMicros {
		return Price{}, ErrRange
	}
	return Price{micros, c}, nil
}

// Micros is the price in millionths of the major unit.
func (p Price) Micros() int64 { return p.micros }

// Currency is the price's.
func (p Price) Currency() Currency { return p.currency }

// Times is what so many slots cost, exactly. A negative number of slots is ErrRange.
func (p Price) Times(slots int64) (Exact, error) {
	if slots < 0 {
		return Exact{}, ErrRange
	}
	micros, ok := mulDiv(p.micros, slots, 1, Down)
	if !ok {
		return Exact{}, ErrOverflow
	}
	return Exact{micros, p.currency}, nil
}

// Rate is so many millionths of the price, rounded down. More than the whole is ErrRange.
func (p Price) Rate(ppm int64) (Price, error) {
	if ppm < 0 || ppm > Million {
		return Price{}, ErrRange
	}
	return Price{PPM(p.micros, ppm), p.currency}, nil
}

// Cmp is -1, 0 or 1; prices of different currencies have no order.
func (p Price) Cmp(q Price) (int, error) {
	if p.currency != q.currency || p.currency.IsZero() {
		return 0, ErrCurrency
	}
	return cmp.Compare(p.micros, q.micros), nil
}

// Exact is an amount of micros, finer than what can be posted. It may be negative.
type Exact struct {
	micros   int64
	currency Currency
}

// NewExact makes an exact amount.
func NewExact(micros int64, c Currency) Exact { return Exact{micros, c} }

// Micros is the number of millionths of the major unit.
func (x Exact) Micros() int64 { return x.micros }

// Currency is the amount's.
func (x Exact) Currency() Currency { return x.currency }

// Add fails with ErrCurrency or ErrOverflow.
func (x Exact) Add(y Exact) (Exact, error) {
	micros, err := add(x.micros, y.micros, x.currency, y.currency)
	if err != nil {
		return Exact{}, err
	}
	return Exact{micros, x.currency}, nil
}

// Sub fails with ErrCurrency or ErrOverflow.
func (x Exact) Sub(y Exact) (Exact, error) {
	micros, err := sub(x.micros, y.micros, x.currency, y.currency)
	if err != nil {
		return Exact{}, err
	}
	return Exact{micros, x.currency}, nil
}

// Rate is so many millionths of the amount.
func (x Exact) Rate(ppm int64, r Rounding) (Exact, error) {
	micros, err := rate(x.micros, ppm, r)
	if err != nil {
		return Exact{}, err
	}
	return Exact{micros, x.currency}, nil
}

// Round is the amount in minor units.
func (x Exact) Round(r Rounding) Amount {
	minor, _ := mulDiv(x.micros, 1, x.currency.Unit(), r) // a unit has at least 100 micros: it fits
	return Amount{minor, x.currency}
}

// Split is the whole minor units towards zero, and what is left: less than a minor unit, with the sign of the whole.
func (x Exact) Split() (whole Amount, rest Exact) {
	unit := x.currency.Unit()
	return Amount{x.micros / unit, x.currency}, Exact{x.micros % unit, x.currency}
}

// Accrual keeps what is below a minor unit until it is one. Its zero value accrues nothing yet, in any currency.
type Accrual struct{ rest Exact }

// Resume goes on from what Rest said. A rest of a whole minor unit or more is ErrRange.
func Resume(rest Exact) (Accrual, error) {
	if whole, _ := rest.Split(); !whole.IsZero() {
		return Accrual{}, ErrRange
	}
	return Accrual{rest}, nil
}

// Add takes an exact amount in and says what is to be posted now; next has the rest. What was added ever, less what was
// posted ever, is always exactly Rest.
func (a Accrual) Add(x Exact) (post Amount, next Accrual, err error) {
	if a.rest == (Exact{}) {
		a.rest.currency = x.currency
	}
	total, err := a.rest.Add(x)
	if err != nil {
		return Amount{}, a, err
	}
	post, rest := total.Split()
	return post, Accrual{rest}, nil
}

// Rest is less than a minor unit, of either sign.
func (a Accrual) Rest() Exact { return a.rest }
