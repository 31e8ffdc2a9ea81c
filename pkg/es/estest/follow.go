package estest

import (
	"context"
	"fmt"

	"github.com/obole-market/obole/pkg/es"
)

// follow reads a partition as relays and projections do while others append: what the log lends fresh, else what it stores. Once
// done is closed it must have every event exactly once, in order, with the chain whole.
func follow(ctx context.Context, log es.Log, p es.Partition, done <-chan struct{}) error {
	lives, err := log.Lives(ctx, p)
	if err != nil {
		return err
	}
	check, wake, over := es.Checker{Lives: lives}, log.Wake(p), false
	for {
		n := 0
		fresh, life := log.Fresh(p, check.Position)
		for i := range fresh {
			if err := check.Check(&fresh[i]); err != nil {
				return fmt.Errorf("lent: %w", err)
			}
			n++
		}
		if n > 0 && life != lives[len(lives)-1].Incarnation {
			return fmt.Errorf("lent of the life %x", life)
		}
		if n == 0 {
			n, err = log.Scan(ctx, p, check.Position, 7, check.Check)
			if err != nil {
				return fmt.Errorf("read: %w", err)
			}
		}
		switch {
		case n > 0:
		case over:
			tail, err := log.Tail(ctx, p)
			if err == nil && tail.Position != check.Position {
				err = fmt.Errorf("followed to %d of %d", check.Position, tail.Position)
			}
			return err
		default:
			select {
			case <-wake:
			case <-done:
				over = true
			}
		}
	}
}
