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
)

// uuidHeader carries Message.UUID; its name is that of Watermill's own adapter.
const uuidHeader = "_watermill_message_uuid"

// ErrClosed: the publisher or subscriber has been closed.
var ErrClosed = errors.New("mill: closed")

// Publisher writes messages to topics, which have to exist.
type Publisher struct {
	w    *kafka.Writer //nolint:forbidigo // made below
	key  string
	once sync.Once
}

var _ message.Publisher = (*Publisher)(nil)

// NewPublisher makes a publisher; key names the metadata entry that is a record's key. Messages without it are spread evenly.
func NewPublisher(client *kafka.Client, key string) *Publisher {
	//nolint:forbidigo // the one constructor: it asks for every replica's acknowledgement, and does not sit on a message for a second
	w := &kafka.Writer{
		Addr: client.Addr, Transport: client.Transport, Balancer: &kafka.Hash{},
		RequiredAcks: kafka.RequireAll, BatchTimeout: time.Millisecond,
	}
	return &Publisher{w: w, key: key}
}

// Publish returns when every replica in sync has the messages. After an error some may have been stored, and repeated with the
// next attempt. The messages' contexts do not end it: a write that was given up can land later all the same.
func (p *Publisher) Publish(topic string, messages ...*message.Message) error {
	records := make([]kafka.Message, len(messages))
	for i, m := range messages {
		r := kafka.Message{Topic: topic, Value: m.Payload, Headers: make([]kafka.Header, 0, len(m.Metadata)+1)}
		r.Headers = append(r.Headers, kafka.Header{Key: uuidHeader, Value: []byte(m.UUID)})
		for k, v := range m.Metadata {
			if k == uuidHeader {
				return fmt.Errorf("mill: metadata %s is taken by the message's UUID", k)
			}
			r.Headers = append(r.Headers, kafka.Header{Key: k, Value: []byte(v)})
		}
		if k, ok := m.Metadata[p.key]; ok {
			r.Key = []byte(k)
		}
		records[i] = r
	}
	err := p.w.WriteMessages(context.Background(), records...)
	switch {
	case errors.Is(err, io.ErrClosedPipe):
		return ErrClosed
	case err != nil:
		return fmt.Errorf("mill: publish to %s: %w", topic, err)
	}
	return nil
}

// Close ends the publisher once what is being written has been.
func (p *Publisher) Close() (err error) {
	p.once.Do(func() { err = p.w.Close() })
	return err
}
