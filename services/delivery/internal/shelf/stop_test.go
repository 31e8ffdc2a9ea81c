package shelf_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

func restrict(deal, parcel int) shelf.Stop {
	return shelf.Stop{Shelf: mine, Agreement: dealN(deal), Delivery: parcelN(parcel), Reason: "SOURCE_RESTRICTED"}
}

// TestWhatIsStoppedNeverLeaves: a package that is stopped is so for ever, with or without a receipt; one whose key has left is not; and its slots
// are free, also where everything was to be delivered at once.
func TestWhatIsStoppedNeverLeaves(t *testing.T) {
	t.Parallel()
	after := time.Unix(int64(first+28)*24*3600, 0).Add(36 * time.Hour)
	for _, cadence := range []shelf.Cadence{shelf.Daily, shelf.Once} {
		l := taken(t, func(l *shelf.Licence) { l.Cadence, l.Slots = cadence, 2 })
		at := func(c shelf.Command) []shelf.Event {
			t.Helper()
			out, err := l.do(c, after)
			if err != nil {
				t.Fatal(err)
			}
			return out
		}
		at(put(1, 1, first, first+1))
		at(stop(1, 1, "PAUSED")) // signed for
		out := at(restrict(1, 1))
		if b, ok := out[0].(shelf.Blocked); len(out) != 1 || !ok || !b.Final || b.Reason != "SOURCE_RESTRICTED" {
			t.Fatalf("stopped: %v", out)
		}
		same(t, "stopped again", at(restrict(1, 1)))
		if _, err := l.do(let(1, 1), after); !errors.Is(err, fault.Refuse("SOURCE_RESTRICTED", "")) {
			t.Errorf("its key: %v", err)
		}
		same(t, "while nothing else is made", at(conclude(1, first, first+1)))
		if due, none := l.agreement(1).Due(l.shelf(), []shelf.Day{first, first + 1}, after); none || !slices.Equal(due, []shelf.Day{first, first + 1}) {
			t.Errorf("cadence %d: what was stopped is not due again: %v, none %v", cadence, due, none)
		}
		at(put(1, 2, first, first+1))
		at(let(1, 2))
		same(t, "the key has left", at(restrict(1, 2)))
		same(t, "no such package", at(restrict(1, 3)))
		same(t, "fulfilled", at(conclude(1)), "ended 1 after 2")
	}
}
