package node_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/node"
)

// cut deletes the oldest records of every partition of a topic, up to an offset; kafka-go cannot.
func cut(t *testing.T, topic string, upTo int64) {
	t.Helper()
	c, err := kgo.NewClient(kgo.SeedBrokers(brokers(t)...))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ask := kmsg.DeleteRecordsRequestTopic{Topic: topic}
	for p := range partitions {
		ask.Partitions = append(ask.Partitions, kmsg.DeleteRecordsRequestTopicPartition{Partition: int32(p), Offset: upTo})
	}
	req := kmsg.NewPtrDeleteRecordsRequest()
	req.TimeoutMillis, req.Topics = 10_000, append(req.Topics, ask)
	res, err := req.RequestWith(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range res.Topics[0].Partitions {
		if p.ErrorCode != 0 {
			t.Fatal(kafka.Error(p.ErrorCode))
		}
	}
}

// TestAServiceFillsGapsOfItsOwnTopicFromItsLog: it needs no address of its own for that.
func TestAServiceFillsGapsOfItsOwnTopicFromItsLog(t *testing.T) {
	t.Parallel()
	c := blueprint(t, brokers(t)...)
	client := bus.NewClient(c.Kafka.Brokers, nil)
	name := topic(t, client, c)
	writer := raise(t, c)
	writer.put(60)
	await(t, "both partitions on the topic", func() bool { return published(t, client, name) == 60 })
	writer.stop()
	cut(t, name, 5) // a marker and four events of each
	reader := raise(t, c, "test")
	await(t, "all of them", func() bool { return reader.heard() == 60 })
	if reader.passed("gap") == 0 {
		t.Error("there was no gap")
	}
}

// TestGapsAreFilledOverTheOwnersLog: the topic of another service loses records while they are read; the reader has them from the
// owner, over gRPC and with a token of its own, and goes on.
func TestGapsAreFilledOverTheOwnersLog(t *testing.T) {
	t.Parallel()
	c := blueprint(t, brokers(t)...)
	client := bus.NewClient(c.Kafka.Brokers, nil)
	name := topic(t, client, c)
	owner := raise(t, c)
	other := draw(t, c.issuer, "other", c.Kafka.Prefix, c.Kafka.Brokers...)
	other.Peers = map[string]string{"test": owner.Server.Addr()}
	topic(t, client, other)
	reader := raise(t, other, "test")
	owner.put(20)
	await(t, "the first twenty", func() bool { return reader.heard() == 20 })
	reader.stop()
	owner.put(60)
	await(t, "all on the topic", func() bool { return published(t, client, name) == 80 })
	cut(t, name, 25) // more of each partition than was read, and not all
	again := raise(t, other, "test")
	await(t, "what was not read yet", func() bool { return again.heard() == 60 })
	if again.passed("gap") == 0 {
		t.Error("there was no gap")
	}
	again.mu.Lock()
	defer again.mu.Unlock()
	for at, n := range again.told {
		if _, twice := reader.told[at]; twice || n != 1 {
			t.Errorf("partition %d, position %d was handled %d times, before and after: %v", at&0xff, at>>8, n, twice)
		}
	}
}

// published counts the positions on a topic.
func published(t *testing.T, client *kafka.Client, topic string) int {
	t.Helper()
	seen := map[es.Position]bool{}
	for p := range es.Partition(partitions) {
		list, err := bus.Positions(t.Context(), client, topic, p)
		if err != nil {
			t.Log(err)
			return 0
		}
		for _, at := range list {
			seen[at<<8|es.Position(p)] = true
		}
	}
	return len(seen)
}

// TestWhoReadsATopicMustKnowItsOwner: a service that could never fill a gap does not start.
func TestWhoReadsATopicMustKnowItsOwner(t *testing.T) {
	t.Parallel()
	if err := node.Covers(&boot.Config{Service: "test", Peers: map[string]string{"offers": "127.0.0.1:1"}}, "test", "offers"); err != nil {
		t.Error(err)
	}
	c := blueprint(t, brokers(t)...)
	c.Peers = map[string]string{"offers": "127.0.0.1:1"}
	n, err := node.Open(t.Context(), &c.Config)
	if err != nil {
		t.Fatal(err)
	}
	n.React(&bus.Reaction{Name: "echo"}, "test", "offers", "consent")
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := n.Run(ctx); err == nil || !strings.Contains(err.Error(), "--peers") || !strings.Contains(err.Error(), "consent") {
		t.Errorf("the service says %v", err)
	}
}
