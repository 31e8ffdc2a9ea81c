package rpc

import (
	"testing"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// TestReasons holds the refusals and the contract's Reason to the same names, both ways but for those that no call gives.
func TestReasons(t *testing.T) {
	t.Parallel()
	codec := func(reason string) string { return wire.ReasonName(wire.ReasonProto(reason)) }
	worldtest.Reasons(t, "../..", offersv1.Reason(0).Descriptor(), codec, map[string]string{
		"INSUFFICIENT_FUNDS": "why settlement rejects a bid",
		"HOLD_TIMEOUT":       "why a bid is rejected",
		"WITHDRAWN":          "why a bid is rejected",
		"BID_WITHDRAWN":      "why an acceptance came to nothing",
		"TIMEOUT":            "why an acceptance came to nothing",
		"REFUSED":            "why an acceptance came to nothing",
	})
}
