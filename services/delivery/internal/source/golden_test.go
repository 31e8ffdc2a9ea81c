package source_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// TestExtracts: what each extract comes to. Counts and sums were taken from the files by other means (awk, Python).
func TestExtracts(t *testing.T) {
	t.Parallel()
	type counts = map[point.Schema]int
	for _, c := range []struct {
		file, importer, format, zone string
		people                       int
		points                       counts
		distinct                     int
		measure                      point.Measure
		sum                          string // of the measure, over all points
	}{
		{
			"fitabase/dailyActivity_merged.csv", source.Fitabase, "daily-activity", "Europe/Berlin", 33,
			counts{point.StepCount: 940, point.PhysicalActivity: 864, point.CaloriesBurned: 936},
			2740, point.Steps, "7179636",
		},
		{
			"fitabase/sleepDay_merged.csv", source.Fitabase, "sleep-day", "Europe/Berlin", 24,
			counts{point.TotalSleepTime: 413, point.TimeInBed: 413},
			820, point.Asleep, "10394400",
		},
		{
			"fitabase/weightLogInfo_merged.csv", source.Fitabase, "weight-log", "Europe/Berlin", 8,
			counts{point.BodyWeight: 67},
			67, point.Weight, "4826.4",
		},
		{
			"fitabase/heartrate_seconds_merged.csv", source.Fitabase, "heart-rate", "Europe/Berlin", 1,
			counts{point.HeartRate: 1000},
			1000, point.Pulse, "100063",
		},
		{
			"fitabase/minuteStepsWide_merged.csv", source.Fitabase, "minute-steps", "Europe/Berlin", 2,
			counts{point.StepCount: 289},
			289, point.Steps, "11091",
		},
		{
			"withings/activity.json", source.Withings, "activity", "Europe/Amsterdam", 1,
			counts{point.StepCount: 2, point.PhysicalActivity: 2, point.CaloriesBurned: 2},
			6, point.Distance, "2048.68",
		},
		{
			"withings/measurement.json", source.Withings, "measures", "Europe/Amsterdam", 1,
			counts{point.BodyWeight: 2},
			1, point.Weight, "236.006",
		},
		{
			"withings/measurement_positions.json", source.Withings, "measures", "Europe/Berlin", 1,
			counts{point.BodyWeight: 2},
			2, point.Weight, "192.294",
		},
		{
			"withings/sleep.json", source.Withings, "sleep", "Europe/Berlin", 1,
			counts{point.HeartRate: 47},
			47, point.Pulse, "2845",
		},
		{
			"withings/sleep_summary.json", source.Withings, "summary", "Europe/Paris", 1,
			counts{point.TimeInBed: 14, point.SleepEpisode: 14},
			28, point.InBed, "377618",
		},
	} {
		b := file(t, c.file)
		o := berlin
		people := 1
		if c.importer == source.Fitabase {
			names := participants(t, b)
			o.Participant, people = names[0], len(names)
		}
		if name, ok := source.Detect(b[:min(len(b), 4096)]); !ok || name != c.importer {
			t.Errorf("%s is for %q", c.file, name)
		}
		points, s := taken(t, b, o)
		want := source.Summary{
			Importer: c.importer, Format: c.format, Zone: c.zone, SHA256: sha256.Sum256(b), Bytes: int64(len(b)), Points: int64(len(points)),
		}
		if s != want {
			t.Errorf("%s: %+v", c.file, s)
		}
		all := imported(t, c.file)
		var sum point.Quantity
		for i := range all {
			q, _ := all[i].Value(c.measure)
			sum += q
		}
		if got := bySchema(all); !maps.Equal(got, c.points) || people != c.people || len(set(all)) != c.distinct || sum.String() != c.sum {
			t.Errorf("%s: %d people, %v, %d distinct, %s of %s", c.file, people, got, len(set(all)), sum, c.measure.Key())
		}
	}
}

// TestPointsGoThroughJSON: every point of every extract conforms to the published schemas and comes back as it was, and
// the importer of points takes it from a file of them.
func TestPointsGoThroughJSON(t *testing.T) {
	t.Parallel()
	for _, name := range extracts {
		points := imported(t, name)
		var lines []byte
		for i := range points {
			p := &points[i]
			b := p.AppendJSON(nil)
			if err := source.Conform(b); err != nil {
				t.Fatalf("%s: %s: %v", name, b, err)
			}
			back, err := source.Decode(b)
			if err != nil {
				t.Fatalf("%s: %s: %v", name, b, err)
			}
			if back.ID != p.ID || !reflect.DeepEqual(back.Values, p.Values) || !back.Frame.Equal(p.Frame) || back.Frame.Day() != p.Frame.Day() ||
				back.Schema != p.Schema || back.Position != p.Position || back.Modality != p.Modality || !back.Created.Equal(p.Created) {
				t.Fatalf("%s: %+v came back as %+v", name, p, back)
			}
			if again := back.AppendJSON(nil); !bytes.Equal(again, b) {
				t.Fatalf("%s: %s came back as %s", name, b, again)
			}
			if read, err := source.Read(b); err != nil || read.ID != (id.ID{}) {
				t.Fatalf("%s: %v %v", name, read.ID, err)
			}
			lines = append(append(lines, b...), '\n')
		}
		if strings.HasPrefix(name, "fitabase/") {
			continue // their people have ids of their own
		}
		reread, s := taken(t, lines, source.Options{Person: berlin.Person, Source: berlin.Source, Assurance: point.OwnFile})
		if !slices.Equal(set(reread), set(points)) || s.Importer != source.Points || s.Zone != "" {
			t.Errorf("%s: %d points of %d: %v", name, len(reread), len(points), s)
		}
	}
}

func TestTheSameFileTwice(t *testing.T) {
	t.Parallel()
	for _, name := range extracts {
		one, two := imported(t, name), imported(t, name)
		if !reflect.DeepEqual(one, two) || len(one) == 0 {
			t.Errorf("%s gives other points the second time", name)
		}
		for i := range one {
			if one[i].Source != berlin.Source || one[i].Assurance != point.OwnFile || one[i].Check() != nil {
				t.Fatalf("%s: %+v", name, one[i])
			}
		}
	}
	// Another person, or the same one's other device, has other points.
	b, o := file(t, "withings/measurement.json"), berlin
	mine, _ := taken(t, b, o)
	o.Person = id.Derive([]byte("another"))
	theirs, _ := taken(t, b, o)
	o = berlin
	o.Source = id.Derive([]byte("another"))
	device, _ := taken(t, b, o)
	if mine[0].ID == theirs[0].ID || mine[0].ID == device[0].ID || theirs[0].ID == device[0].ID {
		t.Error("points of two people or sources have one id")
	}
}

// TestTheOrderOfRowsDoesNotMatter, nor that of a document's elements.
func TestTheOrderOfRowsDoesNotMatter(t *testing.T) {
	t.Parallel()
	for _, name := range extracts[:5] {
		b := file(t, name)
		rows := bytes.SplitAfter(bytes.TrimSuffix(b, []byte("\n")), []byte("\n"))
		last := len(rows) - 1
		if !bytes.HasSuffix(rows[last], []byte("\n")) {
			rows[last] = append(slices.Clone(rows[last]), "\r\n"...)
		}
		o := berlin
		o.Participant = participants(t, b)[0]
		points, _ := taken(t, b, o)
		want := set(points)
		rapid.Check(t, func(t *rapid.T) {
			shuffled := slices.Clone(rows)
			random := rand.New(rand.NewPCG(rapid.Uint64().Draw(t, "seed"), 0))
			random.Shuffle(last, func(i, j int) { shuffled[i+1], shuffled[j+1] = shuffled[j+1], shuffled[i+1] })
			got, _ := taken(t, slices.Concat(shuffled...), o)
			if !slices.Equal(set(got), want) {
				t.Fatalf("%s: other points in another order", name)
			}
		})
	}
	zoned := berlin
	zoned.Zone = ""
	const group = `{"date":1693651151,"modified":1693651185,"measures":[{"value":118003,"type":1,"unit":-3}]}`
	const other = `{"date":1693741151,"modified":1693741185,"measures":[{"value":117003,"type":1,"unit":-3}]}`
	first, _ := taken(t, []byte(`{"status":0,"body":{"timezone":"Asia/Tokyo","measuregrps":[`+group+`,`+other+`]}}`), zoned)
	last, _ := taken(t, []byte(`{"body":{"measuregrps":[`+other+`,`+group+`],"timezone":"Asia/Tokyo"},"status":0}`), zoned)
	if !slices.Equal(set(first), set(last)) || len(first) != 2 || first[0].Frame.Start.Format("-07:00") != "+09:00" {
		t.Errorf("%v and %v", set(first), set(last))
	}
}

func TestWaysToWriteTheSame(t *testing.T) {
	t.Parallel()
	const plain = "Id,Date,WeightKg,IsManualReport\n7,5/2/2016 11:59:59 PM,52.6,True\n"
	points, _ := taken(t, []byte(plain), berlin)
	want := set(points)
	for name, text := range map[string]string{
		"a byte order mark":        "\xef\xbb\xbf" + plain,
		"CRLF":                     strings.ReplaceAll(plain, "\n", "\r\n"),
		"no end of the last line":  strings.TrimSuffix(plain, "\n"),
		"empty lines":              strings.ReplaceAll(plain, "\n", "\n\n"),
		"quotes":                   "\"Id\",Date,\"WeightKg\",IsManualReport\n7,\"5/2/2016 11:59:59 PM\",\"52.6\",True\n",
		"spaces":                   "Id, Date, WeightKg, IsManualReport\n7, 5/2/2016 11:59:59 PM, 52.6, True\n",
		"other columns between":    "Id,Note,Date,WeightKg,IsManualReport\n7,\"a \"\"b\"\", c\",5/2/2016 11:59:59 PM,52.6,True\n",
		"a float's digits":         strings.Replace(plain, "52.6,", "52.5999984741211,", 1),
		"a float's exponent":       strings.Replace(plain, "52.6,", "5.26E+01,", 1),
		"a clock of 24 hours":      strings.Replace(plain, "11:59:59 PM", "23:59:59", 1),
		"a year of two digits":     strings.Replace(plain, "2016", "16", 1),
		"zeros before":             strings.Replace(plain, "5/2/2016", "05/02/2016", 1),
		"another case":             strings.Replace(plain, "True", "TRUE", 1),
		"digits beyond all reason": strings.Replace(plain, "52.6,", "52.600000000000000000000000000000000001,", 1),
	} {
		got, _ := taken(t, []byte(text), berlin)
		if !slices.Equal(set(got), want) {
			t.Errorf("%s: %v, want %v", name, set(got), want)
		}
	}
}

func TestOnlyTheDaysAsked(t *testing.T) {
	t.Parallel()
	b := file(t, "fitabase/sleepDay_merged.csv")
	o := berlin
	o.Participant, o.First, o.Last = participants(t, b)[0], "2016-04-13", "2016-04-16"
	points, _ := taken(t, b, o)
	days := map[string]int{}
	for _, p := range points {
		days[p.Frame.LastDay()]++
	}
	if want := map[string]int{"2016-04-13": 2, "2016-04-15": 2, "2016-04-16": 2}; !maps.Equal(days, want) {
		t.Errorf("%v", days)
	}
	// A night is of the day on which it ends.
	b, o = file(t, "withings/sleep_summary.json"), berlin
	o.First, o.Last = "2021-04-18", "2021-04-18"
	if points, _ = taken(t, b, o); len(points) != 2 || points[0].Frame.Day() != "2021-04-17" {
		t.Errorf("%v", set(points))
	}
}

// TestReadersAndReceivers: bytes may come as they like, and what is not about the file comes back as it is.
func TestReadersAndReceivers(t *testing.T) {
	t.Parallel()
	broken, full := errors.New("the wire broke"), errors.New("the store is full")
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	for _, name := range extracts {
		b, o := file(t, name), berlin
		if strings.HasPrefix(name, "fitabase/") {
			o.Participant = participants(t, b)[0]
		}
		want, whole := taken(t, b, o)
		for _, r := range []io.Reader{iotest.HalfReader(bytes.NewReader(b)), iotest.DataErrReader(bytes.NewReader(b))} {
			points, s, err := collect(t.Context(), r, o)
			if err != nil || s != whole || !reflect.DeepEqual(points, want) {
				t.Errorf("%s: %v %v", name, s, err)
			}
		}
		_, s, err := collect(t.Context(), io.MultiReader(bytes.NewReader(b[:len(b)*2/3]), iotest.ErrReader(broken)), o)
		if !errors.Is(err, broken) || s != (source.Summary{}) {
			t.Errorf("%s: a broken reader gives %v", name, err)
		}
		if _, err := source.Import(t.Context(), bytes.NewReader(b), o, func(*point.Point) error { return full }); !errors.Is(err, full) {
			t.Errorf("%s: a receiver that fails gives %v", name, err)
		}
		if _, _, err := collect(cancelled, bytes.NewReader(b), o); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: a context that ended gives %v", name, err)
		}
		o.Importer = source.Points
		f := refused(t, b, o)
		if whose, _ := f.Fact("importer"); f.Reason != "FORMAT_UNKNOWN" || whose == "" {
			t.Errorf("%s: another importer's source gives %v", name, f)
		}
		o.Importer = whole.Importer
		if again, _ := taken(t, b, o); len(again) != len(want) {
			t.Errorf("%s: its own importer gives %d points", name, len(again))
		}
	}
	var f *fault.Error
	if _, _, err := collect(t.Context(), iotest.ErrReader(broken), berlin); !errors.Is(err, broken) || errors.As(err, &f) {
		t.Errorf("a reader broken from the start gives %v", err)
	}
}
