// Package delivery is what leaves about people, minimised and sealed, and the proof that it arrived; and where their measurements
// come in.
package delivery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/node"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/record"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/react"
	"github.com/obole-market/obole/services/delivery/internal/rpc"
	"github.com/obole-market/obole/services/delivery/internal/schema"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// Name of the service.
const Name = "delivery"

// Config of the service.
type Config struct {
	boot.Config

	Lapse time.Duration `placeholder:"DURATION" help:"How long a package waits for its receipt; 0 means 168h."`
	Cells string        `placeholder:"FILE" help:"The network's cells, CSV with antenna_id, latitude and longitude, for people's own maps; empty means that none has a place."`
}

func (c Config) patience() time.Duration { return cmp.Or(c.Lapse, shelf.Patience) }

// tables are the service's projections.
var tables = []node.Rows{shelves, trail}

// trail is which events are about whom.
func trail(pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	return record.New(Name, (*deliveryv1.Event)(nil), pool, log)
}

func shelves(pool *pgxpool.Pool, log es.Reader) *projection.Projection {
	return projection.New(projection.Options{
		Name: "shelves", Service: Name, Fold: view.Fold, Tables: schema.Shelves, Pool: pool, Log: log, Project: view.Project,
	})
}

// Run serves until ctx ends.
func Run(ctx context.Context, c Config) error {
	c.Service = Name
	products, err := catalog.Open(c.Products)
	if err != nil {
		return err
	}
	if err := minimise.Check(products); err != nil {
		return err
	}
	antennas, err := source.OpenAntennas(c.Cells)
	if err != nil {
		return fmt.Errorf("cells: %w", err)
	}
	n, err := node.Open(ctx, &c.Config)
	if err != nil {
		return err
	}
	keys, err := n.Keys()
	if err != nil {
		return err
	}
	holdings, roots := es.Register(n.Engine, wire.Holdings()), es.Register(n.Engine, wire.Shelves())
	rows, seen := shelves(n.Pool, n.Log), trail(n.Pool, n.Log)
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
	consenting, err := n.Peers.Dial("consent")
	if err != nil {
		return err
	}
	offers, consent := offersv1.NewOffersServiceClient(market), consentv1.NewConsentServiceClient(consenting)
	kept, answers, buyers := store.Store{Pool: n.Pool}, view.View{Pool: n.Pool}, packing.NewBuyers(offers, c.Now)

	packer := &packing.Packer{
		Shelves: roots, Keys: keys, Store: kept, Catalog: products, Buyers: buyers, Consent: consent, Now: c.Now, NewID: c.NewID, Random: c.Random(),
		Patience: c.patience(),
	}
	bars := &packing.Bars{Holdings: holdings, Shelves: roots, Store: kept, Catalog: products}
	reactor := &react.Reactor{
		Bars:    bars,
		Shelves: roots, Keys: keys, Store: kept, Packer: packer, Buyers: buyers, Market: offers, Cause: cause, Caught: rows.CaughtUp,
		OfBid: agreements(answers.OfBid), Unreleased: unreleased(answers),
	}
	n.React(&bus.Reaction{Name: react.Name, Types: react.Types, Handle: reactor.Handle}, react.Sources...)
	clock := &react.Clock{Reactor: reactor, Owner: owner(answers)}
	n.Deadlines("shelves", clock.Due)

	m := newMetrics(n.Telemetry.Registry)
	server := &rpc.Server{
		Holdings: holdings, Shelves: roots, Keys: keys, Store: kept, Catalog: products, View: answers, Seen: rows, Log: n.Log, Buyers: buyers, Bars: bars,
		Antennas: antennas,
		Offers:   offers, Consent: consent, Now: c.Now, Tick: c.Now, NewID: c.NewID, Patience: c.patience(), Gate: m.gate, Sent: m.sent,
	}
	server.Record = &record.Book{Service: Name, Pool: n.Pool, Log: n.Log, Seen: seen, Tell: server.Tell}
	deliveryv1.RegisterDeliveryServiceServer(n.Server, server)
	n.Group.Add("sweep", (&sweep{
		now: c.Now, caught: rows.CaughtUp, old: kept.Old, spent: kept.Spent, patience: c.patience(), destroy: kept.Destroy, unrecorded: kept.Unrecorded,
		tell: func(ctx context.Context, open []store.Import) error {
			return server.Catch(ctx, open, cause(id.ID{}, nil))
		},
		alarm: func(err error) { n.Telemetry.Log.Warn("sweep", "error", err) },
	}).run)
	return n.Run(ctx)
}

func cause(event id.ID, m *eventv1.Meta) *eventv1.Meta { return node.Cause(Name, event, m) }

func agreements(list func(context.Context, id.ID) ([]view.Agreement, error)) func(context.Context, id.ID) ([]packing.Agreement, error) {
	return func(ctx context.Context, of id.ID) (out []packing.Agreement, err error) {
		rows, err := list(ctx, of)
		for _, a := range rows {
			out = append(out, packing.Agreement{ID: shelf.AgreementID{ID: a.ID}, Subscriber: shelf.SubscriberID{ID: a.Subscriber}})
		}
		return out, err
	}
}

func unreleased(v view.View) func(context.Context, id.ID) ([]react.Parcel, error) {
	return func(ctx context.Context, buyer id.ID) (out []react.Parcel, err error) {
		const batch = 1000
		var last id.ID
		for more := true; more; {
			rows, err := v.Unreleased(ctx, buyer, id.ID{}, last, batch)
			if err != nil {
				return nil, err
			}
			for i := range rows {
				d := &rows[i]
				last, out = d.ID, append(out, react.Parcel{Delivery: shelf.DeliveryID{ID: d.ID}, Agreement: packing.Agreement{
					ID: shelf.AgreementID{ID: d.Agreement}, Subscriber: shelf.SubscriberID{ID: d.Subscriber},
				}})
			}
			more = len(rows) == batch
		}
		return out, nil
	}
}

func owner(v view.View) func(context.Context, id.ID) (shelf.SubscriberID, error) {
	return func(ctx context.Context, root id.ID) (shelf.SubscriberID, error) {
		who, err := v.Owner(ctx, root)
		return shelf.SubscriberID{ID: who}, err
	}
}

// metrics are what the gate's second looks like.
type metrics struct {
	asked *prometheus.HistogramVec
	left  prometheus.Histogram
}

func newMetrics(r prometheus.Registerer) metrics {
	times := prometheus.ExponentialBuckets(0.001, 2, 11)
	m := metrics{
		asked: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "obole_gate_seconds", Help: "Time that consent's gate took to answer.", Buckets: times}, []string{"outcome"}),
		left:  prometheus.NewHistogram(prometheus.HistogramOpts{Name: "obole_gate_to_key_seconds", Help: "Time from asking the gate to the key's leaving.", Buckets: times}),
	}
	r.MustRegister(m.asked, m.left)
	return m
}

func (m metrics) gate(took time.Duration, outcome string) {
	m.asked.WithLabelValues(outcome).Observe(took.Seconds())
}
func (m metrics) sent(took time.Duration) { m.left.Observe(took.Seconds()) }

// Migrate brings the database up to date, as its owner.
func Migrate(ctx context.Context, c Config) error {
	c.Service = Name
	own, err := fs.Sub(schema.Store, "store")
	if err != nil {
		return err
	}
	if err := node.Migrate(ctx, &c.Config, own); err != nil {
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
		whose, err := owners(ctx, log.Log)
		if err != nil {
			return err
		}
		return errors.Join(
			node.Refold(ctx, log, wire.Holdings(), wire.OfHolding, node.ByRoot),
			node.Refold(ctx, log, wire.Shelves(), func(typ string) bool { return !wire.OfHolding(typ) }, whose),
		)
	})
	if err != nil {
		return err
	}
	return node.Tables(ctx, &c.Config, tables, node.Verify(ctx, &c.Config))
}

// owners reads whose each shelf is: the first event on it says so.
func owners(ctx context.Context, log es.Reader) (node.Owner, error) {
	whose := map[string]id.ID{}
	for p := range log.Partitions() {
		_, err := es.Fsck(ctx, log, es.Partition(p), func(r *es.Record) error {
			if r.Type != "agreement_taken" {
				return nil
			}
			m := new(deliveryv1.Event)
			if err := proto.Unmarshal(r.Data, m); err != nil {
				return fmt.Errorf("position %d: %w", r.Position, err)
			}
			who, err := id.Parse(m.GetAgreementTaken().GetSubscriberId())
			whose[r.Stream.Root()] = who
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return func(s es.Stream) (id.ID, error) {
		who, known := whose[s.Root()]
		if !known {
			return who, fmt.Errorf("stream %s: nothing says whose it is", s)
		}
		return who, nil
	}, nil
}
