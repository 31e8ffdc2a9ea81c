package rpc

import (
	"context"
	"fmt"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/view"
)

const page = 100

// ListEarnings lists a person's settlements, newest first.
func (s *Server) ListEarnings(ctx context.Context, r *settlementv1.ListEarningsRequest) (*settlementv1.ListEarningsResponse, error) {
	owner, at, err := s.reach(ctx, "subscriber_id", r.GetSubscriberId(), r.GetAfter())
	if err != nil {
		return nil, err
	}
	list := "earnings/" + owner.String()
	place := new(eventv1.StoredEvent)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	limit := size(r.GetPageSize())
	rows, err := s.View.Earnings(ctx, owner, view.Place{Partition: int32(s.Partition), Position: place.GetPosition()}, limit+1)
	if err != nil {
		return nil, err
	}
	out := new(settlementv1.ListEarningsResponse)
	if len(rows) > limit {
		rows = rows[:limit]
		if out.NextPageToken, err = boot.PageToken(list, &eventv1.StoredEvent{Position: rows[limit-1].Place.Position}); err != nil {
			return nil, err
		}
	}
	for _, e := range rows {
		out.Earnings = append(out.Earnings, &settlementv1.Earning{
			DeliveryId: e.Delivery.String(), AgreementId: e.Agreement.String(), BuyerId: e.Buyer.String(), ProductId: e.Product,
			Slots: uint32(e.Slots), Net: s.money(e.Net), Commission: s.money(e.Commission), Withheld: s.money(e.Withheld),
			SettledAt: e.SettledAt.UnixMicro(), AvailableAt: e.AvailableAt.UnixMicro(),
			Event: &eventv1.Cursor{Service: at.GetService(), Incarnation: at.GetIncarnation(), Partition: e.Place.Partition, Position: e.Place.Position},
		})
	}
	return out, nil
}

// ListStatement lists the postings of one account, oldest first.
func (s *Server) ListStatement(ctx context.Context, r *settlementv1.ListStatementRequest) (*settlementv1.ListStatementResponse, error) {
	var owner id.ID
	if text := r.GetAccount().GetOwnerId(); text != "" {
		var err error
		if owner, err = id.Parse(text); err != nil {
			return nil, fault.Invalid("account.owner_id", "must be a UUID")
		}
	}
	kind := r.GetAccount().GetKind()
	if everybodys(book.Kind(kind)) && owner.IsZero() {
		return nil, fault.Invalid("account.owner_id", "must name whose: there is one of this kind for each")
	}
	if _, err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	list := fmt.Sprintf("statement/%d/%s", kind, owner)
	place := new(eventv1.StoredEvent)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	limit := size(r.GetPageSize())
	rows, err := s.View.Lines(ctx, book.Kind(kind), owner,
		view.Place{Partition: int32(s.Partition), Position: place.GetPosition(), Ordinal: place.GetOrdinal()}, limit+1)
	if err != nil {
		return nil, err
	}
	out := new(settlementv1.ListStatementResponse)
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1].Place
		if out.NextPageToken, err = boot.PageToken(list, &eventv1.StoredEvent{Position: last.Position, Ordinal: last.Ordinal}); err != nil {
			return nil, err
		}
	}
	for _, l := range rows {
		out.Lines = append(out.Lines, &settlementv1.Line{
			Position: l.Place.Position, Type: l.Type, Amount: s.money(l.Minor), Balance: s.money(l.Balance),
			BidId: named(l.Bid), DeliveryId: named(l.Delivery), At: l.At.UnixMicro(),
		})
	}
	return out, nil
}

// everybodys are the kinds of accounts of which each buyer or person has one.
func everybodys(k book.Kind) bool {
	switch k {
	case book.BuyerAvailable, book.BuyerHeld, book.SubscriberPending, book.SubscriberPayable:
		return true
	default:
		return false
	}
}

func size(asked uint32) int {
	if asked == 0 {
		return page
	}
	return int(asked)
}

// named is the id's text, empty for none.
func named(v id.ID) string {
	if v.IsZero() {
		return ""
	}
	return v.String()
}
