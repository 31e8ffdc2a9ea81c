package bus

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	fetchapi "github.com/segmentio/kafka-go/protocol/fetch"
)

// fetched is the answer to one fetch.
type fetched struct {
	first, end int64 // offsets: of the topic's oldest record, and after its newest
	from       int64 // what was asked for
	batches    []byte
	buf        []byte // in which they lie, to be used again
}

const (
	fetchVersion = 11 // of Kafka's Fetch API: the newest that kafka-go negotiates
	clientID     = "obole"
	// fetchMost is the largest answer that is read at all. A broker answers with what was asked for, but for the first batch.
	fetchMost = 256 << 20
	// fetchGrace is how long an answer may take beyond the time that the broker was asked to wait.
	fetchGrace = 10 * time.Second
)

// fetch reads batches of records from an offset on into buf, which grows as needed, waiting at most so long for the first
// byte. After an error buf must not be used again: a request that was given up may still be answered into it.
func fetch(ctx context.Context, c *kafka.Client, topic string, part int, offset int64, bytes int32, wait time.Duration, buf []byte) (f fetched, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait+fetchGrace)
	defer cancel()
	res, err := c.Transport.RoundTrip(ctx, c.Addr, &rawFetch{topic: topic, part: int32(part), offset: offset, bytes: bytes, wait: wait, buf: buf[:0]})
	if err == nil {
		f = res.(*rawFetched).fetched
		err = res.(*rawFetched).err
	}
	if err != nil {
		return fetched{}, fmt.Errorf("bus: fetch %s/%d: %w", topic, part, err)
	}
	return f, nil
}

// rawFetch is a fetch request that writes itself and reads its answer whole: kafka-go's own decoder costs several
// allocations a record. The connection with its TLS and SASL, and the way to the partition's leader, stay kafka-go's.
type rawFetch struct {
	topic  string
	part   int32
	offset int64
	bytes  int32
	wait   time.Duration
	buf    []byte
}

// rawFetched is the answer.
type rawFetched struct {
	fetched
	err error // of the partition
}

var (
	_ protocol.RawExchanger  = (*rawFetch)(nil)
	_ protocol.BrokerMessage = (*rawFetch)(nil)
)

// ApiKey implements protocol.Message.
func (*rawFetch) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:staticcheck // the name is the interface's

// ApiKey implements protocol.Message.
func (*rawFetched) ApiKey() protocol.ApiKey { return protocol.Fetch } //nolint:staticcheck // the name is the interface's

// Broker implements protocol.BrokerMessage: the partition's leader.
func (r *rawFetch) Broker(c protocol.Cluster) (protocol.Broker, error) {
	return (&fetchapi.Request{Topics: []fetchapi.RequestTopic{{
		Topic: r.topic, Partitions: []fetchapi.RequestPartition{{Partition: r.part}},
	}}}).Broker(c)
}

// Required implements protocol.RawExchanger.
func (*rawFetch) Required(map[protocol.ApiKey]int16) bool { return true }

// RawExchange implements protocol.RawExchanger.
func (r *rawFetch) RawExchange(rw io.ReadWriter) (protocol.Message, error) {
	if _, err := rw.Write(r.request()); err != nil {
		return nil, err
	}
	var size [4]byte
	if _, err := io.ReadFull(rw, size[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(size[:]))
	if n > fetchMost {
		return nil, fmt.Errorf("%w: of %d bytes", errAnswer, n)
	}
	if cap(r.buf) < n {
		r.buf = make([]byte, n+n/8)
	}
	r.buf = r.buf[:n]
	if _, err := io.ReadFull(rw, r.buf); err != nil {
		return nil, err
	}
	return r.answer(r.buf)
}

// request encodes the request of one partition, outside of fetch sessions.
func (r *rawFetch) request() []byte {
	be := binary.BigEndian
	b := make([]byte, 4, 128+len(r.topic))
	b = be.AppendUint16(b, uint16(protocol.Fetch))
	b = be.AppendUint16(b, fetchVersion)
	b = be.AppendUint32(b, 0) // correlation: one request at a time
	b = appendText(b, clientID)
	b = be.AppendUint32(b, ^uint32(0)) // no replica
	b = be.AppendUint32(b, uint32(r.wait.Milliseconds()))
	b = be.AppendUint32(b, 1)               // a byte is worth an answer
	b = be.AppendUint32(b, uint32(r.bytes)) // of all partitions
	b = append(b, 0)                        // uncommitted too: nobody produces in transactions
	b = be.AppendUint32(b, 0)               // session and its epoch: none
	b = be.AppendUint32(b, ^uint32(0))
	b = be.AppendUint32(b, 1) // topics
	b = appendText(b, r.topic)
	b = be.AppendUint32(b, 1) // partitions
	b = be.AppendUint32(b, uint32(r.part))
	b = be.AppendUint32(b, ^uint32(0)) // the leader's epoch as we know it: unknown
	b = be.AppendUint64(b, uint64(r.offset))
	b = be.AppendUint64(b, ^uint64(0)) // a follower's log start
	b = be.AppendUint32(b, uint32(r.bytes))
	b = be.AppendUint32(b, 0) // forgotten topics
	b = appendText(b, "")     // rack
	be.PutUint32(b, uint32(len(b)-4))
	return b
}

func appendText(b []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(s))), s...)
}

// errAnswer says that a broker's answer cannot be read.
var errAnswer = errors.New("bus: malformed answer to a fetch")

// answer decodes the one partition of an answer.
func (r *rawFetch) answer(b []byte) (*rawFetched, error) {
	c := cursor{b: b}
	c.skip(4 + 4) // correlation, throttle time
	if code := c.int16(); code != 0 {
		return nil, kafka.Error(code)
	}
	c.skip(4) // session
	if c.int32() != 1 {
		return nil, errAnswer
	}
	c.skip(int(c.int16())) // topic
	if c.int32() != 1 {
		return nil, errAnswer
	}
	c.skip(4) // partition
	code := c.int16()
	out := &rawFetched{fetched: fetched{from: r.offset, buf: r.buf}}
	out.end = c.int64()
	c.skip(8) // last stable offset
	out.first = c.int64()
	c.skip(16 * max(int(c.int32()), 0)) // aborted transactions
	c.skip(4)                           // preferred replica
	out.batches = c.take(max(int(c.int32()), 0))
	if c.short {
		return nil, errAnswer
	}
	if code != 0 {
		out.err = kafka.Error(code)
	}
	return out, nil
}

// cursor reads big-endian values off a slice; what is beyond the end reads as zero and sets short.
type cursor struct {
	b     []byte
	short bool
}

func (c *cursor) take(n int) []byte {
	if n < 0 || n > len(c.b) {
		c.short, c.b = true, nil
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

func (c *cursor) skip(n int) { c.take(n) }

func (c *cursor) int16() int16 {
	if v := c.take(2); v != nil {
		return int16(binary.BigEndian.Uint16(v))
	}
	return 0
}

func (c *cursor) int32() int32 {
	if v := c.take(4); v != nil {
		return int32(binary.BigEndian.Uint32(v))
	}
	return 0
}

func (c *cursor) int64() int64 {
	if v := c.take(8); v != nil {
		return int64(binary.BigEndian.Uint64(v))
	}
	return 0
}

// varint reads Kafka's zigzag varint, which is Go's.
func (c *cursor) varint() int64 {
	v, n := binary.Varint(c.b)
	if n <= 0 {
		c.short, c.b = true, nil
		return 0
	}
	c.b = c.b[n:]
	return v
}

// bytes reads what a varint's length precedes; -1 is null.
func (c *cursor) bytes() []byte {
	n := c.varint()
	if n < 0 {
		return nil
	}
	if n > int64(len(c.b)) {
		c.short, c.b = true, nil
		return nil
	}
	return c.take(int(n))
}

// bounds are the offsets of a partition's oldest record and after its newest.
func bounds(ctx context.Context, c *kafka.Client, topic string, part int) (first, end int64, err error) {
	res, err := c.ListOffsets(ctx, &kafka.ListOffsetsRequest{Topics: map[string][]kafka.OffsetRequest{
		topic: {kafka.FirstOffsetOf(part), kafka.LastOffsetOf(part)},
	}})
	if err != nil {
		return 0, 0, fmt.Errorf("bus: offsets %s/%d: %w", topic, part, err)
	}
	for _, p := range res.Topics[topic] {
		if p.Partition == part {
			if p.Error != nil {
				return 0, 0, fmt.Errorf("bus: offsets %s/%d: %w", topic, part, p.Error)
			}
			return p.FirstOffset, p.LastOffset, nil
		}
	}
	return 0, 0, fmt.Errorf("bus: offsets %s/%d: %w", topic, part, protocol.ErrNoPartition)
}
