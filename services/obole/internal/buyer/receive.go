package buyer

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"

	"google.golang.org/grpc"

	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Receive has the commands by which packages come.
type Receive struct {
	Fetch fetch   `cmd:"" default:"withargs" help:"Fetch packages, sign their receipts, open them. The default." example:"obole receive --buyer study.key --out packages\nobole receive --buyer study.key --out packages --follow\nobole receive --buyer study.key --out packages DELIVERY"`
	List  waiting `cmd:"" help:"List deliveries, oldest first." example:"obole receive list --buyer study.key"`
	Watch coming  `cmd:"" help:"Show deliveries as they come and change, until Ctrl-C." example:"obole receive watch --buyer study.key --json"`
}

// Help says what receiving is.
func (*Receive) Help() string {
	return `A package is fetched as ciphertext, going on where a broken fetch stopped. Its digest is signed with the receipt key; that asks
for the content key, which leaves only if the person's consent still stands, and the delivery is charged. The rows end up in
DELIVERY.ndjson, one JSON object a line, and what they are and may be used for in DELIVERY.manifest.json. When the person withdraws, list
and watch show until when what was received must be deleted.`
}

type of struct {
	Bid string `placeholder:"ID" help:"Only deliveries of this bid."`
}

type fetch struct {
	who
	of
	Out        string   `default:"." placeholder:"DIR" help:"Folder for the files; it is made when missing."`
	Follow     bool     `help:"Go on with each delivery as it comes, until Ctrl-C."`
	Deliveries []string `arg:"" optional:"" name:"delivery" help:"Deliveries; none means all that wait, and those whose rows the folder lacks."`
}

// Help says what receiving is.
func (*fetch) Help() string { return (*Receive)(nil).Help() }

// Run receives. A delivery that fails, as when its person has withdrawn, does not stop the others.
func (c *fetch) Run(ctx context.Context, s *client.Session) error {
	k, err := readKey(c.Buyer)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(c.Out, 0o700); err != nil {
		return client.Usage("%w", err)
	}
	from, err := s.Delivery(client.Buyer(k.Buyer))
	if err != nil {
		return err
	}
	r := &Receiver{Key: k, From: from, Dir: c.Out}
	if c.Follow {
		return c.follow(ctx, s, r)
	}
	all, err := deliveries(ctx, from, k.Buyer, c.Bid)
	if err != nil {
		return err
	}
	wanted, err := c.wanted(all, r)
	if err != nil {
		return err
	}
	if len(wanted) == 0 {
		s.None("packages wait")
	}
	var worst error
	failed := 0
	for _, d := range wanted {
		if err := c.take(ctx, s, r, d); err != nil {
			failed++
			worst = errors.Join(err, worst)
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
	}
	if failed > 0 {
		return failures{n: failed, of: len(wanted), cause: worst}
	}
	return nil
}

// failures is what is said once each has been said.
type failures struct {
	n, of int
	cause error
}

func (f failures) Error() string {
	return fmt.Sprintf("%d of %d deliveries were not received", f.n, f.of)
}
func (f failures) Unwrap() error { return f.cause }

func (c *fetch) follow(ctx context.Context, s *client.Session, r *Receiver) error {
	return changes(ctx, r.From, r.Key.Buyer, c.Bid, func(d *deliveryv1.Delivery) error {
		if r.Lacks(d) {
			_ = c.take(ctx, s, r, d) // said; the next may well come
		}
		return nil
	})
}

// changes hands on a buyer's deliveries as they come and change.
func changes(ctx context.Context, from deliveryv1.DeliveryServiceClient, buyer, bid string, each func(*deliveryv1.Delivery) error) error {
	return client.Follow(ctx, func() (grpc.ServerStreamingClient[deliveryv1.WatchDeliveriesResponse], error) {
		return from.WatchDeliveries(ctx, &deliveryv1.WatchDeliveriesRequest{BuyerId: buyer, BidId: bid})
	}, func(m *deliveryv1.WatchDeliveriesResponse) error { return each(m.GetDelivery()) })
}

// wanted are the deliveries that were named, or all that are to be had and are not here yet.
func (c *fetch) wanted(all []*deliveryv1.Delivery, r *Receiver) ([]*deliveryv1.Delivery, error) {
	var some []*deliveryv1.Delivery
	if len(c.Deliveries) == 0 {
		for _, d := range all {
			if r.Lacks(d) {
				some = append(some, d)
			}
		}
		return some, nil
	}
	byID := map[string]*deliveryv1.Delivery{}
	for _, d := range all {
		byID[d.GetDeliveryId()] = d
	}
	for _, name := range c.Deliveries {
		if byID[name] == nil {
			return nil, client.Usage("there is no delivery %s; obole receive list shows them", name)
		}
		some = append(some, byID[name])
	}
	return some, nil
}

// take receives one and says so.
func (c *fetch) take(ctx context.Context, s *client.Session, r *Receiver, d *deliveryv1.Delivery) error {
	got, err := r.Receive(ctx, d)
	switch {
	case err != nil && s.JSON:
		fmt.Fprintf(s.Err, "obole: %s: %s\n", d.GetDeliveryId(), s.Explain(err))
		return err
	case err != nil:
		fmt.Fprintf(s.Out, "%s  not received: %s\n", d.GetDeliveryId(), s.Explain(err))
		return err
	case s.JSON:
		return s.Object(map[string]any{"delivery_id": d.GetDeliveryId(), "file": got.File, "manifest": got.Manifest})
	}
	m := got.Manifest
	_, err = fmt.Fprintf(s.Out, "%s  %s, %d rows; slots %d expected, %d valid, %d delivered: %s\n",
		d.GetDeliveryId(), m.Product, m.Rows, m.Expected, m.Valid, m.Delivered, got.File)
	return err
}

type waiting struct {
	who
	of
}

// Run lists.
func (c *waiting) Run(ctx context.Context, s *client.Session) error {
	who, err := c.id()
	if err != nil {
		return err
	}
	from, err := s.Delivery(client.Buyer(who))
	if err != nil {
		return err
	}
	all, err := deliveries(ctx, from, who, c.Bid)
	if err != nil {
		return err
	}
	heads := []string{"delivery", "state", "product", "expected", "valid", "slots", "bytes", "prepared", "lapses", "digest", "why", "delete by", "because"}
	return client.List(s, "deliveries", all, heads, func(d *deliveryv1.Delivery) []any {
		return []any{
			d.GetDeliveryId(), client.Word(d.GetState()), d.GetProduct().GetId(), d.GetExpectedSlots(), d.GetValidSlots(), d.GetSlots(), d.GetBytes(), client.Time(d.GetPreparedAt()),
			client.Time(d.GetLapsesAt()), hex.EncodeToString(d.GetDigest()[:min(4, len(d.GetDigest()))]), client.Word(d.GetBlocked()),
			client.Time(d.GetDeletion().GetDue()), client.Word(d.GetDeletion().GetReason()),
		}
	})
}

func deliveries(ctx context.Context, from deliveryv1.DeliveryServiceClient, buyer, bid string) ([]*deliveryv1.Delivery, error) {
	return client.Pages(func(page string) ([]*deliveryv1.Delivery, string, error) {
		r, err := from.ListDeliveries(ctx, &deliveryv1.ListDeliveriesRequest{BuyerId: buyer, BidId: bid, PageToken: page})
		return r.GetDeliveries(), r.GetNextPageToken(), err
	})
}

type coming struct {
	who
	of
}

// Run watches.
func (c *coming) Run(ctx context.Context, s *client.Session) error {
	who, err := c.id()
	if err != nil {
		return err
	}
	from, err := s.Delivery(client.Buyer(who))
	if err != nil {
		return err
	}
	return changes(ctx, from, who, c.Bid, func(d *deliveryv1.Delivery) error {
		if order := d.GetDeletion(); order != nil {
			return s.One(d, "%s %s, %s: delete what was received by %s, because of %s", d.GetDeliveryId(), client.Word(d.GetState()),
				d.GetProduct().GetId(), client.Time(order.GetDue()), client.Word(order.GetReason()))
		}
		return s.One(d, "%s %s, %s, slots: %d expected, %d valid, %d delivered; %d bytes", d.GetDeliveryId(), client.Word(d.GetState()),
			d.GetProduct().GetId(), d.GetExpectedSlots(), d.GetValidSlots(), d.GetSlots(), d.GetBytes())
	})
}
