package worldtest

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/node"
)

// Peer stands in for another service on the event path: what it tells goes over a real relay and the real topic.
type Peer struct {
	journal
	w *World
}

// Peer begins to publish as a service.
func (w *World) Peer(service string) *Peer {
	p := &Peer{w: w, journal: journal{log: esmem.New(Partitions, time.Now), versions: map[es.Stream]es.Version{}}}
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
	return p.write(p.w.t, stream, m)
}
