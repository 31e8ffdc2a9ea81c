package rpc_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

// TestAnOrderToDeleteIsToldOfEachDelivery: one event orders the deletion of several packages. A watch that breaks off after every message
// and goes on by its token tells of each of them once, with why and until when; the list says the same, and nothing of what did not leave.
func TestAnOrderToDeleteIsToldOfEachDelivery(t *testing.T) {
	t.Parallel()
	d := begin(t, 2)
	who, deal := d.takes()
	ordered := map[string]bool{}
	for day := range 6 {
		c := puts(who, deal, day+1)
		c.Contents.Expected, c.Contents.Valid = 12, 9
		d.do(who, c)
		if day < 5 {
			d.do(who, shelf.Release{Shelf: c.Shelf, Agreement: deal, Delivery: c.Delivery, ReleaseEvent: id.Random()})
			ordered[c.Delivery.String()] = true
		}
	}
	d.caught()
	list, err := d.ListDeliveries(t.Context(), &deliveryv1.ListDeliveriesRequest{BuyerId: d.buyer.String()})
	d.must(err)
	for _, of := range list.GetDeliveries() {
		if of.GetDeletion() != nil || of.GetExpectedSlots() != 12 || of.GetValidSlots() != 9 || of.GetSlots() != 1 {
			t.Errorf("before the withdrawal: %v", of)
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	token := ""
	next := func() (of *deliveryv1.Delivery) {
		t.Helper()
		err := d.WatchDeliveries(&deliveryv1.WatchDeliveriesRequest{BuyerId: d.buyer.String(), PageToken: token}, told{ctx: ctx, each: func(m *deliveryv1.WatchDeliveriesResponse) error {
			of, token = m.GetDelivery(), m.GetPageToken()
			return errEnough
		}})
		if !errors.Is(err, errEnough) {
			t.Fatal(err)
		}
		return of
	}
	if of := next(); of.GetState() != deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED {
		t.Errorf("first what waits: %v", of)
	}
	before := time.Now()
	d.do(who, shelf.End{Shelf: shelf.Of(who), Agreement: deal, Reason: shelf.EndWithdrawn})
	blocked := 0
	for left := len(ordered); left > 0; {
		of := next()
		switch {
		case of.GetState() == deliveryv1.DeliveryState_DELIVERY_STATE_BLOCKED && of.GetDeletion() == nil:
			blocked++
		case !ordered[of.GetDeliveryId()]:
			t.Fatalf("told once more, or never released: %v", of)
		default:
			delete(ordered, of.GetDeliveryId())
			left--
			due := time.UnixMicro(of.GetDeletion().GetDue())
			if of.GetDeletion().GetReason() != deliveryv1.EndReason_END_REASON_WITHDRAWN || due.Before(before.Add(29*24*time.Hour)) || due.After(before.Add(31*24*time.Hour)) {
				t.Errorf("ordered: %v", of)
			}
		}
	}
	if blocked != 1 {
		t.Errorf("%d packages were blocked", blocked)
	}
	// The person is told what is overdue, however much has happened since.
	d.caught()
	for days, want := range map[int]int{0: 6, 29: 0, 31: 5} {
		r := &deliveryv1.ListUsesRequest{SubscriberId: who.String()}
		if days > 0 {
			r.DeleteDueBefore = before.AddDate(0, 0, days).UnixMicro()
		}
		uses, err := d.ListUses(t.Context(), r)
		d.must(err)
		if len(uses.GetUses()) != want {
			t.Errorf("to be deleted in %d days: %v, want %d", days, uses, want)
		}
		for _, use := range uses.GetUses() {
			if days > 0 && use.GetDeletion().GetReason() != deliveryv1.EndReason_END_REASON_WITHDRAWN {
				t.Errorf("ordered: %v", use)
			}
		}
	}
}
