package bid_test

import (
	"errors"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/offers/internal/bid"
)

var (
	noon   = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	number = bid.ID{ID: id.Derive([]byte("bid"))}
	buyer  = bid.BuyerID{ID: id.Derive([]byte("buyer"))}
	card   = [32]byte{7}
)

func personN(n int) bid.SubscriberID { return bid.SubscriberID{ID: id.Derive([]byte{byte(n)})} }
func offerN(n int) bid.OfferID       { return bid.OfferOf(number, personN(n)) }
func dealN(n, try int) bid.AgreementID {
	return bid.AgreementID{ID: id.Derive([]byte{byte(n), byte(try)})}
}

func terms() bid.Terms {
	return bid.Terms{
		Buyer: buyer, UnitPrice: 50_000, Quantity: 10, MaxPerPerson: 4, Days: 31, CohortMin: 2, OpensAt: noon, ClosesAt: noon.Add(time.Hour), Health: true,
		Fields: []bid.Field{{ID: "date", Rung: "exact", Required: true}, {ID: "steps", Rung: "exact", Required: true}, {ID: "energy", Rung: "hundred", SharePPM: 200_000}},
	}
}

type log struct {
	states map[bid.On]bid.State
	events []bid.Event
}

func (l *log) do(c bid.Command, at time.Time) ([]bid.Event, error) {
	reads := map[bid.On]bool{}
	for _, on := range bid.Reads(c) {
		reads[on] = true
	}
	entries, err := bid.Decide(func(on bid.On) bid.State {
		if !reads[on] {
			panic("Decide looked at a stream that Reads did not name")
		}
		return l.states[on]
	}, c, at)
	if err != nil {
		return nil, err
	}
	var out []bid.Event
	for _, e := range entries {
		for _, on := range append(bid.Touches(e), e.On) {
			l.states[on] = bid.Evolve(l.states[on], on, e.Event)
		}
		out = append(out, e.Event)
	}
	l.events = append(l.events, out...)
	return out, nil
}

func (l *log) must(t interface{ Fatal(...any) }, cs ...bid.Command) []bid.Event {
	var out []bid.Event
	for _, c := range cs {
		events, err := l.do(c, noon)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, events...)
	}
	return out
}

func (l *log) bid() bid.Bid { b, _ := l.states[bid.On{Bid: number}].(bid.Bid); return b }

func placed(t interface{ Fatal(...any) }, change func(*bid.Terms)) *log {
	l := &log{states: map[bid.On]bid.State{}}
	tm := terms()
	if change != nil {
		change(&tm)
	}
	l.must(t, bid.Place{Bid: number, Terms: tm})
	return l
}

func open(t interface{ Fatal(...any) }, change func(*bid.Terms)) *log {
	l := placed(t, change)
	l.must(t, bid.Open{Bid: number, Held: 605})
	return l
}

func show(n int) bid.Present { return bid.Present{Bid: number, Subscriber: personN(n), Card: card} }

func yes(n int) bid.Accept {
	return bid.Accept{Bid: number, Subscriber: personN(n), Card: card, Explicit: true, Agreement: dealN(n, 0), Wait: time.Minute}
}

func given(n int) bid.Consented {
	return bid.Consented{Bid: number, Offer: offerN(n), Agreement: dealN(n, 0)}
}

func names(events []bid.Event) (out []string) {
	for _, e := range events {
		switch e := e.(type) {
		case bid.Formed:
			out = append(out, "formed")
		case bid.Cleared:
			out = append(out, "cleared")
		case bid.Closed:
			out = append(out, "closed "+map[bid.CloseReason]string{1: "filled", 2: "expired", 3: "cohort", 4: "suspended", 5: "withdrawn"}[e.Reason])
		case bid.Drained:
			out = append(out, "drained")
		case bid.Voided:
			out = append(out, "voided")
		case bid.Rejected:
			out = append(out, "rejected "+e.Reason)
		case bid.Finished:
			out = append(out, "finished")
		case bid.Withdrawn:
			out = append(out, "withdrawn")
		case bid.Confirmed:
			out = append(out, "confirmed")
		default:
			out = append(out, "other")
		}
	}
	return out
}

func same(t *testing.T, what string, got []bid.Event, want ...string) {
	t.Helper()
	g := names(got)
	if len(g) != len(want) {
		t.Errorf("%s: %v, want %v", what, g, want)
		return
	}
	for i := range g {
		if g[i] != want[i] {
			t.Errorf("%s: %v, want %v", what, g, want)
		}
	}
}

func TestABidFromFirstToLast(t *testing.T) {
	t.Parallel()
	l := open(t, nil)
	l.must(t, show(1), show(2), show(3), yes(1), yes(2), yes(3))
	if b := l.bid(); b.Taken != 10 {
		t.Fatalf("%d slots are taken: the third gets what is left", b.Taken)
	}
	same(t, "the first consent", l.must(t, given(1)), "formed")
	same(t, "the second clears", l.must(t, given(2)), "formed", "cleared")
	same(t, "the third fills", l.must(t, given(3)), "formed", "closed filled")
	same(t, "keys may leave", l.must(t, bid.Confirm{Bid: number, Live: 3}), "confirmed")
	if !l.bid().MayRelease() {
		t.Error("confirmed, and still no key may leave")
	}
	same(t, "withdrawn after clearing runs on", l.must(t, bid.Void{Bid: number, Offer: offerN(1), Agreement: dealN(1, 0), Reason: "WITHDRAWN", Undo: true}))
	for n := 1; n <= 3; n++ {
		want := []string{"finished"}
		if n == 3 {
			want = append(want, "drained")
		}
		same(t, "delivered", l.must(t, bid.Finish{Bid: number, Offer: offerN(n), Agreement: dealN(n, 0), Delivered: 2}), want...)
	}
	if d := l.events[len(l.events)-1].(bid.Drained); d.Delivered != 6 || d.Buyer != buyer {
		t.Errorf("drained as %+v", d)
	}
}

func TestEndsBeforeTheCohort(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		end  bid.Command
		want []string
		why  string
	}{
		"expired":   {bid.Close{Bid: number, Reason: bid.ClosedExpired}, []string{"closed cohort"}, "COHORT_MISSED"},
		"withdrawn": {bid.Withdraw{Bid: number, Buyer: buyer}, []string{"withdrawn", "closed withdrawn"}, "BID_WITHDRAWN"},
		"suspended": {bid.Close{Bid: number, Reason: bid.ClosedSuspended}, []string{"closed suspended"}, "BUYER_SUSPENDED"},
	} {
		l := open(t, nil)
		l.must(t, show(1), yes(1), given(1), show(2), yes(2))
		same(t, name, l.must(t, tc.end), tc.want...)
		if !l.bid().Voids() {
			t.Errorf("%s: what is open is not voided", name)
		}
		late := l.must(t, given(2))
		same(t, name+": a late consent", late, "voided")
		if why := late[0].(bid.Voided).Reason; why != tc.why || l.bid().Reason.Voids() != tc.why {
			t.Errorf("%s: voided for %s, the others for %s, want %s", name, why, l.bid().Reason.Voids(), tc.why)
		}
		same(t, name+": the last", l.must(t, bid.Void{Bid: number, Offer: offerN(1), Agreement: dealN(1, 0), Reason: "COHORT_MISSED"}), "voided", "drained")
	}
	same(t, "nothing was open", open(t, nil).must(t, bid.Close{Bid: number, Reason: bid.ClosedExpired}), "closed cohort", "drained")
	same(t, "never opened", placed(t, nil).must(t, bid.Close{Bid: number, Reason: bid.ClosedExpired}), "rejected HOLD_TIMEOUT")
	same(t, "withdrawn before it opened", placed(t, nil).must(t, bid.Withdraw{Bid: number, Buyer: buyer}), "rejected WITHDRAWN")
	lost := open(t, nil)
	lost.must(t, show(1), show(2), yes(1), yes(2), given(1), given(2))
	same(t, "the cohort was lost before the first key", lost.must(t, bid.Confirm{Bid: number, Live: 1}), "closed cohort")
	if lost.bid().MayRelease() || !lost.bid().Voids() {
		t.Error("a bid that lost its cohort lets keys leave")
	}
	same(t, "people come back too late", lost.must(t, bid.Confirm{Bid: number, Live: 2}))
	again := open(t, nil)
	again.must(t, show(1), show(2), yes(1), yes(2), given(1), given(2))
	same(t, "enough were left, and no key left", again.must(t, bid.Confirm{Bid: number, Live: 2}), "confirmed")
	same(t, "and still are", again.must(t, bid.Confirm{Bid: number, Live: 2}))
	same(t, "and are no more", again.must(t, bid.Confirm{Bid: number, Live: 1}), "closed cohort")
	if again.bid().MayRelease() || !again.bid().Voids() {
		t.Error("what was confirmed for a key that did not leave lets another leave")
	}
	over := open(t, nil)
	over.must(t, show(1), show(2), yes(1), yes(2), given(1), given(2))
	same(t, "its time is over", over.must(t, bid.Close{Bid: number, Reason: bid.ClosedExpired}), "closed expired")
	same(t, "the cohort was lost after that", over.must(t, bid.Confirm{Bid: number, Live: 1}), "closed cohort")
	same(t, "asked again", over.must(t, bid.Confirm{Bid: number, Live: 1}))
	if over.bid().MayRelease() || !over.bid().Voids() {
		t.Error("a closed bid that lost its cohort keeps its offers for ever")
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	no := func(change func(*bid.Accept)) bid.Accept { a := yes(1); change(&a); return a }
	for name, tc := range map[string]struct {
		before []bid.Command
		c      bid.Command
		at     time.Time
		want   error
	}{
		"not shown":            {nil, yes(1), noon, bid.ErrOfferUnknown},
		"another card":         {[]bid.Command{show(1)}, no(func(a *bid.Accept) { a.Card[0]++ }), noon, bid.ErrCardChanged},
		"no explicit step":     {[]bid.Command{show(1)}, no(func(a *bid.Accept) { a.Explicit = false }), noon, bid.ErrExplicitStepMissing},
		"required left out":    {[]bid.Command{show(1)}, no(func(a *bid.Accept) { a.Fields = []string{"date"} }), noon, bid.ErrFieldRequired},
		"a field not asked":    {[]bid.Command{show(1)}, no(func(a *bid.Accept) { a.Fields = []string{"date", "steps", "weight"} }), noon, bid.ErrFieldUnknown},
		"too late":             {[]bid.Command{show(1)}, yes(1), noon.Add(time.Hour), bid.ErrNotOpen},
		"twice":                {[]bid.Command{show(1), yes(1)}, no(func(a *bid.Accept) { a.Agreement = dealN(1, 1) }), noon, bid.ErrAnswered},
		"after no":             {[]bid.Command{show(1), bid.Decline{Bid: number, Subscriber: personN(1)}}, yes(1), noon, bid.ErrAnswered},
		"no after yes":         {[]bid.Command{show(1), yes(1)}, bid.Decline{Bid: number, Subscriber: personN(1)}, noon, bid.ErrAnswered},
		"closed":               {[]bid.Command{show(1), bid.Close{Bid: number, Reason: bid.ClosedExpired}}, yes(1), noon, bid.ErrNotOpen},
		"no slot":              {[]bid.Command{show(1), show(2), show(3), show(4), yes(2), yes(3), yes(4)}, yes(1), noon, bid.ErrSlotsExhausted},
		"withdrawn by another": {nil, bid.Withdraw{Bid: number}, noon, bid.ErrUnknown},
	} {
		l := open(t, nil)
		l.must(t, tc.before...)
		if _, err := l.do(tc.c, tc.at); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
	if _, err := (&log{states: map[bid.On]bid.State{}}).do(yes(1), noon); !errors.Is(err, bid.ErrUnknown) {
		t.Errorf("no bid: %v", err)
	}
}

func TestPriceFollowsTheFields(t *testing.T) {
	t.Parallel()
	tm := terms()
	if p := tm.Price([]string{"date", "steps", "energy"}); p != 50_000 {
		t.Errorf("all fields cost %d", p)
	}
	if p := tm.Price([]string{"date", "steps"}); p != 40_000 {
		t.Errorf("without the optional one %d", p)
	}
	if all, err := tm.Grant(nil); err != nil || len(all) != 3 {
		t.Errorf("none named means all: %v, %v", all, err)
	}
}

// TestSlotsAreNeverExceeded plays random lives and recounts after every step what the bid thinks of itself.
func TestSlotsAreNeverExceeded(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l := open(t, func(tm *bid.Terms) {
			tm.Quantity = rapid.Int64Range(1, 12).Draw(t, "quantity")
			tm.MaxPerPerson = rapid.Int64Range(1, 6).Draw(t, "each")
			tm.CohortMin = rapid.Int64Range(1, 4).Draw(t, "cohort")
		})
		tries := map[int]int{}
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.IntRange(1, 6).Draw(t, "person")
			var c bid.Command
			switch rapid.IntRange(0, 9).Draw(t, "what") {
			case 0, 1:
				c = show(n)
			case 2, 3:
				tries[n]++
				a := yes(n)
				a.Agreement = dealN(n, tries[n])
				c = a
			case 4, 5:
				g := given(n)
				g.Agreement = dealN(n, tries[n])
				c = g
			case 6:
				c = bid.Void{Bid: number, Offer: offerN(n), Agreement: dealN(n, tries[n]), Reason: "LIMIT", Undo: rapid.Bool().Draw(t, "undo")}
			case 7:
				c = bid.Finish{Bid: number, Offer: offerN(n), Agreement: dealN(n, tries[n]), Delivered: 1}
			case 8:
				c = bid.Confirm{Bid: number, Live: rapid.Int64Range(0, 6).Draw(t, "live")}
			case 9:
				c = bid.Close{Bid: number, Reason: bid.ClosedExpired}
			}
			if a, ok := c.(bid.Accept); ok {
				if _, err := l.do(c, noon); err != nil {
					tries[n]-- // the offer still runs under the agreement before
				}
				_ = a
			} else {
				_, _ = l.do(c, noon) // refusals are another test's matter
			}
			var taken, consented, people, running int64
			for on, s := range l.states {
				if o, ok := s.(bid.Offer); ok && !on.Offer.IsZero() {
					switch o.Answer {
					case bid.Taken:
						taken += o.Slots
						running++
					case bid.Agreed, bid.Done:
						taken += o.Slots
						consented += o.Slots
						people++
						if o.Answer == bid.Agreed {
							running++
						}
					}
				}
			}
			b := l.bid()
			if b.Taken != taken || b.Consented != consented || b.People != people || b.Open != running {
				t.Fatalf("counted %d taken, %d consented, %d people, %d open; the bid thinks %+v", taken, consented, people, running, b)
			}
			if taken > b.Terms.Quantity {
				t.Fatalf("%d slots of %d are taken", taken, b.Terms.Quantity)
			}
			if b.Status == bid.StatusClosed && b.Open == 0 {
				t.Fatal("closed, nothing open, and not drained")
			}
		}
	})
}
