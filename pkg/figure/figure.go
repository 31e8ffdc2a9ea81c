// Package figure measures paths beside their limits. Paths take turns, round by round, so that whatever else loads the
// machine slows all of them alike; what is printed are medians, and of each bar whether it holds. It is no profiler and
// decides nothing: a figure below its bar is printed, not failed.
package figure

import (
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"text/tabwriter"
)

// Rounds is how often each path is measured.
const Rounds = 5

// Path is one way of doing a piece of work.
type Path struct {
	Name string
	// Unit of what Run returns; events/s if empty.
	Unit string
	// Run measures once.
	Run  func() float64
	Bars []Bar

	got []float64
}

// Bar is what a figure is held against: at least so many times that of another path, or where none is named, a value of
// its own. A bar without a bound only compares.
type Bar struct {
	Of      string
	AtLeast float64
	AtMost  float64
}

// Only is the environment variable that names, as a regular expression, the paths to race: for whoever profiles one of them.
const Only = "OBOLE_FIGURES"

// Race measures every path once a round, in the order given, and prints the table. Where Only is set, the other paths are left
// out, with the bars that are held against them.
func Race(w io.Writer, paths []Path) error {
	only, err := regexp.Compile(os.Getenv(Only))
	if err != nil {
		return fmt.Errorf("figure: %s: %w", Only, err)
	}
	paths = chosen(paths, only)
	for range Rounds {
		for i := range paths {
			paths[i].got = append(paths[i].got, paths[i].Run())
		}
	}
	return Print(w, paths)
}

// chosen are the paths that a pattern names.
func chosen(all []Path, only *regexp.Regexp) (paths []Path) {
	known := map[string]bool{"": true} // a bar of its own
	for _, p := range all {
		if only.MatchString(p.Name) {
			known[p.Name] = true
		}
	}
	for _, p := range all {
		if known[p.Name] {
			p.Bars = slices.DeleteFunc(slices.Clone(p.Bars), func(b Bar) bool { return !known[b.Of] })
			paths = append(paths, p)
		}
	}
	return paths
}

// Got adds a measured value to a path that is not raced, for Print.
func (p *Path) Got(v float64) { p.got = append(p.got, v) }

// Print prints the table of what was measured.
func Print(w io.Writer, paths []Path) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "path\tmedian\tunit\tagainst\tratio\tbar\t")
	for i := range paths {
		p := &paths[i]
		unit := p.Unit
		if unit == "" {
			unit = "events/s"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t", p.Name, short(Median(p.got)), unit)
		for n, b := range p.Bars {
			if n > 0 {
				fmt.Fprint(t, "\t\t\t")
			}
			value, ratio := Median(p.got), ""
			if b.Of != "" {
				value = p.over(paths, b.Of)
				ratio = fmt.Sprintf("%.2f", value)
			}
			fmt.Fprintf(t, "%s\t%s\t%s\n", b.Of, ratio, b.verdict(value))
		}
		if len(p.Bars) == 0 {
			fmt.Fprintln(t, "\t\t\t")
		}
	}
	return t.Flush()
}

// over is the median of the rounds' ratios: what the two did at the same time.
func (p *Path) over(paths []Path, of string) float64 {
	at := slices.IndexFunc(paths, func(o Path) bool { return o.Name == of })
	if at < 0 {
		panic("figure: no path is called " + of)
	}
	ratios := make([]float64, 0, len(p.got))
	for i := range min(len(p.got), len(paths[at].got)) {
		ratios = append(ratios, p.got[i]/paths[at].got[i])
	}
	return Median(ratios)
}

func (b Bar) verdict(value float64) string {
	holds := map[bool]string{true: "holds", false: "missed"}
	switch {
	case b.AtLeast > 0:
		return fmt.Sprintf(">= %s\t%s", short(b.AtLeast), holds[value >= b.AtLeast])
	case b.AtMost > 0:
		return fmt.Sprintf("<= %s\t%s", short(b.AtMost), holds[value <= b.AtMost])
	}
	return "\t"
}

// short writes large values without decimals.
func short(v float64) string {
	if v >= 10 || v == float64(int(v)) {
		return fmt.Sprintf("%.0f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// Median of some values, 0 of none.
func Median(v []float64) float64 { return Quantile(v, 0.5) }

// Quantile of some values, 0 of none: the value at or below which a part q of them lies.
func Quantile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	return slices.Sorted(slices.Values(v))[min(int(q*float64(len(v))), len(v)-1)]
}
