package main

import (
	"strings"
	"testing"
)

func TestTally(t *testing.T) {
	t.Parallel()
	const ok = `{"Action":"run","Package":"a","Test":"TestA"}
{"Action":"output","Package":"a","Test":"TestA","Output":"=== RUN   TestA\n"}
{"Action":"output","Package":"a","Test":"TestA","Output":"chatter\n"}
{"Action":"pass","Package":"a","Test":"TestA"}
{"Action":"output","Package":"a","Output":"PASS\n"}
{"Action":"pass","Package":"a","Elapsed":1.5}
{"Action":"skip","Package":"none"}
`
	for _, c := range []struct {
		name, in  string
		well      bool
		want, not []string
	}{
		{"passed", ok, true, []string{"ok  \ta\t1.5s\n", "1 packages with tests, 1 without\n1 passed, 0 failed, 0 skipped\n"}, []string{"chatter"}},
		{"no test at all", "", false, []string{"0 passed, 0 failed"}, nil},
		{
			"failed", ok + `{"Action":"output","Package":"b","Test":"TestB","Output":"because\n"}
{"Action":"fail","Package":"b","Test":"TestB"}
{"Action":"fail","Package":"b"}
`, false, []string{"because\n", "FAIL\tb", "failed: b TestB\n", "\n1 passed, 1 failed, 0 skipped\n"}, nil,
		},
		{
			"skipped", ok + `{"Action":"output","Package":"b","Test":"TestB","Output":"no database\n"}
{"Action":"skip","Package":"b","Test":"TestB"}
{"Action":"pass","Package":"b"}
`, false, []string{"no database\n", "skipped: b TestB\n", "1 passed, 0 failed, 1 skipped\n"}, nil,
		},
		{
			"panicked", ok + `{"Action":"output","Package":"b","Test":"TestB","Output":"panic: boom\n"}
{"Action":"output","Package":"b","Output":"FAIL b\n"}
{"Action":"fail","Package":"b"}
`, false, []string{"panic: boom\n", "broken: b\n", "1 passed, 1 failed"}, nil,
		},
		{
			"not built", ok + `{"ImportPath":"b","Action":"build-output","Output":"b.go:1: syntax error\n"}
{"ImportPath":"b","Action":"build-fail"}
{"Action":"fail","Package":"b","FailedBuild":"b"}
`, false, []string{"syntax error\n", "broken: b\n"}, nil,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var out strings.Builder
			sum := &tally{out: &out}
			if err := sum.read(strings.NewReader(c.in)); err != nil {
				t.Fatal(err)
			}
			if got := sum.close(); got != c.well {
				t.Errorf("well: %v, want %v", got, c.well)
			}
			for _, w := range c.want {
				if !strings.Contains(out.String(), w) {
					t.Errorf("no %q in\n%s", w, out.String())
				}
			}
			for _, w := range c.not {
				if strings.Contains(out.String(), w) {
					t.Errorf("%q in\n%s", w, out.String())
				}
			}
		})
	}
}
