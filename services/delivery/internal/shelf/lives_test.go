package shelf_test

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

// TestWhateverHappens plays random lives of three agreements, two of one group, and recounts after every step from the events alone
// what the states think.
func TestWhateverHappens(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		l, at := empty(), time.Unix(int64(first)*24*3600, 0).UTC()
		deals := map[int]shelf.Licence{}
		for n := 1; n <= 3; n++ {
			deal := licence(n)
			deal.Cadence = rapid.SampledFrom([]shelf.Cadence{shelf.Once, shelf.Daily, shelf.Weekly}).Draw(t, "cadence")
			deal.Slots, deal.Last = rapid.IntRange(1, 5).Draw(t, "slots"), first+shelf.Day(rapid.IntRange(3, 13).Draw(t, "days"))
			if n == 3 {
				deal.Group = shelf.GroupID{ID: id.Derive([]byte("another group"))}
			}
			deals[n] = deal
		}
		parcels := 0
		for range rapid.IntRange(1, 60).Draw(t, "steps") {
			n := rapid.IntRange(1, 3).Draw(t, "agreement")
			p := rapid.IntRange(0, max(parcels, 1)).Draw(t, "package")
			stock := rapid.SliceOfNDistinct(rapid.Int32Range(-1, 14), 0, 10, rapid.ID).Draw(t, "stock")
			days := make([]shelf.Day, len(stock))
			for i, d := range stock {
				days[i] = first + shelf.Day(d)
			}
			var c shelf.Command
			switch rapid.IntRange(0, 11).Draw(t, "what") {
			case 0, 1:
				c = shelf.Take{Licence: deals[n], Cleared: rapid.Bool().Draw(t, "cleared")}
			case 2:
				c = shelf.Clear{Shelf: mine, Agreement: dealN(n)}
			case 3, 4:
				// As the packer does: what is due now.
				days, _ = l.agreement(n).Due(l.shelf(), days, at)
				parcels++
				c = put(n, parcels, days...)
			case 5:
				slices.Sort(days) // whatever somebody thinks is due
				parcels++
				c = put(n, parcels, days...)
			case 6, 7:
				c = let(n, p)
			case 8:
				c = stop(n, p, rapid.SampledFrom([]string{"PAUSED", "CONSENT_UNREACHABLE"}).Draw(t, "why"))
			case 9:
				c = lapse(n, p)
			case 10:
				c = conclude(n, days...)
			case 11:
				c = over(n, rapid.SampledFrom([]shelf.EndReason{shelf.EndWithdrawn, shelf.EndExpired, shelf.EndVoided, shelf.EndSuspended}).Draw(t, "end"))
			}
			_, _ = l.do(c, at) // refusals are another test's matter
			at = at.Add(time.Duration(rapid.IntRange(0, 72).Draw(t, "hours")) * time.Hour)
			recount(t, l)
		}
	})
}

// tally is what the events alone say.
type tally struct {
	deal                  map[shelf.AgreementID]shelf.Licence
	ended, ordered        map[shelf.AgreementID]bool
	charged, open         map[shelf.AgreementID]int
	slots                 map[shelf.DeliveryID][]shelf.Day
	of                    map[shelf.DeliveryID]shelf.AgreementID
	waits, receipted, let map[shelf.DeliveryID]bool
	lots                  map[shelf.Lot][]shelf.Day
}

func recount(t *rapid.T, l *log) {
	c := tally{
		map[shelf.AgreementID]shelf.Licence{},
		map[shelf.AgreementID]bool{},
		map[shelf.AgreementID]bool{},
		map[shelf.AgreementID]int{},
		map[shelf.AgreementID]int{},
		map[shelf.DeliveryID][]shelf.Day{},
		map[shelf.DeliveryID]shelf.AgreementID{},
		map[shelf.DeliveryID]bool{},
		map[shelf.DeliveryID]bool{},
		map[shelf.DeliveryID]bool{},
		map[shelf.Lot][]shelf.Day{},
	}
	again := map[shelf.On]shelf.State{}
	for _, e := range l.entries {
		fold(again, e)
		c.count(t, e.Event)
	}
	if diff := cmp.Diff(l.states, again); diff != "" {
		t.Fatalf("folded again the states differ:\n%s", diff)
	}
	for d := range c.slots {
		if c.waits[d] || c.let[d] {
			deal := c.deal[c.of[d]]
			lot := shelf.Lot{Group: deal.Group, Product: deal.Product}
			c.lots[lot] = append(c.lots[lot], c.slots[d]...)
		}
	}
	s := l.shelf()
	for lot, days := range c.lots {
		slices.Sort(days)
		if len(slices.Compact(slices.Clone(days))) != len(days) {
			t.Fatalf("a slot is in two packages: %v", days)
		}
		if !slices.Equal(days, s.Lots[lot]) {
			t.Fatalf("the packages hold %v, the shelf thinks %v", days, s.Lots[lot])
		}
	}
	for lot, days := range s.Lots {
		if len(days) > 0 && len(c.lots[lot]) == 0 {
			t.Fatalf("the shelf holds %v of nothing", days)
		}
	}
	waiting := 0
	for d, waits := range c.waits {
		if waits {
			waiting++
			if !slices.Equal(s.Open[d].Slots, c.slots[d]) {
				t.Fatalf("the package holds %v, the shelf thinks %v", c.slots[d], s.Open[d].Slots)
			}
		}
	}
	if waiting != len(s.Open) {
		t.Fatalf("%d packages wait, the shelf thinks %d", waiting, len(s.Open))
	}
	for deal, l1 := range c.deal {
		a, _ := l.states[shelf.On{Shelf: mine, Child: deal.ID}].(shelf.Agreement)
		if _, runs := s.Of[deal]; runs == c.ended[deal] {
			t.Fatalf("ended %v, and the shelf has it %v", c.ended[deal], runs)
		}
		if a.Charged != c.charged[deal] || a.Slots != c.charged[deal]+c.open[deal] || a.Slots > l1.Slots || a.Ended != c.ended[deal] {
			t.Fatalf("counted %d charged, %d open, ended %v of %d; the agreement thinks %+v", c.charged[deal], c.open[deal], c.ended[deal], l1.Slots, a)
		}
		if c.ended[deal] && c.open[deal] > 0 {
			t.Fatal("ended, and something waits")
		}
	}
}

func (c *tally) count(t *rapid.T, e shelf.Event) {
	closes := func(d shelf.DeliveryID, deal shelf.AgreementID) {
		if !c.waits[d] || c.of[d] != deal || c.ended[deal] {
			t.Fatalf("%T of what does not wait, or after the end", e)
		}
		c.waits[d] = false
		c.open[deal] -= len(c.slots[d])
	}
	switch e := e.(type) {
	case shelf.Taken:
		c.deal[e.Licence.Agreement] = e.Licence
	case shelf.Prepared:
		if _, known := c.slots[e.Delivery]; known || c.ended[e.Agreement] || len(e.Contents.Slots) == 0 {
			t.Fatalf("prepared twice, empty, or after the end: %+v", e)
		}
		c.slots[e.Delivery], c.of[e.Delivery], c.waits[e.Delivery] = e.Contents.Slots, e.Agreement, true
		c.open[e.Agreement] += len(e.Contents.Slots)
	case shelf.Receipted:
		if c.receipted[e.Delivery] {
			t.Fatal("two receipts of one package")
		}
		c.receipted[e.Delivery] = true
	case shelf.Released:
		closes(e.Delivery, e.Agreement)
		c.let[e.Delivery] = true
		c.charged[e.Agreement] += e.Slots
		if e.Slots != len(c.slots[e.Delivery]) || !c.receipted[e.Delivery] {
			t.Fatalf("released %d of %d slots, with a receipt %v", e.Slots, len(c.slots[e.Delivery]), c.receipted[e.Delivery])
		}
	case shelf.Blocked:
		if e.Final {
			closes(e.Delivery, e.Agreement)
		}
	case shelf.Lapsed:
		closes(e.Delivery, e.Agreement)
		if c.receipted[e.Delivery] {
			t.Fatal("lapsed with a receipt")
		}
	case shelf.Ended:
		if c.ended[e.Agreement] || e.Released != c.charged[e.Agreement] || e.Reason == shelf.EndFulfilled && e.Released == 0 {
			t.Fatalf("ended twice, or as %+v with %d charged", e, c.charged[e.Agreement])
		}
		c.ended[e.Agreement] = true
	case shelf.DeletionOrdered:
		if !c.ended[e.Agreement] || c.ordered[e.Agreement] || len(e.Deliveries) == 0 {
			t.Fatalf("ordered to delete before the end, twice, or nothing: %+v", e)
		}
		c.ordered[e.Agreement] = true
		for _, d := range e.Deliveries {
			if !c.let[d] || c.of[d] != e.Agreement {
				t.Fatal("ordered to delete what never left")
			}
		}
	}
}
