package source_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// tables are the operator's layouts of our own, each with a header and a row that holds.
var tables = []struct {
	importer, format, file, header, row string
	schema                              point.Schema
	rows                                int
	sum                                 string
}{
	{source.Mobility, "cell-visits", "mobile/visits.csv", "startTime,endTime,antenna_id\n", "2014-03-02 07:13:30,2014-03-02 08:22:30,1\n", point.CellVisit, 210, "1529477"},
	{source.Usage, "data-use", "mobile/usage.csv", "startTime,endTime,value,unit,antenna_id\n", "2014-03-02 07:30:45,2014-03-02 07:57:05,15.442,MiB,1\n", point.DataUse, 377, "8744.87"},
}

// TestTablesOfTheFeed: what the files come to. Counts and sums were taken from the files by other means (awk).
func TestTablesOfTheFeed(t *testing.T) {
	t.Parallel()
	for _, c := range tables {
		b := file(t, c.file)
		if name, ok := source.Detect(b[:200]); !ok || name != c.importer {
			t.Fatalf("%s is for %q", c.file, name)
		}
		points, s := taken(t, b, feed())
		want := source.Summary{
			Importer: c.importer, Format: c.format, Zone: "America/New_York", SHA256: sha256.Sum256(b), Bytes: int64(len(b)), Points: int64(c.rows),
		}
		if s != want {
			t.Errorf("%s: %+v", c.file, s)
		}
		var sum point.Quantity
		for i := range points {
			p := &points[i]
			sum += p.Values[0].Quantity
			text := p.AppendJSON(nil)
			if err := source.Conform(text); err != nil {
				t.Fatalf("%s: %v", text, err)
			}
			back, err := source.Decode(text)
			if err != nil || back.Contact != p.Contact || back.ID != p.ID || !bytes.Equal(back.AppendJSON(nil), text) {
				t.Fatalf("%s came back as %s: %v", text, back.AppendJSON(nil), err)
			}
			if p.Schema != c.schema || p.Assurance != point.OperatorFeed || p.Contact.Cell == "" || p.Contact.Direction != 0 || !p.Contact.Correspondent.IsZero() {
				t.Fatalf("%+v", p)
			}
		}
		if sum.String() != c.sum || len(set(points)) != c.rows {
			t.Errorf("%s: %s in %d points", c.file, sum, len(set(points)))
		}
		again, _ := taken(t, b, feed())
		if !slices.Equal(set(again), set(points)) {
			t.Errorf("%s: other points the second time", c.file)
		}
		// Neither by another way, nor as finished points.
		for _, a := range []point.Assurance{0, point.OwnFile, point.VendorInterface} {
			o := feed()
			o.Assurance = a
			if f := refused(t, b, o); f.Reason != "FORMAT_UNKNOWN" {
				t.Errorf("%v: %v", a, f)
			}
		}
		if _, err := source.Read(points[0].AppendJSON(nil)); err == nil || !strings.Contains(fmt.Sprintf("%+v", err), "schema_id") {
			t.Errorf("a finished point: %v", err)
		}
	}
}

// TestTimesWithAnOffset are told by the clock of the zone that the caller names, else by their own; one without needs a zone.
func TestTimesWithAnOffset(t *testing.T) {
	t.Parallel()
	b := []byte("startTime,endTime,value,unit\n2014-03-02T12:30:00Z,2014-03-02T14:00:00+01:00,0.25,GiB\n")
	points, s := taken(t, b, feed())
	if p := points[0]; p.Frame.Start.Format(time.RFC3339) != "2014-03-02T07:30:00-05:00" || p.Frame.Length() != 30*time.Minute ||
		p.Values[0].Quantity.String() != "256" || p.Contact != (point.Contact{}) || s.Zone != "America/New_York" {
		t.Errorf("%+v, %+v", p, s)
	}
	text := points[0].AppendJSON(nil)
	if !strings.Contains(string(text), `"body":{"data_volume":{"value":256,"unit":"MiB"},"effective_time_frame"`) {
		t.Errorf("%s", text)
	}
	o := feed()
	o.Zone = ""
	points, s = taken(t, b, o)
	if p := points[0]; p.Frame.Start.Format(time.RFC3339) != "2014-03-02T12:30:00Z" || s.Zone != "" {
		t.Errorf("%+v, %+v", p, s)
	}
	for _, c := range tables {
		if f := refused(t, []byte(c.header+c.row), o); f.Reason != "ZONE_MISSING" {
			t.Errorf("without a zone: %v", f)
		}
	}
}

// TestWhatLastsWhileTheClockIsTurnedBack: by the local clock it ends before it began. That is its length all the same, and no reason to refuse
// the file; on another day it is, and where an offset says which hour is meant.
func TestWhatLastsWhileTheClockIsTurnedBack(t *testing.T) {
	t.Parallel()
	const header = "startTime,endTime,antenna_id\n"
	points, _ := taken(t, []byte(header+"2014-11-02 01:50:00,2014-11-02 01:10:00,1\n"), feed())
	if p := points[0]; p.Frame.Length() != 20*time.Minute || p.Frame.Start.Format(time.RFC3339) != "2014-11-02T01:50:00-04:00" {
		t.Errorf("%v for %v", p.Frame, p.Frame.Length())
	}
	for _, row := range []string{
		"2014-11-03 01:50:00,2014-11-03 01:10:00,1\n", "2014-11-02 03:50:00,2014-11-02 01:10:00,1\n",
		"2014-11-02T01:50:00-04:00,2014-11-02T01:10:00-04:00,1\n",
	} {
		if f := refused(t, []byte(header+row), feed()); f.Reason != "ROW_INVALID" {
			t.Errorf("%s%v", row, f)
		}
	}
}

// TestASightingIsAnInstant: a stay without an end, or that ends as it begins.
func TestASightingIsAnInstant(t *testing.T) {
	t.Parallel()
	points, _ := taken(t, []byte("antenna_id,startTime,endTime,imei\n7,2014-03-02 07:13:30,,1\n7,2014-03-02 07:14:30,2014-03-02 07:14:30,1\n"), feed())
	for i := range points {
		p := &points[i]
		if !p.Frame.IsInstant() || p.Values[0].Quantity != 0 || p.Contact.Cell != "7" || source.Conform(p.AppendJSON(nil)) != nil {
			t.Errorf("%+v", p)
		}
	}
}

func TestBadRowsOfTheFeed(t *testing.T) {
	t.Parallel()
	const mobile, use = 0, 1
	for _, c := range []struct {
		table      int
		row, field string
	}{
		{mobile, "yesterday,2014-03-02 08:22:30,1", "startTime is no"},
		{mobile, ",2014-03-02 08:22:30,1", "startTime is no"},
		{mobile, "2014-02-30 07:13:30,2014-03-02 08:22:30,1", "startTime is no"},
		{mobile, "1999-12-31 07:13:30,1999-12-31 08:22:30,1", "startTime is before"},
		{mobile, "2014-03-09 02:30:00,2014-03-09 05:30:00,1", "startTime is a time that the zone's clock never showed"},
		{mobile, "2014-03-02 07:13:30,2014-03-02 07:13:29,1", "endTime ends before"},
		{mobile, "2014-03-02 07:13:30,2014-03-03 09:13:31,1", "endTime is longer"},
		{mobile, "2014-03-02 07:13:30,2014-03-02T08:13:30,1", "endTime is neither"},
		{mobile, "2014-03-02 07:13:30,2014-03-02 08:13:30,", "antenna_id is empty"},
		{mobile, "2014-03-02 07:13:30,2014-03-02 08:13:30,cell one", "antenna_id is no name"},
		{mobile, "2014-03-02 07:13:30,2014-03-02 08:13:30", "row has another number"},
		{use, "2014-03-02 07:13:30,,1,MiB,1", "endTime is empty"},
		{use, "2014-03-02 07:13:30,2014-03-02 07:13:30,1,MiB,1", "endTime ends before"},
		{use, "2014-03-02 07:13:30,2014-03-02 08:13:30,,MiB,1", "value is empty"},
		{use, "2014-03-02 07:13:30,2014-03-02 08:13:30,much,MiB,1", "value is no number"},
		{use, "2014-03-02 07:13:30,2014-03-02 08:13:30,-1,MiB,1", "value is less"},
		{use, "2014-03-02 07:13:30,2014-03-02 07:13:31,9999999,MiB,1", "value is more"},
		{use, "2014-03-02 07:13:30,2014-03-02 08:13:30,1,MB,1", "unit is neither MiB nor GiB"},
		{use, "2014-03-02 07:13:30,2014-03-02 08:13:30,1,,1", "unit is neither MiB nor GiB"},
		{use, "2014-03-02 07:13:30,2014-03-02 08:13:30,1,MiB,a/b", "antenna_id is no name"},
	} {
		table := tables[c.table]
		f := refused(t, []byte(table.header+table.row+c.row+"\n"+table.row), feed())
		name, _ := f.Fact("file")
		line, _ := f.Fact("line")
		what, _ := f.Fact("field")
		if f.Reason != "ROW_INVALID" || name != "ego.csv" || line != "3" || !strings.HasPrefix(what, c.field) {
			t.Errorf("%s: %s in %s, line %s: %s", c.row, f.Reason, name, line, what)
		}
	}
	o := feed()
	o.Now = time.Date(2014, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range tables {
		if f := refused(t, []byte(c.header+c.row), o); f.Reason != "ROW_INVALID" {
			t.Errorf("what has not come yet: %v", f)
		}
	}
}

// TestWhereAntennasStand: the extract's table, and what is wrong with others.
func TestWhereAntennasStand(t *testing.T) {
	t.Parallel()
	got, err := source.Antennas(bytes.NewReader(file(t, "bandicoot/antennas.csv")), "antennas.csv")
	if err != nil || len(got) != 27 || got["11"] != (source.Antenna{Latitude: 42_373_917, Longitude: -70_067_374}) {
		t.Errorf("%d, %+v: %v", len(got), got["11"], err)
	}
	if none, err := source.OpenAntennas(""); err != nil || none != nil {
		t.Errorf("%v, %v", none, err)
	}
	if _, err := source.OpenAntennas("there is no such file"); !os.IsNotExist(err) {
		t.Errorf("%v", err)
	}
	for text, want := range map[string]string{
		"antenna,latitude,longitude\n1,2,3\n":              "columns",
		"antenna_id,latitude,longitude\n1,2,3\n1,2,3\n":    "antenna_id is empty or stands there twice",
		"antenna_id,latitude,longitude\n1,2,3\n,2,3\n":     "antenna_id is empty or stands there twice",
		"antenna_id,latitude,longitude\n1,2,3\n2,north,3":  "latitude is no number",
		"antenna_id,latitude,longitude\n1,2,3\n2,90.1,3":   "latitude is no angle",
		"antenna_id,latitude,longitude\n1,2,3\n2,2,-180.1": "longitude is no angle",
		"antenna_id,latitude,longitude\n1,2,3\n2,2":        "row has another number",
	} {
		_, err := source.Antennas(strings.NewReader(text), "cells.csv")
		if said := fmt.Sprintf("%+v", err); err == nil || !strings.Contains(said, want) || !strings.Contains(said, "cells.csv") {
			t.Errorf("%q: %v", text, said)
		}
	}
}

// FuzzTablesOfTheFeed: any bytes are refused for a reason or come to points that hold.
func FuzzTablesOfTheFeed(f *testing.F) {
	for _, c := range tables {
		f.Add([]byte(c.header + c.row))
	}
	f.Add([]byte("startTime,endTime,value,unit\n2014-03-02T12:30:00Z,2014-03-02T14:00:00+01:00,0.25,GiB\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		points, s, err := collect(t.Context(), bytes.NewReader(b), feed())
		if err != nil {
			return
		}
		for i := range points {
			if err := points[i].Check(); err != nil {
				t.Fatalf("%+v: %v", points[i], err)
			}
			if err := source.Conform(points[i].AppendJSON(nil)); source.OfFeed(s.Importer) && err != nil {
				t.Fatalf("%s: %v", points[i].AppendJSON(nil), err)
			}
		}
	})
}
