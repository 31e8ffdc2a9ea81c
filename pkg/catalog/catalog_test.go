package catalog_test

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/obole-market/obole/pkg/catalog"
)

func TestBuiltIn(t *testing.T) {
	t.Parallel()
	c, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, id := range []string{"daily-steps", "sleep-nights", "body-weight", "heart-rate"} {
		p, ok := c.Product(id, "1")
		if !ok || !p.Health {
			t.Errorf("%s: %v", id, p)
		}
		for _, f := range p.Fields {
			if f.Rungs[0].ID != "exact" {
				t.Errorf("%s.%s: the finest rung comes first", id, f.ID)
			}
		}
	}
	if len(c.Products()) != 4 {
		t.Errorf("%d products", len(c.Products()))
	}
	if f, ok := c.Fact("steps_per_day"); !ok || len(f.Bands) != 3 {
		t.Errorf("facts: %v", f)
	}
	if _, ok := c.Product("daily-steps", "2"); ok {
		t.Error("a version that is not there was found")
	}
	if got := catalog.Purpose("https://w3id.org/dpv#AcademicResearch"); got != "academic research" {
		t.Errorf("the purpose reads %q", got)
	}
}

func TestAProductWithAFaultIsRefused(t *testing.T) {
	t.Parallel()
	good, err := os.ReadFile("products/daily-steps.json")
	if err != nil {
		t.Fatal(err)
	}
	facts, err := os.ReadFile("facts.json")
	if err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string][2]string{
		"an unknown key":    {`"slot"`, `"slott"`},
		"another slot":      {`person-day`, `person-year`},
		"no cohort":         {`"cohort_min": 5`, `"cohort_min": 0`},
		"a field twice":     {`"id": "steps"`, `"id": "date"`},
		"no version":        {`"version": "1"`, `"version": ""`},
		"a purpose missing": {`"purposes": [`, `"purposes": [], "x": [`},
	} {
		bad := strings.Replace(string(good), change[0], change[1], 1)
		_, err := catalog.Load(fstest.MapFS{"products/x.json": {Data: []byte(bad)}, "facts.json": {Data: facts}})
		if err == nil || !strings.Contains(err.Error(), "x.json") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
