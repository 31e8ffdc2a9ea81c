package book

import "github.com/obole-market/obole/pkg/fault"

// Refusals, each named by the contract's Reason.
var (
	ErrInsufficientFunds = fault.Refuse("INSUFFICIENT_FUNDS", "the buyer's available money does not cover it")
	ErrCurrencyMismatch  = fault.Refuse("CURRENCY_MISMATCH", "the book keeps another currency")
	ErrHoldUnknown       = fault.Refuse("HOLD_UNKNOWN", "there is no hold for this bid")
	ErrEarmarkUnknown    = fault.Refuse("EARMARK_UNKNOWN", "there is no earmark for this agreement yet")
	ErrEarmarkExceeded   = fault.Refuse("EARMARK_EXCEEDED", "more than was earmarked, or than the hold still has")
	ErrEarmarkEnded      = fault.Refuse("EARMARK_ENDED", "the earmark has ended")
	ErrTermsMismatch     = fault.Refuse("TERMS_MISMATCH", "the command contradicts what the book knows")
	ErrReferenceConflict = fault.Refuse("REFERENCE_CONFLICT", "the bank's reference came before, with another payment")
	ErrAmountOverflow    = fault.Refuse("AMOUNT_OVERFLOW", "the amount is not one that a book can hold")

	ErrInsufficientEarnings = fault.Refuse("INSUFFICIENT_EARNINGS", "the person's available money does not cover it")
	ErrMethodUnavailable    = fault.Refuse("METHOD_UNAVAILABLE", "nobody is paid by this method yet")
	ErrPayoutUnknown        = fault.NotFound("PAYOUT_UNKNOWN", "there is no such payout")
	ErrPayoutNotInstructed  = fault.Refuse("PAYOUT_NOT_INSTRUCTED", "billing was not told of the payout yet")
	ErrPayoutEnded          = fault.Refuse("PAYOUT_ENDED", "the payout was settled or returned before")
	ErrValueDateInvalid     = fault.New(fault.KindInvalid, "VALUE_DATE_INVALID", "the day is before the request or too far ahead")
)

// Faults of the arithmetic itself. They cannot happen; if they do, nothing is posted.
var (
	ErrUnbalanced   = fault.Internal("book: postings do not sum to zero")
	ErrHoldExceeded = fault.Internal("book: a charge exceeds its hold")
)
