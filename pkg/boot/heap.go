package boot

import (
	"os"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"sync"
)

// spare is how many bytes of garbage a process may gather before it is collected, however little it holds.
const spare = 64 << 20

// Percent of what is held, between the runtime's own setting and a bound for what holds next to nothing.
const usualPercent, mostPercent = 100, 1000

// Spare lets garbage gather, up to spare, for as long as the process runs. A service of ours holds 10 MiB and makes as much garbage
// in a few hundred calls: collected each time, as the runtime does by default, that takes a tenth of its processor. One that holds
// much is collected as ever. It does nothing where GOGC is set: then somebody has decided.
var Spare = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" {
		eachCycle(new(heap))
	}
})

// heap decides after each collection when the next begins.
type heap struct {
	percent int
	live    [1]metrics.Sample
}

// cycle is what a collection finds to be garbage; it is large enough to have memory of its own.
type cycle struct{ _ [64]byte }

// eachCycle calls adjust after this and every later collection.
func eachCycle(h *heap) {
	runtime.AddCleanup(new(cycle), func(h *heap) {
		h.adjust()
		eachCycle(h)
	}, h)
}

func (h *heap) adjust() {
	h.live[0].Name = "/gc/heap/live:bytes"
	metrics.Read(h.live[:])
	if p := percent(h.live[0].Value.Uint64()); p < h.percent*3/4 || p > h.percent*4/3 { // setting it stops everything for a moment
		h.percent = p
		debug.SetGCPercent(p)
	}
}

// percent of what is held that makes about spare.
func percent(live uint64) int {
	return int(min(max(spare*100/max(live, 1), usualPercent), mostPercent))
}
