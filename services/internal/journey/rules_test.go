package journey

import (
	"fmt"
	"testing"

	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
)

// TestRulesThatAreNone: floors below nothing, money that there is not, lists without end and names of nothing are refused, and the rules stay
// as they were.
func TestRulesThatAreNone(t *testing.T) {
	t.Parallel()
	m := open(t)
	p := m.enrol("1990-02-03")
	ctx := t.Context()
	floor := func(product string, micros int64, currency string) *consentv1.Rules {
		return &consentv1.Rules{Floors: []*consentv1.Floor{{Product: product, Micros: micros, Currency: currency}}}
	}
	long := new(consentv1.Rules)
	for i := range 101 {
		long.Floors = append(long.Floors, &consentv1.Floor{Product: fmt.Sprintf("product-%d", i), Currency: "EUR"})
	}
	many := new(consentv1.Rules)
	for range 1001 {
		many.BuyersNever = append(many.BuyersNever, id.Random().String())
	}
	set := func(key string, r *consentv1.Rules) error {
		_, err := p.consent.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: p.id.String(), Rules: r, IdempotencyKey: key})
		return err
	}
	m.must(set("good", floor("daily-steps", 0, "EUR")))
	for field, rules := range map[string]*consentv1.Rules{
		"rules.floors[0].micros":   floor("daily-steps", -1, "EUR"),
		"rules.floors[0].currency": floor("daily-steps", 1, "euro"),
		"rules.floors.currency":    floor("daily-steps", 1, "ABC"),
		"rules.floors[0].product":  floor("Daily steps", 1, "EUR"),
		"rules.floors":             long,
		"rules.buyers_never":       many,
		"rules.buyers_never[0]":    {BuyersNever: []string{"somebody"}},
		"rules.purposes_never[0]":  {PurposesNever: []string{"Marketing"}},
		"rules.products_never[0]":  {ProductsNever: []string{""}},
		"rules.max_agreements":     {MaxAgreements: 1 << 31},
	} {
		if err := set(field, rules); wrong(err) != field {
			t.Errorf("wrong %s: %v", field, err)
		}
	}
	r, err := p.consent.GetRules(ctx, &consentv1.GetRulesRequest{SubscriberId: p.id.String()})
	m.must(err)
	if f := r.GetRules().GetFloors(); len(f) != 1 || f[0].GetMicros() != 0 {
		t.Errorf("the rules are %v", r)
	}
}
