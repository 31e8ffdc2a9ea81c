package point_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

var (
	person = id.Derive([]byte("person"))
	source = id.Derive([]byte("source"))
	summer = time.FixedZone("", 2*3600)
)

func steps(n point.Quantity) point.Point {
	start := time.Date(2016, 4, 12, 0, 0, 0, 0, summer)
	p := point.Point{
		Schema: point.StepCount, Frame: point.Frame{Start: start, End: start.AddDate(0, 0, 1)},
		Values: []point.Value{{Measure: point.Steps, Quantity: n * point.Milli}}, Modality: point.Sensed, Created: start.AddDate(0, 0, 1),
	}
	p.ID = point.Identify(person, source, &p)
	return p
}

func TestJSON(t *testing.T) {
	t.Parallel()
	weight := point.Point{
		ID: id.ID{1}, Schema: point.BodyWeight, Frame: point.At(time.Date(2016, 5, 2, 23, 59, 59, 0, time.UTC)),
		Values:  []point.Value{{Measure: point.Weight, Quantity: 52_600}},
		Created: time.Date(2016, 5, 2, 23, 59, 59, 500_000_000, time.UTC), Modality: point.SelfReported, Position: "7",
	}
	day := steps(13162)
	day.ID = id.ID{2}
	for _, c := range []struct {
		p    point.Point
		want string
	}{
		{weight, `{"header":{"uuid":"01000000-0000-0000-0000-000000000000","schema_id":{"namespace":"omh","name":"body-weight","version":"2.0"},` +
			`"source_creation_date_time":"2016-05-02T23:59:59.5+00:00","modality":"self-reported"},` +
			`"body":{"body_weight":{"value":52.6,"unit":"kg"},"effective_time_frame":{"date_time":"2016-05-02T23:59:59+00:00"},"position":"7"}}`},
		{day, `{"header":{"uuid":"02000000-0000-0000-0000-000000000000","schema_id":{"namespace":"omh","name":"step-count","version":"3.0"},` +
			`"source_creation_date_time":"2016-04-13T00:00:00+02:00","modality":"sensed"},` +
			`"body":{"step_count":{"value":13162,"unit":"steps"},"effective_time_frame":{"time_interval":{"start_date_time":"2016-04-12T00:00:00+02:00",` +
			`"end_date_time":"2016-04-13T00:00:00+02:00"}}}}`},
	} {
		if got := string(c.p.AppendJSON(nil)); got != c.want {
			t.Errorf("got  %s\nwant %s", got, c.want)
		}
		if err := c.p.Check(); err != nil {
			t.Error(err)
		}
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	p := steps(100)
	same := p
	same.Created, same.Modality = p.Created.Add(time.Hour), point.Unstated
	same.Frame = point.Frame{Start: p.Frame.Start.UTC(), End: p.Frame.End.UTC()}
	if point.Identify(person, source, &same) != p.ID {
		t.Error("the clock it was read on, its modality and when it was written down are no part of what was measured")
	}
	other := map[string]id.ID{"itself": p.ID}
	add := func(name string, v id.ID) {
		for n, o := range other {
			if o == v {
				t.Errorf("%s and %s have one id", name, n)
			}
		}
		other[name] = v
	}
	q := steps(101)
	add("value", q.ID)
	add("person", point.Identify(source, source, &p))
	add("source", point.Identify(person, person, &p))
	q = p
	q.Position = "7"
	add("position", point.Identify(person, source, &q))
	q = p
	q.Frame.End = q.Frame.End.Add(time.Second)
	add("frame", point.Identify(person, source, &q))
	q = p
	q.Frame.End = time.Time{}
	add("instant", point.Identify(person, source, &q))
	q = p
	q.Schema = point.CaloriesBurned
	add("schema", point.Identify(person, source, &q))
}

func TestCheckRefuses(t *testing.T) {
	t.Parallel()
	for field, spoil := range map[string]func(*point.Point){
		"header.schema_id":          func(p *point.Point) { p.Schema.Version = "9.0" },
		"body":                      func(p *point.Point) { p.Values = nil },
		"body.step_count":           func(p *point.Point) { p.Values[0].Quantity = -1 },
		"body.distance":             func(p *point.Point) { p.Values[0].Measure = point.Distance },
		"body.position":             func(p *point.Point) { p.Position = `"` },
		"body.effective_time_frame": func(p *point.Point) { p.Frame.End = time.Time{} },
	} {
		p := steps(1)
		spoil(&p)
		err := p.Check()
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.KindInvalid {
			t.Errorf("%s: %v", field, err)
			continue
		}
		if _, ok := f.Fact(field); !ok {
			t.Errorf("%s: %v", field, err)
		}
	}
	for name, f := range map[string]point.Frame{
		"a clock never set": point.At(time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC)),
		"backwards":         {Start: steps(1).Frame.End, End: steps(1).Frame.Start},
		"a week":            {Start: steps(1).Frame.Start, End: steps(1).Frame.Start.AddDate(0, 0, 7)},
		"no year":           point.At(time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC)),
	} {
		if err := point.CheckFrame("f", f); !errors.Is(err, fault.KindInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestBounds(t *testing.T) {
	t.Parallel()
	hour := point.Frame{Start: steps(1).Frame.Start, End: steps(1).Frame.Start.Add(time.Hour)}
	for _, c := range []struct {
		m    point.Measure
		q    point.Quantity
		fine bool
	}{
		{point.Steps, 0, true},
		{point.Steps, 18_000 * point.Milli, true},
		{point.Steps, 18_010 * point.Milli, false},
		{point.Steps, 500, false},
		{point.Weight, 52_600, true},
		{point.Weight, 1_999, false},
		{point.Weight, 700_001, false},
		{point.Pulse, 67_500, true},
		{point.Pulse, 67_550, false},
		{point.Pulse, 0, false},
		{point.Asleep, 3600 * point.Milli, true},
		{point.Asleep, 3601 * point.Milli, false},
	} {
		wrong := c.m.Wrong(c.q, hour)
		if (wrong.Flaw == "") != c.fine {
			t.Errorf("%d of %s: %q", c.q, c.m.Key(), wrong.Words)
		}
	}
}

func TestDays(t *testing.T) {
	t.Parallel()
	f := steps(1).Frame
	if f.Day() != "2016-04-12" || f.LastDay() != "2016-04-12" {
		t.Errorf("a whole day is of one day: %s to %s", f.Day(), f.LastDay())
	}
	night := point.Frame{Start: f.End.Add(-time.Hour), End: f.End.Add(7 * time.Hour)}
	if night.Day() != "2016-04-12" || night.LastDay() != "2016-04-13" {
		t.Errorf("a night begins on one day and ends on the next: %s to %s", night.Day(), night.LastDay())
	}
}

func TestQuantity(t *testing.T) {
	t.Parallel()
	for q, want := range map[point.Quantity]string{0: "0", 1: "0.001", 52_600: "52.6", -1_010: "-1.01", 10_000: "10", 100: "0.1"} {
		if q.String() != want {
			t.Errorf("%d is written %s", q, q.String())
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		q := rapid.Int64().Draw(t, "q")
		whole, part, _ := strings.Cut(strings.TrimPrefix(point.Quantity(q).String(), "-"), ".")
		if len(part) > 3 || strings.HasSuffix(part, "0") || len(whole) > 1 && whole[0] == '0' {
			t.Fatalf("%d is written %s", q, point.Quantity(q))
		}
	})
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	for _, s := range point.Schemas() {
		if back, ok := point.ParseSchema(s.String()); !ok || back != s || len(s.Measures()) == 0 {
			t.Errorf("%s", s)
		}
		for i, m := range s.Measures() {
			if m.Key() == "" || i > 0 && s.Measures()[i-1] >= m {
				t.Errorf("%s: measure %d is out of order", s, m)
			}
		}
	}
	if _, ok := point.ParseSchema("omh:step-count"); ok {
		t.Error("a schema has a version")
	}
}
