package source_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/obole-market/obole/services/delivery/internal/source"
)

// secret stands in place of a value: no error may show it.
const secret = "31337"

// wrong is one thing wrong with a file.
type wrong struct {
	name, text, reason, line, field string
}

func (w wrong) test(t *testing.T, o source.Options) {
	t.Helper()
	o.File = "export.file"
	f := refused(t, []byte(w.text), o)
	line, _ := f.Fact("line")
	field, _ := f.Fact("field")
	name, _ := f.Fact("file")
	if f.Reason != w.reason || line != w.line || !strings.HasPrefix(field, w.field) || w.field == "" && field != "" || name != "export.file" {
		t.Errorf("%s: %v", w.name, f)
	}
	// What programs are told is of the same field.
	flaw, _ := f.Fact("flaw")
	if kind, of, ok := strings.Cut(flaw, " "); (w.reason == "ROW_INVALID") != ok || ok && (kind == "" || !strings.HasPrefix(field, of+" ")) {
		t.Errorf("%s: the flaw is %q of %q", w.name, flaw, field)
	}
	if text := fmt.Sprintf("%v %+v", f, *f); strings.Contains(text, secret) {
		t.Errorf("%s: the error shows the value: %s", w.name, text)
	}
}

// rows are a file with a header and a good row before the bad one, which stands on line 3.
func rows(header, good, bad string) string { return header + "\n" + good + "\n" + bad + "\n" }

func TestFitabaseRefuses(t *testing.T) {
	t.Parallel()
	const (
		invalid = "ROW_INVALID"
		daily   = "Id,ActivityDate,TotalSteps,TotalDistance,VeryActiveMinutes,FairlyActiveMinutes,LightlyActiveMinutes,Calories"
		aDay    = "7,4/12/2016,13162,8.5,25,13,328,1985"
		sleep   = "Id,SleepDay,TotalMinutesAsleep,TotalTimeInBed"
		aNight  = "7,4/12/2016 12:00:00 AM,327,346"
		weight  = "Id,Date,WeightKg,IsManualReport"
		aWeight = "7,5/2/2016 11:59:59 PM,52.6,True"
		heart   = "Id,Time,Value"
		aBeat   = "7,4/1/2016 7:54:00 AM,93"
		hourly  = "Id,ActivityHour,StepTotal"
		anHour  = "7,4/12/2016 12:00:00 AM,373"
		minute  = "Id,ActivityMinute,Steps"
		aMinute = "7,4/12/2016 12:00:00 AM,3"
	)
	wide := "Id,ActivityHour"
	for i := range 60 {
		wide += fmt.Sprintf(",Steps%02d", i)
	}
	aWide := "7,4/13/2016 12:00:00 AM" + strings.Repeat(",4", 60)
	for _, w := range []wrong{
		{"a cell missing", rows(daily, aDay, "7,4/13/2016,31337"), invalid, "3", "row has another number of cells"},
		{"a cell too many", rows(heart, aBeat, aBeat+",31337"), invalid, "3", "row has another number of cells"},
		{"a quote out of place", rows(heart, aBeat, `7,"4/1/2016 7:54:00 AM"x,31337`), invalid, "3", "row has a quote"},
		{"a quote never closed", rows(heart, aBeat, `7,"4/1/2016 7:54:00 AM,31337`), invalid, "3", "row has a quote"},
		{"a quote within", rows(heart, aBeat, `7,4/1/2016" 7:54:00 AM,31337`), invalid, "3", "row has a quote"},
		{"a row without end", rows(heart, aBeat, strings.Repeat(secret, 20_000)), invalid, "3", "row is longer"},
		{"nobody", rows(heart, aBeat, ",4/1/2016 7:54:00 AM,31337"), invalid, "3", "Id is empty"},
		{"a day that is none", rows(daily, aDay, "7,31337,1,8.5,25,13,328,1985"), invalid, "3", "ActivityDate is no month/day/year"},
		{"a 13th month", rows(daily, aDay, "7,13/12/2016,1,8.5,25,13,328,1985"), invalid, "3", "ActivityDate"},
		{"30 February", rows(daily, aDay, "7,2/30/2016,1,8.5,25,13,328,1985"), invalid, "3", "ActivityDate"},
		{"a day with a clock", rows(daily, aDay, "7,4/12/2016 1:00:00 AM,1,8.5,25,13,328,1985"), invalid, "3", "ActivityDate"},
		{"a clock never set", rows(daily, aDay, "7,1/1/1990,1,8.5,25,13,328,1985"), invalid, "3", "ActivityDate is before 2000-01-01"},
		{"steps that are none", rows(daily, aDay, "7,4/13/2016,x31337,8.5,25,13,328,1985"), invalid, "3", "TotalSteps is no number"},
		{"no steps", rows(daily, aDay, "7,4/13/2016,,8.5,25,13,328,1985"), invalid, "3", "TotalSteps is empty"},
		{"half a step", rows(daily, aDay, "7,4/13/2016,31337.5,8.5,25,13,328,1985"), invalid, "3", "TotalSteps is not a whole number"},
		{"steps below zero", rows(daily, aDay, "7,4/13/2016,-31337,8.5,25,13,328,1985"), invalid, "3", "TotalSteps is less than 0"},
		{"too many steps", rows(daily, aDay, "7,4/13/2016,31337000,8.5,25,13,328,1985"), invalid, "3", "TotalSteps is more than"},
		{"steps beyond all", rows(daily, aDay, "7,4/13/2016,31337e99,8.5,25,13,328,1985"), invalid, "3", "TotalSteps is out of all bounds"},
		{"digits beyond all", rows(daily, aDay, "7,4/13/2016,3133700000000000000000,8.5,25,13,328,1985"), invalid, "3", "TotalSteps is out"},
		{"an exponent of none", rows(daily, aDay, "7,4/13/2016,31337e,8.5,25,13,328,1985"), invalid, "3", "TotalSteps is no number"},
		{"too far", rows(daily, aDay, "7,4/13/2016,1,31337,25,13,328,1985"), invalid, "3", "TotalDistance is more than"},
		{"more minutes than a day", rows(daily, aDay, "7,4/13/2016,1,1,31337,13,328,1985"), invalid, "3", "VeryActiveMinutes is more"},
		{"no minutes", rows(daily, aDay, "7,4/13/2016,1,1,25,,328,1985"), invalid, "3", "FairlyActiveMinutes is empty"},
		{"minutes in words", rows(daily, aDay, "7,4/13/2016,1,1,25,13,none,1985"), invalid, "3", "LightlyActiveMinutes is no number"},
		{"energy of a rocket", rows(daily, aDay, "7,4/13/2016,1,1,25,13,328,31337"), invalid, "3", "Calories is more than"},
		{"a night with a clock", rows(sleep, aNight, "7,4/12/2016 1:00:00 AM,31337,31337"), invalid, "3", "SleepDay"},
		{"sleep that is none", rows(sleep, aNight, "7,4/13/2016 12:00:00 AM,x,31337"), invalid, "3", "TotalMinutesAsleep is no number"},
		{"a bed that is none", rows(sleep, aNight, "7,4/13/2016 12:00:00 AM,300,x31337"), invalid, "3", "TotalTimeInBed is no number"},
		{
			"asleep out of bed", rows(sleep, aNight, "7,4/13/2016 12:00:00 AM,31337,31336"), invalid, "3",
			"TotalMinutesAsleep is more than the time in bed",
		},
		{"a night of weeks", rows(sleep, aNight, "7,4/13/2016 12:00:00 AM,31337,31337"), invalid, "3", "TotalMinutesAsleep is more than"},
		{"a weight's day", rows(weight, aWeight, "7,5/3/2016,31337,True"), invalid, "3", "Date is no month/day/year hour:minute"},
		{"a 13th hour", rows(weight, aWeight, "7,5/3/2016 13:00:00 PM,31337,True"), invalid, "3", "Date"},
		{"an hour 0 in the morning", rows(weight, aWeight, "7,5/3/2016 0:00:00 AM,31337,True"), invalid, "3", "Date"},
		{"a weight of grams", rows(weight, aWeight, "7,5/3/2016 11:59:59 PM,31337,True"), invalid, "3", "WeightKg is more than 700 kg"},
		{"a weight of a hen", rows(weight, aWeight, "7,5/3/2016 11:59:59 PM,1.31337,True"), invalid, "3", "WeightKg is less than 2 kg"},
		{"neither by hand nor not", rows(weight, aWeight, "7,5/3/2016 11:59:59 PM,52,31337"), invalid, "3", "IsManualReport is neither"},
		{"a rate's time", rows(heart, aBeat, "7,31337,90"), invalid, "3", "Time"},
		{"a rate's year of three digits", rows(heart, aBeat, "7,4/1/216 7:54:00 AM,90"), invalid, "3", "Time"},
		{"a rate that is none", rows(heart, aBeat, "7,4/1/2016 7:54:05 AM,x31337"), invalid, "3", "Value is no number"},
		{"a rate of a bird", rows(heart, aBeat, "7,4/1/2016 7:54:05 AM,31337"), invalid, "3", "Value is more than 300"},
		{"no rate", rows(heart, aBeat, "7,4/1/2016 7:54:05 AM,0"), invalid, "3", "Value is less than 20"},
		{"an hour's day", rows(hourly, anHour, "7,4/12/2016,31337"), invalid, "3", "ActivityHour"},
		{"an hour of too much", rows(hourly, anHour, "7,4/12/2016 1:00:00 AM,31337"), invalid, "3", "StepTotal is more than"},
		{
			"an hour never shown", rows(hourly, anHour, "7,3/27/2016 2:00:00 AM,313"), invalid, "3",
			"ActivityHour is a time that the zone's clock never showed",
		},
		{"a minute's day", rows(minute, aMinute, "7,4/12/2016,31337"), invalid, "3", "ActivityMinute"},
		{"a minute of too much", rows(minute, aMinute, "7,4/12/2016 12:01:00 AM,31337"), invalid, "3", "Steps is more than"},
		{"a minute never shown", rows(minute, aMinute, "7,3/27/2016 2:59:00 AM,31"), invalid, "3", "ActivityMinute is a time"},
		{"a wide hour's day", rows(wide, aWide, "7,31337"+strings.Repeat(",4", 60)), invalid, "3", "ActivityHour"},
		{"a wide minute of too much", rows(wide, aWide, "7,4/13/2016 1:00:00 AM"+strings.Repeat(",4", 59)+",31337"), invalid, "3", "Steps59"},
		{
			"a wide minute of none", rows(wide, aWide, "7,4/13/2016 1:00:00 AM,4,x31337"+strings.Repeat(",4", 58)), invalid, "3",
			"Steps01 is no number",
		},
		{
			"a wide hour never shown", rows(wide, aWide, "7,3/27/2016 2:00:00 AM,4"+strings.Repeat(",0", 59)), invalid, "3",
			"ActivityHour is a time",
		},
		{"several people", rows(heart, aBeat, "31337,4/1/2016 7:54:05 AM,90"), "PERSON_MISSING", "", ""},
		{
			"intensities", rows("Id,ActivityHour,TotalIntensity,AverageIntensity", "7,4/12/2016 12:00:00 AM,20,0.33", "31337"), "FORMAT_UNKNOWN", "",
			"",
		},
		{"another table", rows("Name,Phone", "Somebody,31337", "x"), "FORMAT_UNKNOWN", "", ""},
		{"a header in quotes that do not close", "\"Id,Time,Value\n31337\n", "FORMAT_UNKNOWN", "", ""},
		{"nothing", "", "FORMAT_UNKNOWN", "", ""},
		{"only a byte order mark", "\xef\xbb\xbf", "FORMAT_UNKNOWN", "", ""},
	} {
		w.test(t, berlin)
	}
	others := berlin
	others.Participant = "7"
	wrong{"a fault in another's row", rows(heart, aBeat, "8,4/1/2016 7:54:05 AM,31337"), "ROW_INVALID", "3", "Value"}.test(t, others)
	others.Participant = secret
	wrong{"somebody else's file", rows(heart, aBeat, aBeat), "PERSON_MISSING", "", ""}.test(t, others)
	nowhere := berlin
	nowhere.Zone = ""
	for _, text := range []string{
		rows(daily, aDay, aDay), rows(sleep, aNight, aNight), rows(weight, aWeight, aWeight), rows(heart, aBeat, aBeat),
		rows(hourly, anHour, anHour), rows(minute, aMinute, aMinute), rows(wide, aWide, aWide),
	} {
		wrong{"no zone", text, "ZONE_MISSING", "", ""}.test(t, nowhere)
	}
}

func TestWithingsRefuses(t *testing.T) {
	t.Parallel()
	const (
		invalid = "ROW_INVALID"
		group   = `{"date":1693651151,"modified":1693651185,"measures":[{"value":118003,"type":1,"unit":-3}]}`
	)
	body := func(list, good, bad string) string {
		return `{"status":0,"body":{` + list + ":[\n" + good + ",\n" + bad + "\n]}}"
	}
	measures := func(bad string) string { return body(`"measuregrps"`, group, bad) }
	activity := func(bad string) string {
		return body(`"activities"`, `{"date":"2023-10-20","steps":1209,"timezone":"Europe/Paris"}`, bad)
	}
	series := func(bad string) string {
		return body(`"series"`, `{"startdate":1618691453,"state":0,"enddate":1618691573,"hr":{"1618691453":70}}`, bad)
	}
	nights := func(data string) string {
		return series(`{"startdate":1618691453,"enddate":1618713173,"data":{` + data + `}}`)
	}
	intraday := func(bad string) string {
		return `{"status":0,"body":{"series":{` + "\n" + `"1618691453":{"steps":12,"duration":60},` + "\n" + bad + "}}}"
	}
	for _, w := range []wrong{
		{"an answer to a failed request", `{"status":31337,"body":{"measuregrps":[]}}`, invalid, "1", "status is not 0"},
		{"a body that is none", `{"status":0,"body":[31337]}`, "FORMAT_UNKNOWN", "", ""},
		{"a body without a list", `{"status":0,"body":{"devices":[31337]}}`, "FORMAT_UNKNOWN", "", ""},
		{"a list that is none", `{"status":0,"body":{"measuregrps":{"31337":1}}}`, "FORMAT_UNKNOWN", "", ""},
		{"a list that is a number", `{"status":0,"body":{"series":31337}}`, "FORMAT_UNKNOWN", "", ""},
		{"workouts", series(`{"startdate":1618691453,"enddate":1618713173,"data":{"steps":31337}}`), "FORMAT_UNKNOWN", "", ""},
		{"a phase without a state", series(`{"startdate":1618691453,"enddate":31337}`), "FORMAT_UNKNOWN", "", ""},
		{"a zone that is none", `{"status":0,"body":{"timezone":"Nowhere/31337","measuregrps":[]}}`, invalid, "1", "timezone is no zone"},
		{"the process's zone", `{"status":0,"body":{"timezone":"Local","measuregrps":[]}}`, invalid, "1", "timezone is no zone"},
		{"a zone that is a number", `{"status":0,"body":{"timezone":31337,"measuregrps":[]}}`, invalid, "1", "timezone is of the wrong kind"},
		{"a group that is none", measures(`31337`), invalid, "3", "measuregrps is of the wrong kind"},
		{"a date that is none", measures(`{"date":"x31337","measures":[]}`), invalid, "3", "measuregrps is not what it should be"},
		{"a date of the wrong kind", measures("{\n\n\"date\":[31337],\"measures\":[]}"), invalid, "5", "measuregrps.date is of the wrong kind"},
		{"no date", measures(`{"measures":[{"value":31337,"type":1,"unit":-3}]}`), invalid, "3", "measuregrps.date is no number of seconds"},
		{"a date below zero", measures(`{"date":-31337,"measures":[]}`), invalid, "3", "measuregrps.date is no number of seconds"},
		{"a date after all", measures(`{"date":3133700000000,"measures":[]}`), invalid, "3", "measuregrps.date is no number of seconds"},
		{
			"a clock never set", measures(`{"date":31337,"measures":[{"value":118003,"type":1,"unit":-3}]}`), invalid, "3",
			"body.effective_time_frame is before 2000-01-01",
		},
		{"a change that is none", measures(`{"date":1693651151,"modified":-31337,"measures":[]}`), invalid, "3", "measuregrps.modified is no"},
		{
			"a unit that is none", measures(`{"date":1693651151,"measures":[{"value":31337,"type":1}]}`), invalid, "3",
			"measuregrps.measures.unit is no power of ten",
		},
		{
			"a value missing", measures(`{"date":1693651151,"measures":[{"type":1,"unit":-3}]}`), invalid, "3",
			"measuregrps.measures.value is empty",
		},
		{
			"a weight of tons", measures(`{"date":1693651151,"measures":[{"value":31337,"type":1,"unit":0}]}`), invalid, "3",
			"measuregrps.measures.value is more than 700 kg",
		},
		{
			"a weight of worlds", measures(`{"date":1693651151,"measures":[{"value":31337,"type":1,"unit":99}]}`), invalid, "3",
			"measuregrps.measures.value is out of all bounds",
		},
		{
			"a rate of a bird", measures(`{"date":1693651151,"measures":[{"value":31337,"type":11,"unit":0}]}`), invalid, "3",
			"measuregrps.measures.value is more than 300",
		},
		{"an activity that is none", activity(`"31337"`), invalid, "3", "activities is of the wrong kind"},
		{"a day that is none", activity(`{"date":"31337","steps":1}`), invalid, "3", "activities.date is no day"},
		{"a zone of a day", activity(`{"date":"2023-10-20","timezone":"Nowhere/31337"}`), invalid, "3", "activities.timezone is no zone"},
		{
			"a day that the zone skipped", activity(`{"date":"2011-12-30","timezone":"Pacific/Apia","steps":31337}`), invalid, "3",
			"activities.date is a day that the zone skipped",
		},
		{"a change of a day", activity(`{"date":"2023-10-20","modified":31337.5}`), invalid, "3", "activities.modified is no"},
		{"steps below zero", activity(`{"date":"2023-10-20","steps":-31337}`), invalid, "3", "activities.steps is less than 0"},
		{"half a step", activity(`{"date":"2023-10-20","steps":31337.5}`), invalid, "3", "activities.steps is not a whole number"},
		{"too far", activity(`{"date":"2023-10-20","distance":31337000}`), invalid, "3", "activities.distance is more than"},
		{"energy", activity(`{"date":"2023-10-20","calories":31337}`), invalid, "3", "activities.calories is more than"},
		{"all energy", activity(`{"date":"2023-10-20","totalcalories":31337}`), invalid, "3", "activities.totalcalories is more than"},
		{"light activity", activity(`{"date":"2023-10-20","soft":3133700}`), invalid, "3", "activities.soft is more than"},
		{"moderate activity", activity(`{"date":"2023-10-20","moderate":3133700}`), invalid, "3", "activities.moderate is more than"},
		{"intense activity", activity(`{"date":"2023-10-20","intense":3133700}`), invalid, "3", "activities.intense is more than"},
		{"a phase that is none", series(`[31337]`), invalid, "3", "series is of the wrong kind"},
		{"a phase's zone", series(`{"state":0,"timezone":"Nowhere/31337"}`), invalid, "3", "series.timezone is no zone"},
		{"a rate's time", series(`{"state":0,"hr":{"x31337":70}}`), invalid, "3", "series.hr is no number of seconds"},
		{"a rate", series(`{"state":0,"hr":{"1618691453":31337}}`), invalid, "3", "series.hr is more than 300"},
		{"rates that are none", series(`{"state":0,"hr":[31337]}`), invalid, "3", "series"},
		{"a night's beginning", series(`{"startdate":"2021-04-17","data":{"total_sleep_time":31337}}`), invalid, "3", "series is not what"},
		{"a night without beginning", series(`{"data":{"total_sleep_time":31337}}`), invalid, "3", "series.startdate is no number"},
		{
			"a night without end", series(`{"startdate":1618691453,"data":{"total_sleep_time":31337}}`), invalid, "3",
			"series.enddate is no number",
		},
		{
			"a night backwards", series(`{"startdate":1618713173,"enddate":1618691453,"data":{"total_sleep_time":31337}}`), invalid, "3",
			"series.enddate ends before it begins",
		},
		{
			"a night of two days", series(`{"startdate":1618691453,"enddate":1618891453,"data":{"total_sleep_time":31337}}`), invalid, "3",
			"series.enddate is longer than 26 hours",
		},
		{
			"a night's change",
			series(`{"startdate":1618691453,"enddate":1618713173,"modified":-31337,"data":{"total_sleep_time":60}}`), invalid, "3",
			"series.modified is no number",
		},
		{
			"sleep of weeks", nights(`"total_sleep_time":313370`), invalid, "3",
			"series.data.total_sleep_time is no number of seconds within a day",
		},
		{"sleep longer than the night", nights(`"total_sleep_time":31337`), invalid, "3", "series.data.total_sleep_time is more than"},
		{"light sleep", nights(`"total_sleep_time":60,"lightsleepduration":-31337`), invalid, "3", "series.data.lightsleepduration is no"},
		{"deep sleep", nights(`"total_sleep_time":60,"deepsleepduration":31337.5`), invalid, "3", "series.data.deepsleepduration is no"},
		{"dreams", nights(`"total_sleep_time":60,"remsleepduration":31337`), invalid, "3", "series.data.remsleepduration is more than"},
		{"falling asleep", nights(`"total_sleep_time":60,"durationtosleep":-31337`), invalid, "3", "series.data.durationtosleep is no"},
		{"getting up", nights(`"total_sleep_time":60,"durationtowakeup":-31337`), invalid, "3", "series.data.durationtowakeup is no"},
		{"awake", nights(`"total_sleep_time":60,"waso":31337`), invalid, "3", "series.data.waso is more than"},
		{"awakenings", nights(`"total_sleep_time":60,"wakeupcount":31337.5`), invalid, "3", "series.data.wakeupcount is not a whole number"},
		{"an interval that is none", intraday(`"1618691513":31337`), invalid, "3", "series is of the wrong kind"},
		{"an interval's beginning", intraday(`"x31337":{"steps":12,"duration":60}`), invalid, "3", "series is no number of seconds"},
		{"an interval's length", intraday(`"1618691513":{"steps":12,"duration":-31337}`), invalid, "3", "series.duration is no number"},
		{"an interval without length", intraday(`"1618691513":{"steps":12}`), invalid, "3", "series.duration is no number"},
		{"an interval's steps", intraday(`"1618691513":{"steps":31337,"duration":60}`), invalid, "3", "series.steps is more than"},
		{"the middle of a group", measures(group)[:150], invalid, "3", "end of the file comes in the middle"},
		{"the middle of a list", `{"status":0,"body":{"measuregrps":[` + group + ",\n", invalid, "2", "end of the file comes in the middle"},
		{"no JSON", measures(`{"date":31337,}`), invalid, "3", "syntax is not that of JSON"},
		{"something after the end", measures(group) + "\n31337", invalid, "5", "end of the JSON is not the end of the file"},
		{"an element of 5 MiB", measures(`{"x":"` + strings.Repeat(secret, 1<<20) + `"}`), invalid, "3", "element is larger than 4 MiB"},
		{
			"a zone that comes too late", `{"status":0,"body":{"measuregrps":[` + "\n" + strings.Repeat(group+",", 50_000) + group +
				"],\n" + `"timezone":"Asia/Tokyo"}}`, invalid, "3", "timezone is not the one that the caller named",
		},
	} {
		w.test(t, berlin)
	}
	large := strings.Replace(group, "{", `{"x":"`+strings.Repeat("x", 3<<20)+`",`, 1)
	if points, _ := taken(t, []byte(body(`"measuregrps"`, large, large)), berlin); len(points) != 2 {
		t.Errorf("two elements of 3 MiB are %d points", len(points))
	}
	nowhere := berlin
	nowhere.Zone = ""
	for _, text := range []string{
		measures(group), `[{"grpid":1,"date":1693651151,"measures":[]}]`, body(`"activities"`, `{"date":"2023-10-20","steps":1209}`, `{}`),
		series(`{}`), intraday(`"1618691513":{"steps":12,"duration":60}`), nights(`"total_sleep_time":60`),
	} {
		wrong{"no zone", text, "ZONE_MISSING", "", ""}.test(t, nowhere)
	}
}

func TestPointsRefuse(t *testing.T) {
	t.Parallel()
	const (
		invalid = "ROW_INVALID"
		header  = `{"header":{"uuid":"3b3a6a3c-22b4-4a5e-9b86-2c5d1f0a31d7","schema_id":{"namespace":"omh","name":"`
		after   = `"},"source_creation_date_time":"2016-04-13T00:00:00+02:00","modality":"sensed"},"body":{`
		day     = `"effective_time_frame":{"time_interval":{"start_date_time":"2016-04-12T00:00:00+02:00",` +
			`"end_date_time":"2016-04-13T00:00:00+02:00"}}}}`
		instant = `"effective_time_frame":{"date_time":"2016-04-12T08:00:00+02:00"}}}`
		steps   = header + `step-count","version":"3.0` + after
		weight  = header + `body-weight","version":"2.0` + after
		good    = steps + `"step_count":{"value":13162,"unit":"steps"},` + day
	)
	frame := func(f string) string {
		return steps + `"step_count":{"value":313,"unit":"steps"},"effective_time_frame":{"time_interval":{` + f + `}}}}`
	}
	for _, w := range []wrong{
		{
			"a schema that is not taken", header + `blood-pressure","version":"4.0` + after + `"x":31337,` + instant, invalid, "2",
			"header.schema_id is none of",
		},
		{
			"another version", header + `step-count","version":"1.0` + after + `"step_count":31337,` + day, invalid, "2",
			"header.schema_id is none of",
		},
		{"no measure", steps + day, invalid, "2", "body goes against required"},
		{"a number without unit", steps + `"step_count":31337,` + day, invalid, "2", "body.step_count goes against type"},
		{"a text as number", steps + `"step_count":{"value":"31337","unit":"steps"},` + day, invalid, "2", "body.step_count.value goes against"},
		{
			"a unit of no schema", weight + `"body_weight":{"value":31337,"unit":"stone"},` + instant, invalid, "2",
			"body.body_weight.unit goes against enum",
		},
		{
			"a unit below the house's", weight + `"body_weight":{"value":31337,"unit":"fg"},` + instant, invalid, "2",
			"body.body_weight has a unit",
		},
		{"too heavy", weight + `"body_weight":{"value":31337,"unit":"kg"},` + instant, invalid, "2", "body.body_weight is more than 700 kg"},
		{
			"heavier than numbers", weight + `"body_weight":{"value":31337e300,"unit":"kg"},` + instant, invalid, "2",
			"body.body_weight is out of all",
		},
		{"half a step", steps + `"step_count":{"value":31337.5,"unit":"steps"},` + day, invalid, "2", "body.step_count is not a whole number"},
		{"an instant of steps", steps + `"step_count":{"value":31337,"unit":"steps"},` + instant, invalid, "2", "body.effective_time_frame"},
		{
			"a mean", weight + `"body_weight":{"value":31.337,"unit":"kg"},"descriptive_statistic":"average",` + instant, invalid, "2",
			"body.descriptive_statistic is not taken",
		},
		{
			"a position that is none", weight + `"body_weight":{"value":51,"unit":"kg"},"position":"left 31337",` + instant, invalid, "2",
			"body.position is no name",
		},
		{
			"a position that is a number", weight + `"body_weight":{"value":51,"unit":"kg"},"position":31337,` + instant, invalid, "2",
			"body.position is no name",
		},
		{
			"no frame", strings.TrimSuffix(weight, ",") + `"body_weight":{"value":31.337,"unit":"kg"}}}`, invalid, "2",
			"body goes against required",
		},
		{"a time that is none", frame(`"start_date_time":"31337","end_date_time":"31337"`), invalid, "2", "body.effective_time_frame"},
		{
			"a time without offset", frame(`"start_date_time":"2016-04-12T00:00:00","end_date_time":"2016-04-13T00:00:00"`), invalid, "2",
			"body.effective_time_frame",
		},
		{"a beginning alone", frame(`"start_date_time":"2016-04-12T00:00:00Z"`), invalid, "2", "body.effective_time_frame"},
		{
			"a part of a day", frame(`"date":"2016-04-12","part_of_day":"morning"`), invalid, "2",
			"body.effective_time_frame.time_interval is no interval with a beginning and an end",
		},
		{
			"backwards", frame(`"start_date_time":"2016-04-12T01:00:00Z","end_date_time":"2016-04-12T00:00:00Z"`), invalid, "2",
			"body.effective_time_frame ends before it begins",
		},
		{
			"a week", frame(`"start_date_time":"2016-04-12T00:00:00Z","duration":{"value":1,"unit":"wk"}`), invalid, "2",
			"body.effective_time_frame is longer than 26 hours",
		},
		{
			"a length of months", frame(`"start_date_time":"2016-04-12T00:00:00Z","duration":{"value":31337,"unit":"Mo"}`), invalid, "2",
			"body.effective_time_frame.time_interval.duration has a unit",
		},
		{"an id that is none", strings.Replace(good, "3b3a6a3c", secret, 1), invalid, "2", "header.uuid"},
		{"no header's time", strings.Replace(good, "source_creation_date_time", "source", 1), invalid, "2", "header goes against"},
		{"no point", `31337`, invalid, "2", "point goes against type"},
		{"a list within", `[` + good + `]`, invalid, "2", "point goes against type"},
		{"no JSON", `{"header":31337,}`, invalid, "2", "syntax is not that of JSON"},
		{"the middle of one", good[:200], invalid, "2", "end of the file comes in the middle"},
	} {
		list := w
		w.text = good + "\n" + w.text
		w.test(t, berlin)
		if list.field != "syntax is not that of JSON" && list.field != "end of the file comes in the middle" {
			list.text = "[" + good + ",\n" + list.text + "]"
			list.test(t, berlin)
		}
	}
	wrong{"something after a list", "[" + good + "]\n31337", invalid, "2", "end of the JSON"}.test(t, berlin)
	wrong{"a list that is not closed", "[" + good + "\n", invalid, "2", "end of the file"}.test(t, berlin)
	for text, field := range map[string]string{
		`31337x`: "point", `{"header":{"schema_id":31337}}`: "point", good[:40]: "point",
		strings.Replace(good, "3b3a6a3c", secret, 1):          "header.uuid",
		strings.Replace(good, "effective_time_frame", "t", 1): "body.effective_time_frame",
	} {
		_, err := source.Decode([]byte(text))
		if err == nil || !strings.Contains(err.Error(), field) || strings.Contains(err.Error(), secret) {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestOptionsRefused(t *testing.T) {
	t.Parallel()
	b := file(t, "fitabase/heartrate_seconds_merged.csv")
	for name, change := range map[string]func(*source.Options){
		"zone":       func(o *source.Options) { o.Zone = "Nowhere/31337" },
		"days.first": func(o *source.Options) { o.First = secret },
		"days.last":  func(o *source.Options) { o.Last = "2016-02-30" },
	} {
		o := berlin
		change(&o)
		f := refused(t, b, o)
		if _, ok := f.Fact(name); !ok || strings.Contains(f.Error(), secret) {
			t.Errorf("%s: %v", name, f)
		}
	}
	local := berlin
	local.Zone = "Local"
	if f := refused(t, b, local); f.Reason != "" {
		t.Errorf("the process's zone is nobody's: %v", f)
	}
}
