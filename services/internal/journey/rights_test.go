package journey

import (
	"fmt"
	"regexp"
	"testing"

	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
)

// corrects has a person correct a day's steps that were delivered to so many.
func (f *full) corrects(p *holder, steps int64) {
	f.t.Helper()
	const day = "2016-04-24"
	list, err := p.data.ListPoints(f.t.Context(), &deliveryv1.ListPointsRequest{
		SubscriberId: p.id.String(), Schema: "omh:step-count:3.0", Days: &marketv1.Days{First: day, Last: day},
	})
	f.must(err)
	if len(list.GetPoints()) != 1 {
		f.t.Fatalf("%d points of the day", len(list.GetPoints()))
	}
	said := regexp.MustCompile(`("step_count":\{"value":)[0-9]+`).ReplaceAll(list.GetPoints()[0], fmt.Appendf(nil, "${1}%d", steps))
	done, err := p.data.CorrectPoint(f.t.Context(), &deliveryv1.CorrectPointRequest{SubscriberId: p.id.String(), Point: said, IdempotencyKey: "correct"})
	f.must(err)
	if len(done.GetDeliveryIds()) != 1 {
		f.t.Errorf("carried by %v", done.GetDeliveryIds())
	}
}

// TestARestrictedSourceLeavesNothing, through the services: a package that waits when its person restricts the source is blocked before the answer
// comes, its buyer gets no key, and is given another package once the restriction is lifted; a disconnected source brings nothing.
func TestARestrictedSourceLeavesNothing(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	list, _, people := f.packed()
	waits := list[0]
	p := people[waits.GetAgreementId()]
	uses := func(after *eventv1.Cursor) []*deliveryv1.Use {
		t.Helper()
		r, err := p.data.ListUses(t.Context(), &deliveryv1.ListUsesRequest{SubscriberId: p.id.String(), After: after})
		f.must(err)
		return r.GetUses()
	}
	first := uses(nil)
	if len(first) != 1 {
		t.Fatalf("%v", first)
	}
	r, err := p.data.RestrictSource(t.Context(), &deliveryv1.RestrictSourceRequest{SubscriberId: p.id.String(), SourceId: p.source, IdempotencyKey: "r"})
	f.must(err)
	if _, err := f.packages.SignReceipt(t.Context(), f.receipt(waits)); reason(err) != "SOURCE_RESTRICTED" {
		t.Errorf("the buyer is answered %v", err)
	}
	f.Eventually("the person is told", func() bool {
		u := uses(r.GetCursor())
		return len(u) == 1 && u[0].GetBlocked() == deliveryv1.Reason_REASON_SOURCE_RESTRICTED
	})
	_, err = p.data.LiftRestriction(t.Context(), &deliveryv1.LiftRestrictionRequest{SubscriberId: p.id.String(), SourceId: p.source, IdempotencyKey: "l"})
	f.must(err)
	f.Eventually("another package", func() bool {
		u := uses(nil)
		return len(u) == 2 && u[0].GetState() == deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED && len(u[0].GetSlots()) == len(first[0].GetSlots())
	})
	_, err = p.data.DisconnectSource(t.Context(), &deliveryv1.DisconnectSourceRequest{SubscriberId: p.id.String(), SourceId: p.source, IdempotencyKey: "d"})
	f.must(err)
	if _, err := p.bring(activity, "1503960366", nil); reason(err) != "SOURCE_DISCONNECTED" {
		t.Errorf("a disconnected source brings: %v", err)
	}
	record, err := p.data.ListRecord(t.Context(), &deliveryv1.ListRecordRequest{SubscriberId: p.id.String(), PageSize: 100})
	f.must(err)
	told := map[string]int{}
	for _, e := range record.GetEntries() {
		told[e.GetType()]++
	}
	for _, typ := range []string{"source_restricted", "restriction_lifted", "source_disconnected", "delivery_blocked"} {
		if told[typ] != 1 {
			t.Errorf("the record tells %s %d times: %v", typ, told[typ], told)
		}
	}
}
