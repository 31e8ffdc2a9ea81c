package deploy

import (
	_ "embed"
	"encoding/json"
	"maps"
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
