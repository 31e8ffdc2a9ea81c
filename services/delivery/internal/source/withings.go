package source

import (
	"bytes"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Withings answers its API in JSON: {"status": 0, "body": {...}}; some clients store the list in the body alone. Read are
//
//	measures    measuregrps[]  weight (type 1) and heart rate (type 11), value x 10^unit, with their position
//	activity    activities[]   steps, distance, energy and active time of a day
//	intraday    series{}       steps of short intervals, keyed by when they begin
//	sleep       series[]       heart rate during sleep
//	summary     series[]       sleep episodes and time in bed
//
// Measures of other types are passed over: no product uses them. So are objectives (category 2) and measures that may be of
// another person on the same scale (attrib 1). Attributes and categories: Withings API reference, "Measure v1 - Getmeas".
//
// Times are seconds since 1970; the zone in which days are counted is the element's, the body's or the caller's, in this
// order. A body may name its zone after its list: up to 4 MiB of measures wait for it, more need the caller's.
type withings struct {
	*document
	waiting []waiting // read before the zone was known
	held    int
	zoned   bool           // the body named its zone, or all that came was read with the caller's
	known   bool           // something of ours was found
	last    *time.Location // that an element named
}

type waiting struct {
	line int64
	raw  json.RawMessage
}

func isWithings(head []byte) bool {
	head = bytes.TrimLeft(head, " \t\r\n")
	switch {
	case len(head) == 0:
		return false
	case head[0] == '[':
		return bytes.Contains(head, []byte(`"grpid"`))
	case head[0] == '{':
		return bytes.Contains(head, []byte(`"body"`)) && bytes.Contains(head, []byte(`"status"`)) || lists(head)
	}
	return false
}

// lists says whether the name of one of the lists appears below a body.
func lists(head []byte) bool {
	_, body, ok := bytes.Cut(head, []byte(`"body"`))
	return ok && slices.ContainsFunc([]string{`"measuregrps"`, `"activities"`, `"series"`}, func(name string) bool {
		return bytes.Contains(body, []byte(name))
	})
}

func readWithings(in *input) error {
	w := &withings{document: in.document()}
	t, err := w.token()
	if err != nil {
		return err
	}
	switch t {
	case json.Delim('['):
		in.format, w.known, w.zoned = "measures", true, true
		err = w.list(w.measures)
	case json.Delim('{'):
		err = w.object(w.top)
	default:
		return in.about(errFormat)
	}
	if err != nil {
		return err
	}
	if err := w.release(); err != nil {
		return err
	}
	if err := w.end(); err != nil {
		return err
	}
	if !w.known {
		return in.about(errFormat)
	}
	return nil
}

func (w *withings) top(key string) error {
	switch key {
	case "status":
		raw, err := w.value()
		if err == nil && string(raw) != "0" {
			err = w.in.wrong("status", point.Contrary.Says("is not 0: the file is the answer to a request that failed"))
		}
		return err
	case "body":
		t, err := w.token()
		if err != nil {
			return err
		}
		if t != json.Delim('{') {
			return w.in.about(errFormat)
		}
		return w.object(w.body)
	}
	_, err := w.value()
	return err
}

func (w *withings) body(key string) error {
	switch key {
	case "timezone":
		return w.timezone()
	case "measuregrps":
		return w.open("measures", w.group, nil)
	case "activities":
		return w.open("activity", w.activity, nil)
	case "series":
		return w.open("sleep", w.series, w.intraday)
	}
	_, err := w.value()
	return err
}

// open reads a list, or, where one may stand there, an object.
func (w *withings) open(format string, element func(json.RawMessage) error, entry func(string) error) error {
	t, err := w.token()
	if err != nil {
		return err
	}
	w.known, w.in.format = true, format
	switch {
	case t == json.Delim('['):
		return w.list(element)
	case t == json.Delim('{') && entry != nil:
		return w.object(entry)
	}
	return w.in.about(errFormat)
}

func (w *withings) timezone() error {
	raw, err := w.value()
	if err != nil {
		return err
	}
	var name string
	if err := w.into("timezone", raw, &name); err != nil {
		return err
	}
	zone, err := loadZone(name)
	if err != nil {
		return w.in.wrong("timezone", point.NoZone.Says("is no zone of the IANA database"))
	}
	if w.held > maxElement && w.in.zone.String() != zone.String() {
		return w.in.wrong("timezone", point.NoZone.Says("is not the one that the caller named, by which measures before it were read"))
	}
	w.in.zone, w.zoned = zone, true
	return w.release()
}

// group keeps a measure group until the zone is known.
func (w *withings) group(raw json.RawMessage) error {
	if w.zoned {
		return w.measures(raw)
	}
	w.waiting = append(w.waiting, waiting{w.in.line, raw})
	if w.held += len(raw); w.held > maxElement {
		w.zoned = true
		return w.release()
	}
	return nil
}

func (w *withings) release() error {
	line := w.in.line
	for _, g := range w.waiting {
		w.in.line = g.line
		if err := w.measures(g.raw); err != nil {
			return err
		}
	}
	w.waiting, w.in.line = nil, line
	return nil
}

// Elements of the lists, with what is taken of them. A number that is missing or null is empty.
type (
	withingsGroup struct {
		Date     json.Number `json:"date"`
		Modified json.Number `json:"modified"`
		Attrib   json.Number `json:"attrib"`
		Category json.Number `json:"category"`
		Measures []struct {
			Value    json.Number `json:"value"`
			Type     json.Number `json:"type"`
			Unit     json.Number `json:"unit"`
			Position json.Number `json:"position"`
		} `json:"measures"`
	}
	withingsActivity struct {
		Date          string      `json:"date"`
		Timezone      string      `json:"timezone"`
		Modified      json.Number `json:"modified"`
		Steps         json.Number `json:"steps"`
		Distance      json.Number `json:"distance"` // m
		Soft          json.Number `json:"soft"`     // s, as the two after it
		Moderate      json.Number `json:"moderate"`
		Intense       json.Number `json:"intense"`
		Calories      json.Number `json:"calories"`      // kcal, of activity
		TotalCalories json.Number `json:"totalcalories"` // kcal, of the whole day
	}
	withingsInterval struct {
		Steps    json.Number `json:"steps"`
		Duration json.Number `json:"duration"` // s
	}
	withingsSeries struct {
		Start    json.Number    `json:"startdate"`
		End      json.Number    `json:"enddate"`
		Modified json.Number    `json:"modified"`
		Timezone string         `json:"timezone"`
		State    json.Number    `json:"state"`
		HR       beats          `json:"hr"`
		Data     *withingsNight `json:"data"`
	}
	withingsNight struct {
		Asleep     json.Number `json:"total_sleep_time"` // s, as all but the last
		Light      json.Number `json:"lightsleepduration"`
		Deep       json.Number `json:"deepsleepduration"`
		REM        json.Number `json:"remsleepduration"`
		Onset      json.Number `json:"durationtosleep"`
		Arising    json.Number `json:"durationtowakeup"`
		Awake      json.Number `json:"waso"`
		Awakenings json.Number `json:"wakeupcount"`
	}
)

// beats are heart rates by when they were measured. The server writes an empty map as an empty list.
type beats map[string]json.Number

// UnmarshalJSON takes both.
func (b *beats) UnmarshalJSON(text []byte) error {
	if string(text) == "[]" {
		return nil
	}
	return json.Unmarshal(text, (*map[string]json.Number)(b))
}

// Measures of Getmeas that are taken.
var withingsTypes = map[string]struct {
	schema  point.Schema
	measure point.Measure
}{
	"1":  {point.BodyWeight, point.Weight},
	"11": {point.HeartRate, point.Pulse},
}

func (w *withings) measures(raw json.RawMessage) error {
	var g withingsGroup
	if err := w.into("measuregrps", raw, &g); err != nil {
		return err
	}
	if g.Attrib == "1" || g.Category == "2" {
		return nil
	}
	modality := point.Sensed
	if g.Attrib == "2" || g.Attrib == "4" {
		modality = point.SelfReported
	}
	zone, err := w.in.local()
	if err != nil {
		return err
	}
	at, err := w.moment("measuregrps.date", g.Date, zone)
	if err != nil {
		return err
	}
	created, err := w.changed("measuregrps.modified", g.Modified, at)
	if err != nil {
		return err
	}
	for _, m := range g.Measures {
		kind, taken := withingsTypes[m.Type.String()]
		if !taken {
			continue
		}
		p := point.Point{Schema: kind.schema, Frame: point.At(at), Modality: modality, Created: created, Position: m.Position.String()}
		unit, err := strconv.ParseInt(m.Unit.String(), 10, 8)
		if err != nil {
			return w.in.wrong("measuregrps.measures.unit", point.NotNumber.Says("is no power of ten"))
		}
		if err := w.add(&p, "measuregrps.measures.value", m.Value, kind.measure, scale{1, int(unit)}); err != nil {
			return err
		}
		if err := w.in.put(&p); err != nil {
			return err
		}
	}
	return nil
}

func (w *withings) activity(raw json.RawMessage) error {
	var a withingsActivity
	if err := w.into("activities", raw, &a); err != nil {
		return err
	}
	zone, err := w.zone("activities.timezone", a.Timezone)
	if err != nil {
		return err
	}
	wall, err := time.Parse(time.DateOnly, a.Date)
	if err != nil {
		return w.in.wrong("activities.date", point.NotTime.Says("is no day YYYY-MM-DD"))
	}
	start, end, ok := dayFrame(wall, zone)
	if !ok {
		return w.in.wrong("activities.date", point.NeverShown.Says("is a day that the zone skipped"))
	}
	created, err := w.changed("activities.modified", a.Modified, end)
	if err != nil {
		return err
	}
	frame := point.Frame{Start: start, End: end}
	if err := w.several("activities", point.StepCount, frame, created, number{"steps", a.Steps, point.Steps}); err != nil {
		return err
	}
	err = w.several("activities", point.PhysicalActivity, frame, created,
		number{"distance", a.Distance, point.Distance}, number{"calories", a.Calories, point.ActiveEnergy},
		number{"soft", a.Soft, point.LightActivity}, number{"moderate", a.Moderate, point.ModerateActivity},
		number{"intense", a.Intense, point.VigorousActivity})
	if err != nil {
		return err
	}
	return w.several("activities", point.CaloriesBurned, frame, created, number{"totalcalories", a.TotalCalories, point.Energy})
}

// intraday is one entry of the map of short intervals.
func (w *withings) intraday(begins string) error {
	w.in.format = "intraday"
	raw, err := w.value()
	if err != nil {
		return err
	}
	var v withingsInterval
	if err := w.into("series", raw, &v); err != nil {
		return err
	}
	if v.Steps == "" || v.Steps == "0" {
		return nil
	}
	zone, err := w.in.local()
	if err != nil {
		return err
	}
	start, err := w.moment("series", json.Number(begins), zone)
	if err != nil {
		return err
	}
	length, err := w.seconds("series.duration", v.Duration)
	if err != nil {
		return err
	}
	frame := point.Frame{Start: start, End: start.Add(length)}
	return w.several("series", point.StepCount, frame, frame.End, number{"steps", v.Steps, point.Steps})
}

// series is a phase of a night with its heart rate, or the summary of a night.
func (w *withings) series(raw json.RawMessage) error {
	var s withingsSeries
	if err := w.into("series", raw, &s); err != nil {
		return err
	}
	zone, err := w.zone("series.timezone", s.Timezone)
	if err != nil {
		return err
	}
	if s.Data == nil {
		if s.State == "" {
			return w.in.about(errFormat)
		}
		return w.heartRates(s.HR, zone)
	}
	d := s.Data
	if d.Asleep == "" && d.Light == "" {
		return w.in.about(errFormat) // workouts have data, too
	}
	w.in.format = "summary"
	start, err := w.moment("series.startdate", s.Start, zone)
	if err != nil {
		return err
	}
	end, err := w.moment("series.enddate", s.End, zone)
	if err != nil {
		return err
	}
	if err := point.CheckFrame("series.enddate", point.Frame{Start: start, End: end}); err != nil {
		return w.in.blame(err)
	}
	if err := w.in.past("series.startdate", point.Frame{Start: start, End: end}); err != nil {
		return err
	}
	created, err := w.changed("series.modified", s.Modified, end)
	if err != nil {
		return err
	}
	bed := point.Point{
		Schema: point.TimeInBed, Frame: point.Frame{Start: start, End: end}, Modality: point.Sensed, Created: created,
		Values: []point.Value{{Measure: point.InBed, Quantity: point.Quantity(end.Sub(start) / time.Millisecond)}},
	}
	if err := w.in.put(&bed); err != nil {
		return err
	}
	frame, asleep, err := w.episode(bed.Frame, d)
	if err != nil {
		return err
	}
	return w.several("series.data", point.SleepEpisode, frame, created,
		number{"total_sleep_time", asleep, point.Asleep}, number{"lightsleepduration", d.Light, point.LightSleep},
		number{"deepsleepduration", d.Deep, point.DeepSleep}, number{"remsleepduration", d.REM, point.REMSleep},
		number{"durationtosleep", d.Onset, point.FallingAsleep}, number{"durationtowakeup", d.Arising, point.Arising},
		number{"waso", d.Awake, point.AwakeAfterOnset}, number{"wakeupcount", d.Awakenings, point.Awakenings})
}

// episode is the time from falling asleep to the last awakening (IEEE 1752.1), and the time asleep in it. Where the parts
// of a night do not add up to it, it is all of the time in bed, and the times between are left out: some answers have eight
// hours of falling asleep in a night slept through, and a time awake below zero. Older ones give the phases without their sum.
func (w *withings) episode(bed point.Frame, d *withingsNight) (frame point.Frame, asleep json.Number, err error) {
	var s [6]time.Duration
	for i, n := range [...]number{
		{field: "durationtosleep", text: d.Onset},
		{field: "durationtowakeup", text: d.Arising},
		{field: "total_sleep_time", text: d.Asleep},
		{field: "lightsleepduration", text: d.Light},
		{field: "deepsleepduration", text: d.Deep},
		{field: "remsleepduration", text: d.REM},
	} {
		if n.text == "" {
			continue
		}
		if s[i], err = w.seconds("series.data."+n.field, n.text); err != nil {
			return bed, "", err
		}
	}
	if d.Asleep == "" {
		s[2] = s[3] + s[4] + s[5]
	}
	frame = point.Frame{Start: bed.Start.Add(s[0]), End: bed.End.Add(-s[1])}
	if !frame.End.After(frame.Start) || frame.Length() < s[2] {
		frame = bed
		d.Onset, d.Arising, d.Awake = "", "", ""
	}
	return frame, json.Number(strconv.FormatInt(int64(s[2]/time.Second), 10)), nil
}

func (w *withings) heartRates(rates beats, zone *time.Location) error {
	for _, when := range slices.Sorted(maps.Keys(rates)) {
		at, err := w.moment("series.hr", json.Number(when), zone)
		if err != nil {
			return err
		}
		if err := w.several("series", point.HeartRate, point.At(at), at, number{"hr", rates[when], point.Pulse}); err != nil {
			return err
		}
	}
	return nil
}

// number is a property that holds a measure in its own unit.
type number struct {
	field   string
	text    json.Number // empty when it is missing or null
	measure point.Measure
}

// several emits a point of those numbers that are there. None, or nothing but zeros where zero means not known, is no point.
func (w *withings) several(at string, schema point.Schema, frame point.Frame, created time.Time, numbers ...number) error {
	p := point.Point{Schema: schema, Frame: frame, Modality: point.Sensed, Created: created}
	something := false
	for _, n := range numbers {
		if n.text == "" {
			continue
		}
		if err := w.add(&p, at+"."+n.field, n.text, n.measure, one); err != nil {
			return err
		}
		something = something || p.Values[len(p.Values)-1].Quantity != 0
	}
	if !something && (schema != point.StepCount || len(p.Values) == 0) {
		return nil
	}
	return w.in.put(&p)
}

// add puts a measure into a point.
func (w *withings) add(p *point.Point, field string, text json.Number, m point.Measure, s scale) error {
	d, what := parseDecimal([]byte(text))
	var q point.Quantity
	if what.Flaw == "" {
		q, what = d.quantity(m, s)
	}
	if what.Flaw == "" {
		what = m.Wrong(q, p.Frame)
	}
	if what.Flaw != "" {
		return w.in.wrong(field, what)
	}
	p.Values = append(p.Values, point.Value{Measure: m, Quantity: q})
	return nil
}

// moment reads seconds since 1970.
func (w *withings) moment(field string, text json.Number, zone *time.Location) (time.Time, error) {
	const last = 253402300799 // 9999-12-31T23:59:59Z
	s, err := strconv.ParseInt(text.String(), 10, 64)
	if err != nil || s < 0 || s > last {
		return time.Time{}, w.in.wrong(field, point.NotTime.Says("is no number of seconds since 1970"))
	}
	return time.Unix(s, 0).In(zone), nil
}

// changed is when a value was last written, or what is known instead of it.
func (w *withings) changed(field string, text json.Number, instead time.Time) (time.Time, error) {
	if text == "" {
		return instead, nil
	}
	return w.moment(field, text, instead.Location())
}

// seconds reads a length of time up to a day.
func (w *withings) seconds(field string, text json.Number) (time.Duration, error) {
	s, err := strconv.ParseInt(text.String(), 10, 64)
	if err != nil || s < 0 || s > 26*3600 {
		return 0, w.in.wrong(field, point.NotTime.Says("is no number of seconds within a day"))
	}
	return time.Duration(s) * time.Second, nil
}

// zone is an element's own, or the body's, or the caller's.
func (w *withings) zone(field, name string) (*time.Location, error) {
	if name == "" {
		return w.in.local()
	}
	if name == w.in.used && w.last != nil {
		return w.last, nil
	}
	zone, err := loadZone(name)
	if err != nil {
		return nil, w.in.wrong(field, point.NoZone.Says("is no zone of the IANA database"))
	}
	w.last, w.in.used = zone, name
	return zone, nil
}
