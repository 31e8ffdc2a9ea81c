package rpc

import (
	"testing"
	"time"
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
