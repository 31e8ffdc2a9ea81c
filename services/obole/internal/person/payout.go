package person

import (
	"context"

	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/money/moneypb"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Payout has the commands by which a person is paid.
type Payout struct {
	Request request `cmd:"" help:"Ask for available money: a credit on your bill." example:"obole payout request --subscriber ID\nobole payout request --subscriber ID '2.50 EUR'"`
	List    payouts `cmd:"" help:"Show what was asked for and what became of it, newest first." example:"obole payout list --subscriber ID"`
}

type request struct {
	who
	key
	Method string `default:"bill-credit" placeholder:"METHOD" help:"How: only bill-credit is paid yet."`
	Amount string `arg:"" optional:"" help:"How much, as in '2.50 EUR'; empty means all that is available."`
}

// Run asks.
func (c *request) Run(ctx context.Context, s *client.Session) error {
	method, ok := client.Number[settlementv1.PayoutMethod](c.Method)
	if !ok {
		return client.Usage("--method %q: there are %s", c.Method, client.Words[settlementv1.PayoutMethod]())
	}
	ask := &settlementv1.RequestPayoutRequest{SubscriberId: c.Subscriber, Method: method, IdempotencyKey: client.Key(c.Key)}
	if c.Amount != "" {
		amount, err := money.Parse(c.Amount)
		if err != nil {
			return client.Usage("<amount> %q: want an amount with no more decimals than its currency has, as in '2.50 EUR'", c.Amount)
		}
		ask.Amount = moneypb.Money(amount)
	}
	books, err := s.Settlement(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	r, err := books.RequestPayout(ctx, ask)
	if err != nil {
		return err
	}
	// Waits until the list shows it: the next command shall find it. It is recorded in any case.
	_, _ = books.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: c.Subscriber, PageSize: 1, After: r.GetCursor()})
	return s.One(r, "payout %s: %s set aside; billing is told next, and credits it on the bill", r.GetPayoutId(), client.Money(r.GetAmount()))
}

type payouts struct{ who }

// Run lists.
func (c *payouts) Run(ctx context.Context, s *client.Session) error {
	books, err := s.Settlement(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	all, err := client.Pages(func(page string) ([]*settlementv1.Payout, string, error) {
		r, err := books.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: c.Subscriber, PageToken: page})
		return r.GetPayouts(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	heads := []string{"payout", "amount", "state", "asked for", "billing told", "ended", "on the bill of", "why"}
	return client.List(s, "payouts", all, heads, func(p *settlementv1.Payout) []any {
		return []any{
			p.GetPayoutId(), client.Money(p.GetAmount()), client.Word(p.GetState()), client.Time(p.GetRequestedAt()), client.Time(p.GetInstructedAt()),
			client.Time(p.GetEndedAt()), dash(p.GetValueDate()), client.Word(p.GetReason()),
		}
	})
}

// dash is a text as people read it: "-" for none.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
