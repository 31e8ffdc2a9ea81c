package node_test

import (
	"errors"
	"io"
	"slices"
	"testing"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
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

// TestParkedStreamsAreListedAndRedriven, as an operator does it: page by page, and again and again until what was wrong is mended.
func TestParkedStreamsAreListedAndRedriven(t *testing.T) {
	t.Parallel()
	c := blueprint(t, brokers(t)...)
	name := topic(t, bus.NewClient(c.Kafka.Brokers, nil), c)
	p := raise(t, c, "test")
	operator := logv1.NewLogServiceClient(p.dial(eventv1.Role_ROLE_OPERATOR))
	var streams []string
	for n := range 5 {
		s := es.StreamOf(id.Random())
		p.on(s, append([]int64{1, poison}, make([]int64, n)...)...) // n events wait behind the one
		streams = append(streams, string(s))
	}
	list := func(size uint32) (all []*logv1.Parked, pages int) {
		t.Helper()
		for token := ""; ; pages++ {
			r, err := operator.ListParked(t.Context(), &logv1.ListParkedRequest{PageSize: size, PageToken: token})
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, r.GetParked()...)
			if token = r.GetNextPageToken(); token == "" {
				return all, pages + 1
			}
			if len(r.GetParked()) != int(size) {
				t.Fatalf("a page of %d that is not the last", len(r.GetParked()))
			}
		}
	}
	await(t, "all to be parked", func() bool {
		m, _, _ := p.page()
		return m[parkedNow] == 5+0+1+2+3+4 && p.heard() == 5
	})
	slices.Sort(streams)
	for _, size := range []uint32{0, 1, 2, 5} {
		all, pages := list(size)
		var got []string
		for _, one := range all {
			got = append(got, one.GetStream())
			if one.GetReaction() != "echo" || one.GetTopic() != name || one.GetType() != "put" || one.GetReason() != "refused: POISON" || one.GetParkedAt() == 0 ||
				es.PartitionOf(es.Stream(one.GetStream()), partitions) != es.Partition(one.GetPartition()) || one.GetPosition() < 2 {
				t.Errorf("parked %v", one)
			}
		}
		if !slices.Equal(got, streams) || size == 1 && pages < 5 {
			t.Errorf("by %d: %d pages of %v, want %v", size, pages, got, streams)
		}
	}
	if _, err := operator.ListParked(t.Context(), &logv1.ListParkedRequest{PageToken: "x"}); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("a page that is none: %v", err)
	}

	redrive := func(reaction, stream string) (handled, left int64, err error) {
		r, err := operator.Redrive(t.Context(), &logv1.RedriveRequest{Reaction: reaction, Topic: name, Stream: stream})
		return r.GetHandled(), r.GetLeft(), err
	}
	all, _ := list(0)
	for _, one := range all {
		if handled, left, err := redrive("echo", one.GetStream()); err != nil || handled != 0 || left != one.GetWaiting()+1 {
			t.Errorf("too early: %d handled, %d left of %d, %v", handled, left, one.GetWaiting()+1, err)
		}
	}
	p.cured.Store(true)
	for _, one := range all {
		if handled, left, err := redrive("echo", one.GetStream()); err != nil || handled != one.GetWaiting()+1 || left != 0 {
			t.Errorf("%d handled of %d, %d left, %v", handled, one.GetWaiting()+1, left, err)
		}
	}
	if all, _ := list(0); len(all) != 0 || p.heard() != 5+5+0+1+2+3+4 {
		t.Errorf("%d are parked after all, %d were handled", len(all), p.heard())
	}
	if _, _, err := redrive("nobody", streams[0]); fault.ReasonOf(err) != "REACTION_UNKNOWN" {
		t.Errorf("a reaction that is none: %v", err)
	}
	if handled, left, err := redrive("echo", streams[0]); err != nil || handled != 0 || left != 0 {
		t.Errorf("what is not parked: %d handled, %d left, %v", handled, left, err)
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
