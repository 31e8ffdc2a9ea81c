package point

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Point is one measurement.
type Point struct {
	// ID is Identify's.
	ID id.ID
	// Schema of the body.
	Schema Schema
	// Frame is when.
	Frame Frame
	// Values are what was measured, in the order of their measures, each measure once.
	Values []Value
	// Position on the body, in the source's own words; mostly empty. The same measure of two positions is two points.
	Position string
	// Contact is with whom and where, of traffic data; zero in every other schema.
	Contact Contact
	// Modality is how.
	Modality Modality
	// Created is when the source made this value. A later value of the same frame corrects an earlier one.
	Created time.Time

	// Source and Assurance say whence it came. They are the store's to keep and no part of the JSON.
	Source    id.ID
	Assurance Assurance
	// SupersededBy is the point that its person has put in this one's place; zero where nobody has. What is superseded is used in nothing.
	SupersededBy id.ID
}

// Value is a quantity of a measure.
type Value struct {
	Measure  Measure
	Quantity Quantity
}

// Frame is when something was measured. A zero End makes it an instant.
type Frame struct {
	Start, End time.Time
}

// At is the frame of an instant.
func At(t time.Time) Frame { return Frame{Start: t} }

// IsInstant says that there is no interval.
func (f Frame) IsInstant() bool { return f.End.IsZero() }

// Length is 0 for an instant.
func (f Frame) Length() time.Duration {
	if f.IsInstant() {
		return 0
	}
	return f.End.Sub(f.Start)
}

// Day is the local day YYYY-MM-DD on which the frame begins.
func (f Frame) Day() string { return f.Start.Format(time.DateOnly) }

// LastDay is the local day on which it ends. A frame that ends at midnight ends on the day before.
func (f Frame) LastDay() string {
	if f.IsInstant() {
		return f.Day()
	}
	return f.End.Add(-time.Nanosecond).Format(time.DateOnly)
}

// Equal says whether two frames are the same time, whatever their offsets.
func (f Frame) Equal(g Frame) bool { return f.Start.Equal(g.Start) && f.End.Equal(g.End) }

// Modality is how a value was obtained (IEEE 1752.1, header).
type Modality uint8

// Modalities.
const (
	// Unstated: the source does not say.
	Unstated Modality = iota
	// Sensed by a device.
	Sensed
	// SelfReported by the person.
	SelfReported
)

// Assurance orders the ways by which a measurement came, weakest first, as market.v1.Assurance numbers them.
type Assurance uint8

// Assurances.
const (
	// OwnFile is a file that the person brought.
	OwnFile Assurance = iota + 1
	// VendorInterface is the interface of the device's vendor.
	VendorInterface
	// OperatorFeed is the operator's own feed.
	OperatorFeed
)

// Day is the local day YYYY-MM-DD that the point is of: a night's is the one on which it ends.
func (p *Point) Day() string {
	if shapes[p.Schema].night {
		return p.Frame.LastDay()
	}
	return p.Frame.Day()
}

// Value of a measure, if the point has it.
func (p *Point) Value(m Measure) (Quantity, bool) {
	for _, v := range p.Values {
		if v.Measure == m {
			return v.Quantity, true
		}
	}
	return 0, false
}

// Identify is the id of a point: what was measured of whom, through which source, when, how much and where on the body;
// of traffic data also with whom, which way and in which cell.
// When the source wrote it down and by what clock are no part of it.
func Identify(person, source id.ID, p *Point) id.ID {
	var frame [16]byte
	binary.BigEndian.PutUint64(frame[:8], uint64(p.Frame.Start.UnixMicro()))
	if !p.Frame.IsInstant() {
		binary.BigEndian.PutUint64(frame[8:], uint64(p.Frame.End.UnixMicro()))
	}
	values := make([]byte, 0, 16*len(p.Values))
	for _, v := range p.Values {
		values = append(values, v.Measure.Key()...)
		values = append(values, 0)
		values = binary.BigEndian.AppendUint64(values, uint64(v.Quantity))
	}
	if p.Schema.IsTraffic() {
		c := &p.Contact
		return id.Derive(
			[]byte("traffic point"), source[:], person[:], []byte(p.Schema.String()), frame[:], values, []byte{byte(c.Direction)}, c.Correspondent[:],
			[]byte(c.Cell),
		)
	}
	return id.Derive([]byte("point"), source[:], person[:], []byte(p.Schema.String()), frame[:], values, []byte(p.Position))
}

// earliest is before any consumer device that can be imported; what claims to be older had no clock.
var earliest = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// CheckFrame refuses frames that are no time a device measured at. What follows the error's field is the caller's.
func CheckFrame(field string, f Frame) error {
	switch {
	case f.Start.Before(earliest):
		return TooEarly.Says("is before 2000-01-01: the clock was not set").Of(field)
	case f.Start.Year() > 9999 || f.End.Year() > 9999:
		return TooLate.Says("is after the year 9999").Of(field)
	case !f.IsInstant() && !f.End.After(f.Start):
		return Backwards.Says("ends before it begins").Of(field)
	case f.Length() > longest:
		return TooLong.Says("is longer than 26 hours").Of(field)
	}
	return nil
}

// CheckPast refuses a frame that begins after a moment, now, but for what a device's clock may be ahead: nobody has measured what is to
// come. A frame that has begun may end later, as the day of today does. The zero moment refuses nothing.
func CheckPast(field string, f Frame, now time.Time) error {
	if !now.IsZero() && f.Start.After(now.Add(ahead)) {
		return TooLate.Says("is ahead of now: nothing was measured yet").Of(field)
	}
	return nil
}

// ahead is by how much a device's clock may be: house.
const ahead = time.Hour

// longest is a day on which the clock is put back, by two hours in some zones.
const longest = 26 * time.Hour

// Check holds a point to its schema and to the bounds of its measures. Its errors name paths of the JSON.
func (p *Point) Check() error {
	const frame = "body.effective_time_frame"
	shape, known := shapes[p.Schema]
	if !known {
		return NotAllowed.Says("is none of the schemas taken here").Of("header.schema_id")
	}
	if err := CheckFrame(frame, p.Frame); err != nil {
		return err
	}
	if p.Frame.IsInstant() && shape.interval {
		return Shape.Says("must be an interval").Of(frame)
	}
	if len(p.Values) == 0 {
		return Missing.Says("has no value").Of("body")
	}
	if p.Position != "" && !IsPosition(p.Position) {
		return NotAllowed.Says("is no name of a position").Of("body.position")
	}
	for i, v := range p.Values {
		if !slices.Contains(shape.measures, v.Measure) || i > 0 && p.Values[i-1].Measure >= v.Measure {
			return OutOfPlace.Says("is out of place in this schema").Of("body." + v.Measure.Key())
		}
		if wrong := v.Measure.Wrong(v.Quantity, p.Frame); wrong.Flaw != "" {
			return wrong.Of("body." + v.Measure.Key())
		}
	}
	if err := p.Contact.check(shape.traffic); err != nil {
		return err
	}
	if shape.required != 0 {
		if _, ok := p.Value(shape.required); !ok {
			return Missing.Says("is missing").Of("body." + shape.required.Key())
		}
	}
	return nil
}
