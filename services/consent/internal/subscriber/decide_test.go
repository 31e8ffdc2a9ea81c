package subscriber_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
)

var (
	noon    = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	anna    = subscriber.ID{ID: id.Derive([]byte("anna"))}
	insurer = subscriber.BuyerID{ID: id.Derive([]byte("insurer"))}
	study   = subscriber.BuyerID{ID: id.Derive([]byte("study"))}
	belgium = subscriber.Law{Country: "BE", AdultAge: 18, PaidHealth: true}
	adult   = subscriber.Identity{Country: "BE", Language: "fr", Birth: time.Date(1990, 2, 3, 0, 0, 0, 0, time.UTC)}
)

// log is the smallest event store: what happened, folded into the states.
type log struct {
	states   map[subscriber.On]subscriber.State
	position int64
	events   []subscriber.Event
}

func newLog() *log { return &log{states: map[subscriber.On]subscriber.State{}} }

func (l *log) do(c subscriber.Command, at time.Time) ([]subscriber.Event, error) {
	named := map[subscriber.On]bool{}
	for _, on := range subscriber.Reads(c) {
		named[on] = true
	}
	entries, err := subscriber.Decide(func(on subscriber.On) subscriber.State {
		if !named[on] {
			panic("Decide looked at a stream that Reads did not name")
		}
		return l.states[on]
	}, c, at)
	if err != nil {
		return nil, err
	}
	var out []subscriber.Event
	for _, e := range entries {
		l.position++
		e.Position, e.At = l.position, at
		for _, on := range append(subscriber.Touches(e), e.On) {
			l.states[on] = subscriber.Evolve(l.states[on], on, e)
		}
		out = append(out, e.Event)
	}
	l.events = append(l.events, out...)
	return out, nil
}

func (l *log) must(t interface{ Fatal(...any) }, c subscriber.Command, at time.Time) []subscriber.Event {
	events, err := l.do(c, at)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func agreement(n byte) subscriber.AgreementID {
	return subscriber.AgreementID{ID: id.Derive([]byte("agreement"), []byte{n})}
}

func giving(n byte) subscriber.Give {
	return subscriber.Give{
		AcceptedAt: noon.Add(time.Hour), // after all that is withdrawn at noon
		Licence: subscriber.Licence{
			Agreement: agreement(n), Offer: subscriber.OfferID{ID: id.Derive([]byte{n})}, Bid: subscriber.BidID{ID: id.Derive([]byte{n, n})},
			Buyer: study, Subscriber: anna, Product: "daily-steps", Purpose: "https://w3id.org/dpv#AcademicResearch",
			Country: "BE", Health: true, ExpiresAt: noon.AddDate(0, 1, 0),
		},
		Record: []byte("record"), ExplicitStepAt: 1, Law: belgium, Net: subscriber.Price{Micros: 40_000, Currency: "EUR"},
	}
}

func enrolled(t interface{ Fatal(...any) }, who subscriber.Identity) *log {
	l := newLog()
	l.must(t, subscriber.Enrol{Subscriber: anna, Identity: who}, noon)
	return l
}

func TestGiveAnswersAlways(t *testing.T) {
	t.Parallel()
	with := func(change func(*subscriber.Give)) subscriber.Give { g := giving(1); change(&g); return g }
	rules := func(r subscriber.Rules) func(*log) {
		return func(l *log) { l.must(t, subscriber.SetRules{Subscriber: anna, Rules: r}, noon) }
	}
	for name, tc := range map[string]struct {
		who    subscriber.Identity
		before func(*log)
		give   subscriber.Give
		reason string
	}{
		"an adult":                 {who: adult, give: giving(1)},
		"nobody":                   {give: giving(1), reason: "SUBSCRIBER_UNKNOWN", before: func(l *log) { *l = *newLog() }},
		"age unknown":              {who: subscriber.Identity{Country: "BE"}, give: giving(1), reason: "AGE_UNKNOWN"},
		"a day too young":          {who: subscriber.Identity{Country: "BE", Birth: time.Date(2008, 11, 25, 0, 0, 0, 0, time.UTC)}, give: giving(1), reason: "UNDER_AGE"},
		"18 today":                 {who: subscriber.Identity{Country: "BE", Birth: time.Date(2008, 11, 24, 0, 0, 0, 0, time.UTC)}, give: giving(1)},
		"a year proves 18 not yet": {who: subscriber.Identity{Country: "BE", BirthYear: 2008}, give: giving(1), reason: "UNDER_AGE"},
		"a year proves 18 from 19": {who: subscriber.Identity{Country: "BE", BirthYear: 2007}, give: giving(1)},
		"assured": {who: subscriber.Identity{Country: "BE"}, give: giving(1), before: func(l *log) {
			l.must(t, subscriber.AssureAge{Subscriber: anna, Method: "CONTRACT", AtLeast: 18}, noon)
		}},
		"assured of too little": {who: subscriber.Identity{Country: "BE"}, give: giving(1), reason: "UNDER_AGE", before: func(l *log) {
			l.must(t, subscriber.AssureAge{Subscriber: anna, Method: "CONTRACT", AtLeast: 16}, noon)
		}},
		"no explicit step":   {who: adult, give: with(func(g *subscriber.Give) { g.ExplicitStepAt = 0 }), reason: "EXPLICIT_STEP_MISSING"},
		"law forbids health": {who: adult, give: with(func(g *subscriber.Give) { g.Law.PaidHealth = false }), reason: "COUNTRY_FORBIDS"},
		"another country":    {who: adult, give: with(func(g *subscriber.Give) { g.Licence.Country, g.Law.Country = "NL", "NL" }), reason: "COUNTRY_FORBIDS"},
		"buyer barred":       {who: adult, give: with(func(g *subscriber.Give) { g.BuyerBarred = true }), reason: "BUYER_SUSPENDED"},
		"card too old":       {who: adult, give: with(func(g *subscriber.Give) { g.Licence.ExpiresAt = noon }), reason: "EXPIRED"},
		"all paused": {who: adult, give: giving(1), reason: "PAUSED", before: func(l *log) {
			l.must(t, subscriber.Pause{Subscriber: anna, Initiator: subscriber.InitiatorPerson}, noon)
		}},
		"purpose never":      {who: adult, give: giving(1), reason: "PURPOSE_NEVER", before: rules(subscriber.Rules{PurposesNever: []string{giving(1).Licence.Purpose}})},
		"buyer never":        {who: adult, give: giving(1), reason: "BUYER_NEVER", before: rules(subscriber.Rules{BuyersNever: []subscriber.BuyerID{insurer, study}})},
		"product never":      {who: adult, give: giving(1), reason: "PRODUCT_NEVER", before: rules(subscriber.Rules{ProductsNever: []string{"daily-steps"}})},
		"at the floor":       {who: adult, give: giving(1), before: rules(subscriber.Rules{Floors: map[string]subscriber.Price{"daily-steps": {Micros: 40_000, Currency: "EUR"}}})},
		"below the floor":    {who: adult, give: giving(1), reason: "BELOW_FLOOR", before: rules(subscriber.Rules{Floors: map[string]subscriber.Price{"daily-steps": {Micros: 40_001, Currency: "EUR"}}})},
		"floor in US dollar": {who: adult, give: giving(1), reason: "BELOW_FLOOR", before: rules(subscriber.Rules{Floors: map[string]subscriber.Price{"daily-steps": {Micros: 1, Currency: "USD"}}})},
		"one too many": {who: adult, give: giving(1), reason: "LIMIT", before: func(l *log) {
			rules(subscriber.Rules{MaxAgreements: 1})(l)
			l.must(t, giving(2), noon)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := enrolled(t, tc.who)
			if tc.before != nil {
				tc.before(l)
			}
			events := l.must(t, tc.give, noon)
			if len(events) != 1 {
				t.Fatalf("want one answer, got %v", events)
			}
			switch e := events[0].(type) {
			case subscriber.Given:
				if tc.reason != "" {
					t.Fatalf("given, want refused for %s", tc.reason)
				}
			case subscriber.Refused:
				if e.Reason != tc.reason {
					t.Fatalf("refused for %s, want %q", e.Reason, tc.reason)
				}
			}
			if again := l.must(t, tc.give, noon); tc.give.Licence.Subscriber == anna && len(again) != 0 {
				t.Fatalf("answered twice: %v", again)
			}
		})
	}
}

func release(n byte) subscriber.Release {
	return subscriber.Release{Subscriber: anna, Agreement: agreement(n), Buyer: study, Delivery: subscriber.DeliveryID{ID: id.Derive([]byte("d"))}}
}

func TestGateSaysWhy(t *testing.T) {
	t.Parallel()
	person := subscriber.InitiatorPerson
	for name, tc := range map[string]struct {
		do   []subscriber.Command
		ask  subscriber.Release
		at   time.Time
		want error
	}{
		"living":            {ask: release(1)},
		"never given":       {ask: release(9), want: subscriber.ErrConsentUnknown},
		"another recipient": {ask: func() subscriber.Release { r := release(1); r.Buyer = insurer; return r }(), want: subscriber.ErrConsentUnknown},
		"barred":            {ask: func() subscriber.Release { r := release(1); r.BuyerBarred = true; return r }(), want: subscriber.ErrBuyerSuspended},
		"withdrawn":         {do: []subscriber.Command{subscriber.Withdraw{Subscriber: anna, Agreement: agreement(1), Initiator: person}}, ask: release(1), want: subscriber.ErrWithdrawn},
		"withdrawn, and the buyer is barred": {
			do:  []subscriber.Command{subscriber.Withdraw{Subscriber: anna, Agreement: agreement(1), Initiator: person}},
			ask: func() subscriber.Release { r := release(1); r.BuyerBarred = true; return r }(), want: subscriber.ErrBuyerSuspended,
		},
		"all withdrawn":   {do: []subscriber.Command{subscriber.Withdraw{Subscriber: anna, Initiator: person}}, ask: release(1), want: subscriber.ErrWithdrawn},
		"other withdrawn": {do: []subscriber.Command{subscriber.Withdraw{Subscriber: anna, Agreement: agreement(2), Initiator: person}}, ask: release(1)},
		"paused":          {do: []subscriber.Command{subscriber.Pause{Subscriber: anna, Agreement: agreement(1), Initiator: person}}, ask: release(1), want: subscriber.ErrPaused},
		"all paused":      {do: []subscriber.Command{subscriber.Pause{Subscriber: anna, Initiator: person}}, ask: release(1), want: subscriber.ErrPaused},
		"one resumed":     {do: []subscriber.Command{subscriber.Pause{Subscriber: anna, Agreement: agreement(1), Initiator: person}, subscriber.Resume{Subscriber: anna, Agreement: agreement(1)}}, ask: release(1)},
		"all resumed":     {do: []subscriber.Command{subscriber.Pause{Subscriber: anna, Agreement: agreement(1), Initiator: person}, subscriber.Pause{Subscriber: anna, Initiator: person}, subscriber.Resume{Subscriber: anna}}, ask: release(1)},
		"time over":       {ask: release(1), at: giving(1).Licence.ExpiresAt, want: subscriber.ErrExpired},
		"expired":         {do: []subscriber.Command{subscriber.Expire{Subscriber: anna, Agreement: agreement(1), Reason: subscriber.ExpiryVoided}}, ask: release(1), want: subscriber.ErrExpired},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := enrolled(t, adult)
			l.must(t, giving(1), noon)
			l.must(t, giving(2), noon)
			for _, c := range tc.do {
				l.must(t, c, noon)
			}
			at := noon
			if !tc.at.IsZero() {
				at = tc.at
			}
			events, err := l.do(tc.ask, at)
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
			if tc.want == nil && events[0].(subscriber.Released).ConsentPosition != 2 {
				t.Fatalf("permit names position %d, the consent is at 2", events[0].(subscriber.Released).ConsentPosition)
			}
		})
	}
}

func TestWithdrawAllCarriesItsFullScope(t *testing.T) {
	t.Parallel()
	l := enrolled(t, adult)
	l.must(t, giving(1), noon)
	l.must(t, giving(2), noon)
	l.must(t, giving(3), noon)
	l.must(t, subscriber.Withdraw{Subscriber: anna, Agreement: agreement(2), Initiator: subscriber.InitiatorPerson}, noon)
	e := l.must(t, subscriber.Withdraw{Subscriber: anna, Initiator: subscriber.InitiatorPerson}, noon)[0].(subscriber.Withdrawn)
	got := map[subscriber.Scope]bool{}
	for _, s := range e.Scope {
		got[s] = true
	}
	want := map[subscriber.Scope]bool{}
	for _, n := range []byte{1, 3} {
		g := giving(n).Licence
		want[subscriber.Scope{Agreement: g.Agreement, Offer: g.Offer, Bid: g.Bid}] = true
	}
	if diff := cmp.Diff(want, got); diff != "" || !e.All {
		t.Fatal(diff)
	}
	again := l.must(t, subscriber.Withdraw{Subscriber: anna, Initiator: subscriber.InitiatorPerson}, noon)
	if len(again) != 1 || len(again[0].(subscriber.Withdrawn).Scope) != 0 {
		t.Fatalf("nothing was left to withdraw, yet %v", again)
	}
}

// TestWithdrawAllReachesWhatIsOnItsWay: an acceptance that was made before everything was withdrawn, or about then, and comes
// here after it, is no consent; one that was made later is.
func TestWithdrawAllReachesWhatIsOnItsWay(t *testing.T) {
	t.Parallel()
	l := enrolled(t, adult)
	l.must(t, subscriber.Withdraw{Subscriber: anna, Initiator: subscriber.InitiatorPerson}, noon)
	for n, accepted := range map[byte]time.Time{1: noon.Add(-time.Minute), 2: noon, 3: noon.Add(time.Second)} {
		g := giving(n)
		g.AcceptedAt = accepted
		if r, ok := l.must(t, g, noon.Add(time.Minute))[0].(subscriber.Refused); !ok || r.Reason != "WITHDRAWN" {
			t.Errorf("accepted %v after the withdrawal: %v", accepted.Sub(noon), r)
		}
	}
	later := giving(4)
	later.AcceptedAt = noon.Add(3 * time.Second)
	if _, ok := l.must(t, later, noon.Add(time.Minute))[0].(subscriber.Given); !ok {
		t.Error("what was accepted after the withdrawal is refused")
	}
}

// TestNothingFollowsAWithdrawal plays long random lives against the plainest model there is: the set of agreements that were
// given and not ended, before or since.
func TestNothingFollowsAWithdrawal(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := enrolled(t, adult)
		living, pausedOne, pausedAll, given := map[byte]bool{}, map[byte]bool{}, false, map[byte]bool{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.ByteRange(1, 4).Draw(t, "agreement")
			switch rapid.IntRange(0, 7).Draw(t, "what") {
			case 0:
				l.must(t, giving(n), noon)
				if !given[n] {
					given[n] = true
					living[n] = !pausedAll
				}
			case 1:
				_, err := l.do(subscriber.Withdraw{Subscriber: anna, Agreement: agreement(n)}, noon)
				if err == nil {
					living[n], given[n] = false, true // also when its acceptance comes later
				}
			case 2:
				l.must(t, subscriber.Withdraw{Subscriber: anna}, noon)
				clear(living)
			case 3:
				if _, err := l.do(subscriber.Pause{Subscriber: anna, Agreement: agreement(n)}, noon); err == nil {
					pausedOne[n] = true
				}
			case 4:
				if _, err := l.do(subscriber.Resume{Subscriber: anna, Agreement: agreement(n)}, noon); err == nil {
					pausedOne[n] = false
				}
			case 5:
				l.must(t, subscriber.Pause{Subscriber: anna}, noon)
				pausedAll = true
			case 6:
				l.must(t, subscriber.Resume{Subscriber: anna}, noon)
				pausedAll = false
				clear(pausedOne)
			case 7:
				l.must(t, subscriber.Expire{Subscriber: anna, Agreement: agreement(n), Reason: subscriber.ExpiryFulfilled}, noon)
				living[n] = false
			}
			for m := byte(1); m <= 4; m++ {
				_, err := l.do(release(m), noon)
				if want := living[m] && !pausedOne[m] && !pausedAll; (err == nil) != want {
					t.Fatalf("agreement %d: released %v (%v), the model says %v", m, err == nil, err, want)
				}
			}
		}
	})
}

// TestRulesReplaceThoseThatWereRead: what was set elsewhere meanwhile is not lost unseen, whatever part of the rules it is.
func TestRulesReplaceThoseThatWereRead(t *testing.T) {
	t.Parallel()
	stands := func() subscriber.Rules {
		return subscriber.Rules{
			Floors: map[string]subscriber.Price{"daily-steps": {Micros: 50_000, Currency: "EUR"}}, Matching: true, MatchingHealth: true,
			PurposesNever: []string{"a", "b"}, BuyersNever: []subscriber.BuyerID{{ID: id.Derive([]byte("1"))}}, ProductsNever: []string{"sleep-nights"}, MaxAgreements: 3,
		}
	}
	for name, read := range map[string]func(*subscriber.Rules){
		"floor":    func(r *subscriber.Rules) { r.Floors["daily-steps"] = subscriber.Price{Micros: 60_000, Currency: "EUR"} },
		"matching": func(r *subscriber.Rules) { r.Matching = false },
		"health":   func(r *subscriber.Rules) { r.MatchingHealth = false },
		"purposes": func(r *subscriber.Rules) { r.PurposesNever = []string{"a"} },
		"another":  func(r *subscriber.Rules) { r.PurposesNever = []string{"a", "b", "c"} },
		"buyers":   func(r *subscriber.Rules) { r.BuyersNever = nil },
		"products": func(r *subscriber.Rules) { r.ProductsNever = nil },
		"limit":    func(r *subscriber.Rules) { r.MaxAgreements = 0 },
		"none":     func(r *subscriber.Rules) { *r = subscriber.Rules{} },
	} {
		l := enrolled(t, adult)
		l.must(t, subscriber.SetRules{Subscriber: anna, Rules: stands(), Over: &subscriber.Rules{}}, noon)
		over := stands()
		read(&over)
		c := subscriber.SetRules{Subscriber: anna, Rules: subscriber.Rules{MaxAgreements: 9}, Over: &over}
		if _, err := l.do(c, noon); !errors.Is(err, subscriber.ErrRulesChanged) {
			t.Errorf("%s was set elsewhere, and rules over others are answered %v", name, err)
		}
		over = stands()
		over.PurposesNever = []string{"b", "a"}
		if set := l.must(t, c, noon); len(set) != 1 {
			t.Errorf("the same rules in another order are others: %v", set)
		}
		if c.Over = nil; len(l.must(t, c, noon)) != 1 {
			t.Error("rules that replace whatever stands do not")
		}
	}
}

// TestWhoLeavesIsLeftAlone: closing withdraws all, asks to be forgotten, and nothing paid comes to be any more.
func TestWhoLeavesIsLeftAlone(t *testing.T) {
	t.Parallel()
	l := enrolled(t, adult)
	l.must(t, giving(1), noon)
	l.must(t, giving(2), noon)
	leave := subscriber.Close{Subscriber: anna, Initiator: subscriber.InitiatorPerson, Retention: []int32{1, 4}}
	events := l.must(t, leave, noon)
	if len(events) != 2 {
		t.Fatalf("leaving came to %v", events)
	}
	if w, ok := events[0].(subscriber.Withdrawn); !ok || !w.All || len(w.Scope) != 2 || w.Initiator != subscriber.InitiatorPerson {
		t.Errorf("first %v", events[0])
	}
	if e, ok := events[1].(subscriber.ErasureRequested); !ok || len(e.Retention) != 2 {
		t.Errorf("then %v", events[1])
	}
	if p, _ := l.states[subscriber.On{Subscriber: anna}].(subscriber.Person); !p.ClosedAt.Equal(noon) || len(p.Living) != 0 {
		t.Errorf("who left is %v", p)
	}
	if again := l.must(t, leave, noon.Add(time.Hour)); len(again) != 0 {
		t.Errorf("left twice: %v", again)
	}
	late := giving(3)
	late.AcceptedAt = noon.Add(2 * time.Hour)
	refused := l.must(t, late, noon.Add(2*time.Hour))
	if r, ok := refused[0].(subscriber.Refused); !ok || r.Reason != "ACCOUNT_CLOSED" {
		t.Errorf("an acceptance came to %v", refused)
	}
	if _, err := l.do(subscriber.Enrol{Subscriber: anna, Identity: adult}, noon); !errors.Is(err, subscriber.ErrAccountClosed) {
		t.Errorf("enrolling again: %v", err)
	}
	if _, err := l.do(subscriber.SetRules{Subscriber: anna}, noon); !errors.Is(err, subscriber.ErrAccountClosed) {
		t.Errorf("rules of who left: %v", err)
	}
	if _, err := newLog().do(leave, noon); !errors.Is(err, subscriber.ErrSubscriberUnknown) {
		t.Errorf("nobody leaves: %v", err)
	}
}
