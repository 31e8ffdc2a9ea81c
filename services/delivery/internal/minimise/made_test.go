package minimise_test

import (
	"slices"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

var summer = time.FixedZone("", 2*3600)

// noon of a day in April 2016, by the person's clock.
func noon(day int) time.Time { return time.Date(2016, 4, day, 12, 0, 0, 0, summer) }

func wholeDay(day int) point.Frame {
	return point.Frame{Start: noon(day).Add(-12 * time.Hour), End: noon(day).Add(12 * time.Hour)}
}

// span begins so many minutes after midnight.
func span(day, from, length int) point.Frame {
	start := wholeDay(day).Start.Add(time.Duration(from) * time.Minute)
	return point.Frame{Start: start, End: start.Add(time.Duration(length) * time.Minute)}
}

func night(day int) point.Frame {
	return point.Frame{Start: noon(day).Add(-13 * time.Hour), End: noon(day).Add(-5 * time.Hour)}
}

// measured is a point from a person's own file with values in thousandths; its id is a hash of all that tells it apart.
func measured(s point.Schema, f point.Frame, values ...point.Value) point.Point {
	p := point.Point{Schema: s, Frame: f, Values: values, Created: f.Start, Assurance: point.OwnFile}
	p.ID = point.Identify(id.Derive([]byte("person")), id.Derive([]byte("source")), &p)
	return p
}

func steps(f point.Frame, n point.Quantity) point.Point {
	return measured(point.StepCount, f, point.Value{Measure: point.Steps, Quantity: n * point.Milli})
}

func asleep(f point.Frame, s point.Quantity) point.Point {
	return measured(point.TotalSleepTime, f, point.Value{Measure: point.Asleep, Quantity: s * point.Milli})
}

func inBed(f point.Frame, s point.Quantity) point.Point {
	return measured(point.TimeInBed, f, point.Value{Measure: point.InBed, Quantity: s * point.Milli})
}

func weight(at time.Time, g point.Quantity) point.Point {
	return measured(point.BodyWeight, point.At(at), point.Value{Measure: point.Weight, Quantity: g})
}

func pulse(at time.Time, q point.Quantity) point.Point {
	return measured(point.HeartRate, point.At(at), point.Value{Measure: point.Pulse, Quantity: q})
}

// walked is a day's own points but for its steps.
func walked(day int, m, kcal point.Quantity) []point.Point {
	return []point.Point{
		measured(point.PhysicalActivity, wholeDay(day), point.Value{Measure: point.Distance, Quantity: m}),
		measured(point.CaloriesBurned, wholeDay(day), point.Value{Measure: point.Energy, Quantity: kcal}),
	}
}

// beats are n readings from noon on, a minute apart, from one rate upwards by a tenth.
func beats(day, n int, from point.Quantity) []point.Point {
	var out []point.Point
	for i := range n {
		out = append(out, pulse(noon(day).Add(time.Duration(i)*time.Minute), from+point.Quantity(i)*100))
	}
	return out
}

func product(t testing.TB, name string) *catalog.Product {
	t.Helper()
	c, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	p, ok := c.Product(name, "1")
	if !ok {
		t.Fatalf("no product %s", name)
	}
	return &p
}

// everything is a day with a slot of every product.
func everything(day int) []point.Point {
	return slices.Concat(
		walked(day, 8_515_260, 1_985_500), beats(day, 20, 60_000),
		[]point.Point{steps(wholeDay(day), 10_050), asleep(night(day), 25_000), inBed(night(day), 27_000), weight(noon(day), 52_640)},
	)
}
