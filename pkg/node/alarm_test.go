package node

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/projection"
)

// said takes the log's lines.
type said struct {
	slog.Handler

	lines chan string
}

func (s said) Handle(_ context.Context, r slog.Record) error {
	select {
	case s.lines <- r.Message:
	default: // nobody waits any more
	}
	return nil
}

// TestWhatCannotGoOnSaysSo: tables that do not follow and deadlines that are not decided are told of, here for want of a database.
func TestWhatCannotGoOnSaysSo(t *testing.T) {
	t.Parallel()
	pool, err := pgxpool.New(t.Context(), "postgres://nobody@127.0.0.1:1/none")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	lines := make(chan string, 16)
	n := &Node{Config: new(boot.Config), Telemetry: &boot.Telemetry{Log: slog.New(said{slog.NewTextHandler(nil, nil), lines})}, Pool: pool}
	n.Project(projection.New(projection.Options{Name: "tables", Pool: pool, Log: esmem.New(1, time.Now)}))
	n.Deadlines("tables", func(context.Context, projection.Deadline) error { return nil })
	ctx, stop := context.WithTimeout(t.Context(), 20*time.Second)
	defer stop()
	ended := make(chan error, 1)
	go func() { ended <- n.Group.Run(ctx) }()
	for want := map[string]bool{"projection": true, "deadlines": true}; len(want) > 0; {
		select {
		case line := <-lines:
			delete(want, line)
		case <-ctx.Done():
			t.Fatalf("nothing was said of %v", want)
		}
	}
	stop()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
