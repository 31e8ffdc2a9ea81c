package boot

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	otelprom "go.opentelemetry.io/otel/exporters/prometheus"
	"go.opentelemetry.io/otel/metric"
	"go.opentelemetry.io/otel/propagation"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/credentials"
)

// Telemetry is how a service tells of itself. Nothing of it is global: four services may run in one process.
type Telemetry struct {
	Log *slog.Logger
	// Tracer makes spans. Without an endpoint it records none, but every call has a trace id, which logs and events carry.
	Tracer trace.TracerProvider
	// Registry is what /metrics shows; Meter's instruments are on it too.
	Registry *prometheus.Registry
	Meter    metric.MeterProvider

	closers []func(context.Context) error
}

// Observe sets up logs, traces and metrics as c asks. Close it last.
func Observe(c *Config) (*Telemetry, error) {
	log, err := NewLog(c)
	if err != nil {
		return nil, err
	}
	t := &Telemetry{Log: log, Registry: prometheus.NewRegistry()}
	t.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	reader, err := otelprom.New(otelprom.WithRegisterer(t.Registry))
	if err != nil {
		return nil, fmt.Errorf("boot: metrics: %w", err)
	}
	res := resource.NewSchemaless(attribute.String("service.name", c.Service))
	meter := sdkmetric.NewMeterProvider(sdkmetric.WithReader(reader), sdkmetric.WithResource(res))
	opts, err := spans(c)
	if err != nil {
		return nil, err
	}
	tracer := sdktrace.NewTracerProvider(append(opts, sdktrace.WithResource(res))...)
	t.Meter, t.Tracer = meter, tracer
	t.closers = append(t.closers, tracer.Shutdown, meter.Shutdown)
	return t, nil
}

// spans decides which are recorded and where they go.
func spans(c *Config) ([]sdktrace.TracerProviderOption, error) {
	cfg := c.Telemetry
	if cfg.Sample < 0 || cfg.Sample > 1 {
		return nil, fmt.Errorf("boot: telemetry.sample: %v is not between 0 and 1", cfg.Sample)
	}
	if c.Seams.Spans != nil {
		return []sdktrace.TracerProviderOption{
			sdktrace.WithSampler(sdktrace.AlwaysSample()), sdktrace.WithSyncer(discreet{c.Seams.Spans}),
		}, nil
	}
	if cfg.Endpoint == "" {
		return []sdktrace.TracerProviderOption{sdktrace.WithSampler(sdktrace.NeverSample())}, nil
	}
	opts := []otlptracegrpc.Option{otlptracegrpc.WithEndpoint(cfg.Endpoint)}
	if cfg.Insecure {
		opts = append(opts, otlptracegrpc.WithInsecure())
	} else {
		roots, err := Roots(c.TLS.CA)
		if err != nil {
			return nil, err
		}
		if roots == nil {
			roots = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		opts = append(opts, otlptracegrpc.WithTLSCredentials(credentials.NewTLS(roots)))
	}
	// The exporter connects by itself, later and again: a service does not wait for its collector.
	exporter, err := otlptracegrpc.New(context.Background(), opts...)
	if err != nil {
		return nil, fmt.Errorf("boot: telemetry.endpoint: %w", err)
	}
	return []sdktrace.TracerProviderOption{
		sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(or(cfg.Sample, 0.01)))), sdktrace.WithBatcher(discreet{exporter}),
	}, nil
}

// Close exports what is left. It is to be called after everything that traces has ended.
func (t *Telemetry) Close(ctx context.Context) error {
	var errs []error
	for _, c := range t.closers {
		errs = append(errs, c(ctx))
	}
	return errors.Join(errs...)
}

// Pgx traces the statements of a connection. Their parameters, which may be about people, are left out.
func (t *Telemetry) Pgx() pgx.QueryTracer {
	return otelpgx.NewTracer(otelpgx.WithTracerProvider(t.Tracer), otelpgx.WithMeterProvider(t.Meter))
}

// The W3C trace context is the only thing passed on; baggage could carry anything.
var propagator = propagation.TraceContext{}

// TraceParent is the trace of ctx as a W3C traceparent, for an event's meta; empty when there is none.
func TraceParent(ctx context.Context) string {
	var p parent
	propagator.Inject(ctx, &p)
	return string(p)
}

// WithTraceParent continues the trace that an event carries; what is no traceparent changes nothing.
func WithTraceParent(ctx context.Context, traceparent string) context.Context {
	p := parent(traceparent)
	return propagator.Extract(ctx, &p)
}

// parent carries the one header.
type parent string

func (p *parent) Get(key string) string {
	if key == "traceparent" {
		return string(*p)
	}
	return ""
}

func (p *parent) Set(key, value string) {
	if key == "traceparent" {
		*p = parent(value)
	}
}

func (p *parent) Keys() []string { return []string{"traceparent"} }
