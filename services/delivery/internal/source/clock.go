package source

import (
	"errors"
	"time"
)

var errNoZone = errors.New("source: no zone of the IANA database")

// loadZone finds a zone by its IANA name. The process's own zone is none.
func loadZone(name string) (*time.Location, error) {
	if name == "" || name == "Local" {
		return nil, errNoZone
	}
	return time.LoadLocation(name)
}

// resolve is the instant at which a zone's clock showed what wall shows in UTC: the first of two where it showed it twice;
// ok is false where it never did.
func resolve(wall time.Time, zone *time.Location) (t time.Time, ok bool) {
	// Offsets change at most once within two days, so one of these two is the clock's.
	const around = 24 * time.Hour
	_, before := wall.Add(-around).In(zone).Zone()
	_, after := wall.Add(around).In(zone).Zone()
	for _, offset := range [...]int{max(before, after), min(before, after)} { // the larger offset is the earlier instant
		t = wall.Add(-time.Duration(offset) * time.Second).In(zone)
		if _, now := t.Zone(); now == offset {
			return t, true
		}
	}
	return time.Time{}, false
}

// shownAgain is the instant at which the clock by which t is told shows the same once more; ok is false where it does not.
func shownAgain(t time.Time) (again time.Time, ok bool) {
	_, before := t.Zone()
	_, after := t.Add(24 * time.Hour).Zone() // as in resolve
	again = t.Add(time.Duration(before-after) * time.Second)
	_, now := again.Zone()
	return again, before > after && now == after
}

// dayFrame is the local day of wall, from its first instant to the next day's; ok is false where the zone skipped the day.
func dayFrame(wall time.Time, zone *time.Location) (start, end time.Time, ok bool) {
	start, ok = dayStart(wall, zone)
	if !ok {
		return start, end, false
	}
	for next := 1; next <= 2; next++ { // a day may be skipped, as in Samoa on 2011-12-30
		if end, ok = dayStart(wall.AddDate(0, 0, next), zone); ok {
			return start, end, true
		}
	}
	return start, end, false
}

func dayStart(wall time.Time, zone *time.Location) (time.Time, bool) {
	y, m, d := wall.Date()
	midnight := time.Date(y, m, d, 0, 0, 0, 0, time.UTC)
	if t, ok := resolve(midnight, zone); ok {
		return t, true
	}
	// Midnight was skipped: with the offset from before, it is the moment of the change, or a little after it.
	_, before := midnight.Add(-24 * time.Hour).In(zone).Zone()
	t := midnight.Add(-time.Duration(before) * time.Second).In(zone)
	return t, t.Day() == d
}

// usTime reads the local times that Fitabase writes: month first, years of four or two digits, with or without time of
// day, 12-hour clock with AM or PM or 24-hour clock without. The result shows it in UTC.
func usTime(text []byte) (wall time.Time, hasClock, ok bool) {
	var n [6]int // month, day, year, hour, minute, second
	digits := [6]int{}
	field, i := 0, 0
	for ; i < len(text); i++ {
		c := text[i]
		if c >= '0' && c <= '9' {
			if digits[field] == 4 {
				return wall, false, false
			}
			n[field] = n[field]*10 + int(c-'0')
			digits[field]++
			continue
		}
		if !(field < 2 && c == '/' || field == 2 && c == ' ' || (field == 3 || field == 4) && c == ':') {
			break
		}
		if digits[field] == 0 {
			return wall, false, false
		}
		field++
	}
	rest := string(text[i:])
	for f := range n {
		most := 2
		if f == 2 {
			most = 4
		}
		if f <= field && (digits[f] == 0 || digits[f] > most) {
			return wall, false, false
		}
	}
	if field < 2 || field == 3 || digits[2] == 3 || digits[2] == 1 || rest != "" && field < 4 {
		return wall, false, false
	}
	if digits[2] == 2 {
		n[2] += 2000
	}
	switch rest {
	case "":
	case " AM", " PM":
		if n[3] < 1 || n[3] > 12 {
			return wall, false, false
		}
		n[3] %= 12
		if rest == " PM" {
			n[3] += 12
		}
	default:
		return wall, false, false
	}
	wall = time.Date(n[2], time.Month(n[0]), n[1], n[3], n[4], n[5], 0, time.UTC)
	exact := wall.Month() == time.Month(n[0]) && wall.Day() == n[1] && wall.Hour() == n[3] && wall.Minute() == n[4] && wall.Second() == n[5]
	return wall, field > 2, exact
}
