package node_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/embedded/kafka"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/node"
)

const (
	unpublished = "obole_relay_behind_events"
	unread      = "obole_reader_behind_records"
	parkedNow   = `obole_parked_events{reaction="echo"}`
	parkedEver  = `obole_parked_total{reaction="echo"}`
)

// TestWhatIsToldWhileTheBrokerIsAway: the service goes on, its relay says that it does not, and the gauges go with what is.
func TestWhatIsToldWhileTheBrokerIsAway(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Minute)
	defer cancel()
	b, err := kafka.Start(ctx, kafka.Options{Dir: t.TempDir(), Heap: "256m"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.Close() }) // its folder goes with the test
	c := blueprint(t, b.Addr())
	topic(t, bus.NewClient(c.Kafka.Brokers, nil), c)
	p := build(t, c, "test")
	if _, ready, parts := p.page(); ready || len(parts) != 2 || parts[node.PartRelay] || parts[node.PartTails] {
		t.Errorf("before it runs: ready %v, %v", ready, parts)
	}
	p.run()
	await(t, "both parts to work", func() bool {
		_, ready, parts := p.page()
		return ready && parts[node.PartRelay]
	})
	p.put(6)
	await(t, "what was told", func() bool { return p.heard() == 6 })
	await(t, "nothing to be behind", func() bool {
		m, _, _ := p.page()
		out, partitioned := sum(m, unpublished)
		in, read := sum(m, unread)
		return out == 0 && partitioned == partitions && in == 0 && read == partitions
	})

	b.Kill()
	await(t, "the relay to say so by itself", func() bool { _, _, parts := p.page(); return !parts[node.PartRelay] })
	p.put(7)
	await(t, "what was stored meanwhile to be behind, and the readers to say that they do not know", func() bool {
		m, ready, parts := p.page()
		out, _ := sum(m, unpublished)
		_, read := sum(m, unread)
		return out == 7 && read == 0 && ready && !parts[node.PartRelay]
	})
	if err := b.Resume(ctx); err != nil {
		t.Fatal(err)
	}
	within(t, time.Minute, "all of it", func() bool {
		m, _, parts := p.page()
		out, _ := sum(m, unpublished)
		return parts[node.PartRelay] && out == 0 && p.heard() == 13
	})
}

// TestParkedIsWhatIsParkedNow beside how often something was.
func TestParkedIsWhatIsParkedNow(t *testing.T) {
	t.Parallel()
	c := blueprint(t, brokers(t)...)
	name := topic(t, bus.NewClient(c.Kafka.Brokers, nil), c)
	p := raise(t, c, "test")
	await(t, "the gauge of nothing", func() bool { m, _, _ := p.page(); v, ok := m[parkedNow]; return ok && v == 0 })
	stuck := es.StreamOf(id.Random())
	p.on(stuck, poison, 1, 1)
	p.put(3)
	await(t, "three events to be parked, one of them by itself", func() bool {
		m, _, _ := p.page()
		return m[parkedNow] == 3 && m[parkedEver] == 1 && p.heard() == 3
	})
	p.cured.Store(true)
	p.redrive(name, stuck, 3)
	await(t, "nothing to be parked", func() bool { m, _, _ := p.page(); return m[parkedNow] == 0 && m[parkedEver] == 1 })
}

// TestOneRelayOfTwoIsEnough: a process whose partitions another publishes is well, says nothing of how far behind they are, and
// takes over when the other ends.
func TestOneRelayOfTwoIsEnough(t *testing.T) {
	t.Parallel()
	c := blueprint(t, brokers(t)...)
	topic(t, bus.NewClient(c.Kafka.Brokers, nil), c)
	first := raise(t, c)
	well := func(p *plant, gauges int) func() bool {
		return func() bool {
			m, _, parts := p.page()
			_, n := sum(m, unpublished)
			return parts[node.PartRelay] && n == gauges
		}
	}
	await(t, "the first", well(first, partitions))
	second := raise(t, c)
	await(t, "the second", well(second, 0))
	first.stop()
	await(t, "the second in the first's place", well(second, partitions))
}

// TestAServiceStartsOverATopicThatDiffers and neither publishes to it nor reads it: commands are decided all the same.
func TestAServiceStartsOverATopicThatDiffers(t *testing.T) {
	t.Parallel()
	c := blueprint(t, brokers(t)...)
	client := bus.NewClient(c.Kafka.Brokers, nil)
	name := node.Topic(c.Kafka.Prefix, c.Service)
	if err := bus.Ensure(t.Context(), client, bus.Topic{Name: name, Partitions: partitions + 1}); err != nil {
		t.Fatal(err)
	}
	said := make(chan string, 64)
	c.Seams.Log = lines(func(line string) {
		select {
		case said <- line:
		default: // enough is known
		}
	})
	p := raise(t, c, "test")
	p.put(5)
	for told := map[string]bool{"msg=relay": true, "msg=reader": true}; len(told) > 0; {
		line := <-said
		for what := range told {
			if strings.Contains(line, what) && strings.Contains(line, "the topic is not as it has to be") {
				delete(told, what)
			}
		}
	}
	await(t, "the service to be ready", func() bool { _, ready, _ := p.page(); return ready })
	if _, _, parts := p.page(); parts[node.PartRelay] || published(t, client, name) != 0 || p.heard() != 0 {
		t.Errorf("%v, %d published, %d heard", parts, published(t, client, name), p.heard())
	}
}

// lines are a log that is listened to.
type lines func(string)

func (l lines) Write(b []byte) (int, error) {
	l(string(b))
	return len(b), nil
}
