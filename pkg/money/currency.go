package money

import (
	"errors"
	"fmt"
	"strings"
)

// What goes wrong with money.
var (
	// ErrOverflow: the result does not fit 64 bits.
	ErrOverflow = errors.New("money: the amount is too large")
	// ErrSyntax: a text is not an amount such as "12.34 EUR".
	ErrSyntax = errors.New(`money: want an amount such as "12.34 EUR"`)
	// ErrUnknown: a code that ISO 4217 does not list, or that has no minor unit (gold, test codes).
	ErrUnknown = errors.New("money: not a currency of ISO 4217")
	// ErrRange: a price below zero or above the contract's limit, a rate or a weight below zero or too large.
	ErrRange = errors.New("money: out of range")
)

// Currency is a currency of ISO 4217. The zero Currency is none, and nothing can be added to it.
type Currency struct{ index uint8 }

// Codes by exponent: how many decimals the minor unit has. Source: ISO 4217:2015 list one as amended until January 2026
// (XCG and ZWG in; ANG, BGN, HRK, SLL and ZWL out), published by its maintenance agency SIX. Codes without a minor unit are left out.
const (
	exponent0 = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"
	exponent2 = "AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BMD BND BOB BOV BRL BSD BTN BWP BYN BZD CAD CDF CHE CHF CHW " +
		"CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR " +
		"IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN " +
		"NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB " +
		"TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED VES WST XAD XCD XCG YER ZAR ZMW ZWG"
	exponent3 = "BHD IQD JOD KWD LYD OMR TND"
	exponent4 = "CLF UYW"
)

type entry struct {
	code     string
	exponent int
}

// table is indexed by Currency.index; the first entry is no currency.
var table, byCode = func() ([]entry, map[string]Currency) {
	list, codes := []entry{{}}, map[string]Currency{}
	for exponent, all := range []string{exponent0, "", exponent2, exponent3, exponent4} {
		for code := range strings.FieldsSeq(all) {
			codes[code] = Currency{uint8(len(list))}
			list = append(list, entry{code, exponent})
		}
	}
	return list, codes
}()

// ParseCurrency finds a currency by its alphabetic code in upper case.
func ParseCurrency(code string) (Currency, error) {
	c, ok := byCode[code]
	if !ok {
		return Currency{}, ErrUnknown
	}
	return c, nil
}

// MustCurrency is ParseCurrency for constants; it panics.
func MustCurrency(code string) Currency {
	c, err := ParseCurrency(code)
	if err != nil {
		panic(fmt.Sprintf("money: %q: %v", code, err))
	}
	return c
}

// Code is the alphabetic code, empty for the zero Currency.
func (c Currency) Code() string { return table[c.index].code }

// String is Code.
func (c Currency) String() string { return c.Code() }

// IsZero says whether it is no currency.
func (c Currency) IsZero() bool { return c.index == 0 }

// Exponent is how many decimals the minor unit has: 2 for EUR, 0 for JPY.
func (c Currency) Exponent() int { return table[c.index].exponent }

// Unit is one minor unit in micros: 10,000 for EUR, 1,000,000 for JPY. It is at least 100.
func (c Currency) Unit() int64 { return pow10[6-c.Exponent()] }

var pow10 = [...]int64{1, 10, 100, 1_000, 10_000, 100_000, 1_000_000}
