package cli

import (
	"context"
	"fmt"

	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/house"
	"github.com/obole-market/obole/services/obole/internal/roster"
)

// alone is a command on one service, with its own flags behind its name.
type alone struct {
	Args []string `arg:"" passthrough:"" name:"service" help:"Service (offers, consent, delivery, settlement, or app for serve), then its own flags; SERVICE --help lists them."`
}

func (a *alone) do(ctx context.Context, verb string) error {
	run, err := roster.Alone(verb, a.Args)
	if err != nil {
		return client.Usage("%w", err)
	}
	return run(ctx)
}

type serve struct{ alone }

func (*serve) Help() string {
	return `Against a PostgreSQL and a Kafka of your own, as the service's own binary does.

Examples:
  obole migrate consent --config deploy/config/consent.json
  obole serve consent --config deploy/config/consent.json
  obole serve consent --help
  obole serve app --config deploy/config/app.json       # the page`
}

func (c *serve) Run(ctx context.Context) error { return c.do(ctx, "serve") }

type migrate struct{ alone }

func (c *migrate) Run(ctx context.Context) error { return c.do(ctx, "migrate") }

type rebuild struct{ alone }

func (c *rebuild) Run(ctx context.Context) error { return c.do(ctx, "rebuild") }

// fsck checks the data folder, or one service by its own configuration.
type fsck struct {
	Reconcile bool     `help:"First make logs that lost their tail, as in a restored copy of the folder, whole from their topics. Stop the market before."`
	Args      []string `arg:"" optional:"" passthrough:"" name:"service" help:"One service, then its own flags; none means every service of the data folder."`
}

func (*fsck) Help() string {
	return `Folds every stream again and compares: the chain of hashes, the states, every table, the log with its topic. Works while the
market runs, and when it does not. One service is compared with its topic too; --reconcile takes back from there what a restored database lost. Exit
status 1 when something differs.

Examples:
  obole fsck
  obole fsck --data ./market --json
  obole fsck settlement --config deploy/config/settlement.json
  obole fsck settlement --config deploy/config/settlement.json --reconcile`
}

func (f *fsck) Run(ctx context.Context, s *client.Session) error {
	if len(f.Args) > 0 {
		if f.Reconcile {
			return client.Usage("--reconcile belongs to the service here: put it behind its name")
		}
		return (&alone{f.Args}).do(ctx, "fsck")
	}
	data, err := s.Folder()
	if err != nil {
		return err
	}
	wrong := 0
	err = house.Fsck(ctx, data, f.Reconcile, func(step string) { fmt.Fprintln(s.Err, "obole:", step) }, func(service string, found error) error {
		text := "sound"
		if found != nil {
			wrong++
			text = found.Error()
		}
		if s.JSON {
			return s.Object(map[string]any{"service": service, "sound": found == nil, "found": text})
		}
		_, err := fmt.Fprintf(s.Out, "%-11s %s\n", service, text)
		return err
	})
	if err == nil && wrong > 0 {
		err = fmt.Errorf("%d of %d services differ from their log", wrong, len(roster.All))
	}
	return err
}
