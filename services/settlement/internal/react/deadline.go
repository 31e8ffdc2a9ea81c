package react

import (
	"context"
	"errors"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

var errDeadline = errors.New("react: malformed deadline")

// Mature makes earnings payable whose time has come.
func (r *Reactor) Mature(ctx context.Context, d projection.Deadline) error {
	_, child, ok := cut(d.Stream)
	if !ok {
		return errDeadline
	}
	_, err := r.Root.Do(ctx, es.Command[book.Command]{
		ID: d.CommandID(), Caller: "deadline", Meta: r.Cause(d.CommandID(), nil),
		Body: book.Mature{Book: r.Book, Subscriber: book.SubscriberID{ID: child}, UpTo: d.Due},
	})
	return err
}

// cut splits a child's stream.
func cut(stream string) (root, child id.ID, ok bool) {
	const text = 36
	if len(stream) != 2*text+1 {
		return root, child, false
	}
	root, err := id.Parse(stream[:text])
	if err != nil {
		return root, child, false
	}
	child, err = id.Parse(stream[text+1:])
	return root, child, err == nil
}
