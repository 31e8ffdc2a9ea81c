package boot

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os/signal"
	"syscall"
	"time"
)

// Group runs actors that stand or fall together: the first that ends stops all. They are stopped in the reverse order
// of Add, each when those added after it have ended, so that a server drains while what it stands on still runs.
type Group struct {
	// Stop bounds how long one actor may take to end once it is told to; 0 means 15 s.
	Stop   time.Duration
	actors []actor
}

type actor struct {
	name string
	run  func(context.Context) error
}

// Add puts in an actor: run works until its context ends, and then returns. To return earlier, even with nil, is to
// stop all.
func (g *Group) Add(name string, run func(context.Context) error) {
	g.actors = append(g.actors, actor{name, run})
}

// Run runs all until one has ended or ctx has, and waits for all to end. It returns what went wrong: errors of actors,
// but for that of a context that ended, and those that did not end in time.
func (g *Group) Run(ctx context.Context) error {
	type running struct {
		stop  context.CancelFunc
		ended chan struct{}
		err   error
	}
	out := make(chan struct{}, len(g.actors))
	all := make([]*running, len(g.actors))
	for n, a := range g.actors {
		// Not a child of ctx: its turn to stop comes in order.
		own, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := &running{stop: stop, ended: make(chan struct{})}
		all[n] = r
		go func() {
			defer close(r.ended)
			if err := a.run(own); err != nil && !errors.Is(err, context.Canceled) {
				r.err = fmt.Errorf("%s: %w", a.name, err)
			}
			out <- struct{}{}
		}()
	}
	select {
	case <-out:
	case <-ctx.Done():
	}
	limit := or(g.Stop, 15*time.Second)
	var errs []error
	for n := len(all) - 1; n >= 0; n-- {
		all[n].stop()
		timer := time.NewTimer(limit)
		select {
		case <-all[n].ended:
			errs = append(errs, all[n].err)
		case <-timer.C:
			errs = append(errs, fmt.Errorf("%s: did not end within %s", g.actors[n].name, limit))
		}
		timer.Stop()
	}
	return errors.Join(errs...)
}

// Signals runs f until it returns; SIGINT and SIGTERM end its context, a second one the process.
func Signals(f func(context.Context) error) error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from here on a signal does what it does by itself
	return f(ctx)
}

// ServeHTTP is an actor that serves h on an address, and nothing where the address is empty.
func ServeHTTP(addr string, h http.Handler) func(context.Context) error {
	return func(ctx context.Context) error {
		if addr == "" {
			<-ctx.Done()
			return nil
		}
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", addr)
		if err != nil {
			return fmt.Errorf("boot: %w", err)
		}
		srv := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 14}
		ended := make(chan error, 1)
		go func() { ended <- srv.Serve(l) }()
		select {
		case err := <-ended:
			return fmt.Errorf("boot: %w", err)
		case <-ctx.Done():
		}
		err = srv.Close()
		if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
			err = errors.Join(err, served)
		}
		return err
	}
}
