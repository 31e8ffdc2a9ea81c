package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/place"
)

// played has the built program play the story, which it has a minute for, and gives its lines.
func played(t *testing.T, dir string) []map[string]any {
	t.Helper()
	program := filepath.Join(t.TempDir(), "obole")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--data", dir, "--json", "demo")
	// Its broker and its database end with it, whatever ends it.
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the story was not told to its end within a minute: %v\n%s", err, errs.Bytes())
	}
	var all []map[string]any
	for line := range strings.Lines(string(out)) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q is no line of JSON: %v", line, err)
		}
		all = append(all, v)
	}
	return all
}

// TestDemo: the story comes out the same every time: who asks, who is refused, who is paid, and that the books agree.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	sh := shell{t, []string{"--data", dir}}
	tables := map[string][]map[string]any{}
	var proof map[string]any
	lines := played(t, dir)
	for _, line := range lines {
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
	// Whose cent a fraction became depends on whose delivery was settled first; what the buyers paid in all does not, nor does anybody
	// come out a cent or more from what the card promised.
	sums := map[string]int64{}
	people := int64(0)
	for _, sum := range proof["sums"].([]any) {
		s := sum.(map[string]any)
		account := s["account"].(string)
		amount, err := money.Parse(s["from_events"].(string))
		if err != nil {
			t.Fatal(err)
		}
		sums[account] = amount.Minor()
		if account == "subscriber payable" {
			people = int64(s["accounts"].(float64))
		}
	}
	paid := sums["subscriber payable"]
	if all := paid + sums["operator commission"] + sums["rounding"]; proof["equal"] != true || all != 56_04 || paid < 44_83-people || paid > 44_83+people {
		t.Errorf("the proof: %v", proof)
	}
	sh.fails(client.ExitUsage, "is not empty", "demo")

	// Whoever took part may sign in to the page of the market that is left, and finds what happened.
	guests, err := place.Folder(dir).People()
	keys, _ := filepath.Glob(filepath.Join(dir, "packages", "k-*.key"))
	if err != nil || len(guests) != 3+33 || len(keys) != 3 {
		t.Errorf("%d may sign in, %v; %d key files of buyers", len(guests), err, len(keys))
	}
	_, r := up(t, dir)
	b, who := someone(t, r.Page, "Participant 1503960366, BE, born 1955")
	a := b.Post("/rpc/obole.settlement.v1.SettlementService/GetEarnings", "application/json", []byte(`{"subscriberId": "`+who+`"}`))
	if a.Status != http.StatusOK || !strings.Contains(a.Body, `"EUR"`) {
		t.Errorf("what the walker has earned: %d %s", a.Status, a.Body)
	}
}
