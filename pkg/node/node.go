package node

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/mill"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultpg"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
)

// Parts of a service's health that have names of their own.
const (
	PartTails = "tails" // every partition's tail is known: commands are decided
	PartRelay = "relay" // events are published, by this process or another; a service answers without it
)

// Topic is the topic of a service's log; the prefix keeps installations apart that share brokers.
func Topic(prefix, service string) string { return prefix + "obole." + service + ".v1" }

// Node is one service's machinery.
type Node struct {
	Config    *boot.Config
	Telemetry *boot.Telemetry
	Health    *boot.Health
	Pool      *pgxpool.Pool
	Log       *espg.Log
	Engine    *es.Engine
	Server    *boot.Server
	Peers     *boot.Peers
	Client    *kafka.Client
	Group     boot.Group

	router      *mill.Router
	reactions   map[string]*bus.Reaction
	projections []*projection.Projection
	sources     []string // services whose topics are read
	metrics     metrics
	relays      *relays
	lags        lags
	refetch     refetcher
}

// Open connects to what the configuration names, without waiting for any of it but the database.
func Open(ctx context.Context, c *boot.Config) (n *Node, err error) {
	n = &Node{Config: c, Health: boot.NewHealth(c.Service, PartTails), reactions: map[string]*bus.Reaction{}}
	if n.Telemetry, err = boot.Observe(c); err != nil {
		return nil, err
	}
	n.metrics = newMetrics(n.Telemetry.Registry)
	n.relays = newRelays(int(c.PartitionCount()), n.metrics.unpublished, func(all bool) { n.Health.Set(PartRelay, all) })
	if n.router, err = mill.NewRouter(n.traced); err != nil {
		return nil, err
	}
	n.Group.Add("router", n.router.Run) // the first to begin is the last to end
	n.router.Panicked = func(reaction string, p fault.Panic) { n.alarm("panic", "reaction", reaction, "panic", p) }
	n.router.Retried = func(reaction string, _ error) { n.metrics.retried.WithLabelValues(reaction).Inc() }
	if n.Pool, err = boot.OpenPool(ctx, c, n.Telemetry); err != nil {
		return nil, err
	}
	where, err := appURL(c)
	if err != nil {
		return nil, err
	}
	if n.Log, err = espg.Open(ctx, espg.Config{URL: where, Partitions: int(c.PartitionCount()), Tracer: n.Telemetry.Pgx(), Dial: c.Seams.Database}); err != nil {
		return nil, err
	}
	n.Engine = es.New(n.Log, es.Options{Service: c.Service, NewID: c.NewID, Hooks: es.Hooks{
		Flushed:  n.metrics.flushed,
		Missed:   n.metrics.missed,
		Alarm:    func(p es.Partition, err error) { n.alarm("engine", "partition", int(p), "error", err) },
		Panicked: func(root string, p fault.Panic) { n.alarm("panic", "root", root, "panic", p) },
		Trace:    boot.TraceParent,
	}})
	if n.Server, err = boot.NewServer(c, n.Telemetry, n.Health); err != nil {
		return nil, err
	}
	if n.Peers, err = boot.NewPeers(c, n.Telemetry); err != nil {
		return nil, err
	}
	n.refetch = refetcher{log: n.Log, own: Topic(c.Kafka.Prefix, c.Service), peers: n.Peers, prefix: c.Kafka.Prefix}
	if n.Client, err = brokers(c); err != nil {
		return nil, err
	}
	logv1.RegisterLogServiceServer(n.Server, &logServer{node: n})
	return n, nil
}

// appURL is where the log connects: in the application's role from the first statement on.
func appURL(c *boot.Config) (string, error) {
	text, err := c.DatabaseURL(false)
	if err != nil || c.Database.Role == "" {
		return text, err
	}
	u, err := url.Parse(text)
	if err != nil {
		return "", errors.New("node: the database url is malformed") // the cause would quote a password
	}
	q := u.Query()
	q.Set("role", c.Database.Role)
	u.RawQuery = q.Encode()
	return u.String(), nil
}

// brokers makes a client of the configured brokers.
func brokers(c *boot.Config) (*kafka.Client, error) {
	roots, err := boot.Roots(c.Kafka.CA)
	if err != nil {
		return nil, err
	}
	return bus.NewClient(c.Kafka.Brokers, &kafka.Transport{TLS: roots, Dial: c.Seams.Kafka}), nil
}

// Keys opens the service's keeper of personal keys.
func (n *Node) Keys() (*vault.Keeper, error) { return keeper(n.Config, n.Pool) }

func keeper(c *boot.Config, pool *pgxpool.Pool) (*vault.Keeper, error) {
	open := c.Seams.Keys
	if open == nil {
		open = stored
	}
	store, keks, err := open(c.Keys, pool)
	if err != nil {
		return nil, err
	}
	return vault.New(vault.Config{Store: store, KEKs: keks, Now: c.Now, Random: c.Random()}), nil
}

// stored keeps keys in the service's database, and has those that wrap them from a folder.
func stored(folder string, pool *pgxpool.Pool) (vault.Store, *vault.KEKs, error) {
	keks, err := vault.OpenKEKs(folder)
	return vaultpg.New(pool), keks, err
}

// Project adds a projection of the service's own log.
func (n *Node) Project(p *projection.Projection) {
	p.Alarm(func(p es.Partition, err error) { n.alarm("projection", "partition", int(p), "error", err) })
	n.projections = append(n.projections, p)
	n.Group.Add("projection", p.Run)
}

// Deadlines has what falls due in a projection's tables decided.
func (n *Node) Deadlines(schema string, fire func(context.Context, projection.Deadline) error) {
	n.Group.Add("deadlines", (&projection.Deadlines{
		Pool: n.Pool, Schema: schema, Now: n.Config.Now, Fire: fire, Alarm: func(err error) { n.alarm("deadlines", "error", err) },
	}).Run)
}

// React adds a reaction to topics of services.
func (n *Node) React(r *bus.Reaction, services ...string) {
	r.Pool = n.Pool
	r.Knows = knows(n.Config.Kafka.Prefix, services)
	r.Parked = func(topic string, e *bus.Received, reason string) {
		n.metrics.parked.WithLabelValues(r.Name).Inc()
		n.alarm("parked", "reaction", r.Name, "topic", topic, "type", e.Type, "position", int64(e.Position), "reason", reason)
	}
	r.Handle = n.router.Handler(r.Name, r.Handle)
	n.reactions[r.Name] = r
	n.Group.Add("reaction "+r.Name, n.feed(r.Name, r.Take, services).Run)
}

// knows says which types of events the contract has, by topic.
func knows(prefix string, services []string) func(topic, typ string) bool {
	types := map[string]protoreflect.OneofDescriptor{}
	for _, s := range services {
		name := protoreflect.FullName("obole." + s + ".v1.Event")
		if m, err := protoregistry.GlobalTypes.FindMessageByName(name); err == nil {
			types[Topic(prefix, s)] = m.Descriptor().Oneofs().ByName("event")
		}
	}
	return func(topic, typ string) bool {
		arms := types[topic]
		return arms != nil && arms.Fields().ByName(protoreflect.Name(typ)) != nil
	}
}

// traced makes each try of a reaction part of the trace of the event that it reacts to, and measures it.
func (n *Node) traced(next message.HandlerFunc) message.HandlerFunc {
	tracer := n.Telemetry.Tracer.Tracer("obole")
	return func(m *message.Message) ([]*message.Message, error) {
		e, began := mill.Event(m), n.Config.Now()
		ctx, span := tracer.Start(Traced(m.Context(), e), "react "+e.Type, trace.WithSpanKind(trace.SpanKindConsumer))
		defer span.End()
		m.SetContext(ctx)
		out, err := next(m)
		if err != nil {
			span.SetStatus(codes.Error, fault.KindOf(err).String()) // the text of an error may be a driver's
		}
		n.metrics.reacted.WithLabelValues(e.Type).Observe(n.Config.Now().Sub(began).Seconds())
		return out, err
	}
}

// Follow adds a fold of other services' events into tables of this one.
func (n *Node) Follow(name string, project func(context.Context, pgx.Tx, []bus.Received) error, services ...string) {
	n.Group.Add("table "+name, n.feed(name, bus.Table(n.Pool, project), services).Run)
}

func (n *Node) feed(reader string, take func(context.Context, *bus.Checkpoint, []bus.Received) error, services []string) *bus.Feed {
	n.sources = append(n.sources, services...)
	topics := make([]string, len(services))
	for i, s := range services {
		topics[i] = Topic(n.Config.Kafka.Prefix, s)
	}
	return &bus.Feed{
		Client: n.Client, Brokers: n.Config.Kafka.Brokers, Pool: n.Pool, Reader: reader, Group: n.Config.Kafka.Prefix + "obole-" + n.Config.Service + "-" + reader,
		Topics: topics, Partitions: map[string]int{n.refetch.own: n.Log.Partitions()}, Take: take, Refetch: n.refetch.read,
		Moved: func(topic string, p es.Partition, at es.Position, behind int64) {
			n.metrics.behind.WithLabelValues(reader, topic, fmt.Sprint(p)).Set(float64(behind))
			n.lags.moved(reading{reader, topic, p}, behind)
		},
		Lost: func(topic string, p es.Partition) {
			n.metrics.behind.DeleteLabelValues(reader, topic, fmt.Sprint(p))
			n.lags.lost(reading{reader, topic, p})
		},
		Passed: func(topic, why string) { n.metrics.passed.WithLabelValues(reader, topic, why).Inc() },
		Alarm: func(topic string, p es.Partition, err error) {
			n.alarm("reader", "reader", reader, "topic", topic, "partition", int(p), "error", err)
		},
	}
}

// alarm logs what a person must see to.
func (n *Node) alarm(what string, args ...any) { n.Telemetry.Log.Warn(what, args...) }

// Run works until ctx ends or a part of the service cannot go on.
func (n *Node) Run(ctx context.Context) error {
	defer n.close(context.WithoutCancel(ctx))
	if err := Covers(n.Config, n.sources...); err != nil {
		return errors.Join(err, n.Server.Close())
	}
	n.know(ctx)
	n.Group.Add("engine", n.Engine.Run)
	n.Group.Add("ready", n.ready)
	n.Group.Add("watch", n.watch)
	for p := range n.Log.Partitions() {
		n.Group.Add("relay", n.relay(es.Partition(p)).Run)
	}
	if addr := n.Config.Admin; addr != "" {
		n.Group.Add("admin", boot.ServeHTTP(addr, boot.Admin(n.Telemetry, n.Health)))
	}
	n.Group.Add("grpc", n.Server.Serve)
	return n.Group.Run(ctx)
}

// know tells the engine, before it decides anything, how far the topic has come: a log that was restored without its tail must
// not go on from there. Without Kafka the service begins all the same, and the relay tells later.
func (n *Node) know(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	for i := range n.Log.Partitions() {
		p := es.Partition(i)
		newest, err := bus.Newest(ctx, n.Client, Topic(n.Config.Kafka.Prefix, n.Config.Service), p)
		if err == nil {
			err = n.Engine.Known(ctx, p, newest.Position, newest.ID)
		}
		if err != nil && !errors.Is(err, es.ErrIncarnation) { // of which the engine's own alarm tells
			n.alarm("topic", "partition", i, "error", err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (n *Node) close(ctx context.Context) {
	n.Log.Close()
	n.Pool.Close()
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := n.Telemetry.Close(ctx); err != nil {
		n.alarm("telemetry", "error", err)
	}
}

// ready keeps the health of the log: whether every partition's tail is known.
func (n *Node) ready(ctx context.Context) error {
	const every = 2 * time.Second
	for {
		err := n.Engine.Ready(ctx)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		n.Health.Set(PartTails, err == nil)
		if err != nil {
			n.alarm("log", "error", err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(every):
		}
	}
}

func (n *Node) relay(p es.Partition) *bus.Relay {
	return &bus.Relay{
		Client: n.Client, Log: n.Log, Topic: Topic(n.Config.Kafka.Prefix, n.Config.Service), Partition: p, Source: "/obole/" + n.Config.Service,
		Connect: func(ctx context.Context) (*pgx.Conn, error) {
			return pgx.ConnectConfig(ctx, n.Pool.Config().ConnConfig)
		},
		Ahead: func(p es.Partition, at es.Position, event id.ID) {
			if err := n.Engine.Known(context.Background(), p, at, event); err != nil && !errors.Is(err, es.ErrIncarnation) {
				n.alarm("relay", "partition", int(p), "error", err)
			}
		},
		Moved: n.relays.moved,
		State: n.relays.stands,
		Alarm: func(p es.Partition, err error) { n.alarm("relay", "partition", int(p), "error", err) },
	}
}

// metrics are what every service measures of its machinery. Labels are names of ours, never a person's.
type metrics struct {
	commands, events prometheus.Histogram
	flush            prometheus.Histogram
	misses           prometheus.Counter
	unpublished      *prometheus.GaugeVec
	behind           *prometheus.GaugeVec
	passed           *prometheus.CounterVec
	parked, retried  *prometheus.CounterVec
	aside            *prometheus.GaugeVec
	reacted          *prometheus.HistogramVec
}

func newMetrics(r prometheus.Registerer) metrics {
	sizes := prometheus.ExponentialBuckets(1, 2, 11)
	m := metrics{
		commands:    prometheus.NewHistogram(prometheus.HistogramOpts{Name: "obole_flush_commands", Help: "Commands in one flush of the log.", Buckets: sizes}),
		events:      prometheus.NewHistogram(prometheus.HistogramOpts{Name: "obole_flush_events", Help: "Events in one flush of the log.", Buckets: sizes}),
		flush:       prometheus.NewHistogram(prometheus.HistogramOpts{Name: "obole_flush_seconds", Help: "Time of one flush.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}),
		misses:      prometheus.NewCounter(prometheus.CounterOpts{Name: "obole_tail_missed_events_total", Help: "Events that another process had written."}),
		unpublished: prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "obole_relay_behind_events", Help: "Events not published yet, where this process publishes."}, []string{"partition"}),
		behind:      prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "obole_reader_behind_records", Help: "Records not read yet, where this process reads and the broker answers."}, []string{"reader", "topic", "partition"}),
		passed:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "obole_reader_passed_total", Help: "Records passed over: foreign, repeats; and gaps filled."}, []string{"reader", "topic", "why"}),
		parked:      prometheus.NewCounterVec(prometheus.CounterOpts{Name: "obole_parked_total", Help: "Events that parked their stream."}, []string{"reaction"}),
		aside:       prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "obole_parked_events", Help: "Events set aside now, with those that wait behind them, as every process of the service sees them."}, []string{"reaction"}),
		retried:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "obole_reaction_retries_total", Help: "Tries of reactions that failed for now."}, []string{"reaction"}),
		reacted:     prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "obole_reaction_seconds", Help: "Time of one try of a reaction.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14)}, []string{"type"}),
	}
	r.MustRegister(m.commands, m.events, m.flush, m.misses, m.unpublished, m.behind, m.passed, m.parked, m.aside, m.retried, m.reacted)
	return m
}

func (m metrics) flushed(_ es.Partition, commands, events int, took time.Duration) {
	m.commands.Observe(float64(commands))
	m.events.Observe(float64(events))
	m.flush.Observe(took.Seconds())
}

func (m metrics) missed(_ es.Partition, events int) { m.misses.Add(float64(events)) }
