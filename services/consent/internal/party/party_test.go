package party_test

import (
	"testing"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/consent/internal/party"
)

func TestBarAndUnbar(t *testing.T) {
	t.Parallel()
	buyer := party.ID{ID: id.Derive([]byte("buyer"))}
	var s party.State
	for i, step := range []struct {
		bar    bool
		events int
		barred bool
	}{{false, 0, false}, {true, 1, true}, {true, 0, true}, {false, 1, false}, {true, 1, true}} {
		events := party.Decide(s, party.Command{Buyer: buyer, Bar: step.bar, Reason: "FRAUD"})
		if len(events) != step.events {
			t.Fatalf("step %d: %d events, want %d", i, len(events), step.events)
		}
		for _, e := range events {
			s = party.Evolve(s, e)
		}
		if s.Barred != step.barred {
			t.Fatalf("step %d: barred %v", i, s.Barred)
		}
	}
}
