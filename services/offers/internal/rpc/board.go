package rpc

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// board is what is known of all open bids, once for everybody who asks: to say for whom a bid is takes no database. It goes on from what has
// moved in the log since somebody asked last, as far as the tables have come.
type board struct {
	mu     sync.Mutex
	at     []es.Position // nil: nothing was read yet
	vetted map[id.ID]bool
	bids   map[id.ID]*view.Listed
	by     map[string][]*view.Listed // the same by product; a list is never changed in place
}

// far is how many events the board goes through to find what has moved. Further behind, it is read anew.
const far = 2000

// open gives the bids on a product that may be shown now, of buyers who may bid.
func (b *board) open(product string, now time.Time, each func(*view.Listed) error) error {
	b.mu.Lock()
	list, vetted := b.by[product], b.vetted
	b.mu.Unlock()
	for _, l := range list {
		if l.Open(now) && vetted[l.Buyer] {
			if err := each(l); err != nil {
				return err
			}
		}
	}
	return nil
}

// follow brings the board to where the tables are.
func (b *board) follow(ctx context.Context, s *Server) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	upto := s.reached()
	if slices.Equal(b.at, upto) {
		return nil
	}
	var moved []id.ID // nil: everything
	if gap, ahead := behind(b.at, upto); ahead && gap <= far {
		var err error
		if moved, err = s.moved(ctx, b.at, upto); err != nil {
			return err
		}
		if len(moved) == 0 {
			b.at = upto
			return nil
		}
	}
	bids, vetted, err := s.View.Board(ctx, moved)
	if err != nil {
		return err
	}
	b.put(moved, bids, vetted)
	b.at = upto
	return nil
}

// put takes what was read of some bids and buyers, or of all.
func (b *board) put(moved []id.ID, bids []*view.Listed, vetted []id.ID) {
	touched := map[string]bool{}
	now := map[id.ID]bool{}
	if moved == nil {
		b.bids, b.by = map[id.ID]*view.Listed{}, map[string][]*view.Listed{}
	} else {
		for buyer := range b.vetted { // readers hold the one of before
			now[buyer] = true
		}
	}
	for _, one := range moved {
		if was, listed := b.bids[one]; listed {
			touched[was.Product()] = true
			delete(b.bids, one)
		}
		delete(now, one)
	}
	for _, l := range bids {
		b.bids[l.Bid] = l
		touched[l.Product()] = true
	}
	for _, buyer := range vetted {
		now[buyer] = true
	}
	b.vetted = now
	fresh := map[string][]*view.Listed{}
	for _, l := range b.bids {
		if touched[l.Product()] {
			fresh[l.Product()] = append(fresh[l.Product()], l)
		}
	}
	for product := range touched {
		b.by[product] = fresh[product]
	}
}

// reached is how far the tables have come.
func (s *Server) reached() []es.Position {
	out := make([]es.Position, s.Log.Partitions())
	for p := range out {
		out[p] = s.Seen.Seen(es.Partition(p))
	}
	return out
}

// behind counts the events from some positions to others; ahead is false where there is no way from the one to the other.
func behind(from, to []es.Position) (n int64, ahead bool) {
	for p := range from {
		if to[p] < from[p] {
			return 0, false // the tables were restored
		}
		n += int64(to[p] - from[p])
	}
	return n, from != nil
}

// still are events that change nothing of what is told of a bid or a buyer.
var still = map[string]bool{"offer_presented": true, "offer_accepted": true, "offer_declined": true, "agreement_finished": true}

// moved names the bids and buyers of which something happened behind some positions and not behind others, each once.
func (s *Server) moved(ctx context.Context, from, upto []es.Position) ([]id.ID, error) {
	out := []id.ID{}
	known := map[id.ID]bool{}
	for p := range upto {
		for at := from[p]; at < upto[p]; {
			n, err := s.Log.Scan(ctx, es.Partition(p), at, int(min(upto[p]-at, far)), func(r *es.Record) error {
				root, err := id.Parse(r.Stream.Root())
				if err == nil && !still[r.Type] && !known[root] {
					known[root], out = true, append(out, root)
				}
				return err
			})
			if err != nil {
				return nil, err
			}
			if n == 0 {
				break // a log that was restored has less: the next look sees that
			}
			at += es.Position(n)
		}
	}
	return out, nil
}
