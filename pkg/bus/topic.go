package bus

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/segmentio/kafka-go"
)

// Topic is how a topic has to be. Topics are made before anybody subscribes, and their partitions never change in number.
type Topic struct {
	Name       string
	Partitions int
	// Replication factor and the least number of replicas in sync; 1 on one broker.
	Replication int
	InSync      int
}

const dialTimeout = 5 * time.Second

// NewClient makes a client of the brokers. Everything of this package goes through it: there is no other producer. The transport
// says how brokers are reached and known; nil means in clear. What it leaves open of times is set.
func NewClient(brokers []string, transport *kafka.Transport) *kafka.Client {
	if transport == nil {
		transport = new(kafka.Transport)
	}
	if transport.DialTimeout == 0 {
		transport.DialTimeout = dialTimeout
	}
	if transport.MetadataTTL == 0 {
		transport.MetadataTTL = 10 * time.Second
	}
	return &kafka.Client{Addr: kafka.TCP(brokers...), Timeout: 30 * time.Second, Transport: transport}
}

// Dialer reaches brokers as a client does: members of a group have connections of their own, which must not be less safe.
func Dialer(c *kafka.Client) *kafka.Dialer {
	d := &kafka.Dialer{Timeout: dialTimeout, DualStack: true}
	if t, ok := c.Transport.(*kafka.Transport); ok {
		d.TLS, d.SASLMechanism, d.DialFunc = t.TLS, t.SASL, t.Dial
	}
	return d
}

// ErrTopic says that a topic is not as it has to be.
var ErrTopic = errors.New("bus: the topic is not as it has to be")

// Kept are the settings of every topic of events: nothing is taken off it by age, by size or by key.
func Kept() map[string]string {
	return map[string]string{"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
}

// Ensure makes topics that are missing and checks those that exist.
func Ensure(ctx context.Context, c *kafka.Client, topics ...Topic) error {
	for _, t := range topics {
		settings := []kafka.ConfigEntry{
			{ConfigName: "min.insync.replicas", ConfigValue: fmt.Sprint(max(t.InSync, 1))},
			{ConfigName: "unclean.leader.election.enable", ConfigValue: "false"},
			{ConfigName: "message.timestamp.type", ConfigValue: "CreateTime"},
		}
		for name, value := range Kept() {
			settings = append(settings, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
		}
		res, err := c.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
			Topic: t.Name, NumPartitions: t.Partitions, ReplicationFactor: max(t.Replication, 1), ConfigEntries: settings,
		}}})
		if err != nil {
			return fmt.Errorf("bus: create topics: %w", err)
		}
		if err := res.Errors[t.Name]; err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
			return fmt.Errorf("bus: create topic %s: %w", t.Name, err)
		}
		if err := check(ctx, c, t); err != nil {
			return err
		}
	}
	return nil
}

// check waits until every partition of a topic has a leader that answers for it, and refuses another number of partitions.
func check(ctx context.Context, c *kafka.Client, t Topic) error {
	for {
		meta, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{t.Name}})
		if err != nil {
			return fmt.Errorf("bus: topic %s: %w", t.Name, err)
		}
		led := 0
		var have []kafka.Partition
		for _, m := range meta.Topics {
			if m.Name == t.Name && m.Error == nil {
				have = m.Partitions
			}
		}
		for _, p := range have {
			if p.Error == nil {
				led++
			}
		}
		switch {
		case len(have) > 0 && len(have) != t.Partitions:
			return fmt.Errorf("%w: %s has %d partitions, the log has %d", ErrTopic, t.Name, len(have), t.Partitions)
		case led == t.Partitions && answers(ctx, c, t):
			return nil
		}
		if err := sleep(ctx, 50*time.Millisecond); err != nil {
			return err
		}
	}
}

// answers says whether the leaders know that they are: the controller tells of them a little earlier.
func answers(ctx context.Context, c *kafka.Client, t Topic) bool {
	ask := make([]kafka.OffsetRequest, t.Partitions)
	for p := range ask {
		ask[p] = kafka.LastOffsetOf(p)
	}
	res, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{t.Name: ask}})
	if err != nil || len(res.Topics[t.Name]) != t.Partitions {
		return false
	}
	return !slices.ContainsFunc(res.Topics[t.Name], func(p kafka.PartitionOffsets) bool { return p.Error != nil })
}

// Fits says whether a topic has these partitions, 0 for any number, and keeps what is written to it; ErrTopic says how it does not.
func Fits(ctx context.Context, c *kafka.Client, topic string, parts int) error {
	meta, err := c.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return fmt.Errorf("bus: topic %s: %w", topic, err)
	}
	for _, t := range meta.Topics {
		if t.Error != nil {
			return fmt.Errorf("bus: topic %s: %w", topic, t.Error)
		}
		if n := len(t.Partitions); parts > 0 && n != parts {
			return fmt.Errorf("%w: %s has %d partitions, the log has %d", ErrTopic, topic, n, parts)
		}
	}
	want := Kept()
	res, err := c.DescribeConfigs(ctx, &kafka.DescribeConfigsRequest{Resources: []kafka.DescribeConfigRequestResource{{
		ResourceType: kafka.ResourceTypeTopic, ResourceName: topic, ConfigNames: slices.Sorted(maps.Keys(want)),
	}}})
	if err != nil {
		return fmt.Errorf("bus: settings of topic %s: %w", topic, err)
	}
	for _, r := range res.Resources {
		if r.Error != nil {
			return fmt.Errorf("bus: settings of topic %s: %w", topic, r.Error)
		}
		for _, e := range r.ConfigEntries {
			if value := want[e.ConfigName]; value != "" && e.ConfigValue != value {
				return fmt.Errorf("%w: %s of %s is %s, not %s", ErrTopic, e.ConfigName, topic, e.ConfigValue, value)
			}
			delete(want, e.ConfigName)
		}
	}
	if len(want) > 0 {
		return fmt.Errorf("bus: settings of topic %s: the broker does not tell %s", topic, slices.Sorted(maps.Keys(want)))
	}
	return nil
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
