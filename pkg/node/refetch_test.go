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
