package journey

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/obole-market/obole/services/internal/worldtest"
)

// TestWhatAServiceEndsWithIsTold as its log would tell it: that the database is out of reach, and nothing of the url, which the driver's
// own text quotes.
func TestWhatAServiceEndsWithIsTold(t *testing.T) {
	t.Parallel()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	url := filepath.Join(t.TempDir(), "url")
	if err := os.WriteFile(url, []byte("postgres://canary-user@127.0.0.1:1/canary-database\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, s := range worldtest.Services {
		out, err := exec.Command(filepath.Join(bin, s), "migrate", "--database.url-file="+url).CombinedOutput()
		if err == nil || !strings.HasPrefix(string(out), s+": ") || !strings.Contains(string(out), "dial tcp (loopback)") || strings.Contains(string(out), "canary") {
			t.Errorf("%s ends with %v: %s", s, err, out)
		}
	}
}
