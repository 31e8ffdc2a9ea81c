package source

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Points read data points of Open mHealth and IEEE 1752.1 as they are: JSON objects with a header of IEEE 1752.1 and a body,
// one after the other or in a list. Each is held to the published schema that its header names. Units become canonical;
// what this house has no measure for (statistics, relations to meals or sleep) is refused, not dropped, where it changes
// what a value means, and dropped where it does not. The header's id is replaced by the point's own.
func isPoints(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n[")
	return len(head) > 0 && head[0] == '{' && bytes.Contains(head, []byte(`"header"`)) &&
		bytes.Contains(head, []byte(`"schema_id"`)) && bytes.Contains(head, []byte(`"body"`))
}

func readPoints(in *input) error {
	in.format = "points"
	d := in.document()
	one := func(raw json.RawMessage) error {
		p, err := read(raw)
		if err != nil {
			return in.blame(err)
		}
		return in.put(&p)
	}
	first, err := in.r.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if first = bytes.TrimLeft(first, " \t\r\n"); first[0] == '[' {
		if _, err := d.token(); err != nil {
			return err
		}
		if err := d.list(one); err != nil {
			return err
		}
		return d.end()
	}
	for d.dec.More() {
		raw, err := d.value()
		if err != nil {
			return err
		}
		if err := one(raw); err != nil {
			return err
		}
	}
	return d.end()
}

// Decode reads a point as AppendJSON writes it, with its id. It does not hold it to the schemas again.
func Decode(b []byte) (point.Point, error) {
	var j jsonPoint
	if err := json.Unmarshal(b, &j); err != nil {
		return point.Point{}, point.Shape.Says("is no data point").Of("point")
	}
	p, err := j.point()
	if err != nil {
		return p, err
	}
	if p.ID, err = id.Parse(j.Header.UUID); err != nil {
		return p, point.NotAllowed.Says("is no id").Of("header.uuid")
	}
	return p, nil
}

// Read reads a data point from elsewhere: held to the published schema that it names and to the bounds of its measures, in
// canonical units, without id. Errors name paths of the JSON.
func Read(b []byte) (point.Point, error) {
	p, err := read(b)
	if err != nil {
		return p, err
	}
	return p, p.Check()
}

func read(b []byte) (point.Point, error) {
	if err := Conform(b); err != nil {
		return point.Point{}, err
	}
	var j jsonPoint
	if err := json.Unmarshal(b, &j); err != nil {
		return point.Point{}, point.Shape.Says("is no data point").Of("point")
	}
	p, err := j.point()
	if err == nil && p.Schema.IsTraffic() {
		// Correspondents would come as whoever wrote the point names them.
		return p, point.NotAllowed.Says("is of traffic data, which comes by the operator's feed only").Of("header.schema_id")
	}
	return p, err
}

// jsonPoint is a data point as JSON.
type jsonPoint struct {
	Header struct {
		UUID     string     `json:"uuid"`
		Schema   jsonSchema `json:"schema_id"`
		Created  time.Time  `json:"source_creation_date_time"`
		Modality string     `json:"modality"`
	} `json:"header"`
	Body map[string]json.RawMessage `json:"body"`
}

type jsonSchema struct {
	Namespace string `json:"namespace"`
	Name      string `json:"name"`
	Version   string `json:"version"`
}

type jsonAmount struct {
	Value json.Number `json:"value"`
	Unit  string      `json:"unit"`
}

type jsonFrame struct {
	At       *time.Time `json:"date_time"`
	Interval *struct {
		Start    *time.Time  `json:"start_date_time"`
		End      *time.Time  `json:"end_date_time"`
		Duration *jsonAmount `json:"duration"`
	} `json:"time_interval"`
}

func (j *jsonPoint) point() (point.Point, error) {
	h := &j.Header
	p := point.Point{
		Schema: point.Schema{Namespace: h.Schema.Namespace, Name: h.Schema.Name, Version: h.Schema.Version},
		// Whole microseconds, as in every record of this house.
		Created: h.Created.Truncate(time.Microsecond),
	}
	switch h.Modality {
	case "sensed":
		p.Modality = point.Sensed
	case "self-reported":
		p.Modality = point.SelfReported
	}
	if j.Body["descriptive_statistic"] != nil {
		return p, point.NotAllowed.Says("is not taken: only single measurements are").Of("body.descriptive_statistic")
	}
	frame, err := j.frame()
	if err != nil {
		return p, err
	}
	p.Frame = frame
	if raw := j.Body["position"]; raw != nil {
		if err := json.Unmarshal(raw, &p.Position); err != nil || !point.IsPosition(p.Position) {
			return p, point.NotAllowed.Says("is no name of a position").Of("body.position")
		}
	}
	if p.Schema.IsTraffic() {
		if err := j.contact(p.Schema, &p.Contact); err != nil {
			return p, err
		}
	}
	for _, m := range p.Schema.Measures() {
		raw := j.Body[m.Key()]
		if raw == nil {
			continue
		}
		a := jsonAmount{}
		if m.Unit() == "" {
			a.Value = json.Number(raw)
		} else if err := json.Unmarshal(raw, &a); err != nil {
			return p, point.Shape.Says("is no value with a unit").Of("body." + m.Key())
		}
		q, wrong := a.quantity(m)
		if wrong.Flaw != "" {
			return p, wrong.Of("body." + m.Key())
		}
		p.Values = append(p.Values, point.Value{Measure: m, Quantity: q})
	}
	return p, nil
}

func (j *jsonPoint) contact(schema point.Schema, c *point.Contact) error {
	var direction, correspondent string
	for key, to := range map[string]*string{"direction": &direction, "correspondent": &correspondent, "cell": &c.Cell} {
		if raw := j.Body[key]; raw != nil && json.Unmarshal(raw, to) != nil {
			return point.Shape.Says("is no text").Of("body." + key)
		}
	}
	if !schema.WithSomebody() {
		return nil // the schema takes nothing but the cell
	}
	switch direction {
	case point.Incoming.String():
		c.Direction = point.Incoming
	case point.Outgoing.String():
		c.Direction = point.Outgoing
	default:
		return point.NotAllowed.Says("is neither incoming nor outgoing").Of("body.direction")
	}
	var err error
	if c.Correspondent, err = id.Parse(correspondent); err != nil {
		return point.NotAllowed.Says("is no id").Of("body.correspondent")
	}
	return nil
}

func (j *jsonPoint) frame() (f point.Frame, err error) {
	const path = "body.effective_time_frame"
	var t jsonFrame
	if err := json.Unmarshal(j.Body["effective_time_frame"], &t); err != nil {
		return f, point.Shape.Says("is no time frame").Of(path)
	}
	if t.At != nil {
		return point.At(t.At.Truncate(time.Microsecond)), nil
	}
	if t.Interval == nil {
		return f, point.Shape.Says("is no time frame").Of(path)
	}
	i := t.Interval
	var length time.Duration
	if i.Duration != nil {
		ms, wrong := i.Duration.quantity(point.InBed) // a time in thousandths of a second, whole seconds
		if wrong.Flaw != "" {
			return f, wrong.Of(path + ".time_interval.duration")
		}
		length = time.Duration(min(ms, 1<<40)) * time.Millisecond
	}
	switch {
	case i.Start != nil && i.End != nil:
		f = point.Frame{Start: *i.Start, End: *i.End}
	case i.Start != nil && length > 0:
		f = point.Frame{Start: *i.Start, End: i.Start.Add(length)}
	case i.End != nil && length > 0:
		f = point.Frame{Start: i.End.Add(-length), End: *i.End}
	default:
		return f, point.Shape.Says("is no interval with a beginning and an end").Of(path + ".time_interval")
	}
	f.Start, f.End = f.Start.Truncate(time.Microsecond), f.End.Truncate(time.Microsecond)
	return f, nil
}

// units are what the schemas' units come to in canonical ones.
var units = map[string]map[string]scale{
	"steps":     {"steps": one},
	"beats/min": {"beats/min": one},
	"kcal":      {"kcal": one},
	"MiB":       {"MiB": one, "GiB": {1024, 0}}, // CAMARA's VolumeUnitEnum
	"kg": {
		"kg": one, "g": {1, -3}, "mg": {1, -6}, "ug": {1, -9}, "Metric Ton": {1, 3},
		"lb": {45359237, -8}, "oz": {28349523125, -12}, // international avoirdupois, exact
	},
	"m": {
		"m": one, "km": {1, 3}, "cm": {1, -2}, "mm": {1, -3},
		"in": {254, -4}, "ft": {3048, -4}, "yd": {9144, -4}, "mi": {1609344, -3}, // international, exact
	},
	"sec": {
		"sec": one, "ms": {1, -3}, "us": {1, -6}, "ns": {1, -9}, "min": {60, 0}, "h": {3600, 0}, "d": {86400, 0}, "wk": {604800, 0},
	},
}

func (a jsonAmount) quantity(m point.Measure) (point.Quantity, point.Wrong) {
	s := one
	if m.Unit() != "" {
		var ok bool
		if s, ok = units[m.Unit()][a.Unit]; !ok {
			return 0, point.NotAllowed.Says("has a unit that is not taken")
		}
	}
	d, wrong := parseDecimal([]byte(a.Value))
	if wrong.Flaw != "" {
		return 0, wrong
	}
	return d.quantity(m, s)
}
