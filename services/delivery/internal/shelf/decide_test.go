package shelf_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

var (
	noon  = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	who   = shelf.SubscriberID{ID: id.Derive([]byte("person"))}
	mine  = shelf.Of(who)
	group = shelf.GroupID{ID: id.Derive([]byte("group"))}
	first = day("2026-11-02") // a Monday
)

func day(s string) shelf.Day {
	d, err := shelf.ParseDay(s)
	if err != nil {
		panic(err)
	}
	return d
}

func dealN(n int) shelf.AgreementID { return shelf.AgreementID{ID: id.Derive([]byte{'a', byte(n)})} }

func parcelN(n int) shelf.DeliveryID {
	return shelf.DeliveryID{ID: id.Derive([]byte{'d', byte(n), byte(n >> 8)})}
}
func digestOf(d shelf.DeliveryID) (sum [32]byte) { copy(sum[:], d.ID[:]); return sum }

// licence is for ten of the days of four weeks, as they come.
func licence(n int) shelf.Licence {
	return shelf.Licence{
		Agreement: dealN(n), Offer: shelf.OfferID{ID: id.Derive([]byte("offer"))}, Bid: shelf.BidID{ID: id.Derive([]byte("bid"))}, Group: group,
		Subscriber: who, Product: "daily-steps", Currency: "EUR", Slots: 10, First: first, Last: first + 27, Cadence: shelf.Daily,
	}
}

// log is a shelf as the engine keeps it. It holds Decide to Reads, and Evolve to changing nothing in place.
type log struct {
	states  map[shelf.On]shelf.State
	entries []shelf.Entry
}

func (l *log) do(c shelf.Command, at time.Time) ([]shelf.Event, error) {
	reads := shelf.Reads(c)
	entries, err := shelf.Decide(func(on shelf.On) shelf.State {
		if !slices.Contains(reads, on) {
			panic("Decide looked at a stream that Reads did not name")
		}
		return l.states[on]
	}, c, at)
	if err != nil {
		if len(entries) > 0 {
			panic("a refusal has events")
		}
		return nil, err
	}
	var out []shelf.Event
	for _, e := range entries {
		fold(l.states, e)
		out = append(out, e.Event)
	}
	l.entries = append(l.entries, entries...)
	return out, nil
}

// fold folds an entry as the engine does: into its own stream, then into those that it touches.
func fold(states map[shelf.On]shelf.State, e shelf.Entry) {
	for _, on := range append([]shelf.On{e.On}, shelf.Touches(e)...) {
		before := states[on]
		copied := deep(before)
		states[on] = shelf.Evolve(before, on, e)
		if diff := cmp.Diff(copied, before); diff != "" {
			panic(fmt.Sprintf("%T changed a state in place:\n%s", e.Event, diff))
		}
	}
}

func deep(s shelf.State) shelf.State {
	switch s := s.(type) {
	case shelf.Shelf:
		s.Lots, s.Of, s.Open = maps.Clone(s.Lots), maps.Clone(s.Of), maps.Clone(s.Open)
		for lot, days := range s.Lots {
			s.Lots[lot] = slices.Clone(days)
		}
		for d, held := range s.Open {
			held.Slots = slices.Clone(held.Slots)
			s.Open[d] = held
		}
		return s
	case shelf.Agreement:
		s.Open, s.Released = slices.Clone(s.Open), slices.Clone(s.Released)
		return s
	}
	return s
}

func (l *log) must(t interface{ Fatal(...any) }, cs ...shelf.Command) []shelf.Event {
	var out []shelf.Event
	for _, c := range cs {
		events, err := l.do(c, noon)
		if err != nil {
			t.Fatal(fmt.Sprintf("%T: %v", c, err))
		}
		out = append(out, events...)
	}
	return out
}

func (l *log) agreement(n int) shelf.Agreement {
	a, _ := l.states[shelf.On{Shelf: mine, Child: dealN(n).ID}].(shelf.Agreement)
	return a
}

func (l *log) shelf() shelf.Shelf { s, _ := l.states[shelf.On{Shelf: mine}].(shelf.Shelf); return s }

func (l *log) parcel(n int) shelf.Delivery {
	d, _ := l.states[shelf.On{Shelf: mine, Child: parcelN(n).ID}].(shelf.Delivery)
	return d
}

func empty() *log { return &log{states: map[shelf.On]shelf.State{}} }

// taken is a shelf with a cleared agreement.
func taken(t interface{ Fatal(...any) }, change func(*shelf.Licence)) *log {
	l, deal := empty(), licence(1)
	if change != nil {
		change(&deal)
	}
	l.must(t, shelf.Take{Licence: deal, Document: shelf.Document("licence"), Cleared: true})
	return l
}

func put(deal, parcel int, days ...shelf.Day) shelf.Prepare {
	return shelf.Prepare{Shelf: mine, Agreement: dealN(deal), Delivery: parcelN(parcel), Patience: shelf.Patience, Contents: shelf.Contents{
		Slots: days, Digest: digestOf(parcelN(parcel)), BuyerKey: "k1",
	}}
}

func signed(parcel int) shelf.Receipt {
	return shelf.Receipt{Digest: digestOf(parcelN(parcel)), BuyerKey: "k1", Signature: []byte("signature")}
}

func let(deal, parcel int) shelf.Release {
	return shelf.Release{
		Shelf: mine, Agreement: dealN(deal), Delivery: parcelN(parcel), Receipt: signed(parcel), ReleaseEvent: id.Derive([]byte("permit")),
		Elapsed: 20 * time.Millisecond,
	}
}

func stop(deal, parcel int, why string) shelf.Block {
	return shelf.Block{Shelf: mine, Agreement: dealN(deal), Delivery: parcelN(parcel), Receipt: signed(parcel), Reason: why}
}

func lapse(deal, parcel int) shelf.Lapse {
	return shelf.Lapse{Shelf: mine, Agreement: dealN(deal), Delivery: parcelN(parcel)}
}

func over(deal int, why shelf.EndReason) shelf.End {
	return shelf.End{Shelf: mine, Agreement: dealN(deal), Reason: why}
}

func conclude(deal int, stock ...shelf.Day) shelf.Conclude {
	return shelf.Conclude{Shelf: mine, Agreement: dealN(deal), Stock: stock}
}

// name says an event in a word or two.
func name(e shelf.Event) string {
	switch e := e.(type) {
	case shelf.Released:
		if e.Last {
			return "released last"
		}
		return "released"
	case shelf.Blocked:
		if e.Final {
			return "blocked for ever " + e.Reason
		}
		return "blocked " + e.Reason
	case shelf.Ended:
		return fmt.Sprintf("ended %d after %d", e.Reason, e.Released)
	case shelf.DeletionOrdered:
		return fmt.Sprintf("delete %d", len(e.Deliveries))
	}
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", e), "shelf."))
}

func same(t *testing.T, what string, got []shelf.Event, want ...string) {
	t.Helper()
	var names []string
	for _, e := range got {
		names = append(names, name(e))
	}
	if !slices.Equal(names, want) {
		t.Errorf("%s: %q, want %q", what, names, want)
	}
}

func TestAnAgreementFromFirstToLast(t *testing.T) {
	t.Parallel()
	l := empty()
	deal := licence(1)
	deal.Slots = 3
	take := shelf.Take{Licence: deal, Document: shelf.Document("licence")}
	same(t, "taken", l.must(t, take), "taken")
	same(t, "taken again", l.must(t, take))
	if _, err := l.do(put(1, 1, first), noon); !errors.Is(err, shelf.ErrAgreementEnded) {
		t.Errorf("a package before the bid has cleared: %v", err)
	}
	same(t, "cleared", l.must(t, shelf.Clear{Shelf: mine, Agreement: dealN(1)}), "cleared")
	same(t, "cleared again", l.must(t, shelf.Clear{Shelf: mine, Agreement: dealN(1)}))
	same(t, "the first", l.must(t, put(1, 1, first)), "prepared")
	if d := l.parcel(1); d.Status != shelf.Waiting || d.Sequence != 1 || !d.LapsesAt.Equal(noon.Add(7*24*time.Hour)) {
		t.Errorf("a package that waits: %+v", d)
	}
	same(t, "its key goes elsewhere", l.must(t, shelf.Reseal{Shelf: mine, Delivery: parcelN(1), BuyerKey: "k2"}), "resealed")
	same(t, "to the same key again", l.must(t, shelf.Reseal{Shelf: mine, Delivery: parcelN(1), BuyerKey: "k2"}))
	same(t, "paused", l.must(t, stop(1, 1, "PAUSED")), "receipted", "blocked PAUSED")
	same(t, "paused still", l.must(t, stop(1, 1, "PAUSED")))
	same(t, "and now unreachable", l.must(t, stop(1, 1, "CONSENT_UNREACHABLE")), "blocked CONSENT_UNREACHABLE")
	same(t, "a signed one is resealed too", l.must(t, shelf.Reseal{Shelf: mine, Delivery: parcelN(1), BuyerKey: "k3"}), "resealed")
	same(t, "released", l.must(t, let(1, 1)), "released")
	same(t, "asked for again", l.must(t, let(1, 1)))
	same(t, "blocked after it has gone", l.must(t, stop(1, 1, "PAUSED")))
	same(t, "resealed after it has gone", l.must(t, shelf.Reseal{Shelf: mine, Delivery: parcelN(1), BuyerKey: "k4"}))
	same(t, "nothing is left of this, but days are to come", l.must(t, conclude(1)))
	same(t, "two more", l.must(t, put(1, 2, first+1, first+2), let(1, 2)), "prepared", "receipted", "released last")
	same(t, "it ends", l.must(t, conclude(1)), "ended 1 after 3")
	same(t, "once", l.must(t, conclude(1), over(1, shelf.EndExpired), shelf.Clear{Shelf: mine, Agreement: dealN(1)}))
	want := map[shelf.Lot][]shelf.Day{{Group: group, Product: "daily-steps"}: {first, first + 1, first + 2}}
	if diff := cmp.Diff(want, l.shelf().Lots); diff != "" || len(l.shelf().Open) != 0 || len(l.shelf().Of) != 0 {
		t.Errorf("what the group has: %+v\n%s", l.shelf(), diff)
	}
	for _, e := range l.entries {
		if r, ok := e.Event.(shelf.Released); ok && (r.Bid != deal.Bid || r.Subscriber != who || r.Currency != "EUR" || r.Elapsed >= time.Second) {
			t.Errorf("released as %+v", r)
		}
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	otherDigest := let(1, 1)
	otherDigest.Receipt.Digest[0]++
	week := noon.Add(7 * 24 * time.Hour)
	for what, tc := range map[string]struct {
		before []shelf.Command
		late   shelf.Command // a week later, before c
		c      shelf.Command
		want   *fault.Error
	}{
		"a package under no agreement":       {nil, nil, put(9, 1, first), shelf.ErrAgreementEnded},
		"a package under an ended agreement": {[]shelf.Command{over(1, shelf.EndExpired)}, nil, put(1, 1, first), shelf.ErrAgreementEnded},
		"an empty package":                   {nil, nil, put(1, 1), shelf.ErrSlotTaken},
		"the same package":                   {[]shelf.Command{put(1, 1, first)}, nil, put(1, 1, first+1), shelf.ErrSlotTaken},
		"a slot that waits":                  {[]shelf.Command{put(1, 1, first)}, nil, put(1, 2, first), shelf.ErrSlotTaken},
		"a slot that has gone":               {[]shelf.Command{put(1, 1, first), let(1, 1)}, nil, put(1, 2, first, first+1), shelf.ErrSlotTaken},
		"a slot twice":                       {nil, nil, put(1, 1, first, first), shelf.ErrSlotTaken},
		"slots out of order":                 {nil, nil, put(1, 1, first+1, first), shelf.ErrSlotTaken},
		"a day before the first":             {nil, nil, put(1, 1, first-1), shelf.ErrSlotTaken},
		"a day after the last":               {nil, nil, put(1, 1, first+28), shelf.ErrSlotTaken},
		"more than was agreed": {
			nil, nil, put(1, 1, first, first+1, first+2, first+3, first+4, first+5, first+6, first+7, first+8, first+9, first+10), shelf.ErrSlotTaken,
		},
		"a release of nothing":               {nil, nil, let(1, 1), shelf.ErrDeliveryUnknown},
		"a release under no agreement":       {[]shelf.Command{put(1, 1, first)}, nil, let(9, 1), shelf.ErrDeliveryUnknown},
		"a receipt for something else":       {[]shelf.Command{put(1, 1, first)}, nil, otherDigest, shelf.ErrDigestMismatch},
		"a release after the week":           {[]shelf.Command{put(1, 1, first)}, lapse(1, 1), let(1, 1), shelf.ErrLapsed},
		"a block after the week":             {[]shelf.Command{put(1, 1, first)}, lapse(1, 1), stop(1, 1, "PAUSED"), shelf.ErrLapsed},
		"a release after a withdrawal":       {[]shelf.Command{put(1, 1, first), over(1, shelf.EndWithdrawn)}, nil, let(1, 1), fault.Refuse("WITHDRAWN", "")},
		"a release after the consent's time": {[]shelf.Command{put(1, 1, first), over(1, shelf.EndExpired)}, nil, let(1, 1), fault.Refuse("EXPIRED", "")},
		"a release after a suspension":       {[]shelf.Command{put(1, 1, first), over(1, shelf.EndSuspended)}, nil, let(1, 1), fault.Refuse("BUYER_SUSPENDED", "")},
		"a release of a voided offer":        {[]shelf.Command{put(1, 1, first), over(1, shelf.EndVoided)}, nil, let(1, 1), fault.Refuse("VOIDED", "")},
		"a signed one after a withdrawal":    {[]shelf.Command{put(1, 1, first), stop(1, 1, "PAUSED"), over(1, shelf.EndWithdrawn)}, nil, let(1, 1), fault.Refuse("WITHDRAWN", "")},
	} {
		l := taken(t, nil)
		l.must(t, tc.before...)
		if tc.late != nil {
			if _, err := l.do(tc.late, week); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := l.do(tc.c, week); fault.ReasonOf(err) != tc.want.Reason {
			t.Errorf("%s: %v, want %s", what, err, tc.want.Reason)
		}
	}
	// A package of one agreement is not to be had under another of the same person.
	l := taken(t, nil)
	l.must(t, shelf.Take{Licence: licence(2), Cleared: true}, put(1, 1, first))
	for _, c := range []shelf.Command{let(2, 1), stop(2, 1, "PAUSED")} {
		if _, err := l.do(c, noon); !errors.Is(err, shelf.ErrDeliveryUnknown) {
			t.Errorf("%T under another agreement: %v", c, err)
		}
	}
	if out, err := l.do(lapse(2, 1), week); err != nil || len(out) != 0 {
		t.Errorf("a lapse under another agreement: %v, %v", out, err)
	}
	if no := (shelf.Delivery{}).Refusal(); no == nil || no.Reason != "DELIVERY_UNKNOWN" {
		t.Errorf("of what was never prepared: %v", no)
	}
	if no := (shelf.Delivery{Status: shelf.Stopped, Blocked: "PAUSED"}).Refusal(); no == nil || no.Reason != "AGREEMENT_ENDED" {
		t.Errorf("of what was stopped for no reason that is for ever: %v", no)
	}
}

// TestEndsFromOutside: what waits is blocked for ever, each reason in its own name; only a withdrawal orders to delete, and only
// what has left.
func TestEndsFromOutside(t *testing.T) {
	t.Parallel()
	for reason, word := range map[shelf.EndReason]string{
		shelf.EndWithdrawn: "WITHDRAWN", shelf.EndExpired: "EXPIRED", shelf.EndVoided: "VOIDED", shelf.EndSuspended: "BUYER_SUSPENDED",
	} {
		l := taken(t, nil)
		l.must(t, put(1, 1, first, first+1), let(1, 1), put(1, 2, first+2), put(1, 3, first+3), stop(1, 3, "PAUSED"))
		want := []string{"blocked for ever " + word, "blocked for ever " + word, fmt.Sprintf("ended %d after 2", reason)}
		if reason == shelf.EndWithdrawn {
			want = append(want, "delete 1")
		}
		out := l.must(t, over(1, reason))
		same(t, word, out, want...)
		same(t, word+" again", l.must(t, over(1, reason)))
		if order, ok := out[len(out)-1].(shelf.DeletionOrdered); ok &&
			(!slices.Equal(order.Deliveries, []shelf.DeliveryID{parcelN(1)}) || !order.Due.Equal(noon.Add(30*24*time.Hour))) {
			t.Errorf("the order is %+v", order)
		}
		if lot := l.shelf().Lots[shelf.Lot{Group: group, Product: "daily-steps"}]; !slices.Equal(lot, []shelf.Day{first, first + 1}) {
			t.Errorf("%s: the group has %v", word, lot)
		}
		if _, err := l.do(let(1, 1), noon); err != nil {
			t.Errorf("%s: what was charged is no refusal of the shelf's: %v", word, err)
		}
	}
	same(t, "nothing had left", taken(t, nil).must(t, over(1, shelf.EndWithdrawn)), "ended 2 after 0")
	same(t, "never taken", empty().must(t, over(1, shelf.EndWithdrawn), conclude(1), shelf.Clear{Shelf: mine, Agreement: dealN(1)}))
}

// TestAWithdrawalAfterTheLastDelivery: the agreement may have ended by itself before consent has heard of it, and the buyer must
// delete all the same, once.
func TestAWithdrawalAfterTheLastDelivery(t *testing.T) {
	t.Parallel()
	l := taken(t, func(l *shelf.Licence) { l.Slots = 1 })
	l.must(t, put(1, 1, first), let(1, 1))
	same(t, "fulfilled", l.must(t, conclude(1)), "ended 1 after 1")
	same(t, "its time is over", l.must(t, over(1, shelf.EndExpired)))
	same(t, "withdrawn", l.must(t, over(1, shelf.EndWithdrawn)), "delete 1")
	same(t, "withdrawn again", l.must(t, over(1, shelf.EndWithdrawn)))
}

func TestALapseFreesItsSlots(t *testing.T) {
	t.Parallel()
	week := noon.Add(7 * 24 * time.Hour)
	l := taken(t, nil)
	l.must(t, put(1, 1, first, first+1))
	for at, want := range map[time.Time]int{noon: 0, week.Add(-time.Microsecond): 0} {
		if out, err := l.do(lapse(1, 1), at); err != nil || len(out) != want {
			t.Errorf("at %v: %v, %v", at, out, err)
		}
	}
	if due, _ := l.agreement(1).Due(l.shelf(), []shelf.Day{first, first + 1}, week); due != nil {
		t.Errorf("slots that wait are due: %v", due)
	}
	out, err := l.do(lapse(1, 1), week)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "a week later", out, "lapsed")
	if out, err := l.do(lapse(1, 1), week); err != nil || len(out) != 0 {
		t.Errorf("lapsed twice: %v, %v", out, err)
	}
	if due, _ := l.agreement(1).Due(l.shelf(), []shelf.Day{first, first + 1}, week); !slices.Equal(due, []shelf.Day{first, first + 1}) {
		t.Errorf("what lapsed is not due again: %v", due)
	}
	same(t, "the same slots in another package", l.must(t, put(1, 2, first, first+1), let(1, 2)), "prepared", "receipted", "released")
	if a := l.agreement(1); a.Slots != 2 || a.Charged != 2 || a.Sequence != 2 {
		t.Errorf("the agreement counts %+v", a)
	}

	// With a receipt a package does not lapse, though its key has not left.
	l = taken(t, nil)
	l.must(t, put(1, 1, first), stop(1, 1, "PAUSED"))
	if out, err := l.do(lapse(1, 1), week); err != nil || len(out) != 0 {
		t.Errorf("a signed package lapsed: %v, %v", out, err)
	}

	// All at once that lapses is all there was.
	l = taken(t, func(l *shelf.Licence) { l.Cadence, l.Slots = shelf.Once, 1 })
	l.must(t, put(1, 1, first))
	out, err = l.do(lapse(1, 1), week)
	if err != nil {
		t.Fatal(err)
	}
	same(t, "all at once", out, "lapsed", "ended 6 after 0")
}

// TestAnEarlierMomentStays: whoever looks then sees the later one too. One that has passed makes way, and none is noted twice.
func TestAnEarlierMomentStays(t *testing.T) {
	t.Parallel()
	l := taken(t, nil)
	for i, tc := range []struct {
		due, at time.Time
		noted   bool
	}{
		{time.Time{}, noon, false},
		{noon.Add(2 * time.Hour), noon, true},
		{noon.Add(2 * time.Hour), noon, false},
		{noon.Add(3 * time.Hour), noon, false},
		{time.Time{}, noon, false},
		{noon.Add(time.Hour), noon, true},
		{noon.Add(3 * time.Hour), noon.Add(time.Hour), true},
		{time.Time{}, noon.Add(3 * time.Hour), true},
	} {
		events, err := l.do(shelf.Await{Shelf: mine, Agreement: dealN(1), DueAt: tc.due}, tc.at)
		if err != nil || len(events) > 0 != tc.noted {
			t.Fatalf("%d: %v, %v", i, events, err)
		}
		if tc.noted && !l.agreement(1).Awaited.Equal(tc.due) {
			t.Errorf("%d: %v is awaited", i, l.agreement(1).Awaited)
		}
	}
}

// TestWhenSlotsAreDue looks at each cadence a moment before and at the end of days and weeks. A day ends 36 hours after its last
// moment in UTC.
func TestWhenSlotsAreDue(t *testing.T) {
	t.Parallel()
	ends := func(d shelf.Day) time.Time { return time.Unix(int64(d+1)*24*3600, 0).Add(36 * time.Hour) }
	closes := func(d shelf.Day) time.Time { return ends(d).Add(-24 * time.Hour) } // everywhere on earth
	days := func(n ...shelf.Day) (out []shelf.Day) {
		for _, d := range n {
			out = append(out, first+d)
		}
		return out
	}
	stock := days(-1, 0, 5, 6, 7, 13, 27, 28) // Monday, Saturday, Sunday, Monday, Sunday, and the last Sunday within; one before, one after
	for what, tc := range map[string]struct {
		cadence shelf.Cadence
		slots   int
		stock   []shelf.Day
		at      time.Time
		want    []shelf.Day
		none    bool
	}{
		"daily: whatever is there":                {shelf.Daily, 10, stock, closes(first + 27), days(0, 5, 6, 7, 13, 27), false},
		"daily: but a day that is not over":       {shelf.Daily, 10, stock, closes(first + 7).Add(-time.Microsecond), days(0, 5, 6), false},
		"daily: as soon as it is over everywhere": {shelf.Daily, 10, stock, closes(first + 7), days(0, 5, 6, 7), false},
		"daily: no more than agreed":              {shelf.Daily, 2, stock, noon, days(0, 5), false},
		"daily: nothing is there":                 {shelf.Daily, 2, nil, noon, nil, false},
		"daily: out of order, and twice":          {shelf.Daily, 9, days(7, 0, 7, 5), noon, days(0, 5, 7), false},
		"weekly: before Sunday has ended":         {shelf.Weekly, 10, stock, ends(first + 6).Add(-time.Microsecond), nil, false},
		"weekly: when Sunday has ended":           {shelf.Weekly, 10, stock, ends(first + 6), days(0, 5, 6), false},
		"weekly: Monday is of the next week":      {shelf.Weekly, 10, stock, ends(first + 13).Add(-time.Microsecond), days(0, 5, 6), false},
		"weekly: when the next Sunday has ended":  {shelf.Weekly, 10, stock, ends(first + 13), days(0, 5, 6, 7, 13), false},
		"weekly: no more than agreed":             {shelf.Weekly, 2, stock, ends(first + 13), days(0, 5), false},
		"once: too few, and days are to come":     {shelf.Once, 7, stock, ends(first + 27).Add(-time.Microsecond), nil, false},
		"once: as many as agreed":                 {shelf.Once, 6, stock, closes(first + 27), days(0, 5, 6, 7, 13, 27), false},
		"once: the last of them is not over":      {shelf.Once, 6, stock, closes(first + 27).Add(-time.Microsecond), nil, false},
		"once: more than agreed":                  {shelf.Once, 2, stock, noon, days(0, 5), false},
		"once: the days are over":                 {shelf.Once, 7, stock, ends(first + 27), days(0, 5, 6, 7, 13, 27), false},
		"once: nothing yet":                       {shelf.Once, 7, nil, ends(first + 27).Add(-time.Microsecond), nil, false},
		"once: the days are over without any":     {shelf.Once, 7, nil, ends(first + 27), nil, true},
		"once: the days are over, and of no use":  {shelf.Once, 7, days(-1, 28), ends(first + 27), nil, true},
		"weekly: what is not over is never lost":  {shelf.Weekly, 7, days(27), ends(first + 27).Add(-time.Microsecond), nil, false},
		"weekly: the last Sunday is of its week":  {shelf.Weekly, 7, days(27), ends(first + 27), days(27), false},
		"daily: long after, it does not say none": {shelf.Daily, 7, nil, ends(first + 400), nil, false},
	} {
		l := taken(t, func(l *shelf.Licence) { l.Cadence, l.Slots = tc.cadence, tc.slots })
		due, none := l.agreement(1).Due(l.shelf(), tc.stock, tc.at)
		if !slices.Equal(due, tc.want) || none != tc.none {
			t.Errorf("%s: %v, none %v; want %v, %v", what, due, none, tc.want, tc.none)
		}
	}
	// What is there and not due is looked at again when the first of it is.
	for what, tc := range map[string]struct {
		cadence shelf.Cadence
		slots   int
		at      time.Time
		want    time.Time
	}{
		"daily: all is due":                {shelf.Daily, 10, closes(first + 27), time.Time{}},
		"daily: the day that runs":         {shelf.Daily, 10, closes(first + 6), closes(first + 7)},
		"daily: none is left":              {shelf.Daily, 0, closes(first + 6), time.Time{}},
		"weekly: the week that runs":       {shelf.Weekly, 10, closes(first + 6), ends(first + 6)},
		"weekly: when the last is over":    {shelf.Weekly, 10, ends(first + 27), time.Time{}},
		"once: the day that completes all": {shelf.Once, 6, closes(first + 13), closes(first + 27)},
	} {
		l := taken(t, func(l *shelf.Licence) { l.Cadence, l.Slots = tc.cadence, tc.slots })
		if next := l.agreement(1).Next(l.shelf(), stock, tc.at); !next.Equal(tc.want) {
			t.Errorf("next, %s: %v, want %v", what, next, tc.want)
		}
	}
	for d := range shelf.Day(21) {
		l := taken(t, func(l *shelf.Licence) { l.Cadence, l.First = shelf.Weekly, first })
		sunday := first + d - d%7 + 6
		if due, _ := l.agreement(1).Due(l.shelf(), []shelf.Day{first + d}, ends(sunday)); !slices.Equal(due, []shelf.Day{first + d}) {
			t.Errorf("%v is not due when %v has ended", first+d, sunday)
		}
		if due, _ := l.agreement(1).Due(l.shelf(), []shelf.Day{first + d}, ends(sunday).Add(-time.Microsecond)); len(due) != 0 {
			t.Errorf("%v is due before %v has ended", first+d, sunday)
		}
	}
	// Only what falls due together has a moment for it.
	for cadence, want := range map[shelf.Cadence]time.Time{shelf.Once: ends(first + 27), shelf.Daily: {}, shelf.Weekly: {}} {
		l := taken(t, func(l *shelf.Licence) { l.Cadence = cadence })
		if at := l.entries[0].Event.(shelf.Taken).DueAt; !at.Equal(want) {
			t.Errorf("cadence %d: due at %v, want %v", cadence, at, want)
		}
	}
	l := taken(t, nil)
	l.must(t, over(1, shelf.EndVoided))
	if due, none := l.agreement(1).Due(l.shelf(), stock, noon); due != nil || none {
		t.Errorf("ended, and %v is due, none %v", due, none)
	}
}

// TestWhatIsAllAtOnceEndsByItself: with its days over and nothing there it ends for that, delivered it is fulfilled however little
// it was.
func TestWhatIsAllAtOnceEndsByItself(t *testing.T) {
	t.Parallel()
	once := func(l *shelf.Licence) { l.Cadence = shelf.Once }
	after := time.Unix(int64(first+28)*24*3600, 0).Add(36 * time.Hour)
	at := func(l *log, c shelf.Command) []shelf.Event {
		t.Helper()
		out, err := l.do(c, after)
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	l := taken(t, once)
	same(t, "before its days are over", l.must(t, conclude(1)))
	same(t, "with something there", at(l, conclude(1, first)))
	same(t, "with nothing there", at(l, conclude(1, first-1)), "ended 6 after 0")
	l = taken(t, once)
	same(t, "the one day", at(l, put(1, 1, first)), "prepared")
	same(t, "while it waits", at(l, conclude(1, first)))
	same(t, "the key leaves", at(l, let(1, 1)), "receipted", "released last")
	if due, none := l.agreement(1).Due(l.shelf(), []shelf.Day{first + 1}, after); due != nil || !none {
		t.Errorf("after the one delivery %v is due, none %v", due, none)
	}
	same(t, "fulfilled", at(l, conclude(1, first+1)), "ended 1 after 1")
}

// TestOneGroupPaysOnce: two companies of one group, or two bids of one of them, never carry the same day; another group, or
// another product, may.
func TestOneGroupPaysOnce(t *testing.T) {
	t.Parallel()
	other := licence(3)
	other.Group = shelf.GroupID{ID: id.Derive([]byte("another group"))}
	sleep := licence(4)
	sleep.Product = "sleep-nights"
	l := taken(t, nil)
	for _, deal := range []shelf.Licence{licence(2), other, sleep} {
		l.must(t, shelf.Take{Licence: deal, Cleared: true})
	}
	l.must(t, put(1, 1, first, first+1))
	if _, err := l.do(put(2, 2, first+1, first+2), noon); !errors.Is(err, shelf.ErrSlotTaken) {
		t.Errorf("the same day for the same group: %v", err)
	}
	if due, _ := l.agreement(2).Due(l.shelf(), []shelf.Day{first, first + 1, first + 2}, noon); !slices.Equal(due, []shelf.Day{first + 2}) {
		t.Errorf("due for the same group: %v", due)
	}
	l.must(t, put(2, 2, first+2), put(3, 3, first, first+1), put(4, 4, first, first+1), let(1, 1))
	// What a withdrawal frees, the group's other agreement may have; what was charged stays charged.
	l.must(t, over(2, shelf.EndWithdrawn), over(1, shelf.EndExpired))
	l.must(t, shelf.Take{Licence: licence(5), Cleared: true})
	if due, _ := l.agreement(5).Due(l.shelf(), []shelf.Day{first, first + 1, first + 2}, noon); !slices.Equal(due, []shelf.Day{first + 2}) {
		t.Errorf("due for a later bid of the group: %v", due)
	}
}
