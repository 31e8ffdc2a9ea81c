package estest

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
)

// stepsBack: the log's clock and the process's step back by hours, and so do those of another process; the time of events, which is
// what the rules are told, never does.
func stepsBack(t *testing.T, open Open) {
	handle := open(t, 1)
	log := handle()
	var logs, ours atomic.Int64
	put1 := func(d *desk, on es.Stream) time.Time {
		t.Helper()
		r, err := d.jar.Do(t.Context(), put(on, 1))
		if err != nil {
			t.Fatal(err) // the jar panics where its time goes backwards
		}
		return r.Events[0].At
	}
	begin := func() *desk {
		return start(t, &skewed{handle(), func() time.Duration { return time.Duration(logs.Load()) }}, es.Options{
			Clock: func() time.Time { return time.Now().Add(time.Duration(ours.Load())) },
		})
	}
	first, on := begin(), stream()
	logs.Store(int64(3 * time.Hour))
	ahead := put1(first, on)
	if !ahead.After(time.Now().Add(2 * time.Hour)) {
		t.Fatalf("the clock is hours ahead and the event at %v", ahead)
	}
	for _, step := range []struct{ log, own time.Duration }{{2 * time.Hour, 0}, {0, -time.Hour}, {-4 * time.Hour, -2 * time.Hour}} {
		logs.Store(int64(step.log))
		ours.Store(int64(step.own))
		for name, d := range map[string]*desk{"the same process": first, "another process": begin()} {
			at := put1(d, on)
			if at.Before(ahead) || at.Sub(ahead) > time.Minute { // what a process has heard it may carry forward for a moment
				t.Errorf("%s: the log's clock stepped back to %v, ours to %v, and the event is at %v after %v", name, step.log, step.own, at, ahead)
			}
			ahead = at
		}
	}
	logs.Store(int64(5 * time.Hour))
	if at := put1(begin(), on); !at.After(ahead) {
		t.Errorf("the clock is ahead again and the event at %v", at)
	}
	if n := inOrder(t, log); n != 8 {
		t.Errorf("%d events", n)
	}
}
