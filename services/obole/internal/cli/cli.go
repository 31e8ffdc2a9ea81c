// Package cli is the grammar of the command obole: which words there are, and what a run of it answers to the shell.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/alecthomas/kong"

	"github.com/obole-market/obole/services/obole/internal/buyer"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/demo"
	"github.com/obole-market/obole/services/obole/internal/finance"
	"github.com/obole-market/obole/services/obole/internal/person"
)

// grammar is the whole command line.
type grammar struct {
	client.Flags `group:"Everywhere"`

	Up      up        `cmd:"" group:"Running" help:"Run the whole market on this machine: no broker, no database, nothing to set up first."`
	Demo    demo.Demo `cmd:"" group:"Running" help:"Play the market's story on a new market of its own, and tell what came of it."`
	Serve   serve     `cmd:"" group:"Running" help:"Run one service against your own PostgreSQL and Kafka."`
	Migrate migrate   `cmd:"" group:"Running" help:"Bring one service's database up to date, as its owner. Run it before serve." example:"obole migrate consent --config deploy/config/consent.json"`
	Rebuild rebuild   `cmd:"" group:"Running" help:"Fold one service's log into new tables beside the live ones, then swap them." example:"obole rebuild consent --config deploy/config/consent.json"`
	Fsck    fsck      `cmd:"" group:"Running" help:"Fold everything again and compare."`

	Keys     buyer.Keys     `cmd:"" group:"A buyer" help:"Make a buyer's key file."`
	Buyer    buyer.Buyer    `cmd:"" group:"A buyer" help:"Register, vet, suspend, rotate keys."`
	Fund     finance.Fund   `cmd:"" group:"A buyer" help:"Record money that a buyer has paid in; finance's." example:"obole fund --buyer study.key '100 EUR' --reference BANK-2026-0001"`
	Products buyer.Products `cmd:"" group:"A buyer" help:"Show the data products, their fields and synthetic samples." example:"obole products\nobole products daily-steps"`
	Bid      buyer.Bid      `cmd:"" group:"A buyer" help:"Place, try, list, watch and withdraw bids."`
	Receive  buyer.Receive  `cmd:"" group:"A buyer" help:"Fetch packages, sign their receipts, open them."`

	Enrol   person.Enrol   `cmd:"" group:"A person" help:"Take a person in."`
	Import  person.Import  `cmd:"" group:"A person" help:"Bring measurements from files."`
	Feed    person.Feed    `cmd:"" group:"A person" help:"Bring what the operator's own systems have of a subscriber: calls, messages, cells, data use; the operator's."`
	Data    person.Data    `cmd:"" group:"A person" help:"See and correct measurements; restrict and disconnect sources."`
	Offers  person.Offers  `cmd:"" group:"A person" help:"List, accept and decline offers."`
	Consent person.Consent `cmd:"" group:"A person" help:"List, withdraw, pause and resume consents; rules."`
	Payout  person.Payout  `cmd:"" group:"A person" help:"Ask for available money, and see what became of it."`

	Finance finance.Finance `cmd:"" group:"Finance" help:"Balances, statements, payouts, and the replay that proves them."`
}

const about = `Obole: people license their own data, revocably and for pay; buyers bid, consent decides, every step is an event.

Exit status: 0 done; 1 refused or failed, with the reason; 2 the command line, or a file on it, is wrong; 3 nobody answers, or not in time:
the same command may succeed later.`

// exited is the status with which kong wants to end, after help.
type exited int

// Main runs one command line and gives the exit status.
func Main(ctx context.Context, args []string, in io.Reader, out, errs io.Writer) (status int) {
	defer func() {
		switch v := recover().(type) {
		case nil:
		case exited:
			status = int(v)
		default:
			panic(v)
		}
	}()
	var g grammar
	parser, err := kong.New(
		&g, kong.Name("obole"), kong.Description(about), kong.Writers(out, errs), kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, NoExpandSubcommands: true, WrapUpperBound: 120}),
	)
	if err != nil {
		fmt.Fprintln(errs, "obole:", err)
		return client.ExitFailed
	}
	exemplify(parser.Model.Node)
	parsed, err := parser.Parse(negatives(parser.Model.Node, args))
	if err != nil {
		fmt.Fprintf(errs, "obole: %s; see %s --help\n", err, spoken(err))
		return client.ExitUsage
	}
	s := &client.Session{Flags: g.Flags, In: in, Out: out, Err: errs, Params: params(parsed.Selected())}
	defer s.Close()
	parsed.BindTo(ctx, (*context.Context)(nil))
	if err := parsed.Run(s); err != nil {
		fmt.Fprintln(errs, "obole:", s.Explain(err))
		return client.Exit(err)
	}
	return client.ExitOK
}

// params are a command's flags and arguments, with what of them was typed.
func params(command *kong.Node) client.Params {
	out := client.Params{}
	if command == nil {
		return out
	}
	for _, flags := range command.AllFlags(false) {
		for _, f := range flags {
			out[f.Name] = client.Param{Shown: "--" + f.Name, Given: f.Set}
		}
	}
	for _, a := range command.Positional {
		p := client.Param{Shown: "<" + a.Name + ">", Given: a.Set, Contract: a.Tag.Get("contract")}
		if p.Contract != "" {
			p.File = a.Target.String()
		}
		out[a.Name] = p
	}
	return out
}

// exemplify ends what the help of each command says with its examples, and that of a group of commands with those of all of them. They are
// tags beside the commands' own help, or the end of what a command says at length.
func exemplify(of *kong.Node) (examples string) {
	const head = "Examples:\n"
	prose, examples, _ := strings.Cut(of.Detail, head)
	if examples != "" {
		examples += "\n"
	}
	if of.Tag != nil {
		for line := range strings.Lines(of.Tag.Get("example")) {
			examples += "  " + strings.TrimSpace(line) + "\n"
		}
	}
	for _, child := range of.Children {
		examples += exemplify(child)
	}
	if of.Type == kong.CommandNode {
		if prose = strings.TrimSpace(prose); prose != "" {
			prose += "\n\n"
		}
		of.Detail = prose + head + strings.TrimRight(examples, "\n")
	}
	return examples
}

// negatives puts arguments that begin as a negative amount does where the parser takes none of them for a flag: what is wrong with an amount
// is then said of the amount.
func negatives(of *kong.Node, args []string) []string {
	takes := map[string]bool{}
	_ = kong.Visit(of, func(n kong.Visitable, next kong.Next) error { // which fails only where this does
		if f, is := n.(*kong.Flag); is && !f.IsBool() {
			takes["--"+f.Name] = true
		}
		return next(nil)
	})
	var rest, amounts []string
	for i, arg := range args {
		switch {
		case arg == "--":
			return append(append(rest, append([]string{"--"}, amounts...)...), args[i+1:]...)
		case len(arg) < 2 || arg[0] != '-' || arg[1] < '0' || arg[1] > '9':
			rest = append(rest, arg)
		case i > 0 && takes[args[i-1]]:
			rest[len(rest)-1] += "=" + arg
		default:
			amounts = append(amounts, arg)
		}
	}
	if amounts != nil {
		rest = append(append(rest, "--"), amounts...)
	}
	return rest
}

// spoken is the command as far as it was understood.
func spoken(err error) string {
	var p *kong.ParseError
	if !errors.As(err, &p) || p.Context == nil {
		return "obole"
	}
	words := []string{"obole"}
	for _, step := range p.Context.Path {
		if step.Command != nil {
			words = append(words, step.Command.Name)
		}
	}
	return strings.Join(words, " ")
}
