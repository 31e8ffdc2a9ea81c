// Package settlement is the service that keeps the books: who owes whom, and the stream from which finance proves it.
package settlement

import (
	"cmp"
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/node"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/record"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/react"
	"github.com/obole-market/obole/services/settlement/internal/rpc"
	"github.com/obole-market/obole/services/settlement/internal/schema"
	"github.com/obole-market/obole/services/settlement/internal/view"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// Name of the service.
const Name = "settlement"

// SplitRule is the version of the arithmetic by which a delivery's price is divided.
const SplitRule = "1"

// Config of the service.
type Config struct {
	boot.Config

	Operator string `placeholder:"ID" help:"Whose book it is, with the currency; empty means obole."`
	Currency string `placeholder:"CODE" help:"Currency of the book (ISO 4217); empty means EUR."`

	LeastBuyers int `placeholder:"N" help:"Distinct buyers without whom prices are not compared; 0 means 3."`
	LeastPeople int `placeholder:"N" help:"Distinct people without whom prices are not compared; 0 means 10."`
}

// ledger is what the configuration says of the book.
func (c *Config) ledger() (book.ID, book.Ledger, wire.Codec, error) {
	code, operator := c.Currency, c.Operator
	if code == "" {
		code = "EUR"
	}
	if operator == "" {
		operator = "obole"
	}
	currency, err := money.ParseCurrency(code)
	if err != nil {
		return book.ID{}, book.Ledger{}, wire.Codec{}, fmt.Errorf("settlement: currency: %w", err)
	}
	unit := int64(1)
	for range 6 - currency.Exponent() {
		unit *= 10
	}
	return BookID(operator, code), book.Ledger{Unit: unit, SplitRule: SplitRule}, wire.Codec{Currency: code}, nil
}

// BookID names the book of an operator and currency.
func BookID(operator, currency string) book.ID {
	return book.ID{ID: id.Derive([]byte("book"), []byte(operator), []byte(currency))}
}

func ledger(pool *pgxpool.Pool, log es.Reader, codec wire.Codec) *projection.Projection {
	return projection.New(projection.Options{
		Name: "ledger", Service: Name, Fold: view.Fold, Tables: schema.Ledger, Pool: pool, Log: log,
		Project: func(ctx context.Context, tx pgx.Tx, records []es.Record) error {
			return view.Project(ctx, tx, codec, records)
		},
	})
}

// trail is which events are about whom.
func trail(pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	return record.New(Name, (*settlementv1.Event)(nil), pool, log)
}

// Run serves until ctx ends.
func Run(ctx context.Context, c Config) error {
	c.Service = Name
	number, rules, codec, err := c.ledger()
	if err != nil {
		return err
	}
	n, err := node.Open(ctx, &c.Config)
	if err != nil {
		return err
	}
	root := es.Register(n.Engine, wire.Rules(rules, codec))
	rows, seen := ledger(n.Pool, n.Log, codec), trail(n.Pool, n.Log)
	for _, p := range []*projection.Projection{rows, seen} {
		if err := p.Open(ctx); err != nil {
			return err
		}
		n.Project(p)
	}

	market, err := n.Peers.Dial("offers")
	if err != nil {
		return err
	}
	reactor := &react.Reactor{
		Book: number, Currency: codec.Currency, Root: root, Cause: cause, Buyers: lru.New[book.AgreementID, book.BuyerID](react.BuyersHeld),
	}
	n.React(&bus.Reaction{Name: react.Name, Types: react.Types, Handle: reactor.Handle}, react.Sources...)
	n.Deadlines("ledger", reactor.Mature)

	const leastBuyers, leastPeople = 3, 10
	server := &rpc.Server{
		Now: c.Now, LeastBuyers: cmp.Or(c.LeastBuyers, leastBuyers), LeastPeople: cmp.Or(c.LeastPeople, leastPeople),
		Book: number, Currency: codec.Currency, Root: root, Offers: offersv1.NewOffersServiceClient(market), Log: n.Log, View: view.View{Pool: n.Pool}, Seen: rows,
		Partition: es.PartitionOf(wire.Stream(book.On{Book: number}), n.Log.Partitions()),
	}
	server.Record = &record.Book{Service: Name, Pool: n.Pool, Log: n.Log, Seen: seen, Tell: server.Tell}
	settlementv1.RegisterSettlementServiceServer(n.Server, server)
	return n.Run(ctx)
}

func cause(event id.ID, m *eventv1.Meta) *eventv1.Meta { return node.Cause(Name, event, m) }

// Migrate brings the database up to date, as its owner.
func Migrate(ctx context.Context, c Config) error {
	c.Service = Name
	if err := node.Migrate(ctx, &c.Config, nil); err != nil {
		return err
	}
	return c.tables(ctx, func(p *projection.Projection) error { return p.Migrate(ctx, c.Database.Role) })
}

// Rebuild folds the log into new tables beside the live ones and swaps them.
func Rebuild(ctx context.Context, c Config) error {
	c.Service = Name
	return c.tables(ctx, func(p *projection.Projection) error { return p.Rebuild(ctx) })
}

// Fsck folds everything again and compares: the chain, the states and the tables.
func Fsck(ctx context.Context, c Config) error {
	c.Service = Name
	_, rules, codec, err := c.ledger()
	if err != nil {
		return err
	}
	err = node.Check(ctx, &c.Config, func(log node.Checked) error {
		return node.Refold(ctx, log, wire.Rules(rules, codec), func(string) bool { return true }, node.Nobody)
	})
	if err != nil {
		return err
	}
	return c.tables(ctx, node.Verify(ctx, &c.Config))
}

// tables does something to the projections as the database's owner.
func (c *Config) tables(ctx context.Context, do func(*projection.Projection) error) error {
	_, _, codec, err := c.ledger()
	if err != nil {
		return err
	}
	return node.Tables(ctx, &c.Config, []node.Rows{
		func(pool *pgxpool.Pool, log es.Reader) *projection.Projection { return ledger(pool, log, codec) }, trail,
	}, do)
}
