package money_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/money"
)

func TestCurrencies(t *testing.T) {
	t.Parallel()
	for code, exponent := range map[string]int{"EUR": 2, "JPY": 0, "USD": 2, "BHD": 3} {
		c, err := money.ParseCurrency(code)
		if err != nil || c.Code() != code || c.Exponent() != exponent {
			t.Errorf("%s: %v with %d decimals, %v", code, c.Code(), c.Exponent(), err)
		}
	}
	for _, code := range []string{"", "eur", "EU", "EURO", "XXZ"} {
		if c, err := money.ParseCurrency(code); err == nil {
			t.Errorf("%q was read as %v", code, c)
		}
	}
}

func TestLargestRemainder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		whole := rapid.Int64Range(0, 1<<40).Draw(t, "whole")
		weights := rapid.SliceOfN(rapid.Int64Range(0, 1<<40), 1, 6).Draw(t, "weights")
		parts := money.LargestRemainder(whole, weights...)
		var sum, total int64
		for i := range parts {
			sum += parts[i]
			total += weights[i]
		}
		if sum != whole {
			t.Fatalf("%v sum to %d, not to %d", parts, sum, whole)
		}
		if total == 0 {
			return
		}
		for i, p := range parts {
			// p is less than one unit away from whole*weight/total.
			exact := new(big.Rat).SetFrac(new(big.Int).Mul(big.NewInt(whole), big.NewInt(weights[i])), big.NewInt(total))
			gap := new(big.Rat).Sub(new(big.Rat).SetInt64(p), exact)
			if gap.Abs(gap).Cmp(big.NewRat(1, 1)) >= 0 {
				t.Fatalf("part %d is %d, exactly %v", i, p, exact)
			}
		}
	})
	if got := money.LargestRemainder(10, 1, 1, 1); got[0] != 4 || got[1] != 3 || got[2] != 3 {
		t.Errorf("a tie goes to the earlier part: %v", got)
	}
}

func TestDivideLosesNoMicro(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		price := rapid.Int64Range(0, 1e15).Draw(t, "price")
		p, err := money.Divide(price, rapid.Int64Range(0, 1e6).Draw(t, "commission"), rapid.Int64Range(0, 1e6).Draw(t, "withholding"))
		if err != nil || p.Net+p.Commission+p.Withheld != price || p.Net < 0 || p.Commission < 0 || p.Withheld < 0 {
			t.Fatalf("%d becomes %+v, %v", price, p, err)
		}
	})
	for _, bad := range [][3]int64{{-1, 0, 0}, {1, -1, 0}, {1, 0, 1_000_001}, {1, 1_000_001, 0}} {
		if p, err := money.Divide(bad[0], bad[1], bad[2]); err == nil {
			t.Errorf("%v was divided into %+v", bad, p)
		}
	}
}
