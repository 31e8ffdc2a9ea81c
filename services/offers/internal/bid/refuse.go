package bid

import "github.com/obole-market/obole/pkg/fault"

// Refusals, each named by the contract's Reason.
var (
	ErrUnknown             = fault.NotFound("BID_UNKNOWN", "there is no such bid")
	ErrNotOpen             = fault.Refuse("BID_NOT_OPEN", "the bid takes no acceptance now")
	ErrOfferUnknown        = fault.NotFound("OFFER_UNKNOWN", "there is no such offer for this person")
	ErrCardChanged         = fault.Refuse("CARD_CHANGED", "the card is not the one shown last")
	ErrAnswered            = fault.Refuse("OFFER_ANSWERED", "the offer was answered already")
	ErrSlotsExhausted      = fault.Refuse("SLOTS_EXHAUSTED", "no slot is left")
	ErrFieldRequired       = fault.Refuse("FIELD_REQUIRED", "a required field was left out")
	ErrFieldUnknown        = fault.Refuse("FIELD_UNKNOWN", "the bid asks for no such field")
	ErrExplicitStepMissing = fault.Refuse("EXPLICIT_STEP_MISSING", "health data need a separate, explicit step")
	ErrCohortMissed        = fault.Refuse("COHORT_MISSED", "too few people with a living consent are left")
)
