// Package finance is what the operator's finance staff type: money in, balances, statements, and the replay that proves
// them.
package finance

import (
	"context"
	"fmt"

	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/money/moneypb"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/buyer"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Fund records money of a buyer.
type Fund struct {
	Buyer     string `required:"" env:"OBOLE_BUYER" placeholder:"FILE|ID" help:"The buyer: its id, or its key file."`
	Reference string `required:"" placeholder:"TEXT" help:"The bank's reference of the payment: it counts once."`
	ValueDate string `placeholder:"DATE" help:"Day on which the bank counts it, YYYY-MM-DD; empty means today."`
	Key       string `placeholder:"TEXT" help:"Idempotency key; empty means a new one."`
	Amount    string `arg:"" help:"How much, as in '100 EUR'."`
}

// Run records it.
func (c *Fund) Run(ctx context.Context, s *client.Session) error {
	who, err := buyer.ID(c.Buyer)
	if err != nil {
		return err
	}
	amount, err := money.Parse(c.Amount)
	if err != nil {
		return client.Usage("<amount> %q: want an amount with no more decimals than its currency has, as in '100 EUR'", c.Amount)
	}
	books, err := s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	r, err := books.Deposit(ctx, &settlementv1.DepositRequest{
		BuyerId: who, Amount: moneypb.Money(amount), Reference: c.Reference, ValueDate: c.ValueDate, IdempotencyKey: client.Key(c.Key),
	})
	if err != nil {
		return err
	}
	// Waits until the books show it: the next command shall find it. It is recorded in any case.
	_, _ = books.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: who, After: r.GetCursor()})
	what := "recorded"
	if r.GetRecordedBefore() {
		what = "was recorded before, and counts once"
	}
	return s.One(r, "%s %s; available to %s: %s", amount, what, who, client.Money(r.GetAvailable()))
}

// Finance has the commands of the books.
type Finance struct {
	Balance   balance   `cmd:"" help:"The trial balance, or the money of one buyer or person." example:"obole finance balance\nobole finance balance --buyer study.key\nobole finance balance --subscriber ID"`
	Statement statement `cmd:"" help:"The postings of one account, oldest first, with the balance after each." example:"obole finance statement buyer-available study.key\nobole finance statement operator-commission"`
	Replay    replay    `cmd:"" help:"Stream the settlement log from a position, and derive every balance from it again."`
	Payouts   payouts   `cmd:"" help:"List what people asked for and what became of it, newest first." example:"obole finance payouts --state requested"`
	Instruct  instruct  `cmd:"" help:"Say that billing was told of a payout." example:"obole finance instruct PAYOUT --as BILLING-2026-11-0001"`
	Settle    settle    `cmd:"" help:"Say that a payout was credited on the bill." example:"obole finance settle PAYOUT --value-date 2026-11-30 --reference BILL-4711"`
	Return    giveBack  `cmd:"" help:"Say that a payout cannot be paid: the money is available again." example:"obole finance return PAYOUT --reason no-bill"`
}

type balance struct {
	Buyer      string `placeholder:"FILE|ID" help:"Of this buyer: its id, or its key file."`
	Subscriber string `placeholder:"ID" help:"Of this person."`
}

// Run shows.
func (c *balance) Run(ctx context.Context, s *client.Session) error {
	if c.Buyer != "" && c.Subscriber != "" {
		return client.Usage("name a buyer or a person, not both")
	}
	books, err := s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	switch {
	case c.Buyer != "":
		return funds(ctx, s, books, c.Buyer)
	case c.Subscriber != "":
		r, err := books.GetEarnings(ctx, &settlementv1.GetEarningsRequest{SubscriberId: c.Subscriber})
		if err != nil {
			return err
		}
		return s.One(r, "pending %s, available %s, asked for %s, paid %s", client.Money(r.GetPending()), client.Money(r.GetAvailable()), client.Money(r.GetRequested()), client.Money(r.GetPaid()))
	}
	r, err := books.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{})
	if err != nil {
		return err
	}
	if s.JSON {
		return s.Line(r)
	}
	err = client.List(s, "accounts", r.GetSums(), []string{"account", "accounts", "balance"}, func(v *settlementv1.Sum) []any {
		return []any{client.Word(v.GetKind()), v.GetAccounts(), client.Money(v.GetBalance())}
	})
	fmt.Fprintf(s.Out, "Total %s as of position %d; credit is positive\n", client.Money(r.GetTotal()), r.GetAsOf().GetPosition())
	return err
}

func funds(ctx context.Context, s *client.Session, books settlementv1.SettlementServiceClient, text string) error {
	who, err := buyer.ID(text)
	if err != nil {
		return err
	}
	var r *settlementv1.GetFundsResponse
	holds, err := client.Pages(func(page string) ([]*settlementv1.Hold, string, error) {
		next, err := books.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: who, PageToken: page})
		if r == nil {
			r = next
		}
		return next.GetHolds(), next.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	r.Holds, r.NextPageToken = holds, ""
	if err := s.One(r, "available %s, held %s", client.Money(r.GetAvailable()), client.Money(r.GetHeld())); err != nil || s.JSON || len(r.GetHolds()) == 0 {
		return err
	}
	return client.List(s, "holds", r.GetHolds(), []string{"bid", "held", "at first", "captured"}, func(h *settlementv1.Hold) []any {
		return []any{h.GetBidId(), client.Money(h.GetHeld()), client.Money(h.GetInitial()), client.Money(h.GetCaptured())}
	})
}

type statement struct {
	Kind  string `arg:"" help:"Account, as in buyer-available, buyer-held, subscriber-pending, subscriber-payable, subscriber-payout, bill-credit, operator-commission, vat-output, clearing."`
	Owner string `arg:"" optional:"" help:"Whose: a buyer's id or key file, or a person's id; none for the operator's own."`
}

// Run lists.
func (c *statement) Run(ctx context.Context, s *client.Session) error {
	kind, ok := client.Number[settlementv1.AccountKind](c.Kind)
	if !ok {
		return client.Usage("no account %q: there are %s", c.Kind, client.Words[settlementv1.AccountKind]())
	}
	owner, err := buyer.ID(c.Owner)
	if err != nil {
		return err
	}
	books, err := s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	all, err := client.Pages(func(page string) ([]*settlementv1.Line, string, error) {
		r, err := books.ListStatement(ctx, &settlementv1.ListStatementRequest{Account: &settlementv1.Account{Kind: kind, OwnerId: owner}, PageToken: page})
		return r.GetLines(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return client.List(s, "postings of this account", all, []string{"position", "at", "event", "amount", "balance", "bid", "delivery", "payout"}, func(l *settlementv1.Line) []any {
		return []any{
			l.GetPosition(), client.Time(l.GetAt()), l.GetType(), client.Money(l.GetAmount()), client.Money(l.GetBalance()), dash(l.GetBidId()), dash(l.GetDeliveryId()),
			dash(l.GetPayoutId()),
		}
	})
}

func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}
