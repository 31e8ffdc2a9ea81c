package rpc

import (
	"sync"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/vault"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/view"
)

// terms remembers what the sealed events of a delivery say that its buyer asks for again and again. What was opened with keys that were
// fetched anew since is opened again: they may have been erased.
type terms struct {
	once sync.Once
	all  *lru.Map[id.ID, term]
}

type term struct {
	ring     *vault.Ring
	resealed int64 // version of the event that changed the buyer's key; 0 for none
	product  *marketv1.ProductRef
	key      string // the buyer's, to which the content key will be sealed
	expected uint32 // slots
	valid    uint32 // of these
}

// of gives what a delivery's events say; row reads them where they must be opened.
func (t *terms) of(delivery id.ID, ring *vault.Ring, resealed int64, row func() (*view.Delivery, error)) (term, error) {
	const size = 8192
	t.once.Do(func() { t.all = lru.New[id.ID, term](size) })
	if known, ok := t.all.Get(delivery); ok && known.ring == ring && known.resealed == resealed {
		return known, nil
	}
	r, err := row()
	if err != nil {
		return term{}, err
	}
	taken, prepared, key, err := opened(r, ring)
	if err != nil {
		return term{}, err
	}
	fresh := term{
		ring: ring, resealed: r.ResealedVersion(), product: taken.GetLicence().GetProduct(), key: key,
		expected: prepared.GetExpectedSlots(), valid: prepared.GetValidSlots(),
	}
	t.all.Put(delivery, fresh)
	return fresh, nil
}
