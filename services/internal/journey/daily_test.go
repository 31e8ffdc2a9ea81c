package journey

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/internal/worldtest"
)

const activity = "dailyActivity_merged.csv"

// walkers have steps on each of the first twelve days of the file.
func walkers(t *testing.T) []string {
	t.Helper()
	return slices.DeleteFunc(participants(t, activity), func(who string) bool { return who == "1844505072" || who == "1927972279" })
}

// april is one day, or the days from one to another.
func april(first, last int) *marketv1.Days {
	return &marketv1.Days{First: fmt.Sprintf("2016-04-%02d", first), Last: fmt.Sprintf("2016-04-%02d", last)}
}

// told is what is in delivery's log, partition by partition in its order.
func (f *full) told() (list []*deliveryv1.Event) {
	f.t.Helper()
	log := logv1.NewLogServiceClient(f.Dial(delivery.Name, "audit", eventv1.Role_ROLE_AUDITOR))
	for part := range int32(worldtest.Partitions) {
		stream, err := log.ReadLog(f.t.Context(), &logv1.ReadLogRequest{Partition: part})
		f.must(err)
		for {
			r, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			f.must(err)
			for _, stored := range r.GetEvents() {
				e := new(deliveryv1.Event)
				f.must(proto.Unmarshal(stored.GetData(), e))
				list = append(list, e)
			}
		}
	}
	return list
}

// of lists the deliveries of one agreement of a bid.
func (f *full) of(bid, deal string) []*deliveryv1.Delivery {
	f.t.Helper()
	return slices.DeleteFunc(f.waiting(bid, 0), func(d *deliveryv1.Delivery) bool { return d.GetAgreementId() != deal })
}

// TestDayAfterDay, told with four processes: what is there when a daily agreement clears comes as one package, each day's import after that brings one more; after
// the withdrawal nothing follows however much is imported, and the buyer is ordered to delete what it has.
func TestDayAfterDay(t *testing.T) {
	t.Parallel()
	f := launchOn(t, worldtest.New(t))
	ctx := t.Context()
	f.opens(100_00)
	who := walkers(t)
	people, deals := make([]*holder, 5), make([]string, 5)
	daily := f.bid(50, 5)
	daily.Terms.Cadence, daily.Terms.MaxSlotsPerPerson = marketv1.Cadence_CADENCE_DAILY, 10
	bid := f.place(daily, "daily")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	for i := range people {
		people[i] = f.holder()
		_, err := people[i].bring(activity, who[i], april(12, 14))
		f.must(err)
		deals[i], err = people[i].accept(bid)
		f.must(err)
	}
	f.Eventually("the first three days of five people", func() bool { return len(f.waiting(bid, prepared)) == 5 })
	for _, d := range f.waiting(bid, prepared) {
		if d.GetSlots() != 3 || d.GetSequence() != 1 {
			t.Errorf("the first package holds %d days", d.GetSlots())
		}
	}
	// Of five people two share a partition of the log: what the other one's import brings comes after what the first one's would.
	one, fence := pair(people)
	me, deal := people[one], deals[one]
	left := map[string][]byte{} // keys as they came, by delivery
	take := func(n, rows int) {
		t.Helper()
		f.Eventually(fmt.Sprintf("package %d", n), func() bool { return len(f.of(bid, deal)) == n })
		d := f.of(bid, deal)[n-1]
		sealed := f.fetch(d, 0)
		key := f.signed(d)
		left[d.GetDeliveryId()] = key.GetSealedKey()
		if m, text := f.open(d, sealed, key); m.Rows != rows || m.Sequence != n || d.GetSequence() != uint32(n) {
			t.Errorf("package %d is number %d with\n%s", n, m.Sequence, text)
		}
	}
	take(1, 3)
	for day := 15; day <= 17; day++ {
		_, err := me.bring(activity, who[one], april(day, day))
		f.must(err)
		take(day-13, 1)
	}
	if r, err := me.bring(activity, who[one], april(12, 17)); err != nil || r.GetRepeatedPoints() == 0 || len(r.GetArrivals()) != 0 {
		t.Errorf("days that were there: %v, %v", r, err)
	}
	f.Eventually("six days' pay", func() bool { return me.available() == 24 })
	_, err := me.bring(activity, who[one], april(18, 18))
	f.must(err)
	f.Eventually("a package that waits", func() bool { return len(f.of(bid, deal)) == 5 })
	last := f.of(bid, deal)[4]

	w, err := me.consent.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: me.id.String(), AgreementId: deal, IdempotencyKey: "w"})
	if err != nil || w.GetEnded() != 1 {
		t.Fatalf("withdrawn: %v, %v", w, err)
	}
	for _, d := range f.of(bid, deal) {
		key, err := f.packages.SignReceipt(ctx, f.receipt(d))
		if then, released := left[d.GetDeliveryId()]; released {
			if err != nil || !bytes.Equal(key.GetSealedKey(), then) {
				t.Errorf("what had left before the withdrawal is answered otherwise than then: %v", err)
			}
		} else if reason(err) != "WITHDRAWN" {
			t.Errorf("a key after the withdrawal: %v", err)
		}
	}
	f.Eventually("the last one to be blocked", func() bool {
		d := f.of(bid, deal)[4]
		return d.GetState() == deliveryv1.DeliveryState_DELIVERY_STATE_BLOCKED && d.GetBlocked() == deliveryv1.Reason_REASON_WITHDRAWN
	})
	for day := 19; day <= 21; day++ {
		if _, err := me.bring(activity, who[one], april(day, day)); err != nil {
			t.Errorf("one's own data come in, whoever may have them: %v", err)
		}
	}
	_, err = people[fence].bring(activity, who[fence], april(15, 15))
	f.must(err)
	f.Eventually("the other one's day", func() bool { return len(f.of(bid, deals[fence])) == 2 })
	if list := f.of(bid, deal); len(list) != 5 {
		t.Errorf("%d packages, and the withdrawal was after the fifth", len(list))
	}
	f.afterTheEnd(deal, last.GetDeliveryId())
	f.Eventually("the buyer to be told to delete", func() bool { return f.of(bid, deal)[0].GetDeletion() != nil })
	for _, d := range f.of(bid, deal) {
		order, due := d.GetDeletion(), time.UnixMicro(d.GetDeletion().GetDue())
		if _, released := left[d.GetDeliveryId()]; !released {
			if order != nil {
				t.Errorf("what never left is to be deleted: %v", d)
			}
		} else if order.GetReason() != deliveryv1.EndReason_END_REASON_WITHDRAWN || time.Until(due) < 29*24*time.Hour || time.Until(due) > 31*24*time.Hour {
			t.Errorf("the buyer is told %v", order)
		}
		if d.GetExpectedSlots() < d.GetValidSlots() || d.GetValidSlots() < d.GetSlots() || d.GetSlots() == 0 {
			t.Errorf("slots: %d expected, %d valid, %d delivered", d.GetExpectedSlots(), d.GetValidSlots(), d.GetSlots())
		}
	}
	for _, d := range f.of(bid, deals[fence]) {
		if d.GetDeletion() != nil {
			t.Errorf("somebody else's is to be deleted: %v", d)
		}
	}
	if earned := me.available(); earned != 24 {
		t.Errorf("withdrawn with 24 cents earned, and %d are there", earned)
	}
	f.once(delivery.Name, "fsck")
}

// pair finds two people whose data stand in one partition.
func pair(people []*holder) (one, other int) {
	seen := map[es.Partition]int{}
	for i, p := range people {
		part := es.PartitionOf(es.StreamOf(p.id), worldtest.Partitions)
		if before, ok := seen[part]; ok {
			return before, i
		}
		seen[part] = i
	}
	panic("more partitions than people")
}

// afterTheEnd holds the log to the agreement's end: what waited was blocked for ever, nothing was prepared or released after it, and
// the order to delete names what had left.
func (f *full) afterTheEnd(deal, blocked string) {
	f.t.Helper()
	var released []string
	var ended *deliveryv1.AgreementEnded
	var ordered *deliveryv1.DeletionOrdered
	for _, e := range f.told() {
		switch arm := e.GetEvent().(type) {
		case *deliveryv1.Event_DeliveryPrepared:
			if arm.DeliveryPrepared.GetAgreementId() == deal && ended != nil {
				f.t.Error("a package was prepared after the end")
			}
		case *deliveryv1.Event_DeliveryReleased:
			if arm.DeliveryReleased.GetAgreementId() == deal {
				released = append(released, arm.DeliveryReleased.GetDeliveryId())
				if ended != nil || arm.DeliveryReleased.GetElapsedUs() >= 1_000_000 {
					f.t.Errorf("a key left after the end, or late: %v", arm.DeliveryReleased)
				}
			}
		case *deliveryv1.Event_DeliveryBlocked:
			if b := arm.DeliveryBlocked; b.GetAgreementId() == deal && b.GetFinal() && (b.GetDeliveryId() != blocked || ended != nil) {
				f.t.Errorf("blocked: %v", b)
			}
		case *deliveryv1.Event_AgreementEnded:
			if arm.AgreementEnded.GetAgreementId() == deal {
				ended = arm.AgreementEnded
			}
		case *deliveryv1.Event_DeletionOrdered:
			if arm.DeletionOrdered.GetAgreementId() == deal {
				if ordered != nil {
					f.t.Error("ordered twice")
				}
				ordered = arm.DeletionOrdered
			}
		}
	}
	if ended.GetReason() != deliveryv1.EndReason_END_REASON_WITHDRAWN || ended.GetSlotsReleased() != 6 || len(released) != 4 {
		f.t.Errorf("%d keys had left; the end is %v", len(released), ended)
	}
	slices.Sort(released)
	listed := slices.Sorted(slices.Values(ordered.GetDeliveryIds()))
	if !slices.Equal(released, listed) || ordered.GetReason() != deliveryv1.EndReason_END_REASON_WITHDRAWN {
		f.t.Errorf("%v had left; ordered to delete: %v", released, ordered)
	}
	if due := time.Until(time.UnixMicro(ordered.GetDue())); due < 29*24*time.Hour || due > 31*24*time.Hour {
		f.t.Errorf("to be deleted within %v", due)
	}
}
