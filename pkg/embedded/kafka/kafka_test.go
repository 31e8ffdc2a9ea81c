package kafka_test

import (
	"context"
	"errors"
	"testing"
	"time"

	kafkago "github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/embedded/kafka"
)

// TestBroker stops, kills and resumes a broker: what it acknowledged is there each time, under the same address.
func TestBroker(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	b, err := kafka.Start(ctx, kafka.Options{Progress: func(step string) { t.Log(step) }})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	}()
	client := &kafkago.Client{Addr: kafkago.TCP(b.Addr()), Timeout: 10 * time.Second}
	made, err := client.CreateTopics(ctx, &kafkago.CreateTopicsRequest{
		Topics: []kafkago.TopicConfig{{Topic: "t", NumPartitions: 1, ReplicationFactor: 1}},
	})
	if err != nil || made.Errors["t"] != nil {
		t.Fatal(err, made)
	}
	var sent int64
	write := func() {
		t.Helper()
		conn, err := kafkago.DialLeader(ctx, "tcp", b.Addr(), "t", 0)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// A broker answers before it leads its partitions again; what it refuses as no leader it has not written.
		for err = kafkago.NotLeaderForPartition; errors.Is(err, kafkago.NotLeaderForPartition) && ctx.Err() == nil; {
			_, err = conn.Write([]byte("v"))
		}
		if err != nil {
			t.Fatal(err)
		}
		sent++
		if last, err := conn.ReadLastOffset(); err != nil || last != sent {
			t.Fatalf("%d records after %d were acknowledged, %v", last, sent, err)
		}
	}
	write()
	if err := b.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	if err := b.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	write()
	b.Kill()
	select {
	case <-b.Done():
	default:
		t.Error("killed, yet not done")
	}
	if err := b.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	write()
}
