package finance

import (
	"context"

	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

type payouts struct {
	Subscriber string `placeholder:"ID" help:"Of this person; empty means everybody's."`
	State      string `placeholder:"STATE" help:"Only in this state, as in requested."`
	Payout     string `placeholder:"ID" help:"Only this one, as a statement names it."`
}

// Run lists.
func (c *payouts) Run(ctx context.Context, s *client.Session) error {
	var state settlementv1.PayoutState
	if c.State != "" {
		var ok bool
		if state, ok = client.Number[settlementv1.PayoutState](c.State); !ok {
			return client.Usage("--state %q: there are %s", c.State, client.Words[settlementv1.PayoutState]())
		}
	}
	books, err := s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	all, err := client.Pages(func(page string) ([]*settlementv1.Payout, string, error) {
		r, err := books.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: c.Subscriber, PayoutId: c.Payout, State: state, PageToken: page})
		return r.GetPayouts(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	heads := []string{"payout", "person", "amount", "method", "state", "asked for", "told as", "value date", "reference", "why"}
	return client.List(s, "payouts", all, heads, func(p *settlementv1.Payout) []any {
		return []any{
			p.GetPayoutId(), p.GetSubscriberId(), client.Money(p.GetAmount()), client.Word(p.GetMethod()), client.Word(p.GetState()),
			client.Time(p.GetRequestedAt()), dash(p.GetEndToEndId()), dash(p.GetValueDate()), dash(p.GetReference()), client.Word(p.GetReason()),
		}
	})
}

// one is a payout that finance says something of.
type one struct {
	Payout string `arg:"" help:"The payout's id."`
	Key    string `placeholder:"TEXT" help:"Idempotency key; empty means a new one."`
}

// say tells the books, and waits until the list shows it: the next command shall find it. It is recorded in any case.
func (c *one) say(ctx context.Context, s *client.Session, what string, tell func(books settlementv1.SettlementServiceClient, key string) (client.Answer, error)) error {
	books, err := s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	r, err := tell(books, client.Key(c.Key))
	if err != nil {
		return err
	}
	_, _ = books.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{PageSize: 1, After: r.GetCursor()})
	return s.One(r, "payout %s: %s", c.Payout, what)
}

type instruct struct {
	one
	As string `name:"as" required:"" placeholder:"TEXT" help:"Reference under which billing was told."`
}

// Run tells that billing was told.
func (c *instruct) Run(ctx context.Context, s *client.Session) error {
	return c.say(ctx, s, "billing was told as "+c.As, func(books settlementv1.SettlementServiceClient, key string) (client.Answer, error) {
		return books.InstructPayout(ctx, &settlementv1.InstructPayoutRequest{PayoutId: c.Payout, EndToEndId: c.As, IdempotencyKey: key})
	})
}

type settle struct {
	one
	ValueDate string `required:"" placeholder:"DATE" help:"Day on which billing counts it, YYYY-MM-DD."`
	Reference string `placeholder:"TEXT" help:"What billing calls the credit."`
}

// Run tells that it was paid.
func (c *settle) Run(ctx context.Context, s *client.Session) error {
	return c.say(ctx, s, "credited on "+c.ValueDate, func(books settlementv1.SettlementServiceClient, key string) (client.Answer, error) {
		return books.SettlePayout(ctx, &settlementv1.SettlePayoutRequest{PayoutId: c.Payout, ValueDate: c.ValueDate, Reference: c.Reference, IdempotencyKey: key})
	})
}

type giveBack struct {
	one
	Reason string `required:"" placeholder:"REASON" help:"Why it cannot be paid: no-bill, contract-ended, duplicate or not-given."`
}

// Run tells that it cannot be paid.
func (c *giveBack) Run(ctx context.Context, s *client.Session) error {
	reason, ok := client.Number[settlementv1.ReturnReason](c.Reason)
	if !ok {
		return client.Usage("--reason %q: there are %s", c.Reason, client.Words[settlementv1.ReturnReason]())
	}
	return c.say(ctx, s, "returned, and available again", func(books settlementv1.SettlementServiceClient, key string) (client.Answer, error) {
		return books.ReturnPayout(ctx, &settlementv1.ReturnPayoutRequest{PayoutId: c.Payout, Reason: reason, IdempotencyKey: key})
	})
}
