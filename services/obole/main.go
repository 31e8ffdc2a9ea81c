// Command obole is the one that people type: it runs a whole market on one machine, or one service of it, and talks to a
// market as a buyer, a person, the operator or finance.
package main

import (
	"context"
	"os"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/services/obole/internal/cli"
)

func main() {
	status := 0
	_ = boot.Signals(func(ctx context.Context) error { // Main says what went wrong
		status = cli.Main(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
		return nil
	})
	os.Exit(status)
}
