package source_test

import (
	"bytes"
	"context"
	"encoding/csv"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

const testdata = "../../../../testdata/"

var berlin = source.Options{
	Person: id.Derive([]byte("person")), Source: id.Derive([]byte("source")), Zone: "Europe/Berlin", Assurance: point.OwnFile,
}

func file(t testing.TB, name string) []byte {
	t.Helper()
	b, err := os.ReadFile(testdata + name)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// collect imports and keeps the points.
func collect(ctx context.Context, r io.Reader, o source.Options) (points []point.Point, s source.Summary, err error) {
	s, err = source.Import(ctx, r, o, func(p *point.Point) error {
		kept := *p
		kept.Values = slices.Clone(p.Values)
		points = append(points, kept)
		return nil
	})
	return points, s, err
}

// taken imports what must be taken.
func taken(t rapid.TB, b []byte, o source.Options) ([]point.Point, source.Summary) {
	t.Helper()
	points, s, err := collect(context.Background(), bytes.NewReader(b), o)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return points, s
}

// refused imports what must not be taken, and gives the fault.
func refused(t rapid.TB, b []byte, o source.Options) *fault.Error {
	t.Helper()
	points, s, err := collect(context.Background(), bytes.NewReader(b), o)
	f, ok := errors.AsType[*fault.Error](err)
	if !ok || f.Kind != fault.KindInvalid || s != (source.Summary{}) {
		t.Fatalf("%d points, %v: %v", len(points), s, err)
	}
	return f
}

// participants of a Fitabase file, in their order.
func participants(t testing.TB, b []byte) (names []string) {
	t.Helper()
	rows, err := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(b, []byte("\xef\xbb\xbf")))).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows[1:] {
		if !slices.Contains(names, row[0]) {
			names = append(names, row[0])
		}
	}
	return names
}

// everyone imports a file of Fitabase's for each of its people in turn, each with an id of their own.
func everyone(t testing.TB, b []byte, o source.Options) (points []point.Point, people int) {
	t.Helper()
	names := participants(t, b)
	for _, name := range names {
		o.Person, o.Participant = id.Derive([]byte(name)), name
		more, _ := taken(t, b, o)
		points = append(points, more...)
	}
	return points, len(names)
}

// bySchema counts points.
func bySchema(points []point.Point) map[point.Schema]int {
	n := map[point.Schema]int{}
	for i := range points {
		n[points[i].Schema]++
	}
	return n
}

// set is the points as a store keeps them: each once, whatever their order.
func set(points []point.Point) []string {
	all := map[string]bool{}
	for i := range points {
		all[string(points[i].AppendJSON(nil))] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// extracts are the files of testdata.
var extracts = []string{
	"fitabase/dailyActivity_merged.csv", "fitabase/sleepDay_merged.csv", "fitabase/weightLogInfo_merged.csv",
	"fitabase/heartrate_seconds_merged.csv", "fitabase/minuteStepsWide_merged.csv",
	"withings/activity.json", "withings/measurement.json", "withings/measurement_positions.json", "withings/sleep.json",
	"withings/sleep_summary.json",
}

// imported are an extract's points, of all its people.
func imported(t testing.TB, name string) []point.Point {
	t.Helper()
	b := file(t, name)
	if strings.HasPrefix(name, "fitabase/") {
		points, _ := everyone(t, b, berlin)
		return points
	}
	points, _ := taken(t, b, berlin)
	return points
}
