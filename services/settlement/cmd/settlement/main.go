// Command settlement runs the service of that name, and what an operator does with its database.
package main

import (
	"context"
	"fmt"
	"os"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/services/settlement"
)

// cli is the configuration, which every command takes, and the commands.
type cli struct {
	settlement.Config

	Serve   struct{} `cmd:"" help:"Answer until told to stop."`
	Migrate struct{} `cmd:"" help:"Bring the database up to date, as its owner. Run it before serve."`
	Rebuild struct{} `cmd:"" help:"Fold the log into new tables beside the live ones, then swap them."`
	Fsck    struct{} `cmd:"" help:"Compare with the topic, fold everything again and compare; exit status 1 when something differs."`
}

func main() {
	var c cli
	parsed, err := boot.Parse(&c, settlement.Name, "The service settlement of Obole.", os.Args[1:])
	if err != nil {
		exit(err.Error()) // whoever typed it may read it
	}
	do := map[string]func(context.Context, settlement.Config) error{
		"serve": settlement.Run, "migrate": settlement.Migrate, "rebuild": settlement.Rebuild, "fsck": settlement.Fsck,
	}[parsed.Command()]
	exit(boot.Told(boot.Signals(func(ctx context.Context) error { return do(ctx, c.Config) })))
}

// exit ends the process, with status 1 where something went wrong.
func exit(wrong string) {
	if wrong != "" {
		fmt.Fprintln(os.Stderr, "settlement:", wrong)
		os.Exit(1)
	}
	os.Exit(0)
}
