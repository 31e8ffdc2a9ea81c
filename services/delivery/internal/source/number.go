package source

import (
	"math"
	"math/bits"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// decimal is mantissa x 10^exponent.
type decimal struct {
	mantissa int64 // at most 17 digits
	exponent int
}

// maxDigits are kept of a mantissa: as many as tell any two floats apart. Further digits of a fraction are dropped.
const maxDigits = 17

// parseDecimal reads a number as CSV and JSON write it: digits, a point, an exponent. What is wrong with it is said
// without the text itself.
func parseDecimal(text []byte) (d decimal, wrong point.Wrong) {
	none := point.NotNumber.Says("is no number")
	rest := text
	negative := len(rest) > 0 && rest[0] == '-'
	if negative {
		rest = rest[1:]
	}
	digits, seen, fraction := 0, false, false
	i := 0
	for ; i < len(rest); i++ {
		c := rest[i]
		if c == '.' && !fraction {
			fraction = true
			continue
		}
		if c < '0' || c > '9' {
			break
		}
		seen = true
		if digits == maxDigits {
			if !fraction {
				return d, point.OutOfRange.Says("is out of all bounds")
			}
			continue
		}
		if d.mantissa = d.mantissa*10 + int64(c-'0'); d.mantissa > 0 {
			digits++
		}
		if fraction {
			d.exponent--
		}
	}
	if len(text) == 0 {
		return d, point.Missing.Says("is empty")
	}
	if !seen {
		return d, none
	}
	if rest = rest[i:]; len(rest) > 0 {
		exponent, ok := parseExponent(rest)
		if !ok {
			return d, none
		}
		d.exponent += exponent
	}
	if negative {
		d.mantissa = -d.mantissa
	}
	return d, point.Wrong{}
}

// parseExponent reads e, a sign and one to three digits.
func parseExponent(text []byte) (int, bool) {
	if text[0] != 'e' && text[0] != 'E' || len(text) < 2 {
		return 0, false
	}
	text = text[1:]
	sign := 1
	if text[0] == '+' || text[0] == '-' {
		if text[0] == '-' {
			sign = -1
		}
		text = text[1:]
	}
	if len(text) == 0 || len(text) > 3 {
		return 0, false
	}
	n := 0
	for _, c := range text {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return sign * n, true
}

// scale is what one of a file's units comes to in a measure's: times x 10^shift.
type scale struct {
	times uint64
	shift int
}

var (
	one       = scale{1, 0}
	minutes   = scale{60, 0}
	kilometre = scale{1, 3}
)

// quantity converts a number to thousandths of the measure's unit, rounded to the measure's resolution, half away from
// zero. Steps and the like must be whole as they are.
func (d decimal) quantity(m point.Measure, s scale) (q point.Quantity, wrong point.Wrong) {
	far := point.OutOfRange.Says("is out of all bounds")
	step, power := m.Resolution(), 3 // the power of ten that makes steps of the resolution out of units
	for r := step; r > 1; r /= 10 {
		power--
	}
	size := uint64(max(d.mantissa, -d.mantissa))
	high, n := bits.Mul64(size, s.times) // pounds with all digits of a float take more than 64 bits
	exponent := d.exponent + s.shift + power
	for ; exponent > 0 && n != 0; exponent-- {
		if high != 0 || n > math.MaxInt64/10 {
			return 0, far
		}
		n *= 10
	}
	half := uint64(0) // what the digits dropped last were, in tenths
	whole := true
	for ; exponent < 0 && (high != 0 || n != 0 || half != 0); exponent++ {
		rest := high % 10
		high /= 10
		n, half = bits.Div64(rest, n, 10)
		whole = whole && half == 0
	}
	if !whole && (m == point.Steps || m == point.Awakenings) {
		return 0, point.NotWhole.Says("is not a whole number")
	}
	if half >= 5 {
		n++
	}
	if high != 0 || n > math.MaxInt64/uint64(step) {
		return 0, far
	}
	q = point.Quantity(n) * step
	if d.mantissa < 0 {
		q = -q
	}
	return q, point.Wrong{}
}
