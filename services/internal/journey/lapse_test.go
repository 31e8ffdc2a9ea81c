package journey

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/delivery"
)

// TestNoReceiptNoCharge: five packages are prepared and nobody signs for them. When the time for a receipt is over they lapse: their
// content keys are destroyed, the agreements end, the whole hold is the buyer's again, nobody has earned anything, and who signs
// now is told that it is too late.
func TestNoReceiptNoCharge(t *testing.T) {
	t.Parallel()
	f := openFull(t, listening(delivery.Name))
	ctx := t.Context()
	f.stop[delivery.Name]()
	f.shipping.Lapse = 3 * time.Second
	f.Start(f.run[delivery.Name])
	f.opens(100_00)
	people := make([]*holder, 5)
	for i, who := range walkers(t)[:len(people)] {
		people[i] = f.holder()
		_, err := people[i].bring(activity, who, nil)
		f.must(err)
	}
	bid := f.place(f.bid(25, 5), "one")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	deals := map[string]bool{}
	for _, p := range people {
		deal, err := p.accept(bid)
		f.must(err)
		deals[deal] = true
	}
	lapsed := deliveryv1.DeliveryState_DELIVERY_STATE_LAPSED
	f.Eventually("five packages to lapse", func() bool { return len(f.waiting(bid, lapsed)) == 5 })
	f.comesTo(bid, offersv1.BidState_BID_STATE_DRAINED)
	f.Eventually("the hold to come back", func() bool {
		funds, err := f.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: f.buyer.String()})
		f.must(err)
		return funds.GetHeld().GetMinor() == 0 && funds.GetAvailable().GetMinor() == 100_00
	})
	for i, p := range people {
		if earned := p.available(); earned != 0 {
			t.Errorf("person %d has %d cents for a package that nobody signed for", i, earned)
		}
	}

	conn, err := pgx.Connect(ctx, f.databases[delivery.Name])
	f.must(err)
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	f.Eventually("the content keys to be destroyed", func() bool {
		var left int
		f.must(conn.QueryRow(ctx, `select (select count(*) from store.package) + (select count(*) from store.chunk)`).Scan(&left))
		return left == 0
	})
	for _, d := range f.waiting(bid, 0) {
		if d.GetBlocked() != deliveryv1.Reason_REASON_LAPSED || d.GetReleasedAt() != 0 {
			t.Errorf("what lapsed stands as %v", d)
		}
		if took := time.Duration(d.GetLapsesAt()-d.GetPreparedAt()) * time.Microsecond; took != f.shipping.Lapse {
			t.Errorf("it lapses %v after it was prepared", took)
		}
		if key, err := f.packages.SignReceipt(ctx, f.receipt(d)); reason(err) != "LAPSED" || key.GetSealedKey() != nil {
			t.Errorf("a receipt that came too late: %v", err)
		}
		stream, err := f.packages.FetchPackage(ctx, &deliveryv1.FetchPackageRequest{BuyerId: f.buyer.String(), DeliveryId: d.GetDeliveryId()})
		f.must(err)
		if piece, err := stream.Recv(); reason(err) != "LAPSED" {
			t.Errorf("of what lapsed %d bytes come, %v", len(piece.GetChunk()), err)
		}
	}

	gone, ended := map[string]bool{}, map[string]bool{}
	for _, e := range f.told() {
		switch arm := e.GetEvent().(type) {
		case *deliveryv1.Event_DeliveryLapsed:
			gone[arm.DeliveryLapsed.GetDeliveryId()] = true
		case *deliveryv1.Event_AgreementEnded:
			if a := arm.AgreementEnded; !deals[a.GetAgreementId()] || a.GetSlotsReleased() != 0 || a.GetReason() != deliveryv1.EndReason_END_REASON_NO_SLOTS {
				t.Errorf("an agreement ended as %v", a)
			}
			ended[arm.AgreementEnded.GetAgreementId()] = true
		case *deliveryv1.Event_ReceiptSigned, *deliveryv1.Event_DeliveryReleased:
			t.Errorf("nobody signed, and the log says %v", e)
		}
	}
	if len(gone) != 5 || len(ended) != 5 {
		t.Errorf("%d packages lapsed and %d agreements ended, of five", len(gone), len(ended))
	}
	if err := delivery.Fsck(ctx, f.shipping); err != nil {
		t.Errorf("fsck: %v", err)
	}
}
