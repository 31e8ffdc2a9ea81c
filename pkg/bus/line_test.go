package bus

import (
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/es"
)

// TestLineKeepsTheOrder: whatever is added, fails for now and ends in whatever order, everything begins once, nothing before what
// it waits for, and nothing is left waiting.
func TestLineKeepsTheOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var (
			l       line
			all     []*task
			working []*task
			handled = map[*task]bool{}
			fallen  bool // something failed for now, so what overtakes may have
		)
		begin := func(tasks []*task) {
			for _, n := range tasks {
				for _, o := range all {
					if o == n {
						break
					}
					apart := o.way == Abreast && n.way == Abreast && o.event.Stream != n.event.Stream
					if !handled[o] && !apart && (n.way != Overtaking || !fallen) {
						t.Fatalf("%s began before %s was done", name(n), name(o))
					}
				}
				working = append(working, n)
			}
		}
		end := func(i int) {
			n := working[i]
			working = append(working[:i], working[i+1:]...)
			handled[n] = true
			begin(l.ends(n))
		}
		for range rapid.IntRange(1, 40).Draw(t, "steps") {
			switch step := rapid.IntRange(0, 5).Draw(t, "step"); {
			case step < 3:
				n := &task{
					event: &Received{Record: es.Record{Stream: es.Stream(rapid.SampledFrom([]string{"r", "r/a", "r/b", "r/c"}).Draw(t, "stream")), Position: es.Position(len(all) + 1)}},
					way:   rapid.SampledFrom([]Way{InOrder, Abreast, Abreast, Overtaking}).Draw(t, "way"),
				}
				all = append(all, n)
				if l.add(n) {
					begin([]*task{n})
				}
			case len(working) == 0:
			case step == 3:
				fallen = true
				begin(l.fails(working[rapid.IntRange(0, len(working)-1).Draw(t, "which")]))
			default:
				end(rapid.IntRange(0, len(working)-1).Draw(t, "which"))
			}
		}
		for len(working) > 0 {
			end(rapid.IntRange(0, len(working)-1).Draw(t, "which"))
		}
		if len(handled) != len(all) || l.open != 0 || l.failing != 0 || l.last != nil || len(l.since) != 0 || len(l.newest) != 0 {
			t.Fatalf("%d of %d were handled, and the line is %+v", len(handled), len(all), l)
		}
	})
}

func name(t *task) string {
	return fmt.Sprintf("%d on %s (%d)", t.event.Position, t.event.Stream, t.way)
}
