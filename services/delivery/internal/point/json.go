package point

import (
	"strings"
	"time"
)

// stamp is RFC 3339 with the offset always as a number and no fraction where there is none.
const stamp = "2006-01-02T15:04:05.999999-07:00"

// AppendJSON appends the point as a data point of IEEE 1752.1: a header, and a body of the point's schema.
func (p *Point) AppendJSON(b []byte) []byte {
	b = append(b, `{"header":{"uuid":"`...)
	b = append(b, p.ID.String()...)
	b = append(b, `","schema_id":{"namespace":"`...)
	b = append(b, p.Schema.Namespace...)
	b = append(b, `","name":"`...)
	b = append(b, p.Schema.Name...)
	b = append(b, `","version":"`...)
	b = append(b, p.Schema.Version...)
	b = append(b, `"},"source_creation_date_time":"`...)
	b = p.Created.AppendFormat(b, stamp)
	b = append(b, '"')
	switch p.Modality {
	case Sensed:
		b = append(b, `,"modality":"sensed"`...)
	case SelfReported:
		b = append(b, `,"modality":"self-reported"`...)
	case Unstated:
	}
	b = append(b, `},"body":{`...)
	if name := shapes[p.Schema].activity; name != "" {
		b = append(b, `"activity_name":"`...)
		b = append(b, name...)
		b = append(b, `",`...)
	}
	for _, v := range p.Values {
		b = append(b, '"')
		b = append(b, v.Measure.Key()...)
		b = append(b, `":`...)
		if unit := v.Measure.Unit(); unit != "" {
			b = append(b, `{"value":`...)
			b = v.Quantity.append(b)
			b = append(b, `,"unit":"`...)
			b = append(b, unit...)
			b = append(b, `"}`...)
		} else {
			b = v.Quantity.append(b)
		}
		b = append(b, ',')
	}
	if p.Schema.IsTraffic() {
		b = p.Contact.appendJSON(b)
	}
	b = append(b, `"effective_time_frame":{`...)
	if p.Frame.IsInstant() {
		b = appendTime(append(b, `"date_time":`...), p.Frame.Start)
	} else {
		b = appendTime(append(b, `"time_interval":{"start_date_time":`...), p.Frame.Start)
		b = appendTime(append(b, `,"end_date_time":`...), p.Frame.End)
		b = append(b, '}')
	}
	b = append(b, '}')
	if p.Position != "" {
		b = append(b, `,"position":"`...)
		b = append(b, p.Position...)
		b = append(b, '"')
	}
	return append(b, "}}"...)
}

func appendTime(b []byte, t time.Time) []byte {
	b = append(b, '"')
	b = t.AppendFormat(b, stamp)
	return append(b, '"')
}

// IsPosition says whether a text may be a point's position: up to 40 letters, digits, hyphens and underscores.
func IsPosition(text string) bool {
	const allowed = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_"
	return text != "" && len(text) <= 40 && strings.Trim(text, allowed) == ""
}
