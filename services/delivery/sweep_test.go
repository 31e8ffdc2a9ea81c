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
	stray, sold := id.Random(), id.Random()
	lagging := true
	var gone []id.ID
	told := 0
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
				return []id.ID{stray, sold}, nil
			}
			return []id.ID{stray}, nil
		},
		destroy:    func(_ context.Context, list ...id.ID) error { gone = append(gone, list...); return nil },
		unrecorded: func(context.Context, time.Time) ([]store.Import, error) { return make([]store.Import, 1), nil },
		tell:       func(_ context.Context, open []store.Import) error { told += len(open); return nil },
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
	if !slices.Equal(gone, []id.ID{stray}) || told != 3 {
		t.Errorf("%v gone, %d imports told", gone, told)
	}
}
