package source

import (
	"bytes"
	"errors"
	"io"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Bandicoot's CSV layout is how the operator's feed hands over a person's call detail records, one row a call or message:
//
//	interaction       call or text
//	direction         in or out
//	correspondent_id  the other person; replaced by a pseudonym as the row is read (Options.Correspondent) and kept nowhere
//	datetime          year-month-day hour:minute:second by the local clock; the file names no zone
//	call_duration     seconds, of a call; empty or 0 of a text
//	antenna_id        the cell; may be empty
//
// The layout has no rows of data use. What else bandicoot reads beside it is refused as of no known format: recharges, and the
// semicolon layout with subscribers' numbers. Where the antennas stand is a file of the operator's network and of no person.
//
// Only a source of the operator's feed takes such a file: a copy from elsewhere proves nothing about whom it is of.
type bandicoot struct {
	in  *input
	row row
	at  columns
}

var bandicootColumns = []string{"interaction", "direction", "correspondent_id", "datetime", "call_duration", "antenna_id"}

func isBandicoot(head []byte) bool {
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	header := row{buffer: bytes.Clone(bytes.TrimSuffix(line, []byte{'\r'}))}
	return header.cut() && columnsOf(header.cells).has(bandicootColumns...)
}

func readBandicoot(in *input) error {
	if in.Assurance != point.OperatorFeed || in.Correspondent == nil {
		return in.about(errFormat).And("importer", "call detail records come by the operator's feed only")
	}
	b := &bandicoot{in: in}
	in.format = "call-detail-records"
	if err := in.next(&b.row); err != nil {
		return err
	}
	b.at = columnsOf(b.row.cells)
	width := len(b.row.cells)
	if _, err := in.local(); err != nil {
		return err
	}
	for {
		err := in.next(&b.row)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(b.row.cells) != width {
			return in.wrong("row", "has another number of cells than the header")
		}
		if err := b.read(); err != nil {
			return err
		}
	}
}

// read makes a point of a row.
func (b *bandicoot) read() error {
	start, err := b.start()
	if err != nil {
		return err
	}
	p := point.Point{Frame: point.At(start), Created: start}
	if p.Contact, err = b.contact(); err != nil {
		return err
	}
	length, err := b.length()
	if err != nil {
		return err
	}
	switch string(b.cell("interaction")) {
	case "call":
		p.Schema = point.PhoneCall
		p.Values = []point.Value{{Measure: point.CallDuration, Quantity: length}}
		if length > 0 {
			p.Frame.End = start.Add(time.Duration(length) * time.Millisecond)
			p.Created = p.Frame.End // the earliest moment at which it can have been recorded
		}
	case "text":
		if length != 0 {
			return b.in.wrong("call_duration", "is more than 0 of a text")
		}
		p.Schema = point.TextMessage
		p.Values = []point.Value{{Measure: point.Messages, Quantity: point.Milli}}
	default:
		return b.in.wrong("interaction", "is neither call nor text")
	}
	return b.in.put(&p)
}

func (b *bandicoot) start() (time.Time, error) {
	const column = "datetime"
	wall, err := time.Parse(time.DateTime, string(b.cell(column)))
	if err != nil { // its text holds the value
		return wall, b.in.wrong(column, "is no year-month-day hour:minute:second")
	}
	wall = wall.Truncate(time.Microsecond)
	if err := point.CheckFrame(column, point.At(wall)); err != nil {
		return wall, b.in.blame(err)
	}
	start, ok := resolve(wall, b.in.zone)
	if !ok {
		return start, b.in.wrong(column, neverShown)
	}
	return start, b.in.past(column, point.At(start))
}

func (b *bandicoot) contact() (c point.Contact, err error) {
	switch string(b.cell("direction")) {
	case "in":
		c.Direction = point.Incoming
	case "out":
		c.Direction = point.Outgoing
	default:
		return c, b.in.wrong("direction", "is neither in nor out")
	}
	other := b.cell("correspondent_id")
	if len(other) == 0 {
		return c, b.in.wrong("correspondent_id", "is empty")
	}
	c.Correspondent = b.in.Correspondent(other)
	if c.Cell = string(b.cell("antenna_id")); c.Cell != "" && !point.IsPosition(c.Cell) {
		return c, b.in.wrong("antenna_id", "is no name of a cell")
	}
	return c, nil
}

// length is a call's, in thousandths of a second; a text may leave it empty.
func (b *bandicoot) length() (point.Quantity, error) {
	const column = "call_duration"
	text := b.cell(column)
	if len(text) == 0 && string(b.cell("interaction")) != "call" {
		return 0, nil
	}
	d, what := parseDecimal(text)
	var q point.Quantity
	if what == "" {
		q, what = d.quantity(point.CallDuration, one)
	}
	if what == "" {
		what = point.CallDuration.Wrong(q, point.Frame{}) // an instant: the bounds are the measure's own
	}
	if what != "" {
		return 0, b.in.wrong(column, what)
	}
	return q, nil
}

func (b *bandicoot) cell(column string) []byte { return b.row.cells[b.at[column]] }
