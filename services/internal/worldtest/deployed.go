package worldtest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/node"
)

// Deployed reads into a service's Config what deploy/config has for the service, as its process does, and checks that its peers are
// the owners of the topics that it reads. cli points to the service's Config, shared to the part that all have.
func Deployed(t testing.TB, cli any, shared *boot.Config, service string, sources []string) {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, err := os.Stat(filepath.Join(dir, "go.work")); err != nil; _, err = os.Stat(filepath.Join(dir, "go.work")) {
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.work above the test")
		}
		dir = filepath.Dir(dir)
	}
	if _, err := boot.Parse(cli, service, "as deployed", []string{"--config", filepath.Join(dir, "deploy", "config", service+".json")}); err != nil {
		t.Fatal(err)
	}
	shared.Service = service
	if err := node.Covers(shared, sources...); err != nil {
		t.Error(err)
	}
	for name, addr := range shared.Peers {
		if name == service || !slices.Contains(Services, name) || !strings.HasPrefix(addr, name+":") {
			t.Errorf("%s: a peer %s at %s", service, name, addr)
		}
	}
}
