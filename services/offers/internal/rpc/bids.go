package rpc

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/view"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// moment is how long a buyer that may bid is believed to: who places thousands of bids a second would be read at the log's head
// thousands of times. A suspension by this process counts at once, one by another process a moment later; in either case it
// closes what the buyer has placed, and the gate bars the buyer by itself.
const moment = 200 * time.Millisecond

// bidder reads a buyer's state, of the log and not of a table, and says why it may not bid.
func (s *Server) bidder(ctx context.Context, text string) (view.Buyer, id.ID, error) {
	var out view.Buyer
	number, err := parse("bid.buyer_id", text)
	if err != nil {
		return out, number, err
	}
	on := es.StreamOf(number)
	state, err := s.Buyers.Held(ctx, on, moment, func(context.Context) (any, error) { return nil, nil })
	if err == nil && state.MayBid() != nil {
		state, _, err = s.Buyers.State(ctx, on, nil) // it may have been vetted elsewhere since
	}
	if err != nil {
		return out, number, err
	}
	if state.Registered {
		out.Registered = &offersv1.BuyerRegistered{BuyerId: text, GroupId: state.Claim.String(), Entity: wire.EntityProto(state.Entity)}
		out.Group = state.Group.String()
	}
	if no := state.MayBid(); no != nil {
		return out, number, no
	}
	return out, number, nil
}

// place makes the command that records a bid, with why it may not be placed now: that no is for who has not placed it yet. A retry is told
// what was placed, though the buyer has been suspended since, the window is over or the rules have changed.
func (s *Server) place(ctx context.Context, r *offersv1.PlaceBidRequest, who view.Buyer, no error) (es.Command[bid.Command], *offersv1.BidPlaced, error) {
	c, err := command[bid.Command](ctx, "PlaceBid", r.GetIdempotencyKey(), r, nil)
	if err != nil {
		return c, nil, err
	}
	// The bid's number follows from the command's, so that a retry finds the same bid in the same partition.
	number := bid.ID{ID: id.Derive([]byte("bid"), c.ID[:])}
	var placed *offersv1.BidPlaced
	var terms bid.Terms
	if no == nil {
		if placed, c.Meta.Policy, no = s.draft(number, r.GetBid(), who); no == nil {
			terms, no = wire.Terms(placed)
		}
	}
	if no != nil {
		c.Body, c.Refused = bid.Place{Bid: number}, no
		return c, nil, nil //nolint:nilerr // the command carries it
	}
	c.Body = bid.Place{Bid: number, Terms: terms, Body: wire.Body(placed)}
	return c, placed, nil
}

// draft is what would be recorded of a bid now, and the policy by which it is taxed.
func (s *Server) draft(number bid.ID, n *offersv1.NewBid, who view.Buyer) (*offersv1.BidPlaced, *eventv1.PolicyRef, error) {
	now := s.Now()
	product, problems := s.check(n, who, now)
	if len(problems) > 0 {
		return nil, nil, problems[0]
	}
	budget, tax, err := s.cost(n, who, now)
	if err != nil {
		return nil, nil, err
	}
	country := who.Registered.GetEntity().GetCountry()
	pack, err := s.Policy.At(country, now)
	if err != nil {
		return nil, nil, err
	}
	placed := &offersv1.BidPlaced{
		BidId: number.String(), BuyerId: n.GetBuyerId(), GroupId: who.Group, Terms: n.GetTerms(), Quantity: n.GetQuantity(),
		CohortMin: max(n.GetCohortMin(), uint32(product.CohortMin)), Budget: s.money(budget), Tax: s.money(tax), TaxPpm: uint32(pack.VATPPM.Value),
		TaxCountry: country, OpensAt: n.GetOpensAt(), ClosesAt: n.GetClosesAt(), Pricing: max(n.GetPricing(), 1), Allocation: max(n.GetAllocation(), 1),
		Exclusivity: max(n.GetExclusivity(), 1), Version: 1, Health: product.Health,
	}
	if placed.GetOpensAt() == 0 {
		placed.OpensAt = atOnce
	}
	return placed, &eventv1.PolicyRef{Pack: pack.Country, Version: pack.Version}, nil
}

// recorded is the bid that a command came to: of a retry the one of the first time, whatever it would come to now.
func recorded(result es.Result[bid.Event], placed *offersv1.BidPlaced) *offersv1.BidPlaced {
	if result.Repeated {
		if e, ok := result.Events[0].Event.(bid.Placed); ok {
			return wire.Placed(bid.Bid{Body: e.Body})
		}
	}
	return placed
}

// PlaceBid records a bid.
func (s *Server) PlaceBid(ctx context.Context, r *offersv1.PlaceBidRequest) (*offersv1.PlaceBidResponse, error) {
	who, _, no := s.bidder(ctx, r.GetBid().GetBuyerId())
	if no != nil && fault.ReasonOf(no) == "" {
		return nil, no
	}
	c, placed, err := s.place(ctx, r, who, no)
	if err != nil {
		return nil, err
	}
	result, err := s.Bids.Do(ctx, c)
	if err != nil {
		return nil, conflict(err)
	}
	placed = recorded(result, placed)
	return &offersv1.PlaceBidResponse{
		BidId: placed.GetBidId(), Hold: s.money(placed.GetBudget().GetMinor() + placed.GetTax().GetMinor()), Cursor: cursor(result.Cursor),
	}, nil
}

// PlaceBids records many bids on one stream: those of one message share flushes of the log.
func (s *Server) PlaceBids(stream grpc.BidiStreamingServer[offersv1.PlaceBidsRequest, offersv1.PlaceBidsResponse]) error {
	ctx := stream.Context()
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		who, _, no := s.bidder(ctx, in.GetBuyerId())
		failed := no != nil && fault.ReasonOf(no) == ""
		out := &offersv1.PlaceBidsResponse{Bids: make([]*offersv1.PlacedBid, len(in.GetBids()))}
		commands, places := make([]es.Command[bid.Command], 0, len(in.GetBids())), make([]int, 0, len(in.GetBids()))
		drafts := make([]*offersv1.BidPlaced, 0, len(in.GetBids()))
		for i, r := range in.GetBids() {
			answer := &offersv1.PlacedBid{IdempotencyKey: r.GetIdempotencyKey()}
			out.Bids[i] = answer
			if r.GetBid().GetBuyerId() != in.GetBuyerId() {
				answer.Refused, answer.Problem = offersv1.Reason_REASON_TERMS_INVALID, "bid.buyer_id: must be the message's"
				continue
			}
			if failed {
				refused(ctx, answer, no)
				continue
			}
			c, placed, err := s.place(ctx, r, who, no)
			if err != nil {
				refused(ctx, answer, err)
				continue
			}
			commands, places, drafts = append(commands, c), append(places, i), append(drafts, placed)
		}
		reached := map[es.Partition]es.Cursor{}
		for i, outcome := range s.Bids.DoMany(ctx, commands) {
			answer := out.Bids[places[i]]
			if err := conflict(outcome.Err); err != nil {
				refused(ctx, answer, err)
				continue
			}
			placed := recorded(outcome.Result, drafts[i])
			answer.BidId, answer.Hold = placed.GetBidId(), s.money(placed.GetBudget().GetMinor()+placed.GetTax().GetMinor())
			if at := outcome.Result.Cursor; at.Position >= reached[at.Partition].Position {
				reached[at.Partition] = at
			}
		}
		for _, at := range reached {
			out.Cursors = append(out.Cursors, cursor(at))
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// refused writes a rule's no into an answer, or what has failed.
func refused(ctx context.Context, answer *offersv1.PlacedBid, err error) {
	f, ok := errors.AsType[*fault.Error](err)
	if ok {
		answer.Refused = wire.ReasonProto(f.Reason)
	}
	if answer.GetRefused() == 0 {
		answer.Code = boot.Failed(ctx, err)
		return
	}
	answer.Problem = f.Error()
}

// TryBid says what a bid would hold, whom it might reach and what is wrong with it.
func (s *Server) TryBid(ctx context.Context, r *offersv1.TryBidRequest) (*offersv1.TryBidResponse, error) {
	out := new(offersv1.TryBidResponse)
	who, _, err := s.bidder(ctx, r.GetBid().GetBuyerId())
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Reason != "" {
		out.Problems = append(out.Problems, &offersv1.Problem{Field: "bid.buyer_id", Reason: wire.ReasonProto(f.Reason), Description: f.Msg})
		if who.Registered == nil {
			return out, nil
		}
	} else if err != nil {
		return nil, err
	}
	now := s.Now()
	_, problems := s.check(r.GetBid(), who, now)
	for _, p := range problems {
		last := p.Facts[len(p.Facts)-1]
		out.Problems = append(out.Problems, &offersv1.Problem{Field: last.Name, Reason: wire.ReasonProto(p.Reason), Description: last.Text})
	}
	if budget, tax, err := s.cost(r.GetBid(), who, now); err == nil {
		out.Hold, out.Tax = s.money(budget+tax), s.money(tax)
	}
	if len(problems) > 0 {
		return out, nil
	}
	people, err := s.Delivery.EstimateAudience(ctx, &deliveryv1.EstimateAudienceRequest{Terms: r.GetBid().GetTerms()})
	if err != nil {
		return nil, err
	}
	const step = 50
	least := people.GetPeople() / step * step
	out.Audience = &offersv1.Band{AtLeast: least, Below: least + step}
	return out, nil
}

// GetBid reads one bid.
func (s *Server) GetBid(ctx context.Context, r *offersv1.GetBidRequest) (*offersv1.GetBidResponse, error) {
	number, err := parse("bid_id", r.GetBidId())
	if err != nil {
		return nil, err
	}
	owner, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	b, ok, err := s.View.Bid(ctx, number, owner)
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, bid.ErrUnknown
	}
	return &offersv1.GetBidResponse{Bid: s.bidProto(b)}, nil
}

var bidStates = map[string]offersv1.BidState{
	"placed": offersv1.BidState_BID_STATE_PLACED, "open": offersv1.BidState_BID_STATE_OPEN, "rejected": offersv1.BidState_BID_STATE_REJECTED,
	"closed": offersv1.BidState_BID_STATE_CLOSED, "drained": offersv1.BidState_BID_STATE_DRAINED,
}

// atOnce is the first moment of a bid whose offers may be shown at once: one that has always been there.
const atOnce = 1

// bidProto tells a bid as its buyer may know it: how full it is in quarters only.
func (s *Server) bidProto(b view.Bid) *offersv1.Bid {
	p := b.Placed
	out := &offersv1.Bid{
		BidId: p.GetBidId(), State: bidStates[b.State], Rejected: wire.ReasonProto(b.Rejected), Closed: offersv1.CloseReason(b.Closed), Cleared: b.Cleared,
		Held: s.money(b.Held), PlacedAt: b.PlacedAt.UnixMicro(),
		Bid: &offersv1.NewBid{
			BuyerId: p.GetBuyerId(), Terms: p.GetTerms(), Quantity: p.GetQuantity(), CohortMin: p.GetCohortMin(), OpensAt: p.GetOpensAt(),
			ClosesAt: p.GetClosesAt(), Pricing: p.GetPricing(), Allocation: p.GetAllocation(), Exclusivity: p.GetExclusivity(),
		},
	}
	if p.GetOpensAt() == atOnce {
		out.Bid.OpensAt = 0 // as it was asked
	}
	if b.Cleared && p.GetQuantity() > 0 {
		out.FilledPpm = uint32(b.Consented*4/int64(p.GetQuantity())) * 250_000
	}
	return out
}

// ListBids lists a buyer's bids, newest first.
func (s *Server) ListBids(ctx context.Context, r *offersv1.ListBidsRequest) (*offersv1.ListBidsResponse, error) {
	owner, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	list, place := "bids/"+owner.String(), new(offersv1.Bid)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	var before time.Time
	var beforeID id.ID
	if place.GetBidId() != "" {
		before = time.UnixMicro(place.GetPlacedAt()).UTC()
		beforeID, _ = id.Parse(place.GetBidId()) // our own token
	}
	limit := size(r.GetPageSize())
	rows, err := s.View.Bids(ctx, owner, before, beforeID, limit+1)
	if err != nil {
		return nil, err
	}
	out := new(offersv1.ListBidsResponse)
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		if out.NextPageToken, err = boot.PageToken(list, &offersv1.Bid{BidId: last.Placed.GetBidId(), PlacedAt: last.PlacedAt.UnixMicro()}); err != nil {
			return nil, err
		}
	}
	for _, b := range rows {
		out.Bids = append(out.Bids, s.bidProto(b))
	}
	return out, nil
}

// WithdrawBid takes no new slot from now on.
func (s *Server) WithdrawBid(ctx context.Context, r *offersv1.WithdrawBidRequest) (*offersv1.WithdrawBidResponse, error) {
	number, err := parse("bid_id", r.GetBidId())
	if err != nil {
		return nil, err
	}
	owner, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	at, err := s.doBid(ctx, "WithdrawBid", r.GetIdempotencyKey(), r, bid.Withdraw{Bid: bid.ID{ID: number}, Buyer: bid.BuyerID{ID: owner}})
	return &offersv1.WithdrawBidResponse{Cursor: at}, err
}

// ConfirmCohort asks consent how many people are left in a bid, and lets its keys leave if they are enough. Delivery asks until a key of the
// bid has left, and each time they are counted anew.
func (s *Server) ConfirmCohort(ctx context.Context, r *offersv1.ConfirmCohortRequest) (*offersv1.ConfirmCohortResponse, error) {
	number, err := parse("bid_id", r.GetBidId())
	if err != nil {
		return nil, err
	}
	on := es.StreamOf(number)
	state, at, err := s.Bids.State(ctx, on, nil)
	if err != nil {
		return nil, err
	}
	b, ok := state.(bid.Bid)
	if !ok {
		return nil, bid.ErrUnknown
	}
	if b.Cleared {
		live, err := s.Consent.CountLive(ctx, countLive(number))
		if err != nil {
			return nil, fault.Unavailable("consent does not answer").Because(err)
		}
		if _, err := s.Bids.Do(ctx, es.Command[bid.Command]{
			Body: bid.Confirm{Bid: bid.ID{ID: number}, Live: int64(live.GetLive())}, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject,
		}); err != nil {
			return nil, err
		}
		if state, at, err = s.Bids.State(ctx, on, nil); err != nil {
			return nil, err
		}
		b, _ = state.(bid.Bid)
	}
	return &offersv1.ConfirmCohortResponse{Confirmed: b.MayRelease(), Cursor: cursor(at)}, nil
}
