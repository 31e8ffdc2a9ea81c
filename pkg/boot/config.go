package boot

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"github.com/alecthomas/kong"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"github.com/obole-market/obole/pkg/fault"
)

// Config is what every service needs to know. A service embeds it in its own; every field works at its zero value, and
// what zero means stands beside it. Secrets are never values here but names of files.
//
// Each field is a flag (--kafka.brokers), an environment variable (OBOLE_KAFKA_BROKERS) and a key of the JSON file
// named by --config ({"kafka": {"brokers": ["a:9092"]}}). A flag wins over the environment, the environment over the
// file. A key in the file that is no flag is refused.
type Config struct {
	// File is read before the rest.
	File kong.ConfigFlag `name:"config" placeholder:"FILE" help:"JSON file with the values of these flags."`
	// Service is the service's own name; its main sets it.
	Service string `kong:"-"`

	Listen     string            `placeholder:"ADDR" help:"Address of gRPC; empty means a free port of the loopback."`
	Admin      string            `placeholder:"ADDR" help:"Address of /metrics, /healthz and /readyz; empty means none."`
	Reflection bool              `help:"Offer gRPC reflection."`
	Partitions int32             `placeholder:"N" help:"Partitions of the log, fixed at its birth; 0 means 2."`
	Peers      map[string]string `placeholder:"NAME=ADDR" help:"gRPC addresses of the other services."`
	Keys       string            `placeholder:"DIR" help:"Folder of the key-encryption keys."`
	Products   string            `placeholder:"DIR" help:"Folder of the data products; empty means those built in."`
	Reconcile  bool              `help:"For fsck: first make a log that lost its tail whole from the topic. Stop the service before."`
	Policy     string            `placeholder:"DIR" help:"Folder of the policy packs; empty means those built in."`

	TLS       TLS             `embed:"" prefix:"tls."`
	Database  Database        `embed:"" prefix:"database."`
	Kafka     Kafka           `embed:"" prefix:"kafka."`
	Auth      Auth            `embed:"" prefix:"auth."`
	Telemetry TelemetryConfig `embed:"" prefix:"telemetry."`
	Limits    Limits          `embed:"" prefix:"limits."`

	// Seams are replaced by tests and by the all-in-one; no flag reaches them.
	Seams Seams `kong:"-"`
}

// TLS names certificates. Without them gRPC is in clear, which is for one machine only.
type TLS struct {
	Cert string `placeholder:"FILE" help:"Our certificate chain, PEM; empty means that we serve in clear."`
	Key  string `placeholder:"FILE" help:"Its private key, PEM."`
	CA   string `placeholder:"FILE" help:"Roots by which we know peers and the issuer, PEM; empty means that peers are called in clear."`
}

// Database says where the service's log and tables are.
type Database struct {
	URLFile   string `name:"url-file" placeholder:"FILE" help:"File holding the PostgreSQL URL of the application."`
	OwnerFile string `name:"owner-file" placeholder:"FILE" help:"File holding the URL of the owner, who migrates; empty means the application's."`
	Role      string `placeholder:"ROLE" help:"Role that the application takes on once connected; empty means the one that logs in."`
	Conns     int32  `placeholder:"N" help:"Largest number of connections; 0 means 16."`
	// URL and OwnerURL are used before the files, by who has them in memory.
	URL      string `kong:"-"`
	OwnerURL string `kong:"-"`
}

// Kafka says where events are published.
type Kafka struct {
	Brokers []string `placeholder:"HOST:PORT" help:"Brokers to begin with."`
	CA      string   `placeholder:"FILE" help:"Roots by which brokers are known, PEM; empty means in clear."`
	Prefix  string   `placeholder:"TEXT" help:"Put before the names of topics and groups, where installations share brokers; empty means none."`
}

// Auth says whose tokens are accepted, and how the service gets its own.
type Auth struct {
	Issuer     string `placeholder:"URL" help:"OpenID issuer whose tokens are accepted. Required."`
	Audience   string `placeholder:"NAME" help:"Audience that a token must name; empty means obole."`
	RolesClaim string `name:"roles-claim" placeholder:"PATH" help:"Claim that lists the roles, dots between the parts; empty means roles."`
	Client     string `placeholder:"ID" help:"Client id of this service at the issuer; empty means the service's name."`
	SecretFile string `name:"secret-file" placeholder:"FILE" help:"File holding the client secret, for calls to peers."`
}

// TelemetryConfig says what is told to whom about the running of the service.
type TelemetryConfig struct {
	Endpoint string  `placeholder:"HOST:PORT" help:"OTLP collector (gRPC) for traces; empty exports none, trace ids are still passed on."`
	Insecure bool    `help:"Speak to the collector in clear."`
	Sample   float64 `placeholder:"RATIO" help:"Share of traces that are recorded, 0 to 1; 0 means 0.01. A caller's decision is kept."`
	Level    string  `placeholder:"LEVEL" help:"Least level logged: debug, info, warn or error; empty means info."`
	Format   string  `placeholder:"json|text" help:"Form of the log; empty means json."`
}

// Limits bound what callers may ask for.
type Limits struct {
	Rate        int           `placeholder:"N" help:"Calls a second of one caller to one RPC, where the contract says nothing; 0 means 200, below 0 none is refused, whatever the contract says."`
	ServiceRate int           `name:"service-rate" placeholder:"N" help:"The same for other services of ours; 0 means 50000."`
	Callers     int           `placeholder:"N" help:"Callers remembered for the rate; 0 means 65536."`
	Tokens      int           `placeholder:"N" help:"Verified tokens remembered; 0 means 16384."`
	Streams     uint32        `placeholder:"N" help:"Calls at once on one connection; 0 means 1024."`
	Drain       time.Duration `placeholder:"DURATION" help:"Time for calls in flight when the service stops; 0 means 10s."`
}

// Seams are what a simulator or a test replaces.
type Seams struct {
	// Now is the clock of tokens, rates and durations; nil means time.Now.
	Now func() time.Time
	// Log receives log lines; nil means standard error.
	Log io.Writer
	// Spans receives every finished span at once, instead of the collector.
	Spans sdktrace.SpanExporter
	// Listener is served instead of Listen.
	Listener net.Listener
	// Dial reaches peers instead of the network.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// Read gives the first line of a file that holds a secret. Its errors name the file, never the content.
func Read(file string) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("boot: secret: %w", err)
	}
	line, _, _ := strings.Cut(string(b), "\n")
	line = strings.TrimSpace(line)
	if line == "" {
		return "", fmt.Errorf("boot: secret: %s is empty", file)
	}
	return line, nil
}

// PartitionCount is Partitions, or 2.
func (c *Config) PartitionCount() int32 { return or(c.Partitions, 2) }

// Audience is what a token must be for.
func (c *Config) Audience() string { return or(c.Auth.Audience, "obole") }

// Now is the service's clock.
func (c *Config) Now() time.Time {
	if c.Seams.Now != nil {
		return c.Seams.Now()
	}
	return time.Now()
}

// DatabaseURL is where the application connects; owner asks for the one who migrates.
func (c *Config) DatabaseURL(owner bool) (string, error) {
	d := c.Database
	if owner && d.OwnerURL != "" {
		return d.OwnerURL, nil
	}
	if owner && d.OwnerFile != "" {
		return Read(d.OwnerFile)
	}
	if d.URL != "" {
		return d.URL, nil
	}
	if d.URLFile == "" {
		return "", fault.New(fault.KindInvalid, "", "--database.url-file is not set")
	}
	return Read(d.URLFile)
}

// server is the TLS of our listeners, nil when in clear.
func (t TLS) server() (*tls.Config, error) {
	if t.Cert == "" && t.Key == "" {
		return nil, nil
	}
	cert, err := tls.LoadX509KeyPair(t.Cert, t.Key)
	if err != nil {
		return nil, fmt.Errorf("boot: tls.cert and tls.key: %w", err)
	}
	return &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13}, nil
}

// Roots is the TLS by which a client knows who it calls, nil when in clear. file is PEM.
func Roots(file string) (*tls.Config, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("boot: roots: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("boot: roots: no certificate in %s", file)
	}
	return &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}, nil
}

// or is v, or what its zero value means.
func or[T comparable](v, zero T) T {
	var none T
	if v == none {
		return zero
	}
	return v
}
