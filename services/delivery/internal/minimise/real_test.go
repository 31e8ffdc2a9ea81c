package minimise_test

import (
	"bytes"
	"encoding/csv"
	"os"
	"slices"
	"testing"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// people are the points of everyone in a file of Fitabase's.
func people(t *testing.T, file string) map[string][]point.Point {
	t.Helper()
	b, err := os.ReadFile("../../../../testdata/fitabase/" + file)
	if err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(bytes.NewReader(b)).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	out := map[string][]point.Point{}
	for _, row := range rows[1:] {
		name := row[0]
		if out[name] != nil {
			continue
		}
		o := source.Options{
			Person: id.Derive([]byte(name)), Source: id.Derive([]byte("source")), Zone: "Europe/Berlin", Participant: name, Assurance: point.OwnFile,
		}
		if _, err := source.Import(t.Context(), bytes.NewReader(b), o, func(p *point.Point) error {
			kept := *p
			kept.Values = slices.Clone(p.Values)
			out[name] = append(out[name], kept)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return out
}

// TestRealPeople: counts of the published data (testdata/fitabase/README.md): 77 days without a step, 2 nights below an hour.
func TestRealPeople(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		file, product           string
		people, slots, expected int
	}{
		{"dailyActivity_merged.csv", "daily-steps", 33, 863, 940},
		{"sleepDay_merged.csv", "sleep-nights", 24, 408, 410},
		{"weightLogInfo_merged.csv", "body-weight", 8, 67, 67},
		{"heartrate_seconds_merged.csv", "heart-rate", 1, 1, 1},
		{"minuteStepsWide_merged.csv", "daily-steps", 2, 2, 2},
	} {
		everyone := people(t, c.file)
		slots, expected, rows := 0, 0, 0
		for _, points := range everyone {
			p := product(t, c.product)
			found, of := stock(t, c.product, points...)
			slots, expected = slots+len(found), expected+of
			var days []string
			for _, s := range found {
				days = append(days, s.Day)
			}
			for _, rung := range []int{0, 1} {
				var grants []minimise.Grant
				for _, f := range p.Fields {
					grants = append(grants, minimise.Grant{Field: f.ID, Rung: f.Rungs[min(rung, len(f.Rungs)-1)].ID})
				}
				b, n, err := minimise.Rows(p, "p", grants, days, points)
				if err != nil {
					t.Fatal(err)
				}
				conforms(t, p, grants, b)
				rows += n
			}
		}
		if len(everyone) != c.people || slots != c.slots || expected != c.expected || rows != 2*slots {
			t.Errorf("%s: %d people, %d slots of %d, %d rows", c.file, len(everyone), slots, expected, rows)
		}
	}
}
