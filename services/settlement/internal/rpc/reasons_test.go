package rpc

import (
	"testing"

	"github.com/obole-market/obole/pkg/fault"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// TestReasons holds the refusals and the contract's Reason to the same names, both ways but for those that no call gives yet.
func TestReasons(t *testing.T) {
	t.Parallel()
	known := map[string]bool{
		"":                true,
		"ACCOUNT_UNKNOWN": true, // an account that nothing was posted to is empty
	}
	for _, err := range []*fault.Error{
		book.ErrInsufficientFunds, book.ErrCurrencyMismatch, book.ErrHoldUnknown, book.ErrEarmarkUnknown, book.ErrEarmarkExceeded,
		book.ErrEarmarkEnded, book.ErrTermsMismatch, book.ErrReferenceConflict, book.ErrAmountOverflow, errCursor, errBuyer, errIdempotency,
	} {
		known[err.Reason] = true
		if wire.ReasonName(wire.ReasonProto(err.Reason)) != err.Reason || err.Reason == "" {
			t.Errorf("%q is no Reason of the contract", err.Reason)
		}
	}
	for n := range settlementv1.Reason_name {
		if name := wire.ReasonName(settlementv1.Reason(n)); !known[name] {
			t.Errorf("nothing refuses for %s", name)
		}
	}
}
