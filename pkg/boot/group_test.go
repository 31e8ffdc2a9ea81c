package boot_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/boot"
)

// recorder notes what happens in which order.
type recorder struct {
	mu    sync.Mutex
	lines []string
}

func (r *recorder) note(line string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lines = append(r.lines, line)
}

// untilStopped is an actor that notes its end.
func (r *recorder) untilStopped(name string) func(context.Context) error {
	return func(ctx context.Context) error {
		<-ctx.Done()
		r.note(name)
		return ctx.Err()
	}
}

func TestFirstOutStopsAllInReverse(t *testing.T) {
	t.Parallel()
	broken := errors.New("disk full")
	for _, out := range []error{broken, nil} {
		var r recorder
		var g boot.Group
		g.Add("log", r.untilStopped("log"))
		g.Add("relay", r.untilStopped("relay"))
		g.Add("failing", func(context.Context) error { return out })
		g.Add("grpc", r.untilStopped("grpc"))
		err := g.Run(t.Context())
		if !errors.Is(err, out) || out == nil && err != nil {
			t.Errorf("Run() = %v, want %v", err, out)
		}
		if out != nil && !strings.Contains(err.Error(), "failing: disk full") {
			t.Errorf("the actor is not named: %v", err)
		}
		if want := []string{"grpc", "relay", "log"}; !slices.Equal(r.lines, want) {
			t.Errorf("stopped %v, want %v", r.lines, want)
		}
	}
}

func TestEndOfContextStopsAll(t *testing.T) {
	t.Parallel()
	var r recorder
	var g boot.Group
	ctx, stop := context.WithCancel(t.Context())
	g.Add("one", r.untilStopped("one"))
	g.Add("two", func(ctx context.Context) error { stop(); <-ctx.Done(); return errors.New("could not flush") })
	if err := g.Run(ctx); err == nil || err.Error() != "two: could not flush" {
		t.Errorf("Run() = %v", err)
	}
}

func TestWhoDoesNotEndIsNamed(t *testing.T) {
	t.Parallel()
	release := make(chan struct{})
	g := boot.Group{Stop: 10 * time.Millisecond}
	done := make(chan struct{})
	g.Add("deaf", func(context.Context) error { defer close(done); <-release; return nil })
	g.Add("out", func(context.Context) error { return nil })
	if err := g.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "deaf: did not end within") {
		t.Errorf("Run() = %v", err)
	}
	close(release)
	<-done
}

func TestSignalEndsTheContext(t *testing.T) { // not parallel: the signal is the process's
	err := boot.Signals(func(ctx context.Context) error {
		if err := syscall.Kill(syscall.Getpid(), syscall.SIGTERM); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(10 * time.Second):
			return errors.New("no signal")
		}
	})
	must(t, err)
}

func TestAdminListener(t *testing.T) {
	t.Parallel()
	tel, health := observe(t), boot.NewHealth("offers", "tails")
	health.Set("relay", false)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	addr := l.Addr().String()
	must(t, l.Close())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- boot.ServeHTTP(addr, boot.Admin(tel, health))(ctx) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	ask := func(path string) (int, string) {
		t.Helper()
		for { // until it listens
			resp, err := client.Get("http://" + addr + path)
			if errors.Is(err, syscall.ECONNREFUSED) {
				continue
			}
			must(t, err)
			body, err := io.ReadAll(resp.Body)
			must(t, errors.Join(err, resp.Body.Close()))
			return resp.StatusCode, string(body)
		}
	}
	if code, _ := ask("/healthz"); code != http.StatusNoContent {
		t.Errorf("/healthz: %d", code)
	}
	if code, body := ask("/readyz"); code != http.StatusServiceUnavailable || !strings.Contains(body, `"tails":false`) {
		t.Errorf("/readyz before: %d %s", code, body)
	}
	health.Set("tails", true)
	if code, body := ask("/readyz"); code != http.StatusOK || !strings.Contains(body, `"relay":false`) {
		t.Errorf("/readyz after: %d %s", code, body)
	}
	health.Stop()
	if code, _ := ask("/readyz"); code != http.StatusServiceUnavailable {
		t.Errorf("/readyz while stopping: %d", code)
	}
	if code, body := ask("/metrics"); code != http.StatusOK || !strings.Contains(body, "go_goroutines") {
		t.Errorf("/metrics: %d", code)
	}
	stop()
	must(t, <-ended)
	if err := boot.ServeHTTP("127.0.0.1:99999", nil)(t.Context()); err == nil {
		t.Error("an impossible address was served")
	}
	if err := boot.ServeHTTP("", nil)(ctx); err != nil {
		t.Errorf("no address: %v", err)
	}
}
