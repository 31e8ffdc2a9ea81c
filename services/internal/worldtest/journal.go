package worldtest

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// journal is a log in memory to which a test writes as a service would have.
type journal struct {
	log      *esmem.Log
	versions map[es.Stream]es.Version
}

// write stores an event with its meta filled in; m is the context's Event message.
func (j journal) write(t testing.TB, stream es.Stream, m proto.Message) id.ID {
	t.Helper()
	ctx := context.Background()
	part := es.PartitionOf(stream, j.log.Partitions())
	tail, err := j.log.Tail(ctx, part)
	if err != nil {
		t.Fatal(err)
	}
	s, err := j.log.Session(ctx, part)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }() // nothing is pending
	event, at := id.Random(), time.Now().UTC().Truncate(time.Microsecond)
	r := m.ProtoReflect()
	meta := &eventv1.Meta{EventId: event[:], CorrelationId: event[:], RecordedAt: at.UnixMicro(), Actor: &eventv1.Actor{Role: eventv1.Role_ROLE_SERVICE, Id: "peer"}}
	r.Set(r.Descriptor().Fields().ByName("meta"), protoreflect.ValueOfMessage(meta.ProtoReflect()))
	data, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	j.versions[stream]++
	rec := es.Record{
		Partition: part, Position: tail.Position + 1, ID: event, Stream: stream, Version: j.versions[stream], Command: id.Random(),
		Type: arm(r), Data: data, Meta: es.EncodeMeta(es.Meta{ID: event, Hash: [32]byte{1}}), At: at,
	}
	rec.Chain = es.NextChain(tail.Chain, &rec)
	if _, err := s.Append(ctx, &es.Batch{Tail: tail, Records: []es.Record{rec}}); err != nil {
		t.Fatal(err)
	}
	return event
}

// arm is the type of an event: the name of the arm that is set.
func arm(m protoreflect.Message) string {
	if f := m.WhichOneof(m.Descriptor().Oneofs().ByName("event")); f != nil {
		return string(f.Name())
	}
	return ""
}

// Memory is a service's own log without a database, for what its reactions come to.
type Memory struct {
	journal
	t      testing.TB
	Engine *es.Engine
}

// NewMemory makes a log of one partition and an engine that does not run yet: roots are registered and what has happened before is told first.
func NewMemory(t testing.TB, service string, now func() time.Time) *Memory {
	log := esmem.New(1, now)
	return &Memory{journal: journal{log, map[es.Stream]es.Version{}}, t: t, Engine: es.New(log, es.Options{Service: service})}
}

// Was tells what has happened before.
func (m *Memory) Was(stream es.Stream, e proto.Message) {
	m.t.Helper()
	m.write(m.t, stream, e)
}

// Run has the engine take commands until the test ends.
func (m *Memory) Run() {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- m.Engine.Run(ctx) }()
	m.t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			m.t.Error(err)
		}
	})
}

// Tail is the newest position.
func (m *Memory) Tail() es.Position {
	m.t.Helper()
	tail, err := m.log.Tail(m.t.Context(), 0)
	if err != nil {
		m.t.Fatal(err)
	}
	return tail.Position
}

// Since are the events behind a position.
func (m *Memory) Since(after es.Position) (list []es.Record) {
	m.t.Helper()
	const most = 1000
	if _, err := m.log.Scan(m.t.Context(), 0, after, most, func(r *es.Record) error {
		list = append(list, *r)
		return nil
	}); err != nil {
		m.t.Fatal(err)
	}
	return list
}
