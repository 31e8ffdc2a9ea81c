package rpc

import (
	"context"
	"sync"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/services/offers/internal/buyer"
)

// moment is how long a buyer that may bid is believed to. Its state is read at the head of the log, and who places thousands of bids
// a second would read it thousands of times. A suspension by this process is known at once, one by another a moment later;
// in either case it closes what the buyer has placed, and the gate bars the buyer by itself.
const moment = 200 * time.Millisecond

// bidders remembers buyers that may bid. Its zero value remembers none.
type bidders struct {
	once  sync.Once
	known *lru.Map[id.ID, seen]
}

type seen struct {
	state buyer.State
	until time.Time
}

func (b *bidders) entries() *lru.Map[id.ID, seen] {
	const size = 1024
	b.once.Do(func() { b.known = lru.New[id.ID, seen](size) })
	return b.known
}

// buyer reads a buyer's state, not older than a moment where it lets the buyer bid.
func (s *Server) buyer(ctx context.Context, number id.ID) (buyer.State, error) {
	now := s.Now()
	if e, ok := s.bidders.entries().Get(number); ok && now.Before(e.until) {
		return e.state, nil
	}
	state, _, err := s.Buyers.State(ctx, es.StreamOf(number), nil)
	if err == nil && state.MayBid() == nil {
		s.bidders.entries().Put(number, seen{state, now.Add(moment)})
	}
	return state, err
}
