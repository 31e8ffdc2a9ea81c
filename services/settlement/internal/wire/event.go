package wire

import (
	"fmt"
	"strings"
	"time"

	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

// Codec knows what the events of a book do not say: the currency.
type Codec struct {
	Currency string // ISO 4217
}

func (c Codec) money(minor int64) *moneyv1.Money {
	return &moneyv1.Money{Minor: minor, Currency: c.Currency}
}

func (c Codec) price(micros int64) *moneyv1.UnitPrice {
	return &moneyv1.UnitPrice{Micros: micros, Currency: c.Currency}
}

// Proto gives the contract's form of an event.
func (c Codec) Proto(e book.Event) *settlementv1.Event {
	switch e := e.(type) {
	case book.Deposited:
		return &settlementv1.Event{Event: &settlementv1.Event_FundsDeposited{FundsDeposited: &settlementv1.FundsDeposited{
			BookId: e.Book.String(), BuyerId: e.Buyer.String(), Amount: c.money(e.Amount), Reference: e.Reference,
			ValueDate: e.ValueDate, Postings: postings(e.Postings),
		}}}
	case book.Held:
		return &settlementv1.Event{Event: &settlementv1.Event_FundsHeld{FundsHeld: &settlementv1.FundsHeld{
			BookId: e.Book.String(), BuyerId: e.Buyer.String(), BidId: e.Bid.String(), Amount: c.money(e.Amount),
			Slots: uint32(e.Slots), TaxPpm: uint32(e.TaxPPM), TaxCountry: e.TaxCountry, Postings: postings(e.Postings),
		}}}
	case book.HoldRefused:
		return &settlementv1.Event{Event: &settlementv1.Event_HoldRefused{HoldRefused: &settlementv1.HoldRefused{
			BookId: e.Book.String(), BuyerId: e.Buyer.String(), BidId: e.Bid.String(), Reason: ReasonProto(e.Reason),
		}}}
	case book.HoldReleased:
		return &settlementv1.Event{Event: &settlementv1.Event_HoldReleased{HoldReleased: &settlementv1.HoldReleased{
			BookId: e.Book.String(), BuyerId: e.Buyer.String(), BidId: e.Bid.String(), Amount: c.money(e.Amount),
			Final: e.Final, Postings: postings(e.Postings),
		}}}
	case book.Earmarked:
		return &settlementv1.Event{Event: &settlementv1.Event_FundsEarmarked{FundsEarmarked: &settlementv1.FundsEarmarked{
			BookId: e.Book.String(), BuyerId: e.Buyer.String(), BidId: e.Bid.String(), AgreementId: e.Agreement.String(),
			SubscriberId: e.Subscriber.String(), UnitPrice: c.price(e.Price), Slots: uint32(e.Slots), Country: e.Country,
			Policy:    &eventv1.PolicyRef{Pack: e.PolicyPack, Version: e.PolicyVersion},
			ProductId: e.Product, CommissionPpm: uint32(e.CommissionPPM), WithholdingPpm: uint32(e.WithholdingPPM),
			AvailableAfterDays: uint32(e.AvailableAfter),
		}}}
	case book.EarmarkEnded:
		return &settlementv1.Event{Event: &settlementv1.Event_EarmarkEnded{EarmarkEnded: &settlementv1.EarmarkEnded{
			BookId: e.Book.String(), BuyerId: e.Buyer.String(), BidId: e.Bid.String(), AgreementId: e.Agreement.String(),
			SlotsSettled: uint32(e.Settled), SlotsLeft: uint32(e.Left), UnitPrice: c.price(e.Price),
			Released: c.money(e.Released), Postings: postings(e.Postings),
		}}}
	case book.Settled:
		return &settlementv1.Event{Event: &settlementv1.Event_DeliverySettled{DeliverySettled: &settlementv1.DeliverySettled{
			BookId: e.Book.String(), DeliveryId: e.Delivery.String(), AgreementId: e.Agreement.String(), BidId: e.Bid.String(),
			BuyerId: e.Buyer.String(), SubscriberId: e.Subscriber.String(), ProductId: e.Product, Slots: uint32(e.Slots),
			UnitPrice: c.price(e.Price), SplitRule: e.SplitRule, ReleaseEventId: e.ReleaseEvent[:],
			AvailableAt: e.AvailableAt.UnixMicro(), ValueDate: e.ValueDate, Postings: postings(e.Postings), Currency: c.Currency,
		}}}
	case book.Matured:
		return &settlementv1.Event{Event: &settlementv1.Event_EarningsMatured{EarningsMatured: &settlementv1.EarningsMatured{
			BookId: e.Book.String(), SubscriberId: e.Subscriber.String(), Amount: c.money(e.Amount), UpTo: e.UpTo.UnixMicro(),
			Postings: postings(e.Postings),
		}}}
	}
	if m := c.payout(e); m != nil {
		return m
	}
	panic(fmt.Sprintf("wire: no arm for %T", e))
}

// Domain reads an event; nil where this version of the service has no rule for the arm.
func (c Codec) Domain(m *settlementv1.Event) (book.Event, error) {
	var r ids
	e := r.event(m)
	return e, r.err
}

// ids reads the ids of one message and keeps the first fault.
type ids struct{ err error }

func (r *ids) read(field, s string) id.ID {
	v, err := id.Parse(s)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("wire: %s: %w", field, err)
	}
	return v
}

func (r *ids) book(s string) book.ID       { return book.ID{ID: r.read("book_id", s)} }
func (r *ids) buyer(s string) book.BuyerID { return book.BuyerID{ID: r.read("buyer_id", s)} }
func (r *ids) bid(s string) book.BidID     { return book.BidID{ID: r.read("bid_id", s)} }
func (r *ids) agreement(s string) book.AgreementID {
	return book.AgreementID{ID: r.read("agreement_id", s)}
}

func (r *ids) subscriber(s string) book.SubscriberID {
	return book.SubscriberID{ID: r.read("subscriber_id", s)}
}

func (r *ids) event(m *settlementv1.Event) book.Event {
	switch arm := m.GetEvent().(type) {
	case *settlementv1.Event_FundsDeposited:
		e := arm.FundsDeposited
		return book.Deposited{
			Book: r.book(e.GetBookId()), Buyer: r.buyer(e.GetBuyerId()), Amount: e.GetAmount().GetMinor(), Reference: e.GetReference(),
			ValueDate: e.GetValueDate(), Postings: r.postings(e.GetPostings()),
		}
	case *settlementv1.Event_FundsHeld:
		e := arm.FundsHeld
		return book.Held{
			Book: r.book(e.GetBookId()), Buyer: r.buyer(e.GetBuyerId()), Bid: r.bid(e.GetBidId()), Amount: e.GetAmount().GetMinor(),
			Slots: int64(e.GetSlots()), TaxPPM: int64(e.GetTaxPpm()), TaxCountry: e.GetTaxCountry(), Postings: r.postings(e.GetPostings()),
		}
	case *settlementv1.Event_HoldRefused:
		e := arm.HoldRefused
		return book.HoldRefused{
			Book: r.book(e.GetBookId()), Buyer: r.buyer(e.GetBuyerId()), Bid: r.bid(e.GetBidId()), Reason: ReasonName(e.GetReason()),
		}
	case *settlementv1.Event_HoldReleased:
		e := arm.HoldReleased
		return book.HoldReleased{
			Book: r.book(e.GetBookId()), Buyer: r.buyer(e.GetBuyerId()), Bid: r.bid(e.GetBidId()), Amount: e.GetAmount().GetMinor(),
			Final: e.GetFinal(), Postings: r.postings(e.GetPostings()),
		}
	case *settlementv1.Event_FundsEarmarked:
		e := arm.FundsEarmarked
		return book.Earmarked{Terms: book.Terms{
			Book: r.book(e.GetBookId()), Buyer: r.buyer(e.GetBuyerId()), Bid: r.bid(e.GetBidId()), Agreement: r.agreement(e.GetAgreementId()),
			Subscriber: r.subscriber(e.GetSubscriberId()), Product: e.GetProductId(), Price: e.GetUnitPrice().GetMicros(),
			Slots: int64(e.GetSlots()), CommissionPPM: int64(e.GetCommissionPpm()), WithholdingPPM: int64(e.GetWithholdingPpm()),
			AvailableAfter: int64(e.GetAvailableAfterDays()), Country: e.GetCountry(), PolicyPack: e.GetPolicy().GetPack(),
			PolicyVersion: e.GetPolicy().GetVersion(),
		}}
	case *settlementv1.Event_EarmarkEnded:
		e := arm.EarmarkEnded
		return book.EarmarkEnded{
			Book: r.book(e.GetBookId()), Buyer: r.buyer(e.GetBuyerId()), Bid: r.bid(e.GetBidId()), Agreement: r.agreement(e.GetAgreementId()),
			Settled: int64(e.GetSlotsSettled()), Left: int64(e.GetSlotsLeft()), Price: e.GetUnitPrice().GetMicros(),
			Released: e.GetReleased().GetMinor(), Postings: r.postings(e.GetPostings()),
		}
	case *settlementv1.Event_DeliverySettled:
		e := arm.DeliverySettled
		out := book.Settled{
			Book: r.book(e.GetBookId()), Delivery: book.DeliveryID{ID: r.read("delivery_id", e.GetDeliveryId())},
			Agreement: r.agreement(e.GetAgreementId()), Bid: r.bid(e.GetBidId()), Buyer: r.buyer(e.GetBuyerId()),
			Subscriber: r.subscriber(e.GetSubscriberId()), Product: e.GetProductId(), Slots: int64(e.GetSlots()),
			Price: e.GetUnitPrice().GetMicros(), SplitRule: e.GetSplitRule(), AvailableAt: time.UnixMicro(e.GetAvailableAt()).UTC(),
			ValueDate: e.GetValueDate(), Postings: r.postings(e.GetPostings()),
		}
		copy(out.ReleaseEvent[:], e.GetReleaseEventId())
		return out
	case *settlementv1.Event_EarningsMatured:
		e := arm.EarningsMatured
		return book.Matured{
			Book: r.book(e.GetBookId()), Subscriber: r.subscriber(e.GetSubscriberId()), Amount: e.GetAmount().GetMinor(),
			UpTo: time.UnixMicro(e.GetUpTo()).UTC(), Postings: r.postings(e.GetPostings()),
		}
	}
	return r.payout(m)
}

func postings(list []book.Posting) []*settlementv1.Posting {
	if len(list) == 0 {
		return nil
	}
	out := make([]*settlementv1.Posting, len(list))
	for i, p := range list {
		m := &settlementv1.Posting{Account: settlementv1.AccountKind(p.Account), Minor: p.Minor, ResidualMicros: p.Residual}
		if !p.Owner.IsZero() {
			m.OwnerId = p.Owner.String()
		}
		if p.Tax.Kind != 0 {
			m.Tax = &settlementv1.Tax{
				Kind: settlementv1.TaxKind(p.Tax.Kind), RatePpm: uint32(p.Tax.RatePPM), Country: p.Tax.Country, BaseMicros: p.Tax.Base,
			}
		}
		out[i] = m
	}
	return out
}

func (r *ids) postings(list []*settlementv1.Posting) []book.Posting {
	if len(list) == 0 {
		return nil
	}
	out := make([]book.Posting, len(list))
	for i, m := range list {
		p := book.Posting{Account: book.Kind(m.GetAccount()), Minor: m.GetMinor(), Residual: m.GetResidualMicros()}
		if m.GetOwnerId() != "" {
			p.Owner = r.read("postings.owner_id", m.GetOwnerId())
		}
		if t := m.GetTax(); t != nil {
			p.Tax = book.Tax{Kind: book.TaxKind(t.GetKind()), RatePPM: int64(t.GetRatePpm()), Country: t.GetCountry(), Base: t.GetBaseMicros()}
		}
		out[i] = p
	}
	return out
}

const reasonPrefix = "REASON_"

// ReasonProto is the contract's Reason of a name as refusals carry it.
func ReasonProto(name string) settlementv1.Reason {
	return settlementv1.Reason(settlementv1.Reason_value[reasonPrefix+name])
}

// ReasonName is ReasonProto's inverse; empty for the unset reason, a number for one of a newer process.
func ReasonName(r settlementv1.Reason) string {
	if r == settlementv1.Reason_REASON_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(r.String(), reasonPrefix)
}
