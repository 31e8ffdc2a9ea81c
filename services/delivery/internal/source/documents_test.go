package source_test

import (
	"bytes"
	"fmt"
	"slices"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// shelf is nothing but the documents of an answer.
type shelf map[string][]byte

func (s shelf) Load(uri string) (any, error) {
	text, ok := s[uri]
	if !ok {
		return nil, fmt.Errorf("no document %s", uri)
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(text))
}

// TestDocumentsAreWhole: the documents of every schema compile by themselves, hold what is refused to be refused, and those of some schemas
// hold none of the others'.
func TestDocumentsAreWhole(t *testing.T) {
	t.Parallel()
	for _, s := range point.Schemas() {
		list, err := source.Documents([]point.Schema{s})
		if err != nil {
			t.Fatal(err)
		}
		all := shelf{}
		for _, d := range list {
			if all[d.URI] != nil || d.Schema != "" && d.Schema != "point" && d.Schema != s.String() {
				t.Errorf("%s: document %s, of %q", s, d.URI, d.Schema)
			}
			all[d.URI] = d.JSON
		}
		for _, what := range []string{"point", s.String()} {
			i := slices.IndexFunc(list, func(d source.Document) bool { return d.Schema == what })
			if i < 0 {
				t.Fatalf("%s: no document of %s", s, what)
			}
			c := jsonschema.NewCompiler()
			c.UseLoader(all)
			compiled, err := c.Compile(list[i].URI)
			if err != nil {
				t.Fatalf("%s: %v", s, err)
			}
			if compiled.Validate(map[string]any{"effective_time_frame": "never"}) == nil {
				t.Errorf("%s: %s takes anything", s, what)
			}
		}
	}
	if none, err := source.Documents(nil); err != nil || len(none) != 0 {
		t.Errorf("of nothing: %d, %v", len(none), err)
	}
}
