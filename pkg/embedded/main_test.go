package embedded

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// parent names the folder on which the test binary, run as a program of its own, starts both servers and waits to be
// killed.
const parent = "OBOLE_EMBEDDED_PARENT"

func TestMain(m *testing.M) {
	if dir := os.Getenv(parent); dir != "" {
		if err := beParent(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

func beParent(dir string) error {
	ctx := context.Background()
	p, err := Postgres(ctx, PostgresOptions{Dir: filepath.Join(dir, "postgres"), Listen: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	b, err := Broker(ctx, BrokerOptions{Dir: filepath.Join(dir, "broker"), Topics: topics})
	if err != nil {
		return err
	}
	fmt.Println(p.URL("postgres", Superuser))
	fmt.Println(b.Addr())
	select {}
}

// runParent starts that program and returns it with the two addresses it printed.
func runParent(t *testing.T, dir string) (cmd *exec.Cmd, url, broker string) {
	t.Helper()
	cmd = exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), parent+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	for _, s := range []*string{&url, &broker} {
		if !lines.Scan() {
			t.Fatalf("the program ended: %v", cmd.Wait())
		}
		*s = strings.TrimSpace(lines.Text())
	}
	return cmd, url, broker
}

// folder is one that a user without privileges can reach, which t.TempDir as root is not.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "obole-embedded-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

func timeout(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}
