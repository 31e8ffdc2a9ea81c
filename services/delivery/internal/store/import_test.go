package store_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
)

// TestAnImportTwiceAddsNothing: the same file is the same import; another file with the same points repeats them; and what went in
// comes out.
func TestAnImportTwiceAddsNothing(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring := r.ring(id.Random())
	waist := weight("2016-04-13", 500, 900)
	waist.Position = "left_wrist"
	in := []point.Point{
		steps("2016-04-12", 9000), steps("2016-04-13", 11_000), steps("2016-04-14", 12_000), weight("2016-04-13", 480, 70_250), waist,
		{
			Schema: point.PhysicalActivity, Frame: steps("2016-04-12", 0).Frame, Values: []point.Value{
				{Measure: point.Distance, Quantity: 8_515_260}, {Measure: point.LightActivity, Quantity: 60_000},
			},
		},
	}
	first := r.bring(ring, watch, "a.csv", in...)
	want := []store.Arrival{
		{Schema: "ieee:physical-activity:1.0", Points: 1, First: "2016-04-12", Last: "2016-04-12"},
		{Schema: "omh:body-weight:2.0", Points: 2, First: "2016-04-13", Last: "2016-04-13"},
		{Schema: "omh:step-count:3.0", Points: 3, First: "2016-04-12", Last: "2016-04-14"},
	}
	if diff := cmp.Diff(want, first.Arrivals); diff != "" || first.Repeated != 0 || first.Zone != "America/New_York" {
		t.Errorf("the first import came to %+v\n%s", first, diff)
	}
	if diff := cmp.Diff(map[string]string{"steps_per_day": "10000_up"}, first.Facts); diff != "" {
		t.Error(diff)
	}
	for i := range in {
		in[i].Source, in[i].Assurance = watch, point.OwnFile
		in[i].ID = point.Identify(ring.Subject(), watch, &in[i])
	}
	if diff := cmp.Diff(sorted(in), sorted(r.points(ring))); diff != "" {
		t.Errorf("what went in does not come out:\n%s", diff)
	}
	before := r.dump()
	if again := r.bring(ring, watch, "a.csv", in...); !cmp.Equal(first, again) {
		t.Errorf("the same file came to something else:\n%s", cmp.Diff(first, again))
	}
	if diff := cmp.Diff(before, r.dump()); diff != "" {
		t.Error("the same file changed what is stored")
	}
	other := r.bring(ring, watch, "b.csv", in...)
	if other.ID == first.ID || other.Repeated != len(in) || len(other.Arrivals) != 0 || !bytes.Equal(other.Fingerprint, first.Fingerprint) {
		t.Errorf("another file with the same points came to %+v", other)
	}
	if list := r.points(ring); len(list) != len(in) {
		t.Errorf("%d points of %d", len(list), len(in))
	}
	// Within one file, too; and through another source the same measurement is another point.
	if twice := r.bring(ring, watch, "c.csv", steps("2016-04-20", 1), steps("2016-04-20", 1)); twice.Repeated != 1 || twice.Arrivals[0].Points != 1 {
		t.Errorf("a point twice in one file came to %+v", twice)
	}
	if elsewhere := r.bring(ring, scales, "a.csv", in...); elsewhere.Repeated != 0 || elsewhere.ID == first.ID {
		t.Errorf("through another source it came to %+v", elsewhere)
	}
	kept, err := r.Import(t.Context(), ring, first.ID)
	if err != nil || !cmp.Equal(&first, kept) {
		t.Errorf("the import is kept as %+v, %v", kept, err)
	}
	if none, err := r.Import(t.Context(), ring, id.Random()); none != nil || err != nil {
		t.Errorf("an import that never was: %v, %v", none, err)
	}
}

// TestAFailingFileLeavesNothing also where so much of it was read that it was written already.
func TestAFailingFileLeavesNothing(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring := r.ring(id.Random())
	r.bring(ring, watch, "a.csv", steps("2016-04-12", 9000))
	before := r.dump()
	many := make([]point.Point, 0, 100_001)
	for i := range cap(many) {
		many = append(many, pulse(i))
	}
	if _, err := r.read(ring, watch, "b.csv", many, errFeed); !errors.Is(err, errFeed) {
		t.Fatalf("a file that cannot be read: %v", err)
	}
	if diff := cmp.Diff(before, r.dump()); diff != "" {
		t.Error("something of a file that cannot be read is kept")
	}
}

// pulse is one reading every ten seconds.
func pulse(i int) point.Point {
	at := midnight("2016-04-12").Add(time.Duration(i) * 10 * time.Second)
	return point.Point{
		Schema: point.HeartRate, Frame: point.At(at), Modality: point.Sensed, Values: []point.Value{{Measure: point.Pulse, Quantity: 60_000 + point.Quantity(i%40)*1000}},
	}
}

// TestMemoryIsFlat reads four times as much as may wait in memory, and looks at the heap while it does: what is held at the end is
// no more than what was held before the first write.
func TestMemoryIsFlat(t *testing.T) { //nolint:paralleltest // it looks at the process's heap
	r := begin(t)
	ring := r.ring(id.Random())
	const all, look = 400_000, 20_000
	var before, early, late uint64
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before = heap()
	done, err := r.Read(t.Context(), ring, store.Origin{Source: watch, Assurance: point.OwnFile}, r.products, "", now, func(emit func(*point.Point) error) (source.Summary, error) {
		for i := range all {
			p := pulse(i)
			p.ID = point.Identify(ring.Subject(), watch, &p)
			if err := emit(&p); err != nil {
				return source.Summary{}, err
			}
			if i%look == look-1 {
				held := heap() - min(before, heap())
				if i < all/4 {
					early = max(early, held)
				} else {
					late = max(late, held)
				}
			}
		}
		return source.Summary{}, nil
	})
	r.must(err)
	if late > early+early/4 {
		t.Errorf("%d MB are held late, %d MB early", late>>20, early>>20)
	}
	if early < 5<<20 {
		t.Errorf("only %d MB were seen: the test looks in the wrong place", early>>20)
	}
	if len(done.Arrivals) != 1 || done.Arrivals[0].Points != all || len(r.points(ring)) != all {
		t.Errorf("the import came to %+v", done)
	}
}

// TestPagesMerge: points of one day come by several files, out of order and at the same time, and none is lost.
func TestPagesMerge(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring := r.ring(id.Random())
	const files, each = 8, 40
	var work sync.WaitGroup
	for f := range files {
		work.Go(func() {
			var list []point.Point
			for i := range each {
				list = append(list, weight("2016-04-12", (i*files+f)*2, 70_000), weight("2016-04-13", (i*files+f)*2, 71_000))
			}
			slices.Reverse(list)
			if _, err := r.read(ring, watch, fmt.Sprint(f), list, nil); err != nil {
				t.Error(err)
			}
		})
	}
	work.Wait()
	list := r.points(ring)
	if len(list) != 2*files*each {
		t.Errorf("%d points of %d", len(list), 2*files*each)
	}
	if !slices.IsSortedFunc(list, func(a, b point.Point) int { return a.Frame.Start.Compare(b.Frame.Start) }) {
		t.Error("a day's points are not in the order of their times")
	}
	p := r.person(ring)
	if len(p.Pages()) != 2 || r.count(`select count(*) from store.page`) != 2 {
		t.Errorf("the pages are %v", p.Pages())
	}
	if days := p.Days("body-weight", point.OwnFile); !slices.Equal(days, []string{"2016-04-12", "2016-04-13"}) {
		t.Errorf("the slots are %v", days)
	}
	if days := p.Days("body-weight", point.VendorInterface); len(days) != 0 {
		t.Errorf("own files count as a vendor's: %v", days)
	}
	schemas := []point.Schema{point.BodyWeight, point.StepCount}
	for last, want := range map[string]int{"2016-04-11": 0, "2016-04-12": 1, "2016-04-13": 2, "2016-05-13": 2} {
		if n := len(p.Measured(schemas, "2016-04-12", last)); n != want {
			t.Errorf("%d days until %s, want %d", n, last, want)
		}
	}
	if one, err := r.Points(t.Context(), ring, p, schemas, []string{"2016-04-13"}); err != nil || len(one) != files*each {
		t.Errorf("one day has %d points, %v", len(one), err)
	}
	if other := r.person(r.ring(id.Random())); len(other.Pages()) != 0 {
		t.Errorf("a stranger has %v", other)
	}
}

// TestNothingOfAPersonInClear plants canaries and looks for them in every byte of every table.
func TestNothingOfAPersonInClear(t *testing.T) {
	t.Parallel()
	r := begin(t)
	who := id.Random()
	ring := r.ring(who)
	const canary = 7_654_321
	odd := weight("2016-04-17", 431, canary)
	odd.Position = "CANARY_position"
	done := r.bring(ring, watch, "CANARY.csv", steps("2016-04-15", 9000), steps("2016-04-16", 9000), steps("2016-04-17", canary), odd)
	key := []byte("CANARY content key of 32 bytes..")
	r.must(r.Keep(t.Context(), ring, store.Package{Delivery: id.Random(), Agreement: id.Random(), Sealed: []byte("ciphertext"), Key: key, At: now}))
	words := [][]byte{
		[]byte("CANARY"), []byte("omh"), []byte("step-count"), []byte("body-weight:"), []byte("2016-04"), []byte("20160417"), []byte("New_York"),
		[]byte("everything"), []byte(fmt.Sprint(canary)), binary.AppendVarint(nil, canary), binary.AppendVarint(nil, canary*1000),
		binary.BigEndian.AppendUint64(nil, canary)[4:], binary.AppendVarint(nil, odd.Frame.Start.UnixMicro()),
		binary.BigEndian.AppendUint64(nil, uint64(odd.Frame.Start.UnixMicro()))[2:], done.File[:], done.Fingerprint, key,
	}
	all := r.dump()
	for table, text := range all {
		for _, word := range words {
			if bytes.Contains(text, word) {
				t.Errorf("store.%s shows %q", table, word)
			}
		}
	}
	for _, table := range []string{"page", "person", "month", "import", "package"} {
		if !bytes.Contains(all[table], []byte(who.String())) {
			t.Errorf("store.%s does not even show whose it is: the test looks in the wrong place", table)
		}
	}
	if reach := all["reach"]; bytes.Contains(reach, []byte(who.String())) || bytes.Contains(reach, who[:]) || !bytes.Contains(reach, []byte("product daily-steps")) {
		t.Error("store.reach tells whose a token is, or nothing")
	}

	// Forgotten, nothing of it can be read any more, and nothing of it is an error.
	r.must(r.keys.Forget(t.Context(), who, eventv1.Retention_RETENTION_CONTENT))
	forgotten := r.ring(who)
	if p := r.person(forgotten); len(p.Pages()) != 0 || len(p.Days("daily-steps", point.OwnFile)) != 0 {
		t.Errorf("of a forgotten person: %v", p)
	}
	if stock, err := r.Stock(t.Context(), forgotten); err != nil || len(stock) != 0 {
		t.Errorf("the stock of a forgotten person: %v, %v", stock, err)
	}
	if came, err := r.Arrived(t.Context(), forgotten, []id.ID{watch}); err != nil || len(came) != 0 {
		t.Errorf("what came of a forgotten person: %v, %v", came, err)
	}
	if i, err := r.Import(t.Context(), forgotten, done.ID); err == nil {
		t.Errorf("a forgotten import is %v", i)
	}
}

// TestReachCountsPeople who have a label of every set, as they are now.
func TestReachCountsPeople(t *testing.T) {
	t.Parallel()
	r := begin(t)
	reach := func(sets ...[]string) int {
		t.Helper()
		n, err := r.Reach(t.Context(), sets)
		r.must(err)
		return n
	}
	walks, weighs := []string{store.ProductLabel("daily-steps")}, []string{store.ProductLabel("body-weight")}
	low, high := store.FactLabel("steps_per_day", "below_5000"), store.FactLabel("steps_per_day", "10000_up")
	days := []string{"2016-04-12", "2016-04-13", "2016-04-14"}
	for n := range 5 {
		ring := r.ring(id.Random())
		for _, day := range days {
			r.bring(ring, watch, day, steps(day, point.Quantity(4000+n/3*7000)))
		}
		if n%2 == 0 {
			r.bring(ring, scales, "w", weight(days[0], 480, 70_000))
		}
	}
	for what, tc := range map[string]struct {
		sets [][]string
		want int
	}{
		"nobody":        {[][]string{{store.ProductLabel("sleep-nights")}}, 0},
		"walkers":       {[][]string{walks}, 5},
		"both products": {[][]string{walks, weighs}, 3},
		"few steps":     {[][]string{walks, {low}}, 3},
		"many steps":    {[][]string{walks, {high}}, 2},
		"either":        {[][]string{walks, {low, high}}, 5},
		"three sets":    {[][]string{walks, weighs, {high}}, 1},
		"an empty set":  {[][]string{walks, nil}, 0},
	} {
		if n := reach(tc.sets...); n != tc.want {
			t.Errorf("%s: %d, want %d", what, n, tc.want)
		}
	}
	// Who moves to another band leaves the one before, and who has nothing any more is not counted.
	ring := r.ring(id.Random())
	for _, day := range days {
		r.bring(ring, watch, day, steps(day, 4000))
	}
	if n := reach([]string{low}); n != 4 {
		t.Fatalf("%d with few steps, want 4", n)
	}
	correct := func(n point.Quantity, at time.Duration) {
		t.Helper()
		for _, day := range days {
			p := steps(day, n)
			p.Created = p.Created.Add(at)
			r.bring(ring, watch, fmt.Sprint(day, n), p)
		}
	}
	correct(12_000, time.Hour)
	if few, many := reach([]string{low}), reach([]string{high}); few != 3 || many != 3 {
		t.Errorf("moved up: %d with few steps, %d with many", few, many)
	}
	correct(0, 2*time.Hour)
	if n := reach(walks); n != 5 {
		t.Errorf("%d walkers, and one of the six has no slot left", n)
	}
}
