package subscriber

import (
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/fault"
)

// Refusals, each named by the contract's Reason.
var (
	ErrSubscriberUnknown   = fault.Refuse("SUBSCRIBER_UNKNOWN", "there is no such subscriber")
	ErrSubscriberExists    = fault.Refuse("SUBSCRIBER_EXISTS", "the subscriber is enrolled with another identity")
	ErrAgeUnknown          = fault.Refuse("AGE_UNKNOWN", "paid offers need a known age")
	ErrUnderAge            = fault.Refuse("UNDER_AGE", "paid offers are made to adults only")
	ErrCountryForbids      = fault.Refuse("COUNTRY_FORBIDS", "the country's law forbids payment for identifiable health data")
	ErrLimit               = fault.Refuse("LIMIT", "the person's limit of agreements at once is reached")
	ErrPurposeNever        = fault.Refuse("PURPOSE_NEVER", "the person never allows this purpose")
	ErrBuyerNever          = fault.Refuse("BUYER_NEVER", "the person never allows this buyer")
	ErrProductNever        = fault.Refuse("PRODUCT_NEVER", "the person never offers this product")
	ErrBelowFloor          = fault.Refuse("BELOW_FLOOR", "the net price is below the person's floor")
	ErrExplicitStepMissing = fault.Refuse("EXPLICIT_STEP_MISSING", "health data need a separate, explicit step")
	ErrConsentUnknown      = fault.Refuse("CONSENT_UNKNOWN", "there is no such consent")
	ErrWithdrawn           = fault.Refuse("WITHDRAWN", "the consent was withdrawn")
	ErrPaused              = fault.Refuse("PAUSED", "the consent, or everything of the person, is paused")
	ErrExpired             = fault.Refuse("EXPIRED", "the consent has expired")
	ErrBuyerSuspended      = fault.Refuse("BUYER_SUSPENDED", "the buyer is suspended")
	ErrAccountClosed       = fault.Refuse("ACCOUNT_CLOSED", "the account is closed")
	ErrRulesChanged        = fault.Conflict("RULES_CHANGED", "other rules stand than those to be replaced")
	ErrAwaitedLimit        = fault.Exhausted("AWAITED_LIMIT", "too many unknown agreements were withdrawn or paused: withdraw or pause everything, or wait").After(awaitFor)
)

// mayGive says why the person's acceptance cannot become a consent, nil when it can. The law comes before the person's own
// rules, and what can never be before what may change.
func mayGive(p Person, enrolled bool, c Give, at time.Time) *fault.Error {
	l, r := c.Licence, p.Rules
	if !enrolled {
		return ErrSubscriberUnknown
	}
	if err := p.Eligible(c.Law, at); err != nil {
		return err
	}
	floor, floored := r.Floors[l.Product]
	switch {
	case l.Country != p.Identity.Country || c.Law.Country != l.Country:
		// Taxes and rights on the card were those of another country.
		return ErrCountryForbids
	case l.Health && !c.Law.PaidHealth:
		return ErrCountryForbids
	case l.Health && c.ExplicitStepAt == 0:
		return ErrExplicitStepMissing
	case c.BuyerBarred:
		return ErrBuyerSuspended
	case p.awaits(l.Agreement, at), !c.AcceptedAt.After(p.WithdrawnAll.Add(skew)) && !p.WithdrawnAll.IsZero():
		return ErrWithdrawn
	case c.late(at):
		return ErrExpired
	case p.PausedAll:
		return ErrPaused
	case !at.Before(l.ExpiresAt):
		return ErrExpired
	case slices.Contains(r.PurposesNever, l.Purpose):
		return ErrPurposeNever
	case slices.Contains(r.BuyersNever, l.Buyer):
		return ErrBuyerNever
	case slices.Contains(r.ProductsNever, l.Product):
		return ErrProductNever
	case floored && (floor.Currency != c.Net.Currency || c.Net.Micros < floor.Micros):
		return ErrBelowFloor
	case len(p.Living) >= p.limit():
		return ErrLimit
	}
	return nil
}

// late says that the market takes no yes any more. It has undone the acceptance by itself.
func (c Give) late(at time.Time) bool {
	return !c.AnswerDue.IsZero() && !at.Before(c.AnswerDue) || !c.AcceptedAt.IsZero() && !at.Before(c.AcceptedAt.Add(answerWithin+skew))
}
