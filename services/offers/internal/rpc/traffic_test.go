package rpc

import (
	"slices"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/policy"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// TestNoBidNamesTrafficData: calls, messages, stays in cells and data use are in no product (market.md, rule 22), so a bid for them is one for a product that is not
// there, in every version of the catalogue, and no audience is chosen by them. TryBid lists what check finds, PlaceBid refuses by it.
func TestNoBidNamesTrafficData(t *testing.T) {
	t.Parallel()
	products, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Open("")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Catalog: products, Policy: rules}
	schemas := []string{"obole:phone-call:1.0", "obole:text-message:1.0", "obole:cell-visit:1.0", "obole:data-use:1.0"}
	for _, p := range products.Products() {
		if slices.Contains(schemas, p.Schema) {
			t.Errorf("%s is made of %s", p.ID, p.Schema)
		}
	}
	for _, name := range append(schemas,
		"phone-call", "text-message", "calls", "messages", "call_duration", "bandicoot-csv", "correspondent",
		"cell-visit", "time_in_cell", "cell", "places", "mobility-csv", "data-use", "data_volume", "usage-csv",
	) {
		bid := &offersv1.NewBid{Terms: &marketv1.Terms{
			Product: &marketv1.ProductRef{Id: name, Version: "1"}, Predicates: []*marketv1.Predicate{{Fact: name, Bands: []string{"high"}}},
		}}
		_, problems := s.check(bid, view.Buyer{Registered: new(offersv1.BuyerRegistered)}, time.Now())
		reasons := map[string]bool{}
		for _, f := range problems {
			reasons[f.Reason] = true
		}
		if !reasons["PRODUCT_UNKNOWN"] || !reasons["PREDICATE_UNKNOWN"] {
			t.Errorf("%s: %v", name, problems)
		}
		_, known := products.Fact(name)
		if known {
			t.Errorf("%s is a fact", name)
		}
		// A field of that name is in no product either.
		for _, p := range products.Products() {
			bid.Terms.Product = &marketv1.ProductRef{Id: p.ID, Version: p.Version}
			bid.Terms.Predicates, bid.Terms.Fields = nil, []*marketv1.FieldTerm{{Id: name, Rung: "exact", Required: true}}
			_, problems := s.check(bid, view.Buyer{Registered: new(offersv1.BuyerRegistered)}, time.Now())
			if len(problems) == 0 || !slices.ContainsFunc(problems, func(f *fault.Error) bool { return f.Reason == "FIELD_UNKNOWN" }) {
				t.Errorf("%s has a field %s: %v", p.ID, name, problems)
			}
		}
	}
}
