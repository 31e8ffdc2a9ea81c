package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/embedded/internal/child"
)

// Superuser is the role that owns the server.
const Superuser = "postgres"

// PostgresOptions say where and how PostgreSQL runs. Dir is required.
type PostgresOptions struct {
	// Dir keeps the data; it is made when missing. As root it must be in reach of the user who runs the server.
	Dir string
	// Listen is a TCP address beside the Unix socket, port 0 for a free one; empty means none. Whoever reaches the
	// address is let in as whoever they say they are: it is for tests and for tools on one's own machine. The socket
	// lies in a folder that only we can enter.
	Listen string
	// Settings are server settings over the house's own.
	Settings map[string]string
	// Binaries is the folder of initdb, pg_ctl and postgres; empty means to find or to fetch them.
	Binaries string
	// Log receives what we do; nil drops it. The server's own log is the file postgres.log in Dir.
	Log *slog.Logger
	// Progress is told of every step that may take a while.
	Progress func(step string)
}

// PostgresServer is a running PostgreSQL.
type PostgresServer struct {
	options PostgresOptions
	process *child.Process
	lock    *os.File
	socket  string // folder of the socket
	host    string // of TCP
	port    int
	remove  bool // socket folder is a temporary one
}

// Postgres starts PostgreSQL on the folder and returns when it answers. ctx bounds the start; Stop ends what was
// started. When this process dies without Stop, the server shuts down by itself; where the kernel cannot arrange that,
// the next start on the folder does.
func Postgres(ctx context.Context, o PostgresOptions) (*PostgresServer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	dir, err := filepath.Abs(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Dir = dir
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	l, err := lock(dir)
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{options: o, lock: l}
	if err := s.start(ctx); err != nil {
		return nil, errors.Join(err, s.release())
	}
	return s, nil
}

func (s *PostgresServer) start(ctx context.Context) error {
	o := s.options
	who, err := child.Unprivileged("postgres", "nobody")
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	if err := who.Reach(o.Dir); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	data := filepath.Join(o.Dir, "data")
	major, err := dataVersion(data)
	if err != nil {
		return err
	}
	in, err := binaries(ctx, o.Binaries, major, o.Progress)
	if err != nil {
		return err
	}
	o.Log.Info("postgres", "binaries", in.bin, "version", in.major, "dir", o.Dir)
	if major == 0 {
		o.Progress("creating the database")
		if err := initialise(ctx, in, who, data); err != nil {
			return fmt.Errorf("embedded: initdb: %w", err)
		}
	} else if err := clearOrphan(ctx, in, who, data); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	if err := s.makeSocket(who); err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	o.Progress("starting the database")
	return s.launch(ctx, in, who, data)
}

// dataVersion is the major version of the data, 0 when there are none.
func dataVersion(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, os.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("embedded: %w", err)
	}
	v, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("embedded: %s is no folder of PostgreSQL data", data)
	}
	return v, nil
}

// initialise makes the data beside their place and moves them when they are whole: a start that was killed here leaves
// nothing that looks like data.
func initialise(ctx context.Context, in install, who *child.User, data string) error {
	fresh := data + ".new"
	if err := os.RemoveAll(fresh); err != nil {
		return err
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return err
	}
	if err := who.Own(fresh); err != nil {
		return err
	}
	err := child.Run(ctx, child.Options{
		Path: filepath.Join(in.bin, "initdb"),
		// One order of text on every machine, and no say of the shell's locale.
		Args: []string{"-D", fresh, "-U", Superuser, "--auth=trust", "--encoding=UTF8", "--locale=C", "--data-checksums"},
		Env:  environment(), Dir: "/", User: who, Log: data + ".initdb.log",
	})
	if err != nil {
		return err
	}
	if err := os.Rename(fresh, data); err != nil {
		return err
	}
	return os.Remove(data + ".initdb.log")
}

// environment holds no PG* variable, which would turn the programs to somebody else's server.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "PG") || strings.HasPrefix(v, "LC_") })
}

// clearOrphan ends a server that a killed owner of the folder left behind, and removes the note of one that is gone.
// The folder's lock is ours, so nobody wants that server any more.
func clearOrphan(ctx context.Context, in install, who *child.User, data string) error {
	note := filepath.Join(data, "postmaster.pid")
	b, err := os.ReadFile(note)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil || !serves(pid, data) {
		// Its number may be another program's by now, which PostgreSQL would take for itself.
		if err := os.Remove(note); !errors.Is(err, os.ErrNotExist) {
			return err
		}
		return nil
	}
	log := data + ".stop.log"
	defer os.Remove(log)
	err = child.Run(ctx, child.Options{
		Path: filepath.Join(in.bin, "pg_ctl"), Args: []string{"stop", "-D", data, "-m", "fast", "-w", "-t", "60"},
		Env: environment(), Dir: "/", User: who, Log: log,
	})
	// It was told to stop when its owner was killed, and may have been done just before it was asked again.
	if _, gone := os.Stat(note); err != nil && errors.Is(gone, os.ErrNotExist) {
		return nil
	}
	return err
}

// serves says whether a process runs on the data: a server's working folder is its data. Where the kernel does not
// tell, any living process is taken for it.
func serves(pid int, data string) bool {
	if err := syscall.Kill(pid, 0); errors.Is(err, syscall.ESRCH) {
		return false
	}
	if _, err := os.Stat("/proc/self/cwd"); err != nil {
		return true
	}
	cwd, err := os.Readlink("/proc/" + strconv.Itoa(pid) + "/cwd")
	return err == nil && cwd == data
}

// makeSocket makes the folder of the socket: in Dir, or a temporary one where that path is too long for a socket.
func (s *PostgresServer) makeSocket(who *child.User) error {
	const most = 107 - len("/.s.PGSQL.65535") // sun_path holds 108 bytes with its end, 104 on macOS
	s.socket = filepath.Join(s.options.Dir, "run")
	if len(s.socket) > most-4 {
		dir, err := os.MkdirTemp("/tmp", "obole-")
		if err != nil {
			return err
		}
		s.socket, s.remove = dir, true
	}
	if err := os.MkdirAll(s.socket, 0o700); err != nil {
		return err
	}
	return who.Own(s.socket)
}

// launch starts the server and waits for its first answer.
func (s *PostgresServer) launch(ctx context.Context, in install, who *child.User, data string) error {
	if err := s.choosePort(); err != nil {
		return err
	}
	settings := map[string]string{
		"listen_addresses":        s.host,
		"port":                    strconv.Itoa(s.port),
		"unix_socket_directories": s.socket,
		"max_connections":         "200",
		"shared_buffers":          "128MB",
		"max_wal_size":            "2GB",
		"jit":                     "off", // compiles longer than our queries run
		"lc_messages":             "C",
		// The server's log must hold no personal data: no statement and no row of a failed one.
		"log_min_error_statement": "panic",
		"log_error_verbosity":     "terse",
	}
	for k, v := range s.options.Settings {
		settings[k] = v
	}
	args := []string{"-D", data}
	for k, v := range settings {
		args = append(args, "-c", k+"="+v)
	}
	log := filepath.Join(s.options.Dir, "postgres.log")
	if fi, err := os.Stat(log); err == nil && fi.Size() > 1<<20 {
		if err := os.Rename(log, log+".1"); err != nil {
			return fmt.Errorf("embedded: %w", err)
		}
	}
	p, err := child.Start(child.Options{
		Path: filepath.Join(in.bin, "postgres"), Args: args, Env: environment(), Dir: "/", User: who,
		Log: log, Orphaned: syscall.SIGINT, // its fast shutdown, which is clean
	})
	if err != nil {
		return fmt.Errorf("embedded: %w", err)
	}
	s.process = p
	if err := s.ready(ctx); err != nil {
		quit, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = p.Stop(quit, syscall.SIGQUIT) // its immediate shutdown; what went wrong before is the error to tell
		return fmt.Errorf("embedded: PostgreSQL did not start: %w", err)
	}
	s.options.Log.Info("postgres ready", "pid", p.Pid(), "socket", s.socket, "port", s.port)
	return nil
}

// choosePort settles the TCP port, so that one in use is named before the server fails on it.
func (s *PostgresServer) choosePort() error {
	s.port = 5432
	if s.options.Listen == "" {
		return nil
	}
	l, err := net.Listen("tcp", s.options.Listen)
	if err != nil {
		return fmt.Errorf("embedded: PostgreSQL's port: %w", err)
	}
	addr, ok := l.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("embedded: %s is no TCP address", s.options.Listen)
	}
	s.host, s.port = addr.IP.String(), addr.Port
	return l.Close()
}

// ready waits until the server answers or has ended. A server that starts tells nobody, so it is asked.
func (s *PostgresServer) ready(ctx context.Context) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres", Superuser))
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-s.process.Done():
			return errors.Join(s.process.Err(), errors.New(s.process.Tail()))
		case <-ctx.Done():
			return errors.Join(ctx.Err(), err)
		}
	}
}

// URL names a database as a role: over TCP where Listen asked for it, else over the socket.
func (s *PostgresServer) URL(database, role string) string {
	u := url.URL{Scheme: "postgres", User: url.User(role), Path: "/" + database}
	q := url.Values{"sslmode": {"disable"}}
	if s.host == "" {
		q.Set("host", s.socket)
		q.Set("port", strconv.Itoa(s.port))
	} else {
		u.Host = net.JoinHostPort(s.host, strconv.Itoa(s.port))
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// Done is closed when the server has ended, asked or not.
func (s *PostgresServer) Done() <-chan struct{} { return s.process.Done() }

// Stop shuts the server down and gives the folder back. Open sessions are ended, their transactions rolled back. One
// that has not stopped when ctx is over is killed: its data are safe, the next start takes longer.
func (s *PostgresServer) Stop(ctx context.Context) error {
	return errors.Join(s.process.Stop(ctx, syscall.SIGINT), s.release())
}

func (s *PostgresServer) release() error {
	var err error
	if s.remove {
		err = os.RemoveAll(s.socket)
	}
	return errors.Join(err, unlock(s.lock))
}
