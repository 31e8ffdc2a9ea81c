package delivery

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/store"
)

// sweep tells the log of imports whose process ended before it had. It destroys packages of which the log knows nothing, and those that
// were kept for buyers who had paid for them.
type sweep struct {
	now func() time.Time
	// caught waits until the tables have seen all that is in the log now.
	caught func(context.Context) error
	// old lists packages from before a time of which the tables know nothing, spent those whose keys left before a time and whose agreements
	// are fulfilled; destroy removes them with their keys.
	old      func(ctx context.Context, before time.Time) ([]id.ID, error)
	spent    func(ctx context.Context, before time.Time) ([]id.ID, error)
	patience time.Duration // for how long a package that is spent may be fetched again
	destroy  func(ctx context.Context, packages ...id.ID) error
	// unrecorded lists imports from before a time of which the log is not known to know, after one of them; tell tells it.
	unrecorded func(ctx context.Context, before time.Time, after store.Import, limit int) ([]store.Import, error)
	tell       func(ctx context.Context, open []store.Import) error
	alarm      func(error)

	next time.Time // when to look for packages again
}

const (
	sweepEvery = 10 * time.Second
	stale      = time.Minute      // longer than any call that may still be at work on an import
	orphan     = time.Hour        // longer than the log may take to decide on a package that was stored for it
	packages   = 10 * time.Minute // between two looks at all packages; nothing hurries
)

func (s *sweep) run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		// What fails now is tried again at a later look.
		if err := s.look(ctx); err != nil && ctx.Err() == nil {
			s.alarm(err)
		}
	}
}

func (s *sweep) look(ctx context.Context) error {
	return errors.Join(s.imports(ctx), s.orphans(ctx))
}

func (s *sweep) imports(ctx context.Context) error {
	const page = 1000
	before := s.now().Add(-stale)
	var failed []error
	var last store.Import
	for {
		open, err := s.unrecorded(ctx, before, last, page)
		if err != nil {
			return errors.Join(append(failed, err)...)
		}
		if len(open) > 0 {
			last = open[len(open)-1]
			failed = append(failed, s.tell(ctx, open))
		}
		if len(open) < page || ctx.Err() != nil {
			return errors.Join(failed...)
		}
	}
}

func (s *sweep) orphans(ctx context.Context) error {
	now := s.now()
	if now.Before(s.next) {
		return nil
	}
	s.next = now.Add(packages)
	// Tables that lag do not know what the log does: what they have not seen yet would be destroyed with its key.
	within, cancel := context.WithTimeout(ctx, sweepEvery)
	defer cancel()
	if err := s.caught(within); err != nil {
		return fmt.Errorf("delivery: packages are not swept: %w", err)
	}
	return errors.Join(s.all(ctx, s.old, now.Add(-orphan)), s.all(ctx, s.spent, now.Add(-s.patience)))
}

// all destroys what a list names, page by page, until it names nothing.
func (s *sweep) all(ctx context.Context, list func(context.Context, time.Time) ([]id.ID, error), before time.Time) error {
	for {
		page, err := list(ctx, before)
		if err != nil || len(page) == 0 {
			return err
		}
		if err := s.destroy(ctx, page...); err != nil {
			return err
		}
	}
}
