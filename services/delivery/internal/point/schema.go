package point

import "strings"

// Schema names a published schema of a body.
type Schema struct {
	Namespace, Name, Version string
}

// Schemas taken here. Where both families have one, it is the one that is not deprecated and fits what devices say.
var (
	StepCount        = Schema{"omh", "step-count", "3.0"}
	CaloriesBurned   = Schema{"omh", "calories-burned", "2.0"}
	BodyWeight       = Schema{"omh", "body-weight", "2.0"}
	HeartRate        = Schema{"omh", "heart-rate", "2.0"}
	PhysicalActivity = Schema{"ieee", "physical-activity", "1.0"}
	TotalSleepTime   = Schema{"ieee", "total-sleep-time", "1.0"}
	TimeInBed        = Schema{"ieee", "time-in-bed", "1.0"}
	SleepEpisode     = Schema{"ieee", "sleep-episode", "1.0"}
)

// Schemas of our own, for what no published family has: the operator's traffic data. Their JSON Schemas stand beside the importers, in
// source/schema. They are for their person's eyes only: no product, fact or package reads them (market.md, rule 22).
var (
	// PhoneCall is a call: its length, direction, the correspondent's pseudonym and the cell. One that nobody answered is an instant.
	PhoneCall = Schema{"obole", "phone-call", "1.0"}
	// TextMessage is one message, at an instant: direction, the correspondent's pseudonym and the cell.
	TextMessage = Schema{"obole", "text-message", "1.0"}
	// CellVisit is a stay in the reach of a cell, or a sighting there at an instant.
	CellVisit = Schema{"obole", "cell-visit", "1.0"}
	// DataUse is how much mobile data went in and out over some time, and the cell where the feed has one.
	DataUse = Schema{"obole", "data-use", "1.0"}
)

// Schemas lists them.
func Schemas() []Schema {
	return []Schema{StepCount, CaloriesBurned, BodyWeight, HeartRate, PhysicalActivity, TotalSleepTime, TimeInBed, SleepEpisode, PhoneCall, TextMessage, CellVisit, DataUse}
}

// String is "namespace:name:version".
func (s Schema) String() string { return s.Namespace + ":" + s.Name + ":" + s.Version }

// ParseSchema reads String's form. It does not ask whether the schema is taken here.
func ParseSchema(text string) (Schema, bool) {
	part := strings.Split(text, ":")
	if len(part) != 3 {
		return Schema{}, false
	}
	return Schema{part[0], part[1], part[2]}, true
}

// Measures are what a body of the schema may hold, in their order; nil when the schema is not taken here.
func (s Schema) Measures() []Measure { return shapes[s].measures }

// IsInterval says that the schema refuses instants.
func (s Schema) IsInterval() bool { return shapes[s].interval }

// IsNight says that its frames are of the day on which they end.
func (s Schema) IsNight() bool { return shapes[s].night }

// IsTraffic says that its points are the operator's traffic data: each with a Contact, and in no product. Two at once are two, as a
// second call may come during the first.
func (s Schema) IsTraffic() bool { return shapes[s].traffic != 0 }

// WithSomebody says that somebody else is part of each of its points: their Contact names a direction and a correspondent.
func (s Schema) WithSomebody() bool { return shapes[s].traffic == withSomebody }

// trafficKind is what a point of traffic data says in its Contact; zero where it has none.
type trafficKind uint8

const (
	// withSomebody: a direction and a correspondent, maybe a cell.
	withSomebody trafficKind = iota + 1
	// inCell: a cell and nobody.
	inCell
	// maybeInCell: nobody, maybe a cell.
	maybeInCell
)

// shape is what a schema asks of a body.
type shape struct {
	measures []Measure
	required Measure // 0: none by itself
	interval bool    // instants are refused
	night    bool    // of the day on which it ends
	activity string  // activity_name, where the schema requires one
	traffic  trafficKind
}

var shapes = map[Schema]shape{
	StepCount:      {measures: []Measure{Steps}, required: Steps, interval: true},
	CaloriesBurned: {measures: []Measure{Energy}, required: Energy, interval: true},
	BodyWeight:     {measures: []Measure{Weight}, required: Weight},
	HeartRate:      {measures: []Measure{Pulse}, required: Pulse},
	PhysicalActivity: {
		measures: []Measure{Distance, ActiveEnergy, LightActivity, ModerateActivity, VigorousActivity}, interval: true,
		activity: "physical activity", // all of the frame's, whatever it was
	},
	TotalSleepTime: {measures: []Measure{Asleep}, required: Asleep, interval: true, night: true},
	TimeInBed:      {measures: []Measure{InBed}, required: InBed, interval: true, night: true},
	SleepEpisode: {
		measures: []Measure{Asleep, LightSleep, DeepSleep, REMSleep, FallingAsleep, Arising, AwakeAfterOnset, Awakenings},
		interval: true, night: true,
	},
	PhoneCall:   {measures: []Measure{CallDuration}, required: CallDuration, traffic: withSomebody},
	TextMessage: {measures: []Measure{Messages}, required: Messages, traffic: withSomebody},
	CellVisit:   {measures: []Measure{CellTime}, required: CellTime, traffic: inCell},
	DataUse:     {measures: []Measure{DataVolume}, required: DataVolume, interval: true, traffic: maybeInCell},
}
