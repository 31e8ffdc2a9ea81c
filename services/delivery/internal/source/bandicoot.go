package source

import (
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
// semicolon layout with subscribers' numbers. Where the antennas stand is a file of the operator's network and of no person (Antennas).
var bandicootColumns = []string{"interaction", "direction", "correspondent_id", "datetime", "call_duration", "antenna_id"}

func isBandicoot(head []byte) bool { return hasColumns(head, bandicootColumns...) }

func readBandicoot(in *input) error {
	const format = "call-detail-records"
	if in.Correspondent == nil {
		return in.about(errFormat).And("importer", format+" come by the operator's feed only")
	}
	if in.zone == nil {
		_, err := in.local()
		return err
	}
	return readFeed(in, format, readContact)
}

// readContact makes a point of a call or message.
func readContact(f *feed) error {
	start, err := f.local("datetime")
	if err != nil {
		return err
	}
	if err := f.in.past("datetime", point.At(start)); err != nil {
		return err
	}
	c, err := f.contact()
	if err != nil {
		return err
	}
	length, err := f.length()
	if err != nil {
		return err
	}
	switch string(f.cell("interaction")) {
	case "call":
		frame := point.At(start)
		if length > 0 {
			frame.End = start.Add(time.Duration(length) * time.Millisecond)
		}
		return f.put(point.PhoneCall, frame, c, point.CallDuration, length)
	case "text":
		if length != 0 {
			return f.in.wrong("call_duration", point.Contrary.Says("is more than 0 of a text"))
		}
		return f.put(point.TextMessage, point.At(start), c, point.Messages, point.Milli)
	}
	return f.in.wrong("interaction", point.NotAllowed.Says("is neither call nor text"))
}

func (f *feed) contact() (c point.Contact, err error) {
	switch string(f.cell("direction")) {
	case "in":
		c.Direction = point.Incoming
	case "out":
		c.Direction = point.Outgoing
	default:
		return c, f.in.wrong("direction", point.NotAllowed.Says("is neither in nor out"))
	}
	other := f.cell("correspondent_id")
	if len(other) == 0 {
		return c, f.in.wrong("correspondent_id", point.Missing.Says("is empty"))
	}
	c.Correspondent = f.in.Correspondent(other)
	c.Cell, err = f.antenna()
	return c, err
}

// length is a call's, in thousandths of a second; a text may leave it empty.
func (f *feed) length() (point.Quantity, error) {
	const column = "call_duration"
	text := f.cell(column)
	if len(text) == 0 && string(f.cell("interaction")) != "call" {
		return 0, nil
	}
	d, what := parseDecimal(text)
	var q point.Quantity
	if what.Flaw == "" {
		q, what = d.quantity(point.CallDuration, one)
	}
	if what.Flaw == "" {
		what = point.CallDuration.Wrong(q, point.Frame{}) // an instant: the bounds are the measure's own
	}
	if what.Flaw != "" {
		return 0, f.in.wrong(column, what)
	}
	return q, nil
}
