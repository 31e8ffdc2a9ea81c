package minimise_test

import (
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// TestNoMomentIsPlottedTwice: a day that comes by the day, by the hour and by the minute counts once; by the day for who looks at days, and
// as fine as can be for who looks closer; and what is more assured goes before what is finer.
func TestNoMomentIsPlottedTwice(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 11, 24, 0, 0, 0, 0, time.UTC)
	steps := func(from, length time.Duration, n int64, a point.Assurance) *point.Point {
		f := point.Frame{Start: midnight.Add(from), End: midnight.Add(from + length)}
		return &point.Point{
			ID: id.Random(), Schema: point.StepCount, Frame: f, Assurance: a, Created: midnight,
			Values: []point.Value{{Measure: point.Steps, Quantity: point.Quantity(n) * point.Milli}},
		}
	}
	day := steps(0, 24*time.Hour, 900, point.OwnFile)
	hour, next := steps(8*time.Hour, time.Hour, 500, point.OwnFile), steps(9*time.Hour, time.Hour, 400, point.OwnFile)
	minute := steps(8*time.Hour, time.Minute, 10, point.OwnFile)
	all := []*point.Point{minute, day, next, hour}
	if got := minimise.Once(all, point.Steps, false); len(got) != 1 || got[0] != day {
		t.Errorf("of a day %v", got)
	}
	// The minute stands in the first hour's place; the second hour overlaps nothing.
	if got := minimise.Once(all, point.Steps, true); len(got) != 2 || got[0] != minute || got[1] != next {
		t.Errorf("within a day %v", got)
	}
	sure := steps(0, 24*time.Hour, 800, point.OperatorFeed)
	if got := minimise.Once(append(all, sure), point.Steps, true); len(got) != 1 || got[0] != sure {
		t.Errorf("with a surer one %v", got)
	}
	if got := minimise.Once(all, point.Weight, true); len(got) != 0 {
		t.Errorf("steps weigh %v", got)
	}
}
