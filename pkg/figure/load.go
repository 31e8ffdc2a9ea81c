package figure

import (
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// Load lets callers call, each one call at a time, for a span, and gives how often a second they came round. Callers are
// numbered from 0. A call that has begun ends. The first error ends the load.
func Load(ctx context.Context, callers int, span time.Duration, call func(ctx context.Context, caller int) error) (float64, error) {
	var (
		all   sync.WaitGroup
		n     atomic.Int64
		fault atomic.Pointer[error]
		over  atomic.Bool
	)
	began := time.Now()
	defer time.AfterFunc(span, func() { over.Store(true) }).Stop()
	for i := range callers {
		all.Go(func() {
			for !over.Load() {
				if err := call(ctx, i); err != nil {
					fault.CompareAndSwap(nil, &err)
					over.Store(true)
					return
				}
				n.Add(1)
			}
		})
	}
	all.Wait()
	if err := fault.Load(); err != nil {
		return 0, *err
	}
	return float64(n.Load()) / time.Since(began).Seconds(), nil
}
