package rpc

import (
	"testing"

	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// TestReasons holds the refusals and the contract's Reason to the same names, both ways but for those that no call gives.
func TestReasons(t *testing.T) {
	t.Parallel()
	codec := func(reason string) string { return wire.ReasonName(wire.ReasonProto(reason)) }
	worldtest.Reasons(t, "../..", settlementv1.Reason(0).Descriptor(), codec, map[string]string{
		"ACCOUNT_UNKNOWN": "an account that nothing was posted to is empty",
	})
}
