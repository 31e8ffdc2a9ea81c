package figure_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/figure"
)

func TestPathsTakeTurnsAndAreHeldAgainstTheirBars(t *testing.T) {
	t.Parallel()
	var turns strings.Builder
	path := func(name string, rates ...float64) figure.Path {
		return figure.Path{Name: name, Run: func() float64 {
			turns.WriteString(name)
			v := rates[0]
			rates = rates[1:]
			return v
		}}
	}
	limit, ours := path("l", 100, 10, 100, 100, 100), path("o", 60, 6, 50, 70, 1)
	ours.Bars = []figure.Bar{{Of: "l", AtLeast: 0.55}, {Of: "l", AtLeast: 0.65}, {AtMost: 50}}
	var out strings.Builder
	if err := figure.Race(&out, []figure.Path{limit, ours}); err != nil {
		t.Fatal(err)
	}
	if turns.String() != strings.Repeat("lo", figure.Rounds) {
		t.Errorf("the turns were %s", turns.String())
	}
	lines := strings.Split(out.String(), "\n")
	for i, want := range []string{"path median unit against ratio bar", "l 100 events/s", "o 50 events/s l 0.60 >= 0.55 holds", "l 0.60 >= 0.65 missed", "<= 50 holds"} {
		if got := strings.Join(strings.Fields(lines[i]), " "); got != want {
			t.Errorf("line %d is %q, not %q", i, got, want)
		}
	}
}

func TestOnlyTheNamedPathsAreRaced(t *testing.T) {
	t.Setenv(figure.Only, "^o")
	one := func() float64 { return 1 }
	never := func() float64 { t.Error("a path that is not named was measured"); return 1 }
	var out strings.Builder
	err := figure.Race(&out, []figure.Path{
		{Name: "l", Run: never}, {Name: "o", Run: one, Bars: []figure.Bar{{Of: "l", AtLeast: 0.5}, {Of: "other", AtLeast: 0.5}}}, {Name: "other", Run: one},
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := strings.Join(strings.Fields(out.String()), " "); got != "path median unit against ratio bar o 1 events/s other 1.00 >= 0.50 holds other 1 events/s" {
		t.Error(got)
	}
	t.Setenv(figure.Only, "(")
	if err := figure.Race(&out, nil); err == nil {
		t.Error("a pattern that is none was taken")
	}
}

func TestLoadEndsAtTheFirstFault(t *testing.T) {
	t.Parallel()
	wrong := errors.New("wrong")
	_, err := figure.Load(t.Context(), 4, time.Hour, func(_ context.Context, caller int) error {
		if caller == 2 {
			return wrong
		}
		return nil
	})
	if !errors.Is(err, wrong) {
		t.Fatal(err)
	}
	if rate, err := figure.Load(t.Context(), 2, time.Millisecond, func(context.Context, int) error { return nil }); err != nil || rate <= 0 {
		t.Fatal(rate, err)
	}
}
