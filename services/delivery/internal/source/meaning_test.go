package source_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// brief is a point in a line: schema, frame, values, and what is out of the ordinary.
func brief(p *point.Point) string {
	text := p.Schema.Name + " " + p.Frame.Start.Format(time.RFC3339Nano)
	made := p.Frame.Start
	if !p.Frame.IsInstant() {
		made = p.Frame.End
		text += "/" + p.Frame.End.Format(time.RFC3339Nano)
	}
	for _, v := range p.Values {
		text += fmt.Sprintf(" %s=%s", v.Measure.Key(), v.Quantity)
	}
	if p.Position != "" {
		text += " at " + p.Position
	}
	if !p.Created.Equal(made) {
		text += " written " + p.Created.Format(time.RFC3339Nano)
	}
	switch p.Modality {
	case point.SelfReported:
		text += " by the person"
	case point.Unstated:
		text += " somehow"
	case point.Sensed:
	}
	return text
}

func TestMeaning(t *testing.T) {
	t.Parallel()
	group := func(rest string) string {
		return `{"status":0,"body":{"timezone":"Europe/Paris","measuregrps":[{"date":1693651151,` + rest + `}]}}`
	}
	const kilos = `"measures":[{"value":80000,"type":1,"unit":-3}]`
	activity := func(rest string) string {
		return `{"status":0,"body":{"activities":[{"date":"2023-10-20",` + rest + `}]}}`
	}
	night := func(rest string) string {
		return `{"status":0,"body":{"timezone":"Europe/Paris","series":[{"startdate":1618691400,"enddate":1618713000,"data":{` + rest + `}}]}}`
	}
	phase := func(rest string) string { return `{"status":0,"body":{"series":[{"state":1,` + rest + `}]}}` }
	intraday := func(rest string) string { return `{"status":0,"body":{"series":{"1618691400":{` + rest + `}}}}` }
	pt := func(schema, rest string) string {
		return `{"header":{"uuid":"3b3a6a3c-22b4-4a5e-9b86-2c5d1f0a31d7","schema_id":{` + schema + `},` +
			`"source_creation_date_time":"2016-04-12T08:00:00Z"},"body":{` + rest + `}}`
	}
	const (
		weight = `"namespace":"omh","name":"body-weight","version":"2.0"`
		asleep = `"namespace":"ieee","name":"total-sleep-time","version":"1.0"`
		moving = `"namespace":"ieee","name":"physical-activity","version":"1.0"`
		scale  = "body-weight 2023-09-02T12:39:11+02:00 body_weight=80"
		kg     = "body-weight 2016-04-12T08:00:00Z body_weight="
		minute = "2021-04-17T22:30:00+02:00/2021-04-17T22:31:00+02:00"
		span   = `,"effective_time_frame":{"time_interval":{`
		from   = `"start_date_time":"2016-04-12T00:00:00Z"`
		until  = `"end_date_time":"2016-04-12T08:00:00Z"`
		bed    = "time-in-bed 2021-04-17T22:30:00+02:00/2021-04-18T04:30:00+02:00 time_in_bed=21600"
		whole  = "sleep-episode 2021-04-17T22:30:00+02:00/2021-04-18T04:30:00+02:00"
		day    = "2023-10-20T00:00:00+02:00/2023-10-21T00:00:00+02:00"
	)
	mass := func(value, unit string) string {
		return pt(weight, `"body_weight":{"value":`+value+`,"unit":"`+unit+`"},"effective_time_frame":{"date_time":"2016-04-12T08:00:00Z"}`)
	}
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"a weight":                  {group(kilos), []string{scale}},
		"a weight in tens":          {group(`"measures":[{"value":8,"type":1,"unit":1}]`), []string{scale}},
		"by another, maybe":         {group(`"attrib":1,` + kilos), nil},
		"an objective":              {group(`"category":2,` + kilos), nil},
		"typed in":                  {group(`"attrib":2,` + kilos), []string{scale + " by the person"}},
		"typed in at the beginning": {group(`"attrib":4,` + kilos), []string{scale + " by the person"}},
		"written later": {
			group(`"modified":1693651185,` + kilos),
			[]string{scale + " written 2023-09-02T12:39:45+02:00"},
		},
		"other types": {group(`"measures":[{"value":31337,"type":5,"unit":-3},{"value":22,"type":6,"unit":-2}]`), nil},
		"a rate somewhere": {
			group(`"measures":[{"value":61,"type":11,"unit":0,"position":7}]`),
			[]string{"heart-rate 2023-09-02T12:39:11+02:00 heart_rate=61 at 7"},
		},
		"a day without a step": {activity(`"steps":0,"distance":0,"soft":0,"totalcalories":0`), []string{"step-count " + day + " step_count=0"}},
		"a day of nulls":       {activity(`"steps":null,"distance":null,"modified":null`), nil},
		"a day": {
			activity(`"steps":9,"distance":7.456,"soft":60,"moderate":0,"intense":30,"calories":1.5,"totalcalories":2000.1`),
			[]string{
				"step-count " + day + " step_count=9",
				"physical-activity " + day + " distance=7.46 kcal_burned=1.5 duration_light_activity=60 duration_moderate_activity=0" +
					" duration_vigorous_activity=30",
				"calories-burned " + day + " kcal_burned=2000.1",
			},
		},
		"a day elsewhere": {
			activity(`"timezone":"Asia/Tokyo","steps":9`),
			[]string{"step-count 2023-10-20T00:00:00+09:00/2023-10-21T00:00:00+09:00 step_count=9"},
		},
		"steps of a minute":    {intraday(`"steps":9,"duration":60`), []string{"step-count " + minute + " step_count=9"}},
		"no steps in a minute": {intraday(`"steps":0,"duration":60`), nil},
		"another minute":       {intraday(`"elevation":9,"duration":60`), nil},
		"rates of a phase": {
			phase(`"hr":{"1618691460":61,"1618691400":60}`),
			[]string{"heart-rate 2021-04-17T22:30:00+02:00 heart_rate=60", "heart-rate 2021-04-17T22:31:00+02:00 heart_rate=61"},
		},
		"no rates":             {phase(`"hr":{}`), nil},
		"no rates, otherwise":  {phase(`"hr":[]`), nil},
		"nothing of the night": {night(`"total_sleep_time":0`), []string{bed}},
		"a night": {
			night(`"total_sleep_time":18000,"durationtosleep":600,"durationtowakeup":1200,"waso":900,"wakeupcount":2`),
			[]string{
				bed, "sleep-episode 2021-04-17T22:40:00+02:00/2021-04-18T04:10:00+02:00 total_sleep_time=18000 latency_to_sleep_onset=600" +
					" latency_to_arising=1200 wake_after_sleep_onset=900 number_of_awakenings=2" +
					" written 2021-04-18T04:30:00+02:00",
			},
		},
		"parts that do not add up": {
			night(`"total_sleep_time":20700,"durationtosleep":600,"durationtowakeup":1200,"waso":-900`),
			[]string{bed, whole + " total_sleep_time=20700"},
		},
		"phases without their sum": {
			night(`"lightsleepduration":9000,"deepsleepduration":6000,"remsleepduration":3000`),
			[]string{bed, whole + " total_sleep_time=18000 light_sleep_duration=9000 deep_sleep_duration=6000 rem_sleep_duration=3000"},
		},
		"pounds":      {mass("115.963146545323", "lb"), []string{kg + "52.6 somehow"}},
		"ounces":      {mass("1855.41034472", "oz"), []string{kg + "52.6 somehow"}},
		"grams":       {mass("52600.4", "g"), []string{kg + "52.6 somehow"}},
		"half a gram": {mass("52600.5", "g"), []string{kg + "52.601 somehow"}},
		"where on earth": {
			pt(weight, `"body_weight":{"value":52.6,"unit":"kg"},"position":"left",`+
				`"effective_time_frame":{"date_time":"2016-04-12T08:00:00.1234567-06:00"}`),
			[]string{"body-weight 2016-04-12T08:00:00.123456-06:00 body_weight=52.6 at left written 2016-04-12T08:00:00Z somehow"},
		},
		"hours from a beginning": {
			pt(asleep, `"total_sleep_time":{"value":7.5,"unit":"h"}`+span+from+
				`,"duration":{"value":8,"unit":"h"}}}`),
			[]string{"total-sleep-time 2016-04-12T00:00:00Z/2016-04-12T08:00:00Z total_sleep_time=27000 somehow"},
		},
		"minutes to an end": {
			pt(asleep, `"total_sleep_time":{"value":450,"unit":"min"}`+span+until+
				`,"duration":{"value":480,"unit":"min"}}}`),
			[]string{"total-sleep-time 2016-04-12T00:00:00Z/2016-04-12T08:00:00Z total_sleep_time=27000 somehow"},
		},
		"a maker instead of an address": {
			strings.Replace(mass("52.6", "kg"), `},"body"`, `,"external_datasheets":[{"datasheet_reference":"Somebody"}]},"body"`, 1),
			[]string{kg + "52.6 somehow"},
		},
		"miles": {
			pt(moving, `"activity_name":"walking","distance":{"value":1.5,"unit":"mi"}`+span+from+","+until+`}}`),
			[]string{"physical-activity 2016-04-12T00:00:00Z/2016-04-12T08:00:00Z distance=2414.02 somehow"},
		},
		"a column twice": {
			"Id,Time,Value,Value\n7,4/1/2016 7:54:00 AM,93,94\n", []string{"heart-rate 2016-04-01T07:54:00+02:00 heart_rate=93"},
		},
		"a minute without steps": {
			"Id,ActivityMinute,Steps\n7,4/1/2016 7:54:00 AM,0\n7,4/1/2016 7:55:00 AM,3\n",
			[]string{"step-count 2016-04-01T07:55:00+02:00/2016-04-01T07:56:00+02:00 step_count=3"},
		},
		"not worn": {
			"Id,ActivityDate,TotalSteps,TotalDistance,Calories\n7,4/12/2016,0,0,0\n",
			[]string{"step-count 2016-04-12T00:00:00+02:00/2016-04-13T00:00:00+02:00 step_count=0"},
		},
		"no row": {"Id,Time,Value\n", nil},
	} {
		points, _ := taken(t, []byte(c.text), berlin)
		var got []string
		for i := range points {
			got = append(got, brief(&points[i]))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s:\n%s\nwant\n%s", name, strings.Join(got, "\n"), strings.Join(c.want, "\n"))
		}
	}
}
