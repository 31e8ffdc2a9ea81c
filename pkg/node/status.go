package node

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
)

// lags know how far behind this process's readers are, as they tell it.
type lags struct {
	mu   sync.Mutex
	each map[reading]int64
}

type reading struct {
	reader, topic string
	partition     es.Partition
}

func (l *lags) moved(r reading, behind int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.each == nil {
		l.each = map[reading]int64{}
	}
	l.each[r] = behind
}

func (l *lags) lost(r reading) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.each, r)
}

// behind is -1 where this process does not read.
func (l *lags) behind(r reading) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n, known := l.each[r]; known {
		return n
	}
	return -1
}

// GetStatus says how this process of the service stands.
func (s *logServer) GetStatus(ctx context.Context, _ *logv1.GetStatusRequest) (*logv1.GetStatusResponse, error) {
	n := s.node
	out := &logv1.GetStatusResponse{Service: n.Config.Service, Ready: n.Health.Ready(), At: n.Config.Now().UnixMicro()}
	for _, p := range n.Health.Parts() {
		out.Parts = append(out.Parts, &logv1.Part{Name: p.Name, Works: p.Works, Required: p.Required})
	}
	for i := range n.Log.Partitions() {
		part := es.Partition(i)
		tail, err := n.Log.Tail(ctx, part)
		if err != nil {
			return nil, err
		}
		out.Partitions = append(out.Partitions, n.relays.status(part, tail.Position))
		for _, p := range n.projections {
			seen := p.Seen(part)
			out.Readers = append(out.Readers, &logv1.ReaderStatus{
				Name: p.Name(), Partition: int32(i), Position: int64(seen), Behind: int64(max(0, tail.Position-seen)),
			})
		}
	}
	if err := n.consumed(ctx, out); err != nil {
		return nil, err
	}
	slices.SortFunc(out.Readers, func(a, b *logv1.ReaderStatus) int {
		return cmp.Or(cmp.Compare(a.GetName(), b.GetName()), cmp.Compare(a.GetTopic(), b.GetTopic()), cmp.Compare(a.GetPartition(), b.GetPartition()))
	})
	return out, n.setAside(ctx, out)
}

// status is how a partition stands with this process's relay.
func (r *relays) status(p es.Partition, tail es.Position) *logv1.PartitionStatus {
	r.mu.Lock()
	defer r.mu.Unlock()
	at := r.each[p]
	out := &logv1.PartitionStatus{Partition: int32(p), Tail: int64(tail), Published: -1}
	switch at.Standing {
	case bus.Stopped:
		out.Publish = logv1.PublishState_PUBLISH_STATE_STOPPED
	case bus.Publishing:
		out.Publish = logv1.PublishState_PUBLISH_STATE_PUBLISHING
	case bus.Waiting:
		out.Publish = logv1.PublishState_PUBLISH_STATE_WAITING
	}
	if at.known {
		out.Published = int64(at.at)
	}
	return out
}

// consumed says how far the topics of others are read, by whichever process.
func (n *Node) consumed(ctx context.Context, out *logv1.GetStatusResponse) error {
	rows, err := n.Pool.Query(ctx, `select reader, topic, partition, position from consumed`)
	if err != nil {
		return fmt.Errorf("node: status: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (*logv1.ReaderStatus, error) {
		r := new(logv1.ReaderStatus)
		err := row.Scan(&r.Name, &r.Topic, &r.Partition, &r.Position)
		r.Behind = n.lags.behind(reading{r.GetName(), r.GetTopic(), es.Partition(r.GetPartition())})
		return r, err
	})
	if err != nil {
		return fmt.Errorf("node: status: %w", err)
	}
	out.Readers = append(out.Readers, list...)
	return nil
}

// setAside counts what reactions have set aside.
func (n *Node) setAside(ctx context.Context, out *logv1.GetStatusResponse) error {
	rows, err := n.Pool.Query(ctx, `select reader, count(*), count(distinct (topic, stream)) from parked group by reader order by reader`)
	if err != nil {
		return fmt.Errorf("node: status: %w", err)
	}
	out.Parked, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (*logv1.ParkedCount, error) {
		p := new(logv1.ParkedCount)
		err := row.Scan(&p.Reaction, &p.Events, &p.Streams)
		return p, err
	})
	if err != nil {
		return fmt.Errorf("node: status: %w", err)
	}
	return nil
}
