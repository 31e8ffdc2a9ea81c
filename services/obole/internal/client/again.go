package client

import (
	"context"
	"time"

	"github.com/obole-market/obole/pkg/fault"
)

// Again does something until it succeeds or fails for good: what is merely not to be had now is tried a few times more, with
// growing pauses. What it does must be the same each time, idempotency keys included.
func Again(ctx context.Context, do func() error) error {
	const tries, first = 6, 100 * time.Millisecond
	for pause, left := first, tries; ; pause, left = 2*pause, left-1 {
		err := do()
		if err == nil || left == 1 || ctx.Err() != nil || !fault.KindOf(err).Transient() {
			return err
		}
		timer := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			timer.Stop()
			return err
		case <-timer.C:
		}
	}
}
