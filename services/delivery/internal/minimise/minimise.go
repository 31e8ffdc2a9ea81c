package minimise

import (
	"bytes"
	"maps"
	"slices"
	"strconv"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Version of the rules together. It changes when the same points would give other slots or rows.
const Version = "1"

// Slot is a unit of sale that counts.
type Slot struct {
	// Day is the local day YYYY-MM-DD; a night's is the one on which it ends.
	Day string
	// Assurance is the strongest at which the slot counts.
	Assurance point.Assurance
}

// Grant is a field at a rung.
type Grant struct{ Field, Rung string }

// Schemas are the point schemas that a product reads.
func Schemas(p *catalog.Product) ([]point.Schema, error) {
	r, err := ruleOf(p)
	if err != nil {
		return nil, err
	}
	return slices.Clone(r.schemas), nil
}

// Stock finds the slots that count in points of one person, in any order, by day. Expected counts the days that have any
// point of the product's schemas.
func Stock(p *catalog.Product, points []point.Point) (slots []Slot, expected int, err error) {
	r, err := ruleOf(p)
	if err != nil {
		return nil, 0, err
	}
	days, err := r.days(points)
	if err != nil {
		return nil, 0, err
	}
	for _, day := range slices.Sorted(maps.Keys(days)) {
		if _, assurance := r.slot(days[day]); assurance != 0 {
			slots = append(slots, Slot{day, assurance})
		}
	}
	return slots, len(days), nil
}

// Rows makes one row of each slot, a JSON object a line: the pseudonym as "person", then the granted fields in the product's
// order. A slot that does not count or stands there twice is an error.
func Rows(p *catalog.Product, pseudonym string, grants []Grant, slots []string, points []point.Point) (ndjson []byte, rows int, err error) {
	r, err := ruleOf(p)
	if err != nil {
		return nil, 0, err
	}
	cut, err := r.grants(grants)
	if err != nil {
		return nil, 0, err
	}
	days, err := r.days(points)
	if err != nil {
		return nil, 0, err
	}
	person := quote(pseudonym)
	lines := make([][]byte, 0, len(slots))
	seen := make(map[string]bool, len(slots))
	for _, day := range slots {
		if seen[day] {
			return nil, 0, fault.Invalid("slots", "holds a slot twice")
		}
		seen[day] = true
		values, assurance := r.slot(days[day])
		if assurance == 0 {
			return nil, 0, fault.Invalid("slots", "holds a slot that does not count")
		}
		line := append([]byte(`{"person":`), person...)
		for _, c := range cut {
			line = append(line, `,"`+c.field.id+`":`...)
			if c.field.id == date {
				line = c.rung.appendDay(line, day)
			} else if q, measured := values[c.field.id]; measured {
				line = c.rung.append(line, q)
			} else {
				line = append(line, "null"...)
			}
		}
		lines = append(lines, append(line, "}\n"...))
	}
	slices.SortFunc(lines, bytes.Compare)
	return slices.Concat(lines...), len(lines), nil
}

// Schema is the JSON Schema of one row with the granted fields; nil means all fields at their finest rung.
func Schema(p *catalog.Product, grants []Grant) ([]byte, error) {
	r, err := ruleOf(p)
	if err != nil {
		return nil, err
	}
	if grants == nil {
		grants = r.finest()
	}
	cut, err := r.grants(grants)
	if err != nil {
		return nil, err
	}
	b := []byte(`{"$schema":"https://json-schema.org/draft/2020-12/schema","title":`)
	b = append(b, quote(p.ID+" "+p.Version)...)
	b = append(b, `,"description":`...)
	b = append(b, quote(p.Description)...)
	b = append(b, `,"type":"object","additionalProperties":false,"required":["person"`...)
	for _, c := range cut {
		b = append(b, `,"`+c.field.id+`"`...)
	}
	b = append(b, `],"properties":{"person":{"description":"Pseudonym of the licence","type":"string","minLength":1}`...)
	for _, c := range cut {
		b = append(b, `,"`+c.field.id+`":{"description":`...)
		b = append(b, quote(describe(p, c))...)
		b = c.rung.appendSchema(append(b, ','), c.field)
		b = append(b, '}')
	}
	return append(b, "}}"...), nil
}

// describe is a field at a rung in words.
func describe(p *catalog.Product, c granted) string {
	f, _ := p.Field(c.field.id)
	text := f.Description
	if c.rung.bands == nil && c.field.unit != "" {
		text += ", " + c.field.unit
	}
	if rung, ok := f.Rung(c.rung.id); ok {
		text += ", " + rung.Description
	}
	return text
}

// Check refuses a catalogue with a product, field, rung or band that the rules here do not know.
func Check(c *catalog.Catalog) error {
	for _, p := range c.Products() {
		if _, err := ruleOf(&p); err != nil {
			return err
		}
	}
	for name, of := range factRules {
		if f, ok := c.Fact(name); ok && !slices.Equal(f.Bands, names(of.bands)) {
			return fault.Invalid("facts."+name, "has other bands than its rule gives")
		}
	}
	return nil
}

// granted is a field with the rung it leaves at.
type granted struct {
	field field
	rung  rung
}

// grants finds fields and rungs, in the product's order.
func (r *rule) grants(grants []Grant) ([]granted, error) {
	if len(grants) == 0 {
		return nil, fault.Invalid("fields", "grants nothing")
	}
	rungs := make(map[string]string, len(grants))
	for _, g := range grants {
		if _, twice := rungs[g.Field]; twice {
			return nil, fault.Invalid("fields", "grants a field twice")
		}
		rungs[g.Field] = g.Rung
	}
	var out []granted
	for _, f := range r.fields {
		name, wanted := rungs[f.id]
		if !wanted {
			continue
		}
		i := slices.IndexFunc(f.rungs, func(g rung) bool { return g.id == name })
		if i < 0 {
			return nil, fault.Invalid("fields."+f.id, "has no such rung")
		}
		out = append(out, granted{f, f.rungs[i]})
	}
	if len(out) != len(rungs) {
		return nil, fault.Invalid("fields", "grants a field that the product has not")
	}
	return out, nil
}

// finest is all fields at the first rung of their ladders.
func (r *rule) finest() []Grant {
	all := make([]Grant, len(r.fields))
	for i, f := range r.fields {
		all[i] = Grant{f.id, f.rungs[0].id}
	}
	return all
}

// days sorts the points that the rule reads by slot.
func (r *rule) days(points []point.Point) (map[string][]*point.Point, error) {
	days := map[string][]*point.Point{}
	for i := range points {
		p := &points[i]
		if !slices.Contains(r.schemas, p.Schema) {
			continue
		}
		if p.Assurance < point.OwnFile || p.Assurance > point.OperatorFeed {
			return nil, fault.Internal("minimise: a point without an assurance")
		}
		days[p.Day()] = append(days[p.Day()], p)
	}
	return days, nil
}

// slot gives the values of a slot by field, and the strongest assurance at which it counts: 0 when it does at none.
func (r *rule) slot(points []*point.Point) (values, point.Assurance) {
	for least := point.OperatorFeed; least >= point.OwnFile; least-- {
		strong := slices.DeleteFunc(slices.Clone(points), func(p *point.Point) bool { return p.Assurance < least })
		if v, counts := r.read(strong); counts {
			return v, least
		}
	}
	return nil, 0
}

// appendDay writes a day at a rung of the date's ladder.
func (r rung) appendDay(b []byte, day string) []byte {
	if r.id == week {
		day = isoWeek(day)
	}
	return strconv.AppendQuote(b, day)
}
