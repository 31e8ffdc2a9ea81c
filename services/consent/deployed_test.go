package consent_test

import (
	"testing"

	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/consent/internal/react"
	"github.com/obole-market/obole/services/internal/worldtest"
)

func TestDeployed(t *testing.T) {
	t.Parallel()
	var c consent.Config
	worldtest.Deployed(t, &c, &c.Config, consent.Name, react.Sources)
}
