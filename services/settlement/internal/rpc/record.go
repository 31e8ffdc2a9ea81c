package rpc

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/record"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// ListRecord lists what the log holds about a person, newest first.
func (s *Server) ListRecord(ctx context.Context, r *settlementv1.ListRecordRequest) (*settlementv1.ListRecordResponse, error) {
	p, err := s.Record.List(ctx, r)
	if err != nil {
		return nil, err
	}
	return &settlementv1.ListRecordResponse{Entries: p.Entries, NextPageToken: p.Next, WatchToken: p.Watch}, nil
}

// WatchRecord streams what happens to a person.
func (s *Server) WatchRecord(r *settlementv1.WatchRecordRequest, stream grpc.ServerStreamingServer[settlementv1.WatchRecordResponse]) error {
	return s.Record.Watch(stream.Context(), r, func(e *recordv1.Entry, token string) error {
		return stream.Send(&settlementv1.WatchRecordResponse{Entry: e, WatchToken: token})
	})
}

// Tell makes the entry of an event about a person. What concerns the buyer's money alone is not told.
func (s *Server) Tell(_ context.Context, _ id.ID, r *es.Record) (*recordv1.Entry, error) {
	m := new(settlementv1.Event)
	if err := proto.Unmarshal(r.Data, m); err != nil {
		return nil, err
	}
	out := &recordv1.Entry{By: record.By(m.GetMeta())}
	switch arm := m.GetEvent().(type) {
	case *settlementv1.Event_FundsEarmarked:
		e := arm.FundsEarmarked
		out.BuyerId, out.BidId, out.AgreementId, out.Slots = e.GetBuyerId(), e.GetBidId(), e.GetAgreementId(), e.GetSlots()
		out.Product, out.UnitPrice = &marketv1.ProductRef{Id: e.GetProductId()}, e.GetUnitPrice()
		out.NetPrice = record.Net(e.GetUnitPrice(), e.GetCommissionPpm(), e.GetWithholdingPpm())
	case *settlementv1.Event_EarmarkEnded:
		e := arm.EarmarkEnded
		out.BuyerId, out.BidId, out.AgreementId, out.Slots = e.GetBuyerId(), e.GetBidId(), e.GetAgreementId(), e.GetSlotsSettled()
	case *settlementv1.Event_DeliverySettled:
		e := arm.DeliverySettled
		out.BuyerId, out.BidId, out.AgreementId, out.DeliveryId = e.GetBuyerId(), e.GetBidId(), e.GetAgreementId(), e.GetDeliveryId()
		out.Product, out.UnitPrice, out.Slots, out.Due = &marketv1.ProductRef{Id: e.GetProductId()}, e.GetUnitPrice(), e.GetSlots(), e.GetAvailableAt()
		s.paid(out, e.GetPostings())
	case *settlementv1.Event_EarningsMatured:
		out.Amount, out.Due = s.money(arm.EarningsMatured.GetAmount().GetMinor()), arm.EarningsMatured.GetUpTo()
	case *settlementv1.Event_PayoutRequested:
		out.Amount = s.money(arm.PayoutRequested.GetAmount().GetMinor())
		out.Reason = record.Reason(arm.PayoutRequested.GetMethod(), "PAYOUT_METHOD_")
	case *settlementv1.Event_PayoutSettled:
		out.Amount = s.moved(arm.PayoutSettled.GetPostings())
	case *settlementv1.Event_PayoutReturned:
		out.Amount = s.moved(arm.PayoutReturned.GetPostings())
		out.Reason = record.Reason(wire.ReturnReason(arm.PayoutReturned.GetReason()), "RETURN_REASON_")
	}
	return out, nil
}

// moved is what the postings of a payout put where they put it.
func (s *Server) moved(postings []*settlementv1.Posting) *moneyv1.Money {
	var sum int64
	for _, p := range postings {
		sum += max(p.GetMinor(), 0)
	}
	return s.money(sum)
}

// paid says what the postings of a settlement come to for its person, as the ledger's table does.
func (s *Server) paid(out *recordv1.Entry, postings []*settlementv1.Posting) {
	var net, commission, withheld int64
	for _, p := range postings {
		switch p.GetAccount() {
		case settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PENDING, settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PAYABLE:
			net += p.GetMinor()
		case settlementv1.AccountKind_ACCOUNT_KIND_OPERATOR_COMMISSION:
			commission += p.GetMinor()
		case settlementv1.AccountKind_ACCOUNT_KIND_WITHHOLDING:
			withheld += p.GetMinor()
		}
	}
	out.Amount, out.Commission, out.Withheld = s.money(net), s.money(commission), s.money(withheld)
}
