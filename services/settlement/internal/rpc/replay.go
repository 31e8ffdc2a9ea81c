package rpc

import (
	"bytes"
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/node"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

const (
	// replayBytes is about how large a message of the stream is, replayEvents how many records are looked at between two.
	replayBytes  = 256 << 10
	replayEvents = 5000
	// replayPoll is how long a follower waits at most before it looks at the log again: other processes write too.
	replayPoll = 500 * time.Millisecond
)

var errCursor = fault.Refuse("CURSOR_UNKNOWN", "the position or the incarnation is not one of this log")

// ReplayEvents streams the log from a position, exactly as stored. A slow reader slows the stream, nothing else.
func (s *Server) ReplayEvents(r *settlementv1.ReplayEventsRequest, stream grpc.ServerStreamingServer[settlementv1.ReplayEventsResponse]) error {
	ctx := stream.Context()
	tail, lives, err := s.ends(ctx)
	if err != nil {
		return err
	}
	after := es.Position(r.GetAfter().GetPosition())
	if c := r.GetAfter(); after > 0 && (c.GetPartition() != int32(s.Partition) || !stands(c, tail, lives)) {
		return errCursor
	}
	pick, told := newFilter(r.GetFilter()), node.Lives(lives)
	for {
		changed := s.Seen.Changed()
		reached, err := s.replay(ctx, after, tail, pick, told, stream)
		if err != nil {
			return err
		}
		after, told = reached, nil
		if after >= tail.Position {
			if !r.GetFollow() {
				return nil
			}
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-changed:
			case <-time.After(replayPoll):
			}
			if tail, err = s.Log.Tail(ctx, s.Partition); err != nil {
				return err
			}
		}
	}
}

// lived says whether a position of an incarnation is still what it was: it is of the life that has it now, or was told by this one. Whoever
// knows none asks for the position as it is.
func lived(lives []es.Life, known []byte, at es.Position) bool {
	if len(known) == 0 {
		return true
	}
	present, then := lives[len(lives)-1].Incarnation, es.LifeAt(lives, at).Incarnation
	return bytes.Equal(known, present[:]) || bytes.Equal(known, then[:])
}

// errFull ends a scan when a message is full.
var errFull = errors.New("rpc: message full")

// replay sends what stands after a position, at most one message of it, and says how far it looked.
func (s *Server) replay(
	ctx context.Context, after es.Position, tail es.Tail, pick filter, lives []*eventv1.Life,
	stream grpc.ServerStreamingServer[settlementv1.ReplayEventsResponse],
) (es.Position, error) {
	message := &settlementv1.ReplayEventsResponse{Lives: lives}
	size := 0
	_, err := s.Log.Scan(ctx, s.Partition, after, replayEvents, func(r *es.Record) error {
		if r.Position > tail.Position {
			return errFull
		}
		after = r.Position
		if pick.takes(r) {
			message.Events = append(message.Events, node.Stored(r))
			size += len(r.Data)
		}
		if size >= replayBytes {
			return errFull
		}
		return nil
	})
	if err != nil && !errors.Is(err, errFull) {
		return after, err
	}
	message.Tail = int64(tail.Position)
	message.Cursor = cursor(es.Cursor{Service: service, Incarnation: tail.Incarnation, Partition: s.Partition, Position: after})
	return after, stream.Send(message)
}

const service = "settlement"

// filter picks events by what the contract's bytes say, without decoding the rest of them.
type filter struct {
	buyer, product string
	from, to       int64
}

func newFilter(f *settlementv1.ReplayFilter) filter {
	return filter{f.GetBuyerId(), f.GetProductId(), f.GetFrom(), f.GetTo()}
}

// keys are the numbers of an arm's own field and, in it, of its buyer and product; 0 where it has none.
type keys struct{ arm, buyer, product protowire.Number }

var shapes = arms()

// arms reads the numbers off the contract.
func arms() map[string]keys {
	out := map[string]keys{}
	fields := (*settlementv1.Event)(nil).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	for i := range fields.Len() {
		k := keys{arm: fields.Get(i).Number()}
		if f := fields.Get(i).Message().Fields().ByName("buyer_id"); f != nil {
			k.buyer = f.Number()
		}
		if f := fields.Get(i).Message().Fields().ByName("product_id"); f != nil {
			k.product = f.Number()
		}
		out[string(fields.Get(i).Name())] = k
	}
	return out
}

func (f filter) takes(r *es.Record) bool {
	at := r.At.UnixMicro()
	if at < f.from || f.to > 0 && at >= f.to {
		return false
	}
	if f.buyer == "" && f.product == "" {
		return true
	}
	k := shapes[r.Type]
	arm := last(r.Data, k.arm)
	return (f.buyer == "" || k.buyer > 0 && string(last(arm, k.buyer)) == f.buyer) &&
		(f.product == "" || k.product > 0 && string(last(arm, k.product)) == f.product)
}

// last is the last value of a message's field of bytes; nil where it has none.
func last(b []byte, want protowire.Number) (value []byte) {
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		if n < 0 {
			return nil
		}
		b = b[n:]
		if number == want && kind == protowire.BytesType {
			value, n = protowire.ConsumeBytes(b)
		} else {
			n = protowire.ConsumeFieldValue(number, kind, b)
		}
		if n < 0 {
			return nil
		}
		b = b[n:]
	}
	return value
}
