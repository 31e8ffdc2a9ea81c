package rpc

import (
	"testing"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// TestEachRuleHidesWhatItSays: of two offers, one of them with a condition, each kind of rule hides those that it is about; and what hides
// an offer hides it from a list as well.
func TestEachRuleHidesWhatItSays(t *testing.T) {
	t.Parallel()
	offer := func(buyer, purpose string, net int64, predicates ...*marketv1.Predicate) candidate {
		return candidate{net: net, Listed: &view.Listed{Placed: &offersv1.BidPlaced{BuyerId: buyer, Terms: &marketv1.Terms{
			Product: &marketv1.ProductRef{Id: "daily-steps"}, Purpose: purpose, UnitPrice: &moneyv1.UnitPrice{Currency: "EUR"}, Predicates: predicates,
		}}}}
	}
	plain := offer("one", "research", 40)
	picky := offer("two", "marketing", 60, &marketv1.Predicate{Fact: "steps_per_day", Bands: []string{"high"}})
	for name, c := range map[string]struct {
		rules        *consentv1.Rules
		agreements   uint32
		plain, picky int // rules that hide it
	}{
		"nothing, and so no matching": {picky: 1},
		"matching":                    {rules: &consentv1.Rules{Matching: true, MatchingHealth: true}},
		"matching without health":     {rules: &consentv1.Rules{Matching: true}, picky: 1},
		"a floor between":             {rules: &consentv1.Rules{Floors: []*consentv1.Floor{{Product: "daily-steps", Micros: 50, Currency: "EUR"}}}, plain: 1, picky: 1},
		"a floor in another currency": {rules: &consentv1.Rules{Floors: []*consentv1.Floor{{Product: "daily-steps", Micros: 1, Currency: "USD"}}}, plain: 1, picky: 2},
		"another product's floor":     {rules: &consentv1.Rules{Floors: []*consentv1.Floor{{Product: "sleep-nights", Micros: 99, Currency: "EUR"}}}, picky: 1},
		"a purpose":                   {rules: &consentv1.Rules{PurposesNever: []string{"marketing", "marketing"}}, picky: 2},
		"a buyer":                     {rules: &consentv1.Rules{BuyersNever: []string{"one"}}, plain: 1, picky: 1},
		"a product":                   {rules: &consentv1.Rules{ProductsNever: []string{"daily-steps"}}, plain: 1, picky: 2},
		"a limit that is reached":     {rules: &consentv1.Rules{MaxAgreements: 2}, agreements: 2, plain: 1, picky: 2},
		"a limit that is not":         {rules: &consentv1.Rules{MaxAgreements: 2}, agreements: 1, picky: 1},
	} {
		a := asker{profile: &consentv1.GetProfileResponse{Rules: c.rules, Agreements: c.agreements}}
		tried, err := trial(c.rules)
		if err != nil {
			t.Fatal(err)
		}
		for what, want := range map[*candidate]int{&plain: c.plain, &picky: c.picky} {
			got := tried.hides(a, *what)
			if len(got) != want {
				t.Errorf("%s: %d rules hide the offer of %s, want %d", name, len(got), what.Placed.GetBuyerId(), want)
			}
			if listed := a.fits(what.Placed, money64(what.net)) == visible; listed != (want == 0) {
				t.Errorf("%s: the offer of %s is listed: %v, and %d rules hide it", name, what.Placed.GetBuyerId(), listed, want)
			}
		}
	}
	if _, err := trial(&consentv1.Rules{Floors: []*consentv1.Floor{{Product: "a"}, {Product: "a"}}}); err == nil {
		t.Error("a product has two floors")
	}
}
