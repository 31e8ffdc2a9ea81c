package minimise

import (
	"cmp"
	"slices"

	"github.com/obole-market/obole/services/delivery/internal/point"
)

// Once picks of the points of one day those of a measure that say each moment once, by the same order as slots: the most assured first,
// and then the day's own before hours before minutes; fine turns the latter round, for who looks at parts of a day. They come by time.
func Once(points []*point.Point, m point.Measure, fine bool) []*point.Point {
	order := ranked(points, m)
	if fine {
		slices.SortStableFunc(order, func(a, b *point.Point) int {
			return cmp.Or(cmp.Compare(b.Assurance, a.Assurance), cmp.Compare(grain(a.Frame), grain(b.Frame)))
		})
	}
	out := apart(order)
	slices.SortFunc(out, func(a, b *point.Point) int {
		return cmp.Or(a.Frame.Start.Compare(b.Frame.Start), slices.Compare(a.ID[:], b.ID[:]))
	})
	return out
}
