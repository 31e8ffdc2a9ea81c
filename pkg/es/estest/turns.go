package estest

import (
	"context"
	"errors"
	"testing"

	"github.com/obole-market/obole/pkg/es"
)

// turns: one caller's flood leaves room for others and does not go before them; urgent commands have room where there is none left,
// which is bounded too, and go before all.
func turns(t *testing.T, open Open) {
	const share, room, spared = 8, 9, 2
	log := open(t, 1)()
	engine := es.New(log, es.Options{Queue: room, Share: share, Spared: spared, Batch: 2, Service: "test"})
	jar := es.Register(engine, Jar()) // nothing is served until the engine runs: what is queued stays
	type answer struct {
		at  es.Position
		err error
	}
	// queue sends n commands of a caller, waits until some were refused, which says that the rest is queued, and gives the answers of those.
	queue := func(caller string, urgent bool, n, refused int) <-chan answer {
		t.Helper()
		answers := make(chan answer, n)
		for range n {
			go func() {
				c := put(stream(), 1)
				c.Caller, c.Urgent = caller, urgent
				r, err := jar.Do(t.Context(), c)
				answers <- answer{r.Cursor.Position, err}
			}()
		}
		for range refused {
			if a := <-answers; !errors.Is(a.err, es.ErrQueueFull) {
				t.Fatalf("%s: %v", caller, a.err)
			}
		}
		return answers
	}
	greedy := queue("greedy", false, share+1, 1)
	modest := queue("modest", false, 2, 1) // the room is full now
	queue("late", false, 3, 3)
	urgent := queue("greedy", true, spared+1, 1)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- engine.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}()
	check := func(whose string, from <-chan answer, n int, most es.Position) {
		t.Helper()
		for range n {
			if a := <-from; a.err != nil || a.at > most {
				t.Errorf("%s: stored at %d, after %d others at most, %v", whose, a.at, most-1, a.err)
			}
		}
	}
	check("urgent", urgent, spared, spared)
	check("modest", modest, 1, spared+2)
	check("greedy", greedy, share, share+spared+1)
	if n := inOrder(t, log); n != share+spared+1 {
		t.Errorf("%d events", n)
	}
}
