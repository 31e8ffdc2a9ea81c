package app_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/issuer"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/app"
	"github.com/obole-market/obole/services/internal/worldtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ada   = "5b0c7a52-2f0f-4c8e-9d0c-0f0a3f5f7a11"
	funds = "6d3c7b9e-1c55-4d0b-8c26-1f3a52a4a001"
)

// world is an edge with an issuer of its own and nobody behind: what the edge decides by itself needs nobody.
type world struct {
	issuer *issuer.Issuer
	page   string
	roots  *tls.Config
	stop   func() error

	mu    sync.Mutex
	ahead time.Duration
}

func (w *world) now() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Now().Add(w.ahead)
}

// move puts the clock of edge and issuer forward.
func (w *world) move(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

func (w *world) browser(t *testing.T) *worldtest.Browser {
	t.Helper()
	return worldtest.NewBrowser(t, w.page, w.roots)
}

func open(t *testing.T, change func(*app.Config)) *world {
	t.Helper()
	w := &world{}
	l := listen(t)
	c := app.Config{Config: boot.Config{Peers: map[string]string{}, Telemetry: boot.TelemetryConfig{Level: "error"}}}
	c.Seams.Now, c.Seams.Listener, c.Seams.Log = w.now, l, t.Output()
	for _, name := range worldtest.Services {
		silent := listen(t)
		c.Peers[name] = silent.Addr().String()
		_ = silent.Close() // nobody answers there
	}
	w.page = "http://" + l.Addr().String()
	if change != nil {
		change(&c)
	}
	if c.TLS.Cert != "" {
		w.page = "https://" + l.Addr().String()
		pem, err := os.ReadFile(c.TLS.Cert)
		if err != nil {
			t.Fatal(err)
		}
		w.roots = &tls.Config{RootCAs: x509.NewCertPool(), MinVersion: tls.VersionTLS13}
		w.roots.RootCAs.AppendCertsFromPEM(pem)
	}
	if c.Auth.Issuer == "" {
		w.serveIssuer(t, &c)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- app.Run(ctx, c) }()
	var once sync.Once
	var err error
	w.stop = func() error {
		once.Do(func() {
			stop()
			err = <-ended
		})
		return err
	}
	t.Cleanup(func() {
		if err := w.stop(); err != nil {
			t.Errorf("Run() = %v", err)
		}
	})
	return w
}

// serveIssuer runs an issuer with two who may sign in.
func (w *world) serveIssuer(t *testing.T, c *app.Config) {
	t.Helper()
	var err error
	w.issuer, err = issuer.Open(issuer.Config{
		Now: w.now, Folder: t.TempDir(),
		Principals: []issuer.Principal{
			{Subject: ada, Label: "Ada <of Namur>", Roles: []eventv1.Role{eventv1.Role_ROLE_SUBSCRIBER}},
			{Subject: funds, Label: "Finance", Roles: []eventv1.Role{eventv1.Role_ROLE_FINANCE, eventv1.Role_ROLE_OPERATOR}},
		},
		Clients: []issuer.Client{{ID: "app", Redirects: []string{w.page + "/login/done"}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	c.Auth.Issuer, c.Auth.SecretFile = w.issuer.URL(), w.issuer.SecretFile("app")
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.issuer.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("the issuer: %v", err)
		}
	})
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() }) // the edge may have closed it
	return l
}

// withTLS gives the edge a certificate of its own making.
func withTLS(t *testing.T) func(*app.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	write := func(name, kind string, b []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: b}), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	crt, private2 := write("tls.crt", "CERTIFICATE", der), write("tls.key", "PRIVATE KEY", private)
	return func(c *app.Config) { c.TLS.Cert, c.TLS.Key = crt, private2 }
}

// refusal is an error as the page gets it.
type refusal struct {
	Code, Message string
	Details       []struct {
		Type  string
		Debug struct{ Reason string }
	}
}

// reason reads why the edge refuses; the answer must be of the status and kept by nobody.
func reason(t *testing.T, a worldtest.Answer, status int) string {
	t.Helper()
	var r refusal
	if err := json.Unmarshal([]byte(a.Body), &r); err != nil || a.Status != status || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("%s: %d, want %d; %s, %v", a.URL, a.Status, status, a.Body, a.Header)
	}
	for _, d := range r.Details {
		if d.Type == "google.rpc.ErrorInfo" {
			return d.Debug.Reason
		}
	}
	return ""
}

// me reads who is signed in.
func me(t *testing.T, b *worldtest.Browser) map[string]any {
	t.Helper()
	a := b.Get("/api/me")
	got := map[string]any{}
	if err := json.Unmarshal([]byte(a.Body), &got); err != nil || a.Status != http.StatusOK || a.Header.Get("Cache-Control") != "no-store" {
		t.Fatalf("/api/me: %d %s", a.Status, a.Body)
	}
	return got
}
