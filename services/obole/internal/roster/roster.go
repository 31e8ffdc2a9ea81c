// Package roster lists the services: the one place where a new one is added.
package roster

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/services/app"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

// All are the services, in the order in which they start; they stop in the reverse order.
var All = []Service{
	of(settlement.Name, func(c boot.Config) settlement.Config { return settlement.Config{Config: c} }, settlement.Run, settlement.Migrate, settlement.Rebuild, settlement.Fsck),
	of(consent.Name, func(c boot.Config) consent.Config { return consent.Config{Config: c} }, consent.Run, consent.Migrate, consent.Rebuild, consent.Fsck),
	of(delivery.Name, func(c boot.Config) delivery.Config { return delivery.Config{Config: c} }, delivery.Run, delivery.Migrate, delivery.Rebuild, delivery.Fsck),
	of(offers.Name, func(c boot.Config) offers.Config { return offers.Config{Config: c} }, offers.Run, offers.Migrate, offers.Rebuild, offers.Fsck),
}

// Page is the edge that people's browsers talk to. It can be served; there is no database to migrate, rebuild or check.
const Page = app.Name

// Service is what can be done with one.
type Service struct {
	Name                        string
	Run, Migrate, Rebuild, Fsck func(context.Context, boot.Config) error
	// alone parses the service's own flags and does what its binary does under the verb.
	alone func(verb string, args []string) (func(context.Context) error, error)
}

// of makes the row of a service from its face; with puts the part that all share into its own configuration.
func of[C any](name string, with func(boot.Config) C, run, migrate, rebuild, fsck func(context.Context, C) error) Service {
	shared := func(do func(context.Context, C) error) func(context.Context, boot.Config) error {
		return func(ctx context.Context, c boot.Config) error { return do(ctx, with(c)) }
	}
	verbs := map[string]func(context.Context, C) error{"serve": run, "migrate": migrate, "rebuild": rebuild, "fsck": fsck}
	return Service{
		Name: name, Run: shared(run), Migrate: shared(migrate), Rebuild: shared(rebuild), Fsck: shared(fsck),
		alone: func(verb string, args []string) (func(context.Context) error, error) {
			var cli struct {
				Config C `embed:""`
			}
			if _, err := boot.Parse(&cli, "obole "+verb+" "+name, "The service "+name+" of Obole.", args); err != nil {
				return nil, err
			}
			return func(ctx context.Context) error { return verbs[verb](ctx, cli.Config) }, nil
		},
	}
}

// Alone does to one service what its own binary does: args are its name and its flags. An error before anything is done
// is one of the arguments.
func Alone(verb string, args []string) (func(context.Context) error, error) {
	if len(args) == 0 {
		return nil, fmt.Errorf("%s which service? One of %s", verb, strings.Join(Names(), ", "))
	}
	if args[0] == Page {
		return page(verb, args[1:])
	}
	n := slices.IndexFunc(All, func(s Service) bool { return s.Name == args[0] })
	if n < 0 {
		return nil, fmt.Errorf("no service %q: there are %s", args[0], strings.Join(Names(), ", "))
	}
	return All[n].alone(verb, args[1:])
}

// page serves the edge by its own flags.
func page(verb string, args []string) (func(context.Context) error, error) {
	if verb != "serve" {
		return nil, fmt.Errorf("%s has no database: there is nothing to %s", Page, verb)
	}
	var cli struct {
		Config app.Config `embed:""`
	}
	if _, err := boot.Parse(&cli, "obole serve "+Page, "The page's edge of Obole.", args); err != nil {
		return nil, err
	}
	return func(ctx context.Context) error { return app.Run(ctx, cli.Config) }, nil
}

// Names of the services.
func Names() []string {
	names := make([]string, len(All))
	for i, s := range All {
		names[i] = s.Name
	}
	return names
}
