package subscriber_test

import (
	"errors"
	"testing"
	"time"

	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

func withdrawing(n byte) subscriber.Withdraw {
	return subscriber.Withdraw{Subscriber: anna, Agreement: agreement(n), Initiator: subscriber.InitiatorPerson}
}

// refusal is why an acceptance became no consent; empty where it did.
func refusal(t *testing.T, l *log, g subscriber.Give, at time.Time) string {
	t.Helper()
	events := l.must(t, g, at)
	if len(events) != 1 {
		t.Fatalf("an acceptance is answered with %v", events)
	}
	if r, ok := events[0].(subscriber.Refused); ok {
		return r.Reason
	}
	return ""
}

// TestAWithdrawalWaitsForItsAcceptance: who accepts and withdraws that one agreement before consent has heard of it gets no consent,
// however long the acceptance is on its way; others are not touched, and a later acceptance of the same offer is another agreement.
func TestAWithdrawalWaitsForItsAcceptance(t *testing.T) {
	t.Parallel()
	for _, late := range []time.Duration{0, time.Second, time.Minute, 15*time.Minute - 1, 15 * time.Minute, time.Hour, 24 * time.Hour} {
		l := enrolled(t, adult)
		first, second := giving(1), giving(2)
		first.AcceptedAt, second.AcceptedAt = noon, noon
		events := l.must(t, withdrawing(1), noon.Add(time.Second))
		if w, ok := events[0].(subscriber.Withdrawn); !ok || w.Awaited != agreement(1) || len(w.Scope) != 0 || w.All {
			t.Fatalf("withdrawn as %v", events)
		}
		if again := l.must(t, withdrawing(1), noon.Add(2*time.Second)); len(again) != 0 {
			t.Errorf("withdrawn twice: %v", again)
		}
		at := noon.Add(time.Second + late)
		if why := refusal(t, l, first, at); why != "WITHDRAWN" && (late < 15*time.Minute || why != "EXPIRED") {
			t.Errorf("%s later: %q", late, why)
		}
		if why := refusal(t, l, second, at); late < 14*time.Minute && why != "" {
			t.Errorf("%s later another one: %q", late, why)
		}
		if _, err := l.do(withdrawing(1), at); !errors.Is(err, subscriber.ErrConsentUnknown) {
			t.Errorf("withdrawn after it was refused: %v", err)
		}
	}
}

// TestNoAnswerComesTooLate: the market has undone an acceptance whose answer is due, so no yes is given to it; that is why a withdrawal
// need not be kept for longer. The clocks of the two logs may differ by two seconds either way.
func TestNoAnswerComesTooLate(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		due   time.Time
		after time.Duration
		want  string
	}{
		"in time":         {noon.Add(15 * time.Minute), 15*time.Minute - time.Microsecond, ""},
		"due":             {noon.Add(15 * time.Minute), 15 * time.Minute, "EXPIRED"},
		"says nothing":    {time.Time{}, 15 * time.Minute, ""},
		"too late":        {time.Time{}, 15*time.Minute + 2*time.Second, "EXPIRED"},
		"due in an hour":  {noon.Add(time.Hour), 30 * time.Minute, "EXPIRED"},
		"due in a minute": {noon.Add(time.Minute), time.Minute, "EXPIRED"},
	} {
		l := enrolled(t, adult)
		g := giving(1)
		g.AcceptedAt, g.AnswerDue = noon, tc.due
		if why := refusal(t, l, g, noon.Add(tc.after)); why != tc.want {
			t.Errorf("%s: %q, want %q", name, why, tc.want)
		}
	}
	// The acceptance's clock is two seconds ahead, and its event comes at the last moment.
	l := enrolled(t, adult)
	g := giving(1)
	g.AcceptedAt = noon.Add(2 * time.Second)
	l.must(t, withdrawing(1), noon)
	if why := refusal(t, l, g, noon.Add(15*time.Minute+4*time.Second-time.Microsecond)); why != "WITHDRAWN" {
		t.Errorf("at the last moment: %q", why)
	}
}

// TestInventedAgreementsAreBounded: so many a person may await, whatever ids are named; then single ones are refused until their time is
// over, and everything can be withdrawn all the while. They make no streams.
func TestInventedAgreementsAreBounded(t *testing.T) {
	t.Parallel()
	l := enrolled(t, adult)
	for n := range byte(subscriber.MaxAwaited) {
		l.must(t, withdrawing(n), noon)
	}
	if _, err := l.do(withdrawing(200), noon.Add(15*time.Minute)); !errors.Is(err, subscriber.ErrAwaitedLimit) {
		t.Errorf("one more: %v", err)
	}
	l.must(t, withdrawing(0), noon) // known
	l.must(t, subscriber.Withdraw{Subscriber: anna}, noon)
	if len(l.states) != 1 {
		t.Errorf("%d streams for one person", len(l.states))
	}
	later := noon.Add(15*time.Minute + 4*time.Second)
	l.must(t, withdrawing(200), later)
	if p := l.states[subscriber.On{Subscriber: anna}].(subscriber.Person); len(p.Awaited) != 1 {
		t.Errorf("%d are kept after their time", len(p.Awaited))
	}
}
