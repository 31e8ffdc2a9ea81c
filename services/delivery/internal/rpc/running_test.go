package rpc_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/react"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// running is an agreement of which a day runs, with a packer and a clock of deadlines.
type running struct {
	*desk
	who    shelf.SubscriberID
	deal   shelf.AgreementID
	packer *packing.Packer
	clock  *react.Clock
}

// over is when the day that runs is over everywhere on earth; yesterday is the day before it.
var over = time.Date(1971, 1, 3, 12, 0, 0, 0, time.UTC)

const yesterday = shelf.Day(365)

// runs has measurements of a day that runs, and of the day before.
func runs(t *testing.T) *running {
	t.Helper()
	r := &running{desk: begin(t, 1)}
	products, err := catalog.Open("")
	r.must(err)
	noon := over.AddDate(0, 0, -1) // within the agreement of desk
	r.at(noon)
	r.who, r.deal = r.takes()
	source := id.Random()
	r.connects(r.who.ID, source)
	for day := range 2 {
		r.bringsOn(r.who.ID, source, noon.Truncate(24*time.Hour).AddDate(0, 0, day-1))
	}
	r.packer = &packing.Packer{
		Shelves: r.Shelves, Keys: r.Keys, Store: r.Store, Catalog: products, Buyers: r.Buyers, Consent: r.Consent, Now: r.Now, NewID: r.NewID,
		Random: rand.Reader, Patience: patience,
	}
	r.clock = &react.Clock{Reactor: &react.Reactor{
		Shelves: r.Shelves, Keys: r.Keys, Packer: r.packer, Cause: func(id.ID, *eventv1.Meta) *eventv1.Meta { return new(eventv1.Meta) },
	}, Owner: func(context.Context, id.ID) (shelf.SubscriberID, error) { return r.who, nil }}
	return r
}

func (r *running) at(then time.Time) { r.ahead.Store(int64(time.Until(then))) }

func (r *running) prepares() {
	r.t.Helper()
	r.must(r.packer.Prepare(r.t.Context(), packing.Agreement{ID: r.deal, Subscriber: r.who}, id.Random(), new(eventv1.Meta)))
}

func (r *running) stream() es.Stream {
	return wire.Stream(shelf.On{Shelf: shelf.Of(r.who), Child: r.deal.ID})
}

// awaited is when the agreement's next slot falls due, as it knows.
func (r *running) awaited() time.Time {
	r.t.Helper()
	state, _, err := r.Shelves.State(r.t.Context(), r.stream(), r.ringOf(r.who.ID))
	r.must(err)
	return state.(shelf.Agreement).Awaited
}

func (r *running) deadlines() (list []projection.Deadline) {
	r.t.Helper()
	r.caught()
	rows, err := r.Store.Pool.Query(r.t.Context(), `select kind, due from shelves.deadline where stream = $1 and kind = 'await'`, string(r.stream()))
	r.must(err)
	defer rows.Close()
	for rows.Next() {
		row := projection.Deadline{Stream: string(r.stream())}
		r.must(rows.Scan(&row.Kind, &row.Due))
		list = append(list, row)
	}
	return list
}

// slots checks what has left.
func (r *running) slots(want ...shelf.Day) {
	r.t.Helper()
	var got []shelf.Day
	_, err := r.log.Scan(r.t.Context(), 0, 0, 1_000_000, func(record *es.Record) error {
		if record.Type == "delivery_prepared" {
			e, err := wire.Shelves().Decode(record, r.ringOf(r.who.ID))
			r.must(err)
			got = append(got, e.(shelf.Prepared).Contents.Slots...)
		}
		return nil
	})
	r.must(err)
	if !slices.Equal(got, want) {
		r.t.Errorf("%v left, want %v", got, want)
	}
}

// rests checks that nothing is waited for any more.
func (r *running) rests() {
	r.t.Helper()
	if left := r.deadlines(); len(left) != 0 || !r.awaited().IsZero() {
		r.t.Errorf("%v is still awaited; the agreement awaits %v", left, r.awaited())
	}
}

// TestADayThatRunsWaitsForItsEnd: what is there of a day that is not over stays. It leaves by itself once the day is over everywhere on
// earth, though nothing more is imported, and then nothing is waited for any more.
func TestADayThatRunsWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	r := runs(t)
	r.prepares()
	waits := r.deadlines()
	if len(waits) != 1 || !waits[0].Due.Equal(over) || !r.awaited().Equal(over) {
		t.Fatalf("%v is awaited; the agreement awaits %v", waits, r.awaited())
	}
	r.slots(yesterday)

	r.at(over.Add(time.Second))
	r.must(r.clock.Due(t.Context(), waits[0]))
	r.slots(yesterday, yesterday+1)
	r.rests()
}

// silent answers nothing in offers' place.
type silent struct{ offersv1.OffersServiceClient }

func (silent) GetBuyer(context.Context, *offersv1.GetBuyerRequest, ...grpc.CallOption) (*offersv1.GetBuyerResponse, error) {
	return nil, fault.Unavailable("offers does not answer")
}

// TestWhatCannotBePackedIsAskedForAgain: a day is over while its package cannot be made. The deadline stays, and the day leaves once it can.
func TestWhatCannotBePackedIsAskedForAgain(t *testing.T) {
	t.Parallel()
	r := runs(t)
	r.prepares()
	waits := r.deadlines()
	r.at(over.Add(time.Second))
	r.packer.Buyers = packing.NewBuyers(silent{}, r.Now)
	if err := r.clock.Due(t.Context(), waits[0]); err == nil {
		t.Fatal("it was packed for nobody")
	}
	if left := r.deadlines(); !slices.Equal(left, waits) {
		t.Errorf("%v is left to look at, want %v", left, waits)
	}
	r.packer.Buyers = r.Buyers
	r.must(r.clock.Due(t.Context(), waits[0]))
	r.slots(yesterday, yesterday+1)
	r.rests()
}

// TestASuspendedBuyersDaysAreLookedAtAgain: nobody tells delivery that a buyer is back. What fell due while it was suspended, and what came
// then, leaves all the same afterwards, without another import.
func TestASuspendedBuyersDaysAreLookedAtAgain(t *testing.T) {
	t.Parallel()
	for name, before := range map[string]bool{"suspended while a day runs": true, "suspended before anything came": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := runs(t)
			left := []shelf.Day{yesterday, yesterday + 1}
			if before {
				r.prepares()
			}
			r.gate.checks(consentv1.Reason_REASON_BUYER_SUSPENDED)
			r.prepares()
			r.at(over.Add(time.Second))
			for range 2 {
				waits := r.deadlines()
				if len(waits) != 1 || waits[0].Due.After(r.Now()) {
					t.Fatalf("%v is left to look at", waits)
				}
				r.must(r.clock.Due(t.Context(), waits[0]))
			}
			r.gate.checks(0)
			r.must(r.clock.Due(t.Context(), r.deadlines()[0]))
			r.slots(left...)
			r.rests()
		})
	}
}
