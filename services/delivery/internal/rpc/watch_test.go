package rpc_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// told is the server's end of a stream.
type told struct {
	grpc.ServerStream
	ctx  context.Context
	each func(*deliveryv1.WatchDeliveriesResponse) error
}

func (s told) Context() context.Context                         { return s.ctx }
func (s told) Send(m *deliveryv1.WatchDeliveriesResponse) error { return s.each(m) }

// errEnough breaks a stream off: what was sent last has arrived, and nothing after it.
var errEnough = errors.New("enough")

// watcher notes what a buyer is told.
type watcher struct {
	d     *desk
	token string
	mu    sync.Mutex
	seen  map[string][]string // states, by delivery
	times int
}

// watch listens until a condition holds, or the stream was broken off after so many messages (0: never).
func (w *watcher) watch(ctx context.Context, most int, until func() bool) error {
	n := 0
	return w.d.WatchDeliveries(&deliveryv1.WatchDeliveriesRequest{BuyerId: w.d.buyer.String(), PageToken: w.token}, told{ctx: ctx, each: func(m *deliveryv1.WatchDeliveriesResponse) error {
		w.mu.Lock()
		of := m.GetDelivery()
		state := fmt.Sprint(of.GetState(), of.GetBlocked())
		if slices.Contains(w.seen[of.GetDeliveryId()], state) {
			w.d.t.Errorf("delivery %s is told twice as %s", of.GetDeliveryId(), state)
		}
		w.seen[of.GetDeliveryId()] = append(w.seen[of.GetDeliveryId()], state)
		w.token = m.GetPageToken()
		w.times++
		w.mu.Unlock()
		if n++; until() || n == most {
			return errEnough
		}
		return nil
	}})
}

// says whether a delivery was told in a state.
func (w *watcher) says(delivery shelf.DeliveryID, state deliveryv1.DeliveryState) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.ContainsFunc(w.seen[delivery.String()], func(s string) bool { return s == fmt.Sprint(state, deliveryv1.Reason(0)) })
}

func (d *desk) watcher() *watcher { return &watcher{d: d, seen: map[string][]string{}} }

// try is do, for goroutines.
func (d *desk) try(who shelf.SubscriberID, c shelf.Command) error {
	ring, err := d.Keys.Ring(d.t.Context(), who.ID)
	if err != nil {
		return err
	}
	_, err = d.Shelves.Do(d.t.Context(), es.Command[shelf.Command]{ID: id.Random(), Body: c, Keys: ring, Meta: new(eventv1.Meta)})
	return err
}

// puts is a package of one day, without contents.
func puts(who shelf.SubscriberID, deal shelf.AgreementID, day int) shelf.Prepare {
	return shelf.Prepare{
		Shelf: shelf.Of(who), Agreement: deal, Delivery: shelf.DeliveryID{ID: id.Random()}, Patience: patience,
		Contents: shelf.Contents{Slots: []shelf.Day{shelf.Day(day)}, Rows: 1, BuyerKey: "k1"},
	}
}

func (d *desk) partition(who shelf.SubscriberID) es.Partition {
	return es.PartitionOf(wire.Stream(shelf.On{Shelf: shelf.Of(who)}), d.log.Partitions())
}

// TestAWatchLosesAndDoublesNothing: over several partitions, many people's packages are prepared, receipted in vain and released at the same
// time, while one buyer watches throughout, one breaks off after every few messages and goes on by its token, and one begins in
// the middle. Each is told every change that it had not seen, once.
func TestAWatchLosesAndDoublesNothing(t *testing.T) {
	t.Parallel()
	const writers, each, breaking = 12, 40, 7
	d := begin(t, 4)
	type released struct {
		delivery shelf.DeliveryID
		who      shelf.SubscriberID
	}
	var (
		mu   sync.Mutex
		all  []released
		late []released            // released after the one in the middle had begun
		half = make(chan struct{}) // much was written, and much will be when the one in the middle has begun
		join = make(chan struct{})
	)
	// Something waits from the beginning on.
	for range 30 {
		who, deal := d.takes()
		c := puts(who, deal, 1)
		d.do(who, c)
		d.do(who, shelf.Block{Shelf: c.Shelf, Agreement: deal, Delivery: c.Delivery, Reason: "PAUSED"})
	}
	d.caught()

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	// The last package of each partition: when it is told, all that came before it there was.
	var ends []shelf.DeliveryID
	over := make(chan struct{})
	ended := func(w *watcher) func() bool {
		return func() bool {
			select {
			case <-over:
			default:
				return false
			}
			return !slices.ContainsFunc(ends, func(e shelf.DeliveryID) bool { return !w.says(e, deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED) })
		}
	}
	var watching, writing sync.WaitGroup
	stays, breaks, joins := d.watcher(), d.watcher(), d.watcher()
	watching.Go(func() {
		if err := stays.watch(ctx, 0, ended(stays)); !errors.Is(err, errEnough) {
			t.Errorf("the one that stays: %v", err)
		}
	})
	resumed := 0
	watching.Go(func() {
		for done := ended(breaks); !done(); resumed++ {
			if err := breaks.watch(ctx, breaking, done); !errors.Is(err, errEnough) {
				t.Errorf("the one that breaks off: %v", err)
				return
			}
		}
	})
	watching.Go(func() {
		<-half
		begun := sync.OnceFunc(func() { close(join) })
		err := joins.watch(ctx, 0, func() bool { begun(); return ended(joins)() })
		if !errors.Is(err, errEnough) {
			t.Errorf("the one that joins: %v", err)
		}
	})

	for n := range writers {
		who, deal := d.takes()
		writing.Go(func() {
			for i := range each {
				c := puts(who, deal, i+1)
				on := shelf.Release{Shelf: c.Shelf, Agreement: deal, Delivery: c.Delivery, ReleaseEvent: id.Random()}
				steps := []shelf.Command{c, on}
				if (n+i)%3 == 0 {
					steps = []shelf.Command{c, shelf.Block{Shelf: c.Shelf, Agreement: deal, Delivery: c.Delivery, Reason: "PAUSED"}, on}
				}
				for at, step := range steps {
					if err := d.try(who, step); err != nil {
						t.Error(err)
						return
					}
					if at == len(steps)-1 {
						mu.Lock()
						all = append(all, released{c.Delivery, who})
						if i > each/2 {
							late = append(late, released{c.Delivery, who})
						}
						mu.Unlock()
					}
				}
				if i == each/2 {
					if n == 0 {
						close(half)
					}
					<-join
				}
			}
		})
	}
	writing.Wait()
	var lasts []shelf.Prepare
	var people []shelf.SubscriberID
	for covered := map[es.Partition]bool{}; len(covered) < d.log.Partitions(); {
		who, deal := d.takes()
		if p := d.partition(who); !covered[p] {
			covered[p] = true
			c := puts(who, deal, 1)
			ends, lasts, people = append(ends, c.Delivery), append(lasts, c), append(people, who)
		}
	}
	close(over)
	for i, c := range lasts {
		d.do(people[i], c)
	}
	watching.Wait()

	gone := deliveryv1.DeliveryState_DELIVERY_STATE_RELEASED
	if len(all) != writers*each || len(late) == 0 || resumed < 2*writers*each/breaking/2 {
		t.Errorf("%d packages were released, %d of them late, and one watch was resumed %d times: the test shows nothing", len(all), len(late), resumed)
	}
	for _, r := range all {
		for name, w := range map[string]*watcher{"stays": stays, "breaks off": breaks} {
			if !w.says(r.delivery, gone) {
				t.Errorf("the one that %s was not told of a release in partition %d", name, d.partition(r.who))
			}
		}
	}
	for _, r := range late {
		if !joins.says(r.delivery, gone) {
			t.Errorf("the one that joined was not told of a release in partition %d", d.partition(r.who))
		}
	}
	if stays.times < 30+writers*each {
		t.Errorf("%d messages for %d packages", stays.times, 30+writers*each)
	}
}

// TestAWatchReadsWhatChanged and not what there is: with hundreds of packages that were released long ago, and of other buyers, telling of
// one more reads one row, however the watch began.
func TestAWatchReadsWhatChanged(t *testing.T) {
	t.Parallel()
	d := begin(t, 2)
	who, deal := d.takes()
	ring := d.ringOf(who.ID)
	var history []es.Command[shelf.Command]
	for i := range 600 {
		c := puts(who, deal, i+1)
		for _, body := range []shelf.Command{c, shelf.Release{Shelf: c.Shelf, Agreement: deal, Delivery: c.Delivery, ReleaseEvent: id.Random()}} {
			history = append(history, es.Command[shelf.Command]{ID: id.Random(), Body: body, Keys: ring, Meta: new(eventv1.Meta)})
		}
	}
	for _, outcome := range d.Shelves.DoMany(t.Context(), history) {
		d.must(outcome.Err)
	}
	other := puts(who, deal, 700)
	d.do(who, other) // it waits
	d.caught()
	reading := d.counted()
	w, day := d.watcher(), 700
	next := func() {
		t.Helper()
		day++
		d.do(who, puts(who, deal, day))
		d.caught()
	}
	for _, how := range []string{"from the beginning", "by its token", "by its token, again"} {
		before, want := reading.rows.Load(), w.times+1
		if w.times > 0 {
			next()
		}
		if err := w.watch(t.Context(), 1, func() bool { return false }); !errors.Is(err, errEnough) || w.times != want {
			t.Fatalf("%s: %v, %d messages", how, err, w.times)
		}
		if n := reading.rows.Load() - before; n > 2 { // one that waits again may come up before its turn
			t.Errorf("%s: %d rows were read", how, n)
		}
	}
	// While it listens.
	arrived, ended := make(chan struct{}), make(chan error)
	go func() {
		ended <- w.watch(t.Context(), 4, func() bool { arrived <- struct{}{}; return false })
	}()
	next()
	<-arrived
	before := reading.rows.Load()
	for range 3 {
		next()
		<-arrived
	}
	if err := <-ended; !errors.Is(err, errEnough) {
		t.Error(err)
	}
	if n := reading.rows.Load() - before; n != 3 {
		t.Errorf("%d rows were read for three changes", n)
	}
}

// renewed is a log whose partitions have begun another life.
type renewed struct{ es.Reader }

func (r renewed) Tail(ctx context.Context, p es.Partition) (es.Tail, error) {
	tail, err := r.Reader.Tail(ctx, p)
	tail.Incarnation[0]++
	return tail, err
}

// TestATokenIsOfItsWatch: it goes on behind its message, on another process too, and is none for another buyer, bid or life of the log.
func TestATokenIsOfItsWatch(t *testing.T) {
	t.Parallel()
	d := begin(t, 2)
	who, deal := d.takes()
	first := puts(who, deal, 1)
	d.do(who, first)
	d.caught()
	w := d.watcher()
	if err := w.watch(t.Context(), 1, func() bool { return false }); !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	ask := func(buyer, bid, token string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		return d.WatchDeliveries(&deliveryv1.WatchDeliveriesRequest{BuyerId: buyer, BidId: bid, PageToken: token}, told{ctx: ctx, each: func(*deliveryv1.WatchDeliveriesResponse) error {
			return errEnough
		}})
	}
	for name, err := range map[string]error{
		"another buyer": ask(id.Random().String(), "", w.token), "one bid": ask(d.buyer.String(), d.bid.String(), w.token), "none": ask(d.buyer.String(), "", "-"),
		"a part of it": ask(d.buyer.String(), "", w.token[:len(w.token)-2]),
	} {
		if fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := ask(d.buyer.String(), "", w.token); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("nothing has changed, and the stream ends with %v", err)
	}
	d.Log = renewed{d.log}
	if err := ask(d.buyer.String(), "", w.token); fault.KindOf(err) != fault.KindConflict {
		t.Errorf("in another life of the log: %v", err)
	}
}
