package rpc

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
)

// TestTurns: however many files one person or a crowd sends slowly, they hold few connections, and who waits holds none.
func TestTurns(t *testing.T) {
	t.Parallel()
	var turns turns
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	one := id.Random()
	leave, err := turns.enter(t.Context(), one, true)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := turns.enter(gone, one, true); !errors.Is(err, context.Canceled) {
		t.Fatalf("a second import of the same person: %v", err)
	}
	all := []func(){leave}
	for range files - 1 {
		leave, err := turns.enter(t.Context(), id.Random(), true)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, leave)
	}
	if _, err := turns.enter(gone, id.Random(), true); !errors.Is(err, context.Canceled) {
		t.Fatalf("one import more than there is room for: %v", err)
	}
	batch, err := turns.enter(gone, id.Random(), false)
	if err != nil {
		t.Fatalf("a batch waits for files: %v", err)
	}
	all = append(all, batch)
	waits := make(chan error)
	go func() {
		leave, err := turns.enter(t.Context(), one, true)
		if err == nil {
			leave()
		}
		waits <- err
	}()
	for _, leave := range all {
		leave()
	}
	if err := <-waits; err != nil {
		t.Fatalf("the person's next import: %v", err)
	}
	if len(turns.places) != 0 || len(turns.busy) != 0 {
		t.Fatalf("%d places and %d people are left behind", len(turns.places), len(turns.busy))
	}
}

// TestASilentSenderLosesItsPlace: a file is read as slowly as it comes, but not for ever from somebody who sends nothing.
func TestASilentSenderLosesItsPlace(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		sent := make(chan []byte)
		c := receive(ctx, func() (*deliveryv1.ImportRequest, error) {
			select {
			case b := <-sent:
				return &deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Chunk{Chunk: b}}, nil
			case <-ctx.Done(): // as a stream whose call has returned
				return nil, ctx.Err()
			}
		})
		go func() {
			for range 3 {
				<-time.After(silence - time.Second)
				sent <- []byte("steps")
			}
		}()
		b := make([]byte, 8)
		for range 3 {
			if n, err := c.Read(b); err != nil || string(b[:n]) != "steps" {
				t.Fatalf("a slow sender: %q, %v", b[:n], err)
			}
		}
		began := time.Now()
		if _, err := c.Read(b); !errors.Is(err, errSilent) || time.Since(began) != silence {
			t.Errorf("after %v of silence: %v", time.Since(began), err)
		}
		stop()
		synctest.Wait()
	})
}

// TestMayBring: a person brings their own copy and nothing that buyers trust further.
func TestMayBring(t *testing.T) {
	t.Parallel()
	for route, own := range map[holding.Route]bool{
		holding.RouteOperator: false, holding.RouteProduct: false, holding.RouteShared: false, holding.RouteOwnCopy: true,
	} {
		if got := mayBring(eventv1.Role_ROLE_SUBSCRIBER, route); got != own {
			t.Errorf("a person by route %d: %t", route, got)
		}
		if !mayBring(eventv1.Role_ROLE_SOURCE, route) || !mayBring(eventv1.Role_ROLE_OPERATOR, route) {
			t.Errorf("a source or the operator may not by route %d", route)
		}
	}
}

// TestSourcesOfTwoPeople: the operator connects two people under one idempotency key; their sources are two.
func TestSourcesOfTwoPeople(t *testing.T) {
	t.Parallel()
	command, one, other := id.Random(), id.Random(), id.Random()
	first := sourceOf(one, command)
	if first == sourceOf(other, command) {
		t.Fatal("two people have the same source")
	}
	if again := sourceOf(one, command); again != first {
		t.Fatal("a retry is another source")
	}
}
