package money

import (
	"cmp"
	"math/bits"
	"slices"
)

// Rounding says where a result goes that falls between two integers.
type Rounding uint8

// Ways of rounding.
const (
	// Down is towards zero.
	Down Rounding = iota
	// Up is away from zero.
	Up
	// HalfUp is to the nearest, halves away from zero.
	HalfUp
	// HalfEven is to the nearest, halves to the even one.
	HalfEven
)

// LargestRemainder divides a whole in proportion to the weights: each part is first rounded towards zero, and the units
// that are left go one each to the parts with the largest remainder, the first of them where remainders are equal
// (Hamilton's method). The parts sum to the whole, and none is a unit or more away from its exact share. Where
// all weights are 0 the first part takes all. It panics on a negative weight, on weights that sum to more than 64 bits hold, and on a whole
// that is not zero with nobody to give it to.
func LargestRemainder(whole int64, weights ...int64) []int64 {
	if !weighable(weights) || whole != 0 && len(weights) == 0 {
		panic("money: weights below zero or too large")
	}
	parts := make([]int64, len(weights))
	var total uint64
	for _, w := range weights {
		total += magnitude(w)
	}
	if total == 0 {
		if whole != 0 {
			parts[0] = whole
		}
		return parts
	}
	size := magnitude(whole)
	remainders := make([]uint64, len(weights))
	order := make([]int, len(weights))
	left := size
	for i, w := range weights {
		hi, lo := bits.Mul64(size, magnitude(w))
		q, r := bits.Div64(hi, lo, total) // hi < total, for w <= total
		parts[i], _ = signed(q, whole < 0)
		remainders[i], order[i] = r, i
		left -= q
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(remainders[b], remainders[a]) })
	one := int64(cmp.Compare(whole, 0))
	for _, i := range order[:left] { // fewer than there are parts with a remainder
		parts[i] += one
	}
	return parts
}

// weighable says whether no weight is negative and their sum fits an int64.
func weighable(weights []int64) bool {
	var sum int64
	for _, w := range weights {
		if sum += w; w < 0 || sum < 0 {
			return false
		}
	}
	return true
}

func rate(v, ppm int64, r Rounding) (int64, error) {
	if ppm < 0 {
		return 0, ErrRange
	}
	part, ok := mulDiv(v, ppm, Million, r)
	if !ok {
		return 0, ErrOverflow
	}
	return part, nil
}

// mulDiv is a*b/c through 128 bits, for b >= 0 and c > 0; ok is false when it does not fit.
func mulDiv(a, b, c int64, r Rounding) (v int64, ok bool) {
	divisor := uint64(c)
	hi, lo := bits.Mul64(magnitude(a), magnitude(b))
	if hi >= divisor {
		return 0, false
	}
	q, rest := bits.Div64(hi, lo, divisor)
	// Compare rest with divisor - rest rather than twice rest with divisor: it cannot overflow.
	nearest := cmp.Compare(rest, divisor-rest)
	up := false
	switch r {
	case Down:
	case Up:
		up = rest > 0
	case HalfUp:
		up = nearest >= 0
	case HalfEven:
		up = nearest > 0 || nearest == 0 && q&1 == 1
	}
	if up {
		q++ // q is at most 2^64-1 with c = 1, and then there is no rest
	}
	return signed(q, a < 0)
}
