package minimise

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// FactsVersion is that of the rules by which facts are derived.
const FactsVersion = 1

const (
	factDays = 28 // the days that a fact looks back on, the last slot's included
	factMin  = 3  // slots that it takes to say anything
)

// factRules say of which product's field a fact is the mean.
var factRules = map[string]struct {
	rule  *rule
	field string
	bands []band
}{
	"steps_per_day":   {&dailySteps, "steps", stepBands},
	"sleep_per_night": {&sleepNights, "asleep", sleepBands},
}

// Facts derives a person's facts: the band of the mean over the slots that count within the four weeks that end with the
// last of them. A fact is absent where there are fewer than three.
func Facts(points []point.Point) (map[string]string, error) {
	facts := map[string]string{}
	for name, of := range factRules {
		days, err := of.rule.days(points)
		if err != nil {
			return nil, err
		}
		first := ""
		var sum, n point.Quantity
		for _, day := range slices.Backward(slices.Sorted(maps.Keys(days))) {
			if day < first {
				break
			}
			v, assurance := of.rule.slot(days[day])
			if assurance == 0 {
				continue
			}
			if first == "" {
				last, err := time.Parse(time.DateOnly, day)
				if err != nil {
					return nil, fault.Internal("minimise: a day that is none")
				}
				first = last.AddDate(0, 0, 1-factDays).Format(time.DateOnly)
			}
			sum, n = sum+v[of.field], n+1
		}
		if n >= factMin {
			facts[name] = bandOf(of.bands, sum, n)
		}
	}
	return facts, nil
}

// FactSchemas are the point schemas on which facts look.
func FactSchemas() []point.Schema {
	var all []point.Schema
	for _, of := range factRules {
		all = append(all, of.rule.schemas...)
	}
	slices.SortFunc(all, func(a, b point.Schema) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}
