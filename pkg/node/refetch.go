package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
)

// refetcher reads from a topic's owner what the topic withheld: a service's own from its log, others' from theirs.
type refetcher struct {
	log    es.Reader
	own    string // the topic of log
	peers  *boot.Peers
	prefix string

	mu    sync.Mutex
	conns map[string]logv1.LogServiceClient
}

// refetchMost is how many records are asked for in one call; the contract allows more.
const refetchMost = 100_000

func (f *refetcher) read(ctx context.Context, topic string, p es.Partition, after, upTo es.Position, visit func(es.Incarnation, *es.Record) error) error {
	from := f.stored
	if topic != f.own {
		c, err := f.client(topic)
		if err != nil {
			return err
		}
		from = asked{c}.read
	}
	for after < upTo {
		before := after
		err := from(ctx, p, after, min(upTo-after, refetchMost), func(inc es.Incarnation, r *es.Record) error {
			after = r.Position
			return visit(inc, r)
		})
		if err != nil {
			return err
		}
		if after == before {
			return nil // the owner has no more, which the reader says
		}
	}
	return nil
}

// stored reads from this service's own log.
func (f *refetcher) stored(ctx context.Context, p es.Partition, after, limit es.Position, visit func(es.Incarnation, *es.Record) error) error {
	lives, err := f.log.Lives(ctx, p)
	if err != nil || len(lives) == 0 {
		return err
	}
	_, err = f.log.Scan(ctx, p, after, int(limit), func(r *es.Record) error {
		return visit(es.LifeAt(lives, r.Position).Incarnation, Record(p, Stored(r))) // a copy: what is scanned is only lent
	})
	return err
}

func (f *refetcher) client(topic string) (logv1.LogServiceClient, error) {
	service := strings.TrimSuffix(strings.TrimPrefix(topic, f.prefix+"obole."), ".v1")
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.conns[service]; ok {
		return c, nil
	}
	conn, err := f.peers.Dial(service)
	if err != nil {
		return nil, err
	}
	if f.conns == nil {
		f.conns = map[string]logv1.LogServiceClient{}
	}
	f.conns[service] = logv1.NewLogServiceClient(conn)
	return f.conns[service], nil
}

// asked is the log of a peer.
type asked struct{ logv1.LogServiceClient }

func (a asked) read(ctx context.Context, p es.Partition, after, limit es.Position, visit func(es.Incarnation, *es.Record) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel() // ends a stream that is not read to its end
	stream, err := a.ReadLog(ctx, &logv1.ReadLogRequest{Partition: int32(p), After: int64(after), Limit: int64(limit)})
	if err != nil {
		return err
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		var inc es.Incarnation
		copy(inc[:], m.GetIncarnation())
		for _, e := range m.GetEvents() {
			if err := visit(inc, Record(p, e)); err != nil {
				return err
			}
		}
	}
}

// Covers says whether a configuration names a peer for each of the services whose topics are read: what a topic withholds is
// had from its owner, and without that a gap would stop its readers for good. A service needs no address of its own.
func Covers(c *boot.Config, services ...string) error {
	for _, s := range services {
		if s != c.Service && c.Peers[s] == "" {
			return fmt.Errorf("node: --peers names no address for %s, whose topic %s reads", s, c.Service)
		}
	}
	return nil
}
