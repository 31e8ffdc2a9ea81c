package minimise_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

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
	if err := (minimise.Values{}).Note(nobody.Day(), []point.Point{nobody}); !errors.Is(err, fault.KindInternal) {
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
