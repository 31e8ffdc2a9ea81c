package rpc_test

import (
	"context"
	"math"
	"testing"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/fault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
)

// sink counts what is streamed to a buyer.
type sink struct {
	grpc.ServerStream
	ctx context.Context
	got int
}

func (s *sink) Context() context.Context { return s.ctx }

func (s *sink) Send(m *deliveryv1.FetchPackageResponse) error {
	s.got += len(m.GetChunk())
	return nil
}

// TestAnOffsetBeyondThePackage: however far it is beyond, it is refused as that, and nothing comes.
func TestAnOffsetBeyondThePackage(t *testing.T) {
	t.Parallel()
	d := begin(t, 1)
	who, deal := d.takes()
	p := d.prepares(who, deal, 1)
	for _, offset := range []uint64{1 << 20, 1 << 31, 1 << 49, 1 << 60, math.MaxInt64, math.MaxUint64} {
		to := &sink{ctx: t.Context()}
		err := d.FetchPackage(&deliveryv1.FetchPackageRequest{BuyerId: d.buyer.String(), DeliveryId: p.delivery.String(), Offset: offset}, to)
		if fault.ReasonOf(err) != "OFFSET_INVALID" || to.got != 0 {
			t.Errorf("from %d on: %d bytes, %v", offset, to.got, err)
		}
	}
}
