package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/settlement"
)

// TestServe: one service by its own configuration file, over real Kafka and PostgreSQL: migrated, served, stopped, checked, rebuilt.
func TestServe(t *testing.T) {
	t.Parallel()
	w := worldtest.New(t)
	c := w.Config(settlement.Name)
	listen := w.Listener(settlement.Name).Addr().String()
	if err := w.Listener(settlement.Name).Close(); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	url, file := filepath.Join(dir, "url"), filepath.Join(dir, "settlement.json")
	if err := os.WriteFile(url, []byte(c.Database.URL+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{
		"listen": listen, "peers": c.Peers, "keys": c.Keys, "partitions": c.Partitions,
		"database": map[string]any{"url_file": url, "role": c.Database.Role},
		"kafka":    map[string]any{"brokers": c.Kafka.Brokers, "prefix": c.Kafka.Prefix},
		"auth":     map[string]any{"issuer": c.Auth.Issuer, "secret_file": c.Auth.SecretFile},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	verb := func(word string) {
		t.Helper()
		if out, errs, status := run(t, word, settlement.Name, "--config", file); status != client.ExitOK {
			t.Fatalf("obole %s: status %d, %s%s", word, status, out, errs)
		}
	}
	verb("migrate")
	service := obole("serve", settlement.Name, "--config", file)
	var said bytes.Buffer
	service.Stderr = &said
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = service.Process.Kill() }) // where the test has failed before it stopped it
	books := settlementv1.NewSettlementServiceClient(w.Dial(settlement.Name, id.Random().String(), eventv1.Role_ROLE_FINANCE))
	if _, err := books.TrialBalance(t.Context(), &settlementv1.TrialBalanceRequest{}); err != nil {
		t.Error(err)
	}
	if err := service.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if err := service.Wait(); err != nil {
		t.Errorf("SIGTERM: %v, %s", err, &said)
	}
	verb("fsck")
	verb("rebuild")
	if _, errs, status := run(t, "serve", settlement.Name, "--config", file+".missing"); status != client.ExitUsage || !strings.Contains(errs, "missing") {
		t.Errorf("a missing file: status %d, %s", status, errs)
	}
}
