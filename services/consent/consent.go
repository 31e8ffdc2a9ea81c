// Package consent is the service that decides whether data about a person may be used, now.
package consent

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/node"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/record"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/react"
	"github.com/obole-market/obole/services/consent/internal/rpc"
	"github.com/obole-market/obole/services/consent/internal/schema"
	"github.com/obole-market/obole/services/consent/internal/view"
	"github.com/obole-market/obole/services/consent/internal/wire"
)

// Name of the service.
const Name = "consent"

// Config of the service.
type Config struct {
	boot.Config
}

// tables are the service's projections.
var tables = []node.Rows{people, trail}

// trail is which events are about whom.
func trail(pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	return record.New(Name, (*consentv1.Event)(nil), pool, log)
}

func people(pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	return projection.New(projection.Options{
		Name: "people", Service: Name, Fold: view.Fold, Tables: schema.People, Pool: pool, Log: log, Project: view.Project,
	})
}

// Run serves until ctx ends. Withdrawals and the gate need its database and nothing else.
func Run(ctx context.Context, c Config) error {
	c.Service = Name
	rules, err := policy.Open(c.Policy)
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, &c.Config)
	if err != nil {
		return err
	}
	keys, err := n.Keys()
	if err != nil {
		return err
	}
	persons, parties := es.Register(n.Engine, wire.People()), es.Register(n.Engine, wire.Parties())
	rows, seen := people(n.Pool, n.Log), trail(n.Pool, n.Log)
	for _, p := range []*projection.Projection{rows, seen} {
		if err := p.Open(ctx); err != nil {
			return err
		}
		n.Project(p)
	}

	reactor := &react.Reactor{People: persons, Parties: parties, Keys: keys, Policy: rules, Now: c.Now, Cause: cause}
	n.React(&bus.Reaction{Name: react.Name, Types: react.Types, Handle: reactor.Handle}, react.Sources...)
	n.Deadlines("people", reactor.Expire)

	server := &rpc.Server{
		People: persons, Parties: parties, Keys: keys, Policy: rules, View: view.View{Pool: n.Pool}, Seen: rows, Log: n.Log, Now: c.Now,
	}
	server.Record = &record.Book{Service: Name, Pool: n.Pool, Log: n.Log, Seen: seen, Tell: server.Tell}
	consentv1.RegisterConsentServiceServer(n.Server, server)
	return n.Run(ctx)
}

func cause(event id.ID, m *eventv1.Meta) *eventv1.Meta { return node.Cause(Name, event, m) }

// Migrate brings the database up to date, as its owner.
func Migrate(ctx context.Context, c Config) error {
	c.Service = Name
	if err := node.Migrate(ctx, &c.Config, nil); err != nil {
		return err
	}
	return node.Tables(ctx, &c.Config, tables, func(p *projection.Projection) error { return p.Migrate(ctx, c.Database.Role) })
}

// Rebuild folds the log into new tables beside the live ones and swaps them.
func Rebuild(ctx context.Context, c Config) error {
	c.Service = Name
	return node.Tables(ctx, &c.Config, tables, func(p *projection.Projection) error { return p.Rebuild(ctx) })
}

// Fsck folds everything again and compares: the chain, the states and the tables.
func Fsck(ctx context.Context, c Config) error {
	c.Service = Name
	err := node.Check(ctx, &c.Config, func(log node.Checked) error {
		parties := func(typ string) bool { return strings.HasPrefix(typ, "buyer_") }
		return errors.Join(
			node.Refold(ctx, log, wire.Parties(), parties, node.Nobody),
			node.Refold(ctx, log, wire.People(), func(typ string) bool { return !parties(typ) }, node.ByRoot),
		)
	})
	if err != nil {
		return err
	}
	return node.Tables(ctx, &c.Config, tables, node.Verify(ctx, &c.Config))
}
