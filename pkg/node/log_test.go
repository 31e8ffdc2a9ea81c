package node_test

import (
	"errors"
	"io"
	"testing"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
)

// redrive has a parked stream of the plant's topic handled again, as an operator does.
func (p *plant) redrive(topic string, stream es.Stream, want int64) {
	p.t.Helper()
	r, err := logv1.NewLogServiceClient(p.dial(eventv1.Role_ROLE_OPERATOR)).Redrive(p.t.Context(), &logv1.RedriveRequest{
		Reaction: "echo", Topic: topic, Stream: string(stream),
	})
	if err != nil || r.GetHandled() != want || r.GetLeft() != 0 {
		p.t.Errorf("handled %d, left %d, %v", r.GetHandled(), r.GetLeft(), err)
	}
}

// TestAnIncarnationIsWhole: a part of one is no incarnation, and says so.
func TestAnIncarnationIsWhole(t *testing.T) {
	t.Parallel()
	c := blueprint(t, brokers(t)...)
	topic(t, bus.NewClient(c.Kafka.Brokers, nil), c)
	p := raise(t, c)
	p.put(20)
	lives, err := p.Log.Lives(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	log := logv1.NewLogServiceClient(p.dial(eventv1.Role_ROLE_AUDITOR))
	ask := func(incarnation []byte) (events int, err error) {
		stream, err := log.ReadLog(t.Context(), &logv1.ReadLogRequest{Partition: 1, Incarnation: incarnation})
		for err == nil {
			var m *logv1.ReadLogResponse
			if m, err = stream.Recv(); err == nil {
				events += len(m.GetEvents())
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return events, err
	}
	for n := range 20 {
		events, err := ask(append(lives[0].Incarnation[:], 1, 2, 3, 4)[:n])
		switch whole := n == 0 || n == 16; {
		case whole && (err != nil || events == 0):
			t.Errorf("%d bytes: %d events, %v", n, events, err)
		case !whole && fault.KindOf(err) != fault.KindInvalid:
			t.Errorf("%d bytes: %v", n, err)
		}
	}
	if _, err := ask(make([]byte, 16)); fault.ReasonOf(err) != "LOG_INCARNATION" {
		t.Errorf("another incarnation: %v", err)
	}
}
