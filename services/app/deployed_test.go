package app_test

import (
	"testing"

	"github.com/obole-market/obole/services/app"
	"github.com/obole-market/obole/services/internal/worldtest"
)

func TestDeployed(t *testing.T) {
	t.Parallel()
	var c app.Config
	worldtest.Deployed(t, &c, &c.Config, app.Name, nil)
	if len(c.Peers) != len(worldtest.Services) || c.URL == "" || c.Operator == "" || c.TLS.Cert == "" {
		t.Errorf("%+v", c)
	}
}
