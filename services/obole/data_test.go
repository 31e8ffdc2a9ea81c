package main

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/obole-market/obole/services/obole/internal/client"
)

// TestAPersonsDataByCommand: what was measured is seen and corrected, and a source restricted and disconnected, and both undone, from the command
// line.
func TestAPersonsDataByCommand(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	up(t, dir)
	sh := shell{t, []string{"--data", dir}}
	person := sh.line("enrol", "--country", "BE", "--born", "1990-02-03")["subscriber_id"].(string)
	as := []string{"--subscriber", person}
	on := func(command ...string) []string { return append(append([]string{"data"}, command...), as...) }
	bring := append([]string{
		"import", "--importer", "fitabase-csv", "--zone", "America/New_York", "--person", "1503960366",
		filepath.Join("..", "..", "testdata", "fitabase", "dailyActivity_merged.csv"),
	}, as...)
	sh.ok(bring...)
	day := []string{"--schema", "omh:step-count:3.0", "--day", "2016-04-12"}
	if out := sh.ok(on(append([]string{"points"}, day...)...)...); !strings.Contains(out, "2016-04-12T00:00:00-04:00  2016-04-13T00:00:00-04:00  step_count=13162 steps") {
		t.Errorf("measured: %s", out)
	}
	if p := sh.line(on(append([]string{"points"}, day...)...)...); p["body"].(map[string]any)["step_count"].(map[string]any)["value"] != 13162.0 {
		t.Errorf("for scripts: %v", p)
	}
	sh.none("such points on 2015-04-12", on("points", "--schema", "omh:step-count:3.0", "--day", "2015-04-12")...)
	sh.fails(client.ExitUsage, "obole: --schema: is none of the schemas", on("points", "--schema", "dreams", "--day", "2016-04-12")...)
	sh.fails(client.ExitUsage, "want a day of the calendar", on("points", "--schema", "omh:step-count:3.0", "--day", "2016-04-31")...)
	sh.fails(client.ExitUsage, "no such point was measured", on("correct", "--schema", "omh:step-count:3.0", "--day", "2015-04-12", "--value", "step_count=1")...)
	correct := append([]string{"correct"}, day...)
	sh.fails(client.ExitUsage, "says nothing of that, but step_count=13162 steps", on(append(correct, "--value", "dreams=1")...)...)
	sh.fails(client.ExitUsage, "obole: --value: is less than 0 steps", on(append(correct, "--value", "step_count=-4")...)...)
	sh.fails(client.ExitUsage, "want MEASURE=NUMBER", on(append(correct, "--value", "many")...)...)
	sh.fails(client.ExitUsage, "no such point", on(append(correct, "--value", "step_count=1", "--point", person)...)...)
	if out := sh.ok(on(append(correct, "--value", "step_count=9120")...)...); !strings.Contains(out, "kept as superseded") {
		t.Errorf("corrected: %s", out)
	}
	if out := sh.ok(on(append([]string{"points"}, day...)...)...); !strings.Contains(out, "step_count=9120 steps") || strings.Contains(out, "13162") {
		t.Errorf("measured since: %s", out)
	}

	sh.fails(client.ExitUsage, "obole: <source>: must be a valid UUID", on("restrict", "x")...)
	source := sh.line(on("sources")...)["source_id"].(string)
	sh.ok(on("restrict", source)...)
	sh.ok(on("disconnect", source)...)
	if s := sh.line(on("sources")...); s["restricted_at"] == nil || s["disconnected_at"] == nil {
		t.Errorf("the source: %v", s)
	}
	sh.fails(client.ExitFailed, "[SOURCE_DISCONNECTED]", bring...)
	sh.ok(on("lift", source)...)
	sh.ok(on("reconnect", source)...)
	if s := sh.line(on("sources")...); s["restricted_at"] != nil && s["restricted_at"] != "0" || s["disconnected_at"] != nil && s["disconnected_at"] != "0" {
		t.Errorf("the source: %v", s)
	}
	if out := sh.ok(bring...); !strings.Contains(out, "known already") {
		t.Errorf("connected again: %s", out)
	}
}
