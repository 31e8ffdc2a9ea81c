package money

import (
	"cmp"
	"math"
	"math/bits"
	"slices"
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
