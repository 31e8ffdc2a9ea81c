package rpc

import (
	"slices"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

// TestABucketIsADayOrDividesIt: so many days fit into so many buckets, as short ones as can be.
func TestABucketIsADayOrDividesIt(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		days, buckets int
		parts         bool
		want          time.Duration
	}{
		{31, 500, true, 2 * time.Hour},
		{31, 500, false, oneDay},
		{31, 31, true, oneDay},
		{31, 30, true, 2 * oneDay},
		{1, 2000, true, time.Minute},
		{1, 1, true, oneDay},
		{3660, 2000, true, 2 * oneDay},
		{3660, 1, true, 3660 * oneDay},
	} {
		got := width(c.days, c.buckets, c.parts)
		if got != c.want {
			t.Errorf("%d days in %d buckets: %v, want %v", c.days, c.buckets, got, c.want)
		}
		if n := (time.Duration(c.days)*oneDay + got - 1) / got; int(n) > c.buckets || got < oneDay && oneDay%got != 0 {
			t.Errorf("%d days are %d buckets of %v", c.days, n, got)
		}
	}
}

// TestABucketCountsItsMeasuredDays: what is gathered over several days can be said of one, whichever of them were measured.
func TestABucketCountsItsMeasuredDays(t *testing.T) {
	t.Parallel()
	for buckets, want := range map[uint32][]uint32{1: {5}, 3: {3, 1, 1}, 9: {1, 1, 1, 1, 1}, 500: {1, 1, 1, 1, 1, 1, 1, 1, 1, 1}} {
		g, last, err := asked(&deliveryv1.GetSeriesRequest{Schema: point.HeartRate.String(), First: "2026-01-01", Last: "2026-01-09", Buckets: buckets})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range []int{1, 2, 3, 6, 9} {
			at := time.Date(2026, 1, d, 9, 0, 0, 0, time.UTC)
			var points []*point.Point
			for i := range 2 {
				at := at.Add(time.Duration(i) * 6 * time.Hour)
				points = append(points, &point.Point{
					ID: id.Derive([]byte{byte(d), byte(i)}), Schema: point.HeartRate, Frame: point.At(at), Created: at, Assurance: point.OwnFile,
					Values: []point.Value{{Measure: point.Pulse, Quantity: 60 * point.Milli}},
				})
			}
			g.add(g.first+shelf.Day(d-1), points)
		}
		var got []uint32
		for _, b := range g.made(last).GetBuckets() {
			got = append(got, b.GetDays())
		}
		if !slices.Equal(got, want) {
			t.Errorf("in %d buckets the days are %v, want %v", buckets, got, want)
		}
	}
}

// BenchmarkSeries gathers 100,000 heart rates of 58 days in 500 buckets, once they are read.
func BenchmarkSeries(b *testing.B) {
	const days, perDay = 58, 1725
	first, err := shelf.ParseDay("2026-01-01")
	if err != nil {
		b.Fatal(err)
	}
	points := make([][]*point.Point, days)
	for d := range days {
		for i := range perDay {
			at := time.Date(2026, 1, 1+d, 0, 0, i*50, 0, time.UTC)
			points[d] = append(points[d], &point.Point{
				ID: id.Derive([]byte{byte(d)}, []byte{byte(i), byte(i >> 8)}), Schema: point.HeartRate, Frame: point.At(at), Created: at, Assurance: point.OwnFile,
				Values: []point.Value{{Measure: point.Pulse, Quantity: point.Quantity(60+i%40) * point.Milli}},
			})
		}
	}
	for b.Loop() {
		g, last, err := asked(&deliveryv1.GetSeriesRequest{Schema: point.HeartRate.String(), First: "2026-01-01", Last: "2026-02-27"})
		if err != nil {
			b.Fatal(err)
		}
		for d := range days {
			g.add(first+shelf.Day(d), points[d])
		}
		if out := g.made(last); out.GetPoints() != days*perDay || len(out.GetBuckets()) > usualBuckets || len(out.GetGaps()) != 0 {
			b.Fatalf("%d points in %d buckets, gaps %v", out.GetPoints(), len(out.GetBuckets()), out.GetGaps())
		}
	}
}
