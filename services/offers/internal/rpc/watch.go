package rpc

import (
	"crypto/sha256"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/view"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// pace is how long a watch rests between two looks: the tables move far more often than one buyer's bids.
const pace = 100 * time.Millisecond

// WatchBids streams a buyer's bids: first as they stand, then each that changes.
func (s *Server) WatchBids(r *offersv1.WatchBidsRequest, stream grpc.ServerStreamingServer[offersv1.WatchBidsResponse]) error {
	owner, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return err
	}
	ctx := stream.Context()
	w := &watch{server: s, stream: stream, owner: owner, told: map[string][sha256.Size]byte{}}
	rest := time.NewTicker(pace)
	defer rest.Stop()
	for {
		// Taken before the tables are looked at: what moves meanwhile wakes the next round.
		changed := s.Seen.Changed()
		if err := w.look(); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rest.C:
		}
	}
}

// watch is one buyer's.
type watch struct {
	server *Server
	stream grpc.ServerStreamingServer[offersv1.WatchBidsResponse]
	owner  id.ID
	at     []es.Position // nil: nothing was told yet
	told   map[string][sha256.Size]byte
}

// look tells what has changed as far as the tables have come. It reads what the log says has moved, or the buyer's bids where these are fewer.
func (w *watch) look() error {
	ctx, s := w.stream.Context(), w.server
	upto := s.reached()
	gap, ahead := behind(w.at, upto)
	switch {
	case ahead && gap == 0:
		return nil
	case ahead && gap <= int64(len(w.told)):
		moved, err := s.moved(ctx, w.at, upto)
		if err != nil {
			return err
		}
		list, err := s.View.BidsOf(ctx, w.owner, moved)
		if err != nil {
			return err
		}
		for _, b := range list {
			if err := w.tell(b); err != nil {
				return err
			}
		}
	default:
		if err := s.View.EachBid(ctx, w.owner, w.tell); err != nil {
			return err
		}
	}
	w.at = upto
	return nil
}

// tell sends a bid that is not as it was told last.
func (w *watch) tell(b view.Bid) error {
	m := w.server.bidProto(b)
	sum := sha256.Sum256(wire.Marshal(m))
	if w.told[m.GetBidId()] == sum {
		return nil
	}
	w.told[m.GetBidId()] = sum
	return w.stream.Send(&offersv1.WatchBidsResponse{Bid: m})
}
