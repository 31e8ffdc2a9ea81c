package minimise

import (
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// field of a product, as its rule makes it.
type field struct {
	id, unit string
	rungs    []rung // finest first
	// decides says that a slot without it does not count, so that it is never null.
	decides bool
}

// rung is one way for a field to leave: rounded to a step, or as the name of a band. The date's have neither.
type rung struct {
	id    string
	step  point.Quantity
	bands []band
}

// band reaches up to a quantity, which is not in it but for a band with its end; the last band reaches without end.
type band struct {
	name string
	to   point.Quantity
	with bool
}

const (
	date  = "date"
	exact = "exact"
	week  = "week"
)

var (
	stepBands  = []band{{name: "below_5000", to: 5_000 * point.Milli}, {name: "5000_9999", to: 10_000 * point.Milli}, {name: "10000_up"}}
	sleepBands = []band{{name: "below_6h", to: 360 * point.Milli}, {name: "6h_8h", to: 480 * point.Milli, with: true}, {name: "above_8h"}}
)

func names(bands []band) []string {
	out := make([]string, len(bands))
	for i, b := range bands {
		out[i] = b.name
	}
	return out
}

// bandOf finds the band of a quantity that is a sum of some of n.
func bandOf(bands []band, sum, n point.Quantity) string {
	last := len(bands) - 1
	for _, b := range bands[:last] {
		if sum < b.to*n || b.with && sum == b.to*n {
			return b.name
		}
	}
	return bands[last].name
}

// append writes a quantity as the rung gives it away.
func (r rung) append(b []byte, q point.Quantity) []byte {
	if r.bands != nil {
		return strconv.AppendQuote(b, bandOf(r.bands, q, 1))
	}
	return append(b, round(q, r.step).String()...)
}

// round goes to the nearest multiple, half up; no quantity here is negative.
func round(q, step point.Quantity) point.Quantity { return (q + step/2) / step * step }

// appendSchema writes the keywords that hold for the field at this rung.
func (r rung) appendSchema(b []byte, f field) []byte {
	switch {
	case f.id == date && r.id == week:
		return append(b, `"type":"string","pattern":"^[0-9]{4}-W(0[1-9]|[1-4][0-9]|5[0-3])$"`...)
	case f.id == date:
		return append(b, `"type":"string","format":"date"`...)
	case r.bands != nil:
		b = append(b, `"enum":[`...)
		for i, name := range names(r.bands) {
			if i > 0 {
				b = append(b, ',')
			}
			b = strconv.AppendQuote(b, name)
		}
		if !f.decides {
			b = append(b, ",null"...)
		}
		return append(b, ']')
	}
	kind := "number"
	if r.step%point.Milli == 0 {
		kind = "integer"
	}
	if f.decides {
		b = fmt.Appendf(b, `"type":%q,"minimum":0`, kind)
	} else {
		b = fmt.Appendf(b, `"type":[%q,"null"],"minimum":0`, kind)
	}
	if r.step > point.Milli {
		b = append(b, `,"multipleOf":`+r.step.String()...)
	}
	return b
}

// isoWeek is the ISO 8601 week of a day, as in 2016-W15.
func isoWeek(day string) string {
	t, err := time.Parse(time.DateOnly, day)
	if err != nil {
		return "" // days come from frames, which only hold real ones
	}
	y, w := t.ISOWeek()
	return fmt.Sprintf("%04d-W%02d", y, w)
}

// quote writes a text as JSON.
func quote(text string) []byte {
	b, _ := json.Marshal(text) // a string always marshals
	return b
}
