package source

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

func zoneOf(t rapid.TB, name string) *time.Location {
	t.Helper()
	zone, err := loadZone(name)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return zone
}

// changes are days on which a zone's clock was put forward or back, or the zone lost a day.
var changes = []struct{ zone, day string }{
	{"Europe/Berlin", "2016-03-27"},
	{"Europe/Berlin", "2016-10-30"},
	{"America/New_York", "2016-11-06"},
	{"Australia/Lord_Howe", "2016-04-03"}, // by half an hour
	{"America/Sao_Paulo", "2016-10-16"},   // at midnight, which was skipped
	{"America/Sao_Paulo", "2016-02-21"},   // at midnight, which came twice
	{"Antarctica/Troll", "2016-10-30"},    // by two hours
	{"Pacific/Apia", "2011-12-30"},        // a day that never was
	{"Asia/Pyongyang", "2015-08-15"},      // to another standard time
	{"UTC", "2016-03-27"},
}

// TestResolve compares with looking at every minute of the days around.
func TestResolve(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := rapid.SampledFrom(changes).Draw(t, "change")
		zone := zoneOf(t, c.zone)
		day, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		wall := day.Add(time.Duration(rapid.IntRange(-30*60, 54*60).Draw(t, "minute")) * time.Minute)
		const layout = "2006-01-02T15:04"
		var want time.Time
		for at := wall.Add(-27 * time.Hour); at.Before(wall.Add(27 * time.Hour)); at = at.Add(time.Minute) {
			if at.In(zone).Format(layout) == wall.Format(layout) {
				want = at
				break
			}
		}
		got, ok := resolve(wall, zone)
		if ok == want.IsZero() || ok && !got.Equal(want) {
			t.Fatalf("%s in %s: %v %v, want %v", wall.Format(layout), c.zone, got, ok, want)
		}
	})
}

func TestDayFrames(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		zone, day, start string
		hours            float64 // 0: no such day
	}{
		{"Europe/Berlin", "2016-04-12", "2016-04-12T00:00:00+02:00", 24},
		{"Europe/Berlin", "2016-03-27", "2016-03-27T00:00:00+01:00", 23},
		{"Europe/Berlin", "2016-10-30", "2016-10-30T00:00:00+02:00", 25},
		{"Australia/Lord_Howe", "2016-04-03", "2016-04-03T00:00:00+11:00", 24.5},
		{"America/Sao_Paulo", "2016-10-16", "2016-10-16T01:00:00-02:00", 23},
		{"America/Sao_Paulo", "2016-10-15", "2016-10-15T00:00:00-03:00", 24},
		{"America/Sao_Paulo", "2016-02-20", "2016-02-20T00:00:00-02:00", 25},
		{"Antarctica/Troll", "2016-10-30", "2016-10-30T00:00:00+02:00", 26},
		{"Pacific/Apia", "2011-12-29", "2011-12-29T00:00:00-10:00", 24},
		{"Pacific/Apia", "2011-12-30", "", 0},
		{"Pacific/Apia", "2011-12-31", "2011-12-31T00:00:00+14:00", 24},
	} {
		wall, err := time.Parse(time.DateOnly, c.day)
		if err != nil {
			t.Fatal(err)
		}
		start, end, ok := dayFrame(wall, zoneOf(t, c.zone))
		if ok != (c.hours != 0) {
			t.Errorf("%s in %s: %v", c.day, c.zone, ok)
			continue
		}
		f := point.Frame{Start: start, End: end}
		if ok && (start.Format(time.RFC3339) != c.start || f.Length().Hours() != c.hours || f.Day() != c.day || f.LastDay() != c.day) {
			t.Errorf("%s in %s: from %s to %s", c.day, c.zone, start, end)
		}
	}
}

// TestHoursOfAChange: what a device that counts by the local hour writes when its clock changes.
func TestHoursOfAChange(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ row, want string }{
		{"3/27/2016 1:00:00 AM,60", "2016-03-27T01:00:00+01:00/2016-03-27T03:00:00+02:00"},
		{"3/27/2016 2:00:00 AM,0", ""}, // nothing was counted in an hour that was not
		{"3/27/2016 3:00:00 AM,60", "2016-03-27T03:00:00+02:00/2016-03-27T04:00:00+02:00"},
		{"10/30/2016 2:00:00 AM,60", "2016-10-30T02:00:00+02:00/2016-10-30T02:00:00+01:00"}, // the first of the two
		{"10/30/2016 3:00:00 AM,60", "2016-10-30T03:00:00+01:00/2016-10-30T04:00:00+01:00"},
		{"4/12/2016 12:00:00 AM,0", "2016-04-12T00:00:00+02:00/2016-04-12T01:00:00+02:00"},
	} {
		got := ""
		b := []byte("Id,ActivityHour,StepTotal\n7," + c.row + "\n")
		o := Options{Zone: "Europe/Berlin", Assurance: point.OwnFile}
		_, err := Import(context.Background(), bytes.NewReader(b), o, func(p *point.Point) error {
			got += p.Frame.Start.Format(time.RFC3339) + "/" + p.Frame.End.Format(time.RFC3339)
			return nil
		})
		if err != nil || got != c.want {
			t.Errorf("%s: %s, want %s %v", c.row, got, c.want, err)
		}
	}
}

func TestUSTime(t *testing.T) {
	t.Parallel()
	layouts := map[string]bool{
		"1/2/2006": false, "01/02/06": false, "1/2/06": false, "1/2/2006 3:04:05 PM": true, "01/02/2006 03:04 PM": true,
		"1/2/06 15:04": true, "1/2/2006 15:04:05": true,
	}
	first := time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)
	rapid.Check(t, func(t *rapid.T) {
		for layout, clock := range layouts {
			at := first.Add(time.Duration(rapid.Int64Range(0, 60*365*86400).Draw(t, "seconds")) * time.Second)
			text := at.Format(layout)
			want, err := time.Parse(layout, text)
			if err != nil {
				t.Fatal(err)
			}
			got, hasClock, ok := usTime([]byte(text))
			if !ok || hasClock != clock || !got.Equal(want) {
				t.Fatalf("%s: %v %v %v", text, got, hasClock, ok)
			}
		}
	})
	for _, text := range []string{
		"", "4", "4/12", "4/12/", "/12/2016", "4//2016", "4/12/2", "4/12/201", "4/12/20160", "013/2/2016", "4/012/2016", "4/31/2016",
		"2/29/2015", "0/1/2016", "4/0/2016", "4/12/2016 ", "4/12/2016 1", "4/12/2016 1 PM", "4/12/2016 1:", "4/12/2016 24:00",
		"4/12/2016 1:60", "4/12/2016 1:00:60", "4/12/2016 1:00:00:00",
		"4/12/2016 13:00 PM", "4/12/2016 0:00 AM", "4/12/2016 1:00 pm", "4/12/2016 1:00PM", "4/12/2016 PM", "2016-04-12",
		"4-12-2016", " 4/12/2016", "+4/12/2016", "4/12/2016x",
	} {
		if at, _, ok := usTime([]byte(text)); ok {
			t.Errorf("%q is %v", text, at)
		}
	}
}

// TestNumbers compares with exact arithmetic.
func TestNumbers(t *testing.T) {
	t.Parallel()
	measures := []point.Measure{point.Distance, point.Energy, point.Weight, point.Pulse, point.Asleep, point.LightActivity}
	scales := []scale{one, minutes, kilometre, units["kg"]["lb"], units["kg"]["oz"], units["m"]["mi"], units["sec"]["wk"], {1, -3}}
	rapid.Check(t, func(t *rapid.T) {
		width := rapid.IntRange(1, 12).Draw(t, "width") // with the whole part, the 17 digits that are kept
		part := rapid.Uint64().Draw(t, "part") % uint64(math.Pow10(width))
		whole, exponent := rapid.IntRange(-99_999, 99_999).Draw(t, "whole"), rapid.IntRange(-6, 3).Draw(t, "exponent")
		text := fmt.Sprintf("%d.%0*de%d", whole, width, part, exponent)
		m, s := rapid.SampledFrom(measures).Draw(t, "measure"), rapid.SampledFrom(scales).Draw(t, "scale")
		want, ok := new(big.Rat).SetString(text)
		if !ok {
			t.Fatalf("%s is no number", text)
		}
		power := new(big.Rat).SetFrac(new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(s.shift, 0))), nil),
			new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(-s.shift, 0))), nil))
		want.Mul(want, power).Mul(want, big.NewRat(int64(s.times)*1000, int64(m.Resolution())))
		rounded, _ := new(big.Int).SetString(want.FloatString(0), 10) // half away from zero
		d, wrong := parseDecimal([]byte(text))
		if wrong.Flaw != "" {
			t.Fatalf("%s %s", text, wrong)
		}
		got, wrong := d.quantity(m, s)
		if wrong.Flaw != "" || int64(got) != rounded.Int64()*int64(m.Resolution()) {
			t.Fatalf("%s is %s %s %s, want %s steps of %s", text, got, m.Unit(), wrong, rounded, m.Resolution())
		}
	})
	for _, text := range []string{
		"", "-", ".", "e3", "1e", "1e+", "1e1000", "1x", "0x10", "1,5", "1 ", " 1", "+1", "NaN", "Infinity", "1.2.3", "--1", "1_0",
	} {
		if d, wrong := parseDecimal([]byte(text)); wrong.Flaw == "" {
			t.Errorf("%q is %v", text, d)
		}
	}
}
