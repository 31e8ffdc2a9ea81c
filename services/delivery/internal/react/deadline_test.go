package react_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/react"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/wire"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// scene is a shelf over a log whose time the test sets.
type scene struct {
	*worldtest.Memory
	t     *testing.T
	now   atomic.Int64 // of the log, nanoseconds
	clock *react.Clock
	who   shelf.SubscriberID
	ring  *vault.Ring
}

func begin(t *testing.T) *scene {
	t.Helper()
	return beginWith(t, id.Random())
}

// beginWith is begin for one person.
func beginWith(t *testing.T, who id.ID) *scene {
	t.Helper()
	s := &scene{t: t, who: shelf.SubscriberID{ID: who}}
	s.now.Store(time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC).UnixNano())
	keks, err := vault.NewKEKs(make([]byte, 32))
	s.must(err)
	keys := vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks})
	s.ring, err = keys.Ring(t.Context(), s.who.ID)
	s.must(err)
	s.Memory = worldtest.NewMemory(t, "delivery", s.at)
	s.clock = &react.Clock{
		Reactor: &react.Reactor{
			Shelves: es.Register(s.Engine, wire.Shelves()), Keys: keys,
			Cause: func(id.ID, *eventv1.Meta) *eventv1.Meta { return new(eventv1.Meta) },
		},
		Owner: func(context.Context, id.ID) (shelf.SubscriberID, error) { return s.who, nil },
	}
	s.Run()
	return s
}

func (s *scene) at() time.Time { return time.Unix(0, s.now.Load()).UTC() }

func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *scene) do(c shelf.Command) {
	s.t.Helper()
	_, err := s.clock.Shelves.Do(s.t.Context(), es.Command[shelf.Command]{ID: id.Random(), Body: c, Keys: s.ring, Meta: new(eventv1.Meta)})
	s.must(err)
}

func (s *scene) state(child id.ID) shelf.State {
	s.t.Helper()
	state, _, err := s.clock.Shelves.State(s.t.Context(), wire.Stream(shelf.On{Shelf: shelf.Of(s.who), Child: child}), s.ring)
	s.must(err)
	return state
}

// fire has a deadline decided, as the poller does.
func (s *scene) fire(kind string, child id.ID, due time.Time) error {
	return s.clock.Due(s.t.Context(), projection.Deadline{
		Stream: string(wire.Stream(shelf.On{Shelf: shelf.Of(s.who), Child: child})), Kind: kind, Due: due,
	})
}

// TestAPackageLapsesByTheLogsTime: fired by a clock that runs ahead nothing happens, and fired again when the week is over in the log
// it lapses; what was released meanwhile does not, and ends its agreement when it was the last.
func TestAPackageLapsesByTheLogsTime(t *testing.T) {
	t.Parallel()
	s := begin(t)
	mine, deal := shelf.Of(s.who), shelf.AgreementID{ID: id.Random()}
	waits, goes := shelf.DeliveryID{ID: id.Random()}, shelf.DeliveryID{ID: id.Random()}
	s.do(shelf.Take{Cleared: true, Licence: shelf.Licence{
		Agreement: deal, Subscriber: s.who, Product: "daily-steps", Slots: 2, First: 1, Last: 30, Cadence: shelf.Daily,
	}})
	for i, d := range []shelf.DeliveryID{waits, goes} {
		s.do(shelf.Prepare{Shelf: mine, Agreement: deal, Delivery: d, Contents: shelf.Contents{Slots: []shelf.Day{shelf.Day(i + 1)}}, Patience: shelf.Patience})
	}
	s.do(shelf.Release{Shelf: mine, Agreement: deal, Delivery: goes, ReleaseEvent: id.Random()})
	status := func(d shelf.DeliveryID) shelf.Status {
		t.Helper()
		of, ok := s.state(d.ID).(shelf.Delivery)
		if !ok {
			t.Fatal("there is no delivery")
		}
		return of.Status
	}
	week := s.state(waits.ID).(shelf.Delivery).LapsesAt
	// The log's time never stands still: it is some microseconds on.
	if !week.Truncate(time.Second).Equal(s.at().Add(7 * 24 * time.Hour)) {
		t.Fatalf("it lapses at %v", week)
	}
	for _, d := range []shelf.DeliveryID{waits, goes} {
		s.must(s.fire("lapse", d.ID, week))
	}
	if status(waits) != shelf.Waiting {
		t.Error("it lapsed a week early")
	}
	s.now.Store(week.UnixNano())
	for range 2 {
		for _, d := range []shelf.DeliveryID{waits, goes} {
			s.must(s.fire("lapse", d.ID, week))
		}
	}
	if status(waits) != shelf.TooLate || status(goes) != shelf.Gone {
		t.Errorf("a week later they stand at %d and %d", status(waits), status(goes))
	}
	if a := s.state(deal.ID).(shelf.Agreement); a.Ended || a.Slots != 1 || a.Charged != 1 {
		t.Errorf("the agreement is %+v", a)
	}

	// The day that lapsed goes out after all, and then nothing is left.
	s.must(s.fire("finish", deal.ID, week))
	last := shelf.DeliveryID{ID: id.Random()}
	s.do(shelf.Prepare{Shelf: mine, Agreement: deal, Delivery: last, Contents: shelf.Contents{Slots: []shelf.Day{1}}, Patience: shelf.Patience})
	s.do(shelf.Release{Shelf: mine, Agreement: deal, Delivery: last, ReleaseEvent: id.Random()})
	if s.state(deal.ID).(shelf.Agreement).Ended {
		t.Error("it ended before the buyer could ask again")
	}
	s.must(s.fire("finish", deal.ID, week.Add(time.Minute)))
	if !s.state(deal.ID).(shelf.Agreement).Ended {
		t.Error("nothing is left, and it has not ended")
	}
	for _, bad := range []projection.Deadline{{Stream: "-", Kind: "lapse"}, {Stream: string(wire.Stream(shelf.On{Shelf: mine})), Kind: "lapse"}} {
		if err := s.clock.Due(t.Context(), bad); err == nil {
			t.Errorf("a deadline of %q was decided", bad.Stream)
		}
	}
	if err := s.fire("another", deal.ID, week); err == nil {
		t.Error("a deadline of no kind was decided")
	}
}
