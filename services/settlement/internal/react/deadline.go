package react

import (
	"context"
	"errors"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

var errDeadline = errors.New("react: malformed deadline")

// Mature makes earnings payable whose time has come.
func (r *Reactor) Mature(ctx context.Context, d projection.Deadline) error {
	_, child, ok := d.Child()
	if !ok {
		return errDeadline
	}
	_, err := r.Root.Do(ctx, es.Command[book.Command]{
		ID: d.CommandID(), Caller: "deadline", Meta: r.Cause(d.CommandID(), nil),
		Body: book.Mature{Book: r.Book, Subscriber: book.SubscriberID{ID: child}, UpTo: d.Due},
	})
	return err
}
