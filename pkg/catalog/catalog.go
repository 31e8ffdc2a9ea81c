// Package catalog is what may be traded, as versioned configuration: data products with their fields and granularity ladders,
// and the derived facts by which an audience may be restricted.
package catalog

import (
	"bytes"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
)

// Product is one version of a data product.
type Product struct {
	ID          string   `json:"id"`
	Version     string   `json:"version"`
	Description string   `json:"description"`
	Schema      string   `json:"schema"`     // of the measurements behind it
	Slot        string   `json:"slot"`       // person-day, person-night or person-week
	Validity    string   `json:"validity"`   // when a slot counts, in words
	CohortMin   int      `json:"cohort_min"` // smallest cohort of a bid, people
	Health      bool     `json:"health"`     // says something about health: GDPR 9, the explicit step
	Purposes    []string `json:"purposes"`   // allowed ones, IRIs of W3C DPV
	Fields      []Field  `json:"fields"`
}

// Field of a product.
type Field struct {
	ID          string   `json:"id"`
	Description string   `json:"description"`
	Unit        string   `json:"unit"`
	Categories  []string `json:"categories"` // IRIs of W3C DPV
	Rungs       []Rung   `json:"rungs"`      // finest first
}

// Rung of a field's granularity ladder.
type Rung struct {
	ID          string `json:"id"`
	Description string `json:"description"`
}

// Fact is a derived fact with its bands.
type Fact struct {
	ID          string   `json:"id"`
	Description string   `json:"description"`
	Health      bool     `json:"health"`
	Bands       []string `json:"bands"`
}

// Catalog is the products and facts that a service knows.
type Catalog struct {
	products map[string]Product // by id and version
	facts    map[string]Fact
}

//go:embed products/*.json facts.json
var builtIn embed.FS

// Open reads a folder with products/*.json and facts.json; without one, what is built in.
func Open(folder string) (*Catalog, error) {
	if folder == "" {
		return Load(builtIn)
	}
	if _, err := os.Stat(folder); err != nil {
		return nil, fmt.Errorf("catalog: %w", err)
	}
	return Load(os.DirFS(folder))
}

// Load reads a catalogue; errors name the file and what is wrong with it.
func Load(folder fs.FS) (*Catalog, error) {
	c := &Catalog{products: map[string]Product{}, facts: map[string]Fact{}}
	names, err := fs.Glob(folder, "products/*.json")
	if err != nil || len(names) == 0 {
		return nil, errors.Join(errors.New("catalog: no products/*.json"), err)
	}
	for _, name := range names {
		var p Product
		if err := read(folder, name, &p); err != nil {
			return nil, err
		}
		if err := p.check(); err != nil {
			return nil, fmt.Errorf("catalog: %s: %w", path.Base(name), err)
		}
		c.products[p.ID+"/"+p.Version] = p
	}
	var facts []Fact
	if err := read(folder, "facts.json", &facts); err != nil {
		return nil, err
	}
	for _, f := range facts {
		if f.ID == "" || len(f.Bands) < 2 {
			return nil, errors.New("catalog: facts.json: a fact needs an id and at least two bands")
		}
		c.facts[f.ID] = f
	}
	return c, nil
}

func read(folder fs.FS, name string, to any) error {
	b, err := fs.ReadFile(folder, name)
	if err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("catalog: %s: %w", path.Base(name), err)
	}
	return nil
}

func (p *Product) check() error {
	switch {
	case p.ID == "" || p.Version == "":
		return errors.New("id and version are required")
	case !slices.Contains([]string{"person-day", "person-night", "person-week"}, p.Slot):
		return errors.New("slot must be person-day, person-night or person-week")
	case p.CohortMin < 1:
		return errors.New("cohort_min must be at least 1")
	case len(p.Purposes) == 0 || len(p.Fields) == 0:
		return errors.New("purposes and fields are required")
	}
	seen := map[string]bool{}
	for _, f := range p.Fields {
		if f.ID == "" || seen[f.ID] || len(f.Rungs) == 0 {
			return fmt.Errorf("field %q: needs an id of its own and at least one rung", f.ID)
		}
		seen[f.ID] = true
	}
	return nil
}

// Product finds a version of a product.
func (c *Catalog) Product(id, version string) (Product, bool) {
	p, ok := c.products[id+"/"+version]
	return p, ok
}

// Products lists all, by id and version.
func (c *Catalog) Products() []Product {
	out := make([]Product, 0, len(c.products))
	for _, key := range slices.Sorted(maps.Keys(c.products)) {
		out = append(out, c.products[key])
	}
	return out
}

// Fact finds a derived fact.
func (c *Catalog) Fact(id string) (Fact, bool) {
	f, ok := c.facts[id]
	return f, ok
}

// Facts lists all derived facts, by id.
func (c *Catalog) Facts() []Fact {
	out := make([]Fact, 0, len(c.facts))
	for _, id := range slices.Sorted(maps.Keys(c.facts)) {
		out = append(out, c.facts[id])
	}
	return out
}

// Field finds a field of the product.
func (p *Product) Field(id string) (Field, bool) {
	for _, f := range p.Fields {
		if f.ID == id {
			return f, true
		}
	}
	return Field{}, false
}

// Rung finds a rung of the field.
func (f *Field) Rung(id string) (Rung, bool) {
	for _, r := range f.Rungs {
		if r.ID == id {
			return r, true
		}
	}
	return Rung{}, false
}

// Purpose is a purpose's name in plain words, read off its IRI.
func Purpose(iri string) string {
	_, name, ok := strings.Cut(iri, "#")
	if !ok {
		return iri
	}
	var b strings.Builder
	for i, r := range name {
		if i > 0 && r >= 'A' && r <= 'Z' {
			b.WriteByte(' ')
		}
		b.WriteString(strings.ToLower(string(r)))
	}
	return b.String()
}
