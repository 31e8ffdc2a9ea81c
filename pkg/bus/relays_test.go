package bus_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/segmentio/kafka-go"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
)

// TestTwoRelaysAtOnceUnderLoad: two work at the same time, each with a lock in a database of its own, so that nothing but the broker's
// and the topic's order stands between them. Positions come in order, none is missing, and effects happen once.
func TestTwoRelaysAtOnceUnderLoad(t *testing.T) {
	t.Parallel()
	w := begin(t)
	ctx := context.Background()
	if _, err := w.pool.Exec(ctx, `create table effect (position bigint primary key, nth bigserial)`); err != nil {
		t.Fatal(err)
	}
	run(t, w.feed("effects", bus.Table(w.pool, func(ctx context.Context, tx pgx.Tx, events []bus.Received) error {
		for _, e := range events {
			if _, err := tx.Exec(ctx, `insert into effect (position) values ($1)`, int64(e.Position)); err != nil {
				return err
			}
		}
		return nil
	})).Run)
	var published [2]atomic.Int64
	var stops [2]func()
	for i := range stops {
		r, own := w.relay(), database(t)
		r.Connect = func(ctx context.Context) (*pgx.Conn, error) { return pgx.ConnectConfig(ctx, own.Config().ConnConfig) }
		r.Moved = func(es.Partition, es.Position, int64) { published[i].Add(1) }
		stops[i] = run(t, r.Run)
	}
	var stored atomic.Int64
	stopLoad := run(t, func(ctx context.Context) error {
		for ctx.Err() == nil {
			batch := make([]string, 1+rand.IntN(20))
			for i := range batch {
				batch[i] = fmt.Sprintf("s%d:happened", rand.IntN(5))
			}
			w.append(batch...)
			stored.Add(int64(len(batch)))
		}
		return nil
	})
	await(t, "both to have published, and been put out by the other", func() bool { return published[0].Load() > 5 && published[1].Load() > 5 })
	stopLoad()
	var n int64
	await(t, "all effects", func() bool {
		return w.pool.QueryRow(ctx, `select count(*) from effect`).Scan(&n) == nil && n == stored.Load()
	})
	for _, stop := range stops {
		stop()
	}
	var disorder int
	if err := w.pool.QueryRow(ctx, `select count(*) from (select position - lag(position, 1, 0::bigint) over (order by nth) as step from effect) s where step <> 1`).Scan(&disorder); err != nil || disorder > 0 {
		t.Fatalf("%d effects out of order, %v", disorder, err)
	}
	once(t, w.onTopic(), es.Position(stored.Load()))
}

// TestHeadersAreTheAllowList: nothing goes out in clear but what is listed, and all that is in it is known.
func TestHeadersAreTheAllowList(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.append("a/x:one", "b:two")
	run(t, w.relay().Run)
	await(t, "the topic", func() bool { return len(w.onTopic()) == 2 })
	res, err := w.client.Fetch(t.Context(), &kafka.FetchRequest{Topic: w.topic, MinBytes: 1, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	markers, events := 0, 0
	for rec, err := res.Records.ReadRecord(); err == nil; rec, err = res.Records.ReadRecord() {
		var names []string
		for _, h := range rec.Headers {
			names = append(names, h.Key)
		}
		slices.Sort(names)
		if slices.Equal(names, []string{"obole-marker"}) {
			if markers++; rec.Key != nil && rec.Key.Len() > 0 || rec.Value != nil && rec.Value.Len() > 0 || string(rec.Headers[0].Value) != "/test" {
				t.Errorf("a marker says %q", rec.Headers[0].Value)
			}
			continue
		}
		events++
		if !slices.Equal(names, []string{"ce_id", "ce_source", "ce_specversion", "ce_type", "obole"}) {
			t.Errorf("headers %v", names)
			continue
		}
		var r *es.Record
		if _, err := w.log.Scan(t.Context(), 0, es.Position(events-1), 1, func(stored *es.Record) error { r = stored; return nil }); err != nil {
			t.Fatal(err)
		}
		// The stream as key, the data as value, and in the headers: id, type, our name; incarnation, position, version, command, ordinal,
		// time and chain, 93 bytes with the format; and the log's own meta (id, the request's hash, trace and key reference).
		want := map[string]string{"ce_specversion": "1.0", "ce_id": r.ID.String(), "ce_source": "/test", "ce_type": r.Type}
		for _, h := range rec.Headers {
			if value, plain := want[h.Key]; plain && string(h.Value) != value {
				t.Errorf("%s is %q, want %q", h.Key, h.Value, value)
			}
			if h.Key == "obole" && (len(h.Value) != 93+len(r.Meta) || string(h.Value[93:]) != string(r.Meta)) {
				t.Errorf("our header has %d bytes", len(h.Value))
			}
		}
		key, value := make([]byte, 200), make([]byte, 200)
		if n, err := rec.Key.Read(key); err != nil || string(key[:n]) != string(r.Stream) {
			t.Errorf("the key is %q", key[:n])
		}
		if n, err := rec.Value.Read(value); err != nil || string(value[:n]) != string(r.Data) {
			t.Errorf("the value is %q", value[:n])
		}
		if meta, err := es.DecodeMeta(r.Meta); err != nil || meta.ID != r.ID {
			t.Errorf("meta %+v, %v", meta, err)
		}
	}
	if markers == 0 || events != 2 {
		t.Errorf("%d markers, %d events", markers, events)
	}
}

// TestAnAlteredEventIsHadFromItsOwner: the topic holds another than the log, which is found, counted and made up for.
func TestAnAlteredEventIsHadFromItsOwner(t *testing.T) {
	t.Parallel()
	w := begin(t)
	w.append("a:one", "a:two", "a:three")
	w.log.Tamper(0, 2, func(r *es.Record) { r.Data = []byte("a:xxx") })
	stop := run(t, w.relay().Run)
	await(t, "the topic", func() bool { return len(w.onTopic()) == 3 })
	stop()
	w.log.Tamper(0, 2, func(r *es.Record) { r.Data = []byte("a:two") }) // the log is what it was; the topic is not
	if c, err := bus.Compare(t.Context(), w.client, w.log, w.topic, 0); !errors.Is(err, bus.ErrAltered) || c.Lost() || c.Same != 3 {
		t.Errorf("compared: %+v, %v", c, err)
	}
	var c collector
	var altered, alarmed atomic.Int32
	f := w.feed("reader", (&bus.Reaction{Name: "reader", Pool: w.pool, Types: ways, Handle: func(_ context.Context, e *bus.Received) error { c.add(e); return nil }}).Take)
	f.Passed = func(_, why string) {
		if why == "altered" {
			altered.Add(1)
		}
	}
	f.Alarm = func(_ string, _ es.Partition, err error) {
		if errors.Is(err, bus.ErrChain) {
			alarmed.Add(1)
		}
	}
	run(t, f.Run)
	await(t, "all three", func() bool { return len(c.list()) == 3 })
	if got := c.list(); !slices.Equal(got, []string{"a:one", "a:two", "a:three"}) || altered.Load() != 1 || alarmed.Load() != 1 {
		t.Errorf("handled %v, %d altered, %d alarms", got, altered.Load(), alarmed.Load())
	}
}
