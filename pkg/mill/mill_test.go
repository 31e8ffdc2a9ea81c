package mill_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"
	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/mill"
)

func brokers(t *testing.T) []string {
	t.Helper()
	v := os.Getenv("KAFKA_BROKERS")
	if v == "" {
		t.Fatal("KAFKA_BROKERS is not set: these tests run on the real thing, make test brings it")
	}
	return strings.Split(v, ",")
}

func pair(t *testing.T, group string) (*mill.Publisher, *mill.Subscriber) {
	t.Helper()
	client := bus.NewClient(brokers(t), nil)
	return mill.NewPublisher(client, "key"), &mill.Subscriber{
		Client: client, Brokers: brokers(t), Group: group, Topic: bus.Topic{Partitions: 8},
		Alarm: func(topic string, err error) { t.Logf("%s: %v", topic, err) },
	}
}

// keyed gives the suite's messages the key that their order goes by: their payload.
type keyed struct{ message.Publisher }

func (p keyed) Publish(topic string, messages ...*message.Message) error {
	for _, m := range messages {
		m.Metadata.Set("key", string(m.Payload))
	}
	return p.Publisher.Publish(topic, messages...)
}

// TestSuite is Watermill's own: once with keys, whose messages keep their order, once spread over all partitions.
func TestSuite(t *testing.T) {
	t.Parallel()
	for name, ordered := range map[string]bool{"Ordered": true, "Spread": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			grouped := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
				p, s := pair(t, group)
				if ordered {
					return keyed{p}, s
				}
				return p, s
			}
			tests.TestPubSub(t, tests.Features{
				ConsumerGroups: true, GuaranteedOrder: ordered, Persistent: true, ForceShort: os.Getenv("OBOLE_TORTURE") != "full",
			}, func(t *testing.T) (message.Publisher, message.Subscriber) { return grouped(t, t.Name()) }, grouped)
		})
	}
}

func receive(t *testing.T, from <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, open := <-from:
		if !open {
			t.Fatal("the channel is closed")
		}
		return m
	case <-time.After(20 * time.Second):
		t.Fatal("no message")
	}
	return nil
}

// TestCloseDrains shows that what is acknowledged during Close is not delivered again, and what is not, is.
func TestCloseDrains(t *testing.T) {
	t.Parallel()
	topic := "mill." + id.Random().String()
	p, first := pair(t, topic)
	first.Topic.Partitions, first.Grace = 1, 10*time.Second
	if err := first.SubscribeInitialize(topic); err != nil {
		t.Fatal(err)
	}
	for i := range 3 {
		if err := p.Publish(topic, message.NewMessage(fmt.Sprint(i), []byte("x"))); err != nil {
			t.Fatal(err)
		}
	}
	messages, err := first.Subscribe(context.Background(), topic)
	if err != nil {
		t.Fatal(err)
	}
	receive(t, messages).Ack()
	second := receive(t, messages)
	closed := make(chan error)
	go func() { closed <- first.Close() }()
	for begun := false; !begun; { // once Subscribe refuses, Close waits for the message that is out
		_, err := first.Subscribe(context.Background(), topic)
		begun = err != nil
	}
	if second.Context().Err() != nil {
		t.Error("the message's context ended within the grace")
	}
	second.Ack()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	_, next := pair(t, topic)
	t.Cleanup(func() { _ = next.Close() })
	messages, err = next.Subscribe(context.Background(), topic)
	if err != nil {
		t.Fatal(err)
	}
	third := receive(t, messages)
	third.Nack()
	repeated := receive(t, messages)
	if third.UUID != "2" || repeated.UUID != "2" {
		t.Errorf("got %s and %s, want the third message twice", third.UUID, repeated.UUID)
	}
	repeated.Ack()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(topic, message.NewMessage("3", nil)); err != mill.ErrClosed { //nolint:errorlint // it is the sentinel itself
		t.Errorf("a closed publisher says %v", err)
	}
}

// TestForeignRecord shows that a record of another producer is a message too, named after its place.
func TestForeignRecord(t *testing.T) {
	t.Parallel()
	topic := "mill." + id.Random().String()
	p, s := pair(t, topic)
	t.Cleanup(func() { _ = s.Close(); _ = p.Close() })
	s.Topic.Partitions = 1
	if err := s.SubscribeInitialize(topic); err != nil {
		t.Fatal(err)
	}
	for {
		res, err := s.Client.Produce(context.Background(), &kafka.ProduceRequest{
			Topic: topic, RequiredAcks: kafka.RequireAll,
			Records: kafka.NewRecordReader(kafka.Record{Value: kafka.NewBytes([]byte("v")), Headers: []kafka.Header{{Key: "a", Value: []byte("b")}}}),
		})
		if err == nil && errors.Is(res.Error, kafka.NotLeaderForPartition) {
			continue // the topic is so new that its broker does not know of it everywhere
		}
		if err != nil || res.Error != nil {
			t.Fatal(err, res)
		}
		break
	}
	messages, err := s.Subscribe(context.Background(), topic)
	if err != nil {
		t.Fatal(err)
	}
	m := receive(t, messages)
	m.Ack()
	if m.UUID != topic+"/0/0" || string(m.Payload) != "v" || m.Metadata["a"] != "b" {
		t.Errorf("got %s %q %v", m.UUID, m.Payload, m.Metadata)
	}
	if err := p.Publish(topic, &message.Message{Metadata: message.Metadata{"_watermill_message_uuid": "x"}}); err == nil {
		t.Error("metadata took the UUID's place")
	}
}
