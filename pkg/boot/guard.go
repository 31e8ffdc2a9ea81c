package boot

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"buf.build/go/protovalidate"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/attribute"
	otelcodes "go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/time/rate"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/peer"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// guard stands between the network and the handlers. It is one function and not a chain of interceptors: the order of
// the checks can be read, and a call costs no closures.
type guard struct {
	log       *slog.Logger
	now       func() time.Time
	tokens    *token.Verifier
	validator protovalidate.Validator
	methods   map[string]*guarded // by full name; complete before the first call
	limits    Limits
	callers   *lru.Map[bucket, *rate.Limiter]
	strangers *lru.Map[string, *rate.Limiter] // by address, those whose tokens were refused
	seconds   *prometheus.HistogramVec
	tracer    trace.Tracer
	handlers  sync.WaitGroup // of streams, which may outlive their answer by a moment
	stopping  chan struct{}  // closed when the server is told to stop
}

// guarded is a method with what the guard looks up for it, ready.
type guarded struct {
	*Method
	open bool // health and reflection: no token, no limits
	ok   prometheus.Observer
}

// bucket is what one rate counts: one caller's calls to one RPC.
type bucket struct {
	method  *guarded
	subject string
}

// A stranger may present 20 bad tokens a second: each costs a verification, and the issuer may be asked for new keys.
const badTokens = 20

func newGuard(c *Config, t *Telemetry, v *token.Verifier) (*guard, error) {
	g := &guard{
		log: t.Log, now: c.Now, tokens: v, methods: map[string]*guarded{}, limits: c.Limits,
		callers:   lru.New[bucket, *rate.Limiter](or(c.Limits.Callers, 1<<16)),
		strangers: lru.New[string, *rate.Limiter](4096),
		stopping:  make(chan struct{}),
		tracer:    t.Tracer.Tracer("github.com/obole-market/obole/pkg/boot"),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "obole_rpc_seconds", Help: "Time from a request to its answer, of a stream to its end.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"method", "code"}),
	}
	if err := t.Registry.Register(g.seconds); err != nil {
		return nil, fmt.Errorf("boot: metrics: %w", err)
	}
	return g, nil
}

func (g *guard) add(m *Method, open bool) {
	g.methods[m.Name] = &guarded{Method: m, open: open, ok: g.seconds.WithLabelValues(m.Name, codes.OK.String())}
}

// unary is the interceptor of unary calls.
func (g *guard) unary(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
	m := g.methods[info.FullMethod]
	began := g.now()
	ctx, span := g.trace(ctx, m)
	ctx, cancel := m.within(ctx)
	defer cancel() // after failed has asked whether time has run out
	defer func() {
		if p := recover(); p != nil {
			err = g.panicked(ctx, m, p)
		}
		if err != nil {
			resp, err = nil, g.failed(ctx, m, err)
		}
		g.done(m, span, began, err)
	}()
	if m.open {
		return handler(ctx, req)
	}
	msg := req.(proto.Message)
	if err := m.fits(msg); err != nil {
		return nil, err
	}
	claims, err := g.authenticate(ctx, began)
	if err != nil {
		return nil, err
	}
	role, err := m.Authorise(claims, msg)
	if err != nil {
		return nil, err
	}
	if err := g.admit(m, claims.Subject, role, began); err != nil {
		return nil, err
	}
	if err := g.validator.Validate(msg); err != nil {
		return nil, err
	}
	return handler(caller(ctx, claims, role).in(ctx), req)
}

// caller puts together who calls; claims are shared, so they are copied.
func caller(ctx context.Context, claims *token.Claims, role eventv1.Role) *Caller {
	c := &Caller{Claims: *claims, Role: role}
	if role == eventv1.Role_ROLE_SERVICE {
		c.For = onBehalf(ctx)
	}
	return c
}

// within sets the method's deadline where the caller's is later or none.
func (m *guarded) within(ctx context.Context) (context.Context, context.CancelFunc) {
	if until, ok := ctx.Deadline(); m.open || ok && time.Until(until) <= m.Deadline {
		return ctx, func() {}
	}
	return context.WithTimeout(ctx, m.Deadline)
}

// fits refuses a message that is larger than the contract allows.
func (m *guarded) fits(msg proto.Message) error {
	if proto.Size(msg) > m.Bytes {
		return tooLarge(m.Method)
	}
	return nil
}

// authenticate tells whose token a call bears.
func (g *guard) authenticate(ctx context.Context, now time.Time) (*token.Claims, error) {
	v := metadata.ValueFromIncomingContext(ctx, "authorization")
	if len(v) != 1 || len(v[0]) < 8 || !strings.EqualFold(v[0][:7], "bearer ") {
		return nil, errNoToken
	}
	raw := v[0][7:]
	claims, err := g.tokens.Known(raw)
	if claims == nil && err == nil {
		claims, err = g.meet(ctx, raw, now)
	}
	switch {
	case err == nil:
		return claims, nil
	case errors.Is(err, token.ErrExpired):
		return nil, errExpired
	case errors.Is(err, token.ErrUnreachable):
		return nil, errNoIssuer
	case errors.Is(err, token.ErrInvalid):
		return nil, errBadToken
	default:
		return nil, err
	}
}

// meet verifies a token that is not known yet, unless its sender has presented too many bad ones.
func (g *guard) meet(ctx context.Context, raw string, now time.Time) (*token.Claims, error) {
	address := ""
	if p, ok := peer.FromContext(ctx); ok {
		if host, _, err := net.SplitHostPort(p.Addr.String()); err == nil {
			address = host
		}
	}
	trust := g.strangers.GetOr(address, func() *rate.Limiter { return rate.NewLimiter(badTokens, 2*badTokens) })
	if trust.TokensAt(now) < 1 {
		return nil, tooOften(badTokens)
	}
	claims, err := g.tokens.Verify(ctx, raw)
	if errors.Is(err, token.ErrInvalid) {
		trust.AllowN(now, 1)
	}
	return claims, err
}

// admit counts a call against what its caller may make.
func (g *guard) admit(m *guarded, subject string, role eventv1.Role, now time.Time) error {
	if g.limits.Rate < 0 {
		return nil
	}
	if bucket := g.bucket(m, subject, role); !bucket.AllowN(now, 1) {
		return tooOften(float64(bucket.Limit()))
	}
	return nil
}

// reserve counts as many calls and says how long it is until their turn; it counts none if that is longer than most.
func (g *guard) reserve(m *guarded, subject string, role eventv1.Role, calls int, most time.Duration, now time.Time) (time.Duration, error) {
	if g.limits.Rate < 0 {
		return 0, nil
	}
	bucket := g.bucket(m, subject, role)
	perSecond := float64(bucket.Limit())
	delay := time.Duration((float64(calls) - bucket.TokensAt(now)) / perSecond * float64(time.Second))
	if delay > most {
		return 0, tooSoon(perSecond, delay)
	}
	for calls > 0 { // a limiter reserves no more than a burst at a time
		n := min(calls, bucket.Burst())
		delay, calls = bucket.ReserveN(now, n).DelayFrom(now), calls-n
	}
	return delay, nil
}

// bucket is what a caller may make of calls.
func (g *guard) bucket(m *guarded, subject string, role eventv1.Role) *rate.Limiter {
	return g.callers.GetOr(bucket{m, subject}, func() *rate.Limiter {
		n := or(int(m.Access.GetRate()), or(g.limits.Rate, 200))
		if role == eventv1.Role_ROLE_SERVICE {
			n = or(g.limits.ServiceRate, 50_000)
		}
		return rate.NewLimiter(rate.Limit(n), 2*n)
	})
}

// failed turns what a handler returned into what the caller gets. What nobody has classified is logged, here and only
// here, and the caller learns nothing of it.
func (g *guard) failed(ctx context.Context, m *guarded, err error) error {
	f := grpcfault.Classify(err)
	if f.Kind == fault.KindInternal && ctx.Err() != nil {
		f = grpcfault.Classify(ctx.Err()) // whatever broke, it was cut off
	}
	if f.Kind == fault.KindInternal && !errors.Is(err, errLogged) {
		g.log.ErrorContext(ctx, "unclassified error", "method", m.Name, "error", err)
	}
	return grpcfault.Status(f).Err()
}

// errLogged stands for a panic, which has been logged with where it was.
var errLogged = errors.New("panic")

func (g *guard) panicked(ctx context.Context, m *guarded, p any) error {
	g.log.ErrorContext(ctx, "panic", "method", m.Name, "panic", fault.PanicOf(p))
	return errLogged
}

// serverSpan is made once: options are read at each call.
var serverSpan = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKindServer)}

// trace begins a call's span, in the trace that the caller is in. otelgrpc's handler does the same and more for four
// times the price, a tenth of a call.
func (g *guard) trace(ctx context.Context, m *guarded) (context.Context, trace.Span) {
	if m.open {
		return ctx, trace.SpanFromContext(ctx)
	}
	if v := metadata.ValueFromIncomingContext(ctx, "traceparent"); len(v) == 1 {
		ctx = WithTraceParent(ctx, v[0])
	}
	return g.tracer.Start(ctx, m.Name[1:], serverSpan...)
}

// done ends a call's span and counts it.
func (g *guard) done(m *guarded, span trace.Span, began time.Time, err error) {
	seconds := g.now().Sub(began).Seconds()
	if err == nil {
		m.ok.Observe(seconds)
	} else {
		g.seconds.WithLabelValues(m.Name, status.Code(err).String()).Observe(seconds)
	}
	if span.IsRecording() {
		code := status.Code(err)
		span.SetAttributes(attribute.String("rpc.system", "grpc"), attribute.Int("rpc.grpc.status_code", int(code)))
		switch code {
		case codes.Unknown, codes.DeadlineExceeded, codes.Unimplemented, codes.Internal, codes.Unavailable, codes.DataLoss:
			span.SetStatus(otelcodes.Error, code.String()) // the others are the caller's affair
		}
	}
	span.End()
}
