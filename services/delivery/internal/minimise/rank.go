package minimise

import (
	"cmp"
	"slices"
	"time"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// ranked are the points with a measure, the first choice first. Ids come last, so that the order is the same for the same
// points, however they came.
func ranked(points []*point.Point, m point.Measure) []*point.Point {
	out := slices.DeleteFunc(slices.Clone(points), func(p *point.Point) bool {
		_, has := p.Value(m)
		return !has
	})
	slices.SortFunc(out, func(a, b *point.Point) int {
		return cmp.Or(
			cmp.Compare(b.Assurance, a.Assurance),
			cmp.Compare(grain(b.Frame), grain(a.Frame)),
			b.Created.Compare(a.Created),
			b.Frame.Start.Compare(a.Frame.Start),
			cmp.Compare(b.Frame.Length(), a.Frame.Length()),
			slices.Compare(a.ID[:], b.ID[:]),
		)
	})
	return out
}

// Grains of a frame: a whole day, which is shorter where the clock is put forward; hours; anything shorter.
const (
	minutes = iota
	hours
	wholeDay
)

func grain(f point.Frame) int {
	switch length := f.Length(); {
	case length >= 22*time.Hour:
		return wholeDay
	case length >= 30*time.Minute:
		return hours
	}
	return minutes
}

// apart leaves out what overlaps a point before it. A whole day leaves no room for others: one whose clock had another
// offset would reach into the next day.
func apart(ranked []*point.Point) []*point.Point {
	var out []*point.Point
	var taken [][2]int64 // latest first: points written in order are then appended
	for _, p := range ranked {
		f := bounds(p.Frame)
		if grain(p.Frame) == wholeDay && len(out) > 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(taken, f, func(t, f [2]int64) int { return cmp.Compare(f[0], t[0]) })
		// What begins at or before f is at at; what begins after it, right before at.
		if at < len(taken) && taken[at][1] > f[0] || at > 0 && taken[at-1][0] < f[1] {
			continue
		}
		taken = slices.Insert(taken, at, f)
		out = append(out, p)
		if grain(p.Frame) == wholeDay {
			return out
		}
	}
	return out
}

// bounds of a frame in microseconds; an instant lasts one.
func bounds(f point.Frame) [2]int64 {
	start := f.Start.UnixMicro()
	if f.IsInstant() {
		return [2]int64{start, start + 1}
	}
	return [2]int64{start, f.End.UnixMicro()}
}
