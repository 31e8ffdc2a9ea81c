package journey

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/embedded/kafka"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// binaries builds the services' commands, once.
var binaries = sync.OnceValues(func() (string, error) {
	folder, err := os.MkdirTemp("", "obole-journey-")
	if err != nil {
		return "", err
	}
	var where []string
	for _, s := range worldtest.Services {
		where = append(where, "../../"+s+"/cmd/"+s)
	}
	build := exec.Command("go", append([]string{"build", "-o", folder + "/"}, where...)...)
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: %s", err, out)
	}
	return folder, nil
})

func TestMain(m *testing.M) {
	code := m.Run()
	if folder, err := binaries(); err == nil {
		_ = os.RemoveAll(folder) // it was temporary
	}
	os.Exit(code)
}

// fleet is the four services as processes of their own.
type fleet struct {
	*full
	kafka   *kafka.Broker // theirs alone, or nil
	bin     string
	configs map[string]boot.Config
	running map[string]*exec.Cmd
	logs    map[string]*bytes.Buffer
}

// launch starts them on a Kafka that the test may kill.
func launch(t testing.TB) *fleet {
	t.Helper()
	starting, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	b, err := kafka.Start(starting, kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	f := launchOn(t, worldtest.NewOn(t, b.Addr()))
	f.kafka = b
	return f
}

// launchOn starts them in surroundings that others share.
func launchOn(t testing.TB, w *worldtest.World) *fleet {
	t.Helper()
	bin, err := binaries()
	if err != nil {
		t.Fatal(err)
	}
	f := &fleet{
		full: &full{market: &market{World: w, t: t, buyer: id.Random()}}, bin: bin,
		configs: map[string]boot.Config{}, running: map[string]*exec.Cmd{}, logs: map[string]*bytes.Buffer{},
	}
	t.Cleanup(f.end)
	for _, s := range worldtest.Services {
		f.configs[s] = f.Config(s)
		f.must(f.Listener(s).Close()) // the process listens there
		f.once(s, "migrate")
		f.start(s)
	}
	f.connect()
	return f
}

// command is a service's command with its configuration as flags.
func (f *fleet) command(service, verb string) *exec.Cmd {
	c := f.configs[service]
	folder := filepath.Join(f.t.TempDir(), service+"-"+verb)
	f.must(os.MkdirAll(folder, 0o700))
	url := filepath.Join(folder, "url")
	f.must(os.WriteFile(url, []byte(c.Database.URL+"\n"), 0o600))
	var peers []string
	for name, addr := range c.Peers {
		peers = append(peers, name+"="+addr)
	}
	args := []string{
		verb, "--listen=" + c.Peers[service], "--peers=" + strings.Join(peers, ";"), "--keys=" + c.Keys, fmt.Sprintf("--partitions=%d", c.Partitions),
		"--database.url-file=" + url, "--database.role=" + c.Database.Role, "--kafka.brokers=" + strings.Join(c.Kafka.Brokers, ","),
		"--kafka.prefix=" + c.Kafka.Prefix, "--auth.issuer=" + c.Auth.Issuer, "--auth.secret-file=" + c.Auth.SecretFile, "--limits.rate=-1",
		"--telemetry.level=warn",
	}
	cmd := exec.Command(filepath.Join(f.bin, service), args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	return cmd
}

// once runs a command to its end.
func (f *fleet) once(service, verb string) {
	f.t.Helper()
	if out, err := f.command(service, verb).CombinedOutput(); err != nil {
		f.t.Fatalf("%s %s: %v\n%s", service, verb, err, out)
	}
}

// start begins to serve.
func (f *fleet) start(service string) {
	f.t.Helper()
	cmd := f.command(service, "serve")
	log := new(bytes.Buffer)
	cmd.Stdout, cmd.Stderr = log, log
	f.must(cmd.Start())
	f.running[service], f.logs[service] = cmd, log
}

// kill ends a service as kill -9 does.
func (f *fleet) kill(service string) {
	f.t.Helper()
	cmd := f.running[service]
	f.must(cmd.Process.Kill())
	_ = cmd.Wait() // it was killed
	delete(f.running, service)
}

func (f *fleet) again(service string) {
	f.t.Helper()
	f.kill(service)
	f.start(service)
}

func (f *fleet) end() {
	for s, cmd := range f.running {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			f.t.Errorf("%s had ended by itself: %v", s, err)
		}
		if err := cmd.Wait(); err != nil {
			f.t.Errorf("%s did not end clean: %v", s, err)
		}
	}
	if f.t.Failed() {
		for s, log := range f.logs {
			lines := strings.Split(log.String(), "\n")
			f.t.Logf("%s said last:\n%s", s, strings.Join(lines[max(0, len(lines)-20):], "\n"))
		}
	}
}
