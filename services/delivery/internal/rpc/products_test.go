package rpc

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/obole-market/obole/pkg/catalog"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
)

// TestFactsComeWithTheFirstPage: the catalogue's facts, each with its bands, once however many pages the products take.
func TestFactsComeWithTheFirstPage(t *testing.T) {
	t.Parallel()
	c, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{}
	for _, f := range c.Facts() {
		want[f.ID] = f.Bands
	}
	if len(want) == 0 || len(c.Products()) < 2 {
		t.Fatalf("%d facts and %d products prove nothing", len(want), len(c.Products()))
	}
	s := &Server{Catalog: c}
	pages := 0
	for token := ""; ; pages++ {
		r, err := s.ListProducts(t.Context(), &deliveryv1.ListProductsRequest{PageSize: 1, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		got := map[string][]string{}
		for _, f := range r.GetFacts() {
			got[f.GetId()] = f.GetBands()
			if f.GetDescription() == "" || !f.GetHealth() {
				t.Errorf("%v", f)
			}
		}
		if pages > 0 {
			want = map[string][]string{}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("page %d: %s", pages, diff)
		}
		if token = r.GetNextPageToken(); token == "" {
			break
		}
	}
	if pages+1 != len(c.Products()) {
		t.Errorf("%d pages", pages+1)
	}
}
