package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/house"
	"github.com/obole-market/obole/services/obole/internal/place"
	"github.com/obole-market/obole/services/obole/internal/roster"
)

// up runs the whole market.
type up struct {
	Port     int    `default:"7400" placeholder:"N" help:"First of seven ports in a row, on this machine only: issuer, offers, consent, delivery, settlement, broker, page; 7400 unless told. 0 takes free ones."`
	Policy   string `placeholder:"DIR" help:"Folder of the policy packs; empty means those built in."`
	Products string `placeholder:"DIR" help:"Folder of the data products; empty means those built in."`
}

func (*up) Help() string {
	return `Everything runs in this one process, with PostgreSQL as its child; nothing has to be set up before. The data stay in the
folder and survive a restart, also after a crash. Stop it with Ctrl-C.

Examples:
  obole up
  obole up --data ./market --port 7500
  obole up --port 0 --json     # free ports; the addresses as one line of JSON`
}

// Run works until it is told to stop.
func (u *up) Run(ctx context.Context, s *client.Session) error {
	data, err := s.Folder()
	if err != nil {
		return err
	}
	if u.Port < 0 || u.Port > 65529 {
		return client.Usage("--port %d: want 0, or a number up to 65529", u.Port)
	}
	if _, err := policy.Open(u.Policy); err != nil {
		return client.Usage("--policy: %w", err)
	}
	if _, err := catalog.Open(u.Products); err != nil {
		return client.Usage("--products: %w", err)
	}
	err = house.Run(ctx, house.Options{
		Data: data, Port: u.Port, Policy: u.Policy, Products: u.Products, Say: func(step string) { fmt.Fprintln(s.Err, "obole:", step) },
		Ready: func(r place.Running) error { return told(s, data, r) },
	})
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return nil
	}
	return err
}

func told(s *client.Session, data place.Folder, r place.Running) error {
	if s.JSON {
		return json.NewEncoder(s.Out).Encode(r)
	}
	fmt.Fprintf(s.Out, "The market runs on %s. Ctrl-C stops it.\n", data)
	fmt.Fprintf(s.Out, "  %-11s %s\n", "issuer", r.Issuer)
	names := roster.Names()
	slices.Sort(names)
	for _, name := range names {
		fmt.Fprintf(s.Out, "  %-11s %s (gRPC)\n", name, r.Services[name])
	}
	fmt.Fprintf(s.Out, "  %-11s %s (Kafka's protocol)\n  %-11s %s\n", "broker", r.Broker, "log", r.Log)
	_, err := fmt.Fprintf(s.Out, "\nThe page: %s (sign in as somebody new, as one of the staff, or as anybody who was enrolled or registered here)\n", r.Page)
	return err
}
