package deploy_test

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/deploy"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/id"
)

// services of the market; each has a topic, a database and a configuration.
var services = []string{"offers", "consent", "delivery", "settlement"}

// TestTopics: production's and one broker's are the services' own, and keep what is written to them.
func TestTopics(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		topics                          []deploy.Topic
		partitions, replication, insync int
	}{
		"production": {deploy.Topics(), 16, 3, 2}, "one broker": {deploy.Single(2), 2, 1, 1},
	} {
		if len(c.topics) != len(services) {
			t.Errorf("%s: %d topics", name, len(c.topics))
		}
		for i, topic := range c.topics {
			if topic.Service != services[i] || topic.Name != "obole."+services[i]+".v1" || topic.Partitions != c.partitions || topic.Replication != c.replication ||
				topic.Config["min.insync.replicas"] != string(rune('0'+c.insync)) || topic.Config["unclean.leader.election.enable"] != "false" {
				t.Errorf("%s: %+v", name, topic)
			}
			for setting, value := range bus.Kept() {
				if topic.Config[setting] != value {
					t.Errorf("%s: %s of %s is %q, a service starts to publish with %q only", name, setting, topic.Name, topic.Config[setting], value)
				}
			}
		}
	}
	deploy.Single(2)[0].Config["retention.ms"] = "1"
	if deploy.Topics()[0].Config["retention.ms"] != "-1" || deploy.Topics()[1].Config["retention.ms"] != "-1" {
		t.Error("one list's settings are another's")
	}
}

// TestABrokerTakesTheTopics as they are listed, and services take what it has made of them.
func TestABrokerTakesTheTopics(t *testing.T) {
	t.Parallel()
	v := os.Getenv("KAFKA_BROKERS")
	if v == "" {
		t.Fatal("KAFKA_BROKERS is not set: this test runs on the real thing, make test brings it")
	}
	client, prefix := bus.NewClient(strings.Split(v, ","), nil), "test-"+id.Random().String()+"."
	topics := deploy.Single(2)
	request := &kafka.CreateTopicsRequest{}
	for _, topic := range topics {
		c := kafka.TopicConfig{Topic: prefix + topic.Name, NumPartitions: topic.Partitions, ReplicationFactor: topic.Replication}
		for name, value := range topic.Config {
			c.ConfigEntries = append(c.ConfigEntries, kafka.ConfigEntry{ConfigName: name, ConfigValue: value})
		}
		request.Topics = append(request.Topics, c)
	}
	made, err := client.CreateTopics(t.Context(), request)
	if err != nil {
		t.Fatal(err)
	}
	for _, topic := range topics {
		if err := made.Errors[prefix+topic.Name]; err != nil {
			t.Errorf("%s: %v", topic.Name, err)
			continue
		}
		for began := time.Now(); ; time.Sleep(10 * time.Millisecond) { // not every broker knows of it at once
			if err = bus.Fits(t.Context(), client, prefix+topic.Name, 2); err == nil {
				break
			}
			if time.Since(began) > 20*time.Second {
				t.Fatal(err)
			}
		}
	}
}

// TestDatabases: each service has its own, with an owner and an application of the same name.
func TestDatabases(t *testing.T) {
	t.Parallel()
	for _, s := range services {
		if d := deploy.DatabaseOf(s); d.Name != "obole_"+s || d.App != d.Name || d.Owner != d.Name+"_owner" {
			t.Errorf("%+v", d)
		}
	}
}
