package boot_test

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/alecthomas/kong"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// cli is what a service's main declares.
type cli struct {
	boot.Config `embed:""`
	Serve       struct{} `cmd:"" default:"withargs" help:"Serve."`
	Migrate     struct {
		To int64 `help:"Version to stop at."`
	} `cmd:"" help:"Bring the schema up to date."`
}

func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func parse(args ...string) (cli, string, error) {
	var c cli
	k, err := boot.Parse(&c, "offers", "Decides which bids are open.", args, kong.Writers(io.Discard, io.Discard))
	if err != nil {
		return c, "", err
	}
	return c, k.Command(), nil
}

func TestFlagsWinOverEnvironmentOverFile(t *testing.T) { // not parallel: the environment is the process's
	file := write(t, "offers.json", `{
		"listen": "127.0.0.1:1", "admin": "127.0.0.1:2", "partitions": 16, "reflection": true,
		"peers": {"consent": "127.0.0.1:3", "delivery": "127.0.0.1:4"},
		"kafka": {"brokers": ["a:9092", "b:9092"]},
		"database": {"url_file": "/run/secrets/url", "role": "obole_offers"},
		"limits": {"rate": 7, "drain": "3s"}, "telemetry": {"sample": 0.5},
		"to": 12
	}`)
	t.Setenv("OBOLE_ADMIN", "127.0.0.1:5")
	t.Setenv("OBOLE_KAFKA_BROKERS", "c:9092,d:9092")
	t.Setenv("OBOLE_LISTEN", "127.0.0.1:6")
	c, command, err := parse("--config", file, "--listen", "127.0.0.1:7", "migrate")
	must(t, err)
	if command != "migrate" || c.Migrate.To != 12 {
		t.Errorf("command %q to %d", command, c.Migrate.To)
	}
	if c.Listen != "127.0.0.1:7" || c.Admin != "127.0.0.1:5" || strings.Join(c.Kafka.Brokers, " ") != "c:9092 d:9092" {
		t.Errorf("precedence: %q %q %q", c.Listen, c.Admin, c.Kafka.Brokers)
	}
	if c.Partitions != 16 || !c.Reflection || c.Peers["delivery"] != "127.0.0.1:4" || c.Database.URLFile != "/run/secrets/url" ||
		c.Database.Role != "obole_offers" || c.Limits.Rate != 7 || c.Limits.Drain != 3*time.Second || c.Telemetry.Sample != 0.5 {
		t.Errorf("file: %+v", c.Config)
	}
}

func TestZeroWorks(t *testing.T) {
	t.Parallel()
	c, command, err := parse()
	must(t, err)
	if command != "serve" || c.PartitionCount() != 2 || c.Audience() != "obole" || time.Since(c.Now()).Abs() > time.Minute {
		t.Errorf("%s: %+v", command, c.Config)
	}
	if _, err := c.DatabaseURL(false); err == nil || !strings.Contains(err.Error(), "database.url-file") {
		t.Errorf("no database: %v", err)
	}
}

func TestMisspeltKeysAreRefused(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		`{"listne": "x"}`:              `"listne"`,
		`{"limits": {"rates": 1}}`:     `"limits.rates"`,
		`{"kafka": "a:9092"}`:          `"kafka"`,
		`{"limits": {"rate": "many"}}`: "rate",
		`[]`:                           "JSON object",
		`{`:                            "JSON object",
	} {
		if _, _, err := parse("--config", write(t, "c.json", text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, _, err := parse("--config", "/no/such/file.json"); err == nil {
		t.Error("a missing file was taken")
	}
	if _, _, err := parse("--no-such-flag"); err == nil {
		t.Error("an unknown flag was taken")
	}
}

func TestSecretsAreFiles(t *testing.T) {
	t.Parallel()
	url := write(t, "url", "postgres://app@db/offers\n")
	c := boot.Config{Database: boot.Database{URLFile: url}}
	for _, owner := range []bool{false, true} {
		if got, err := c.DatabaseURL(owner); err != nil || got != "postgres://app@db/offers" {
			t.Errorf("owner %v: %q, %v", owner, got, err)
		}
	}
	c.Database.OwnerFile = write(t, "owner", "postgres://owner@db/offers")
	if got, err := c.DatabaseURL(true); err != nil || got != "postgres://owner@db/offers" {
		t.Errorf("owner: %q, %v", got, err)
	}
	if _, err := boot.Read(write(t, "empty", "\n")); err == nil {
		t.Error("an empty secret was taken")
	}
	if _, err := boot.OpenPool(t.Context(), &boot.Config{Database: boot.Database{URL: "postgres://u:hunter2@[/x"}}, observe(t)); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a bad URL: %v", err)
	}
}

func TestCommandNamesCallerMethodAndKey(t *testing.T) {
	t.Parallel()
	as := func(subject string, on *eventv1.Actor) boot.Caller {
		return boot.Caller{Claims: token.Claims{Subject: subject}, Role: service, For: on}
	}
	type ask struct {
		caller      boot.Caller
		method, key string
		req         proto.Message
	}
	base := ask{as(ada, nil), "PlaceBid", "k1", &eventv1.Actor{Id: "x"}}
	first, hash, err := boot.Command(boot.WithCaller(t.Context(), base.caller), base.method, base.key, base.req)
	must(t, err)
	for name, c := range map[string]struct {
		ask
		sameID, sameHash bool
	}{
		"repeat":       {base, true, true},
		"other body":   {ask{base.caller, base.method, base.key, &eventv1.Actor{Id: "y"}}, true, false},
		"other key":    {ask{base.caller, base.method, "k2", base.req}, false, true},
		"other method": {ask{base.caller, "Withdraw", base.key, base.req}, false, true},
		"other caller": {ask{as(bob, nil), base.method, base.key, base.req}, false, true},
		"for somebody": {ask{as(ada, &eventv1.Actor{Role: subscriber, Id: bob}), base.method, base.key, base.req}, false, true},
		"parts moved":  {ask{base.caller, "PlaceBidk", "1", base.req}, false, true},
	} {
		got, h, err := boot.Command(boot.WithCaller(t.Context(), c.caller), c.method, c.key, c.req)
		must(t, err)
		if (got == first) != c.sameID || (h == hash) != c.sameHash {
			t.Errorf("%s: id %v, hash %v", name, got == first, h == hash)
		}
	}
}
