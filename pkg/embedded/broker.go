package embedded

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
)

// Topic is one that the broker shall have.
type Topic struct {
	Name       string
	Partitions int32 // at least 1, fixed at the topic's birth
	Config     map[string]string
}

// BrokerOptions say where and how the broker runs. Dir is required.
type BrokerOptions struct {
	// Dir keeps topics, records and groups; it is made when missing.
	Dir string
	// Port is on the loopback; 0 means a free one.
	Port int
	// Topics are made unless they stand.
	Topics []Topic
	// Log receives what the broker warns of; nil drops it.
	Log *slog.Logger
	// Progress is told of every step that may take a while.
	Progress func(step string)
}

// BrokerServer is a running broker.
type BrokerServer struct {
	cluster *kfake.Cluster
	lock    *os.File
	addr    string
}

// Broker starts a broker inside this process, on the folder, that speaks Kafka's protocol. A topic that stands with
// another number of partitions is refused. Data that cannot be read are moved aside and said so in the log: the
// relays fill the topics again.
func Broker(ctx context.Context, o BrokerOptions) (*BrokerServer, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(string) {}
	}
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	l, err := lock(o.Dir)
	if err != nil {
		return nil, err
	}
	o.Progress("starting the broker")
	b, err := serve(ctx, o)
	if err != nil {
		return nil, errors.Join(err, unlock(l))
	}
	b.lock = l
	o.Log.Info("broker ready", "addr", b.addr, "dir", o.Dir)
	return b, nil
}

func serve(ctx context.Context, o BrokerOptions) (*BrokerServer, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", fmt.Sprintf("127.0.0.1:%d", o.Port))
	if err != nil {
		return nil, fmt.Errorf("embedded: the broker's port: %w", err)
	}
	data := filepath.Join(o.Dir, "data")
	cluster, err := open(data, listener, o.Log)
	if err != nil {
		aside := data + time.Now().UTC().Format(".20060102T150405.000")
		if e := os.Rename(data, aside); e != nil {
			return nil, fmt.Errorf("embedded: broker: %w", errors.Join(err, e, listener.Close()))
		}
		o.Log.Error("the broker's data cannot be read and were moved aside; its topics begin empty", "aside", aside, "error", err)
		// The failed attempt closed the listener.
		if listener, err = (&net.ListenConfig{}).Listen(ctx, "tcp", listener.Addr().String()); err != nil {
			return nil, fmt.Errorf("embedded: the broker's port: %w", err)
		}
		if cluster, err = open(data, listener, o.Log); err != nil {
			return nil, fmt.Errorf("embedded: broker: %w", err)
		}
	}
	for _, t := range o.Topics {
		if err := ensure(cluster, t); err != nil {
			cluster.Close()
			return nil, err
		}
	}
	return &BrokerServer{cluster: cluster, addr: listener.Addr().String()}, nil
}

func open(data string, listener net.Listener, log *slog.Logger) (*kfake.Cluster, error) {
	return kfake.NewCluster(
		kfake.NumBrokers(1),
		kfake.ClusterID("obole"),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return listener, nil }),
		kfake.DataDir(data),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.WithLogger(logger{log}),
	)
}

func ensure(c *kfake.Cluster, t Topic) error {
	err := c.CreateTopic(t.Name, t.Partitions, t.Config)
	if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return fmt.Errorf("embedded: topic %s: %w", t.Name, err)
	}
	if n := len(c.PartitionInfos(t.Name)); n != int(t.Partitions) {
		return fmt.Errorf("embedded: topic %s has %d partitions, not %d: their number is fixed at its birth", t.Name, n, t.Partitions)
	}
	return nil
}

// Addr is the host and port of clients.
func (b *BrokerServer) Addr() string { return b.addr }

// Stop ends the broker, writes what it holds and gives the folder back.
func (b *BrokerServer) Stop() error {
	b.cluster.Close()
	return unlock(b.lock)
}

// logger hands on warnings and errors; the lower levels tell of every request.
type logger struct{ log *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	switch text := strings.TrimSpace(fmt.Sprintf(format, args...)); level {
	case kfake.LogLevelError:
		l.log.Error(text, "from", "broker")
	case kfake.LogLevelWarn:
		l.log.Warn(text, "from", "broker")
	}
}
