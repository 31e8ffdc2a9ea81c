package rpc

import (
	"os"
	"regexp"
	"testing"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/delivery/internal/wire"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// TestReasons holds the refusals and the contract's Reason to the same names, both ways but for those that no call gives.
func TestReasons(t *testing.T) {
	t.Parallel()
	codec := func(reason string) string { return wire.ReasonName(wire.ReasonProto(reason)) }
	worldtest.Reasons(t, "../..", deliveryv1.Reason(0).Descriptor(), codec, map[string]string{
		"RECEIPT_MISSING": "the call that asks for a key brings the receipt: no rule can miss it yet",
	})
}

// TestTheGatesReasonsAreOurs: what consent answers is told to the buyer in this contract's words; what these do not have is a
// consent that is not there.
func TestTheGatesReasonsAreOurs(t *testing.T) {
	t.Parallel()
	for n, name := range consentv1.Reason_name {
		want := name[len("REASON_"):]
		if gate[want] == nil {
			want = "CONSENT_UNKNOWN"
		}
		if got := refusal(reasonOf(consentv1.Reason(n))); got.Reason != want {
			t.Errorf("consent's %s is told as %s, want %s", name, got.Reason, want)
		}
	}
	if got := refusal(reasonOf(9999)); got.Reason != "CONSENT_UNKNOWN" {
		t.Errorf("a reason of a newer consent is told as %s", got.Reason)
	}
	for _, must := range []string{"WITHDRAWN", "PAUSED", "EXPIRED", "BUYER_SUSPENDED"} {
		if _, ok := consentv1.Reason_value["REASON_"+must]; !ok || gate[must] == nil {
			t.Errorf("%s is not told", must)
		}
	}
}

// TestFlaws holds what can be wrong with a value to the contract's Flaw, both ways.
func TestFlaws(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile("../point/flaw.go")
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string]bool{"UNSPECIFIED": true}
	for _, m := range regexp.MustCompile(`Flaw = "([A-Z_]+)"`).FindAllSubmatch(code, -1) {
		ours[string(m[1])] = true
		if _, known := deliveryv1.Flaw_value["FLAW_"+string(m[1])]; !known {
			t.Errorf("%s is no Flaw of the contract", m[1])
		}
	}
	for name := range deliveryv1.Flaw_value {
		if !ours[name[len("FLAW_"):]] {
			t.Errorf("nothing is wrong in the way of %s", name)
		}
	}
}
