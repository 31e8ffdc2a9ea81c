package rpc

import (
	"testing"

	"github.com/obole-market/obole/pkg/fault"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/buyer"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// TestReasons holds the refusals and the contract's Reason to the same names, both ways but for those that events alone give.
func TestReasons(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		"": true, "INSUFFICIENT_FUNDS": true, "HOLD_TIMEOUT": true, "WITHDRAWN": true, // why a bid was rejected
		"BID_WITHDRAWN": true, "TIMEOUT": true, "REFUSED": true, // why an acceptance came to nothing
	}
	for _, err := range []*fault.Error{
		buyer.ErrUnknown, buyer.ErrExists, buyer.ErrKeyConflict, buyer.ErrNotVetted, buyer.ErrSuspended, buyer.ErrUnconfirmed,
		bid.ErrUnknown, bid.ErrNotOpen, bid.ErrOfferUnknown, bid.ErrCardChanged, bid.ErrAnswered, bid.ErrSlotsExhausted, bid.ErrFieldRequired,
		bid.ErrFieldUnknown, bid.ErrExplicitStepMissing, bid.ErrCohortMissed,
		errAgreement, errProduct, errField, errPredicate, errCohort, errPurpose, errTerms, errCurrency, errEligible, errIdempotency,
	} {
		known[err.Reason] = true
		if wire.ReasonName(wire.ReasonProto(err.Reason)) != err.Reason || err.Reason == "" {
			t.Errorf("%q is no Reason of the contract", err.Reason)
		}
	}
	for n := range offersv1.Reason_name {
		if name := wire.ReasonName(offersv1.Reason(n)); !known[name] {
			t.Errorf("nothing refuses for %s", name)
		}
	}
}
