package subscriber_test

import (
	"testing"
	"time"

	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

// fulfilled is a person whose consents 1 and 2 ended by themselves at noon, their buyer to delete within 30 days.
func fulfilled(t *testing.T) *log {
	l := enrolled(t, adult)
	for n, why := range map[byte]subscriber.Expiry{1: subscriber.ExpiryFulfilled, 2: subscriber.ExpiryVoided} {
		g := giving(n)
		g.Licence.Retention = 30
		l.must(t, g, noon)
		l.must(t, subscriber.Expire{Subscriber: anna, Agreement: agreement(n), Reason: why}, noon)
	}
	return l
}

// TestWhatEndedByItselfIsWithdrawn once, with its full scope, while its buyer may still hold the data; after that there is nothing to end.
func TestWhatEndedByItselfIsWithdrawn(t *testing.T) {
	t.Parallel()
	l := fulfilled(t)
	events := l.must(t, withdrawing(1), noon.AddDate(0, 0, 29))
	g := giving(1).Licence
	if len(events) != 1 {
		t.Fatalf("withdrawn as %v", events)
	}
	w, ok := events[0].(subscriber.Withdrawn)
	if !ok || w.All || len(w.Scope) != 1 || w.Scope[0] != (subscriber.Scope{Agreement: g.Agreement, Offer: g.Offer, Bid: g.Bid}) {
		t.Fatalf("withdrawn as %v", events)
	}
	if again := l.must(t, withdrawing(1), noon.AddDate(0, 0, 29)); len(again) != 0 {
		t.Errorf("withdrawn twice: %v", again)
	}
	if late := l.must(t, withdrawing(2), noon.AddDate(0, 0, 30)); len(late) != 0 {
		t.Errorf("withdrawn when all must be deleted: %v", late)
	}
}

// TestEverythingIsAlsoWhatEndedByItself: withdrawing all, and leaving, name the past consents whose data the buyer may hold, once.
func TestEverythingIsAlsoWhatEndedByItself(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]subscriber.Command{
		"all": subscriber.Withdraw{Subscriber: anna}, "leave": subscriber.Close{Subscriber: anna},
	} {
		l := fulfilled(t)
		l.must(t, giving(3), noon)
		if w := l.must(t, c, noon.Add(time.Hour))[0].(subscriber.Withdrawn); len(w.Scope) != 3 {
			t.Errorf("%s: the scope is %v", name, w.Scope)
		}
		if w := l.must(t, subscriber.Withdraw{Subscriber: anna}, noon.Add(time.Hour))[0].(subscriber.Withdrawn); len(w.Scope) != 0 {
			t.Errorf("%s: withdrawn twice: %v", name, w.Scope)
		}
		if again := l.must(t, withdrawing(1), noon.Add(time.Hour)); len(again) != 0 {
			t.Errorf("%s: withdrawn once more: %v", name, again)
		}
	}
	l := fulfilled(t)
	if w := l.must(t, subscriber.Withdraw{Subscriber: anna}, noon.AddDate(0, 0, 30))[0].(subscriber.Withdrawn); len(w.Scope) != 0 {
		t.Errorf("withdrawn when all must be deleted: %v", w.Scope)
	}
}

// TestWhatIsHeldOfThePast: what a buyer was given may come again until it must be deleted, unless it was withdrawn, or while everything is paused.
func TestWhatIsHeldOfThePast(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		do   []subscriber.Command
		days int // later
		want bool
	}{
		"as it ended":       {want: true},
		"on the last day":   {days: 29, want: true},
		"to be deleted":     {days: 30},
		"withdrawn":         {do: []subscriber.Command{withdrawing(1)}},
		"another withdrawn": {do: []subscriber.Command{withdrawing(2)}, want: true},
		"all withdrawn":     {do: []subscriber.Command{subscriber.Withdraw{Subscriber: anna}}},
		"paused":            {do: []subscriber.Command{subscriber.Pause{Subscriber: anna, Initiator: subscriber.InitiatorPerson}}},
		"left":              {do: []subscriber.Command{subscriber.Close{Subscriber: anna}}},
	} {
		l := fulfilled(t)
		for _, c := range tc.do {
			l.must(t, c, noon.Add(time.Hour))
		}
		p, _ := l.states[subscriber.On{Subscriber: anna}].(subscriber.Person)
		if got := p.Holds(agreement(1), noon.AddDate(0, 0, tc.days)); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// TestThePastIsBounded: the state of who sells often stays small.
func TestThePastIsBounded(t *testing.T) {
	t.Parallel()
	p := subscriber.State(subscriber.Person{})
	on := subscriber.On{Subscriber: anna}
	for i := range subscriber.MaxPast + 20 {
		g := giving(1).Licence
		g.Agreement.ID[0], g.Agreement.ID[1], g.Retention = byte(i), byte(i>>8), 30
		at := noon.Add(time.Duration(i) * time.Second)
		p = subscriber.Evolve(p, on, subscriber.Entry{On: on, At: at, Event: subscriber.Given{Licence: g}})
		p = subscriber.Evolve(p, on, subscriber.Entry{On: on, At: at, Event: subscriber.Expired{Scope: subscriber.Scope{Agreement: g.Agreement}}})
	}
	if past := p.(subscriber.Person).Past; len(past) != subscriber.MaxPast {
		t.Errorf("%d are kept", len(past))
	}
}
