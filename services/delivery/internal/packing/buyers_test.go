package packing

import (
	"testing"
	"time"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// TestNewest: a package is meant for a key also where all have run out, and only an unknown buyer has none.
func TestNewest(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	over, ahead := now.Add(-time.Second).UnixMicro(), now.Add(time.Second).UnixMicro()
	for what, c := range map[string]struct {
		keys []*offersv1.BuyerKey
		name string
		ok   bool
	}{
		"none":               {nil, "", false},
		"all over":           {[]*offersv1.BuyerKey{{Id: "b", ValidTo: over}, {Id: "a", ValidTo: over}}, "b", true},
		"an older one lives": {[]*offersv1.BuyerKey{{Id: "b", ValidFrom: ahead}, {Id: "a"}}, "a", true},
	} {
		if name, ok := (Buyer{Keys: c.keys}).Newest(now); name != c.name || ok != c.ok {
			t.Errorf("%s: %q, %t", what, name, ok)
		}
		if len(c.keys) > 0 && c.keys[0].ValidTo == over {
			if _, ok := (Buyer{Keys: c.keys}).Key("b", now); ok {
				t.Errorf("%s: a key that is over is taken at the gate", what)
			}
		}
	}
}
