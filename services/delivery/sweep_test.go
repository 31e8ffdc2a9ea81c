package delivery

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/store"
)

// TestWhatTheTablesHaveNotSeenIsNotSwept: a package is destroyed where the tables have caught up with the log and know nothing of it,
// and not where they only lag.
func TestWhatTheTablesHaveNotSeenIsNotSwept(t *testing.T) {
	t.Parallel()
	now, lag := time.Date(2026, 4, 12, 9, 0, 0, 0, time.UTC), errors.New("the tables lag")
	stray, sold, spent, more := id.Random(), id.Random(), id.Random(), id.Random()
	lagging := true
	var gone []id.ID
	told := 0
	// A page has one.
	left := func(all ...id.ID) ([]id.ID, error) {
		all = slices.DeleteFunc(all, func(v id.ID) bool { return slices.Contains(gone, v) })
		return all[:min(1, len(all))], nil
	}
	s := &sweep{
		now: func() time.Time { return now },
		caught: func(context.Context) error {
			if lagging {
				return lag
			}
			return nil
		},
		old: func(_ context.Context, before time.Time) ([]id.ID, error) {
			if !before.Equal(now.Add(-time.Hour)) {
				t.Errorf("packages from before %v are old", before)
			}
			if lagging {
				return left(stray, sold)
			}
			return left(stray)
		},
		patience: 7 * 24 * time.Hour,
		spent: func(_ context.Context, before time.Time) ([]id.ID, error) {
			if !before.Equal(now.AddDate(0, 0, -7)) {
				t.Errorf("packages that were spent before %v are over", before)
			}
			return left(spent, more)
		},
		destroy: func(_ context.Context, list ...id.ID) error { gone = append(gone, list...); return nil },
		unrecorded: func(context.Context, time.Time, store.Import, int) ([]store.Import, error) {
			return make([]store.Import, 1), nil
		},
		tell: func(_ context.Context, open []store.Import) error { told += len(open); return nil },
	}
	if err := s.look(t.Context()); !errors.Is(err, lag) || len(gone) > 0 || told != 1 {
		t.Errorf("with lagging tables: %v, %v gone, %d imports told", err, gone, told)
	}
	lagging, now = false, now.Add(10*time.Minute)
	for range 2 { // the second look comes too soon
		if err := s.look(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if !slices.Equal(gone, []id.ID{stray, spent, more}) || told != 3 {
		t.Errorf("%v gone, %d imports told", gone, told)
	}
}

// TestWhatCannotBeToldHoldsUpNothing: more imports than are read at a time fail for ever, and those behind them are told of.
func TestWhatCannotBeToldHoldsUpNothing(t *testing.T) {
	t.Parallel()
	const stuck, behind = 2500, 3
	all := make([]store.Import, stuck+behind)
	for i := range all {
		all[i] = store.Import{ID: id.Random(), At: time.Unix(int64(i), 0)}
	}
	told, never := 0, errors.New("never")
	s := &sweep{
		now: time.Now,
		unrecorded: func(_ context.Context, _ time.Time, after store.Import, limit int) ([]store.Import, error) {
			from := slices.IndexFunc(all, func(i store.Import) bool { return i.At.After(after.At) || after.ID.IsZero() })
			if from < 0 {
				return nil, nil
			}
			return all[from:min(from+limit, len(all))], nil
		},
		tell: func(_ context.Context, open []store.Import) (err error) {
			for _, i := range open {
				if i.At.Before(all[stuck].At) {
					err = never
				} else {
					told++
				}
			}
			return err
		},
	}
	if err := s.imports(t.Context()); !errors.Is(err, never) || told != behind {
		t.Errorf("%v, and %d of the %d behind are told", err, told, behind)
	}
}
