package source

import (
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// The mobility layout is how the operator's feed hands over where a person's phone was, one row a stay in the reach of a cell. No
// published sample has one, so it is ours; its names are those of CAMARA (startTime, endTime) and of bandicoot (antenna_id):
//
//	startTime   when the cell began to serve the phone: RFC 3339, or year-month-day hour:minute:second by the local clock
//	endTime     when it ceased to, likewise; empty of a sighting, as of a location update
//	antenna_id  the cell
//
// Other columns are not read. Times with an offset are told by the clock of the zone that the caller names, and by their own offset
// where none is named. Where a cell stands is not in the file (Antennas).
func isMobility(head []byte) bool {
	return hasColumns(head, "startTime", "endTime", "antenna_id") && !isUsage(head)
}

func readMobility(in *input) error {
	return readFeed(in, "cell-visits", func(f *feed) error {
		frame, err := f.between(true)
		if err != nil {
			return err
		}
		cell, err := f.antenna()
		if err != nil {
			return err
		}
		if cell == "" {
			return f.in.wrong("antenna_id", point.Missing.Says("is empty"))
		}
		stay := point.Quantity(frame.Length()/time.Second) * point.Milli // whole seconds
		return f.put(point.CellVisit, frame, point.Contact{Cell: cell}, point.CellTime, stay)
	})
}
