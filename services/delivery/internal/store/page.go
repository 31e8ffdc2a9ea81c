package store

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// A page is a version and its points one after the other. Times are microseconds and their offset from UTC in seconds, so a point
// comes back as it went in.
//
// A page in which a point was corrected is of the second version: each point begins with marks, and with what they say.
const (
	pageVersion   = 1
	correctedPage = 2
)

// Marks of a point.
const (
	superseded = 1 << iota // the id of the point that took its place follows
	stated                 // how far it can be trusted follows: less far than the page
)

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
	if p.Schema.IsTraffic() {
		b = append(append(b, byte(p.Contact.Direction)), p.Contact.Correspondent[:]...)
		b = append(append(b, byte(len(p.Contact.Cell))), p.Contact.Cell...)
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

// text reads a length and as many bytes.
func (r *reader) text() string {
	n := int(r.byte())
	return string(r.take(n))
}

func (r *reader) take(n int) []byte {
	if n > len(r.b) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n]
	r.b = r.b[n:]
	return v
}

// point reads the next point of a page.
func (r *reader) point(schema point.Schema) (p point.Point) {
	p.Frame.Start = r.time()
	if r.byte() == 1 {
		p.Frame.End = r.time()
	}
	p.Created = r.time()
	p.Modality = point.Modality(r.byte())
	p.Position = r.text()
	p.Values = make([]point.Value, int(r.byte()))
	for i := range p.Values {
		p.Values[i] = point.Value{Measure: point.Measure(r.byte()), Quantity: point.Quantity(r.int())}
	}
	if schema.IsTraffic() {
		p.Contact.Direction = point.Direction(r.byte())
		copy(p.Contact.Correspondent[:], r.take(len(p.Contact.Correspondent)))
		p.Contact.Cell = r.text()
	}
	return p
}

// appendMarks appends what is to be known of a point beside what it says.
func appendMarks(b []byte, p *point.Point, page point.Assurance) []byte {
	marks := len(b)
	b = append(b, 0)
	if !p.SupersededBy.IsZero() {
		b[marks] |= superseded
		b = append(b, p.SupersededBy[:]...)
	}
	if p.Assurance != page {
		b[marks] |= stated
		b = append(b, byte(p.Assurance))
	}
	return b
}

// marks reads what appendMarks has written; an assurance of 0 is the page's.
func (r *reader) marks() (by id.ID, trust point.Assurance) {
	marks := r.byte()
	if marks&superseded != 0 {
		copy(by[:], r.take(len(by)))
	}
	if marks&stated != 0 {
		trust = point.Assurance(r.byte())
	}
	return by, trust
}

// readPage gives the points of a page of a schema, without ids.
func readPage(schema point.Schema, plain []byte) ([]point.Point, error) {
	if len(plain) == 0 || plain[0] != pageVersion && plain[0] != correctedPage {
		return nil, errPage
	}
	r := reader{b: plain[1:], zones: map[int]*time.Location{}}
	var points []point.Point
	for len(r.b) > 0 && !r.bad {
		var by id.ID
		var trust point.Assurance
		if plain[0] == correctedPage {
			by, trust = r.marks()
		}
		p := r.point(schema)
		p.SupersededBy, p.Assurance = by, trust
		points = append(points, p)
	}
	if r.bad {
		return nil, errPage
	}
	return points, nil
}

// points reads the points of pages, with assurances and ids, but those that were corrected.
func points(ctx context.Context, q querier, ring *vault.Ring, pages []Page) ([]point.Point, error) {
	all, err := whole(ctx, q, ring, pages)
	return slices.DeleteFunc(all, func(p point.Point) bool { return !p.SupersededBy.IsZero() }), err
}

// whole reads whole pages, with assurances and ids.
func whole(ctx context.Context, q querier, ring *vault.Ring, pages []Page) ([]point.Point, error) {
	if len(pages) == 0 {
		return nil, nil
	}
	hash, err := buckets(ring, "page")
	if err != nil {
		return nil, err
	}
	sources, keys := make([][16]byte, len(pages)), make([][]byte, len(pages))
	for i, page := range pages {
		sources[i], keys[i] = page.Source, hash(page.name())
	}
	rows, err := q.Query(ctx, `
		select u.n, p.box from unnest($2::uuid[], $3::bytea[]) with ordinality as u(source, bucket, n)
		join store.page p on p.subscriber = $1 and p.source = u.source and p.bucket = u.bucket order by u.n`, [16]byte(ring.Subject()), sources, keys)
	if err != nil {
		return nil, fmt.Errorf("store: points: %w", err)
	}
	defer rows.Close()
	var out []point.Point
	for rows.Next() {
		var n int64
		var box []byte
		if err := rows.Scan(&n, &box); err != nil {
			return nil, fmt.Errorf("store: points: %w", err)
		}
		list, err := pages[n-1].open(ring, box)
		if err != nil {
			return nil, err
		}
		out = append(out, list...)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: points: %w", err)
	}
	return out, nil
}

// name is what a page's key is made of.
func (p Page) name() string { return p.Schema.String() + "\x00" + p.Day }

// seal makes a page's box; its first byte is how far its points can be trusted, but for those that say otherwise.
func (p Page) seal(ring *vault.Ring, list []point.Point) ([]byte, error) {
	plain := []byte{0, pageVersion}
	for i := range list {
		plain[0] = max(plain[0], byte(list[i].Assurance))
		if !list[i].SupersededBy.IsZero() {
			plain[1] = correctedPage
		}
	}
	for i := range list {
		if plain[1] == correctedPage {
			plain = appendMarks(plain, &list[i], point.Assurance(plain[0]))
		}
		plain = appendPoint(plain, &list[i])
	}
	return ring.SealBytes(content, aad("page "+p.Source.String()+" "+p.Schema.String()+" "+p.Day, ring), plain)
}

// open is seal's inverse.
func (p Page) open(ring *vault.Ring, box []byte) ([]point.Point, error) {
	plain, err := ring.OpenBytes(content, aad("page "+p.Source.String()+" "+p.Schema.String()+" "+p.Day, ring), box)
	if err != nil {
		return nil, fmt.Errorf("store: page: %w", err)
	}
	if len(plain) == 0 {
		return nil, errPage
	}
	list, err := readPage(p.Schema, plain[1:])
	if err != nil {
		return nil, err
	}
	for i := range list {
		list[i].Schema, list[i].Source = p.Schema, p.Source
		if list[i].Assurance == 0 {
			list[i].Assurance = point.Assurance(plain[0])
		}
		list[i].ID = point.Identify(ring.Subject(), p.Source, &list[i])
	}
	return list, nil
}
