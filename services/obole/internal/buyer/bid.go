package buyer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/grpc"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Bid has the commands about bids.
type Bid struct {
	Place    place    `cmd:"" help:"Ask for data. The bid opens once its money is held."`
	Try      try      `cmd:"" help:"Say what a bid would hold, whom it might reach, and what is wrong with it. Changes nothing."`
	List     bids     `cmd:"" help:"List a buyer's bids, newest first." example:"obole bid list --buyer study.key"`
	Watch    watch    `cmd:"" help:"Show a buyer's bids as they stand, then each change, until Ctrl-C." example:"obole bid watch --buyer study.key --json"`
	Withdraw withdraw `cmd:"" help:"Take no new slot from now on; what was consented runs on." example:"obole bid withdraw --buyer study.key BID"`
}

// asked is an example of what a bid says.
const asked = ` --buyer study.key --product daily-steps --field date:exact,steps:hundred,energy:hundred=20 \
      --purpose AcademicResearch --price '0.05 EUR' --slots 500 --per-person 31 --days 2016-04-12..2016-05-12 \
      --cadence once --closes 72h --retention 365`

type place struct {
	ask
	key
	Wait bool `help:"Wait until the bid has opened or was rejected; rejected is exit status 1."`
}

// Help has the examples.
func (*place) Help() string {
	return "Examples:\n  obole bid place --wait" + asked + "\n  obole bid place --buyer study.key bid.json --key first"
}

// Run places.
func (c *place) Run(ctx context.Context, s *client.Session) error {
	bid, err := c.bid(s.In, time.Now())
	if err != nil {
		return err
	}
	market, err := s.Offers(client.Buyer(bid.GetBuyerId()))
	if err != nil {
		return err
	}
	r, err := market.PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: bid, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	if !c.Wait {
		seen(ctx, market, bid.GetBuyerId(), r.GetCursor())
		return s.One(r, "placed %s, holding %s", r.GetBidId(), client.Money(r.GetHold()))
	}
	b, err := settled(ctx, market, bid.GetBuyerId(), r.GetBidId())
	if err != nil {
		return err
	}
	if err := show1(s, b); err != nil {
		return err
	}
	if b.GetState() == offersv1.BidState_BID_STATE_REJECTED {
		return fmt.Errorf("the bid was rejected: %s", client.Word(b.GetRejected()))
	}
	return nil
}

// settled waits until a bid is placed no more: open, rejected, or further.
func settled(ctx context.Context, market offersv1.OffersServiceClient, buyer, bid string) (*offersv1.Bid, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	stream, err := market.WatchBids(ctx, &offersv1.WatchBidsRequest{BuyerId: buyer})
	if err != nil {
		return nil, err
	}
	for {
		r, err := stream.Recv()
		if err != nil {
			return nil, err
		}
		if b := r.GetBid(); b.GetBidId() == bid && b.GetState() > offersv1.BidState_BID_STATE_PLACED {
			return b, nil
		}
	}
}

type try struct{ ask }

// Help has the example.
func (*try) Help() string { return "Examples:\n  obole bid try" + asked }

// Run tries.
func (c *try) Run(ctx context.Context, s *client.Session) error {
	bid, err := c.bid(s.In, time.Now())
	if err != nil {
		return err
	}
	market, err := s.Offers(client.Buyer(bid.GetBuyerId()))
	if err != nil {
		return err
	}
	r, err := market.TryBid(ctx, &offersv1.TryBidRequest{Bid: bid})
	if err != nil {
		return err
	}
	band := ""
	if a := r.GetAudience(); a != nil {
		band = fmt.Sprintf("; might reach %d to %d people", a.GetAtLeast(), a.GetBelow()-1)
	}
	if err := s.One(r, "would hold %s, of which %s VAT%s", client.Money(r.GetHold()), client.Money(r.GetTax()), band); err != nil {
		return err
	}
	problems := r.GetProblems()
	if len(problems) == 0 {
		return nil
	}
	if !s.JSON {
		err := client.List(s, "problems", problems, []string{"field", "reason", "problem"}, func(p *offersv1.Problem) []any {
			return []any{s.Field(p.GetField()), client.Word(p.GetReason()), p.GetDescription()}
		})
		if err != nil {
			return err
		}
	}
	if len(problems) == 1 {
		return errors.New("1 problem: the bid would be refused, or never filled")
	}
	return fmt.Errorf("%d problems: the bid would be refused, or never filled", len(problems))
}

type bids struct{ who }

// Run lists.
func (c *bids) Run(ctx context.Context, s *client.Session) error {
	who, err := c.id()
	if err != nil {
		return err
	}
	market, err := s.Offers(client.Buyer(who))
	if err != nil {
		return err
	}
	all, err := client.Pages(func(page string) ([]*offersv1.Bid, string, error) {
		r, err := market.ListBids(ctx, &offersv1.ListBidsRequest{BuyerId: who, PageToken: page})
		return r.GetBids(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return client.List(s, "bids", all, []string{"bid", "state", "product", "slots", "price", "filled", "held at first", "closes", "why"}, func(b *offersv1.Bid) []any {
		t := b.GetBid().GetTerms()
		return []any{
			b.GetBidId(), client.Word(b.GetState()), t.GetProduct().GetId(), b.GetBid().GetQuantity(), client.Price(t.GetUnitPrice()),
			filled(b), client.Money(b.GetHeld()), client.Time(b.GetBid().GetClosesAt()), why(b),
		}
	})
}

// filled is the part of the slots that is consented, as far as it is told: in quarters, so that nobody is counted by it.
func filled(b *offersv1.Bid) string {
	percent := b.GetFilledPpm() / 10_000
	if percent == 100 {
		return "100%"
	}
	return fmt.Sprintf("%d-%d%%", percent, percent+25)
}

func why(b *offersv1.Bid) string {
	switch {
	case b.GetRejected() != 0:
		return client.Word(b.GetRejected())
	case b.GetClosed() != 0:
		return client.Word(b.GetClosed())
	case b.GetCleared():
		return "cleared"
	}
	return "-"
}

type watch struct{ who }

// Run watches.
func (c *watch) Run(ctx context.Context, s *client.Session) error {
	who, err := c.id()
	if err != nil {
		return err
	}
	market, err := s.Offers(client.Buyer(who))
	if err != nil {
		return err
	}
	return client.Follow(ctx, func() (grpc.ServerStreamingClient[offersv1.WatchBidsResponse], error) {
		return market.WatchBids(ctx, &offersv1.WatchBidsRequest{BuyerId: who})
	}, func(r *offersv1.WatchBidsResponse) error { return show1(s, r.GetBid()) })
}

func show1(s *client.Session, b *offersv1.Bid) error {
	because := ""
	if w := why(b); w != "-" {
		because = ", " + w
	}
	return s.One(b, "%s %s, %s filled, holding %s%s", b.GetBidId(), client.Word(b.GetState()), filled(b), client.Money(b.GetHeld()), because)
}

type withdraw struct {
	who
	key
	Bid string `arg:"" help:"The bid's id."`
}

// Run withdraws.
func (c *withdraw) Run(ctx context.Context, s *client.Session) error {
	who, err := c.id()
	if err != nil {
		return err
	}
	market, err := s.Offers(client.Buyer(who))
	if err != nil {
		return err
	}
	r, err := market.WithdrawBid(ctx, &offersv1.WithdrawBidRequest{BidId: c.Bid, BuyerId: who, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	seen(ctx, market, who, r.GetCursor())
	return s.One(r, "withdrawn %s; what was consented runs on", c.Bid)
}
