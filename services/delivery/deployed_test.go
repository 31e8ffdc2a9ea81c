package delivery_test

import (
	"testing"

	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/delivery/internal/react"
	"github.com/obole-market/obole/services/internal/worldtest"
)

func TestDeployed(t *testing.T) {
	t.Parallel()
	var c delivery.Config
	worldtest.Deployed(t, &c, &c.Config, delivery.Name, react.Sources)
	if c.Cells == "" {
		t.Error("no cell has a place on people's maps")
	}
}
