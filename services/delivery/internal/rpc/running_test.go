package rpc_test

import (
	"context"
	"crypto/rand"
	"slices"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/react"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// TestADayThatRunsWaitsForItsEnd: what is there of a day that is not over stays. It leaves by itself once the day is over everywhere on
// earth, though nothing more is imported, and then nothing is waited for any more.
func TestADayThatRunsWaitsForItsEnd(t *testing.T) {
	t.Parallel()
	d := begin(t, 1)
	ctx := t.Context()
	products, err := catalog.Open("")
	d.must(err)
	noon := time.Date(1971, 1, 2, 12, 0, 0, 0, time.UTC) // within the agreement of desk
	at := func(then time.Time) { d.ahead.Store(int64(time.Until(then))) }
	at(noon)
	who, deal := d.takes()
	source := id.Random()
	d.connects(who.ID, source)
	for day := range 2 {
		d.bringsOn(who.ID, source, noon.Truncate(24*time.Hour).AddDate(0, 0, day-1))
	}
	packer := &packing.Packer{
		Shelves: d.Shelves, Keys: d.Keys, Store: d.Store, Catalog: products, Buyers: d.Buyers, Consent: d.Consent, Now: d.Now, NewID: d.NewID,
		Random: rand.Reader, Patience: patience,
	}
	clock := &react.Clock{Reactor: &react.Reactor{
		Shelves: d.Shelves, Keys: d.Keys, Packer: packer, Cause: func(id.ID, *eventv1.Meta) *eventv1.Meta { return new(eventv1.Meta) },
	}, Owner: func(context.Context, id.ID) (shelf.SubscriberID, error) { return who, nil }}
	stream := wire.Stream(shelf.On{Shelf: shelf.Of(who), Child: deal.ID})
	agreement := func() shelf.Agreement {
		t.Helper()
		state, _, err := d.Shelves.State(ctx, stream, d.ringOf(who.ID))
		d.must(err)
		return state.(shelf.Agreement)
	}
	deadlines := func() (list []projection.Deadline) {
		t.Helper()
		d.caught()
		rows, err := d.Store.Pool.Query(ctx, `select kind, due from shelves.deadline where stream = $1 and kind = 'await'`, string(stream))
		d.must(err)
		defer rows.Close()
		for rows.Next() {
			row := projection.Deadline{Stream: string(stream)}
			d.must(rows.Scan(&row.Kind, &row.Due))
			list = append(list, row)
		}
		return list
	}
	slots := func(want ...shelf.Day) {
		t.Helper()
		var got []shelf.Day
		_, err := d.log.Scan(ctx, 0, 0, 1_000_000, func(r *es.Record) error {
			if r.Type == "delivery_prepared" {
				e, err := wire.Shelves().Decode(r, d.ringOf(who.ID))
				d.must(err)
				got = append(got, e.(shelf.Prepared).Contents.Slots...)
			}
			return nil
		})
		d.must(err)
		if !slices.Equal(got, want) {
			t.Errorf("%v left, want %v", got, want)
		}
	}
	yesterday, err := shelf.ParseDay("1971-01-01")
	d.must(err)

	d.must(packer.Prepare(ctx, packing.Agreement{ID: deal, Subscriber: who}, id.Random(), new(eventv1.Meta)))
	over := time.Date(1971, 1, 3, 12, 0, 0, 0, time.UTC)
	waits := deadlines()
	if len(waits) != 1 || !waits[0].Due.Equal(over) || !agreement().Awaited.Equal(over) {
		t.Fatalf("%v is awaited; the agreement awaits %v", waits, agreement().Awaited)
	}
	slots(yesterday)

	at(over.Add(time.Second))
	d.must(clock.Due(ctx, waits[0]))
	slots(yesterday, yesterday+1)
	if left := deadlines(); len(left) != 0 || !agreement().Awaited.IsZero() {
		t.Errorf("%v is still awaited; the agreement awaits %v", left, agreement().Awaited)
	}
}
