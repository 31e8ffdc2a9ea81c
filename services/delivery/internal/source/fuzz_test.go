package source_test

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// reasons are all that may be wrong with a file.
var reasons = []string{"FORMAT_UNKNOWN", "ROW_INVALID", "ZONE_MISSING", "PERSON_MISSING"}

// anyBytes must be refused for a reason, or give points that hold to all that points hold to.
func anyBytes(t *testing.T, b []byte, importer string) {
	t.Helper()
	o := berlin
	o.Importer = importer
	points, s, err := collect(t.Context(), bytes.NewReader(b), o)
	if err != nil {
		f, ok := errors.AsType[*fault.Error](err)
		if !ok || f.Kind != fault.KindInvalid || !slices.Contains(reasons, f.Reason) {
			t.Fatalf("%v", err)
		}
		return
	}
	if s.Bytes != int64(len(b)) || s.Points != int64(len(points)) || s.Importer != importer || s.Format == "" {
		t.Fatalf("%+v of %d bytes, %d points", s, len(b), len(points))
	}
	for i := range points {
		p := &points[i]
		if err := p.Check(); err != nil {
			t.Fatalf("%+v: %v", p, err)
		}
		text := p.AppendJSON(nil)
		if err := source.Conform(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		back, err := source.Decode(text)
		if err != nil || !bytes.Equal(back.AppendJSON(nil), text) {
			t.Fatalf("%s came back as %s: %v", text, back.AppendJSON(nil), err)
		}
	}
	again, _ := taken(t, b, o)
	if !slices.Equal(set(again), set(points)) {
		t.Fatal("other points the second time")
	}
}

// seeds are the beginnings of extracts, whole where they are small.
func seeds(f *testing.F, prefix string) {
	f.Helper()
	for _, name := range extracts {
		b := file(f, name)
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		if prefix == "fitabase/" {
			b = bytes.Join(bytes.SplitAfter(b, []byte("\n"))[:4], nil)
		}
		f.Add(b[:min(len(b), 4096)])
		if len(b) <= 16<<10 {
			f.Add(b)
		}
	}
}

func FuzzFitabase(f *testing.F) {
	seeds(f, "fitabase/")
	f.Add([]byte("Id,ActivityHour,StepTotal\n7,3/27/2016 2:00:00 AM,0\n7,10/30/2016 2:00:00 AM,60\n"))
	f.Add([]byte("\xef\xbb\xbf\"Id\",Time,Value\r\n7,\"4/1/16 07:54\",9.3E+01"))
	f.Fuzz(func(t *testing.T, b []byte) { anyBytes(t, b, source.Fitabase) })
}

func FuzzWithings(f *testing.F) {
	seeds(f, "withings/")
	f.Add([]byte(`{"status":0,"body":{"series":{"1618691453":{"steps":12,"duration":60}},"timezone":"Asia/Tokyo"}}`))
	f.Fuzz(func(t *testing.T, b []byte) { anyBytes(t, b, source.Withings) })
}

func FuzzPoints(f *testing.F) {
	for _, name := range extracts[5:] {
		points := imported(f, name)
		var lines []byte
		for i := range points[:2] {
			f.Add(points[i].AppendJSON(nil))
			lines = append(points[i].AppendJSON(lines), '\n')
		}
		f.Add(lines)
	}
	f.Add([]byte(`[{"header":{"uuid":"3b3a6a3c-22b4-4a5e-9b86-2c5d1f0a31d7",` +
		`"schema_id":{"namespace":"omh","name":"body-weight","version":"2.0"},` +
		`"source_creation_date_time":"2016-04-13T00:00:00+02:00"},"body":{"body_weight":{"value":116.0,"unit":"lb"},"effective_time_frame":` +
		`{"time_interval":{"end_date_time":"2016-04-12T00:00:00Z","duration":{"value":5,"unit":"min"}}}}}]`))
	f.Fuzz(func(t *testing.T, b []byte) { anyBytes(t, b, source.Points) })
}
