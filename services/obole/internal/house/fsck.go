package house

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/obole-market/obole/pkg/embedded"
	"github.com/obole-market/obole/services/obole/internal/place"
	"github.com/obole-market/obole/services/obole/internal/roster"
)

// Fsck checks every service's log, states and tables on the folder, and the log against its topic, whether the market runs or
// not. reconcile first makes logs that lost their tail whole from their topics, which only a market at rest allows. checked is
// told of each service and of what is wrong with it, nil for nothing.
func Fsck(ctx context.Context, data place.Folder, reconcile bool, say func(string), checked func(service string, wrong error) error) (err error) {
	if _, err := os.Stat(data.Postgres()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds no market: name its folder with --data", data)
	}
	var r place.Running
	give, err := embedded.Take(string(data))
	switch {
	case errors.Is(err, embedded.ErrInUse) && reconcile:
		return fmt.Errorf("nothing may write while logs are made whole: %w", err)
	case errors.Is(err, embedded.ErrInUse):
		if r, err = data.Running(); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, give()) }()
		stop, wrong := rest(ctx, data, say, &r)
		defer func() { err = errors.Join(err, stop()) }()
		if wrong != nil {
			return wrong
		}
	}
	for _, s := range roster.All {
		say("checking " + s.Name)
		c := Config(data, r, s.Name)
		c.Reconcile, c.Telemetry.Level = reconcile, "error"
		wrong := s.Fsck(ctx, c)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := checked(s.Name, wrong); err != nil {
			return err
		}
	}
	return nil
}

// rest starts the two servers of a market that does not run, and nothing else.
func rest(ctx context.Context, data place.Folder, say func(string), r *place.Running) (stop func() error, err error) {
	var started []func() error
	stop = func() (err error) {
		for i := len(started) - 1; i >= 0; i-- {
			err = errors.Join(err, started[i]())
		}
		return err
	}
	p, err := embedded.Postgres(ctx, embedded.PostgresOptions{Dir: data.Postgres(), Progress: say})
	if err != nil {
		return stop, err
	}
	started = append(started, func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return p.Stop(ctx)
	})
	b, err := embedded.Broker(ctx, embedded.BrokerOptions{Dir: data.Broker(), Topics: topics(), Progress: say})
	if err != nil {
		return stop, err
	}
	started = append(started, b.Stop)
	r.Socket, r.Broker = p.URL("postgres", embedded.Superuser), b.Addr()
	return stop, nil
}
