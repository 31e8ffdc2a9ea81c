package minimise

import (
	"slices"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// rule is how points become the slots and fields of one version of a product.
type rule struct {
	schemas []point.Schema
	// stated is the product's own word for its schema, unit the unit of sale; both as the catalogue must have them.
	stated, unit string
	// read gives a slot's values by field, and whether it counts.
	read   func([]*point.Point) (values, bool)
	fields []field
}

// values of a slot by field, in thousandths of the field's unit. What was not measured is not in it.
type values map[string]point.Quantity

// ruleOf finds the rule of a product and holds the product to it: all that it may trade must be known here.
func ruleOf(p *catalog.Product) (*rule, error) {
	r := known(p.ID, p.Version)
	if r == nil {
		return nil, fault.NotFound("PRODUCT_UNKNOWN", "no rule makes rows of this product").And("product", p.ID+" "+p.Version)
	}
	at := "products." + p.ID
	if p.Schema != r.stated || p.Slot != r.unit || len(p.Fields) != len(r.fields) {
		return nil, fault.Invalid(at, "has another schema, slot or number of fields than its rule")
	}
	for i, f := range p.Fields {
		mine := r.fields[i]
		if f.ID != mine.id || f.Unit != mine.unit {
			return nil, fault.Invalid(at+"."+f.ID, "is not the field, or not in the unit, that the rule has here")
		}
		for _, g := range f.Rungs {
			if !slices.ContainsFunc(mine.rungs, func(m rung) bool { return m.id == g.ID }) {
				return nil, fault.Invalid(at+"."+f.ID+"."+g.ID, "is a rung that the rule does not know")
			}
		}
	}
	return r, nil
}

// known are the products that can leave.
func known(product, version string) *rule {
	switch product + "/" + version {
	case "daily-steps/1":
		return &dailySteps
	case "sleep-nights/1":
		return &sleepNights
	case "body-weight/1":
		return &bodyWeight
	case "heart-rate/1":
		return &heartRate
	}
	return nil
}

var days = field{id: date, rungs: []rung{{id: exact}, {id: week}}, decides: true}

// A day counts with its first step.
var dailySteps = rule{
	schemas: []point.Schema{point.StepCount, point.PhysicalActivity, point.CaloriesBurned},
	stated:  point.StepCount.String(), unit: "person-day",
	fields: []field{
		days,
		{id: "steps", unit: "steps", decides: true, rungs: []rung{
			{id: exact, step: point.Milli}, {id: "hundred", step: 100 * point.Milli}, {id: "band", bands: stepBands},
		}},
		{id: "distance", unit: "m", rungs: []rung{
			{id: exact, step: point.Distance.Resolution()}, {id: "hundred", step: 100 * point.Milli},
		}},
		{id: "energy", unit: "kcal", rungs: []rung{
			{id: exact, step: point.Energy.Resolution()}, {id: "hundred", step: 100 * point.Milli},
		}},
	},
	read: func(points []*point.Point) (values, bool) {
		v := values{}
		v.total("steps", points, point.Steps)
		v.total("distance", points, point.Distance)
		v.total("energy", points, point.Energy)
		return v, v["steps"] >= point.Milli
	},
}

// A night counts with its first hour of sleep. Naps that end on the same day are part of it: some sources count by day.
// The catalogue's omh:sleep-duration is what IEEE 1752.1 has since split in two.
var sleepNights = rule{
	schemas: []point.Schema{point.TotalSleepTime, point.TimeInBed, point.SleepEpisode},
	stated:  "omh:sleep-duration:2.0", unit: "person-night",
	fields: []field{
		days,
		{id: "asleep", unit: "min", decides: true, rungs: []rung{
			{id: exact, step: 1}, {id: "half_hour", step: 30 * point.Milli}, {id: "band", bands: sleepBands},
		}},
		{id: "in_bed", unit: "min", rungs: []rung{{id: exact, step: 1}, {id: "half_hour", step: 30 * point.Milli}}},
	},
	read: func(points []*point.Point) (values, bool) {
		v := values{}
		v.total("asleep", points, point.Asleep)
		v.total("in_bed", points, point.InBed)
		counts := v["asleep"] >= 3600*point.Milli
		for name, seconds := range v {
			v[name] = (seconds + 30) / 60 // minutes
		}
		return v, counts
	},
}

// A day counts with one weight, the one first in rank. A weight with a position is of a part of the body.
var bodyWeight = rule{
	schemas: []point.Schema{point.BodyWeight},
	stated:  point.BodyWeight.String(), unit: "person-day",
	fields: []field{
		days,
		{id: "weight", unit: "kg", decides: true, rungs: []rung{
			{id: exact, step: point.Weight.Resolution()}, {id: "kilogram", step: point.Milli}, {id: "five", step: 5 * point.Milli},
		}},
	},
	read: func(points []*point.Point) (values, bool) {
		whole := slices.DeleteFunc(ranked(points, point.Weight), func(p *point.Point) bool { return p.Position != "" })
		if len(whole) == 0 {
			return nil, false
		}
		q, _ := whole[0].Value(point.Weight)
		return values{"weight": q}, true
	},
}

// readingsOfADay make it count.
const readingsOfADay = 10

// A day counts with ten readings; those of one time frame are one.
var heartRate = rule{
	schemas: []point.Schema{point.HeartRate},
	stated:  point.HeartRate.String(), unit: "person-day",
	fields: []field{
		days,
		{id: "mean", unit: "beats/min", decides: true, rungs: []rung{
			{id: exact, step: point.Pulse.Resolution()}, {id: "five", step: 5 * point.Milli},
		}},
		{id: "lowest", unit: "beats/min", decides: true, rungs: []rung{
			{id: exact, step: point.Pulse.Resolution()}, {id: "five", step: 5 * point.Milli},
		}},
	},
	read: func(points []*point.Point) (values, bool) {
		var sum, n, lowest point.Quantity
		seen := make(map[[2]int64]bool, len(points))
		for _, p := range ranked(points, point.Pulse) {
			frame := bounds(p.Frame)
			if seen[frame] {
				continue
			}
			seen[frame] = true
			q, _ := p.Value(point.Pulse)
			if n == 0 || q < lowest {
				lowest = q
			}
			sum, n = sum+q, n+1
		}
		if n < readingsOfADay {
			return nil, false
		}
		return values{"mean": (sum + n/2) / n, "lowest": lowest}, true
	},
}

// total adds up a measure over a slot, no moment twice.
func (v values) total(name string, points []*point.Point, m point.Measure) {
	for _, p := range apart(ranked(points, m)) {
		q, _ := p.Value(m)
		v[name] += q
	}
}
