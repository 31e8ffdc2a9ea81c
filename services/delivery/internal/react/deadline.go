package react

import (
	"context"
	"errors"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

var errDeadline = errors.New("react: malformed deadline")

// Clock turns what falls due by itself into commands.
type Clock struct {
	*Reactor
	// Owner says whose a shelf is.
	Owner func(ctx context.Context, root id.ID) (shelf.SubscriberID, error)
}

// Due decides what a deadline was for.
func (c *Clock) Due(ctx context.Context, d projection.Deadline) error {
	root, child, ok := d.Child()
	if !ok {
		return errDeadline
	}
	who, err := c.Owner(ctx, root)
	if err != nil {
		return err
	}
	ring, err := c.Keys.Ring(ctx, who.ID)
	if err != nil {
		return err
	}
	command := es.Command[shelf.Command]{ID: d.CommandID(), Keys: ring, Meta: c.Cause(d.CommandID(), nil), Caller: "deadline"}
	on := shelf.On{Shelf: shelf.ID{ID: root}, Child: child}
	switch d.Kind {
	case "due", "await":
		return c.Packer.Prepare(ctx, packing.Agreement{ID: shelf.AgreementID{ID: child}, Subscriber: who}, d.CommandID(), c.Cause(d.CommandID(), nil))
	case "finish":
		command.Body = shelf.Conclude{Shelf: on.Shelf, Agreement: shelf.AgreementID{ID: child}}
	case "lapse":
		state, _, err := c.Shelves.State(ctx, wire.Stream(on), ring)
		if err != nil {
			return err
		}
		delivery, _ := state.(shelf.Delivery)
		command.Body = shelf.Lapse{Shelf: on.Shelf, Agreement: delivery.Agreement, Delivery: shelf.DeliveryID{ID: child}}
	default:
		return errDeadline
	}
	_, err = c.Shelves.Do(ctx, command)
	return err
}
