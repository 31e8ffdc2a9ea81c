package demo

import (
	"context"
	"fmt"
	"time"

	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// onePaid: the person who withdrew asks for everything that is available, and finance has it credited on the bill.
func (p *play) onePaid(ctx context.Context) error {
	who, err := p.walker()
	if err != nil {
		return err
	}
	mine, err := p.s.Settlement(client.Person(who.id))
	if err != nil {
		return err
	}
	books, err := p.s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	return client.Again(ctx, func() error {
		asked, err := mine.RequestPayout(ctx, &settlementv1.RequestPayoutRequest{
			SubscriberId: who.id, Method: settlementv1.PayoutMethod_PAYOUT_METHOD_BILL_CREDIT, IdempotencyKey: once,
		})
		if err != nil {
			return err
		}
		payout := asked.GetPayoutId()
		// A reference is at most 35 bytes long, and stands for one payout.
		_, err = books.InstructPayout(ctx, &settlementv1.InstructPayoutRequest{PayoutId: payout, EndToEndId: "DEMO-" + payout[:8], IdempotencyKey: payout})
		if err != nil {
			return err
		}
		// On the day on which it was asked for, so that asking again tells the same.
		list, err := books.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: who.id, After: asked.GetCursor()})
		if err != nil {
			return err
		}
		day := time.UnixMicro(list.GetPayouts()[0].GetRequestedAt()).UTC().Format(time.DateOnly)
		r, err := books.SettlePayout(ctx, &settlementv1.SettlePayoutRequest{PayoutId: payout, ValueDate: day, Reference: "BILL-1", IdempotencyKey: payout})
		if err != nil {
			return err
		}
		_, err = books.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: who.id, After: r.GetCursor()})
		return err
	})
}

// walker is the person who withdraws.
func (p *play) walker() (*person, error) {
	for _, who := range p.people {
		if who.Participant == p.Walker.Participant {
			return who, nil
		}
	}
	return nil, fmt.Errorf("participant %s is not in the cast", p.Walker.Participant)
}

// tellPayout: what was asked for and paid, and what is left.
func (p *play) tellPayout(ctx context.Context) error {
	who, err := p.walker()
	if err != nil {
		return err
	}
	books, err := p.s.Settlement(client.Person(who.id))
	if err != nil {
		return err
	}
	left, err := books.GetEarnings(ctx, &settlementv1.GetEarningsRequest{SubscriberId: who.id})
	if err != nil {
		return err
	}
	list, err := books.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: who.id})
	if err != nil {
		return err
	}
	var rows [][]any
	for _, o := range list.GetPayouts() {
		rows = append(rows, []any{who.Participant, o.GetAmount(), client.Word(o.GetMethod()), client.Word(o.GetState()), o.GetValueDate(), left.GetAvailable()})
	}
	return p.table("asked for and paid out", []string{"participant", "amount", "how", "state", "on the bill of", "still available"}, rows)
}
