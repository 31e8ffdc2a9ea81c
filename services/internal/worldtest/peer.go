package worldtest

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/node"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// Peer stands in for another service on the event path: what it tells goes over a real relay and the real topic.
type Peer struct {
	w        *World
	log      *esmem.Log
	versions map[es.Stream]es.Version
}

// Peer begins to publish as a service.
func (w *World) Peer(service string) *Peer {
	p := &Peer{w: w, log: esmem.New(Partitions, time.Now), versions: map[es.Stream]es.Version{}}
	client := bus.NewClient(w.Brokers, nil)
	for part := range Partitions {
		r := &bus.Relay{
			Client: client, Log: p.log, Topic: node.Topic(w.Prefix, service), Partition: es.Partition(part), Source: "/obole/" + service,
			Connect: func(ctx context.Context) (*pgx.Conn, error) { return pgx.Connect(ctx, w.server) },
			Alarm:   func(_ es.Partition, err error) { w.t.Logf("peer %s: %v", service, err) },
		}
		w.Start(r.Run)
	}
	return p
}

// Tell stores an event of the peer, with its meta filled in; m is the context's Event message.
func (p *Peer) Tell(stream es.Stream, m proto.Message) id.ID {
	p.w.t.Helper()
	ctx := context.Background()
	part := es.PartitionOf(stream, Partitions)
	tail, err := p.log.Tail(ctx, part)
	if err != nil {
		p.w.t.Fatal(err)
	}
	s, err := p.log.Session(ctx, part)
	if err != nil {
		p.w.t.Fatal(err)
	}
	defer func() { _ = s.Close() }() // nothing is pending
	event, at := id.Random(), time.Now().UTC().Truncate(time.Microsecond)
	r := m.ProtoReflect()
	meta := &eventv1.Meta{EventId: event[:], CorrelationId: event[:], RecordedAt: at.UnixMicro(), Actor: &eventv1.Actor{Role: eventv1.Role_ROLE_SERVICE, Id: "peer"}}
	r.Set(r.Descriptor().Fields().ByName("meta"), protoreflect.ValueOfMessage(meta.ProtoReflect()))
	data, err := proto.Marshal(m)
	if err != nil {
		p.w.t.Fatal(err)
	}
	p.versions[stream]++
	rec := es.Record{
		Partition: part, Position: tail.Position + 1, ID: event, Stream: stream, Version: p.versions[stream], Command: id.Random(),
		Type: string(r.WhichOneof(r.Descriptor().Oneofs().ByName("event")).Name()), Data: data,
		Meta: es.EncodeMeta(es.Meta{ID: event, Hash: [32]byte{1}}), At: at,
	}
	rec.Chain = es.NextChain(tail.Chain, &rec)
	if _, err := s.Append(ctx, &es.Batch{Tail: tail, Records: []es.Record{rec}}); err != nil {
		p.w.t.Fatal(err)
	}
	return event
}
