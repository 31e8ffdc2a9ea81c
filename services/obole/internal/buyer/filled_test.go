package buyer

import (
	"testing"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// TestFilledIsToldInQuarters: what is rounded down is not shown as if nothing were there.
func TestFilledIsToldInQuarters(t *testing.T) {
	t.Parallel()
	for ppm, want := range map[uint32]string{0: "0-25%", 250_000: "25-50%", 750_000: "75-100%", 1_000_000: "100%"} {
		if got := filled(&offersv1.Bid{FilledPpm: ppm}); got != want {
			t.Errorf("%d millionths are shown as %s, want %s", ppm, got, want)
		}
	}
}
