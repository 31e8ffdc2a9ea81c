package point

import (
	"strconv"
	"time"
)

// Quantity is a number of thousandths of a measure's unit.
type Quantity int64

// Milli is one unit.
const Milli Quantity = 1000

// String is the decimal number, without an exponent and without trailing zeros.
func (q Quantity) String() string { return string(q.append(nil)) }

func (q Quantity) append(b []byte) []byte {
	u := uint64(q)
	if q < 0 {
		b, u = append(b, '-'), -u
	}
	b = strconv.AppendUint(b, u/1000, 10)
	rest := u % 1000
	if rest == 0 {
		return b
	}
	b = append(b, '.', byte('0'+rest/100), byte('0'+rest/10%10), byte('0'+rest%10))
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	return b
}

// Measure is what is measured. Its order is that of the values in a point.
type Measure uint8

// Measures with their units.
const (
	Steps            Measure = iota + 1 // steps
	Distance                            // m
	Energy                              // kcal, all that was burned, the resting body's share included
	ActiveEnergy                        // kcal, burned by activity
	LightActivity                       // s
	ModerateActivity                    // s
	VigorousActivity                    // s
	Asleep                              // s
	InBed                               // s
	LightSleep                          // s
	DeepSleep                           // s
	REMSleep                            // s
	FallingAsleep                       // s, from the wish to sleep to sleep
	Arising                             // s, from the last awakening to getting up
	AwakeAfterOnset                     // s, between falling asleep and the last awakening
	Awakenings                          // times
	Weight                              // kg
	Pulse                               // beats/min
	CallDuration                        // s
	Messages                            // messages
	CellTime                            // s, in the reach of one cell
	DataVolume                          // MiB, sent and received together
)

// measure is what is known of one.
type measure struct {
	key        string   // in the body
	unit       string   // as the schemas spell it; empty where the body holds a bare integer
	resolution Quantity // a power of ten, in thousandths
	least      Quantity
	most       Quantity
	rate       Quantity // most per second of the frame, where more time allows more; 0 where it does not
	within     bool     // a time that cannot be longer than its frame
}

// Bounds. They tell a unit mixed up or a broken sensor from a person, and are no judgement on health. Sources in brackets;
// house: chosen by us with room to spare.
var measures = [...]measure{
	// 5 a second, above a sprinter's cadence [house].
	Steps: {key: "step_count", unit: "steps", resolution: 1000, most: 450_000_000, rate: 5_000},
	// Twice what was ever run in 24 hours, 319.614 km [World Athletics, 24 hours, 2022], as some devices count cycling in.
	Distance: {key: "distance", unit: "m", resolution: 10, most: 640_000_000},
	// Above the most that was measured in a day of extreme endurance sport, about 10,000 kcal [house].
	Energy:           {key: "kcal_burned", unit: "kcal", resolution: 1, most: 20_000_000},
	ActiveEnergy:     {key: "kcal_burned", unit: "kcal", resolution: 1, most: 20_000_000},
	LightActivity:    {key: "duration_light_activity", unit: "sec", resolution: 1000, most: day, within: true},
	ModerateActivity: {key: "duration_moderate_activity", unit: "sec", resolution: 1000, most: day, within: true},
	VigorousActivity: {key: "duration_vigorous_activity", unit: "sec", resolution: 1000, most: day, within: true},
	Asleep:           {key: "total_sleep_time", unit: "sec", resolution: 1000, most: day, within: true},
	InBed:            {key: "time_in_bed", unit: "sec", resolution: 1000, most: day, within: true},
	LightSleep:       {key: "light_sleep_duration", unit: "sec", resolution: 1000, most: day, within: true},
	DeepSleep:        {key: "deep_sleep_duration", unit: "sec", resolution: 1000, most: day, within: true},
	REMSleep:         {key: "rem_sleep_duration", unit: "sec", resolution: 1000, most: day, within: true},
	FallingAsleep:    {key: "latency_to_sleep_onset", unit: "sec", resolution: 1000, most: day},
	Arising:          {key: "latency_to_arising", unit: "sec", resolution: 1000, most: day},
	AwakeAfterOnset:  {key: "wake_after_sleep_onset", unit: "sec", resolution: 1000, most: day, within: true},
	Awakenings:       {key: "number_of_awakenings", resolution: 1000, most: 1_000_000}, // [house]
	// From below the lightest to above the heaviest adult on record, 2.1 and 635 kg [Guinness World Records].
	Weight: {key: "body_weight", unit: "kg", resolution: 1, least: 2_000, most: 700_000},
	// From below the slowest at rest on record to what no healthy heart reaches; devices show no more [house].
	Pulse: {key: "heart_rate", unit: "beats/min", resolution: 100, least: 20_000, most: 300_000},
	// As long as a frame may be.
	CallDuration: {key: "call_duration", unit: "sec", resolution: 1000, most: day, within: true},
	// A point is one message.
	Messages: {key: "message_count", resolution: 1000, least: 1000, most: 1000},
	CellTime: {key: "time_in_cell", unit: "sec", resolution: 1000, most: day, within: true},
	// 20 Gbit/s, the peak rate asked of a network of the fifth generation [ITU-R M.2410, 4.1], for as long as a frame may be.
	DataVolume: {key: "data_volume", unit: "MiB", resolution: 1, most: 93_600 * peak, rate: peak},
}

// peak is 20 Gbit/s in thousandths of a MiB a second, rounded up.
const peak Quantity = 2_384_186

// day is the longest frame, in thousandths of a second.
const day = Quantity(longest / time.Millisecond)

// AddsUp says that quantities of several frames make one of them together: steps do, and beats a minute do not.
func (m Measure) AddsUp() bool { return m != Weight && m != Pulse }

// Unit as the schemas spell it.
func (m Measure) Unit() string { return measures[m].unit }

// Key is the property of a body that holds the measure.
func (m Measure) Key() string { return measures[m].key }

// Resolution is the step to which a quantity is rounded, a power of ten from 1 to 1000 thousandths.
func (m Measure) Resolution() Quantity { return measures[m].resolution }

// Wrong says what is wrong with a quantity in a frame, without saying how much it is.
func (m Measure) Wrong(q Quantity, f Frame) Wrong {
	k := &measures[m]
	most := k.most
	if k.rate > 0 && !f.IsInstant() {
		most = min(most, k.rate*Quantity(f.Length()/time.Second+1))
	}
	if k.within && !f.IsInstant() {
		most = min(most, Quantity(f.Length()/time.Millisecond))
	}
	switch {
	case q < k.least:
		return OutOfRange.Says("is less than " + k.least.String() + " " + k.unit)
	case q > most:
		return OutOfRange.Says("is more than " + most.String() + " " + k.unit + " in this time")
	case q%k.resolution != 0:
		return OutOfRange.Says("is finer than " + k.resolution.String() + " " + k.unit)
	}
	return Wrong{}
}
