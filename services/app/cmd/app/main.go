// Command app runs the page's edge.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/services/app"
)

// cli is the configuration and the one command: the edge has no database to migrate.
type cli struct {
	app.Config

	Serve struct{} `cmd:"" help:"Answer until told to stop."`
}

func main() {
	var c cli
	if _, err := boot.Parse(&c, app.Name, "The page's edge of Obole.", os.Args[1:]); err != nil {
		exit(err)
	}
	exit(boot.Signals(func(ctx context.Context) error { return app.Run(ctx, c.Config) }))
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "app:", err)
		os.Exit(1)
	}
	os.Exit(0)
}
