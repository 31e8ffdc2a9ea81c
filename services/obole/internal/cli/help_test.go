package cli

import (
	"bytes"
	"os/exec"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
)

// TestEveryCommandHasAnExample which is a command line of its own: the shell reads it, and the grammar takes it for the command that it is
// of.
func TestEveryCommandHasAnExample(t *testing.T) {
	t.Parallel()
	parse := func(args []string) (*kong.Context, error) {
		parser, err := kong.New(new(grammar), kong.Name("obole"), kong.Exit(func(int) {}))
		if err != nil {
			t.Fatal(err)
		}
		return parser.Parse(negatives(parser.Model.Node, args))
	}
	all, err := kong.New(new(grammar), kong.Name("obole"))
	if err != nil {
		t.Fatal(err)
	}
	for _, leaf := range all.Model.Leaves(false) {
		name := strings.TrimPrefix(leaf.FullPath(), "obole ")
		var help, errs bytes.Buffer
		if status := Main(t.Context(), append(strings.Fields(name), "--help"), strings.NewReader(""), &help, &errs); status != 0 {
			t.Errorf("%s --help: status %d, %s", name, status, &errs)
		}
		_, examples, _ := strings.Cut(leaf.Detail, "Examples:\n")
		if examples == "" {
			examples = leaf.Tag.Get("example")
		}
		first, _, _ := strings.Cut(strings.TrimSpace(examples), "\n")
		if first == "" || !strings.Contains(help.String(), first) {
			t.Errorf("%s --help shows no example:\n%s", name, &help)
			continue
		}
		// The shell says of each command line which words it has.
		said, err := exec.CommandContext(t.Context(), "sh", "-c", `obole() { for word; do printf '%s\001' "$word"; done; printf '\002'; }`+"\n"+examples).Output()
		if err != nil {
			t.Errorf("%s: the shell does not take %q: %v", name, examples, err)
			continue
		}
		found := false
		for line := range strings.SplitSeq(strings.TrimSuffix(string(said), "\x02"), "\x02") {
			args := strings.Split(strings.TrimSuffix(line, "\x01"), "\x01")
			parsed, err := parse(args)
			if err != nil {
				t.Errorf("%s: obole %q: %v", name, args, err)
				continue
			}
			found = found || parsed.Selected().FullPath() == leaf.FullPath()
		}
		if !found {
			t.Errorf("%s: none of the examples is one of it: %q", name, examples)
		}
	}
}

// TestNegativeAmounts are no flags, wherever they stand.
func TestNegativeAmounts(t *testing.T) {
	t.Parallel()
	var g grammar
	parser, err := kong.New(&g, kong.Name("obole"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range []string{
		"fund|-5 EUR|--buyer|b|--reference|r", "--json|fund|--buyer|b|--json|-5 EUR|--reference|r", "fund|--buyer|b|--reference|r|--|-5 EUR",
	} {
		if _, err := parser.Parse(negatives(parser.Model.Node, strings.Split(line, "|"))); err != nil || g.Fund.Amount != "-5 EUR" || g.Fund.Reference != "r" {
			t.Errorf("%s: amount %q, reference %q, %v", line, g.Fund.Amount, g.Fund.Reference, err)
		}
		g = grammar{}
	}
	_, err = parser.Parse(negatives(parser.Model.Node, []string{"bid", "try", "--buyer", "b", "--price", "-1 EUR", "--slots", "5"}))
	if err != nil || g.Bid.Try.Price != "-1 EUR" || g.Bid.Try.Slots != 5 {
		t.Errorf("a flag's: %q, %d, %v", g.Bid.Try.Price, g.Bid.Try.Slots, err)
	}
	if _, err := parser.Parse(negatives(parser.Model.Node, []string{"fund", "--buyer", "b", "--reference", "r", "-x"})); err == nil {
		t.Error("a flag that there is not is taken for an amount")
	}
}
