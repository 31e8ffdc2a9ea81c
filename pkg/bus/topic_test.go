package bus_test

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
)

// set changes one setting of the world's topic.
func (w *world) set(name, value string) {
	w.t.Helper()
	res, err := w.client.IncrementalAlterConfigs(context.Background(), &kafka.IncrementalAlterConfigsRequest{
		Resources: []kafka.IncrementalAlterConfigsRequestResource{{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: w.topic,
			Configs: []kafka.IncrementalAlterConfigsRequestConfig{{Name: name, Value: value, ConfigOperation: kafka.ConfigOperationSet}},
		}},
	})
	if err == nil {
		err = res.Resources[0].Error
	}
	if err != nil {
		w.t.Fatal(err)
	}
}

// TestATopicThatDiffersIsNotUsed: nothing is published to it nor read from it until it is as it has to be.
func TestATopicThatDiffersIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, wrong := range map[string]string{"cleanup.policy": "compact", "retention.ms": "86400000", "retention.bytes": "1073741824"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			w.set(name, wrong)
			refused := make(chan error, 64)
			note := func(err error) {
				select {
				case refused <- err:
				default: // enough is known
				}
			}
			await(t, "the setting to be known", func() bool { return errors.Is(bus.Fits(t.Context(), w.client, w.topic, 1), bus.ErrTopic) })
			r := w.relay()
			r.Alarm = func(_ es.Partition, err error) { note(err) }
			var c collector
			f := w.feed("reader", (&bus.Reaction{Name: "reader", Pool: w.pool, Types: ways, Handle: func(_ context.Context, e *bus.Received) error { c.add(e); return nil }}).Take)
			f.Alarm = func(_ string, _ es.Partition, err error) { note(err) }
			w.append("a:one")
			run(t, r.Run)
			run(t, f.Run)
			for range 2 { // of both
				if err := <-refused; !errors.Is(err, bus.ErrTopic) {
					t.Errorf("refused with %v", err)
				}
			}
			if end := w.end(); end != 0 {
				t.Errorf("%d records were published", end)
			}
			w.set(name, bus.Kept()[name])
			await(t, "the event", func() bool { return len(c.list()) == 1 })
		})
	}
}

// end is the offset after the newest record of the world's topic.
func (w *world) end() int64 {
	w.t.Helper()
	res, err := w.client.ListOffsets(context.Background(), &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{w.topic: {kafka.LastOffsetOf(0)}}})
	if err != nil {
		w.t.Fatal(err)
	}
	return res.Topics[w.topic][0].LastOffset
}

// TestATopicOfOtherPartitionsIsNotUsed: what one partition's order is, would not be another's.
func TestATopicOfOtherPartitionsIsNotUsed(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.topic += ".two"
	if err := bus.Ensure(t.Context(), w.client, bus.Topic{Name: w.topic, Partitions: 2}); err != nil {
		t.Fatal(err)
	}
	published, read := make(chan error, 16), make(chan error, 16)
	r := w.relay()
	r.Alarm = func(_ es.Partition, err error) { published <- err }
	f := w.feed("reader", nil)
	f.Partitions = map[string]int{w.topic: 1}
	f.Alarm = func(_ string, _ es.Partition, err error) { read <- err }
	w.append("a:one")
	run(t, r.Run)
	run(t, f.Run)
	if err := <-published; !errors.Is(err, bus.ErrTopic) {
		t.Errorf("the relay says %v", err)
	}
	if err := <-read; !errors.Is(err, bus.ErrTopic) {
		t.Errorf("the reader says %v", err)
	}
	if end := w.end(); end != 0 {
		t.Errorf("%d records were published", end)
	}
	f.Partitions = nil
	if err := bus.Fits(t.Context(), w.client, w.topic, 0); err != nil {
		t.Errorf("where any number is right: %v", err)
	}
}

// cut deletes the oldest records of the world's topic, up to an offset, which kafka-go cannot; -1 deletes all.
func (w *world) cut(upTo int64) {
	w.t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers(w.t)...))
	if err != nil {
		w.t.Fatal(err)
	}
	defer c.Close()
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis = 10_000
	req.Topics = []kmsg.DeleteRecordsRequestTopic{{Topic: w.topic, Partitions: []kmsg.DeleteRecordsRequestTopicPartition{{Offset: upTo}}}}
	res, err := req.RequestWith(context.Background(), c)
	if err != nil {
		w.t.Fatal(err)
	}
	if code := res.Topics[0].Partitions[0].ErrorCode; code != 0 {
		w.t.Fatal(kafka.Error(code))
	}
}

// TestATopicEmptiedUnderARunningRelayIsRefilled from the first event, whether anything is published meanwhile or not, and a reader goes
// on as if nothing had been.
func TestATopicEmptiedUnderARunningRelayIsRefilled(t *testing.T) {
	t.Parallel()
	for name, busy := range map[string]bool{"at rest": false, "at work": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := begin(t)
			var c collector
			w.reacts("reader", func(_ context.Context, e *bus.Received) error { c.add(e); return nil })
			w.append("a:one", "b:one", "a:two")
			await(t, "the first three", func() bool { return len(c.list()) == 3 })
			stop := func() {}
			if busy {
				stop = run(t, func(ctx context.Context) error {
					for ctx.Err() == nil {
						w.append("c:x")
					}
					return nil
				})
				await(t, "events to come", func() bool { return len(c.list()) > 100 })
			}
			w.cut(-1)
			await(t, "the first event again", func() bool { return slices.Contains(w.onTopic(), 1) })
			stop()
			w.append("b:two")
			tail, err := w.log.Tail(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			await(t, "all of it on the topic", func() bool {
				on := w.onTopic()
				return len(on) > 0 && on[len(on)-1] == tail.Position
			})
			on := w.onTopic()
			inOrder(t, on[slices.Index(on, 1):], tail.Position) // before it stands what was on its way when the topic was emptied
			await(t, "all of it at the reader", func() bool { return len(c.list()) == int(tail.Position) })
			for p, n := range c.count {
				if n != 1 {
					t.Errorf("position %d was handled %d times", p, n)
				}
			}
		})
	}
}
