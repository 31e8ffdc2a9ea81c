package source_test

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// endless makes a file up as it is read: a beginning, elements until its size is reached, an end.
type endless struct {
	element func(i int) string
	begin   string
	end     string
	size    int
	made    int
	i       int
	rest    []byte
	ended   bool
}

func (e *endless) Read(b []byte) (int, error) {
	for len(e.rest) == 0 {
		switch {
		case e.ended:
			return 0, io.EOF
		case e.i == 0:
			e.rest = append(e.rest[:0], e.begin...)
		case e.made < e.size:
			e.rest = append(e.rest[:0], e.element(e.i)...)
		default:
			e.rest, e.ended = append(e.rest[:0], e.end...), true
		}
		e.made += len(e.rest)
		e.i++
	}
	n := copy(b, e.rest)
	e.rest = e.rest[n:]
	return n, nil
}

// TestMemoryIsFlat over 200 MB of each format. It is not parallel: what lives is measured for the whole process.
func TestMemoryIsFlat(t *testing.T) {
	const size, slack = 200_000_000, 4 << 20
	note := strings.Repeat("note ", 400)
	blanks := strings.Repeat(" ", 16_000)
	points, _ := taken(t, file(t, "withings/measurement.json"), berlin)
	one := string(points[0].AppendJSON(nil))
	for name, e := range map[string]*endless{
		source.Fitabase: {
			begin: "Id,Note,Time,Value\n", size: size,
			element: func(i int) string {
				return fmt.Sprintf("7,%s,4/%d/2016 %d:%02d:%02d,%d\n", note, i/86400%28+1, i/3600%24, i/60%60, i%60, 60+i%40)
			},
		},
		source.Withings: {
			begin: `{"status":0,"body":{"timezone":"Europe/Paris","measuregrps":[{"date":1,"measures":[]}`, end: "]}}", size: size,
			element: func(i int) string {
				return fmt.Sprintf(",\n%s"+`{"date":%d,"measures":[{"value":%d,"type":1,"unit":-3}]}`, blanks, 1693651151+i, 80_000+i%999)
			},
		},
		source.Points: {
			begin: one, size: size,
			element: func(int) string { return "\n" + blanks + one },
		},
		source.Bandicoot: {
			begin: strings.TrimSuffix(records, "\n") + ",note\n", size: size,
			element: func(i int) string {
				return fmt.Sprintf("call,in,%d,2014-01-%02d %02d:%02d:%02d,9,1,%s\n", i, i/86400%28+1, i/3600%24, i/60%60, i%60, note)
			},
		},
		source.Mobility: {
			begin: "startTime,endTime,antenna_id,note\n", size: size,
			element: func(i int) string {
				return fmt.Sprintf("2014-01-%02d %02d:%02d:%02d,,%d,%s\n", i/86400%28+1, i/3600%24, i/60%60, i%60, i, note)
			},
		},
		source.Usage: {
			begin: "startTime,endTime,value,unit,note\n", size: size,
			element: func(i int) string {
				at := time.Date(2014, 1, 1, 0, 0, i, 0, time.UTC)
				return fmt.Sprintf("%s,%s,%d.5,MiB,%s\n", at.Format(time.RFC3339), at.Add(time.Minute).Format(time.RFC3339), i%99, note)
			},
		},
	} {
		var early, late uint64
		n := 0
		emit := func(*point.Point) error {
			n++
			if read := e.made * 10 / size; early == 0 && read >= 1 {
				early = live()
			} else if late == 0 && read >= 9 {
				late = live()
			}
			return nil
		}
		began, o := time.Now(), berlin
		if source.OfFeed(name) {
			o = feed()
		}
		s, err := source.Import(t.Context(), e, o, emit)
		if err != nil || s.Importer != name || s.Bytes < size || int64(n) != s.Points || n < 10_000 {
			t.Fatalf("%s: %+v, %d points: %v", name, s, n, err)
		}
		t.Logf("%s: %d MB, %d points in %v; live at a tenth %d KiB, at nine tenths %d KiB",
			name, s.Bytes/1_000_000, n, time.Since(began).Round(10*time.Millisecond), early>>10, late>>10)
		if early == 0 || late > early+slack {
			t.Errorf("%s: %d bytes live at a tenth of the file, %d at nine tenths", name, early, late)
		}
	}
}

// live is what of the heap is in use.
func live() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// TestHoldsNoMoreThanItReads: measures without a zone wait for it, and only so many of them.
func TestHoldsNoMoreThanItReads(t *testing.T) {
	t.Parallel()
	nowhere := berlin
	nowhere.Zone = ""
	e := &endless{
		begin: `{"status":0,"body":{"measuregrps":[{"date":1,"measures":[]}`, end: `],"timezone":"Europe/Paris"}}`, size: 20_000_000,
		element: func(i int) string {
			return fmt.Sprintf(`,{"date":%d,"measures":[{"value":80000,"type":1,"unit":-3}]}`, 1693651151+i)
		},
	}
	_, err := source.Import(t.Context(), e, nowhere, func(*point.Point) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "ZONE_MISSING") || e.made > 10_000_000 {
		t.Errorf("after %d bytes: %v", e.made, err)
	}
	var b bytes.Buffer
	e = &endless{begin: e.begin, end: e.end, element: e.element, size: 3_000_000}
	if _, err := io.Copy(&b, e); err != nil {
		t.Fatal(err)
	}
	if points, s := taken(t, b.Bytes(), nowhere); len(points) < 10_000 || s.Zone != "Europe/Paris" {
		t.Errorf("%d points in %s", len(points), s.Zone)
	}
}
