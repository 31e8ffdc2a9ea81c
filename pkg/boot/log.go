package boot

import (
	"context"
	"encoding"
	"fmt"
	"io"
	"log/slog"
	"os"

	"go.opentelemetry.io/otel/trace"

	"github.com/obole-market/obole/pkg/fault"
)

// shown are the keys whose values may stand in a log. None can hold anything about a person: what is not listed is
// logged as redacted, so that a careless line shows itself and tells nothing.
var shown = map[string]bool{
	slog.TimeKey: true, slog.LevelKey: true, slog.MessageKey: true, slog.SourceKey: true,
	"service": true, "version": true, "part": true, "actor": true, "addr": true, "peer": true, "signal": true,
	"trace_id": true, "span_id": true,
	"method": true, "code": true, "kind": true, "reason": true, "error": true, "panic": true, "role": true, "root": true,
	"topic": true, "group": true, "partition": true, "partitions": true, "position": true, "incarnation": true, "offset": true,
	"stream": true, "event": true, "type": true, "command": true, "cursor": true, "epoch": true, "tail": true,
	"projection": true, "migration": true, "reaction": true, "reader": true, "config": true, "file": true, "line": true,
	"dir": true, "aside": true, "binaries": true, "pid": true, "socket": true, "port": true, "from": true,
	"count": true, "bytes": true, "size": true, "restored": true, "set_aside": true, "limit": true, "lag": true, "duration": true, "attempt": true, "after": true,
}

const redacted = "[redacted]"

// typed are the keys whose values must be errors or panics themselves, of which as much is told as may be; a text could be anything.
var typed = map[string]bool{"error": true, "panic": true}

// NewLog writes lines in the form and from the level that c asks for, with the trace they belong to. Values of keys
// that are not on the list of this package are redacted, and so are values that are neither text, number, error nor panic. Of
// errors, what Told says is logged.
func NewLog(c *Config) (*slog.Logger, error) {
	var w io.Writer = os.Stderr
	if c.Seams.Log != nil {
		w = c.Seams.Log
	}
	var level slog.Level
	if l := c.Telemetry.Level; l != "" {
		if err := level.UnmarshalText([]byte(l)); err != nil {
			return nil, fmt.Errorf("boot: telemetry.level: %w", err)
		}
	}
	opts := &slog.HandlerOptions{Level: level, ReplaceAttr: redact}
	var h slog.Handler
	switch c.Telemetry.Format {
	case "", "json":
		h = slog.NewJSONHandler(w, opts)
	case "text":
		h = slog.NewTextHandler(w, opts)
	default:
		return nil, fmt.Errorf("boot: telemetry.format: %q is neither json nor text", c.Telemetry.Format)
	}
	return slog.New(traced{h}).With("service", c.Service), nil
}

func redact(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey || a.Key == slog.SourceKey) {
		return a
	}
	if !shown[a.Key] || typed[a.Key] && a.Value.Kind() != slog.KindAny {
		return slog.String(a.Key, redacted)
	}
	if a.Value.Kind() != slog.KindAny {
		return a
	}
	// A message of the contract also has a String method, which would print all of it.
	switch v := a.Value.Any().(type) {
	case error:
		return slog.String(a.Key, Told(v))
	case fault.Panic:
		return slog.String(a.Key, v.String())
	case encoding.TextMarshaler, nil:
		return a
	default:
		return slog.String(a.Key, redacted)
	}
}

// traced adds the trace that a line belongs to.
type traced struct{ slog.Handler }

func (t traced) Handle(ctx context.Context, r slog.Record) error {
	if sc := trace.SpanContextFromContext(ctx); sc.IsValid() {
		r.AddAttrs(slog.String("trace_id", sc.TraceID().String()), slog.String("span_id", sc.SpanID().String()))
	}
	return t.Handler.Handle(ctx, r)
}

func (t traced) WithAttrs(as []slog.Attr) slog.Handler { return traced{t.Handler.WithAttrs(as)} }

func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }
