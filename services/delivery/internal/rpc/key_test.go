package rpc

import (
	"context"
	"errors"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/parcel"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/view"
)

// register answers in offers' place which keys a buyer has.
type register struct {
	offersv1.OffersServiceClient

	keys []*offersv1.BuyerKey
}

func (r *register) GetBuyer(context.Context, *offersv1.GetBuyerRequest, ...grpc.CallOption) (*offersv1.GetBuyerResponse, error) {
	return &offersv1.GetBuyerResponse{Buyer: &offersv1.Buyer{Keys: r.keys}}, nil
}

// TestWhoseReceiptCounts: a key that was replaced signs for nothing but what the rotation has not reached yet, and nothing is ever sealed to
// it, also where the keys that are known are from before the rotation.
func TestWhoseReceiptCounts(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_000_000, 0)
	number := id.Random()
	keys := map[string]parcel.Keys{}
	key := func(name string) *offersv1.BuyerKey {
		k, err := parcel.NewKeys(parcel.X25519)
		if err != nil {
			t.Fatal(err)
		}
		keys[name] = k
		return &offersv1.BuyerKey{Id: name, Algorithm: k.Algorithm, PublicKey: k.Public, ReceiptKey: k.Receipt}
	}
	fresh, old, over := key("new"), key("old"), key("over")
	over.ValidTo = now.UnixMicro()
	before := []*offersv1.BuyerKey{old, over}
	gone := proto.CloneOf(old)
	gone.ValidTo, gone.ReplacedBy = now.UnixMicro(), "new"
	after := []*offersv1.BuyerKey{fresh, gone, over}
	for what, c := range map[string]struct {
		known, now   []*offersv1.BuyerKey
		packed, sign string
		want         error
		to           string
	}{
		"before the rotation":               {before, before, "old", "old", nil, "old"},
		"the rotation has not reached it":   {after, after, "old", "old", nil, "new"},
		"with the new key already":          {after, after, "old", "new", nil, "new"},
		"sealed anew":                       {after, after, "new", "old", errKey, ""},
		"sealed anew, and so signed":        {after, after, "new", "new", nil, "new"},
		"sealed anew, and not heard of yet": {before, after, "new", "old", errKey, ""},
		"new, and not heard of yet":         {before, after, "new", "new", nil, "new"},
		"run out by itself":                 {after, after, "over", "over", errKey, ""},
		"of nobody":                         {after, after, "new", "none", errKey, ""},
	} {
		offers := &register{keys: c.known}
		s := &Server{Buyers: packing.NewBuyers(offers, func() time.Time { return now }), Now: func() time.Time { return now }}
		s.terms.once.Do(func() { s.terms.all = lru.New[id.ID, term](1) })
		s.terms.all.Put(number, term{key: c.packed})
		p := &asking{Held: view.Held{ID: number}, receipt: shelf.Receipt{BuyerKey: c.sign, Digest: [32]byte{1}}}
		if _, err := s.Buyers.Find(t.Context(), p.Buyer); err != nil {
			t.Fatal(err)
		}
		offers.keys = c.now
		if signer, ok := keys[c.sign]; ok {
			p.receipt.Signature = parcel.SignReceipt(signer.Signer, number, p.receipt.Digest)
		}
		to, err := s.keyFor(t.Context(), p)
		if !errors.Is(err, c.want) || fault.ReasonOf(err) != fault.ReasonOf(c.want) || to.GetId() != c.to {
			t.Errorf("%s: the key goes to %q, %v", what, to.GetId(), err)
		}
	}
}
