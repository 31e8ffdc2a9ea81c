package view_test

import (
	"testing"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	"github.com/obole-market/obole/services/consent/internal/schema"
	"github.com/obole-market/obole/services/consent/internal/view"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// TestBatchesFoldAlike: what comes in floods is written together, and a consent that is paused, resumed, withdrawn or expires within a batch
// ends as it does event by event.
func TestBatchesFoldAlike(t *testing.T) {
	t.Parallel()
	who := id.Random()
	var what []worldtest.Happened
	add := func(on es.Stream, e *consentv1.Event) { what = append(what, worldtest.Happened{On: on, Event: e}) }
	give := func(a id.ID) {
		add(es.StreamOf(who).Child(a), &consentv1.Event{Event: &consentv1.Event_ConsentGiven{ConsentGiven: &consentv1.ConsentGiven{
			AgreementId: a.String(), SubscriberId: who.String(), OfferId: a.String(), BidId: a.String(), ExpiresAt: int64(len(what) + 1),
		}}})
	}
	scope := func(list ...id.ID) (out []*consentv1.Ended) {
		for _, a := range list {
			out = append(out, &consentv1.Ended{AgreementId: a.String(), OfferId: a.String(), BidId: a.String()})
		}
		return out
	}
	release := func(a id.ID) {
		add(es.StreamOf(who).Child(a), &consentv1.Event{Event: &consentv1.Event_ReleaseCommitted{ReleaseCommitted: &consentv1.ReleaseCommitted{AgreementId: a.String(), SubscriberId: who.String()}}})
	}
	expire := func(a id.ID) {
		add(es.StreamOf(who).Child(a), &consentv1.Event{Event: &consentv1.Event_ConsentExpired{ConsentExpired: &consentv1.ConsentExpired{SubscriberId: who.String(), Scope: scope(a)[0]}}})
	}
	a, b, c, d, e := id.Random(), id.Random(), id.Random(), id.Random(), id.Random()
	give(a)
	release(a)
	give(b)
	release(a)
	release(b)
	add(es.StreamOf(who).Child(e), &consentv1.Event{Event: &consentv1.Event_ConsentRefused{ConsentRefused: &consentv1.ConsentRefused{
		AgreementId: e.String(), SubscriberId: who.String(), OfferId: e.String(), BidId: e.String(),
	}}})
	add(es.StreamOf(who), &consentv1.Event{Event: &consentv1.Event_ConsentPaused{ConsentPaused: &consentv1.ConsentPaused{SubscriberId: who.String(), Scope: scope(a)}}})
	give(c)
	expire(a)
	add(es.StreamOf(who), &consentv1.Event{Event: &consentv1.Event_ConsentPaused{ConsentPaused: &consentv1.ConsentPaused{SubscriberId: who.String(), All: true, Scope: scope(b, c)}}})
	expire(b)
	add(es.StreamOf(who), &consentv1.Event{Event: &consentv1.Event_ConsentResumed{ConsentResumed: &consentv1.ConsentResumed{SubscriberId: who.String(), All: true, Scope: scope(c)}}})
	release(c)
	give(d)
	expire(c)
	release(d)
	add(es.StreamOf(who), &consentv1.Event{Event: &consentv1.Event_ConsentWithdrawn{ConsentWithdrawn: &consentv1.ConsentWithdrawn{SubscriberId: who.String(), Scope: scope(b, d)}}})
	expire(d) // of what was withdrawn nothing changes
	worldtest.Folds(t, schema.People, view.Project, what)
}
