package store_test

import (
	"crypto/sha256"
	"errors"
	"maps"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/store"
)

// bar restricts a source, or lifts that.
func (r *room) bar(ring *vault.Ring, source id.ID, restricted bool, turn int) store.Derived {
	r.t.Helper()
	says, err := r.Bar(r.t.Context(), ring, source, restricted, turn, r.products)
	r.must(err)
	return says
}

// TestWhatIsRestrictedCountsForNothing: it is kept and seen, and in no slot, no fact, no reach and nothing usable; what comes meanwhile
// neither, and all of it again when the restriction is lifted, whatever is said late of an earlier turn.
func TestWhatIsRestrictedCountsForNothing(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring, other := r.ring(id.Random()), id.Derive([]byte("phone"))
	for n := range 5 {
		r.bring(ring, watch, day(n), steps(day(n), 12_000))
	}
	done := r.bring(ring, other, "other", steps(day(1), 3000), steps(day(8), 3000))
	facts, stock, tables := done.Facts, r.stock(ring), r.dump()["reach"]
	if facts["steps_per_day"] == "" || stock["daily-steps"].Slots() != 6 {
		t.Fatalf("before: %v, %v", facts, stock)
	}

	says := r.bar(ring, watch, true, 1)
	if got := r.stock(ring)["daily-steps"]; got != (store.Lot{First: day(1), Last: day(8), Count: [3]int{2}}) {
		t.Errorf("restricted, the slots are %v", got)
	}
	if says.Facts["steps_per_day"] != "" {
		t.Errorf("restricted, the facts are %v", says.Facts)
	}
	p := r.person(ring)
	if all := r.points(ring); len(all) != 7 {
		t.Errorf("the person sees %d points", len(all))
	}
	schemas := []point.Schema{point.StepCount}
	left, err := r.Points(t.Context(), ring, p.Usable(), schemas, p.Measured(schemas, "", ""))
	r.must(err)
	if len(left) != 2 || left[0].Source != other || left[1].Source != other {
		t.Errorf("usable: %v", left)
	}
	if diff := cmp.Diff([]id.ID{other}, p.Usable().Sources(schemas, p.Measured(schemas, "", ""))); diff != "" {
		t.Error(diff)
	}
	if days := p.Barred().Measured(schemas, "", ""); len(days) != 5 || !p.Barred().Any() || len(p.Barred().Days("daily-steps", point.OwnFile)) != 0 {
		t.Errorf("barred: %v", days)
	}

	if came := r.bring(ring, watch, "late", steps(day(7), 12_000)); came.Facts["steps_per_day"] != "" {
		t.Errorf("what came meanwhile counts: %v", came.Facts)
	}
	if got := r.stock(ring)["daily-steps"].Slots(); got != 2 {
		t.Errorf("what came meanwhile made it %d slots", got)
	}

	again := r.bar(ring, watch, false, 2)
	r.bar(ring, watch, true, 1) // late
	if diff := cmp.Diff(facts, again.Facts); diff != "" {
		t.Error(diff)
	}
	if got := r.stock(ring)["daily-steps"]; got != (store.Lot{First: day(0), Last: day(8), Count: [3]int{7}}) {
		t.Errorf("lifted, the slots are %v", got)
	}
	if d := cmp.Diff(tables, r.dump()["reach"]); d != "" {
		t.Error(d)
	}
	if r.person(ring).Barred().Any() {
		t.Error("something is barred still")
	}
}

func (r *room) stock(ring *vault.Ring) map[string]store.Lot {
	r.t.Helper()
	out, err := r.Stock(r.t.Context(), ring)
	r.must(err)
	return maps.Clone(out)
}

// correct has a person say what a point should say.
func (r *room) correct(ring *vault.Ring, command string, p point.Point, q point.Quantity) (store.Import, error) {
	p.Values = []point.Value{{Measure: p.Values[0].Measure, Quantity: q}}
	p.Created = now
	return r.Correct(r.t.Context(), ring, r.products, id.Derive([]byte(command)), sha256.Sum256([]byte(command)), p, []id.ID{watch}, now)
}

// TestACorrectedPointTakesTheOthersPlace: it alone counts, as the person's own word; the other is kept, does not come back by the next import of
// the same file, and counts again where the person goes back to it.
func TestACorrectedPointTakesTheOthersPlace(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring := r.ring(id.Random())
	for n := range 3 {
		r.bring(ring, watch, day(n), steps(day(n), 12_000))
	}
	first := r.points(ring)[0]
	done, err := r.correct(ring, "one", first, 1000*point.Milli)
	r.must(err)
	c := done.Corrected
	if c == nil || c.Supersedes != first.ID || c.Schema != "omh:step-count:3.0" || c.Day != day(0) || done.Source != watch ||
		done.Facts["steps_per_day"] != "5000_9999" {
		t.Fatalf("%+v, %+v", done, c)
	}
	now := r.points(ring)
	if len(now) != 3 || now[0].ID != c.Point || now[0].Values[0].Quantity != 1000*point.Milli || now[0].Modality != point.SelfReported ||
		now[0].Assurance != point.OwnFile || point.Identify(ring.Subject(), watch, &now[0]) != c.Point {
		t.Errorf("what counts: %+v", now)
	}
	if back := r.bring(ring, watch, "again", steps(day(0), 12_000)); back.Repeated != 1 || len(r.points(ring)) != 3 {
		t.Errorf("the same file brought it back: %+v", back)
	}
	p := r.person(ring)
	all, err := r.Whole(t.Context(), ring, p, point.Schemas(), []string{day(0)})
	r.must(err)
	if len(all) != 2 || all[0].ID != first.ID || all[0].SupersededBy != c.Point || all[0].Values[0].Quantity != 12_000*point.Milli {
		t.Errorf("kept: %+v", all)
	}

	same, err := r.correct(ring, "one", first, 1000*point.Milli)
	r.must(err)
	if d := cmp.Diff(done, same); d != "" {
		t.Error(d)
	}
	if _, err := r.correct(ring, "two", first, 2000*point.Milli); !errors.Is(err, store.ErrPointSuperseded) {
		t.Errorf("who has not seen the correction: %v", err)
	}
	nobody := first
	nobody.ID = id.Random()
	if _, err := r.correct(ring, "three", nobody, 2000*point.Milli); !errors.Is(err, store.ErrPointUnknown) {
		t.Errorf("no such point: %v", err)
	}
	stranger := r.ring(id.Random())
	if _, err := r.correct(stranger, "four", now[0], 2000*point.Milli); !errors.Is(err, store.ErrPointUnknown) {
		t.Errorf("somebody else's: %v", err)
	}
	moved := now[0]
	moved.Frame.End = moved.Frame.End.Add(-1)
	if _, err := r.correct(ring, "five", moved, 2000*point.Milli); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("of another time: %v", err)
	}
	if _, err := r.correct(ring, "six", now[0], 1000*point.Milli); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("as it says: %v", err)
	}

	back, err := r.correct(ring, "back", now[0], 12_000*point.Milli)
	r.must(err)
	if got := r.points(ring)[0]; back.Corrected.Point != first.ID || got.ID != first.ID || got.Modality != point.Sensed {
		t.Errorf("back again: %+v", got)
	}
	if got := r.count(`select count(*) from store.import where not recorded`); got != 6 {
		t.Errorf("%d imports and corrections wait for their events", got)
	}
}

// TestAPersonsWordIsTrustedAsSuch: a correction of what the operator's feed brought is the person's own, and the rest of the page stays the feed's.
func TestAPersonsWordIsTrustedAsSuch(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring := r.ring(id.Random())
	r.trust = point.OperatorFeed
	r.bring(ring, scales, "feed", weight(day(0), 480, 70_000), weight(day(0), 1200, 70_500))
	was := r.points(ring)
	_, err := r.correct(ring, "one", was[0], 60_000)
	r.must(err)
	is := r.points(ring)
	if len(is) != 2 || is[0].Assurance != point.OwnFile || is[1].Assurance != point.OperatorFeed || is[1].ID != was[1].ID {
		t.Errorf("%+v", is)
	}
	if got := r.stock(ring)["body-weight"]; got.Strongest() != point.OperatorFeed {
		t.Errorf("%+v", got)
	}
}
