package store

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// A page is a version and its points one after the other. Times are microseconds and their offset from UTC in seconds, so a point
// comes back as it went in.
const pageVersion = 1

var errPage = errors.New("store: malformed page")

// appendPoint appends one point; schema, source and assurance are the page's.
func appendPoint(b []byte, p *point.Point) []byte {
	b = appendTime(b, p.Frame.Start)
	if p.Frame.IsInstant() {
		b = append(b, 0)
	} else {
		b = appendTime(append(b, 1), p.Frame.End)
	}
	b = appendTime(b, p.Created)
	b = append(b, byte(p.Modality), byte(len(p.Position)))
	b = append(b, p.Position...)
	b = append(b, byte(len(p.Values)))
	for _, v := range p.Values {
		b = binary.AppendVarint(append(b, byte(v.Measure)), int64(v.Quantity))
	}
	return b
}

func appendTime(b []byte, t time.Time) []byte {
	_, offset := t.Zone()
	return binary.AppendVarint(binary.AppendVarint(b, t.UnixMicro()), int64(offset))
}

// reader takes a page apart and keeps the first fault.
type reader struct {
	b     []byte
	zones map[int]*time.Location
	bad   bool
}

func (r *reader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

func (r *reader) int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) time() time.Time {
	us, offset := r.int(), int(r.int())
	zone := r.zones[offset]
	if zone == nil {
		zone = time.FixedZone("", offset)
		r.zones[offset] = zone
	}
	return time.UnixMicro(us).In(zone)
}

// point reads the next point.
func (r *reader) point() (p point.Point) {
	p.Frame.Start = r.time()
	if r.byte() == 1 {
		p.Frame.End = r.time()
	}
	p.Created = r.time()
	p.Modality = point.Modality(r.byte())
	n := int(r.byte())
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return p
	}
	p.Position, r.b = string(r.b[:n]), r.b[n:]
	p.Values = make([]point.Value, int(r.byte()))
	for i := range p.Values {
		p.Values[i] = point.Value{Measure: point.Measure(r.byte()), Quantity: point.Quantity(r.int())}
	}
	return p
}

// readPage gives a page's points, without ids.
func readPage(plain []byte) ([]point.Point, error) {
	if len(plain) == 0 || plain[0] != pageVersion {
		return nil, errPage
	}
	r := reader{b: plain[1:], zones: map[int]*time.Location{}}
	var points []point.Point
	for len(r.b) > 0 && !r.bad {
		points = append(points, r.point())
	}
	if r.bad {
		return nil, errPage
	}
	return points, nil
}
