package view_test

import (
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/delivery/internal/schema"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// TestBatchesFoldAlike: what comes in floods is written together, and an agreement of which much happens within a batch ends as it does
// event by event.
func TestBatchesFoldAlike(t *testing.T) {
	t.Parallel()
	shelf, person, bid := id.Random(), id.Random(), id.Random()
	due := time.Date(2026, 4, 12, 9, 0, 20, 0, time.UTC).UnixMicro() // amid what happens
	var what []worldtest.Happened
	add := func(child id.ID, e *deliveryv1.Event) {
		what = append(what, worldtest.Happened{On: es.StreamOf(shelf).Child(child), Event: e})
	}
	take := func(a id.ID, cleared bool) {
		add(a, &deliveryv1.Event{Event: &deliveryv1.Event_AgreementTaken{AgreementTaken: &deliveryv1.AgreementTaken{
			AgreementId: a.String(), SubscriberId: person.String(), BidId: bid.String(), Cleared: cleared, DueAt: due,
		}}})
	}
	prepare := func(a id.ID) (d id.ID) {
		d = id.Random()
		add(d, &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryPrepared{DeliveryPrepared: &deliveryv1.DeliveryPrepared{
			DeliveryId: d.String(), AgreementId: a.String(), SubscriberId: person.String(), Sequence: uint32(len(what)), Bytes: 7, DeliveredSlots: 1, Digest: []byte{1}, LapsesAt: due,
		}}})
		return d
	}
	sign := func(a, d id.ID) {
		add(d, &deliveryv1.Event{Event: &deliveryv1.Event_ReceiptSigned{ReceiptSigned: &deliveryv1.ReceiptSigned{DeliveryId: d.String(), AgreementId: a.String()}}})
	}
	release := func(a, d id.ID, last bool) {
		sign(a, d)
		add(d, &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryReleased{DeliveryReleased: &deliveryv1.DeliveryReleased{
			DeliveryId: d.String(), AgreementId: a.String(), BidId: bid.String(), SubscriberId: person.String(), Last: last,
		}}})
	}
	end := func(a id.ID) {
		add(a, &deliveryv1.Event{Event: &deliveryv1.Event_AgreementEnded{AgreementEnded: &deliveryv1.AgreementEnded{AgreementId: a.String(), SubscriberId: person.String(), BidId: bid.String()}}})
	}
	a, b, c := id.Random(), id.Random(), id.Random()
	take(a, true)
	take(b, false)
	one := prepare(a)
	add(a, &deliveryv1.Event{Event: &deliveryv1.Event_SlotsAwaited{SlotsAwaited: &deliveryv1.SlotsAwaited{AgreementId: a.String(), DueAt: due + 1}}})
	release(a, one, false)
	two := prepare(a)
	add(b, &deliveryv1.Event{Event: &deliveryv1.Event_AgreementCleared{AgreementCleared: &deliveryv1.AgreementCleared{AgreementId: b.String(), DueAt: due}}})
	three := prepare(b)
	add(two, &deliveryv1.Event{Event: &deliveryv1.Event_PackageResealed{PackageResealed: &deliveryv1.PackageResealed{DeliveryId: two.String(), BuyerKeyId: id.Random().String()}}})
	sign(b, three)
	add(three, &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryBlocked{DeliveryBlocked: &deliveryv1.DeliveryBlocked{DeliveryId: three.String(), AgreementId: b.String(), Reason: deliveryv1.Reason_REASON_PAUSED}}})
	release(a, two, true)
	release(b, three, false)
	take(c, true)
	four := prepare(c)
	five := prepare(b)
	add(five, &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryLapsed{DeliveryLapsed: &deliveryv1.DeliveryLapsed{DeliveryId: five.String(), AgreementId: b.String()}}})
	end(a)
	six := prepare(b) // behind what was due
	release(c, four, true)
	end(c)
	add(four, &deliveryv1.Event{Event: &deliveryv1.Event_DeletionOrdered{DeletionOrdered: &deliveryv1.DeletionOrdered{
		AgreementId: c.String(), DeliveryIds: []string{four.String()}, Reason: deliveryv1.EndReason_END_REASON_WITHDRAWN, Due: due,
	}}})
	release(b, six, true)
	end(b)
	worldtest.Folds(t, schema.Shelves, view.Project, what)
}
