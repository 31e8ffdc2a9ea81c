package rpc

import (
	"context"
	"fmt"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
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
	filter, err := filtered(r)
	if err != nil {
		return nil, err
	}
	list := fmt.Sprintf("earnings/%s/%s/%s/%s/%s/%v", owner, r.GetBuyerId(), r.GetAgreementId(), r.GetProductId(), r.GetMonth(), r.GetDeliveryIds())
	place := new(eventv1.StoredEvent)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	limit := size(r.GetPageSize())
	rows, err := s.View.Earnings(ctx, owner, filter, view.Place{Partition: int32(s.Partition), Position: place.GetPosition()}, limit+1)
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

// filtered reads what restricts a list of earnings.
func filtered(r *settlementv1.ListEarningsRequest) (f view.Filter, err error) {
	f.Product = r.GetProductId()
	f.Buyer, _ = id.Parse(r.GetBuyerId()) // empty, or held to be one by the contract, as the others
	f.Agreement, _ = id.Parse(r.GetAgreementId())
	for _, text := range r.GetDeliveryIds() {
		d, err := id.Parse(text)
		if err != nil {
			return f, fault.Invalid("delivery_ids", "must be UUIDs")
		}
		f.Deliveries = append(f.Deliveries, d)
	}
	if r.GetMonth() != "" {
		if f.From, err = time.Parse("2006-01", r.GetMonth()); err != nil {
			return f, fault.Invalid("month", "is no month of the calendar")
		}
		f.To = f.From.AddDate(0, 1, 0)
	}
	return f, nil
}

var groups = map[settlementv1.EarningGroup]view.Group{
	settlementv1.EarningGroup_EARNING_GROUP_BUYER: view.ByBuyer, settlementv1.EarningGroup_EARNING_GROUP_PRODUCT: view.ByProduct,
	settlementv1.EarningGroup_EARNING_GROUP_MONTH: view.ByMonth, settlementv1.EarningGroup_EARNING_GROUP_AGREEMENT: view.ByAgreement,
}

// SumEarnings sums a person's settlements.
func (s *Server) SumEarnings(ctx context.Context, r *settlementv1.SumEarningsRequest) (*settlementv1.SumEarningsResponse, error) {
	owner, at, err := s.reach(ctx, "subscriber_id", r.GetSubscriberId(), r.GetAfter())
	if err != nil {
		return nil, err
	}
	list, place := fmt.Sprintf("sums/%s/%d", owner, r.GetBy()), new(settlementv1.EarningSum)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	limit := size(r.GetPageSize())
	sums, err := s.View.Sum(ctx, owner, groups[r.GetBy()], place.GetKey(), limit+1, int32(s.Partition))
	if err != nil {
		return nil, err
	}
	at.Position = sums.Position
	out := &settlementv1.SumEarningsResponse{Total: s.sum(sums.Total), Cursor: at}
	if len(sums.Sums) > limit {
		sums.Sums = sums.Sums[:limit]
		if out.NextPageToken, err = boot.PageToken(list, &settlementv1.EarningSum{Key: sums.Sums[limit-1].Key}); err != nil {
			return nil, err
		}
	}
	for _, one := range sums.Sums {
		out.Sums = append(out.Sums, s.sum(one))
	}
	return out, nil
}

func (s *Server) sum(e view.EarningSum) *settlementv1.EarningSum {
	return &settlementv1.EarningSum{
		Key: e.Key, Deliveries: uint32(e.Deliveries), Slots: uint32(e.Slots), Net: s.money(e.Net), Commission: s.money(e.Commission),
		Withheld: s.money(e.Withheld), FirstAt: e.First.UnixMicro(), LastAt: e.Last.UnixMicro(),
	}
}

// comparedDays is for how long a settled price is compared with: the contract says so.
const comparedDays = 365

// ComparePrices says what slots of some products were settled at, where that discloses nobody.
func (s *Server) ComparePrices(ctx context.Context, r *settlementv1.ComparePricesRequest) (*settlementv1.ComparePricesResponse, error) {
	if _, err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	prices, err := s.View.Prices(ctx, r.GetProductIds(), s.Now().AddDate(0, 0, -comparedDays))
	if err != nil {
		return nil, err
	}
	out := &settlementv1.ComparePricesResponse{LeastBuyers: uint32(s.LeastBuyers), LeastPeople: uint32(s.LeastPeople)}
	price := func(micros int64) *moneyv1.UnitPrice { return &moneyv1.UnitPrice{Micros: micros, Currency: s.Currency} }
	for _, product := range r.GetProductIds() {
		answer := &settlementv1.PriceRange{ProductId: product, TooFew: true}
		if p, some := prices[product]; some && p.Buyers >= int64(s.LeastBuyers) && p.People >= int64(s.LeastPeople) {
			answer.TooFew = false
			answer.Lower, answer.Median, answer.Upper = price(p.Quartiles[0]), price(p.Quartiles[1]), price(p.Quartiles[2])
		}
		out.Ranges = append(out.Ranges, answer)
	}
	return out, nil
}

// ListStatement lists the postings of one account, oldest first.
func (s *Server) ListStatement(ctx context.Context, r *settlementv1.ListStatementRequest) (*settlementv1.ListStatementResponse, error) {
	var owner id.ID
	if text := r.GetAccount().GetOwnerId(); text != "" {
		var err error
		if owner, err = parse("account.owner_id", text); err != nil {
			return nil, err
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
			BidId: named(l.Bid), DeliveryId: named(l.Delivery), PayoutId: named(l.Payout), At: l.At.UnixMicro(),
		})
	}
	return out, nil
}

// everybodys are the kinds of accounts of which each buyer or person has one.
func everybodys(k book.Kind) bool {
	switch k {
	case book.BuyerAvailable, book.BuyerHeld, book.SubscriberPending, book.SubscriberPayable, book.SubscriberPayout, book.BillCredited:
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
