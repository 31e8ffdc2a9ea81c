package minimise

import (
	"time"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// sampleDays is the length of a sample.
const sampleDays = 7

// Sample is a week of rows with all fields at their finest rung. Nobody's: the measurements are made up by a formula, and
// go the way that real ones go.
func Sample(p *catalog.Product) ([]byte, error) {
	r, err := ruleOf(p)
	if err != nil {
		return nil, err
	}
	monday := time.Date(2026, 1, 5, 0, 0, 0, 0, time.UTC)
	var points []point.Point
	var slots []string
	add := func(s point.Schema, f point.Frame, values ...point.Value) {
		points = append(points, point.Point{Schema: s, Frame: f, Values: values, Created: f.Start, Assurance: point.OwnFile})
	}
	for i := range sampleDays {
		n := point.Quantity(i)
		start := monday.AddDate(0, 0, i)
		day := point.Frame{Start: start, End: start.AddDate(0, 0, 1)}
		wave := n * 5 % 7 // 0 5 3 1 6 4 2: neither rising nor falling
		slots = append(slots, day.Day())
		add(point.StepCount, day, point.Value{Measure: point.Steps, Quantity: (4_200 + 1_137*wave) * point.Milli})
		add(point.PhysicalActivity, day, point.Value{Measure: point.Distance, Quantity: (2_900 + 803*wave) * point.Milli})
		add(point.CaloriesBurned, day, point.Value{Measure: point.Energy, Quantity: (1_850 + 91*wave) * point.Milli})
		night := point.Frame{Start: start.Add(-time.Hour), End: start.Add(7 * time.Hour)}
		add(point.TotalSleepTime, night, point.Value{Measure: point.Asleep, Quantity: (340 + 17*wave) * 60 * point.Milli})
		add(point.TimeInBed, night, point.Value{Measure: point.InBed, Quantity: (362 + 17*wave) * 60 * point.Milli})
		add(point.BodyWeight, point.At(start.Add(7*time.Hour)), point.Value{Measure: point.Weight, Quantity: 71_200 + 100*wave})
		for hour := range 12 {
			at := point.At(start.Add(time.Duration(8+hour) * time.Hour))
			add(point.HeartRate, at, point.Value{Measure: point.Pulse, Quantity: (58 + wave + point.Quantity(hour)*7%12*3) * point.Milli})
		}
	}
	b, _, err := Rows(p, "sample", r.finest(), slots, points)
	return b, err
}
