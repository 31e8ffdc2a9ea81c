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

func pausing(n byte) subscriber.Pause {
	return subscriber.Pause{Subscriber: anna, Agreement: agreement(n), Initiator: subscriber.InitiatorPerson}
}

// TestAPauseWaitsForItsAcceptance: who accepts and pauses that one agreement before consent has heard of it has given a consent that
// nobody can use until it is resumed; others are not touched.
func TestAPauseWaitsForItsAcceptance(t *testing.T) {
	t.Parallel()
	soon := noon.Add(time.Minute)
	given := func(l *log) []subscriber.Event {
		first := giving(1)
		first.AcceptedAt = noon
		return l.must(t, first, soon)
	}
	l := enrolled(t, adult)
	if events := l.must(t, pausing(1), noon); len(events) != 1 || events[0].(subscriber.Paused).Awaited != agreement(1) || len(events[0].(subscriber.Paused).Scope) != 0 {
		t.Fatalf("paused as %v", events)
	}
	if again := l.must(t, pausing(1), noon); len(again) != 0 {
		t.Errorf("paused twice: %v", again)
	}
	events := given(l)
	if len(events) != 2 {
		t.Fatalf("answered with %v", events)
	}
	if _, ok := events[0].(subscriber.Given); !ok {
		t.Errorf("first %v", events[0])
	}
	if p, ok := events[1].(subscriber.Paused); !ok || len(p.Scope) != 1 || p.Scope[0].Agreement != agreement(1) || p.Scope[0].Offer.IsZero() || !p.Awaited.IsZero() {
		t.Errorf("then %v", events[1])
	}
	l.must(t, giving(2), soon)
	if _, err := l.do(release(1), soon); !errors.Is(err, subscriber.ErrPaused) {
		t.Errorf("held back, and the gate says %v", err)
	}
	if _, err := l.do(release(2), soon); err != nil {
		t.Errorf("another one: %v", err)
	}
	l.must(t, subscriber.Resume{Subscriber: anna, Agreement: agreement(1)}, soon)
	if _, err := l.do(release(1), soon); err != nil {
		t.Errorf("resumed: %v", err)
	}
	if p := l.states[subscriber.On{Subscriber: anna}].(subscriber.Person); len(p.HeldBack) != 0 {
		t.Errorf("still held back: %v", p.HeldBack)
	}
	for name, tc := range map[string]struct {
		before []subscriber.Command
		events int
		gate   error
	}{
		"resumed before it came":     {[]subscriber.Command{pausing(1), subscriber.Resume{Subscriber: anna, Agreement: agreement(1)}}, 1, nil},
		"all resumed before it came": {[]subscriber.Command{pausing(1), subscriber.Resume{Subscriber: anna}}, 1, nil},
		"withdrawn after it":         {[]subscriber.Command{pausing(1), withdrawing(1)}, 1, subscriber.ErrConsentUnknown},
		"another one paused":         {[]subscriber.Command{pausing(2)}, 1, nil},
	} {
		l := enrolled(t, adult)
		for _, c := range tc.before {
			if events := l.must(t, c, noon); len(events) != 1 {
				t.Errorf("%s: %T comes to %v", name, c, events)
			}
		}
		if events := given(l); len(events) != tc.events {
			t.Errorf("%s: answered with %v", name, events)
		}
		if _, err := l.do(release(1), soon); !errors.Is(err, tc.gate) {
			t.Errorf("%s: the gate says %v", name, err)
		}
	}
	l = enrolled(t, adult)
	l.must(t, withdrawing(1), noon)
	if _, err := l.do(pausing(1), noon); !errors.Is(err, subscriber.ErrWithdrawn) {
		t.Errorf("paused after it was withdrawn: %v", err)
	}
	l.must(t, pausing(2), noon)
	if _, err := l.do(subscriber.Resume{Subscriber: anna, Agreement: agreement(2)}, noon.Add(time.Hour)); !errors.Is(err, subscriber.ErrConsentUnknown) {
		t.Errorf("resumed when no acceptance can come any more: %v", err)
	}
}

// TestInventedAgreementsAreBounded: so many a person may await, whatever ids are named; then single ones are refused until their time is
// over, and everything can be withdrawn all the while. They make no streams.
func TestInventedAgreementsAreBounded(t *testing.T) {
	t.Parallel()
	l := enrolled(t, adult)
	for n := range byte(subscriber.MaxAwaited) {
		if n%2 == 0 {
			l.must(t, withdrawing(n), noon)
		} else {
			l.must(t, pausing(n), noon)
		}
	}
	for _, more := range []subscriber.Command{withdrawing(200), pausing(200)} {
		if _, err := l.do(more, noon.Add(15*time.Minute)); !errors.Is(err, subscriber.ErrAwaitedLimit) {
			t.Errorf("one more, %T: %v", more, err)
		}
	}
	l.must(t, withdrawing(0), noon) // known
	l.must(t, subscriber.Withdraw{Subscriber: anna}, noon)
	if len(l.states) != 1 {
		t.Errorf("%d streams for one person", len(l.states))
	}
	later := noon.Add(15*time.Minute + 4*time.Second)
	l.must(t, withdrawing(200), later)
	l.must(t, pausing(201), later)
	if p := l.states[subscriber.On{Subscriber: anna}].(subscriber.Person); len(p.Awaited) != 1 || len(p.HeldBack) != 1 {
		t.Errorf("%d and %d are kept after their time", len(p.Awaited), len(p.HeldBack))
	}
}
