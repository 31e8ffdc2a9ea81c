package bus

import (
	"testing"
	"time"
)

func TestARelayRestsLongerWhereTheBrokerIsSlowButNotForLong(t *testing.T) {
	t.Parallel()
	for took, want := range map[time.Duration]time.Duration{
		0: relayPace, 2 * time.Millisecond: relayPace, 4 * time.Millisecond: 16 * time.Millisecond, time.Minute: relayLongest,
	} {
		if got := pace(took); got != want {
			t.Errorf("after a batch of %v it rests %v, not %v", took, got, want)
		}
	}
}
