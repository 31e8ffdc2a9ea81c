package wire

import (
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

// payout gives the contract's form of what happens to a payout; nil of everything else.
func (c Codec) payout(e book.Event) *settlementv1.Event {
	switch e := e.(type) {
	case book.PayoutRequested:
		return &settlementv1.Event{Event: &settlementv1.Event_PayoutRequested{PayoutRequested: &settlementv1.PayoutRequested{
			BookId: e.Book.String(), PayoutId: e.Payout.String(), SubscriberId: e.Subscriber.String(), Amount: c.money(e.Amount),
			Method: settlementv1.PayoutMethod(e.Method), Postings: postings(e.Postings),
		}}}
	case book.PayoutInstructed:
		return &settlementv1.Event{Event: &settlementv1.Event_PayoutInstructed{PayoutInstructed: &settlementv1.PayoutInstructed{
			BookId: e.Book.String(), PayoutId: e.Payout.String(), EndToEndId: e.EndToEnd,
		}}}
	case book.PayoutSettled:
		return &settlementv1.Event{Event: &settlementv1.Event_PayoutSettled{PayoutSettled: &settlementv1.PayoutSettled{
			BookId: e.Book.String(), PayoutId: e.Payout.String(), ValueDate: e.ValueDate, Reference: e.Reference, Postings: postings(e.Postings),
		}}}
	case book.PayoutReturned:
		return &settlementv1.Event{Event: &settlementv1.Event_PayoutReturned{PayoutReturned: &settlementv1.PayoutReturned{
			BookId: e.Book.String(), PayoutId: e.Payout.String(), Reason: e.Reason, Postings: postings(e.Postings),
		}}}
	}
	return nil
}

// payout is its inverse.
func (r *ids) payout(m *settlementv1.Event) book.Event {
	payoutID := func(s string) book.PayoutID { return book.PayoutID{ID: r.read("payout_id", s)} }
	switch arm := m.GetEvent().(type) {
	case *settlementv1.Event_PayoutRequested:
		e := arm.PayoutRequested
		return book.PayoutRequested{
			Book: r.book(e.GetBookId()), Payout: payoutID(e.GetPayoutId()), Subscriber: r.subscriber(e.GetSubscriberId()),
			Amount: e.GetAmount().GetMinor(), Method: book.Method(e.GetMethod()), Postings: r.postings(e.GetPostings()),
		}
	case *settlementv1.Event_PayoutInstructed:
		e := arm.PayoutInstructed
		return book.PayoutInstructed{Book: r.book(e.GetBookId()), Payout: payoutID(e.GetPayoutId()), EndToEnd: e.GetEndToEndId()}
	case *settlementv1.Event_PayoutSettled:
		e := arm.PayoutSettled
		return book.PayoutSettled{
			Book: r.book(e.GetBookId()), Payout: payoutID(e.GetPayoutId()), ValueDate: e.GetValueDate(), Reference: e.GetReference(),
			Postings: r.postings(e.GetPostings()),
		}
	case *settlementv1.Event_PayoutReturned:
		e := arm.PayoutReturned
		return book.PayoutReturned{
			Book: r.book(e.GetBookId()), Payout: payoutID(e.GetPayoutId()), Reason: e.GetReason(), Postings: r.postings(e.GetPostings()),
		}
	}
	return nil
}

// codes are ISO 20022's, as events keep them.
var codes = map[settlementv1.ReturnReason]string{
	settlementv1.ReturnReason_RETURN_REASON_NO_BILL: "AC01", settlementv1.ReturnReason_RETURN_REASON_CONTRACT_ENDED: "AC04",
	settlementv1.ReturnReason_RETURN_REASON_DUPLICATE: "AM05", settlementv1.ReturnReason_RETURN_REASON_NOT_GIVEN: "MS03",
}

// ReturnCode is the code of a reason; empty for none.
func ReturnCode(r settlementv1.ReturnReason) string { return codes[r] }

// ReturnReason is ReturnCode's inverse; a code of whoever comes later is a reason that is not given.
func ReturnReason(code string) settlementv1.ReturnReason {
	if code == "" {
		return settlementv1.ReturnReason_RETURN_REASON_UNSPECIFIED
	}
	for r, c := range codes {
		if c == code {
			return r
		}
	}
	return settlementv1.ReturnReason_RETURN_REASON_NOT_GIVEN
}
