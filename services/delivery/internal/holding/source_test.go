package holding

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/obole-market/obole/pkg/id"
)

// TestASourceTurnsAsItsPersonSays: each turn is told once, both ways, and what was measured says nothing of it.
func TestASourceTurnsAsItsPersonSays(t *testing.T) {
	t.Parallel()
	l := log{}
	who, source := ID{id.Derive([]byte("person"))}, SourceID{id.Derive([]byte("source"))}
	correct := Correct{Holding: who, Source: source, Point: PointID{id.Random()}, Rules: 1, Facts: map[string]string{"steps_per_day": "5000_9999"}}
	for _, c := range []Command{Restrict{who, source}, Lift{who, source}, Disconnect{who, source}, Reconnect{who, source}, correct} {
		if _, err := l.do(t, c); !errors.Is(err, ErrSourceUnknown) {
			t.Errorf("%T of no source: %v", c, err)
		}
	}
	if _, err := l.do(t, Connect{Holding: who, Source: source, Importer: "points", Route: RouteOwnCopy}); err != nil {
		t.Fatal(err)
	}
	on := On{who, source}
	for i, step := range []struct {
		c    Command
		want Event // nil: it is so already
		is   Source
	}{
		{Lift{who, source}, nil, Source{}},
		{Restrict{who, source}, Restricted{who, source}, Source{Restricted: true, Turns: 1}},
		{Restrict{who, source}, nil, Source{Restricted: true, Turns: 1}},
		{Disconnect{who, source}, Disconnected{who, source}, Source{Restricted: true, Disconnected: true, Turns: 1}},
		{Disconnect{who, source}, nil, Source{Restricted: true, Disconnected: true, Turns: 1}},
		{Lift{who, source}, Lifted{who, source}, Source{Disconnected: true, Turns: 2}},
		{Reconnect{who, source}, Reconnected{who, source}, Source{Turns: 2}},
		{Reconnect{who, source}, nil, Source{Turns: 2}},
		{Restrict{who, source}, Restricted{who, source}, Source{Restricted: true, Turns: 3}},
	} {
		out, err := l.do(t, step.c)
		if err != nil {
			t.Fatal(err)
		}
		var want []Event
		if step.want != nil {
			want = []Event{step.want}
		}
		step.is.Importer, step.is.Route = "points", RouteOwnCopy
		if d := cmp.Diff(want, out) + cmp.Diff(State(step.is), l[on]); d != "" {
			t.Errorf("step %d: %s", i, d)
		}
	}
	out, err := l.do(t, correct)
	if err != nil || len(out) != 2 {
		t.Fatalf("a correction: %v, %v", out, err)
	}
	if out, _ = l.do(t, Derive{who, 1, correct.Facts}); len(out) != 0 {
		t.Errorf("the same facts again: %v", out)
	}
	if out, _ = l.do(t, Derive{who, 1, nil}); len(out) != 1 {
		t.Errorf("no facts any more: %v", out)
	}
}
