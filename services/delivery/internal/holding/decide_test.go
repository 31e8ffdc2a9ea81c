package holding

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/obole-market/obole/pkg/id"
)

// log folds what is decided, as the engine does.
type log map[On]State

func (l log) do(t *testing.T, c Command) ([]Event, error) {
	t.Helper()
	entries, err := Decide(func(on On) State { return l[on] }, c)
	var out []Event
	for _, e := range entries {
		l[e.On] = Evolve(l[e.On], e.Event)
		out = append(out, e.Event)
	}
	return out, err
}

func TestAnImportNamesAKnownSource(t *testing.T) {
	t.Parallel()
	l := log{}
	who, source := ID{id.Derive([]byte("person"))}, SourceID{id.Derive([]byte("source"))}
	read := Import{Holding: who, Source: source, Import: ImportID{id.Derive([]byte("import"))}, Rules: 1, Facts: map[string]string{"steps_per_day": "below_5000"}}
	if _, err := l.do(t, read); !errors.Is(err, ErrSourceUnknown) {
		t.Errorf("an import from nowhere: %v", err)
	}
	connect := Connect{Holding: who, Source: source, Importer: "fitabase-csv", Route: RouteOwnCopy}
	if out, err := l.do(t, connect); err != nil || len(out) != 1 {
		t.Fatalf("connecting: %v, %v", out, err)
	}
	if out, err := l.do(t, connect); err != nil || len(out) != 0 {
		t.Errorf("connected again: %v, %v", out, err)
	}
	out, err := l.do(t, read)
	if err != nil || len(out) != 2 {
		t.Fatalf("an import: %v, %v", out, err)
	}
	if got := out[0].(Imported).Route; got != RouteOwnCopy {
		t.Errorf("the import came by route %d, not by its source's", got)
	}
	if d := cmp.Diff(Derived{Holding: who, Rules: 1, Facts: read.Facts}, out[1]); d != "" {
		t.Error(d)
	}
	// The same facts are told once; others, and those of other rules, again.
	if out, _ := l.do(t, read); len(out) != 1 {
		t.Errorf("the same facts again: %v", out)
	}
	read.Facts = map[string]string{"steps_per_day": "10000_up"}
	if out, _ := l.do(t, read); len(out) != 2 {
		t.Errorf("other facts: %v", out)
	}
	read.Rules = 2
	if out, _ := l.do(t, read); len(out) != 2 {
		t.Errorf("other rules: %v", out)
	}
}

func TestRoutesGiveAssurance(t *testing.T) {
	t.Parallel()
	for route, want := range map[Route]Assurance{
		RouteOperator: OperatorFeed, RouteProduct: VendorInterface, RouteShared: VendorInterface, RouteOwnCopy: OwnFile, 0: OwnFile,
	} {
		if got := route.Assurance(); got != want {
			t.Errorf("route %d gives assurance %d, want %d", route, got, want)
		}
	}
}

// TestAnImportBringsItsSource: both are told at once, and once; under its name there is no other source.
func TestAnImportBringsItsSource(t *testing.T) {
	t.Parallel()
	l := log{}
	who, source := ID{id.Derive([]byte("person"))}, SourceID{id.Derive([]byte("source"))}
	brings := Connect{Holding: who, Source: source, Importer: "fitabase-csv", Route: RouteOwnCopy}
	read := Import{Holding: who, Source: source, Brings: &brings, Import: ImportID{id.Derive([]byte("import"))}}
	for i, want := range [][]Event{
		{Connected(brings), Imported{Holding: who, Import: read.Import, Source: source, Route: RouteOwnCopy}},
		{Imported{Holding: who, Import: read.Import, Source: source, Route: RouteOwnCopy}}, // read at the same time, told later
	} {
		out, err := l.do(t, read)
		if d := cmp.Diff(want, out); d != "" || err != nil {
			t.Errorf("import %d: %v\n%s", i, err, d)
		}
	}
	if out, err := l.do(t, brings); err != nil || len(out) != 0 {
		t.Errorf("connected after that: %v, %v", out, err)
	}
	for _, other := range []Connect{
		{Holding: who, Source: source, Importer: "points", Route: RouteOwnCopy},
		{Holding: who, Source: source, Importer: "fitabase-csv", Route: RouteOperator},
	} {
		if out, err := l.do(t, other); !errors.Is(err, ErrSourceOther) {
			t.Errorf("another source under its name: %v, %v", out, err)
		}
		// What is kept is told, under the source that is there.
		read.Brings = &other
		out, err := l.do(t, read)
		if d := cmp.Diff([]Event{Imported{Holding: who, Import: read.Import, Source: source, Route: RouteOwnCopy}}, out); d != "" || err != nil {
			t.Errorf("an import that brought another: %v\n%s", err, d)
		}
	}
}
