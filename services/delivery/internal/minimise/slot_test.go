package minimise_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

func stock(t *testing.T, name string, points ...point.Point) ([]minimise.Slot, int) {
	t.Helper()
	slots, expected, err := minimise.Stock(product(t, name), points)
	if err != nil {
		t.Fatal(err)
	}
	return slots, expected
}

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	part := weight(noon(12), 9_000)
	part.Position = "7"
	for _, c := range []struct {
		name, product string
		points        []point.Point
		counts        bool
	}{
		{"one step", "daily-steps", []point.Point{steps(wholeDay(12), 1)}, true},
		{"no step: not worn", "daily-steps", []point.Point{steps(wholeDay(12), 0)}, false},
		{"energy alone", "daily-steps", walked(12, 0, 1_400_000), false},
		{"one hour of sleep", "sleep-nights", []point.Point{asleep(night(12), 3600)}, true},
		{"less than an hour", "sleep-nights", []point.Point{asleep(night(12), 3599)}, false},
		{"in bed alone", "sleep-nights", []point.Point{inBed(night(12), 25_000)}, false},
		{"two naps", "sleep-nights", []point.Point{asleep(span(12, 60, 60), 1800), asleep(span(12, 800, 60), 1800)}, true},
		{"a weight", "body-weight", []point.Point{weight(noon(12), 52_600)}, true},
		{"an arm's weight", "body-weight", []point.Point{part}, false},
		{"ten readings", "heart-rate", beats(12, 10, 60_000), true},
		{"nine readings", "heart-rate", beats(12, 9, 60_000), false},
		{"nine readings, one twice", "heart-rate", append(beats(12, 9, 60_000), pulse(noon(12), 61_000)), false},
	} {
		slots, expected := stock(t, c.product, c.points...)
		if expected != 1 || (len(slots) == 1) != c.counts {
			t.Errorf("%s: %v of %d", c.name, slots, expected)
		}
	}
	worn := steps(wholeDay(12), 70)
	worn.Created = worn.Created.Add(time.Hour)
	feed := steps(wholeDay(12), 0)
	feed.Assurance = point.OperatorFeed
	if slots, _ := stock(t, "daily-steps", worn, feed); len(slots) != 0 {
		t.Errorf("the operator saw no step, whatever the person's own file says later: %v", slots)
	}
	if slots, expected := stock(t, "daily-steps", beats(12, 20, 60_000)...); len(slots) != 0 || expected != 0 {
		t.Errorf("another product's points: %v of %d", slots, expected)
	}
}

func TestDays(t *testing.T) {
	t.Parallel()
	// 23:30 by the person's clock is the next day by none.
	late := steps(span(12, 23*60+30, 1), 10)
	early := steps(span(13, 0, 1), 10)
	slots, expected := stock(t, "daily-steps", early, late, steps(wholeDay(14), 0))
	want := []minimise.Slot{{"2016-04-12", point.OwnFile}, {"2016-04-13", point.OwnFile}}
	if !slices.Equal(slots, want) || expected != 3 {
		t.Errorf("%v of %d", slots, expected)
	}
	// A night is of the day on which it ends; sleep that ended at midnight ended on the day before.
	slots, _ = stock(t, "sleep-nights", asleep(night(12), 20_000), asleep(span(13, 18*60, 6*60), 20_000))
	want = []minimise.Slot{{"2016-04-12", point.OwnFile}, {"2016-04-13", point.OwnFile}}
	if !slices.Equal(slots, want) {
		t.Errorf("%v", slots)
	}
	for day, week := range map[int]string{4: "2016-W14", 3: "2016-W13"} { // a Monday, a Sunday
		got, _, err := minimise.Rows(product(t, "daily-steps"), "p", []minimise.Grant{{"date", "week"}},
			[]string{fmt.Sprintf("2016-04-%02d", day)}, []point.Point{steps(wholeDay(day), 5)})
		if err != nil || !strings.Contains(string(got), week) {
			t.Errorf("%d April: %s %v", day, got, err)
		}
	}
}

func TestNothingIsCountedTwice(t *testing.T) {
	t.Parallel()
	by := func(a point.Assurance, p point.Point) point.Point { p.Assurance = a; return p }
	at := func(later time.Duration, p point.Point) point.Point { p.Created = p.Created.Add(later); return p }
	var minutes, hours []point.Point
	for h := range 24 {
		hours = append(hours, steps(span(12, 60*h, 60), 60))
		for m := range 60 {
			minutes = append(minutes, steps(span(12, 60*h+m, 1), 1))
		}
	}
	travelled := steps(span(12, 0, 1), 7)
	travelled.Frame.Start, travelled.Frame.End = wholeDay(12).End.In(time.UTC), wholeDay(12).End.Add(time.Minute).In(time.UTC)
	// The same day of a clock six hours behind: it begins at 08:00 here.
	elsewhere := steps(span(12, 8*60, 24*60), 500)
	elsewhere.Frame.Start = elsewhere.Frame.Start.In(time.FixedZone("", -6*3600))
	odds := "10"
	if a, b := steps(span(12, 0, 40), 10), steps(span(12, 0, 40), 30); slices.Compare(b.ID[:], a.ID[:]) < 0 {
		odds = "30"
	}
	const own, vendor, feed = point.OwnFile, point.VendorInterface, point.OperatorFeed
	type list = []point.Point
	for _, c := range []struct {
		name      string
		points    list
		want      string // empty: the day does not count
		assurance point.Assurance
	}{
		{"three grains", slices.Concat(minutes, hours, list{steps(wholeDay(12), 1_439)}), "1439", own},
		{"two grains", slices.Concat(minutes, hours), "1440", own},
		{"minutes fill what hours leave", append(slices.Clone(hours[:23]), minutes...), "1440", own},
		{"a later day's sum corrects", list{at(time.Hour, steps(wholeDay(12), 90)), steps(wholeDay(12), 100)}, "90", own},
		{"a later minute corrects", append(slices.Clone(minutes), at(time.Hour, steps(span(12, 5, 1), 11))), "1450", own},
		{"the strongest before the later", list{by(vendor, steps(wholeDay(12), 80)), at(time.Hour, steps(wholeDay(12), 100))}, "80", vendor},
		{"the strongest before the coarser", list{by(feed, steps(span(12, 5, 60), 80)), steps(wholeDay(12), 100)}, "80", feed},
		{"the weaker where the stronger cannot", list{by(feed, steps(span(12, 5, 60), 0)), steps(span(12, 65, 60), 70)}, "70", own},
		{"a clock of another offset", list{steps(wholeDay(12), 100), travelled}, "100", own},
		{"two devices at odds", list{steps(span(12, 0, 40), 10), steps(span(12, 0, 40), 30)}, odds, own},
		{"two devices at odds, the other first", list{steps(span(12, 0, 40), 30), steps(span(12, 0, 40), 10)}, odds, own},
		{"a stronger day leaves no room", list{by(feed, steps(wholeDay(12), 0)), elsewhere, steps(span(12, 1, 1), 3)}, "", 0},
		{"a day beside stronger hours", list{by(vendor, steps(span(12, 0, 60), 0)), elsewhere, steps(span(12, 90, 60), 3)}, "3", own},
		{"overlapping by half", list{steps(span(12, 0, 40), 10), at(time.Hour, steps(span(12, 20, 40), 30))}, "30", own},
	} {
		slots, _ := stock(t, "daily-steps", c.points...)
		if c.want == "" && len(slots) == 0 {
			continue
		}
		if len(slots) != 1 || slots[0].Assurance != c.assurance {
			t.Errorf("%s: %v", c.name, slots)
			continue
		}
		exact := []minimise.Grant{{"steps", "exact"}}
		got, _, err := minimise.Rows(product(t, "daily-steps"), "p", exact, []string{"2016-04-12"}, c.points)
		if err != nil || string(got) != `{"person":"p","steps":`+c.want+"}\n" {
			t.Errorf("%s: %s, want %s %v", c.name, got, c.want, err)
		}
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"daily-steps", "sleep-nights"} {
		schemas, err := minimise.Schemas(product(t, name))
		if err != nil || slices.ContainsFunc(schemas, func(s point.Schema) bool { return !slices.Contains(minimise.FactSchemas(), s) }) {
			t.Errorf("facts read %v: %v", minimise.FactSchemas(), err)
		}
	}
	week := func(n ...point.Quantity) (out []point.Point) {
		for i, n := range n {
			out = append(out, steps(wholeDay(i+1), n))
		}
		return out
	}
	old := steps(wholeDay(-30), 1_000_000) // 1 March: not within four weeks of 3 April
	edge := steps(wholeDay(-24), 20_000)   // 7 March: the first of the 28 days that end on 3 April
	beyond := steps(wholeDay(-25), 20_000)
	for _, c := range []struct {
		name   string
		points []point.Point
		want   map[string]string
	}{
		{"too few", week(9_000, 9_000), map[string]string{}},
		{"a day without steps is none", week(9_000, 9_000, 0), map[string]string{}},
		{"just below", week(5_000, 5_000, 4_999), map[string]string{"steps_per_day": "below_5000"}},
		{"at the edge", week(5_000, 5_000, 5_000, 0), map[string]string{"steps_per_day": "5000_9999"}},
		{"many", week(10_000, 10_001, 9_999), map[string]string{"steps_per_day": "10000_up"}},
		{"long ago", append(week(100, 100, 100), old), map[string]string{"steps_per_day": "below_5000"}},
		{"the first day that counts", append(week(100, 100, 100), edge), map[string]string{"steps_per_day": "5000_9999"}},
		{"the day before it", append(week(100, 100, 100), beyond), map[string]string{"steps_per_day": "below_5000"}},
		{
			"sleep",
			[]point.Point{asleep(night(1), 8*3600), asleep(night(2), 8*3600), asleep(night(3), 8*3600)},
			map[string]string{"sleep_per_night": "6h_8h"},
		},
		{
			"long sleep",
			[]point.Point{asleep(night(1), 8*3600), asleep(night(2), 8*3600), asleep(night(3), 8*3600+60)},
			map[string]string{"sleep_per_night": "above_8h"},
		},
		{"none", nil, map[string]string{}},
	} {
		values := minimise.Values{}
		for i := range c.points {
			if err := values.Note(c.points[i].Day(), c.points); err != nil {
				t.Fatal(err)
			}
		}
		got, err := values.Facts()
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v %v", c.name, got, err)
		}
	}
}

// TestFactsDoNotGrow: however many days are noted, so many are known that the facts are the same, and no more; and a day that no longer
// counts is taken back.
func TestFactsDoNotGrow(t *testing.T) {
	t.Parallel()
	values := minimise.Values{}
	for i := range 400 {
		if err := values.Note(wholeDay(i).Day(), []point.Point{steps(wholeDay(i), 9_000)}); err != nil {
			t.Fatal(err)
		}
		if n := len(values["steps_per_day"]); n != min(i+1, 56) {
			t.Fatalf("%d days are known after %d", n, i+1)
		}
	}
	for i := 399; i >= 395; i-- {
		if err := values.Note(wholeDay(i).Day(), []point.Point{steps(wholeDay(i), 0)}); err != nil {
			t.Fatal(err)
		}
	}
	for i := 369; i >= 367; i-- { // the first of the 28 days that end on the last that counts is the 367th
		if err := values.Note(wholeDay(i).Day(), []point.Point{steps(wholeDay(i), 1_000_000)}); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := values.Facts(); err != nil || got["steps_per_day"] != "10000_up" {
		t.Errorf("%v, %v", got, err)
	}
}

// TestAnyPoints: whatever a person has, rows are as their schema says, the same for any order of the points, one for each
// slot in stock; no moment counts twice; and a slot in stock stays in stock at the same assurance when only it is read.
func TestAnyPoints(t *testing.T) {
	t.Parallel()
	c, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOfN(anyPoint, 1, 60).Draw(t, "points")
		p := rapid.SampledFrom(c.Products()).Draw(t, "product")
		slots, expected, err := minimise.Stock(&p, points)
		if err != nil || len(slots) > expected {
			t.Fatalf("%v of %d: %v", slots, expected, err)
		}
		var grants []minimise.Grant
		fields := rapid.SliceOfNDistinct(rapid.SampledFrom(p.Fields), 1, -1, func(f catalog.Field) string { return f.ID })
		for _, f := range fields.Draw(t, "fields") {
			grants = append(grants, minimise.Grant{Field: f.ID, Rung: rapid.SampledFrom(f.Rungs).Draw(t, "rung").ID})
		}
		var days []string
		for _, s := range slots {
			days = append(days, s.Day)
		}
		rows, n, err := minimise.Rows(&p, "p", grants, days, points)
		if err != nil || n != len(slots) || bytes.Count(rows, []byte("\n")) != n {
			t.Fatalf("%d rows of %v: %v", n, slots, err)
		}
		conforms(t, &p, grants, rows)

		shuffled, order := slices.Clone(points), slices.Clone(days)
		seed := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
		seed.Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
		seed.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		again, _, err := minimise.Rows(&p, "p", grants, order, shuffled)
		if err != nil || !bytes.Equal(again, rows) {
			t.Fatalf("%s\nin another order\n%s %v", rows, again, err)
		}
		twice, _, err := minimise.Rows(&p, "p", grants, days, slices.Concat(points, points))
		if err != nil || !bytes.Equal(twice, rows) {
			t.Fatalf("%s\nwith every point twice\n%s %v", rows, twice, err)
		}
	})
}

// TestNoMoreThanATimeCanHold: points that each hold as many steps as they have seconds never give a day more than it has.
func TestNoMoreThanATimeCanHold(t *testing.T) {
	t.Parallel()
	daily := product(t, "daily-steps")
	rapid.Check(t, func(t *rapid.T) {
		points := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) point.Point {
			start := rapid.IntRange(0, 24*60-1).Draw(t, "start")
			length := rapid.IntRange(1, 24*60-start).Draw(t, "length")
			p := steps(span(12, start, length), point.Quantity(length*60))
			p.Created = p.Created.Add(time.Duration(rapid.IntRange(0, 5).Draw(t, "later")) * time.Hour)
			p.Assurance = point.Assurance(rapid.IntRange(1, 3).Draw(t, "assurance"))
			return p
		}), 1, 80).Draw(t, "points")
		rows, _, err := minimise.Rows(daily, "p", []minimise.Grant{{"steps", "exact"}}, []string{"2016-04-12"}, points)
		if err != nil {
			t.Fatal(err)
		}
		var row struct{ Steps int }
		if err := json.Unmarshal(rows, &row); err != nil {
			t.Fatal(err)
		}
		covered := map[int]bool{}
		for _, p := range points {
			for m := range int(p.Frame.Length() / time.Minute) {
				covered[int(p.Frame.Start.Sub(wholeDay(12).Start)/time.Minute)+m] = true
			}
		}
		if row.Steps > 60*len(covered) {
			t.Fatalf("%d steps in %d minutes", row.Steps, len(covered))
		}
	})
}

// anyPoint is one of any schema within a week.
var anyPoint = rapid.Custom(func(t *rapid.T) point.Point {
	clocks := []*time.Location{summer, time.UTC}
	lengths := []time.Duration{time.Minute, time.Hour, 8 * time.Hour, 23 * time.Hour, 24 * time.Hour}
	schema := rapid.SampledFrom(point.Schemas()).Draw(t, "schema")
	start := wholeDay(10).Start.Add(time.Duration(rapid.IntRange(0, 7*24*60).Draw(t, "start")) * time.Minute)
	frame := point.At(start.In(rapid.SampledFrom(clocks).Draw(t, "clock")))
	if schema.IsInterval() || rapid.Bool().Draw(t, "interval") {
		frame.End = frame.Start.Add(rapid.SampledFrom(lengths).Draw(t, "length"))
	}
	var values []point.Value
	for _, m := range schema.Measures() {
		most := 3 * 3600 * point.Milli
		if m == point.Weight || m == point.Pulse {
			most = 300 * point.Milli
		}
		q := point.Quantity(rapid.Int64Range(0, int64(most)).Draw(t, m.Key()))
		values = append(values, point.Value{Measure: m, Quantity: q / m.Resolution() * m.Resolution()})
	}
	p := measured(schema, frame, values...)
	p.Created = p.Created.Add(time.Duration(rapid.IntRange(0, 48).Draw(t, "later")) * time.Hour)
	p.Assurance = point.Assurance(rapid.IntRange(1, 3).Draw(t, "assurance"))
	return p
})
