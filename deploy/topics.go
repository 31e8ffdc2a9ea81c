package deploy

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/segmentio/kafka-go"
)

//go:embed topics.json
var topicsFile []byte

// Topic is the published log of one service. Its number of partitions is that of the log, fixed at the birth of both.
type Topic struct {
	Name        string
	Service     string
	Partitions  int
	Replication int
	Config      map[string]string
}

// Topics are those of topics.json, as production has them.
func Topics() []Topic {
	var file struct {
		Replication int
		Config      map[string]string
		Topics      []Topic
	}
	if err := json.Unmarshal(topicsFile, &file); err != nil {
		panic("deploy: topics.json: " + err.Error()) // built in, and tested
	}
	for i := range file.Topics {
		file.Topics[i].Replication = file.Replication
		file.Topics[i].Config = maps.Clone(file.Config)
	}
	return file.Topics
}

// Single are the topics for one broker: one replica, in sync by itself.
func Single(partitions int) []Topic {
	topics := Topics()
	for i := range topics {
		topics[i].Partitions, topics[i].Replication = partitions, 1
		topics[i].Config["min.insync.replicas"] = "1"
	}
	return topics
}

// CreateTopics makes the topics that are missing and refuses one that stands with another number of partitions.
func CreateTopics(ctx context.Context, client *kafka.Client, topics []Topic) error {
	request := &kafka.CreateTopicsRequest{}
	for _, t := range topics {
		c := kafka.TopicConfig{Topic: t.Name, NumPartitions: t.Partitions, ReplicationFactor: t.Replication}
		for _, name := range slices.Sorted(maps.Keys(t.Config)) {
			c.ConfigEntries = append(c.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: t.Config[name]})
		}
		request.Topics = append(request.Topics, c)
	}
	made, err := client.CreateTopics(ctx, request)
	if err != nil {
		return fmt.Errorf("deploy: create topics: %w", err)
	}
	for _, t := range topics {
		switch err := made.Errors[t.Name]; {
		case err == nil:
		case errors.Is(err, kafka.TopicAlreadyExists):
			if err := compare(ctx, client, t); err != nil {
				return err
			}
		default:
			return fmt.Errorf("deploy: create topic %s: %w", t.Name, err)
		}
	}
	return nil
}

func compare(ctx context.Context, client *kafka.Client, t Topic) error {
	found, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{t.Name}})
	if err != nil {
		return fmt.Errorf("deploy: topic %s: %w", t.Name, err)
	}
	for _, f := range found.Topics {
		if f.Error != nil {
			return fmt.Errorf("deploy: topic %s: %w", t.Name, f.Error)
		}
		if len(f.Partitions) != t.Partitions {
			return fmt.Errorf("deploy: topic %s has %d partitions, not %d: their number is fixed at its birth",
				t.Name, len(f.Partitions), t.Partitions)
		}
	}
	return nil
}
