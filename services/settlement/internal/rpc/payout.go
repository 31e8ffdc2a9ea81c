package rpc

import (
	"context"
	"errors"
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/money"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/view"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// RequestPayout sets a person's available money aside. The book decides how much that is, so that requests at once never come to more.
func (s *Server) RequestPayout(ctx context.Context, r *settlementv1.RequestPayoutRequest) (*settlementv1.RequestPayoutResponse, error) {
	who, err := parse("subscriber_id", r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	if r.GetAmount() != nil {
		if err := s.takes(r.GetAmount()); err != nil {
			return nil, err
		}
	}
	command, hash, err := boot.Command(ctx, "RequestPayout", r.GetIdempotencyKey(), r)
	if err != nil {
		return nil, err
	}
	payout := book.PayoutID{ID: id.Derive([]byte("payout"), command[:])}
	at, err := s.payout(ctx, command, hash, book.RequestPayout{
		Book: s.Book, Payout: payout, Subscriber: book.SubscriberID{ID: who}, Amount: r.GetAmount().GetMinor(), Method: book.Method(r.GetMethod()),
	})
	if err != nil {
		return nil, err
	}
	p, err := s.asked(ctx, payout)
	if err != nil {
		return nil, err
	}
	return &settlementv1.RequestPayoutResponse{PayoutId: payout.String(), Amount: s.money(p.Amount), Cursor: at}, nil
}

// InstructPayout records that billing was told.
func (s *Server) InstructPayout(ctx context.Context, r *settlementv1.InstructPayoutRequest) (*settlementv1.InstructPayoutResponse, error) {
	at, err := s.finance(ctx, "InstructPayout", r, r.GetPayoutId(), func(p book.PayoutID) (book.Command, error) {
		return book.InstructPayout{Book: s.Book, Payout: p, EndToEnd: r.GetEndToEndId()}, nil
	})
	return &settlementv1.InstructPayoutResponse{Cursor: at}, err
}

// SettlePayout records that it was paid.
func (s *Server) SettlePayout(ctx context.Context, r *settlementv1.SettlePayoutRequest) (*settlementv1.SettlePayoutResponse, error) {
	if err := checkDay("value_date", r.GetValueDate()); err != nil {
		return nil, err
	}
	at, err := s.finance(ctx, "SettlePayout", r, r.GetPayoutId(), func(p book.PayoutID) (book.Command, error) {
		return book.SettlePayout{Book: s.Book, Payout: p, ValueDate: r.GetValueDate(), Reference: r.GetReference()}, nil
	})
	return &settlementv1.SettlePayoutResponse{Cursor: at}, err
}

// ReturnPayout records that it cannot be paid.
func (s *Server) ReturnPayout(ctx context.Context, r *settlementv1.ReturnPayoutRequest) (*settlementv1.ReturnPayoutResponse, error) {
	at, err := s.finance(ctx, "ReturnPayout", r, r.GetPayoutId(), func(p book.PayoutID) (book.Command, error) {
		asked, err := s.asked(ctx, p) // whose it is never changes
		return book.ReturnPayout{Book: s.Book, Payout: p, Subscriber: asked.Subscriber, Reason: wire.ReturnCode(r.GetReason())}, err
	})
	return &settlementv1.ReturnPayoutResponse{Cursor: at}, err
}

// finance has the book decide what finance says of a payout.
func (s *Server) finance(
	ctx context.Context, method string, r interface {
		proto.Message
		GetIdempotencyKey() string
	}, payout string, of func(book.PayoutID) (book.Command, error),
) (*eventv1.Cursor, error) {
	which, err := parse("payout_id", payout)
	if err != nil {
		return nil, err
	}
	command, hash, err := boot.Command(ctx, method, r.GetIdempotencyKey(), r)
	if err != nil {
		return nil, err
	}
	c, err := of(book.PayoutID{ID: which})
	if err != nil {
		return nil, err
	}
	return s.payout(ctx, command, hash, c)
}

var errPayout = book.ErrPayoutUnknown.And("payout_id", "is none of this book's")

// payout has the book decide, and names the field that a refusal is about.
func (s *Server) payout(ctx context.Context, command id.ID, hash [32]byte, c book.Command) (*eventv1.Cursor, error) {
	caller := boot.CallerFrom(ctx)
	result, err := s.Root.Do(ctx, es.Command[book.Command]{
		ID: command, Hash: hash, Body: c, Meta: &eventv1.Meta{Actor: caller.Actor()}, Caller: caller.Subject,
	})
	switch {
	case err == nil:
		return cursor(result.Cursor), nil
	case errors.Is(err, book.ErrPayoutUnknown):
		return nil, errPayout
	case errors.Is(err, book.ErrMethodUnavailable):
		return nil, book.ErrMethodUnavailable.And("method", "only a credit on the operator's bill is paid")
	case errors.Is(err, book.ErrInsufficientEarnings):
		return nil, s.short(ctx, c)
	case errors.Is(err, book.ErrValueDateInvalid):
		return nil, book.ErrValueDateInvalid.And("value_date", "must be no day before the payout was asked for, nor more than 7 days ahead")
	case errors.Is(err, book.ErrReferenceConflict):
		return nil, book.ErrReferenceConflict.And("end_to_end_id", "billing was told of the payout under another one, or of another payout under it")
	}
	return nil, conflict(err)
}

// short says what a person has who asked for more: what is available now, and what will be when.
func (s *Server) short(ctx context.Context, c book.Command) error {
	ask, _ := c.(book.RequestPayout) // nothing else is refused so
	state, _, err := s.Root.State(ctx, wire.Stream(book.On{Book: s.Book, Child: ask.Subscriber.ID}), nil)
	if err != nil {
		return err
	}
	earner, _ := state.(book.Earner)
	currency, err := money.ParseCurrency(s.Currency)
	if err != nil {
		return err
	}
	has := fmt.Sprintf("must be no more than the %s that is available", money.New(earner.Payable, currency))
	if n := len(earner.Due); n > 0 {
		first, last := earner.Due[0].At.UTC().Format(time.DateOnly), earner.Due[n-1].At.UTC().Format(time.DateOnly)
		has += fmt.Sprintf("; %s is pending until %s", money.New(earner.Pending, currency), first)
		if last != first {
			has += ", the last of it until " + last
		}
	}
	return book.ErrInsufficientEarnings.And("amount", has)
}

// asked reads a payout as the book has it.
func (s *Server) asked(ctx context.Context, payout book.PayoutID) (book.Payout, error) {
	state, _, err := s.Root.State(ctx, wire.Stream(book.On{Book: s.Book, Child: payout.ID}), nil)
	if err != nil {
		return book.Payout{}, err
	}
	p, known := state.(book.Payout)
	if !known {
		return p, errPayout
	}
	return p, nil
}

// ListPayouts lists payouts, newest first.
func (s *Server) ListPayouts(ctx context.Context, r *settlementv1.ListPayoutsRequest) (*settlementv1.ListPayoutsResponse, error) {
	who, _ := id.Parse(r.GetSubscriberId()) // empty, or held to be one by the contract
	if _, err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	payout, _ := id.Parse(r.GetPayoutId())
	list, place := fmt.Sprintf("payouts/%s/%d%s", r.GetSubscriberId(), r.GetState(), r.GetPayoutId()), new(eventv1.StoredEvent)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	limit := size(r.GetPageSize())
	rows, err := s.View.Payouts(ctx, who, payout, book.Stage(r.GetState()), view.Place{Partition: int32(s.Partition), Position: place.GetPosition()}, limit+1)
	if err != nil {
		return nil, err
	}
	out := new(settlementv1.ListPayoutsResponse)
	if len(rows) > limit {
		rows = rows[:limit]
		if out.NextPageToken, err = boot.PageToken(list, &eventv1.StoredEvent{Position: rows[limit-1].Place.Position}); err != nil {
			return nil, err
		}
	}
	for _, p := range rows {
		out.Payouts = append(out.Payouts, &settlementv1.Payout{
			PayoutId: p.Payout.String(), SubscriberId: p.Subscriber.String(), Amount: s.money(p.Amount), Method: settlementv1.PayoutMethod(p.Method),
			State: settlementv1.PayoutState(p.Stage), RequestedAt: p.RequestedAt.UnixMicro(), InstructedAt: micros(p.InstructedAt), EndedAt: micros(p.EndedAt),
			EndToEndId: p.EndToEnd, ValueDate: p.ValueDate, Reference: p.Reference, Reason: wire.ReturnReason(p.Reason),
		})
	}
	return out, nil
}

// micros is a moment as the contract has it: 0 for none.
func micros(t *time.Time) int64 {
	if t == nil {
		return 0
	}
	return t.UnixMicro()
}
