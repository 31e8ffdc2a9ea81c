package rpc_test

import (
	"context"
	"math"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/fault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
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

// fulfilled ends a delivery's agreement: all of it has left, and consent has heard of it.
func (d *desk) fulfilled(p waits) {
	d.t.Helper()
	d.do(p.who, shelf.End{Shelf: shelf.Of(p.who), Agreement: p.agreement, Reason: shelf.EndFulfilled})
	d.must(d.Store.Spend(d.t.Context(), p.agreement.ID))
	d.gate.no = no("EXPIRED")
	d.gate.checks(consentv1.Reason_REASON_EXPIRED)
	d.caught()
}

// TestAFetchAfterTheEnd: who has paid for the last package of an agreement and lost it may fetch it again for as long as its key comes again.
// What had not left, and what its person has withdrawn since, comes no more.
func TestAFetchAfterTheEnd(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		unsigned bool // no key has left
		after    func(d *desk, p waits)
		want     string // the reason of the refusal; empty: it comes
	}{
		"an hour later":                {after: func(d *desk, _ waits) { d.ahead.Store(int64(time.Hour)) }},
		"at the last":                  {after: func(d *desk, _ waits) { d.ahead.Store(int64(patience - time.Minute)) }},
		"consent is yet to hear of it": {after: func(d *desk, _ waits) { d.gate.checks(0) }},
		"too late":                     {after: func(d *desk, _ waits) { d.ahead.Store(int64(patience)) }, want: "AGREEMENT_ENDED"},
		"swept":                        {after: func(d *desk, p waits) { d.must(d.Store.Destroy(d.t.Context(), p.delivery.ID)) }, want: "AGREEMENT_ENDED"},
		"it never left":                {unsigned: true, after: func(*desk, waits) {}, want: "VOIDED"},
		"withdrawn or paused, of which delivery is yet to hear": {after: func(d *desk, _ waits) {
			d.gate.mu.Lock()
			defer d.gate.mu.Unlock()
			d.gate.let = true
		}, want: "EXPIRED"},
		"the person's content is forgotten": {after: func(d *desk, p waits) {
			d.must(d.Keys.Forget(d.t.Context(), p.who.ID, eventv1.Retention_RETENTION_CONTENT))
		}, want: "AGREEMENT_ENDED"},
		"the buyer is suspended": {after: func(d *desk, _ waits) {
			d.standing.Store(int32(offersv1.BuyerState_BUYER_STATE_SUSPENDED))
		}, want: "BUYER_SUSPENDED"},
		"withdrawn since": {after: func(d *desk, p waits) {
			d.do(p.who, shelf.End{Shelf: shelf.Of(p.who), Agreement: p.agreement, Reason: shelf.EndWithdrawn})
			d.caught()
		}, want: "AGREEMENT_ENDED"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := begin(t, 1)
			who, deal := d.takes()
			p := d.prepares(who, deal, 1)
			fetched := func() (*sink, error) {
				to := &sink{ctx: t.Context()}
				return to, d.FetchPackage(&deliveryv1.FetchPackageRequest{BuyerId: d.buyer.String(), DeliveryId: p.delivery.String()}, to)
			}
			whole, err := fetched()
			d.must(err)
			if !tc.unsigned {
				_, err = d.sign(t.Context(), p, "k1")
				d.must(err)
			}
			d.fulfilled(p)
			tc.after(d, p)
			got, err := fetched()
			if fault.ReasonOf(err) != tc.want || (tc.want == "") != (err == nil) {
				t.Fatalf("it comes with %v, want %q", err, tc.want)
			}
			if want := whole.got; err == nil && (got.got != want || want == 0) || err != nil && got.got != 0 {
				t.Errorf("%d bytes come, of %d", got.got, want)
			}
		})
	}
}
