// Package kafka runs one real Apache Kafka broker (KRaft, its own controller) for tests and benchmarks, from the jars
// that the project publishes or, without a JDK and Maven, from its image. A [Broker] can be stopped, killed and
// started again on the same address and data, which is what a test of the event path wants to do to it.
//
// It is not how production runs Kafka, nor what `obole up` runs.
package kafka

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/embedded/internal/child"
	"github.com/obole-market/obole/pkg/embedded/internal/maven"
)

// Version is what runs; the pom and the image are of it.
const Version = "4.3.1"

//go:embed pom.xml
var pom []byte

// ErrMissing says that this machine cannot run Kafka; its text says what to install.
var ErrMissing = errors.New("no Apache Kafka on this machine. Install a JDK 17 or newer and Maven (Debian and Ubuntu: " +
	"apt-get install default-jdk-headless maven; Homebrew: brew install openjdk maven), or Docker; or name a running one in KAFKA_BROKERS")

// Options say how the broker runs. The zero value is right for a test.
type Options struct {
	Dir      string            // keeps data and log; empty means a temporary folder, removed at Close
	Heap     string            // of the JVM, such as 512m, which is the default
	Settings map[string]string // broker settings over the house's own
	Progress func(step string) // told of every step that may take a while; may be nil
}

// Broker is one broker with its address and data. Its methods are not safe for concurrent use.
type Broker struct {
	options    Options
	runner     runner
	process    *child.Process
	addr       string // of clients
	controller string
	temporary  bool
}

// runner is one of the ways to run a broker on a folder with a server.properties.
type runner interface {
	// data is how the broker itself sees the folder.
	data(dir string) string
	format(ctx context.Context, dir string) error
	start(dir string) (*child.Process, error)
	kill(p *child.Process)
}

// Start starts a broker on free ports of the loopback and returns when it answers. ctx bounds the start.
func Start(ctx context.Context, o Options) (*Broker, error) {
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if o.Heap == "" {
		o.Heap = "512m"
	}
	b := &Broker{options: o}
	var err error
	if b.runner, err = choose(ctx, o); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	if o.Dir == "" {
		if b.options.Dir, err = os.MkdirTemp("", "obole-kafka-"); err != nil {
			return nil, err
		}
		b.temporary = true
	}
	if err := b.prepare(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("kafka: %w", err), b.Close())
	}
	o.Progress("starting Kafka " + Version)
	if err := b.Resume(ctx); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// choose takes the jars where Java is, else the image where Docker answers.
func choose(ctx context.Context, o Options) (runner, error) {
	java, err := exec.LookPath("java")
	if err == nil {
		var libs string
		libs, err = maven.Once("kafka-"+Version, func(dir string) error {
			o.Progress("fetching Kafka " + Version)
			return maven.Dependencies(ctx, pom, dir)
		})
		if err == nil {
			return jars{java: java, libs: libs, heap: o.Heap}, nil
		}
		if !errors.Is(err, maven.ErrMissing) {
			return nil, err
		}
	}
	if docker, dockerErr := exec.LookPath("docker"); dockerErr == nil {
		if exec.CommandContext(ctx, docker, "info").Run() == nil {
			o.Progress("fetching the image of Kafka " + Version)
			return &image{docker: docker, heap: o.Heap}, nil
		}
	}
	return nil, fmt.Errorf("%w (%w)", ErrMissing, err)
}

// prepare settles the addresses and writes and formats the data folder.
func (b *Broker) prepare(ctx context.Context) error {
	if err := os.MkdirAll(b.options.Dir, 0o755); err != nil {
		return err
	}
	var err error
	if b.addr, b.controller, err = freePorts(); err != nil {
		return err
	}
	settings := b.settings()
	for k, v := range b.options.Settings {
		settings[k] = v
	}
	var s strings.Builder
	for k, v := range settings {
		fmt.Fprintf(&s, "%s=%s\n", k, v)
	}
	file := filepath.Join(b.options.Dir, "server.properties")
	if err := os.WriteFile(file, []byte(s.String()), 0o644); err != nil {
		return err
	}
	return b.runner.format(ctx, b.options.Dir)
}

// settings are those of one node that shares two cores with everything else.
func (b *Broker) settings() map[string]string {
	return map[string]string{
		"process.roles":                                    "broker,controller",
		"node.id":                                          "1",
		"controller.quorum.voters":                         "1@" + b.controller,
		"controller.listener.names":                        "CONTROLLER",
		"listeners":                                        "PLAINTEXT://" + b.addr + ",CONTROLLER://" + b.controller,
		"advertised.listeners":                             "PLAINTEXT://" + b.addr,
		"log.dirs":                                         b.runner.data(b.options.Dir),
		"auto.create.topics.enable":                        "false",
		"group.initial.rebalance.delay.ms":                 "0",
		"group.min.session.timeout.ms":                     "1000",
		"offsets.topic.replication.factor":                 "1",
		"offsets.topic.num.partitions":                     "4",
		"transaction.state.log.replication.factor":         "1",
		"transaction.state.log.min.isr":                    "1",
		"transaction.state.log.num.partitions":             "2",
		"share.coordinator.state.topic.replication.factor": "1",
		"share.coordinator.state.topic.min.isr":            "1",
		"share.coordinator.state.topic.num.partitions":     "2",
		"num.network.threads":                              "2",
		"num.io.threads":                                   "4",
		// Many small topics: their index files and the cleaner's buffer would be most of the memory.
		"log.index.size.max.bytes":        "1048576",
		"log.cleaner.dedupe.buffer.size":  "8388608",
		"log.segment.delete.delay.ms":     "1000",
		"log.retention.check.interval.ms": "3600000",
	}
}

// freePorts are two addresses of the loopback that nobody uses now.
func freePorts() (string, string, error) {
	a, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", err
	}
	b, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", "", errors.Join(err, a.Close())
	}
	return a.Addr().String(), b.Addr().String(), errors.Join(a.Close(), b.Close())
}

// Addr is the host and port of clients, the same for the broker's whole life.
func (b *Broker) Addr() string { return b.addr }

// Dir is the folder of its data.
func (b *Broker) Dir() string { return b.options.Dir }

// Done is closed when the broker's process has ended, asked or not.
func (b *Broker) Done() <-chan struct{} { return b.process.Done() }

// Resume starts a broker that was stopped or killed and returns when it answers.
func (b *Broker) Resume(ctx context.Context) error {
	p, err := b.runner.start(b.options.Dir)
	if err != nil {
		return fmt.Errorf("kafka: %w", err)
	}
	b.process = p
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = answers(ctx, b.addr); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.Done():
			return errors.Join(errors.New("kafka: the broker ended at its start"), p.Err())
		case <-ctx.Done():
			b.Kill()
			return fmt.Errorf("kafka: the broker did not start in time: %w (%w)%s", ctx.Err(), err, p.Tail())
		}
	}
}

// answers asks for the cluster's controller, which is known only once the broker serves.
func answers(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	conn, err := kafka.DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return err
	}
	_, err = conn.Controller()
	return err
}

// Stop ends the broker in order: its log is flushed. Resume starts it again.
func (b *Broker) Stop(ctx context.Context) error { return b.process.Stop(ctx, syscall.SIGTERM) }

// Kill ends the broker as kill -9 does. Resume starts it again.
func (b *Broker) Kill() { b.runner.kill(b.process) }

// Close ends the broker and removes the data that nobody named a folder for.
func (b *Broker) Close() error {
	if b.process != nil {
		b.Kill()
	}
	if b.temporary {
		return os.RemoveAll(b.options.Dir)
	}
	return nil
}
