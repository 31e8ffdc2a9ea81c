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

// Fsck checks every service's log, states and tables on the folder, whether the market runs or not. checked is told of each
// service and of what is wrong with it, nil for nothing.
func Fsck(ctx context.Context, data place.Folder, say func(string), checked func(service string, wrong error) error) (err error) {
	if _, err := os.Stat(data.Postgres()); errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("%s holds no market: name its folder with --data", data)
	}
	var r place.Running
	give, err := embedded.Take(string(data))
	switch {
	case errors.Is(err, embedded.ErrInUse):
		if r, err = data.Running(); err != nil {
			return err
		}
	case err != nil:
		return err
	default:
		defer func() { err = errors.Join(err, give()) }()
		p, err := embedded.Postgres(ctx, embedded.PostgresOptions{Dir: data.Postgres(), Progress: say})
		if err != nil {
			return err
		}
		defer func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, p.Stop(ctx))
		}()
		r.Socket = p.URL("postgres", embedded.Superuser)
	}
	for _, s := range roster.All {
		say("checking " + s.Name)
		wrong := s.Fsck(ctx, Config(data, r, s.Name))
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err := checked(s.Name, wrong); err != nil {
			return err
		}
	}
	return nil
}
