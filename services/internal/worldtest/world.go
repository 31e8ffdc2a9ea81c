// Package worldtest is what a service finds around it, made for one test: databases with their roles on the real PostgreSQL,
// topics with a prefix of the test's own on the real Kafka, an issuer of tokens, and addresses of its peers.
package worldtest

import (
	"context"
	"crypto/rand"
	"fmt"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/obole-market/obole/deploy"
	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/issuer"
	"github.com/obole-market/obole/pkg/node"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// Services of the market.
var Services = []string{"offers", "consent", "delivery", "settlement"}

// World is one test's surroundings.
type World struct {
	t         testing.TB
	Issuer    *issuer.Issuer
	Prefix    string
	Brokers   []string
	folder    string
	listeners map[string]net.Listener
	peers     map[string]string
	run       string
	server    string // URL of PostgreSQL, as its superuser

	mu    sync.Mutex
	conns map[string]*grpc.ClientConn // by address, subject and roles
}

// Need gives an environment variable that `make test` sets; without it the test fails.
func Need(t testing.TB, name string) string {
	t.Helper()
	v := os.Getenv(name)
	if v == "" {
		t.Fatalf("%s is not set: these tests run on the real thing, make test brings it", name)
	}
	return v
}

// New makes the surroundings, but for the databases, which Config makes.
func New(t testing.TB) *World {
	t.Helper()
	return NewOn(t, strings.Split(Need(t, "KAFKA_BROKERS"), ",")...)
}

// NewOn is New on brokers of the test's own: they can be stopped.
func NewOn(t testing.TB, brokers ...string) *World {
	t.Helper()
	return NewAt(t, Need(t, "DATABASE_URL"), brokers...)
}

// NewAt is New on a PostgreSQL and brokers of the test's own: what stands in their files is the test's.
func NewAt(t testing.TB, server string, brokers ...string) *World {
	t.Helper()
	w := &World{
		t: t, server: server, Brokers: brokers, folder: t.TempDir(),
		listeners: map[string]net.Listener{}, peers: map[string]string{}, conns: map[string]*grpc.ClientConn{}, run: strings.ReplaceAll(id.Random().String(), "-", "")[:12],
	}
	w.Prefix = "test-" + w.run + "."
	clients := make([]issuer.Client, 0, len(Services))
	topics := make([]bus.Topic, 0, len(Services))
	for _, s := range Services {
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = l.Close() }) // the service may have closed it
		w.listeners[s], w.peers[s] = l, l.Addr().String()
		clients = append(clients, issuer.Client{ID: s, Roles: []eventv1.Role{eventv1.Role_ROLE_SERVICE}})
		topics = append(topics, bus.Topic{Name: node.Topic(w.Prefix, s), Partitions: Partitions})
	}
	var err error
	if w.Issuer, err = issuer.Open(issuer.Config{Folder: filepath.Join(w.folder, "issuer"), Clients: clients}); err != nil {
		t.Fatal(err)
	}
	w.Start(w.Issuer.Serve)
	if err := bus.Ensure(t.Context(), bus.NewClient(w.Brokers, nil), topics...); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(w.folder, "keys"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := vault.CreateKEK(filepath.Join(w.folder, "keys", "2026-01-01.kek"), rand.Reader); err != nil {
		t.Fatal(err)
	}
	return w
}

// Partitions of every log.
const Partitions = 2

// Config makes the service's database and gives its configuration.
func (w *World) Config(service string) boot.Config {
	w.t.Helper()
	at := func(database string) string {
		u, err := url.Parse(w.server)
		if err != nil {
			w.t.Fatal("DATABASE_URL is malformed")
		}
		u.Path = "/" + database
		return u.String()
	}
	name := "t" + w.run + "_" + service
	db := deploy.Database{Name: name, Owner: name + "_owner", App: name + "_app"}
	if err := db.Create(w.t.Context(), at); err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { w.drop(at("postgres"), db) })
	return boot.Config{
		Service: service, Peers: w.peers, Keys: filepath.Join(w.folder, "keys"), Partitions: Partitions,
		Database:  boot.Database{URL: at(name), OwnerURL: at(name), Role: db.App},
		Kafka:     boot.Kafka{Brokers: w.Brokers, Prefix: w.Prefix},
		Auth:      boot.Auth{Issuer: w.Issuer.URL(), SecretFile: w.Issuer.SecretFile(service)},
		Telemetry: boot.TelemetryConfig{Level: "warn", Format: "text"},
		Limits:    boot.Limits{Rate: -1},
		Seams:     boot.Seams{Listener: w.listeners[service], Log: logs{w.t}},
	}
}

// Listener is where a service's peers look for it: for a test that answers in its place.
func (w *World) Listener(service string) net.Listener { return w.listeners[service] }

func (w *World) drop(url string, db deploy.Database) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		w.t.Error(err)
		return
	}
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	for _, sql := range []string{
		"drop database " + pgx.Identifier{db.Name}.Sanitize() + " with (force)",
		"drop role " + pgx.Identifier{db.App}.Sanitize(),
		"drop role " + pgx.Identifier{db.Owner}.Sanitize(),
	} {
		if _, err := conn.Exec(ctx, sql); err != nil {
			w.t.Error(err)
		}
	}
}

// logs puts a service's log lines where they are shown when the test fails.
type logs struct{ t testing.TB }

func (l logs) Write(b []byte) (int, error) {
	l.t.Log(strings.TrimSpace(string(b)))
	return len(b), nil
}

// Start runs an actor until the test ends; it must end without a fault.
func (w *World) Start(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- run(ctx) }()
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-done:
			if err != nil && ctx.Err() == nil {
				w.t.Errorf("a service ended: %v", err)
			}
		case <-time.After(30 * time.Second):
			w.t.Error("a service does not end")
		}
	}
	w.t.Cleanup(stop)
	return stop
}

// Dial connects to a service as somebody; it waits until the service answers.
func (w *World) Dial(service, subject string, roles ...eventv1.Role) *grpc.ClientConn {
	w.t.Helper()
	return w.DialAddr(w.peers[service], service, subject, roles...)
}

// DialAddr is Dial of a service that does not listen where its peers think.
func (w *World) DialAddr(addr, service, subject string, roles ...eventv1.Role) *grpc.ClientConn {
	w.t.Helper()
	conn := w.conn(addr, subject, roles)
	w.Eventually(service+" to answer", func() bool {
		h, err := grpc_health_v1.NewHealthClient(conn).Check(w.t.Context(), &grpc_health_v1.HealthCheckRequest{Service: service})
		return err == nil && h.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING
	})
	return conn
}

// conn is the same for the same: a test that asks in a loop would hold a connection for each time that it asked, and its buffers.
func (w *World) conn(addr, subject string, roles []eventv1.Role) *grpc.ClientConn {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	name := fmt.Sprint(addr, " ", subject, " ", roles)
	if c := w.conns[name]; c != nil {
		return c
	}
	token, err := w.Issuer.Mint(subject, roles...)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithPerRPCCredentials(bearer("Bearer "+token)),
		grpc.WithConnectParams(grpc.ConnectParams{ // a service that was killed comes back in a moment
			Backoff: backoff.Config{BaseDelay: 20 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 200 * time.Millisecond}, MinConnectTimeout: 5 * time.Second,
		}))
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = c.Close() }) // nothing is pending
	w.conns[name] = c
	return c
}

// Eventually waits for what other processes bring about.
func (w *World) Eventually(what string, ok func() bool) {
	w.t.Helper()
	deadline := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(deadline) {
			w.t.Fatalf("waited too long for %s", what)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// bearer is what a call is authorised with, put together once.
type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }
