package rpc

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"slices"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/view"
)

// watch is one buyer's stream of deliveries. A delivery lives in one partition, and each of its changes has a position there, so one
// mark a partition says exactly what was told: what changed behind it was not, and all else was.
type watch struct {
	server     *Server
	stream     grpc.ServerStreamingServer[deliveryv1.WatchDeliveriesResponse]
	list       string // names the watch in its tokens
	buyer, bid id.ID
	lives      [8]byte // of the partitions' incarnations: in another life the same position is another event
	place
}

// place is where a watch stands, and what its tokens carry.
type place struct {
	at []view.Mark // by partition; only one has a Last
	// opening: those that waited when at was taken are being told, by their ids, and last was the last of them.
	opening bool
	last    id.ID
}

// batch is how many deliveries are read at a time.
const batch = 1000

// WatchDeliveries streams a buyer's deliveries: first those that wait, then each as it is prepared or changes; with a token, each that
// has changed since.
func (s *Server) WatchDeliveries(r *deliveryv1.WatchDeliveriesRequest, stream grpc.ServerStreamingServer[deliveryv1.WatchDeliveriesResponse]) error {
	ctx := stream.Context()
	buyer, bid, err := buying(r.GetBuyerId(), r.GetBidId())
	if err != nil {
		return err
	}
	w := &watch{server: s, stream: stream, list: "watch/" + buyer.String() + "/" + r.GetBidId(), buyer: buyer, bid: bid}
	if err := w.begin(ctx, r.GetPageToken()); err != nil {
		return err
	}
	if err := w.open(ctx); err != nil {
		return err
	}
	for {
		// Taken before the tables are looked at: what moves meanwhile wakes the next round.
		moved := s.Seen.Changed()
		if err := w.follow(ctx); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-moved:
		}
	}
}

// begin finds where the watch stands: behind its token, or without one at the end of what is in the log.
func (w *watch) begin(ctx context.Context, token string) error {
	carried := new(eventv1.StoredEvent)
	if err := boot.ParsePage(w.list, token, carried); err != nil {
		return err
	}
	lives := sha256.New()
	for p := range w.server.Log.Partitions() {
		tail, err := w.server.Log.Tail(ctx, es.Partition(p))
		if err != nil {
			return err
		}
		lives.Write(tail.Incarnation[:])
		w.at = append(w.at, view.Mark{At: tail.Position})
	}
	copy(w.lives[:], lives.Sum(nil))
	if w.opening = true; token != "" {
		if err := w.resume(carried.GetData()); err != nil {
			return err
		}
	}
	// Another process may have told what these tables have not seen yet.
	for p, at := range w.at {
		if err := w.server.Seen.Wait(ctx, es.Cursor{Partition: es.Partition(p), Position: at.At}); err != nil {
			return err
		}
	}
	return nil
}

// open tells of what waits, as far as the watch's place: what has changed since comes after it, also when it still waits.
func (w *watch) open(ctx context.Context) error {
	for more := w.opening; more; {
		rows, err := w.server.View.Unreleased(ctx, w.buyer, w.bid, w.last, batch)
		if err != nil {
			return err
		}
		for i := range rows {
			if w.last = rows[i].ID; rows[i].Changed <= w.at[rows[i].Partition].At {
				if err := w.tell(ctx, &rows[i]); err != nil {
					return err
				}
			}
		}
		more = len(rows) == batch
	}
	w.opening, w.last = false, id.ID{}
	return nil
}

// follow tells of what has changed since, as far as the tables have come.
func (w *watch) follow(ctx context.Context) error {
	upto, ends := make([]es.Position, len(w.at)), make([]view.Mark, len(w.at))
	for p := range upto {
		upto[p] = max(w.at[p].At, w.server.Seen.Seen(es.Partition(p)))
		ends[p] = view.Mark{At: upto[p]}
	}
	if slices.Equal(ends, w.at) {
		return nil
	}
	for more := true; more; {
		rows, err := w.server.View.Changed(ctx, w.buyer, w.bid, w.at, upto, batch)
		if err != nil {
			return err
		}
		for i := range rows {
			// They come partition by partition.
			copy(w.at[:rows[i].Partition], ends)
			w.at[rows[i].Partition] = view.Mark{At: rows[i].Changed, Last: rows[i].ID}
			if err := w.tell(ctx, &rows[i]); err != nil {
				return err
			}
		}
		more = len(rows) == batch
	}
	copy(w.at, ends)
	return nil
}

// tell sends a delivery with the token of the place behind it.
func (w *watch) tell(ctx context.Context, row *view.Delivery) error {
	d, err := w.server.delivery(ctx, row)
	if err != nil {
		return err
	}
	token, err := boot.PageToken(w.list, &eventv1.StoredEvent{Data: w.carry()})
	if err != nil {
		return err
	}
	return w.stream.Send(&deliveryv1.WatchDeliveriesResponse{Delivery: d, PageToken: token})
}

// carry is the place as a token holds it: the lives, the positions, and the last delivery; while opening that alone, else behind the
// number of its partition.
func (w *watch) carry() []byte {
	b := append(make([]byte, 0, len(w.lives)+4*len(w.at)+len(w.last)), w.lives[:]...)
	for _, at := range w.at {
		b = binary.AppendUvarint(b, uint64(at.At))
	}
	if w.opening {
		return append(b, w.last[:]...)
	}
	for p, at := range w.at {
		if !at.Last.IsZero() {
			b = append(binary.AppendUvarint(b, uint64(p)), at.Last[:]...)
		}
	}
	return b
}

// resume is carry's inverse.
func (w *watch) resume(b []byte) error {
	if len(b) < len(w.lives) || [8]byte(b) != w.lives {
		return projection.ErrIncarnation
	}
	b = b[len(w.lives):]
	for p := range w.at {
		at, n := binary.Uvarint(b)
		if n <= 0 || at > uint64(w.at[p].At) {
			return projection.ErrIncarnation
		}
		w.at[p], b = view.Mark{At: es.Position(at)}, b[n:]
	}
	if w.opening = len(b) == len(w.last); w.opening {
		w.last = id.ID(b)
	} else if p, n := binary.Uvarint(b); n > 0 && p < uint64(len(w.at)) && len(b) == n+len(w.last) {
		w.at[p].Last = id.ID(b[n:])
	}
	return nil
}
