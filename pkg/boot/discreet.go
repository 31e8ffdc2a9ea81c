package boot

import (
	"context"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
)

// discreet exports spans without what was said of errors: instrumentation of others puts their texts into events and descriptions,
// and a database's may quote a row. That there was one, and a database's SQLSTATE, stays.
type discreet struct{ sdktrace.SpanExporter }

func (d discreet) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	out := make([]sdktrace.ReadOnlySpan, len(spans))
	for i, s := range spans {
		out[i] = silent{s}
	}
	return d.SpanExporter.ExportSpans(ctx, out)
}

// silent is a span without events, of which there are none but errors, nor a description of its status.
type silent struct{ sdktrace.ReadOnlySpan }

func (silent) Events() []sdktrace.Event { return nil }

func (s silent) Status() sdktrace.Status {
	return sdktrace.Status{Code: s.ReadOnlySpan.Status().Code}
}
