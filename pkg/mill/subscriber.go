package mill

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/obole-market/obole/pkg/bus"
)

// Subscriber reads topics as a member of a consumer group.
type Subscriber struct {
	Client  *kafka.Client
	Brokers []string
	Group   string
	// Topic is how SubscribeInitialize makes a topic, apart from its name.
	Topic bus.Topic
	// Grace is how long a message that was handed out may still be acknowledged once its partition is to be given up; 1 s if zero.
	Grace time.Duration
	// Alarm is told what keeps a topic from being read.
	Alarm func(topic string, err error)

	mu      sync.Mutex
	closing []context.CancelFunc // one per subscription
	closed  bool
	running sync.WaitGroup
}

var (
	_ message.Subscriber           = (*Subscriber)(nil)
	_ message.SubscribeInitializer = (*Subscriber)(nil)
)

const (
	fetchBytes = 1 << 20
	fetchWait  = 250 * time.Millisecond
	// commitEvery bounds what is delivered again after a crash; on an orderly end nothing is.
	commitEvery = 100 * time.Millisecond
	again       = 100 * time.Millisecond // from a nack to the next delivery, or a failed fetch to the next
)

// SubscribeInitialize makes a topic that is missing.
func (s *Subscriber) SubscribeInitialize(topic string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	t := s.Topic
	t.Name, t.Partitions = topic, max(t.Partitions, 1)
	return bus.Ensure(ctx, s.Client, t)
}

// Subscribe delivers a topic's messages until ctx or the subscriber ends; then the channel is closed. The topic has to exist: a
// group that waits for one spins.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	until, cancel := context.WithCancel(ctx)
	s.closing = append(s.closing, cancel)
	out := make(chan *message.Message)
	s.running.Go(func() {
		defer close(out)
		for until.Err() == nil {
			if err := s.join(ctx, until, topic, out); err != nil && until.Err() == nil {
				s.alarm(topic, err)
				sleep(until, 200*time.Millisecond)
			}
		}
	})
	return out, nil
}

// Close ends all subscriptions: what was handed out may be acknowledged within the grace, then the group is left.
func (s *Subscriber) Close() error {
	s.mu.Lock()
	s.closed = true
	for _, cancel := range s.closing {
		cancel()
	}
	s.mu.Unlock()
	s.running.Wait()
	return nil
}

func (s *Subscriber) alarm(topic string, err error) {
	if s.Alarm != nil {
		s.Alarm(topic, err)
	}
}

// join is one membership of the group, from first generation to last. Messages' contexts derive from ctx, which outlasts until.
func (s *Subscriber) join(ctx, until context.Context, topic string, out chan<- *message.Message) error {
	group, err := kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: s.Group, Brokers: s.Brokers, Dialer: bus.Dialer(s.Client), Topics: []string{topic},
		JoinGroupBackoff: 200 * time.Millisecond, HeartbeatInterval: 500 * time.Millisecond, SessionTimeout: 10 * time.Second,
		RebalanceTimeout: 10 * time.Second, StartOffset: kafka.FirstOffset, WatchPartitionChanges: false,
	})
	if err != nil {
		return fmt.Errorf("mill: group %s: %w", s.Group, err)
	}
	var readers sync.WaitGroup // a generation that has already ended does not wait for what is started in it
	defer readers.Wait()
	defer func() { _ = group.Close() }() // leaves the group; the session would end by itself
	for {
		gen, err := group.Next(until)
		if err != nil {
			if errors.Is(err, kafka.GroupCoordinatorNotAvailable) || errors.Is(err, kafka.GroupLoadInProgress) ||
				errors.Is(err, kafka.NotCoordinatorForGroup) || errors.Is(err, kafka.RebalanceInProgress) {
				continue // a broker that has just begun, or a member more
			}
			return fmt.Errorf("mill: group %s: %w", s.Group, err)
		}
		for _, part := range gen.Assignments[topic] {
			r := reader{Subscriber: s, topic: topic, part: part.ID, next: part.Offset, out: out}
			r.commit = func(offset int64) error {
				return gen.CommitOffsets(map[string]map[int]int64{topic: {part.ID: offset}})
			}
			readers.Add(1)
			gen.Start(func(gen context.Context) {
				defer readers.Done()
				if err := r.run(ctx, gen); err != nil && gen.Err() == nil && until.Err() == nil {
					s.alarm(topic, err)
					sleep(gen, 200*time.Millisecond) // our end is the generation's, for all partitions
				}
			})
		}
	}
}

// reader follows one partition for one generation.
type reader struct {
	*Subscriber
	topic     string
	part      int
	out       chan<- *message.Message
	next      int64 // offset after the last acknowledged record
	committed time.Time
	dirty     bool
	commit    func(offset int64) error
}

func (r *reader) run(ctx, gen context.Context) (err error) {
	// The last commit of a generation that ends because its group changes is still taken, and the next owner begins there.
	defer func() { err = errors.Join(err, r.save(0)) }()
	for gen.Err() == nil {
		if err := r.save(0); err != nil {
			return err
		}
		res, err := r.Client.Fetch(gen, &kafka.FetchRequest{
			Topic: r.topic, Partition: r.part, Offset: r.next, MinBytes: 1, MaxBytes: fetchBytes, MaxWait: fetchWait,
		})
		if err == nil {
			err = res.Error
		}
		if errors.Is(err, kafka.OffsetOutOfRange) {
			r.next = kafka.FirstOffset // another life of the topic
			continue
		}
		if err != nil { // membership is the heartbeat's matter; a leader that has just changed is found again
			if gen.Err() == nil {
				r.alarm(r.topic, fmt.Errorf("mill: fetch %s/%d: %w", r.topic, r.part, err))
				sleep(gen, again)
			}
			continue
		}
		if err := r.deliver(ctx, gen, res.Records); err != nil {
			return err
		}
	}
	return nil
}

// deliver hands out what was fetched, one after the other.
func (r *reader) deliver(ctx, gen context.Context, records kafka.RecordReader) error {
	for {
		rec, err := records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("mill: fetch %s/%d: %w", r.topic, r.part, err)
		}
		if rec.Offset < r.next {
			continue // a batch may begin before what was asked for
		}
		payload, err := protocol.ReadAll(rec.Value)
		if err != nil {
			return fmt.Errorf("mill: fetch %s/%d: %w", r.topic, r.part, err)
		}
		for {
			acked, ended := r.hand(ctx, gen, r.message(rec, payload))
			if acked {
				break
			}
			if ended {
				return nil
			}
			sleep(gen, again)
		}
		r.next, r.dirty = rec.Offset+1, true
		if err := r.save(commitEvery); err != nil {
			return err
		}
	}
}

// message makes one of a record; each delivery has its own, since it can be acknowledged once.
func (r *reader) message(rec *kafka.Record, payload []byte) *message.Message {
	m := message.NewMessage(fmt.Sprintf("%s/%d/%d", r.topic, r.part, rec.Offset), payload)
	for _, h := range rec.Headers {
		if h.Key == uuidHeader {
			m.UUID = string(h.Value)
			continue
		}
		m.Metadata.Set(h.Key, string(h.Value))
	}
	return m
}

// hand gives a message out and waits for the answer, not much longer than the generation lasts.
func (r *reader) hand(ctx, gen context.Context, m *message.Message) (acked, ended bool) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m.SetContext(ctx)
	select {
	case r.out <- m:
	case <-gen.Done():
		return false, true
	case <-ctx.Done():
		return false, true
	}
	select {
	case <-m.Acked():
		return true, false
	case <-m.Nacked():
		return false, false
	case <-gen.Done():
	case <-ctx.Done():
	}
	// Who is at work on it may finish: the next owner of the partition would do it again.
	grace := time.NewTimer(max(r.Grace, 0))
	if r.Grace == 0 {
		grace.Reset(time.Second)
	}
	defer grace.Stop()
	select {
	case <-m.Acked():
		return true, true
	case <-m.Nacked():
	case <-grace.C:
	}
	return false, true
}

// save commits how far the reader has come, unless it did so a moment ago.
func (r *reader) save(every time.Duration) error {
	if !r.dirty || time.Since(r.committed) < every {
		return nil
	}
	if err := r.commit(r.next); err != nil {
		return fmt.Errorf("mill: commit %s/%d: %w", r.topic, r.part, err)
	}
	r.committed, r.dirty = time.Now(), false
	return nil
}

// sleep waits, unless ctx ends first.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
