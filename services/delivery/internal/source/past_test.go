package source_test

import (
	"testing"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/source"
)

// TestNothingIsMeasuredAhead: what has begun may be told, also of a day that is not over; what has not begun, but for a clock that is a little
// ahead, is refused by the row's own name for it.
func TestNothingIsMeasuredAhead(t *testing.T) {
	t.Parallel()
	const (
		daily  = "Id,ActivityDate,TotalSteps\n7,4/12/2016,13162\n"
		beats  = "Id,Time,Value\n7,4/12/2016 6:00:00 PM,93\n"
		hourly = "Id,ActivityHour,StepTotal\n7,4/12/2016 6:00:00 PM,373\n"
		weight = "Id,Date,WeightKg,IsManualReport\n7,4/12/2016 6:00:00 PM,52.6,True\n"
	)
	midnight := time.Date(2016, 4, 11, 22, 0, 0, 0, time.UTC) // in Berlin
	evening := midnight.Add(18 * time.Hour)
	for name, c := range map[string]struct {
		file, field string
		begins      time.Time
	}{
		"a day": {daily, "ActivityDate", midnight}, "a beat": {beats, "Time", evening}, "an hour": {hourly, "ActivityHour", evening},
		"a weight": {weight, "Date", evening},
	} {
		o := source.Options{Zone: "Europe/Berlin", Participant: "7", File: "export.file"}
		for _, now := range []time.Time{{}, c.begins, c.begins.Add(-time.Hour), c.begins.AddDate(1, 0, 0)} {
			o.Now = now
			if got, _ := taken(t, []byte(c.file), o); len(got) == 0 {
				t.Errorf("%s, told at %v: nothing came", name, now)
			}
		}
		o.Now = c.begins.Add(-time.Hour - time.Second)
		wrong{name, c.file, "ROW_INVALID", "2", c.field + " is ahead of now"}.test(t, o)
	}
}
