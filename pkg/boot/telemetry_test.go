package boot_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"testing"

	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"
	collectorpb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

func TestLogShowsWhatIsListedOnly(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		var b bytes.Buffer
		cfg := &boot.Config{Service: "offers", Telemetry: boot.TelemetryConfig{Format: format}, Seams: boot.Seams{Log: &b}}
		log, err := boot.NewLog(cfg)
		must(t, err)
		log.With("phone", "+1-555-0100").WithGroup("group").Info("hello",
			"name", "Ada", "method", "Say", "position", 7, "error", errors.New("boot: disk full"),
			slog.Group("person", "weight", 81.4375, "partition", 3),
			"event", &eventv1.Actor{Id: "sealed"}, // a message would print itself
			"command", id.Derive([]byte("x")),
			"stream", struct{ Name string }{"Grace"},
		)
		log.Debug("not shown")
		got := b.String()
		for _, secret := range []string{"555-0100", "Ada", "81.4375", "sealed", "Grace", "not shown"} {
			if strings.Contains(got, secret) {
				t.Errorf("%s shows %q: %s", format, secret, got)
			}
		}
		for _, part := range []string{"hello", "offers", "Say", "7", "disk full", "redacted", id.Derive([]byte("x")).String()} {
			if !strings.Contains(got, part) {
				t.Errorf("%s lacks %q: %s", format, part, got)
			}
		}
	}
	for _, bad := range []boot.TelemetryConfig{{Format: "xml"}, {Level: "loud"}, {Sample: 2}} {
		if _, err := boot.Observe(&boot.Config{Telemetry: bad}); err == nil {
			t.Errorf("%+v was taken", bad)
		}
	}
}

func TestLogNamesTheTrace(t *testing.T) {
	t.Parallel()
	var b bytes.Buffer
	log, err := boot.NewLog(&boot.Config{Seams: boot.Seams{Log: &b}})
	must(t, err)
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	ctx := boot.WithTraceParent(t.Context(), parent)
	if got := boot.TraceParent(ctx); got != parent {
		t.Errorf("TraceParent() = %q", got)
	}
	if boot.TraceParent(t.Context()) != "" || boot.TraceParent(boot.WithTraceParent(t.Context(), "nonsense")) != "" {
		t.Error("a trace out of nothing")
	}
	log.InfoContext(ctx, "hello")
	var line map[string]any
	must(t, json.Unmarshal(b.Bytes(), &line))
	if line["trace_id"] != "0af7651916cd43dd8448eb211c80319c" || line["span_id"] != "b7ad6b7169203331" {
		t.Errorf("line: %v", line)
	}
}

// One trace: a caller's span, ours on the server, the handler's own call to a peer, and an event picked up later.
func TestOneTraceAcrossCallsAndEvents(t *testing.T) {
	t.Parallel()
	spans := tracetest.NewInMemoryExporter()
	carried := make(chan string, 1)
	w := start(t, func(c *boot.Config, e *echo) {
		c.Seams.Spans = spans
		e.unary = func(ctx context.Context, req proto.Message) (proto.Message, error) {
			carried <- boot.TraceParent(ctx)
			return req, nil
		}
	})
	tracer := w.tel.Tracer.Tracer("test")
	ctx, root := tracer.Start(t.Context(), "person clicks")
	must(t, w.as(ada, subscriber).Invoke(ctx, "/"+echoName+"/Say", &eventv1.Actor{Id: ada}, &eventv1.Actor{}))
	_, reaction := tracer.Start(boot.WithTraceParent(context.Background(), <-carried), "reaction")
	reaction.End()
	root.End()
	w.echo.unary = nil
	if code := status.Code(say(t, w.as(ada, buyer), "Mine", ada)); code != codes.PermissionDenied {
		t.Fatal(code)
	}
	byName := map[string]tracetest.SpanStub{}
	for _, s := range spans.GetSpans() {
		if s.SpanContext.TraceID() == root.SpanContext().TraceID() {
			byName[s.SpanKind.String()+" "+s.Name] = s
		}
	}
	client, server := byName["client obole.echo.v1.EchoService/Say"], byName["server obole.echo.v1.EchoService/Say"]
	if len(byName) != 4 || client.Parent.SpanID() != root.SpanContext().SpanID() ||
		server.Parent.SpanID() != client.SpanContext.SpanID() || byName["internal reaction"].Parent.SpanID() != server.SpanContext.SpanID() {
		t.Errorf("spans: %+v", byName)
	}
}

// Without a collector nothing is recorded, and calls still belong to a trace.
func TestTraceIDWithoutCollector(t *testing.T) {
	t.Parallel()
	got := make(chan trace.SpanContext, 1)
	w := start(t, func(_ *boot.Config, e *echo) {
		e.unary = func(ctx context.Context, req proto.Message) (proto.Message, error) {
			got <- trace.SpanContextFromContext(ctx)
			return req, nil
		}
	})
	must(t, say(t, w.as(ada, operator), "Say", ada))
	if sc := <-got; !sc.IsValid() || sc.IsSampled() {
		t.Errorf("span context: %+v", sc)
	}
}

func TestCallsAreCounted(t *testing.T) {
	t.Parallel()
	w := start(t, nil)
	must(t, say(t, w.as(ada, operator), "Say", ada))
	_ = say(t, w.as(ada, buyer), "Mine", ada)
	families, err := w.tel.Registry.Gather()
	must(t, err)
	got := map[string]uint64{}
	for _, f := range families {
		if f.GetName() != "obole_rpc_seconds" {
			continue
		}
		for _, m := range f.GetMetric() {
			var labels []string
			for _, l := range m.GetLabel() {
				labels = append(labels, l.GetValue())
			}
			got[strings.Join(labels, " ")] = m.GetHistogram().GetSampleCount()
		}
	}
	if got["OK /"+echoName+"/Say"] != 1 || got["PermissionDenied /"+echoName+"/Mine"] != 1 {
		t.Errorf("counted: %v", got)
	}
}

// collector is the other end of OTLP.
type collector struct {
	collectorpb.UnimplementedTraceServiceServer
	got chan *collectorpb.ExportTraceServiceRequest
}

func (c collector) Export(_ context.Context, req *collectorpb.ExportTraceServiceRequest) (*collectorpb.ExportTraceServiceResponse, error) {
	c.got <- req
	return &collectorpb.ExportTraceServiceResponse{}, nil
}

func TestSpansReachTheCollector(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	c := collector{got: make(chan *collectorpb.ExportTraceServiceRequest, 1)}
	srv := grpc.NewServer()
	collectorpb.RegisterTraceServiceServer(srv, c)
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	t.Cleanup(func() { srv.Stop(); <-ended })
	tel, err := boot.Observe(&boot.Config{
		Service: "offers", Telemetry: boot.TelemetryConfig{Endpoint: l.Addr().String(), Insecure: true, Sample: 1}, Seams: boot.Seams{Log: io.Discard},
	})
	must(t, err)
	_, span := tel.Tracer.Tracer("test").Start(t.Context(), "work")
	span.End()
	must(t, tel.Close(t.Context()))
	text := (<-c.got).String()
	if !strings.Contains(text, "work") || !strings.Contains(text, "offers") {
		t.Errorf("exported: %s", text)
	}
}
