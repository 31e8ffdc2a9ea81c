// Package offers is the market: which bids are open, who may be shown what, who accepted.
package offers

import (
	"context"
	"errors"
	"strings"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/node"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/record"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/react"
	"github.com/obole-market/obole/services/offers/internal/rpc"
	"github.com/obole-market/obole/services/offers/internal/schema"
	"github.com/obole-market/obole/services/offers/internal/view"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// Name of the service.
const Name = "offers"

// Config of the service.
type Config struct {
	boot.Config

	Currency   string `placeholder:"CODE" help:"Currency of the operator's book (ISO 4217); empty means EUR."`
	Commission int64  `placeholder:"PPM" help:"The operator's commission in millionths of a slot's price; 0 means 200000, below 0 none."`
}

func (c *Config) currency() string {
	if c.Currency == "" {
		return "EUR"
	}
	return c.Currency
}

func (c *Config) commission() int64 {
	const usual = 200_000
	switch {
	case c.Commission == 0:
		return usual
	case c.Commission < 0:
		return 0
	}
	return c.Commission
}

// tables are the service's projections.
var tables = []node.Rows{market, trail}

// trail is which events are about whom.
func trail(pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	return record.New(Name, (*offersv1.Event)(nil), pool, log)
}

func market(pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	return projection.New(projection.Options{
		Name: "market", Service: Name, Fold: view.Fold, Tables: schema.Market, Pool: pool, Log: log, Project: view.Project,
	})
}

// Run serves until ctx ends.
func Run(ctx context.Context, c Config) error {
	c.Service = Name
	products, err := catalog.Open(c.Products)
	if err != nil {
		return err
	}
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
	buyers, bids := es.Register(n.Engine, wire.Buyers()), es.Register(n.Engine, wire.Bids())
	rows, seen := market(n.Pool, n.Log), trail(n.Pool, n.Log)
	for _, p := range []*projection.Projection{rows, seen} {
		if err := p.Open(ctx); err != nil {
			return err
		}
		n.Project(p)
	}
	consent, err := n.Peers.Dial("consent")
	if err != nil {
		return err
	}
	delivery, err := n.Peers.Dial("delivery")
	if err != nil {
		return err
	}
	answers := view.View{Pool: n.Pool}
	reactor := &react.Reactor{Bids: bids, Still: answers.Still, Running: answers.Running, Caught: rows.Wait, Cause: cause}
	n.React(&bus.Reaction{Name: react.Name, Types: react.Types, Handle: reactor.Handle}, react.Sources...)
	n.Deadlines("market", reactor.Due)

	server := &rpc.Server{
		Buyers: buyers, Bids: bids, View: answers, Seen: rows, Log: n.Log, Catalog: products, Policy: rules, Keys: keys,
		Consent:  consentv1.NewConsentServiceClient(consent),
		Delivery: deliveryv1.NewDeliveryServiceClient(delivery), Now: c.Now, Currency: c.currency(), Commission: c.commission(),
		Accepted: lru.New[id.ID, es.Record](rpc.AcceptedHeld),
	}
	server.Record = &record.Book{Service: Name, Pool: n.Pool, Log: n.Log, Seen: seen, Tell: server.Tell}
	offersv1.RegisterOffersServiceServer(n.Server, server)
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
		buyers := func(typ string) bool { return strings.HasPrefix(typ, "buyer_") }
		return errors.Join(
			node.Refold(ctx, log, wire.Buyers(), buyers, node.Nobody),
			node.Refold(ctx, log, wire.Bids(), func(typ string) bool { return !buyers(typ) }, node.Nobody),
		)
	})
	if err != nil {
		return err
	}
	return node.Tables(ctx, &c.Config, tables, node.Verify(ctx, &c.Config))
}
