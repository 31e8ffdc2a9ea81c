package node

import (
	"bytes"
	"context"
	"errors"
	"io"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
)

// logServer answers LogService.
type logServer struct {
	logv1.UnimplementedLogServiceServer

	node *Node
}

const (
	logBytes = 256 << 10 // about the size of one message
	logScan  = 5000
)

var (
	errPartition   = fault.Invalid("partition", "is no partition of this log")
	errIncarnation = fault.Refuse("LOG_INCARNATION", "the partition lives another incarnation")
	errReaction    = fault.NotFound("REACTION_UNKNOWN", "there is no such reaction in this service")
)

// ReadLog streams one partition's records, exactly as stored.
func (s *logServer) ReadLog(r *logv1.ReadLogRequest, stream grpc.ServerStreamingServer[logv1.ReadLogResponse]) error {
	ctx, log, part := stream.Context(), s.node.Log, es.Partition(r.GetPartition())
	if int(part) >= log.Partitions() {
		return errPartition
	}
	lives, err := log.Lives(ctx, part)
	if err != nil {
		return err
	}
	if present := lives[len(lives)-1].Incarnation; len(r.GetIncarnation()) > 0 && !bytes.Equal(r.GetIncarnation(), present[:]) {
		return errIncarnation
	}
	tail, err := log.Tail(ctx, part)
	if err != nil {
		return err
	}
	upTo := tail.Position
	if r.GetLimit() > 0 {
		upTo = min(upTo, es.Position(r.GetAfter()+r.GetLimit()))
	}
	for after := es.Position(r.GetAfter()); after < upTo; {
		message, size := new(logv1.ReadLogResponse), 0
		_, err := log.Scan(ctx, part, after, logScan, func(rec *es.Record) error {
			inc := es.LifeAt(lives, rec.Position).Incarnation
			if rec.Position > upTo || size >= logBytes || len(message.Events) > 0 && string(message.GetIncarnation()) != string(inc[:]) {
				return io.EOF
			}
			message.Incarnation = inc[:]
			message.Events = append(message.Events, Stored(rec))
			size += len(rec.Data)
			after = rec.Position
			return nil
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		if len(message.GetEvents()) == 0 {
			return nil
		}
		if err := stream.Send(message); err != nil {
			return err
		}
	}
	return nil
}

// Stored copies a record, which is only lent, into the contract's form.
func Stored(r *es.Record) *eventv1.StoredEvent {
	own := make([]byte, 0, len(r.ID)+len(r.Command)+len(r.Chain)+len(r.Data)+len(r.Meta))
	part := func(b []byte) []byte {
		own = append(own, b...)
		return own[len(own)-len(b) : len(own) : len(own)]
	}
	return &eventv1.StoredEvent{
		Position: int64(r.Position), Id: part(r.ID[:]), Stream: string(r.Stream), Version: int64(r.Version), Command: part(r.Command[:]),
		Ordinal: r.Ordinal, Type: r.Type, Data: part(r.Data), At: r.At.UnixMicro(), Chain: part(r.Chain[:]), Meta: part(r.Meta),
	}
}

// Lives gives a partition's lives in the contract's form.
func Lives(lives []es.Life) (out []*eventv1.Life) {
	for _, l := range lives {
		m := &eventv1.Life{Incarnation: l.Incarnation[:], After: int64(l.After)}
		if l.After > 0 {
			m.Before = l.Before[:]
		}
		out = append(out, m)
	}
	return out
}

// Lived is Lives' inverse.
func Lived(list []*eventv1.Life) (out []es.Life) {
	for _, m := range list {
		l := es.Life{After: es.Position(m.GetAfter())}
		copy(l.Incarnation[:], m.GetIncarnation())
		copy(l.Before[:], m.GetBefore())
		out = append(out, l)
	}
	return out
}

// Record is Stored's inverse, for a partition.
func Record(p es.Partition, e *eventv1.StoredEvent) *es.Record {
	r := &es.Record{
		Partition: p, Position: es.Position(e.GetPosition()), Stream: es.Stream(e.GetStream()), Version: es.Version(e.GetVersion()),
		Ordinal: e.GetOrdinal(), Type: e.GetType(), Data: e.GetData(), Meta: e.GetMeta(), At: time.UnixMicro(e.GetAt()).UTC(),
	}
	copy(r.ID[:], e.GetId())
	copy(r.Command[:], e.GetCommand())
	copy(r.Chain[:], e.GetChain())
	return r
}

// ListParked lists the streams that reactions set aside.
func (s *logServer) ListParked(ctx context.Context, r *logv1.ListParkedRequest) (*logv1.ListParkedResponse, error) {
	after := new(logv1.Parked)
	if err := boot.ParsePage("parked", r.GetPageToken(), after); err != nil {
		return nil, err
	}
	limit := int(r.GetPageSize())
	if limit == 0 {
		limit = 100
	}
	out := new(logv1.ListParkedResponse)
	for _, name := range slices.Sorted(maps.Keys(s.node.reactions)) {
		if name < after.GetReaction() {
			continue
		}
		var topic string
		var stream es.Stream
		if name == after.GetReaction() {
			topic, stream = after.GetTopic(), es.Stream(after.GetStream())
		}
		stuck, err := s.node.reactions[name].Stuck(ctx, topic, stream, limit-len(out.GetParked()))
		if err != nil {
			return nil, err
		}
		for _, e := range stuck {
			out.Parked = append(out.Parked, &logv1.Parked{
				Reaction: name, Topic: e.Topic, Stream: string(e.Stream), Position: int64(e.Position), Partition: int32(e.Partition),
				Type: e.Type, Reason: e.Reason, Waiting: e.Waiting, ParkedAt: e.ParkedAt.UnixMicro(),
			})
		}
		if n := len(out.GetParked()); n == limit {
			last := out.GetParked()[n-1]
			var err error
			out.NextPageToken, err = boot.PageToken("parked", &logv1.Parked{Reaction: last.GetReaction(), Topic: last.GetTopic(), Stream: last.GetStream()})
			return out, err
		}
	}
	return out, nil
}

// Redrive handles a parked stream again.
func (s *logServer) Redrive(ctx context.Context, r *logv1.RedriveRequest) (*logv1.RedriveResponse, error) {
	reaction, ok := s.node.reactions[r.GetReaction()]
	if !ok {
		return nil, errReaction
	}
	handled, left, err := reaction.Redrive(ctx, r.GetTopic(), es.Stream(r.GetStream()))
	if err != nil && left == 0 {
		return nil, err
	}
	// A stream that is stuck again is an answer, not a failure: left says so, and ListParked why.
	return &logv1.RedriveResponse{Handled: handled, Left: left}, nil
}

// refetcher reads from a topic's owner what the topic withheld.
type refetcher struct {
	peers  *boot.Peers
	prefix string

	mu    sync.Mutex
	conns map[string]logv1.LogServiceClient
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

func (f *refetcher) read(ctx context.Context, topic string, p es.Partition, after, upTo es.Position, visit func(es.Incarnation, *es.Record) error) error {
	c, err := f.client(topic)
	if err != nil {
		return err
	}
	stream, err := c.ReadLog(ctx, &logv1.ReadLogRequest{Partition: int32(p), After: int64(after), Limit: int64(upTo - after)})
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

// Cause is who and what an event's reaction acts for: the event that caused it, and its story.
func Cause(service string, cause id.ID, m *eventv1.Meta) *eventv1.Meta {
	story := m.GetCorrelationId()
	if len(story) == 0 {
		story = cause[:]
	}
	return &eventv1.Meta{
		CausationId: cause[:], CorrelationId: story, Actor: &eventv1.Actor{Role: eventv1.Role_ROLE_SERVICE, Id: service}, OnBehalfOf: m.GetActor(),
	}
}

// Traced gives a context in which what a reaction causes belongs to the trace of its event.
func Traced(ctx context.Context, e *bus.Received) context.Context {
	meta, err := es.DecodeMeta(e.Meta)
	if err != nil || meta.Trace == "" {
		return ctx
	}
	return boot.WithTraceParent(ctx, meta.Trace)
}
