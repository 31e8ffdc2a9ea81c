package boot

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"time"

	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	metricnoop "go.opentelemetry.io/otel/metric/noop"
	"golang.org/x/oauth2"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/keepalive"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/token"
)

// Peers calls the other services, with one token for all of them.
type Peers struct {
	cfg    *Config
	tel    *Telemetry
	source oauth2.TokenSource
}

// NewPeers prepares the service's own token; it is asked for when the first call needs it.
func NewPeers(c *Config, t *Telemetry) (*Peers, error) {
	roots, err := Roots(c.TLS.CA)
	if err != nil {
		return nil, err
	}
	source, err := token.Source(token.Credentials{
		Issuer: c.Auth.Issuer, Client: or(c.Auth.Client, c.Service), Roots: roots,
		Secret: func() (string, error) { return Read(c.Auth.SecretFile) },
		Params: url.Values{"audience": {c.Audience()}},
	})
	if err != nil {
		return nil, fmt.Errorf("boot: auth: %w", err)
	}
	return &Peers{cfg: c, tel: t, source: source}, nil
}

// Dial makes a connection to a service by its name in the configuration. It does not wait: a call to a service that is
// not there fails as Unavailable, and finds it once it is.
func (p *Peers) Dial(name string) (*grpc.ClientConn, error) {
	addr := p.cfg.Peers[name]
	if addr == "" {
		return nil, fmt.Errorf("boot: --peers names no address for %s", name)
	}
	return dial(p.cfg, p.tel, addr, p.source, asPeer)
}

// asPeer is what a peer's answer means here: that it does not know us or does not let us in is our defect, and not for
// our own caller to mend.
func asPeer(err error) error {
	err = grpcfault.From(err)
	if errors.Is(err, fault.KindUnauthenticated) || errors.Is(err, fault.KindDenied) {
		return fault.Internal("a peer refuses this service").Because(err)
	}
	return err
}

// Dial makes a connection to an address with the tokens of a source, nil for none. Calls are spread over the addresses
// that the name stands for; they get the contract's deadline where the caller has set none, carry the trace and for
// whom they are made, and are sent again when the server cannot be reached, where the contract marks the RPC with an
// idempotency level. Errors of calls are faults, and still statuses.
func Dial(c *Config, t *Telemetry, addr string, source oauth2.TokenSource) (*grpc.ClientConn, error) {
	return dial(c, t, addr, source, grpcfault.From)
}

func dial(c *Config, t *Telemetry, addr string, source oauth2.TokenSource, translate func(error) error) (*grpc.ClientConn, error) {
	methods, err := Methods(protoregistry.GlobalFiles, "obole.")
	if err != nil {
		return nil, err
	}
	roots, err := Roots(c.TLS.CA)
	if err != nil {
		return nil, err
	}
	creds := insecure.NewCredentials()
	if roots != nil {
		creds = credentials.NewTLS(roots)
	}
	limits := map[string]time.Duration{}
	for _, m := range methods {
		limits[m.Name] = m.Deadline
	}
	opts := []grpc.DialOption{
		grpc.WithTransportCredentials(creds),
		grpc.WithDisableServiceConfig(), // of DNS TXT records: ours is below
		grpc.WithDefaultServiceConfig(serviceConfig(methods)),
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, invoke grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			if _, ok := ctx.Deadline(); !ok {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, or(limits[method], defaultDeadline))
				defer cancel()
			}
			return translate(invoke(behalf(ctx), method, req, reply, cc, opts...))
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, stream grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			cs, err := stream(behalf(ctx), desc, cc, method, opts...)
			if err != nil {
				return nil, translate(err)
			}
			return translated{cs, translate}, nil
		}),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler(
			otelgrpc.WithTracerProvider(t.Tracer), otelgrpc.WithPropagators(propagator), otelgrpc.WithMeterProvider(metricnoop.NewMeterProvider()),
		)),
	}
	if source != nil {
		opts = append(opts, grpc.WithPerRPCCredentials(bearer{source, roots != nil}))
	}
	target := "dns:///" + addr
	if dial := c.Seams.Dial; dial != nil {
		target = "passthrough:///" + addr
		opts = append(opts, grpc.WithContextDialer(func(ctx context.Context, a string) (net.Conn, error) { return dial(ctx, a) }))
	}
	conn, err := grpc.NewClient(target, opts...)
	if err != nil {
		return nil, fmt.Errorf("boot: dial %s: %w", addr, err)
	}
	return conn, nil
}

// translated is a stream whose errors are faults. SendMsg says io.EOF where the stream has failed; RecvMsg says why.
type translated struct {
	grpc.ClientStream
	translate func(error) error
}

func (t translated) RecvMsg(m any) error {
	err := t.ClientStream.RecvMsg(m)
	if err == nil || errors.Is(err, io.EOF) {
		return err
	}
	return t.translate(err)
}

// behalf tells for whom the call is made.
func behalf(ctx context.Context) context.Context {
	if who := CallerFrom(ctx).principal(); who != "" {
		return metadata.AppendToOutgoingContext(ctx, forHeader, who)
	}
	return ctx
}

// bearer puts a token on each call.
type bearer struct {
	source oauth2.TokenSource
	secure bool
}

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	t, err := b.source.Token()
	if err != nil {
		// Without a token of our own nobody can be asked: to our caller that is the same as nobody being there.
		return nil, status.Error(codes.Unavailable, err.Error())
	}
	return map[string]string{"authorization": "Bearer " + t.AccessToken}, nil
}

func (b bearer) RequireTransportSecurity() bool { return b.secure }

// serviceConfig spreads calls over all addresses and lists what may be sent again (gRFC A6).
func serviceConfig(methods []*Method) string {
	names := []map[string]string{}
	for _, m := range methods {
		if m.repeatable() {
			service, method, _ := strings.Cut(m.Name[1:], "/")
			names = append(names, map[string]string{"service": service, "method": method})
		}
	}
	cfg := map[string]any{"loadBalancingConfig": []any{map[string]any{"round_robin": map[string]any{}}}}
	if len(names) > 0 {
		cfg["methodConfig"] = []any{map[string]any{"name": names, "retryPolicy": map[string]any{
			"maxAttempts": 4, "initialBackoff": "0.05s", "maxBackoff": "1s", "backoffMultiplier": 2,
			"retryableStatusCodes": []string{"UNAVAILABLE"},
		}}}
	}
	text, err := json.Marshal(cfg)
	if err != nil {
		panic("boot: service config: " + err.Error()) // maps of text and numbers always marshal
	}
	return string(text)
}
