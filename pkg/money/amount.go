package money

import (
	"cmp"
	"math"
)

// Amount is a number of minor units of a currency. Amounts can be compared with ==.
type Amount struct {
	minor    int64
	currency Currency
}

// New makes an amount of minor units.
func New(minor int64, c Currency) Amount { return Amount{minor, c} }

// Minor is the number of minor units.
func (a Amount) Minor() int64 { return a.minor }

// Currency is the amount's.
func (a Amount) Currency() Currency { return a.currency }

// IsZero says whether there is nothing, in whatever currency.
func (a Amount) IsZero() bool { return a.minor == 0 }

// Sign is -1, 0 or 1.
func (a Amount) Sign() int { return cmp.Compare(a.minor, 0) }

// Add fails with ErrCurrency or ErrOverflow.
func (a Amount) Add(b Amount) (Amount, error) {
	minor, err := add(a.minor, b.minor, a.currency, b.currency)
	return Amount{minor, a.currency}.or(err)
}

// Sub fails with ErrCurrency or ErrOverflow.
func (a Amount) Sub(b Amount) (Amount, error) {
	minor, err := sub(a.minor, b.minor, a.currency, b.currency)
	return Amount{minor, a.currency}.or(err)
}

// Neg fails with ErrOverflow for the least 64-bit integer only.
func (a Amount) Neg() (Amount, error) { return Amount{0, a.currency}.Sub(a) }

// Cmp is -1, 0 or 1; amounts of different currencies have no order.
func (a Amount) Cmp(b Amount) (int, error) {
	if a.currency != b.currency || a.currency.IsZero() {
		return 0, ErrCurrency
	}
	return cmp.Compare(a.minor, b.minor), nil
}

// Rate is so many millionths of the amount, in minor units: a tax of 20 % is 200,000.
func (a Amount) Rate(ppm int64, r Rounding) (Amount, error) {
	minor, err := rate(a.minor, ppm, r)
	return Amount{minor, a.currency}.or(err)
}

// Exact is the same amount in micros.
func (a Amount) Exact() (Exact, error) {
	micros, ok := mulDiv(a.minor, a.currency.Unit(), 1, Down)
	if !ok {
		return Exact{}, ErrOverflow
	}
	return Exact{micros, a.currency}, nil
}

// Split divides the amount in proportion to the weights by LargestRemainder; the parts sum to the whole. A negative
// weight, or weights that sum to more than 64 bits hold, are ErrRange.
func (a Amount) Split(weights ...int64) ([]Amount, error) {
	if !weighable(weights) {
		return nil, ErrRange
	}
	parts := make([]Amount, len(weights))
	for i, minor := range LargestRemainder(a.minor, weights...) {
		parts[i] = Amount{minor, a.currency}
	}
	return parts, nil
}

// or is the amount, or nothing with the error.
func (a Amount) or(err error) (Amount, error) {
	if err != nil {
		return Amount{}, err
	}
	return a, nil
}

func add(a, b int64, ca, cb Currency) (int64, error) {
	if ca != cb || ca.IsZero() {
		return 0, ErrCurrency
	}
	sum := a + b
	if (sum > a) != (b > 0) && b != 0 {
		return 0, ErrOverflow
	}
	return sum, nil
}

func sub(a, b int64, ca, cb Currency) (int64, error) {
	if ca != cb || ca.IsZero() {
		return 0, ErrCurrency
	}
	difference := a - b
	if (difference < a) != (b > 0) && b != 0 {
		return 0, ErrOverflow
	}
	return difference, nil
}

// magnitude is |v|, also of the least integer.
func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

// signed puts a sign before a magnitude; ok is false when it does not fit.
func signed(m uint64, negative bool) (v int64, ok bool) {
	switch {
	case negative && m <= 1<<63:
		return -int64(m), true
	case !negative && m <= math.MaxInt64:
		return int64(m), true
	}
	return 0, false
}
