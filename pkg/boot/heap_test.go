package boot

import (
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"testing"
)

func TestLittleThatIsHeldIsSeldomCollected(t *testing.T) { // alone: it is about the process
	for live, want := range map[uint64]int{0: 1000, 1 << 20: 1000, 16 << 20: 400, 64 << 20: 100, 1 << 30: 100} {
		if got := percent(live); got != want {
			t.Errorf("of %d bytes %d percent may be garbage, not %d", live, got, want)
		}
	}
	before := debug.SetGCPercent(usualPercent)
	defer debug.SetGCPercent(before)
	set := []metrics.Sample{{Name: "/gc/gogc:percent"}}
	for eachCycle(new(heap)); t.Context().Err() == nil; runtime.Gosched() {
		runtime.GC()
		if metrics.Read(set); set[0].Value.Uint64() > usualPercent {
			return
		}
	}
}
