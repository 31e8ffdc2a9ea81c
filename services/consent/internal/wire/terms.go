package wire

import (
	"maps"
	"slices"
	"strings"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

const reasonPrefix = "REASON_"

// ReasonProto is the contract's Reason of a name as refusals carry it.
func ReasonProto(name string) consentv1.Reason {
	return consentv1.Reason(consentv1.Reason_value[reasonPrefix+name])
}

// ReasonName is ReasonProto's inverse; empty for the unset reason, a number for one of a newer process.
func ReasonName(r consentv1.Reason) string {
	if r == consentv1.Reason_REASON_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(r.String(), reasonPrefix)
}

// RulesProto gives the contract's form of a person's rules, floors in the order of their products.
func RulesProto(r subscriber.Rules) *consentv1.Rules {
	m := &consentv1.Rules{
		Matching: r.Matching, MatchingHealth: r.MatchingHealth, PurposesNever: r.PurposesNever, ProductsNever: r.ProductsNever,
		MaxAgreements: uint32(r.MaxAgreements),
	}
	for _, product := range slices.Sorted(maps.Keys(r.Floors)) {
		floor := r.Floors[product]
		m.Floors = append(m.Floors, &consentv1.Floor{Product: product, Micros: floor.Micros, Currency: floor.Currency})
	}
	for _, b := range r.BuyersNever {
		m.BuyersNever = append(m.BuyersNever, b.String())
	}
	return m
}

// Rules reads a person's rules; an id that is none is an error.
func Rules(m *consentv1.Rules) (subscriber.Rules, error) {
	var r ids
	rules := r.rules(m)
	return rules, r.err
}

func (r *ids) rules(m *consentv1.Rules) subscriber.Rules {
	out := subscriber.Rules{
		Matching: m.GetMatching(), MatchingHealth: m.GetMatchingHealth(), PurposesNever: m.GetPurposesNever(),
		ProductsNever: m.GetProductsNever(), MaxAgreements: int(m.GetMaxAgreements()),
	}
	for _, f := range m.GetFloors() {
		if out.Floors == nil {
			out.Floors = map[string]subscriber.Price{}
		}
		out.Floors[f.GetProduct()] = subscriber.Price{Micros: f.GetMicros(), Currency: f.GetCurrency()}
	}
	for _, b := range m.GetBuyersNever() {
		out.BuyersNever = append(out.BuyersNever, subscriber.BuyerID{ID: r.read("rules.buyers_never", b)})
	}
	return out
}
