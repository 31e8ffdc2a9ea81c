package main

import (
	"strings"
	"testing"

	"github.com/obole-market/obole/services/obole/internal/client"
)

// TestDemo: the story comes out the same every time: who asks, who is refused, who is paid, and that the books agree.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	sh := shell{t, []string{"--data", dir}}
	tables := map[string][]map[string]any{}
	var proof map[string]any
	for _, line := range sh.lines("demo") {
		if name, is := line["table"].(string); is {
			tables[name] = append(tables[name], line)
		} else {
			proof = line
		}
	}
	bids := tables["bids"]
	if len(bids) != 3 || !strings.Contains(bids[2]["state"].(string), "[PURPOSE_NOT_ALLOWED]") || bids[2]["packages"] != 0.0 {
		t.Fatalf("the bids: %v", bids)
	}
	for i, want := range []struct{ people, packages, rows float64 }{{18, 18, 358}, {23, 32, 598}} {
		if b := bids[i]; b["people"] != want.people || b["packages"] != want.packages || b["rows"] != want.rows {
			t.Errorf("bid %d: %v, want %v", i, b, want)
		}
	}
	if walker := tables["day by day"]; len(walker) != 1 || walker[0]["delivered"] != 10.0 || walker[0]["delivered_afterwards"] != 0.0 {
		t.Errorf("day by day: %v", walker)
	}
	if n := len(tables["who was paid"]); n != 41 {
		t.Errorf("%d rows of who was paid", n)
	}
	if n := len(tables["offers not made or not wanted"]); n != 12 {
		t.Errorf("%d rows of offers not made", n)
	}
	var payable any
	for _, sum := range proof["sums"].([]any) {
		if s := sum.(map[string]any); s["account"] == "subscriber payable" {
			payable = s["from_events"]
		}
	}
	if proof["equal"] != true || payable != "44.83 EUR" {
		t.Errorf("the proof: %v", proof)
	}
	sh.fails(client.ExitUsage, "is not empty", "demo")
}
