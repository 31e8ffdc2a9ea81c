package rpc_test

import (
	"context"
	"testing"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
)

// holdsTables has the tables see nothing of deliveries until what it gives is called.
func (o *owner) holdsTables() func() {
	o.t.Helper()
	hold, err := o.Store.Pool.Begin(o.t.Context())
	o.must(err)
	_, err = hold.Exec(o.t.Context(), `lock table shelves.delivery in exclusive mode`)
	o.must(err)
	return func() { o.must(hold.Rollback(context.Background())) }
}

// TestABuyerIsToldAtOnceOfWhatWasStopped: the package is destroyed when the restriction is answered, and the tables have not seen why. The
// buyer is told it all the same, and the gate is not asked for a key that never leaves.
func TestABuyerIsToldAtOnceOfWhatWasStopped(t *testing.T) {
	t.Parallel()
	o := begin(t, 2).owner()
	watch := o.brings(walked("2016-04-12", 9000))
	delivery := o.packs(o.agrees())[0].GetDeliveryId()
	defer o.holdsTables()()
	o.restricts(watch)
	if err := o.asks(delivery); fault.ReasonOf(err) != "SOURCE_RESTRICTED" {
		t.Errorf("the buyer is told %v", err)
	}
	if o.gate.permits != nil {
		t.Error("the gate was asked all the same")
	}
}

// TestWhatHasLeftStaysWithItsBuyer: the key had left when the source was restricted, and the tables have not seen it yet. The buyer who asks
// again is answered, and the package is there to be fetched.
func TestWhatHasLeftStaysWithItsBuyer(t *testing.T) {
	t.Parallel()
	o := begin(t, 2).owner()
	ctx := t.Context()
	watch := o.brings(walked("2016-04-12", 9000))
	delivery := o.packs(o.agrees())[0].GetDeliveryId()
	number, err := id.Parse(delivery)
	o.must(err)
	from, err := id.Parse(watch)
	o.must(err)
	defer o.holdsTables()()
	o.must(o.asks(delivery))
	_, err = o.Store.Bar(ctx, o.ringOf(o.who), from, true, 1, o.Catalog.Products())
	o.must(err)
	if err := o.asks(delivery); err != nil {
		t.Errorf("asked again: %v", err)
	}
	if piece, err := o.Store.Piece(ctx, number, 0); err != nil || len(piece) == 0 {
		t.Errorf("of the package %d bytes are left, %v", len(piece), err)
	}
}
