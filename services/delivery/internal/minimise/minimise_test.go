package minimise_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
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

func stock(t *testing.T, name string, points ...point.Point) ([]minimise.Slot, int) {
	t.Helper()
	slots, expected, err := minimise.Stock(product(t, name), points)
	if err != nil {
		t.Fatal(err)
	}
	return slots, expected
}

func TestEveryRung(t *testing.T) {
	t.Parallel()
	const day = "2016-04-12"
	full := append(walked(12, 8_515_260, 1_985_500), steps(wholeDay(12), 10_050))
	slept := []point.Point{asleep(night(12), 8*3600+15), inBed(night(12), 8*3600)}
	for _, c := range []struct {
		product, field, rung string
		points               []point.Point
		want                 string
	}{
		{"daily-steps", "date", "exact", full, `"2016-04-12"`},
		{"daily-steps", "date", "week", full, `"2016-W15"`},
		{"daily-steps", "steps", "exact", full, `10050`},
		{"daily-steps", "steps", "hundred", full, `10100`},
		{"daily-steps", "steps", "hundred", []point.Point{steps(wholeDay(12), 49)}, `0`},
		{"daily-steps", "steps", "band", full, `"10000_up"`},
		{"daily-steps", "steps", "band", []point.Point{steps(wholeDay(12), 9_999)}, `"5000_9999"`},
		{"daily-steps", "steps", "band", []point.Point{steps(wholeDay(12), 10_000)}, `"10000_up"`},
		{"daily-steps", "steps", "band", []point.Point{steps(wholeDay(12), 5_000)}, `"5000_9999"`},
		{"daily-steps", "steps", "band", []point.Point{steps(wholeDay(12), 4_999)}, `"below_5000"`},
		{"daily-steps", "distance", "exact", full, `8515.26`},
		{"daily-steps", "distance", "hundred", full, `8500`},
		{"daily-steps", "distance", "exact", []point.Point{steps(wholeDay(12), 1)}, `null`},
		{"daily-steps", "energy", "exact", full, `1985.5`},
		{"daily-steps", "energy", "hundred", full, `2000`},
		{"sleep-nights", "date", "exact", slept, `"2016-04-12"`},
		{"sleep-nights", "date", "week", slept, `"2016-W15"`},
		{"sleep-nights", "asleep", "exact", slept, `480.25`},
		{"sleep-nights", "asleep", "exact", []point.Point{asleep(night(12), 8*3600+1)}, `480.017`},
		{"sleep-nights", "asleep", "half_hour", slept, `480`},
		{"sleep-nights", "asleep", "half_hour", []point.Point{asleep(night(12), 375*60)}, `390`},
		{"sleep-nights", "asleep", "band", slept, `"above_8h"`},
		{"sleep-nights", "asleep", "band", []point.Point{asleep(night(12), 8*3600)}, `"6h_8h"`},
		{"sleep-nights", "asleep", "band", []point.Point{asleep(night(12), 6*3600)}, `"6h_8h"`},
		{"sleep-nights", "asleep", "band", []point.Point{asleep(night(12), 6*3600-1)}, `"below_6h"`},
		{"sleep-nights", "in_bed", "exact", slept, `480`},
		{"sleep-nights", "in_bed", "half_hour", slept, `480`},
		{"sleep-nights", "in_bed", "half_hour", slept[:1], `null`},
		{"body-weight", "date", "exact", []point.Point{weight(noon(12), 52_640)}, `"2016-04-12"`},
		{"body-weight", "date", "week", []point.Point{weight(noon(12), 52_640)}, `"2016-W15"`},
		{"body-weight", "weight", "exact", []point.Point{weight(noon(12), 52_640)}, `52.64`},
		{"body-weight", "weight", "kilogram", []point.Point{weight(noon(12), 52_640)}, `53`},
		{"body-weight", "weight", "five", []point.Point{weight(noon(12), 52_640)}, `55`},
		{"heart-rate", "date", "exact", beats(12, 10, 60_000), `"2016-04-12"`},
		{"heart-rate", "date", "week", beats(12, 10, 60_000), `"2016-W15"`},
		{"heart-rate", "mean", "exact", beats(12, 11, 60_000), `60.5`},
		{"heart-rate", "mean", "five", beats(12, 11, 62_000), `65`},
		{"heart-rate", "lowest", "exact", beats(12, 11, 60_100), `60.1`},
		{"heart-rate", "lowest", "five", beats(12, 11, 57_400), `55`},
	} {
		p := product(t, c.product)
		grants := []minimise.Grant{{Field: c.field, Rung: c.rung}}
		got, rows, err := minimise.Rows(p, "p1", grants, []string{day}, c.points)
		if err != nil {
			t.Errorf("%s.%s %s: %v", c.product, c.field, c.rung, err)
			continue
		}
		if want := fmt.Sprintf("{\"person\":\"p1\",\"%s\":%s}\n", c.field, c.want); string(got) != want || rows != 1 {
			t.Errorf("%s.%s %s: got %swant %s", c.product, c.field, c.rung, got, want)
		}
		conforms(t, p, grants, got)
	}
}

// conforms holds rows to the schema of the grants.
func conforms(t rapid.TB, p *catalog.Product, grants []minimise.Grant, rows []byte) {
	t.Helper()
	schema, err := minimise.Schema(p, grants)
	if err != nil {
		t.Fatalf("%v", err)
	}
	s := compile(t, schema)
	for line := range bytes.Lines(rows) {
		v, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if err := s.Validate(v); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
	}
}

func compile(t rapid.TB, schema []byte) *jsonschema.Schema {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		t.Fatalf("%s: %v", schema, err)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if err := c.AddResource("row.json", v); err != nil {
		t.Fatalf("%v", err)
	}
	s, err := c.Compile("row.json")
	if err != nil {
		t.Fatalf("%v", err)
	}
	return s
}

func TestTheCatalogueHasNoRungWithoutATest(t *testing.T) {
	t.Parallel()
	c, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	if err := minimise.Check(c); err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Products() {
		points := everything(12)
		for _, f := range p.Fields {
			for _, r := range f.Rungs {
				grants := []minimise.Grant{{Field: f.ID, Rung: r.ID}}
				got, _, err := minimise.Rows(&p, "p1", grants, []string{"2016-04-12"}, points)
				if err != nil {
					t.Errorf("%s.%s %s: %v", p.ID, f.ID, r.ID, err)
					continue
				}
				conforms(t, &p, grants, got)
			}
		}
	}
}

// everything is a day with a slot of every product.
func everything(day int) []point.Point {
	return slices.Concat(
		walked(day, 8_515_260, 1_985_500), beats(day, 20, 60_000),
		[]point.Point{steps(wholeDay(day), 10_050), asleep(night(day), 25_000), inBed(night(day), 27_000), weight(noon(day), 52_640)},
	)
}

func TestNothingUngrantedAppears(t *testing.T) {
	t.Parallel()
	c, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range c.Products() {
		for set := 1; set < 1<<len(p.Fields); set++ { // every subset of the fields
			var grants []minimise.Grant
			want := []string{"person"}
			for i, f := range p.Fields {
				if set>>i&1 == 1 {
					grants = append(grants, minimise.Grant{Field: f.ID, Rung: f.Rungs[len(f.Rungs)-1].ID})
					want = append(want, f.ID)
				}
			}
			slices.Reverse(grants) // the order of a grant is not that of a row
			rows, _, err := minimise.Rows(&p, "p1", grants, []string{"2016-04-12"}, everything(12))
			if err != nil {
				t.Fatal(err)
			}
			if got := keys(t, rows); !slices.Equal(got, want) {
				t.Errorf("%s: granted %v, the row has %v", p.ID, want, got)
			}
			conforms(t, &p, grants, rows)
			schema, err := minimise.Schema(&p, grants)
			if err != nil {
				t.Fatal(err)
			}
			var described struct {
				Properties map[string]any
				Required   []string
			}
			if err := json.Unmarshal(schema, &described); err != nil {
				t.Fatal(err)
			}
			named := slices.Sorted(maps.Keys(described.Properties))
			if !slices.Equal(described.Required, want) || !slices.Equal(named, slices.Sorted(slices.Values(want))) {
				t.Errorf("%s: the schema of %v is %s", p.ID, want, schema)
			}
		}
	}
}

// keys of a row in their order.
func keys(t *testing.T, row []byte) (out []string) {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(row))
	for i := 0; ; i++ {
		token, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		if token == json.Delim('}') {
			return out
		}
		if i%2 == 1 {
			out = append(out, token.(string))
		}
	}
}

func TestTheSchemaRefusesWhatIsNotGranted(t *testing.T) {
	t.Parallel()
	grants := []minimise.Grant{{"date", "week"}, {"steps", "hundred"}, {"distance", "hundred"}}
	schema, err := minimise.Schema(product(t, "daily-steps"), grants)
	if err != nil {
		t.Fatal(err)
	}
	s := compile(t, schema)
	for row, fine := range map[string]bool{
		`{"person":"p","date":"2016-W15","steps":100,"distance":null}`:              true,
		`{"person":"p","date":"2016-W15","steps":100,"distance":200}`:               true,
		`{"person":"p","date":"2016-04-12","steps":100,"distance":200}`:             false, // finer
		`{"person":"p","date":"2016-W15","steps":101,"distance":200}`:               false, // finer
		`{"person":"p","date":"2016-W15","steps":100,"distance":200.5}`:             false, // finer
		`{"person":"p","date":"2016-W15","steps":100,"distance":200,"energy":1900}`: false, // not granted
		`{"person":"p","date":"2016-W15","steps":null,"distance":200}`:              false, // no such slot counts
		`{"date":"2016-W15","steps":100,"distance":200}`:                            false, // whose
	} {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(row))
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Validate(v); (err == nil) != fine {
			t.Errorf("%s: %v", row, err)
		}
	}
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

func TestARowIsNoWeakerThanItsSlot(t *testing.T) {
	t.Parallel()
	feed := steps(wholeDay(12), 80)
	feed.Assurance = point.OperatorFeed
	got, _, err := minimise.Rows(product(t, "daily-steps"), "p", []minimise.Grant{{"steps", "exact"}, {"distance", "exact"}},
		[]string{"2016-04-12"}, append(walked(12, 5_000, 5_000), feed))
	if err != nil || string(got) != `{"person":"p","steps":80,"distance":null}`+"\n" {
		t.Errorf("%s %v", got, err)
	}
}

func TestTheOrderOfRowsTellsNothing(t *testing.T) {
	t.Parallel()
	points := []point.Point{steps(wholeDay(12), 300), steps(wholeDay(13), 200), steps(wholeDay(14), 100)}
	slots := []string{"2016-04-12", "2016-04-13", "2016-04-14"}
	got, rows, err := minimise.Rows(product(t, "daily-steps"), "p", []minimise.Grant{{"date", "week"}, {"steps", "hundred"}}, slots, points)
	want := `{"person":"p","date":"2016-W15","steps":100}
{"person":"p","date":"2016-W15","steps":200}
{"person":"p","date":"2016-W15","steps":300}
`
	if err != nil || string(got) != want || rows != 3 {
		t.Errorf("%d: %s %v", rows, got, err)
	}
}

func TestRefused(t *testing.T) {
	t.Parallel()
	const day = "2016-04-12"
	good := []minimise.Grant{{"steps", "exact"}}
	for name, c := range map[string]struct {
		grants []minimise.Grant
		slots  []string
		fact   string
	}{
		"a slot without points":      {good, []string{day, "2016-04-13"}, "slots"},
		"a slot that does not count": {good, []string{"2016-04-14"}, "slots"},
		"a slot twice":               {good, []string{day, day}, "slots"},
		"no grant":                   {nil, []string{day}, "fields"},
		"a field twice":              {append(good, minimise.Grant{Field: "steps", Rung: "band"}), []string{day}, "fields"},
		"a field of another product": {[]minimise.Grant{{"weight", "exact"}}, []string{day}, "fields"},
		"a rung of another field":    {[]minimise.Grant{{"distance", "band"}}, []string{day}, "fields.distance"},
	} {
		points := []point.Point{steps(wholeDay(12), 5), steps(wholeDay(14), 0)}
		b, rows, err := minimise.Rows(product(t, "daily-steps"), "p", c.grants, c.slots, points)
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.KindInvalid || b != nil || rows != 0 {
			t.Errorf("%s: %s %v", name, b, err)
			continue
		}
		if _, ok := f.Fact(c.fact); !ok {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := minimise.Schema(product(t, "daily-steps"), []minimise.Grant{}); !errors.Is(err, fault.KindInvalid) {
		t.Errorf("a schema of nothing: %v", err)
	}
	nobody := steps(wholeDay(12), 5)
	nobody.Assurance = 0
	if _, _, err := minimise.Stock(product(t, "daily-steps"), []point.Point{nobody}); !errors.Is(err, fault.KindInternal) {
		t.Errorf("a point without assurance: %v", err)
	}
	if _, err := minimise.Facts([]point.Point{nobody}); !errors.Is(err, fault.KindInternal) {
		t.Errorf("a point without assurance: %v", err)
	}
}

func TestAnUnknownCatalogueIsRefused(t *testing.T) {
	t.Parallel()
	file, err := json.Marshal(product(t, "daily-steps"))
	if err != nil {
		t.Fatal(err)
	}
	const facts = `[{"id":"steps_per_day","description":"","health":true,"bands":["below_5000","5000_9999","10000_up"]}]`
	for name, c := range map[string]struct {
		from, to, facts string
	}{
		"a product":      {`"daily-steps"`, `"weekly-steps"`, facts},
		"a version":      {`"version":"1"`, `"version":"2"`, facts},
		"a slot":         {`"person-day"`, `"person-week"`, facts},
		"a schema":       {`step-count:3.0`, `step-count:4.0`, facts},
		"a field":        {`"energy"`, `"floors"`, facts},
		"a unit":         {`"kcal"`, `"kJ"`, facts},
		"a rung":         {`"band"`, `"thousand"`, facts},
		"a fact's bands": {`"band"`, `"band"`, strings.Replace(facts, "5000_9999", "5000_10000", 1)},
	} {
		if !bytes.Contains(file, []byte(c.from)) {
			t.Fatalf("%s is not in the file", c.from)
		}
		cat, err := catalog.Load(fstest.MapFS{
			"products/p.json": {Data: bytes.Replace(file, []byte(c.from), []byte(c.to), 1)}, "facts.json": {Data: []byte(c.facts)},
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := minimise.Check(cat); err == nil {
			t.Errorf("%s that no rule knows was taken", name)
		}
	}
	unknown := *product(t, "daily-steps")
	unknown.Version = "7"
	_, stockErr := minimise.Schemas(&unknown)
	_, sampleErr := minimise.Sample(&unknown)
	for _, err := range []error{stockErr, sampleErr} {
		if f, ok := errors.AsType[*fault.Error](err); !ok || f.Reason != "PRODUCT_UNKNOWN" {
			t.Errorf("%v", err)
		}
	}
}

func TestSamples(t *testing.T) {
	t.Parallel()
	for name, first := range map[string]string{
		"daily-steps":  `{"person":"sample","date":"2026-01-05","steps":4200,"distance":2900,"energy":1850}`,
		"sleep-nights": `{"person":"sample","date":"2026-01-05","asleep":340,"in_bed":362}`,
		"body-weight":  `{"person":"sample","date":"2026-01-05","weight":71.2}`,
		"heart-rate":   `{"person":"sample","date":"2026-01-05","mean":74.5,"lowest":58}`,
	} {
		p := product(t, name)
		rows, err := minimise.Sample(p)
		if err != nil {
			t.Fatal(err)
		}
		if lines := strings.Split(strings.TrimSuffix(string(rows), "\n"), "\n"); lines[0] != first || len(lines) != 7 {
			t.Errorf("%s", rows)
		}
		conforms(t, p, nil, rows)
		again, err := minimise.Sample(p)
		if err != nil || !bytes.Equal(rows, again) {
			t.Errorf("%s: another sample the second time %v", name, err)
		}
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
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
		got, err := minimise.Facts(c.points)
		if err != nil || !maps.Equal(got, c.want) {
			t.Errorf("%s: %v %v", c.name, got, err)
		}
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
