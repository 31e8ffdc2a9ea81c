package source_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// pseudonym stands for a keyed fingerprint.
func pseudonym(name []byte) id.ID { return id.Derive([]byte("a key"), name) }

// feed are the options of the operator's feed.
func feed() source.Options {
	o := berlin
	o.Zone, o.Assurance, o.Correspondent, o.File = "America/New_York", point.OperatorFeed, pseudonym, "ego.csv"
	return o
}

const records = "interaction,direction,correspondent_id,datetime,call_duration,antenna_id\n"

// TestCallDetailRecords: what the extract comes to. Counts and sums were taken from the file by other means (awk).
func TestCallDetailRecords(t *testing.T) {
	t.Parallel()
	b := file(t, "bandicoot/ego.csv")
	if name, ok := source.Detect(b[:200]); !ok || name != source.Bandicoot {
		t.Fatalf("the extract is for %q", name)
	}
	points, s := taken(t, b, feed())
	want := source.Summary{
		Importer: source.Bandicoot, Format: "call-detail-records", Zone: "America/New_York", SHA256: sha256.Sum256(b), Bytes: int64(len(b)), Points: 314,
	}
	if s != want {
		t.Errorf("%+v", s)
	}
	var seconds point.Quantity
	others := map[id.ID]bool{}
	for i := range points {
		p := &points[i]
		q, _ := p.Value(point.CallDuration)
		seconds += q
		others[p.Contact.Correspondent] = true
		text := p.AppendJSON(nil)
		if err := source.Conform(text); err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		back, err := source.Decode(text)
		if err != nil || back.Contact != p.Contact || back.ID != p.ID || !bytes.Equal(back.AppendJSON(nil), text) {
			t.Fatalf("%s came back as %s: %v", text, back.AppendJSON(nil), err)
		}
		if p.Assurance != point.OperatorFeed || p.Modality != point.Unstated {
			t.Fatalf("%+v", p)
		}
	}
	names := map[string]bool{}
	for _, row := range strings.Split(strings.TrimSpace(string(b)), "\n")[1:] {
		names[strings.Split(row, ",")[2]] = true
	}
	if got := bySchema(points); !maps.Equal(got, map[point.Schema]int{point.PhoneCall: 75, point.TextMessage: 239}) || seconds.String() != "266797" ||
		len(set(points)) != 314 || len(others) != len(names) || len(names) < 3 {
		t.Errorf("%v, %s s, %d of %d correspondents", got, seconds, len(others), len(names))
	}
	again, _ := taken(t, b, feed())
	if !slices.Equal(set(again), set(points)) {
		t.Error("other points the second time")
	}
}

func TestACallAsAPoint(t *testing.T) {
	t.Parallel()
	points, _ := taken(t, []byte(records+"call,out,+15550100,2014-03-04 16:35:27,6233,10\r\ncall,in,+15550100,2014-03-04 18:00:00,0,\n"), feed())
	other := pseudonym([]byte("+15550100"))
	p := points[0]
	if p.Frame.Start.Format(time.RFC3339) != "2014-03-04T16:35:27-05:00" || p.Frame.Length() != 6233*time.Second || !p.Created.Equal(p.Frame.End) ||
		p.Contact != (point.Contact{Direction: point.Outgoing, Correspondent: other, Cell: "10"}) {
		t.Errorf("%+v", p)
	}
	if p = points[1]; !p.Frame.IsInstant() || p.Contact != (point.Contact{Direction: point.Incoming, Correspondent: other}) {
		t.Errorf("a call that nobody answered: %+v", p)
	}
	// Another correspondent, way or cell at the same moment is another point.
	ids := map[id.ID]bool{}
	for _, row := range []string{"text,in,A,2014-03-04 18:00:00,,1", "text,in,B,2014-03-04 18:00:00,,1", "text,out,A,2014-03-04 18:00:00,,1", "text,in,A,2014-03-04 18:00:00,0,2"} {
		points, _ := taken(t, []byte(records+row), feed())
		ids[points[0].ID] = true
	}
	if len(ids) != 4 {
		t.Errorf("%d points of 4", len(ids))
	}
}

// TestNoCorrespondentInClear: neither a point nor what is said of a bad row names the other person.
func TestNoCorrespondentInClear(t *testing.T) {
	t.Parallel()
	const number = "+15550100"
	points, _ := taken(t, []byte(records+"call,in,"+number+",2014-03-04 16:35:27,6,10\n"), feed())
	if text := fmt.Sprintf("%+v %s", points, points[0].AppendJSON(nil)); strings.Contains(text, number[1:]) {
		t.Error(text)
	}
	for _, row := range []string{"fax,in,%s,2014-03-04 16:35:27,6,10", "call,in,%s,yesterday,6,10", "call,in,%s,2014-03-04 16:35:27,%[1]s%[1]s,10", "call,%s,x"} {
		if f := refused(t, []byte(records+fmt.Sprintf(row, number)), feed()); strings.Contains(fmt.Sprintf("%+v %v", f, f.Facts), number[1:]) {
			t.Errorf("%v", f)
		}
	}
}

func TestBadCallDetailRecords(t *testing.T) {
	t.Parallel()
	const good = "text,in,A,2014-03-02 07:13:30,,1\n"
	for row, field := range map[string]string{
		"fax,in,A,2014-03-02 07:13:30,,1":         "interaction is neither",
		",in,A,2014-03-02 07:13:30,,1":            "interaction is neither",
		"text,both,A,2014-03-02 07:13:30,,1":      "direction is neither",
		"text,in,,2014-03-02 07:13:30,,1":         "correspondent_id is empty",
		"text,in,A,2014-03-02T07:13:30,,1":        "datetime is no",
		"text,in,A,2014-02-30 07:13:30,,1":        "datetime is no",
		"text,in,A,1999-12-31 07:13:30,,1":        "datetime is before",
		"text,in,A,2014-03-09 02:30:00,,1":        "datetime is a time that the zone's clock never showed",
		"text,in,A,2014-03-02 07:13:30,5,1":       "call_duration is more than 0",
		"call,in,A,2014-03-02 07:13:30,,1":        "call_duration is empty",
		"call,in,A,2014-03-02 07:13:30,-5,1":      "call_duration is less",
		"call,in,A,2014-03-02 07:13:30,long,1":    "call_duration is no number",
		"call,in,A,2014-03-02 07:13:30,93601,1":   "call_duration is more",
		"text,in,A,2014-03-02 07:13:30,,cell one": "antenna_id is no name",
		"text,in,A,2014-03-02 07:13:30":           "row has another number",
		"text,in,\"A,2014-03-02 07:13:30,,1":      "row has a quote",
	} {
		f := refused(t, []byte(records+good+row+"\n"+good), feed())
		name, _ := f.Fact("file")
		line, _ := f.Fact("line")
		what, _ := f.Fact("field")
		if f.Reason != "ROW_INVALID" || name != "ego.csv" || line != "3" || !strings.HasPrefix(what, field) {
			t.Errorf("%s: %s in %s, line %s: %s", row, f.Reason, name, line, what)
		}
	}
	o := feed()
	o.Now = time.Date(2014, 3, 1, 0, 0, 0, 0, time.UTC)
	if f := refused(t, []byte(records+good), o); f.Reason != "ROW_INVALID" {
		t.Errorf("what has not come yet: %v", f)
	}
	o = feed()
	o.Zone = ""
	if f := refused(t, []byte(records+good), o); f.Reason != "ZONE_MISSING" {
		t.Errorf("without a zone: %v", f)
	}
}

// TestOnlyTheFeedBringsTrafficData: no other assurance, and no file of points.
func TestOnlyTheFeedBringsTrafficData(t *testing.T) {
	t.Parallel()
	b := file(t, "bandicoot/ego.csv")
	for _, a := range []point.Assurance{0, point.OwnFile, point.VendorInterface} {
		o := feed()
		o.Assurance = a
		if f := refused(t, b, o); f.Reason != "FORMAT_UNKNOWN" {
			t.Errorf("%v: %v", a, f)
		}
	}
	o := feed()
	o.Correspondent = nil
	if f := refused(t, b, o); f.Reason != "FORMAT_UNKNOWN" {
		t.Errorf("without pseudonyms: %v", f)
	}
	points, _ := taken(t, b, feed())
	text := points[0].AppendJSON(nil)
	if _, err := source.Read(text); err == nil || !strings.Contains(fmt.Sprintf("%+v", err), "schema_id") {
		t.Errorf("a finished point: %v", err)
	}
	if f := refused(t, text, feed()); f.Reason != "ROW_INVALID" {
		t.Errorf("a file of points: %v", f)
	}
}

// FuzzCallDetailRecords: any bytes are refused for a reason or come to points that hold.
func FuzzCallDetailRecords(f *testing.F) {
	f.Add([]byte(records + "call,in,A,2014-03-02 07:13:30,9,1\n"))
	f.Add([]byte(records + "text,out,\"A\",2014-03-02 07:13:30,0,\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		points, s, err := collect(t.Context(), bytes.NewReader(b), feed())
		if err != nil {
			return
		}
		if s.Points != int64(len(points)) {
			t.Fatalf("%+v of %d points", s, len(points))
		}
		for i := range points {
			if err := points[i].Check(); err != nil {
				t.Fatalf("%+v: %v", points[i], err)
			}
			if err := source.Conform(points[i].AppendJSON(nil)); s.Importer == source.Bandicoot && err != nil {
				t.Fatalf("%s: %v", points[i].AppendJSON(nil), err)
			}
		}
	})
}
