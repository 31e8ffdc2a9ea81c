package rpc

import (
	"testing"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// TestWhereDataGo: who says nothing of where the data are processed has not said that they stay in the European Economic Area.
func TestWhereDataGo(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		where   []string
		outside bool
	}{
		"inside":      {[]string{"BE", "NO"}, false},
		"outside":     {[]string{"US"}, true},
		"in part":     {[]string{"BE", "US"}, true},
		"nobody said": {nil, true},
	} {
		who := view.Buyer{Registered: &offersv1.BuyerRegistered{Entity: &offersv1.LegalEntity{ProcessingCountries: c.where}}}
		if outside(who) != c.outside {
			t.Errorf("%s: %v counts as outside: %t", what, c.where, !c.outside)
		}
	}
}
