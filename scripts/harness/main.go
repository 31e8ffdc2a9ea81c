// Harness runs a command with a real Apache Kafka and a real PostgreSQL: those that KAFKA_BROKERS and DATABASE_URL
// name, or its own on free ports of the loopback, which end with the command. Its exit code is the command's.
//
//	scripts/with-services go test ./pkg/bus/...
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/obole-market/obole/pkg/embedded"
	"github.com/obole-market/obole/pkg/embedded/kafka"
)

// patience bounds a start: the first one on a machine fetches 44 MB of jars.
const patience = 5 * time.Minute

func main() {
	if len(os.Args) < 2 {
		fmt.Fprintln(os.Stderr, "usage: scripts/with-services COMMAND [ARGUMENT...]")
		os.Exit(2)
	}
	code, err := run(os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "with-services:", err)
	}
	os.Exit(code)
}

func run(command []string) (code int, err error) {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	go func() {
		// A signal during the start ends the start; once the command runs, it is the command's.
		select {
		case s := <-signals:
			signals <- s
			cancel()
		case <-ctx.Done():
		}
	}()
	s, err := start(ctx)
	defer func() {
		if e := s.stop(); e != nil {
			code, err = max(code, 1), errors.Join(err, e)
		}
	}()
	if err != nil {
		return 1, err
	}
	cancel()
	return s.run(command, signals)
}

// services are those we started; what the environment names is not ours to stop.
type services struct {
	env      []string
	folder   string
	broker   *kafka.Broker
	postgres *embedded.PostgresServer
}

// start brings what the environment does not name, both at once.
func start(ctx context.Context) (*services, error) {
	s := &services{env: os.Environ()}
	var err error
	if s.folder, err = os.MkdirTemp("", "obole-test-"); err != nil {
		return s, err
	}
	if err := os.Chmod(s.folder, 0o755); err != nil {
		return s, err
	}
	g, ctx := errgroup.WithContext(ctx)
	if os.Getenv("KAFKA_BROKERS") == "" {
		g.Go(func() error {
			b, err := kafka.Start(ctx, kafka.Options{
				Dir: filepath.Join(s.folder, "kafka"), Heap: "768m", Progress: progress,
			})
			s.broker = b
			return err
		})
	}
	if os.Getenv("DATABASE_URL") == "" {
		g.Go(func() error {
			p, err := embedded.Postgres(ctx, embedded.PostgresOptions{
				Dir: filepath.Join(s.folder, "postgres"), Listen: "127.0.0.1:0", Progress: progress,
				Settings: map[string]string{"max_connections": "400", "shared_buffers": "256MB", "max_wal_size": "4GB"},
			})
			s.postgres = p
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return s, err
	}
	if s.broker != nil {
		s.env = append(s.env, "KAFKA_BROKERS="+s.broker.Addr())
		progress("KAFKA_BROKERS=" + s.broker.Addr())
	}
	if s.postgres != nil {
		url := s.postgres.URL("postgres", embedded.Superuser)
		s.env = append(s.env, "DATABASE_URL="+url)
		progress("DATABASE_URL=" + url)
	}
	return s, nil
}

func progress(step string) { fmt.Fprintln(os.Stderr, "with-services:", step) }

// run runs the command to its end, hands signals on to it and returns its exit code. A service that ends before the
// command does is told, for the command's own failure would be a riddle.
func (s *services) run(command []string, signals <-chan os.Signal) (int, error) {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.env, os.Stdin, os.Stdout, os.Stderr
	if err := cmd.Start(); err != nil {
		return 127, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	var brokerGone, postgresGone <-chan struct{}
	if s.broker != nil {
		brokerGone = s.broker.Done()
	}
	if s.postgres != nil {
		postgresGone = s.postgres.Done()
	}
	var fallen error
	for {
		select {
		case sig := <-signals:
			_ = cmd.Process.Signal(sig) // fails only when it has ended
		case <-brokerGone:
			fallen, brokerGone = errors.Join(fallen, errors.New("kafka ended before the command")), nil
		case <-postgresGone:
			fallen, postgresGone = errors.Join(fallen, errors.New("postgres ended before the command")), nil
		case err := <-ended:
			return exitCode(err, fallen), fallen
		}
	}
}

// exitCode is the command's, as a shell would say it; a command that passed without its services did not pass.
func exitCode(err, fallen error) int {
	var exit *exec.ExitError
	switch {
	case err == nil && fallen == nil:
		return 0
	case errors.As(err, &exit):
		if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
			return 128 + int(status.Signal())
		}
		return exit.ExitCode()
	default:
		return 1
	}
}

// stop ends what start started and removes its data.
func (s *services) stop() error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var g errgroup.Group
	if s.broker != nil {
		g.Go(s.broker.Close)
	}
	if s.postgres != nil {
		g.Go(func() error { return s.postgres.Stop(ctx) })
	}
	return errors.Join(g.Wait(), os.RemoveAll(s.folder))
}
