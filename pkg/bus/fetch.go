package bus

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
)

// fetched is the answer to one fetch.
type fetched struct {
	first, end int64 // offsets: of the topic's oldest record, and after its newest
	next       int64 // where to go on
	records    []record
}

// fetch reads records from an offset on, which the client checks against their batch's CRC.
func fetch(ctx context.Context, c *kafka.Client, topic string, part int, offset int64, bytes int64, wait time.Duration) (f fetched, err error) {
	res, err := c.Fetch(ctx, &kafka.FetchRequest{Topic: topic, Partition: part, Offset: offset, MinBytes: 1, MaxBytes: bytes, MaxWait: wait})
	if err == nil {
		err = res.Error
	}
	if err != nil {
		return f, fmt.Errorf("bus: fetch %s/%d: %w", topic, part, err)
	}
	f.first, f.end, f.next = res.LogStartOffset, res.HighWatermark, offset
	for {
		r, err := res.Records.ReadRecord()
		if errors.Is(err, io.EOF) {
			return f, nil
		}
		if err != nil {
			return f, fmt.Errorf("bus: fetch %s/%d: %w", topic, part, err)
		}
		if r.Offset < offset {
			continue // a batch may begin before what was asked for
		}
		rec := record{offset: r.Offset}
		if rec.key, err = protocol.ReadAll(r.Key); err != nil {
			return f, err
		}
		if rec.value, err = protocol.ReadAll(r.Value); err != nil {
			return f, err
		}
		for _, h := range r.Headers {
			rec.headers = append(rec.headers, header{h.Key, h.Value})
		}
		f.records = append(f.records, rec)
		f.next = r.Offset + 1
	}
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
