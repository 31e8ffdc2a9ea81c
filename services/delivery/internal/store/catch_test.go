package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/rpc"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// TestWhatTheLogWasNotToldIsToldLater: an import whose process ended before its event was in the log is found and told, once, with the source that it brought; one of
// a person who was forgotten since is never told, and nobody looks for it again.
func TestWhatTheLogWasNotToldIsToldLater(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ctx := t.Context()
	log := esmem.New(2, time.Now)
	engine := es.New(log, es.Options{Service: "delivery"})
	server := &rpc.Server{Holdings: es.Register(engine, wire.Holdings()), Keys: r.keys, Store: r.Store}
	server.Bars = &packing.Bars{Holdings: server.Holdings, Store: r.Store}
	running, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- engine.Run(running) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	told := func() (types map[string]int) {
		t.Helper()
		types = map[string]int{}
		for p := range log.Partitions() {
			_, err := log.Scan(ctx, es.Partition(p), 0, 100, func(r *es.Record) error { types[r.Type]++; return nil })
			r.must(err)
		}
		return types
	}

	forgotten, brings := id.Random(), id.Random()
	for _, who := range []id.ID{forgotten, id.Random(), brings} {
		ring := r.ring(who)
		if who == brings {
			r.brings = &store.Brings{Importer: "fitabase-csv", Route: int32(holding.RouteOwnCopy)}
			r.bring(ring, watch, "a.csv", steps("2016-04-12", 9000))
			continue
		}
		_, err := server.Holdings.Do(ctx, es.Command[holding.Command]{ID: id.Random(), Keys: ring, Meta: new(eventv1.Meta), Body: holding.Connect{
			Holding: holding.ID{ID: who}, Source: holding.SourceID{ID: watch}, Importer: "fitabase-csv", Route: holding.RouteOwnCopy,
		}})
		r.must(err)
		r.bring(ring, watch, "a.csv", steps("2016-04-12", 9000))
	}
	unrecorded := func(before time.Time) []store.Import {
		t.Helper()
		var all []store.Import
		for {
			var last store.Import
			if len(all) > 0 {
				last = all[len(all)-1]
			}
			list, err := r.Unrecorded(ctx, before, last, 2)
			r.must(err)
			if all = append(all, list...); len(list) < 2 {
				return all
			}
		}
	}
	if open := unrecorded(now); len(open) != 0 {
		t.Errorf("before they are due: %v", open)
	}
	open := unrecorded(now.Add(time.Second))
	if len(open) != 3 || told()["data_imported"] != 0 {
		t.Fatalf("%d imports are open, the log was told %v", len(open), told())
	}
	r.must(r.keys.Forget(ctx, forgotten, eventv1.Retention_RETENTION_CONTENT))
	for range 2 {
		r.must(server.Catch(ctx, open, new(eventv1.Meta)))
	}
	if types := told(); types["data_imported"] != 2 || types["facts_derived"] != 2 || types["source_connected"] != 3 {
		t.Errorf("the log was told %v", types)
	}
	if left := unrecorded(now.Add(time.Second)); len(left) != 0 {
		t.Errorf("open still: %v", left)
	}
}
