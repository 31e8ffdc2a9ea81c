package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/embedded"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/place"
)

// asObole makes the test binary the program itself, so that it can be run, and killed, as a process of its own.
const asObole = "OBOLE_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asObole) != "" {
		main()
	}
	os.Exit(m.Run())
}

func obole(args ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = append(os.Environ(), asObole+"=1")
	return cmd
}

// run gives what a command that ends by itself says, and its status.
func run(t *testing.T, args ...string) (out, errs string, status int) {
	t.Helper()
	cmd := obole(args...)
	var o, e bytes.Buffer
	cmd.Stdout, cmd.Stderr = &o, &e
	err := cmd.Run()
	if _, exited := errors.AsType[*exec.ExitError](err); err != nil && !exited {
		t.Fatal(err)
	}
	return o.String(), e.String(), cmd.ProcessState.ExitCode()
}

// folder is one that the database's user can reach, which t.TempDir as root is not.
func folder(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "obole-up-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// up starts a market and waits until it says where it answers.
func up(t *testing.T, dir string) (*exec.Cmd, place.Running) {
	t.Helper()
	cmd := obole("up", "--data", dir, "--port", "0", "--json")
	var said bytes.Buffer
	cmd.Stderr = &said
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // where the test has failed before it stopped it
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	var r place.Running
	if err != nil || json.Unmarshal(line, &r) != nil {
		t.Fatalf("the market does not start: %q, %v; %s", line, cmd.Wait(), &said)
	}
	return cmd, r
}

func consents(t *testing.T, dir, person string) consentv1.ConsentServiceClient {
	t.Helper()
	s := &client.Session{Flags: client.Flags{Data: dir}, Err: os.Stderr}
	t.Cleanup(s.Close)
	c, err := s.Consent(client.Person(person))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestDataOutliveTheProcess: what was recorded is there after Ctrl-C and after kill -9, and Ctrl-C leaves nothing behind.
func TestDataOutliveTheProcess(t *testing.T) {
	t.Parallel()
	dir, person := folder(t), id.Random().String()
	limit := func() uint32 {
		r, err := consents(t, dir, person).GetRules(t.Context(), &consentv1.GetRulesRequest{SubscriberId: person})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetRules().GetMaxAgreements()
	}
	set := func(n uint32) {
		_, err := consents(t, dir, person).SetRules(t.Context(), &consentv1.SetRulesRequest{
			SubscriberId: person, Rules: &consentv1.Rules{MaxAgreements: n}, IdempotencyKey: fmt.Sprint(n),
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	market, _ := up(t, dir)
	_, err := consents(t, dir, person).Enrol(t.Context(), &consentv1.EnrolRequest{
		SubscriberId: person, Country: "BE", Language: "fr", BirthDate: "1990-02-03", IdempotencyKey: "e",
	})
	if err != nil {
		t.Fatal(err)
	}
	set(7)
	if err := market.Process.Signal(syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	if err := market.Wait(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	for _, left := range []string{"running.json", "postgres/data/postmaster.pid"} {
		if _, err := os.Stat(filepath.Join(dir, left)); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Ctrl-C leaves %s behind: %v", left, err)
		}
	}

	// At rest the folder can be checked too.
	if out, errs, status := run(t, "fsck", "--reconcile", "--data", dir); status != client.ExitOK || strings.Count(out, "sound") != 4 {
		t.Errorf("fsck at rest: %d, %s, %s", status, out, errs)
	}

	market, _ = up(t, dir)
	sh := shell{t, []string{"--data", dir}}
	sh.fails(client.ExitFailed, "nothing may write", "fsck", "--reconcile")
	if n := limit(); n != 7 {
		t.Errorf("after a restart the limit is %d", n)
	}
	set(8)
	key := filepath.Join(dir, "study.key")
	sh.ok("keys", key)
	sh.ok(append(registering, "--buyer", key)...)
	sh.ok("buyer", "vet", key)
	sh.ok("fund", "--buyer", key, "100 EUR", "--reference", "B-1")
	sh.ok(append([]string{"bid", "place", "--wait", "--buyer", key}, asking...)...)
	if err := market.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = market.Wait() // killed
	sh.fails(client.ExitUnavailable, "start it with obole up", "buyer", "list")

	up(t, dir)
	if n := limit(); n != 8 {
		t.Errorf("after kill -9 the limit is %d", n)
	}
	// The broker's topics go on where they were: a bid opens by events to settlement and back.
	sh.ok(append([]string{"bid", "place", "--wait", "--buyer", key}, asking...)...)
	if all := sh.lines("bid", "list", "--buyer", key); len(all) != 2 {
		t.Errorf("the bids after kill -9: %v", all)
	}
	out, errs, status := run(t, "fsck", "--data", dir)
	if status != client.ExitOK || strings.Count(out, "sound") != 4 {
		t.Errorf("fsck: %d, %s, %s", status, out, errs)
	}
}

// TestSecondStartIsRefused: by the folder, and by a port.
func TestSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	market, r := up(t, dir)
	_, errs, status := run(t, "up", "--data", dir, "--port", "0")
	if want := fmt.Sprintf("%s is in use by another process (process %d)", dir, market.Process.Pid); status != client.ExitFailed || !strings.Contains(errs, want) {
		t.Errorf("a second start on the folder: %d, %s", status, errs)
	}
	_, text, err := net.SplitHostPort(r.Services["offers"])
	if err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscan(text, &port); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	_, errs, status = run(t, "up", "--data", folder(t), "--port", fmt.Sprint(port-1))
	if want := fmt.Sprintf("port %d, for offers, is in use", port); status != client.ExitFailed || !strings.Contains(errs, want) {
		t.Errorf("a port in use: %d, %s", status, errs)
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s to say so", took)
	}
}

// TestAStoryThatIsStopped says so in a line, with the status of what was not done, and leaves nothing running on its folder.
func TestAStoryThatIsStopped(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	story := obole("demo", "--data", dir)
	errs, err := story.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := story.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = story.Process.Kill() }) // where the test has failed before it stopped it
	var last string
	for lines := bufio.NewScanner(errs); lines.Scan(); last = lines.Text() {
		if strings.Contains(lines.Text(), "people join") { // the first act is over, the story goes on
			if err := story.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
	}
	_ = story.Wait() // its status says it
	if status := story.ProcessState.ExitCode(); status != client.ExitFailed || last != "obole: stopped before the end" {
		t.Errorf("status %d, %q", status, last)
	}
	give, err := embedded.Take(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := give(); err != nil {
		t.Error(err)
	}
}

// TestCommandLine: what is wrong with it is said in a line, with the status that scripts rely on.
func TestCommandLine(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]struct {
		status int
		says   string
	}{
		"--help":                         {client.ExitOK, "Exit status: 0 done; 1 refused or failed"},
		"up --help":                      {client.ExitOK, "obole up --data ./market --port 7500"},
		"serve":                          {client.ExitUsage, "service"},
		"serve nothing":                  {client.ExitUsage, `no service "nothing"`},
		"serve consent --speed":          {client.ExitUsage, "--speed"},
		"up --port 99999":                {client.ExitUsage, "--port 99999"},
		"up --portt 1":                   {client.ExitUsage, "see obole up --help"},
		"dance":                          {client.ExitUsage, "dance"},
		"fsck --data /nonexistent/obole": {client.ExitFailed, "holds no market"},
	} {
		out, errs, status := run(t, strings.Fields(args)...)
		if status != want.status || !strings.Contains(out+errs, want.says) {
			t.Errorf("obole %s: status %d, %s%s", args, status, out, errs)
		}
		if status != client.ExitOK && !strings.HasPrefix(errs, "obole: ") {
			t.Errorf("obole %s: %q", args, errs)
		}
	}
}
