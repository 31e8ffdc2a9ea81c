// Tally runs `go test -json` with its arguments and says what came of it: a line for each package as go test prints
// it, the whole output of what failed, and one line with the numbers of tests at the end. A skipped test fails the run:
// what a test needs is brought by scripts/with-services, and what is not there is a failure.
//
//	go run ./scripts/tally -race work
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

func main() {
	cmd := exec.Command("go", append([]string{"test", "-json"}, os.Args[1:]...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		fatal(err)
	}
	if err := cmd.Start(); err != nil {
		fatal(err)
	}
	t := &tally{out: os.Stdout}
	if err := t.read(out); err != nil {
		fatal(err)
	}
	err = cmd.Wait()
	ok := t.close()
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		fatal(err)
	case err != nil || !ok:
		os.Exit(1)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "tally:", err)
	os.Exit(1)
}

// event is one line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, ImportPath, Test, Output string
	Elapsed                                   float64 // seconds
}

// key names a test, or with an empty test a package.
type key struct{ pkg, test string }

// suites are those of others, which leave out by themselves what a feature that was not promised would need.
var suites = []key{{"/pkg/mill", "TestSuite/"}}

type tally struct {
	out                     io.Writer
	output                  map[key][]string // of what runs
	packages, empty         int
	passed, failed, skipped []key
	beside                  []key    // left out by a suite of others
	broken                  []string // packages that failed for another reason than a test
}

func (t *tally) read(r io.Reader) error {
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil {
				fmt.Fprintf(t.out, "%s", line) // go's own words, such as a pattern that matches nothing
			} else {
				t.add(e)
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (t *tally) add(e event) {
	if t.output == nil {
		t.output = map[key][]string{}
	}
	k := key{e.Package, e.Test}
	switch e.Action {
	case "output":
		t.output[k] = append(t.output[k], e.Output)
	case "build-output":
		fmt.Fprint(t.out, e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" {
			t.endPackage(e)
		} else {
			t.endTest(k, e.Action)
		}
		delete(t.output, k)
	}
}

func (t *tally) endTest(k key, action string) {
	switch action {
	case "pass":
		t.passed = append(t.passed, k)
		return
	case "fail":
		t.failed = append(t.failed, k)
	case "skip":
		if slices.ContainsFunc(suites, func(s key) bool { return strings.HasSuffix(k.pkg, s.pkg) && strings.HasPrefix(k.test, s.test) }) {
			t.beside = append(t.beside, k)
			return
		}
		t.skipped = append(t.skipped, k)
	}
	for _, line := range t.output[k] {
		if !strings.HasPrefix(line, "=== ") {
			fmt.Fprint(t.out, line)
		}
	}
}

func (t *tally) endPackage(e event) {
	k := key{pkg: e.Package}
	switch e.Action {
	case "skip":
		t.empty++ // no test files
		return
	case "pass":
		t.packages++
		fmt.Fprintf(t.out, "ok  \t%s\t%.1fs\n", e.Package, e.Elapsed)
		return
	}
	t.packages++
	if !slices.ContainsFunc(t.failed, func(f key) bool { return f.pkg == e.Package }) {
		// A panic, a timeout, a TestMain: tests that were running have not ended, and their output tells why.
		t.broken = append(t.broken, e.Package)
		for running, lines := range t.output {
			if running.pkg == e.Package && running.test != "" {
				fmt.Fprint(t.out, strings.Join(lines, ""))
				delete(t.output, running)
			}
		}
	}
	fmt.Fprint(t.out, strings.Join(t.output[k], ""))
	fmt.Fprintf(t.out, "FAIL\t%s\t%.1fs\n", e.Package, e.Elapsed)
}

// close prints the sum and says whether all is well.
func (t *tally) close() bool {
	fmt.Fprintf(t.out, "\n%d packages with tests, %d without\n", t.packages, t.empty)
	for _, list := range []struct {
		word  string
		tests []key
	}{{"failed", t.failed}, {"skipped", t.skipped}} {
		for _, k := range list.tests {
			fmt.Fprintf(t.out, "%s: %s %s\n", list.word, k.pkg, k.test)
		}
	}
	if len(t.beside) > 0 {
		fmt.Fprintf(t.out, "%d left out by suites of others\n", len(t.beside))
	}
	for _, p := range t.broken {
		fmt.Fprintf(t.out, "broken: %s\n", p)
	}
	if len(t.skipped) > 0 {
		fmt.Fprintln(t.out, "a skipped test fails the run")
	}
	fmt.Fprintf(t.out, "%d passed, %d failed, %d skipped\n", len(t.passed), len(t.failed)+len(t.broken), len(t.skipped))
	return len(t.failed)+len(t.skipped)+len(t.broken) == 0 && len(t.passed) > 0
}
