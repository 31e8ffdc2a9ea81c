package packing

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// fresh is how long a buyer's keys are known before they are asked for again. A rotation drops them at once where it is heard of.
const fresh = 10 * time.Second

// Buyers knows buyers' keys and standing, as offers has them.
type Buyers struct {
	client offersv1.OffersServiceClient
	now    func() time.Time
	known  *lru.Map[id.ID, known]
}

type known struct {
	buyer Buyer
	until time.Time
}

// Buyer is a buyer's keys, newest first, and whether it may do nothing.
type Buyer struct {
	Keys      []*offersv1.BuyerKey
	Suspended bool
}

// NewBuyers asks offers.
func NewBuyers(client offersv1.OffersServiceClient, now func() time.Time) *Buyers {
	const size = 4096
	return &Buyers{client: client, now: now, known: lru.New[id.ID, known](size)}
}

// Find gives a buyer's keys. Unavailable where offers cannot be asked.
func (b *Buyers) Find(ctx context.Context, buyer id.ID) (Buyer, error) {
	if k, ok := b.known.Get(buyer); ok && b.now().Before(k.until) {
		return k.buyer, nil
	}
	r, err := b.client.GetBuyer(ctx, &offersv1.GetBuyerRequest{BuyerId: buyer.String()})
	if err != nil {
		if errors.Is(err, fault.KindNotFound) {
			return Buyer{}, nil
		}
		return Buyer{}, fault.Unavailable("offers does not answer").Because(err)
	}
	found := Buyer{Keys: r.GetBuyer().GetKeys(), Suspended: r.GetBuyer().GetState() == offersv1.BuyerState_BUYER_STATE_SUSPENDED}
	b.known.Put(buyer, known{found, b.now().Add(fresh)})
	return found, nil
}

// Forget makes Find ask again: something of the buyer has changed, or must be known as it is now.
func (b *Buyers) Forget(buyer id.ID) { b.known.Delete(buyer) }

// Current is the newest key that is valid.
func (b Buyer) Current(now time.Time) (*offersv1.BuyerKey, bool) {
	for _, k := range b.Keys {
		if valid(k, now) {
			return k, true
		}
	}
	return nil, false
}

// Newest names the key for which a package is meant: the newest that is valid, or of none the newest. Packing needs no key, and a
// buyer whose keys have run out must not hold up the others' packages: its own wait until it has a new one.
func (b Buyer) Newest(now time.Time) (name string, ok bool) {
	if k, ok := b.Current(now); ok {
		return k.GetId(), true
	}
	if len(b.Keys) == 0 {
		return "", false
	}
	return b.Keys[0].GetId(), true
}

// Key finds a key that is valid by its id.
func (b Buyer) Key(name string, now time.Time) (*offersv1.BuyerKey, bool) {
	for _, k := range b.Keys {
		if k.GetId() == name && valid(k, now) {
			return k, true
		}
	}
	return nil, false
}

// Has says whether there is, or was, a key of this id.
func (b Buyer) Has(name string) bool {
	return slices.ContainsFunc(b.Keys, func(k *offersv1.BuyerKey) bool { return k.GetId() == name })
}

// Replaced finds a key by its id whose place another has taken.
func (b Buyer) Replaced(name string) (*offersv1.BuyerKey, bool) {
	for _, k := range b.Keys {
		if k.GetId() == name && k.GetReplacedBy() != "" {
			return k, true
		}
	}
	return nil, false
}

func valid(k *offersv1.BuyerKey, now time.Time) bool {
	us := now.UnixMicro()
	return us >= k.GetValidFrom() && (k.GetValidTo() == 0 || us < k.GetValidTo())
}
