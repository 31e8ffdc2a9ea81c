package embedded

import (
	"context"
	"errors"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/embedded/internal/child"
	"github.com/obole-market/obole/pkg/embedded/internal/maven"
)

func startPostgres(t *testing.T, o PostgresOptions) *PostgresServer {
	t.Helper()
	s, err := Postgres(timeout(t), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s
}

// ask runs one statement and returns its first value as text.
func ask(t *testing.T, url, sql string) string {
	t.Helper()
	conn, err := pgx.Connect(timeout(t), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	var v string
	if err := conn.QueryRow(timeout(t), sql).Scan(&v); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return v
}

const mk = "create table kept as select 'value' as v"

func exe(t *testing.T, url, sql string) {
	t.Helper()
	conn, err := pgx.Connect(timeout(t), url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(timeout(t), sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{Dir: folder(t)}
	s, err := Postgres(timeout(t), o)
	if err != nil {
		t.Fatal(err)
	}
	exe(t, s.URL("postgres", Superuser), mk)
	exe(t, s.URL("postgres", Superuser), "create role clerk login")
	if fi, err := os.Stat("/proc/" + strconv.Itoa(s.process.Pid())); err == nil {
		if st, ok := fi.Sys().(*syscall.Stat_t); ok && st.Uid == 0 {
			t.Error("PostgreSQL runs as root")
		}
	}
	if got := ask(t, s.URL("postgres", Superuser), "show fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	if err := s.Stop(timeout(t)); err != nil {
		t.Fatal(err)
	}
	select {
	case <-s.Done():
	default:
		t.Error("stopped, yet not done")
	}
	s = startPostgres(t, o)
	if got := ask(t, s.URL("postgres", Superuser), "select v from kept"); got != "value" {
		t.Errorf("after the restart: %q", got)
	}
	if got := ask(t, s.URL("postgres", "clerk"), "select current_user::text"); got != "clerk" {
		t.Errorf("connected as %q", got)
	}
}

func TestPostgresSecondStartIsRefused(t *testing.T) {
	t.Parallel()
	o := PostgresOptions{Dir: folder(t)}
	startPostgres(t, o)
	_, err := Postgres(timeout(t), o)
	if !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("second start: %v; want one that names this process", err)
	}
}

func TestPostgresSurvivesKill(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	cmd, url, _ := runParent(t, dir)
	exe(t, url, mk)
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait() // killed is what it was
	// At once: whatever is left of the old server must not be in the way.
	s := startPostgres(t, PostgresOptions{Dir: filepath.Join(dir, "postgres")})
	if got := ask(t, s.URL("postgres", Superuser), "select v from kept"); got != "value" {
		t.Errorf("after kill -9: %q", got)
	}
	if conn, err := pgx.Connect(timeout(t), url); err == nil {
		_ = conn.Close(context.Background())
		t.Error("the server of the killed process still answers")
	}
}

func TestPostgresClearsWhatWasLeft(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	o := PostgresOptions{Dir: dir}
	s, err := Postgres(timeout(t), o)
	if err != nil {
		t.Fatal(err)
	}
	exe(t, s.URL("postgres", Superuser), mk)
	if err := s.Stop(timeout(t)); err != nil {
		t.Fatal(err)
	}
	data := filepath.Join(dir, "data")
	note := filepath.Join(data, "postmaster.pid")

	t.Run("a note whose number is another program's", func(t *testing.T) {
		text := strconv.Itoa(os.Getpid()) + "\n" + data + "\n0\n5432\n"
		if err := os.WriteFile(note, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Postgres(timeout(t), o)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Stop(timeout(t)); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a server that nobody ends", func(t *testing.T) {
		who, err := child.Unprivileged("postgres", "nobody")
		if err != nil {
			t.Fatal(err)
		}
		in, err := binaries(timeout(t), "", 0, func(string) {})
		if err != nil {
			t.Fatal(err)
		}
		start := exec.Command(filepath.Join(in.bin, "pg_ctl"), "start", "-w", "-D", data,
			"-l", filepath.Join(data, "orphan.log"), "-o", "-k '"+filepath.Join(dir, "run")+"' -c listen_addresses=")
		if who != nil {
			start.SysProcAttr = &syscall.SysProcAttr{Credential: credential(t, data)}
		}
		if out, err := start.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		s := startPostgres(t, o)
		if got := ask(t, s.URL("postgres", Superuser), "select v from kept"); got != "value" {
			t.Errorf("after the orphan: %q", got)
		}
	})
}

// credential is that of the folder's owner.
func credential(t *testing.T, dir string) *syscall.Credential {
	t.Helper()
	fi, err := os.Stat(dir)
	if err != nil {
		t.Fatal(err)
	}
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		t.Fatal("no owner")
	}
	return &syscall.Credential{Uid: st.Uid, Gid: st.Gid}
}

func TestPostgresRefusals(t *testing.T) {
	t.Parallel()
	t.Run("port in use", func(t *testing.T) {
		t.Parallel()
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		_, err = Postgres(timeout(t), PostgresOptions{Dir: folder(t), Listen: l.Addr().String()})
		if err == nil || !strings.Contains(err.Error(), l.Addr().String()) {
			t.Errorf("got %v, want an error that names %s", err, l.Addr())
		}
	})
	t.Run("data of a version that is not there", func(t *testing.T) {
		t.Parallel()
		dir := folder(t)
		if err := os.Mkdir(filepath.Join(dir, "data"), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "data", "PG_VERSION"), []byte("8\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Postgres(timeout(t), PostgresOptions{Dir: dir})
		if err == nil || !strings.Contains(err.Error(), "PostgreSQL 8") {
			t.Errorf("got %v, want an error that names the version", err)
		}
	})
	t.Run("bad setting", func(t *testing.T) {
		t.Parallel()
		dir := folder(t)
		_, err := Postgres(timeout(t), PostgresOptions{Dir: dir, Settings: map[string]string{"no_such": "1"}})
		if err == nil || !strings.Contains(err.Error(), "no_such") {
			t.Errorf("got %v, want the server's own words", err)
		}
		startPostgres(t, PostgresOptions{Dir: dir}) // the folder was given back
	})
	t.Run("folder out of reach", func(t *testing.T) {
		t.Parallel()
		closed := filepath.Join(folder(t), "closed")
		if err := os.Mkdir(closed, 0o700); err != nil {
			t.Fatal(err)
		}
		s, err := Postgres(timeout(t), PostgresOptions{Dir: filepath.Join(closed, "data")})
		if os.Geteuid() != 0 {
			if err != nil {
				t.Fatalf("our own folder: %v", err)
			}
			_ = s.Stop(timeout(t))
			return
		}
		if err == nil || !strings.Contains(err.Error(), "cannot enter "+closed) {
			t.Errorf("got %v, want an error that names %s", err, closed)
		}
	})
}

func TestPostgresLongPath(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(folder(t), strings.Repeat("long/", 20))
	s := startPostgres(t, PostgresOptions{Dir: dir})
	ask(t, s.URL("postgres", Superuser), "select 'answers'")
}

// TestPublishedBinaries runs the server that is fetched where none is installed. Without Maven the refusal has to say
// what to install.
func TestPublishedBinaries(t *testing.T) {
	t.Parallel()
	// What is fetched unpacks in Go, which under the race detector and on busy cores takes more than the minute of the others.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	bin, err := fetch(ctx, func(step string) { t.Log(step) })
	if _, e := exec.LookPath("mvn"); e != nil && errors.Is(err, maven.ErrMissing) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	s := startPostgres(t, PostgresOptions{Dir: folder(t), Binaries: bin})
	if got := ask(t, s.URL("postgres", Superuser), "show server_version"); !strings.HasPrefix(got, "17.") {
		t.Errorf("version %s", got)
	}
}
