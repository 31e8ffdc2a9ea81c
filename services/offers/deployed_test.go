package offers_test

import (
	"testing"

	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/offers/internal/react"
)

func TestDeployed(t *testing.T) {
	t.Parallel()
	var c offers.Config
	worldtest.Deployed(t, &c, &c.Config, offers.Name, react.Sources)
}
