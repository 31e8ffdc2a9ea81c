package source

import (
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// The usage layout is how the operator's feed hands over how much mobile data a person used, one row a session or an hour. No published
// sample has one, so it is ours; its names and units are those of CAMARA, of Device Data Volume (value, unit) and of its interfaces
// with times (startTime, endTime):
//
//	startTime   RFC 3339, or year-month-day hour:minute:second by the local clock
//	endTime     likewise
//	value       volume that was sent and received together, a decimal number
//	unit        MiB (2^20 bytes) or GiB (2^30 bytes)
//	antenna_id  the cell; may be empty, and the column may be missing
//
// Other columns are not read, the device's number and address among them. Volumes are kept to a thousandth of a MiB.
func isUsage(head []byte) bool { return hasColumns(head, "startTime", "endTime", "value", "unit") }

// volumes are CAMARA's VolumeUnitEnum.
var volumes = units["MiB"]

func readUsage(in *input) error {
	return readFeed(in, "data-use", func(f *feed) error {
		frame, err := f.between(false)
		if err != nil {
			return err
		}
		cell, err := f.antenna()
		if err != nil {
			return err
		}
		scale, known := volumes[string(f.cell("unit"))]
		if !known {
			return f.in.wrong("unit", point.NotAllowed.Says("is neither MiB nor GiB"))
		}
		d, what := parseDecimal(f.cell("value"))
		var q point.Quantity
		if what.Flaw == "" {
			q, what = d.quantity(point.DataVolume, scale)
		}
		if what.Flaw == "" {
			what = point.DataVolume.Wrong(q, frame)
		}
		if what.Flaw != "" {
			return f.in.wrong("value", what)
		}
		return f.put(point.DataUse, frame, point.Contact{Cell: cell}, point.DataVolume, q)
	})
}
