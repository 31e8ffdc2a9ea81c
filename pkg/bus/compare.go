package bus

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/es"
)

// ErrAltered: the topic holds an event otherwise than the log. A topic is made whole by making it anew: the relay fills it.
var ErrAltered = errors.New("bus: an event on the topic is not as the log has it")

// Compared says how a topic partition stands to its log.
type Compared struct {
	// Tail of the log when the comparison began.
	Tail es.Tail
	// Same is the newest position at which both hold the same history, 0 if none.
	Same es.Position
	// Topic is the newest position on the topic.
	Topic es.Position
}

// Lost says whether the topic holds events that the log does not.
func (c Compared) Lost() bool { return c.Topic > c.Same }

// Compare reads a whole topic partition beside its log. The chain of an event vouches for all before it, so one equal chain is
// an equal history. Its error, beside those of reading, is ErrAltered or of a damaged batch; the comparison is complete then
// as well.
func Compare(ctx context.Context, c *kafka.Client, log es.Reader, topic string, part es.Partition) (out Compared, err error) {
	first, end, err := bounds(ctx, c, topic, int(part))
	if err != nil {
		return out, err
	}
	if out.Tail, err = log.Tail(ctx, part); err != nil { // after the topic's end: what is published was stored before
		return out, err
	}
	lives, err := log.Lives(ctx, part)
	if err != nil {
		return out, err
	}
	stored := shelf{log: log, part: part, lives: lives}
	var found error
	other := es.Position(math.MaxInt64) // the first of another history, or so it seems
	note := func(err error) error {
		if found == nil {
			found = err
		}
		return nil
	}
	err = walk(ctx, c, topic, part, first, end, walkBytes, func(err error, _ int) error { return note(err) }, func(r *Received) error {
		out.Topic = max(out.Topic, r.Position)
		if r.Position > out.Tail.Position {
			return nil
		}
		here, err := stored.at(ctx, r.Position)
		if err != nil {
			return err
		}
		switch {
		case here.ID != r.ID:
			other = min(other, r.Position)
		case !equal(here, r):
			return note(fmt.Errorf("%w: %s/%d position %d", ErrAltered, topic, part, r.Position))
		default:
			out.Same = max(out.Same, r.Position)
		}
		return nil
	})
	if other <= out.Same && found == nil {
		found = fmt.Errorf("%w: %s/%d position %d", ErrAltered, topic, part, other)
	}
	return out, errors.Join(err, found)
}

// equal compares everything that a record carries.
func equal(a, b *Received) bool {
	return a.Incarnation == b.Incarnation && a.Chain == b.Chain && a.Stream == b.Stream && a.Version == b.Version && a.Command == b.Command &&
		a.Ordinal == b.Ordinal && a.Type == b.Type && a.At.Equal(b.At) && bytes.Equal(a.Data, b.Data) && bytes.Equal(a.Meta, b.Meta)
}

// shelf has a stretch of a log at hand: a topic is nearly always read forward.
type shelf struct {
	log     es.Reader
	part    es.Partition
	lives   []es.Life
	records []Received // without a hole
}

// at gives the record at a position that the log has.
func (s *shelf) at(ctx context.Context, p es.Position) (*Received, error) {
	const stretch, most = 2000, 8 << 20
	if n := len(s.records); n == 0 || p < s.records[0].Position || p > s.records[n-1].Position {
		s.records = s.records[:0]
		size := 0
		_, err := s.log.Scan(ctx, s.part, p-1, stretch, func(r *es.Record) error {
			c := *r
			c.Data, c.Meta = bytes.Clone(r.Data), bytes.Clone(r.Meta)
			s.records = append(s.records, Received{Record: c, Incarnation: es.LifeAt(s.lives, r.Position).Incarnation})
			if size += len(r.Data) + len(r.Meta); size > most {
				return io.EOF
			}
			return nil
		})
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		for i := range s.records {
			if s.records[i].Position != p+es.Position(i) {
				return nil, fmt.Errorf("%w: partition %d, position %d", es.ErrGap, s.part, p+es.Position(i))
			}
		}
		if len(s.records) == 0 {
			return nil, fmt.Errorf("%w: partition %d, position %d", es.ErrGap, s.part, p)
		}
	}
	return &s.records[p-s.records[0].Position], nil
}

// Whole visits the events of a topic partition like Walk, but passes over damaged batches: what is missing then is for the
// visitor to find.
func Whole(ctx context.Context, c *kafka.Client, topic string, part es.Partition, visit func(*Received) error) error {
	first, end, err := bounds(ctx, c, topic, int(part))
	if err != nil {
		return err
	}
	return walk(ctx, c, topic, part, first, end, walkBytes, func(error, int) error { return nil }, visit)
}

// Newest is the newest event on a topic partition, at position 0 if there is none.
func Newest(ctx context.Context, c *kafka.Client, topic string, part es.Partition) (Received, error) {
	first, end, err := bounds(ctx, c, topic, int(part))
	if err != nil {
		return Received{}, err
	}
	return newest(ctx, c, topic, part, first, end, func(error, int) error { return nil })
}

// newest reads back from before an offset to the newest event.
func newest(ctx context.Context, c *kafka.Client, topic string, part es.Partition, first, before int64, spoilt func(error, int) error) (found Received, err error) {
	for step := int64(256); ; step *= 4 {
		from := max(first, before-step)
		err := walk(ctx, c, topic, part, from, before, 256<<10, spoilt, func(r *Received) error {
			found = Received{Record: es.Record{Partition: part, Position: r.Position, ID: r.ID}, Incarnation: r.Incarnation}
			return nil
		})
		if err != nil || found.Position > 0 || from == first {
			return found, err
		}
	}
}
