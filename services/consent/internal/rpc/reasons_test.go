package rpc

import (
	"testing"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	"github.com/obole-market/obole/services/consent/internal/wire"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// TestReasons holds the refusals and the contract's Reason to the same names, both ways but for those that no call gives.
func TestReasons(t *testing.T) {
	t.Parallel()
	codec := func(reason string) string { return wire.ReasonName(wire.ReasonProto(reason)) }
	worldtest.Reasons(t, "../..", consentv1.Reason(0).Descriptor(), codec, map[string]string{
		"MATCHING_OFF": "who has not turned matching on is in no audience: no call refuses for it",
	})
}
