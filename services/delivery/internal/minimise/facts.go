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
	factDays  = 28 // the days that a fact looks back on, the last slot's included
	factSpare = 28 // further slots that are known, should the last ones turn out not to count
	factMin   = 3  // slots that it takes to say anything
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

// Values are what facts are the means of: by fact and day, of the slots that count.
type Values map[string]map[string]point.Quantity

// Note replaces what is known of a day by what all its points say, and forgets days that are too old to matter.
func (v Values) Note(day string, points []point.Point) error {
	for name, of := range factRules {
		days, err := of.rule.days(points)
		if err != nil {
			return err
		}
		delete(v[name], day)
		if found, assurance := of.rule.slot(days[day]); assurance != 0 {
			if v[name] == nil {
				v[name] = map[string]point.Quantity{}
			}
			v[name][day] = found[of.field]
		}
		if len(v[name]) > factDays+factSpare {
			delete(v[name], slices.Min(slices.Collect(maps.Keys(v[name]))))
		}
	}
	return nil
}

// Facts derives a person's facts: the band of the mean over the slots that count within the four weeks that end with the last of
// them. A fact is absent where there are fewer than three.
func (v Values) Facts() (map[string]string, error) {
	facts := map[string]string{}
	for name, of := range factRules {
		if len(v[name]) == 0 {
			continue
		}
		last, err := time.Parse(time.DateOnly, slices.Max(slices.Collect(maps.Keys(v[name]))))
		if err != nil {
			return nil, fault.Internal("minimise: a day that is none")
		}
		first := last.AddDate(0, 0, 1-factDays).Format(time.DateOnly)
		var sum, n point.Quantity
		for day, q := range v[name] {
			if day >= first {
				sum, n = sum+q, n+1
			}
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
