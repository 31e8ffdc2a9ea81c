package source

import (
	"bytes"
	"errors"
	"io"
	"strconv"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Fitabase writes what Fitbit devices counted, one CSV file per kind and several persons a file, told apart by Id. Times
// are the person's local ones; no file names a zone. The kinds read here:
//
//	daily-activity  dailyActivity     steps, distance, energy and active time of a day
//	sleep-day       sleepDay          time asleep and in bed of the sleep that ended on a day
//	weight-log      weightLogInfo     body weight
//	heart-rate      heartrate_seconds heart rate
//	hourly-steps    hourlySteps       steps of an hour
//	minute-steps    minuteStepsNarrow, minuteStepsWide  steps of a minute; a minute without steps makes no point, as it
//	                                  says nothing that the day does not
//
// Intensities are in no unit of a published schema: such a file is refused as of no known format. Fat and BMI of the
// weight log, sedentary time and distances by intensity are not read: no product uses them.
type fitabase struct {
	kind fitabaseKind
	in   *input
	row  row
	at   columns
	// participant is taken; the caller named it, or the first row does.
	participant []byte
	mine        bool // the row is the participant's
	met         bool // some row was
}

// fitabaseKind is one kind of file.
type fitabaseKind struct {
	name string
	// needs are the columns that tell the kind and that every row must fill.
	needs  []string
	points func(*fitabase) error
}

var fitabaseKinds = []fitabaseKind{
	{"daily-activity", []string{"Id", "ActivityDate", "TotalSteps"}, (*fitabase).dailyActivity},
	{"sleep-day", []string{"Id", "SleepDay", "TotalMinutesAsleep", "TotalTimeInBed"}, (*fitabase).sleepDay},
	{"weight-log", []string{"Id", "Date", "WeightKg", "IsManualReport"}, (*fitabase).weightLog},
	{"heart-rate", []string{"Id", "Time", "Value"}, (*fitabase).heartRate},
	{"hourly-steps", []string{"Id", "ActivityHour", "StepTotal"}, (*fitabase).hourlySteps},
	{"minute-steps", []string{"Id", "ActivityMinute", "Steps"}, (*fitabase).minuteSteps},
	{"minute-steps", append([]string{"Id", "ActivityHour"}, wideColumns[:]...), (*fitabase).minuteStepsWide},
}

// wideColumns are the minutes of an hour.
var wideColumns = func() (names [60]string) {
	for i := range names {
		names[i] = "Steps" + strconv.Itoa(i/10) + strconv.Itoa(i%10)
	}
	return names
}()

func isFitabase(head []byte) bool {
	_, ok := fitabaseOf(head)
	return ok
}

func fitabaseOf(head []byte) (fitabaseKind, bool) {
	line, _, _ := bytes.Cut(head, []byte{'\n'})
	header := row{buffer: bytes.Clone(bytes.TrimSuffix(line, []byte{'\r'}))}
	if !header.cut() {
		return fitabaseKind{}, false
	}
	at := columnsOf(header.cells)
	for _, k := range fitabaseKinds {
		if at.has(k.needs...) {
			return k, true
		}
	}
	return fitabaseKind{}, false
}

func readFitabase(in *input) error {
	head, err := in.r.Peek(headSize)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	kind, _ := fitabaseOf(head)
	f := &fitabase{kind: kind, in: in, participant: []byte(in.Participant)}
	in.format = kind.name
	if err := in.next(&f.row); err != nil {
		return err
	}
	f.at = columnsOf(f.row.cells)
	width := len(f.row.cells)
	if _, err := in.local(); err != nil {
		return err
	}
	for {
		err := in.next(&f.row)
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if len(f.row.cells) != width {
			return in.wrong("row", point.Cells.Says("has another number of cells than the header"))
		}
		if err := f.read(); err != nil {
			return err
		}
	}
	if in.Participant != "" && !f.met {
		return in.about(errNobody).And("person", "is not in the file")
	}
	return nil
}

// read makes points of a row. Rows of others are checked too: a file is taken as a whole or not at all.
func (f *fitabase) read() error {
	id := f.cell("Id")
	switch {
	case len(id) == 0:
		return f.in.wrong("Id", point.Missing.Says("is empty"))
	case len(f.participant) == 0:
		f.participant = bytes.Clone(id)
	}
	f.mine = bytes.Equal(id, f.participant)
	f.met = f.met || f.mine
	if !f.mine && f.in.Participant == "" {
		return f.in.about(errPerson).And("person", "must be named: the file is of several")
	}
	return f.kind.points(f)
}

func (f *fitabase) dailyActivity() error {
	frame, err := f.day("ActivityDate")
	if err != nil {
		return err
	}
	if err := f.put(point.StepCount, frame, point.Sensed, amount{"TotalSteps", point.Steps, one}); err != nil {
		return err
	}
	active := []amount{
		{"TotalDistance", point.Distance, kilometre},
		{"LightlyActiveMinutes", point.LightActivity, minutes},
		{"FairlyActiveMinutes", point.ModerateActivity, minutes},
		{"VeryActiveMinutes", point.VigorousActivity, minutes},
	}
	if err := f.put(point.PhysicalActivity, frame, point.Sensed, active...); err != nil {
		return err
	}
	return f.put(point.CaloriesBurned, frame, point.Sensed, amount{"Calories", point.Energy, one})
}

// sleepDay: the file has no clock times. The frame is the day to which the source counts the sleep, the day it ended on.
func (f *fitabase) sleepDay() error {
	frame, err := f.day("SleepDay")
	if err != nil {
		return err
	}
	asleep, err := f.quantity(amount{"TotalMinutesAsleep", point.Asleep, minutes})
	if err != nil {
		return err
	}
	inBed, err := f.quantity(amount{"TotalTimeInBed", point.InBed, minutes})
	if err != nil {
		return err
	}
	if asleep > inBed {
		return f.in.wrong("TotalMinutesAsleep", point.Contrary.Says("is more than the time in bed"))
	}
	if err := f.put(point.TotalSleepTime, frame, point.Sensed, amount{"TotalMinutesAsleep", point.Asleep, minutes}); err != nil {
		return err
	}
	return f.put(point.TimeInBed, frame, point.Sensed, amount{"TotalTimeInBed", point.InBed, minutes})
}

// weightLog: what a person typed in without a time stands at 11:59:59 PM of its day, and is left there.
func (f *fitabase) weightLog() error {
	frame, err := f.instant("Date")
	if err != nil {
		return err
	}
	modality := point.Sensed
	switch string(f.cell("IsManualReport")) {
	case "True", "TRUE", "true":
		modality = point.SelfReported
	case "False", "FALSE", "false":
	default:
		return f.in.wrong("IsManualReport", point.NotAllowed.Says("is neither True nor False"))
	}
	return f.put(point.BodyWeight, frame, modality, amount{"WeightKg", point.Weight, one})
}

func (f *fitabase) heartRate() error {
	frame, err := f.instant("Time")
	if err != nil {
		return err
	}
	return f.put(point.HeartRate, frame, point.Sensed, amount{"Value", point.Pulse, one})
}

func (f *fitabase) hourlySteps() error {
	wall, err := f.clock("ActivityHour")
	if err != nil {
		return err
	}
	return f.steps(wall, time.Hour, "ActivityHour", "StepTotal", true)
}

func (f *fitabase) minuteSteps() error {
	wall, err := f.clock("ActivityMinute")
	if err != nil {
		return err
	}
	return f.steps(wall, time.Minute, "ActivityMinute", "Steps", false)
}

func (f *fitabase) minuteStepsWide() error {
	wall, err := f.clock("ActivityHour")
	if err != nil {
		return err
	}
	for i := range wideColumns {
		if err := f.steps(wall.Add(time.Duration(i)*time.Minute), time.Minute, "ActivityHour", wideColumns[i], false); err != nil {
			return err
		}
	}
	return nil
}

// steps of some time from a local one on. Whether none make a point is the caller's to say.
func (f *fitabase) steps(wall time.Time, length time.Duration, when, column string, zeros bool) error {
	a := amount{column, point.Steps, one}
	n, err := f.quantity(a)
	if err != nil || n == 0 && !zeros {
		return err
	}
	start, ok := resolve(wall, f.in.zone)
	switch {
	case ok:
		frame := point.Frame{Start: start, End: start.Add(length)}
		if err := f.in.past(when, frame); err != nil {
			return err
		}
		return f.put(point.StepCount, frame, point.Sensed, a)
	case n == 0: // nothing was counted in an hour that was not
		return nil
	default:
		return f.in.wrong(when, neverShown)
	}
}

var neverShown = point.NeverShown.Says("is a time that the zone's clock never showed")

// amount is a cell that holds a measure.
type amount struct {
	column  string
	measure point.Measure
	unit    scale
}

// put emits a point of the row's person with those amounts that the file has. The first column to be wrong is named.
// Nothing but zeros is no activity and no energy: the device was not worn, which the step count tells.
func (f *fitabase) put(schema point.Schema, frame point.Frame, how point.Modality, amounts ...amount) error {
	p := point.Point{Schema: schema, Frame: frame, Modality: how, Created: frame.Start}
	if !frame.IsInstant() {
		p.Created = frame.End // the earliest moment at which it can have been known
	}
	nothing := true
	for _, a := range amounts {
		if _, ok := f.at[a.column]; !ok {
			continue
		}
		q, err := f.quantity(a)
		if err != nil {
			return err
		}
		if what := a.measure.Wrong(q, frame); what.Flaw != "" {
			return f.in.wrong(a.column, what)
		}
		p.Values = append(p.Values, point.Value{Measure: a.measure, Quantity: q})
		nothing = nothing && q == 0
	}
	if !f.mine || nothing && (schema == point.PhysicalActivity || schema == point.CaloriesBurned) {
		return nil
	}
	return f.in.put(&p)
}

func (f *fitabase) cell(column string) []byte { return f.row.cells[f.at[column]] }

func (f *fitabase) quantity(a amount) (point.Quantity, error) {
	d, what := parseDecimal(f.cell(a.column))
	var q point.Quantity
	if what.Flaw == "" {
		q, what = d.quantity(a.measure, a.unit)
	}
	if what.Flaw != "" {
		return 0, f.in.wrong(a.column, what)
	}
	return q, nil
}

// clock is a local date with a time of day, shown in UTC.
func (f *fitabase) clock(column string) (time.Time, error) {
	wall, hasClock, ok := usTime(f.cell(column))
	if !ok || !hasClock {
		return wall, f.in.wrong(column, point.NotTime.Says("is no month/day/year hour:minute"))
	}
	return wall, f.in.blame(point.CheckFrame(column, point.At(wall)))
}

func (f *fitabase) instant(column string) (point.Frame, error) {
	wall, err := f.clock(column)
	if err != nil {
		return point.Frame{}, err
	}
	t, ok := resolve(wall, f.in.zone)
	if !ok {
		return point.Frame{}, f.in.wrong(column, neverShown)
	}
	return point.At(t), f.in.past(column, point.At(t))
}

// day is a local date, which some files write with midnight as its time.
func (f *fitabase) day(column string) (point.Frame, error) {
	wall, _, ok := usTime(f.cell(column))
	if y, m, d := wall.Date(); !ok || !wall.Equal(time.Date(y, m, d, 0, 0, 0, 0, time.UTC)) {
		return point.Frame{}, f.in.wrong(column, point.NotTime.Says("is no month/day/year"))
	}
	if err := point.CheckFrame(column, point.At(wall)); err != nil {
		return point.Frame{}, f.in.blame(err)
	}
	start, end, ok := dayFrame(wall, f.in.zone)
	if !ok {
		return point.Frame{}, f.in.wrong(column, point.NeverShown.Says("is a day that the zone skipped"))
	}
	frame := point.Frame{Start: start, End: end}
	return frame, f.in.past(column, frame)
}
