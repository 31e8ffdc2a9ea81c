package node_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kfake"
	"golang.org/x/oauth2"
	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/estest"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/issuer"
	"github.com/obole-market/obole/pkg/node"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// plant is a whole service named test: a node with a root, and a reaction to its own topic that writes down what it is told.
type plant struct {
	*node.Node

	t    *testing.T
	site site
	jar  *es.Root[estest.State, estest.Command, estest.Event]
	stop func()

	cured atomic.Bool // what is poison is handled

	mu   sync.Mutex
	told map[es.Position]int
}

// poison is an amount that the plant's reaction refuses until it is cured.
const poison = 13

// site is what a plant is configured with, and who gives out tokens for it.
type site struct {
	boot.Config

	issuer *issuer.Issuer
}

// blueprint is a site with a database of its own, on these brokers; its topic is not made.
func blueprint(t *testing.T, brokers ...string) site {
	t.Helper()
	i, err := issuer.Open(issuer.Config{Folder: t.TempDir(), Clients: []issuer.Client{{ID: "other", Roles: []eventv1.Role{eventv1.Role_ROLE_SERVICE}}}})
	if err != nil {
		t.Fatal(err)
	}
	run(t, i.Serve)
	return draw(t, i, "test", "test-"+id.Random().String()+".", brokers...)
}

// draw is blueprint of a service by its name, among others with the same issuer and prefix of topics.
func draw(t *testing.T, i *issuer.Issuer, service, prefix string, brokers ...string) site {
	t.Helper()
	h := &house{t: t}
	name := h.database("")
	c := site{issuer: i, Config: boot.Config{
		Service: service, Partitions: partitions, Telemetry: boot.TelemetryConfig{Level: "warn", Format: "text"},
		Database: boot.Database{URL: h.at(name), OwnerURL: h.at(name)}, Auth: boot.Auth{Issuer: i.URL(), SecretFile: i.SecretFile(service)},
		Kafka: boot.Kafka{Brokers: brokers, Prefix: prefix},
		Seams: boot.Seams{Log: t.Output()},
	}}
	if err := node.Migrate(t.Context(), &c.Config, nil); err != nil {
		t.Fatal(err)
	}
	return c
}

// raise puts a plant up that reacts to these services, and runs it.
func raise(t *testing.T, c site, sources ...string) *plant {
	t.Helper()
	p := build(t, c, sources...)
	p.run()
	return p
}

// build is raise without running.
func build(t *testing.T, c site, sources ...string) *plant {
	t.Helper()
	n, err := node.Open(t.Context(), &c.Config)
	if err != nil {
		t.Fatal(err)
	}
	p := &plant{Node: n, t: t, site: c, jar: es.Register(n.Engine, estest.Jar()), told: map[es.Position]int{}}
	if len(sources) > 0 {
		p.React(&bus.Reaction{Name: "echo", Types: map[string]bus.Way{"put": bus.InOrder}, Handle: p.hear}, sources...)
	}
	return p
}

func (p *plant) run() {
	p.stop = run(p.t, func(ctx context.Context) error {
		err := p.Run(ctx)
		if err != nil && ctx.Err() == nil {
			p.t.Errorf("the service ended: %v", err)
		}
		return err
	})
}

func (p *plant) hear(_ context.Context, e *bus.Received) error {
	if strings.Contains(string(e.Data), fmt.Sprintf(`"amount":%d`, poison)) && !p.cured.Load() {
		return fault.Refuse("POISON", "not yet")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.told[e.Position<<8|es.Position(e.Partition)]++
	return nil
}

func (p *plant) heard() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.told)
}

// put stores so many events, each on a stream of its own.
func (p *plant) put(n int) {
	p.t.Helper()
	for range n {
		p.on(es.StreamOf(id.Random()), 1)
	}
}

// on stores events on one stream.
func (p *plant) on(s es.Stream, amounts ...int64) {
	p.t.Helper()
	c := es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: s, Amounts: amounts}}}
	if _, err := p.jar.Do(p.t.Context(), c); err != nil {
		p.t.Fatal(err)
	}
}

// dial connects to the plant as somebody.
func (p *plant) dial(roles ...eventv1.Role) *grpc.ClientConn {
	p.t.Helper()
	token, err := p.site.issuer.Mint("somebody", roles...)
	if err != nil {
		p.t.Fatal(err)
	}
	conn, err := boot.Dial(p.Config, p.Telemetry, p.Server.Addr(), oauth2.StaticTokenSource(&oauth2.Token{AccessToken: token}))
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { _ = conn.Close() }) // nothing is pending
	return conn
}

// page is what the plant's admin page says: its metrics by name and labels, whether it is ready, and of each part whether it works.
func (p *plant) page() (metrics map[string]float64, ready bool, parts map[string]bool) {
	p.t.Helper()
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		boot.Admin(p.Telemetry, p.Health).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
		return w
	}
	metrics = map[string]float64{}
	for line := range strings.SplitSeq(get("/metrics").Body.String(), "\n") {
		name, value, ok := strings.Cut(line, " ")
		if ok && !strings.HasPrefix(line, "#") && strings.HasPrefix(line, "obole_") {
			metrics[name] = must(strconv.ParseFloat(value, 64))
		}
	}
	var health struct {
		Ready bool
		Parts map[string]bool
	}
	if err := json.Unmarshal(get("/readyz").Body.Bytes(), &health); err != nil {
		p.t.Fatal(err)
	}
	return metrics, health.Ready, health.Parts
}

// sum adds up a metric over the labels that begin so, and says how many there are.
func sum(metrics map[string]float64, begin string) (sum float64, n int) {
	for name, v := range metrics {
		if strings.HasPrefix(name, begin) {
			sum, n = sum+v, n+1
		}
	}
	return sum, n
}

// passed is how many records the plant's readers counted for a reason.
func (p *plant) passed(why string) (n float64) {
	metrics, _, _ := p.page()
	for name, v := range metrics {
		if strings.HasPrefix(name, "obole_reader_passed_total") && strings.Contains(name, `why="`+why+`"`) {
			n += v
		}
	}
	return n
}

// topic is made for a configuration.
func topic(t *testing.T, client *kafka.Client, c site) string {
	t.Helper()
	name := node.Topic(c.Kafka.Prefix, c.Service)
	if err := bus.Ensure(t.Context(), client, bus.Topic{Name: name, Partitions: partitions}); err != nil {
		t.Fatal(err)
	}
	return name
}

// identity makes a certificate of the loopback, and the file of roots by which it is known.
func identity(t *testing.T) (cert tls.Certificate, roots string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "broker"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	roots = filepath.Join(t.TempDir(), "ca.crt")
	if err := os.WriteFile(roots, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

// TestBrokersAreKnownByTheirRoots: with roots the service speaks TLS on every way to the brokers, the relay's and the
// groups', and does not speak to brokers that it does not know, or in clear.
func TestBrokersAreKnownByTheirRoots(t *testing.T) {
	t.Parallel()
	cert, roots := identity(t)
	sealed, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.TLS(&tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(sealed.Close)
	c := blueprint(t, sealed.ListenAddrs()...)
	c.Kafka.CA = roots
	pool := x509.NewCertPool()
	pool.AddCert(must(x509.ParseCertificate(cert.Certificate[0])))
	client := bus.NewClient(c.Kafka.Brokers, &kafka.Transport{TLS: &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}})
	topic(t, client, c)
	p := raise(t, c, "test")
	p.put(5)
	await(t, "what went to the brokers and came back", func() bool { return p.heard() == 5 })
	if err := node.Check(t.Context(), &c.Config, func(node.Checked) error { return nil }); err != nil {
		t.Errorf("fsck compares with the topic: %v", err)
	}

	for name, wrong := range map[string]boot.Kafka{
		"brokers in clear":    {Brokers: brokers(t), CA: roots, Prefix: c.Kafka.Prefix},
		"roots of others":     {Brokers: c.Kafka.Brokers, CA: second(identity(t)), Prefix: c.Kafka.Prefix},
		"no roots to know by": {Brokers: c.Kafka.Brokers, Prefix: c.Kafka.Prefix},
	} {
		c := c
		c.Kafka = wrong
		n, err := node.Open(t.Context(), &c.Config)
		if err != nil {
			t.Fatal(err)
		}
		soon, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if meta, err := n.Client.Metadata(soon, &kafka.MetadataRequest{}); err == nil {
			t.Errorf("%s: the service speaks to %v", name, meta.Brokers)
		}
		conn, err := bus.Dialer(n.Client).DialContext(soon, "tcp", c.Kafka.Brokers[0])
		if err == nil {
			if _, err = conn.ApiVersions(); err == nil {
				t.Errorf("%s: a member of a group speaks to them", name)
			}
			_ = conn.Close() // it was of no use
		}
		if err := node.Check(t.Context(), &c.Config, func(node.Checked) error { return nil }); err == nil {
			t.Errorf("%s: fsck compares with them", name)
		}
		_ = n.Server.Close() // it was never run
		n.Pool.Close()
		n.Log.Close()
	}
	c.Kafka.CA = filepath.Join(t.TempDir(), "none")
	if _, err := node.Open(t.Context(), &c.Config); err == nil {
		t.Error("roots that do not exist are passed over")
	}
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

func second[A, B any](_ A, b B) B { return b }
