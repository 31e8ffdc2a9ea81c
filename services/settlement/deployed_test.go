package settlement_test

import (
	"testing"

	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement"
	"github.com/obole-market/obole/services/settlement/internal/react"
)

func TestDeployed(t *testing.T) {
	t.Parallel()
	var c settlement.Config
	worldtest.Deployed(t, &c, &c.Config, settlement.Name, react.Sources)
}
