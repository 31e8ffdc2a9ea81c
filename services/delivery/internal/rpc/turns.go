package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/obole-market/obole/pkg/id"
)

const (
	// files is how many files are read at a time. Each holds a connection to the database as long as its sender takes, and the
	// others are for keys, packages and withdrawals.
	files = 4
	// longest is how long the sender of a file may take in all.
	longest = 10 * time.Minute
	// silence is how long the sender of a file may send nothing.
	silence = 20 * time.Second
)

// turns lets imports in: one of a person at a time, and of files, which their senders may bring slowly, few in all. Who waits
// holds nothing.
type turns struct {
	once   sync.Once
	places chan struct{}

	mu   sync.Mutex
	busy map[id.ID]chan struct{} // closed when the person's import has ended
}

// enter waits for a turn. leave ends it.
func (t *turns) enter(ctx context.Context, who id.ID, file bool) (leave func(), err error) {
	t.once.Do(func() { t.places, t.busy = make(chan struct{}, files), map[id.ID]chan struct{}{} })
	ended := make(chan struct{})
	for {
		t.mu.Lock()
		before, busy := t.busy[who]
		if !busy {
			t.busy[who] = ended
			t.mu.Unlock()
			break
		}
		t.mu.Unlock()
		select {
		case <-before:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	free := func() {
		t.mu.Lock()
		delete(t.busy, who)
		t.mu.Unlock()
		close(ended)
	}
	if !file {
		return free, nil
	}
	select {
	case t.places <- struct{}{}:
		return func() { <-t.places; free() }, nil
	case <-ctx.Done():
		free()
		return nil, ctx.Err()
	}
}
