package money

import (
	"math"
	"strconv"
	"strings"
)

// Parse reads an amount such as "12.34 EUR", "-5 EUR" or "500 JPY". More decimals than the currency has are ErrSyntax.
func Parse(text string) (Amount, error) {
	number, c, err := cut(text)
	if err != nil {
		return Amount{}, err
	}
	minor, err := decimal(number, c.Exponent())
	if err != nil {
		return Amount{}, err
	}
	return Amount{minor, c}, nil
}

// ParsePrice reads a price such as "0.035 EUR", with at most six decimals.
func ParsePrice(text string) (Price, error) {
	number, c, err := cut(text)
	if err != nil {
		return Price{}, err
	}
	micros, err := decimal(number, 6)
	if err != nil {
		return Price{}, err
	}
	return NewPrice(micros, c)
}

// String is the form that Parse reads: "12.34 EUR".
func (a Amount) String() string { return format(a.minor, a.currency.Exponent(), 0, a.currency) }

// String is the form that ParsePrice reads, with no more decimals than it needs but those of the minor unit: "0.035 EUR".
func (p Price) String() string { return format(p.micros, 6, 6-p.currency.Exponent(), p.currency) }

func cut(text string) (number string, c Currency, err error) {
	number, code, ok := strings.Cut(text, " ")
	if !ok {
		return "", Currency{}, ErrSyntax
	}
	c, err = ParseCurrency(code)
	return number, c, err
}

// decimal reads digits with at most so many decimals, as an integer of the last decimal.
func decimal(s string, decimals int) (int64, error) {
	digits, negative := strings.CutPrefix(s, "-")
	whole, fraction, point := strings.Cut(digits, ".")
	if whole == "" || point && fraction == "" || len(fraction) > decimals {
		return 0, ErrSyntax
	}
	var m uint64
	for _, d := range whole + fraction + strings.Repeat("0", decimals-len(fraction)) {
		if d < '0' || d > '9' {
			return 0, ErrSyntax
		}
		if m > (math.MaxUint64-9)/10 {
			return 0, ErrOverflow
		}
		m = m*10 + uint64(d-'0')
	}
	v, ok := signed(m, negative)
	if !ok {
		return 0, ErrOverflow
	}
	return v, nil
}

// format writes an integer of the last decimal; of the decimals, so many may be left out where they are zeros.
func format(v int64, decimals, spare int, c Currency) string {
	digits := strconv.FormatUint(magnitude(v), 10)
	if n := decimals + 1 - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	point := len(digits) - decimals
	whole, fraction := digits[:point], digits[point:]
	for spare > 0 && strings.HasSuffix(fraction, "0") {
		fraction = fraction[:len(fraction)-1]
		spare--
	}
	var b strings.Builder
	if v < 0 {
		b.WriteByte('-')
	}
	b.WriteString(whole)
	if fraction != "" {
		b.WriteByte('.')
		b.WriteString(fraction)
	}
	if !c.IsZero() {
		b.WriteByte(' ')
		b.WriteString(c.Code())
	}
	return b.String()
}
