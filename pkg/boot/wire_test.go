package boot_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"golang.org/x/oauth2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// A server that cannot answer now is asked again where the contract says that this does no harm, and only there.
func TestOnlyRepeatableCallsAreSentAgain(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(_ context.Context, req proto.Message) (proto.Message, error) {
			if asked.Add(1)%2 == 1 {
				return nil, fault.Unavailable("not now")
			}
			return req, nil
		}
	})
	conn := w.as(ada, operator)
	must(t, say(t, conn, "Say", ada))
	if asked.Load() != 2 {
		t.Errorf("asked %d times", asked.Load())
	}
	if err := say(t, conn, "Mine", ada); status.Code(err) != codes.Unavailable || asked.Load() != 3 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
}

func TestPeerOutOfReachIsUnavailableAtOnce(t *testing.T) {
	t.Parallel()
	tel := observe(t)
	cfg := &boot.Config{
		Service: "offers", Peers: map[string]string{"consent": "127.0.0.1:1"},
		Auth: boot.Auth{Issuer: "http://127.0.0.1:1", SecretFile: "/no/such/file"},
	}
	peers, err := boot.NewPeers(cfg, tel)
	must(t, err)
	conn, err := peers.Dial("consent")
	must(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	if err := say(t, conn, "Mine", ada); status.Code(err) != codes.Unavailable {
		t.Errorf("no peer: %v", err)
	}
	if _, err := boot.NewPeers(&boot.Config{Service: "offers"}, tel); err == nil {
		t.Error("peers without an issuer")
	}
}

// What a peer answers is a fault here; that it does not let us in is nobody's fault but ours.
func TestPeersAnswersAreFaults(t *testing.T) {
	t.Parallel()
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(context.Context, proto.Message) (proto.Message, error) {
			return nil, fault.Refuse("LIMIT", "five at once")
		}
		e.stream = func(grpc.ServerStream) error { return fault.NotFound("NO_BID", "no such bid") }
	})
	peers, err := boot.NewPeers(w.cfg, w.tel)
	must(t, err)
	peer, err := peers.Dial("offers")
	must(t, err)
	t.Cleanup(func() { check(t, peer.Close()) })
	if err := say(t, peer, "Say", ada); fault.KindOf(err) != fault.KindPrecondition || fault.ReasonOf(err) != "LIMIT" {
		t.Errorf("a refusal: %v", err)
	}
	if err := say(t, peer, "Hidden", ada); fault.KindOf(err) != fault.KindInternal {
		t.Errorf("not let in: %v", err)
	}
	if err := chat(t, w.as(ada, subscriber), "Chat").RecvMsg(&eventv1.Actor{}); fault.ReasonOf(err) != "NO_BID" {
		t.Errorf("a stream: %v", err)
	}
}

// The network is a seam: the same service over pipes in memory.
func TestNetworkIsInjected(t *testing.T) {
	t.Parallel()
	pipe := bufconn.Listen(1 << 16)
	w := start(t, func(c *boot.Config, _ *echo) {
		c.Seams.Listener = pipe
		c.Seams.Dial = func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }
	})
	peers, err := boot.NewPeers(w.cfg, w.tel)
	must(t, err)
	conn, err := peers.Dial("offers")
	must(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	must(t, say(t, conn, "Say", ada))
}

func TestOverTLS(t *testing.T) {
	t.Parallel()
	certFile, keyFile := certificate(t)
	w := start(t, func(c *boot.Config, _ *echo) { c.TLS = boot.TLS{Cert: certFile, Key: keyFile, CA: certFile} })
	raw, err := w.issuer.Mint(ada, operator)
	must(t, err)
	source := oauth2.StaticTokenSource(&oauth2.Token{AccessToken: raw})
	conn, err := boot.Dial(w.cfg, w.tel, w.srv.Addr(), source)
	must(t, err)
	t.Cleanup(func() { check(t, conn.Close()) })
	must(t, say(t, conn, "Say", ada))
	plain, err := boot.Dial(&boot.Config{}, w.tel, w.srv.Addr(), source)
	must(t, err)
	t.Cleanup(func() { check(t, plain.Close()) })
	if err := say(t, plain, "Mine", ada); status.Code(err) != codes.Unavailable {
		t.Errorf("in clear: %v", err)
	}
	for name, bad := range map[string]boot.TLS{
		"no key": {Cert: certFile}, "no roots": {CA: keyFile}, "no file": {CA: "/no/such/file"},
	} {
		cfg := *w.cfg
		cfg.TLS = bad
		if _, err := boot.NewServer(&cfg, observe(t), boot.NewHealth("x")); err == nil {
			t.Errorf("%s: a server was made", name)
		}
	}
}

// certificate is one for the loopback, signed by itself.
func certificate(t *testing.T) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	must(t, err)
	private, err := x509.MarshalPKCS8PrivateKey(key)
	must(t, err)
	folder := t.TempDir()
	certFile, keyFile = filepath.Join(folder, "cert.pem"), filepath.Join(folder, "key.pem")
	must(t, os.WriteFile(certFile, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600))
	return certFile, keyFile
}

// Connections of the pool act in the application's role, name the service, and are traced without what was asked.
func TestPoolActsInItsRole(t *testing.T) {
	t.Parallel()
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		t.Fatal("DATABASE_URL is not set: run make test, which brings a PostgreSQL")
	}
	admin, err := pgx.Connect(t.Context(), url)
	must(t, err)
	t.Cleanup(func() { check(t, admin.Close(context.Background())) })
	role := "obole_boot_" + strings.ToLower(rand.Text())
	_, err = admin.Exec(t.Context(), "create role "+role)
	must(t, err)
	t.Cleanup(func() {
		if _, err := admin.Exec(context.Background(), "drop role "+role); err != nil {
			t.Error(err)
		}
	})
	spans := tracetest.NewInMemoryExporter()
	cfg := &boot.Config{Service: "offers", Database: boot.Database{URL: url, Role: role}, Seams: boot.Seams{Spans: spans, Log: os.Stderr}}
	tel, err := boot.Observe(cfg)
	must(t, err)
	pool, err := boot.OpenPool(t.Context(), cfg, tel)
	must(t, err)
	ctx, span := tel.Tracer.Tracer("test").Start(t.Context(), "call") // statements are traced as part of something
	var user, name, secret string
	err = pool.QueryRow(ctx, "select current_user, current_setting('application_name'), $1::text", "weight 81").Scan(&user, &name, &secret)
	span.End()
	pool.Close()
	must(t, err)
	if user != role || name != "obole-offers" {
		t.Errorf("user %q, application %q", user, name)
	}
	seen := false
	for _, s := range spans.GetSpans() {
		for _, a := range s.Attributes {
			seen = seen || strings.Contains(a.Value.String(), "current_user")
			if strings.Contains(a.Value.String(), "weight 81") {
				t.Errorf("span %s shows a parameter", s.Name)
			}
		}
	}
	if !seen {
		t.Error("the statement was not traced")
	}
	must(t, tel.Close(context.Background()))
}

var _ grpc.ServiceRegistrar = (*boot.Server)(nil)
