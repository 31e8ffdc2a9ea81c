package delivery

import (
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/boot"
)

// TestAPackageWaitsAWeek unless the configuration says otherwise.
func TestAPackageWaitsAWeek(t *testing.T) {
	t.Parallel()
	for flag, want := range map[string]time.Duration{"--listen=-": 7 * 24 * time.Hour, "--lapse=36h": 36 * time.Hour} {
		var c struct {
			Config

			Serve struct{} `cmd:""`
		}
		if _, err := boot.Parse(&c, Name, "", []string{"serve", flag}); err != nil || c.patience() != want {
			t.Errorf("with %s it waits %v, %v", flag, c.patience(), err)
		}
	}
}
