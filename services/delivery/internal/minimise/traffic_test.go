package minimise_test

import (
	"slices"
	"testing"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// TestTrafficDataIsInNoProduct: nothing that leaves about a person reads calls, messages, stays in cells or data use. Packages, previews and stock read what
// Schemas names, facts what FactSchemas does. A catalogue that states them has no rule to be served by.
func TestTrafficDataIsInNoProduct(t *testing.T) {
	t.Parallel()
	products, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	traffic := slices.DeleteFunc(point.Schemas(), func(s point.Schema) bool { return !s.IsTraffic() })
	if len(traffic) != 4 || len(products.Products()) == 0 {
		t.Fatalf("%v", traffic)
	}
	for _, s := range traffic {
		if slices.Contains(minimise.FactSchemas(), s) {
			t.Errorf("a fact reads %s", s)
		}
		for _, p := range products.Products() {
			reads, err := minimise.Schemas(&p)
			if err != nil || slices.Contains(reads, s) {
				t.Errorf("%s reads %s: %v", p.ID, s, err)
			}
			if p.Schema == s.String() {
				t.Errorf("%s is of %s", p.ID, s)
			}
			p.Schema = s.String()
			if _, err := minimise.Schemas(&p); err == nil {
				t.Errorf("%s of %s has a rule", p.ID, s)
			}
			p.ID = s.Name
			if _, err := minimise.Schemas(&p); err == nil {
				t.Errorf("a product of its own of %s has a rule", s)
			}
		}
	}
}
