package node

import (
	"strings"
	"testing"

	"github.com/obole-market/obole/pkg/boot"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// TestReasons holds what every service refuses for and the contract's common Reason to the same names, both ways.
func TestReasons(t *testing.T) {
	t.Parallel()
	known := map[string]bool{"UNSPECIFIED": true}
	for _, name := range append(boot.Reasons(), errIncarnation.Reason, errReaction.Reason) {
		known[name] = true
		if _, ok := eventv1.Reason_value["REASON_"+name]; !ok || name == "" {
			t.Errorf("%q is no Reason of the contract", name)
		}
	}
	for _, name := range eventv1.Reason_name {
		if !known[strings.TrimPrefix(name, "REASON_")] {
			t.Errorf("nothing refuses for %s", name)
		}
	}
}
