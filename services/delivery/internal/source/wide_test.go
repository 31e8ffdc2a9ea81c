//go:build wide

package source_test

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// statedReasons are refusals of files of known formats that are right: by the reason of the fault, what its field says.
var statedReasons = map[string][]string{
	// Withings answers other questions in the same envelope: devices, goals, notifications, workouts.
	"FORMAT_UNKNOWN": {""},
	"ROW_INVALID": {
		"header.schema_id is none of the schemas taken here",        // a measurement that no product sells
		"header goes against required of header-1.0.json",           // a header of Open mHealth's own, older than IEEE 1752.1's
		"body.descriptive_statistic is not taken",                   // a statistic over measurements
		"body.effective_time_frame.time_interval is no interval",    // a day or a part of one without a clock
		"status is not 0: the file is the answer to a request that", // failed
	},
}

// data is the folder that OBOLE_DATA names.
func data(t *testing.T) fs.FS {
	t.Helper()
	folder := os.Getenv("OBOLE_DATA")
	if folder == "" {
		t.Fatal("OBOLE_DATA is not set: name a folder of exported files, and every one of them is tried")
	}
	if _, err := os.Stat(folder); err != nil {
		t.Fatalf("OBOLE_DATA: %v", err)
	}
	return os.DirFS(folder)
}

// files calls visit for every file below the folder that OBOLE_DATA names.
func files(t *testing.T, visit func(name string, b []byte)) {
	t.Helper()
	tree, n := data(t), 0
	err := fs.WalkDir(tree, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		n++
		visit(name, b)
		return nil
	})
	if err != nil || n == 0 {
		t.Fatalf("%d files in OBOLE_DATA: %v", n, err)
	}
}

// TestWide imports every file that an importer knows, one of several people for each of them in turn, and holds every point
// to the published schemas.
func TestWide(t *testing.T) {
	all, known, taken, refused, persons, total := 0, 0, 0, 0, 0, 0
	points, formats := map[string]int{}, map[string]int{}
	files(t, func(name string, b []byte) {
		all++
		importer, ok := source.Detect(b[:min(len(b), 16<<10)])
		if !ok {
			return
		}
		known++
		o := berlin
		o.File = name
		o.Correspondent = pseudonym
		if source.OfFeed(importer) {
			o.Assurance = point.OperatorFeed
		}
		people := []string{""}
		if importer == source.Fitabase {
			people = participants(t, b)
		}
		format := ""
		for _, person := range people {
			o.Person, o.Participant = id.Derive([]byte(person)), person
			found, s, err := collect(t.Context(), bytes.NewReader(b), o)
			if err != nil {
				refused++
				t.Logf("refused: %v", err)
				if !stated(err) {
					t.Errorf("%s is of a known format and was refused", name)
				}
				return
			}
			format = s.Importer + " " + s.Format
			total += len(found)
			for i := range found {
				points[found[i].Schema.String()]++
				if err := source.Conform(found[i].AppendJSON(nil)); err != nil {
					t.Errorf("%s: a point does not conform: %v", name, err)
				}
			}
		}
		taken++
		formats[format]++
		persons += len(people)
	})
	t.Logf("files: %d, of known formats: %d, taken: %d, refused for a stated reason or a failure above: %d", all, known, taken, refused)
	for _, f := range slices.Sorted(maps.Keys(formats)) {
		t.Logf("  %-30s %d files", f, formats[f])
	}
	t.Logf("imports, one for each person of a file: %d", persons)
	t.Logf("points: %d", total)
	for _, s := range slices.Sorted(maps.Keys(points)) {
		t.Logf("  %-30s %d", s, points[s])
	}
	if taken == 0 {
		t.Error("no file was taken")
	}
}

func stated(err error) bool {
	f, ok := errors.AsType[*fault.Error](err)
	if !ok {
		return false
	}
	field, _ := f.Fact("field")
	return slices.ContainsFunc(statedReasons[f.Reason], func(r string) bool { return strings.HasPrefix(field, r) })
}

// TestWideLabelled holds bodies that their publishers labelled as good or bad to the schemas taken here:
// <namespace>/<schema>/<version>/should{Pass,Fail}/<case>.json.
func TestWideLabelled(t *testing.T) {
	n := 0
	files(t, func(name string, b []byte) {
		part := strings.Split(name, "/")
		if len(part) < 5 || path.Ext(name) != ".json" {
			return
		}
		part = part[len(part)-5:]
		s := point.Schema{Namespace: part[0], Name: part[1], Version: part[2]}
		good := part[3] == "shouldPass"
		if !slices.Contains(point.Schemas(), s) || !good && part[3] != "shouldFail" {
			return
		}
		n++
		err := source.Conform(fmt.Appendf(nil, `{"header":{"uuid":"3b3a6a3c-22b4-4a5e-9b86-2c5d1f0a31d7",`+
			`"schema_id":{"namespace":%q,"name":%q,"version":%q},"source_creation_date_time":"2016-04-13T00:00:00Z"},"body":%s}`,
			s.Namespace, s.Name, s.Version, b))
		if (err == nil) != good {
			t.Errorf("%s: %v", name, err)
		}
	})
	t.Logf("labelled bodies of schemas taken here: %d", n)
}
