package source

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// The operator's feed comes in tables, one row a call, a message, a stay in a cell or a stretch of data use. What the layouts have in
// common is here; each importer says what its rows are.

// feed is a table of the operator that is being read.
type feed struct {
	in  *input
	row row
	at  columns
}

// hasColumns tells a table by its header.
func hasColumns(head []byte, names ...string) bool {
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	header := row{buffer: bytes.Clone(bytes.TrimSuffix(line, []byte{'\r'}))}
	return header.cut() && columnsOf(header.cells).has(names...)
}

// readFeed reads a table to its end and calls one for each row below the header.
func readFeed(in *input, format string, one func(*feed) error) error {
	if in.Assurance != point.OperatorFeed {
		return in.about(errFormat).And("importer", format+" come by the operator's feed only")
	}
	in.format = format
	return readTable(in, one)
}

func readTable(in *input, one func(*feed) error) error {
	f := &feed{in: in}
	if err := in.next(&f.row); err != nil {
		return err
	}
	f.at = columnsOf(f.row.cells)
	width := len(f.row.cells)
	for {
		err := in.next(&f.row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(f.row.cells) != width {
			return in.wrong("row", point.Cells.Says("has another number of cells than the header"))
		}
		if err := one(f); err != nil {
			return err
		}
	}
}

// cell is what stands in a column; empty where the table has no such column.
func (f *feed) cell(column string) []byte {
	i, has := f.at[column]
	if !has {
		return nil
	}
	return f.row.cells[i]
}

// local is a time by the local clock, in the zone that the caller named.
func (f *feed) local(column string) (time.Time, error) {
	wall, err := time.Parse(time.DateTime, string(f.cell(column)))
	if err != nil { // its text holds the value
		return wall, f.in.wrong(column, point.NotTime.Says("is no year-month-day hour:minute:second"))
	}
	zone, err := f.in.local()
	if err != nil {
		return wall, err
	}
	wall = wall.Truncate(time.Microsecond)
	if err := point.CheckFrame(column, point.At(wall)); err != nil {
		return wall, f.in.blame(err)
	}
	start, ok := resolve(wall, zone)
	if !ok {
		return start, f.in.wrong(column, neverShown)
	}
	return start, nil
}

// moment is a time of RFC 3339, by the clock of the zone that the caller named or else by its own offset; or one by the local clock.
func (f *feed) moment(column string) (time.Time, error) {
	text := string(f.cell(column))
	if isLocal(f.cell(column)) {
		return f.local(column)
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil { // its text holds the value
		return t, f.in.wrong(column, point.NotTime.Says("is neither a time of RFC 3339 nor year-month-day hour:minute:second"))
	}
	t = t.Truncate(time.Microsecond)
	if f.in.zone != nil {
		f.in.used = f.in.zone.String()
		t = t.In(f.in.zone)
	}
	if err := point.CheckFrame(column, point.At(t)); err != nil {
		return t, f.in.blame(err)
	}
	return t, nil
}

// isLocal says whether a time is by the local clock.
func isLocal(text []byte) bool {
	return len(text) <= len(time.DateTime) && !bytes.ContainsAny(text, "TZ")
}

// between is the time from startTime to endTime. Where the row may leave the end empty, it is an instant then.
func (f *feed) between(instants bool) (frame point.Frame, err error) {
	const begins, ends = "startTime", "endTime"
	if frame.Start, err = f.moment(begins); err != nil {
		return frame, err
	}
	if err := f.in.past(begins, frame); err != nil {
		return frame, err
	}
	if len(f.cell(ends)) == 0 {
		if !instants {
			return frame, f.in.wrong(ends, point.Missing.Says("is empty"))
		}
		return frame, nil
	}
	if frame.End, err = f.moment(ends); err != nil {
		return frame, err
	}
	// What begins before the clock is turned back may end by an earlier hour: at its second showing.
	if isLocal(f.cell(ends)) && frame.End.Before(frame.Start) {
		if later, twice := shownAgain(frame.End); twice {
			frame.End = later
		}
	}
	if instants && frame.End.Equal(frame.Start) {
		frame.End = time.Time{}
	}
	if err := point.CheckFrame(ends, frame); err != nil {
		return frame, f.in.blame(err)
	}
	return frame, nil
}

// antenna is the cell that served the person; empty where the row has none.
func (f *feed) antenna() (string, error) {
	const column = "antenna_id"
	name := string(f.cell(column))
	if name != "" && !point.IsPosition(name) {
		return "", f.in.wrong(column, point.NotAllowed.Says("is no name of a cell"))
	}
	return name, nil
}

// put emits a point of a frame, with one value.
func (f *feed) put(schema point.Schema, frame point.Frame, contact point.Contact, m point.Measure, q point.Quantity) error {
	p := point.Point{Schema: schema, Frame: frame, Contact: contact, Values: []point.Value{{Measure: m, Quantity: q}}, Created: frame.Start}
	if !frame.IsInstant() {
		p.Created = frame.End // the earliest moment at which it can have been recorded
	}
	return f.in.put(&p)
}
