package record_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/record"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
)

// world is offers' log in memory, and a record of it.
type world struct {
	t        *testing.T
	log      *esmem.Log
	book     *record.Book
	versions map[es.Stream]es.Version
	clock    time.Time
}

func begin(t *testing.T, beat time.Duration) *world {
	t.Helper()
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		t.Fatal("DATABASE_URL is not set: this test needs a real PostgreSQL; run it with `make test`")
	}
	ctx := context.Background() // also in cleanups
	admin, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	name := "record_" + strings.ReplaceAll(id.Random().String(), "-", "")
	if _, err := admin.Exec(ctx, "create database "+name); err != nil {
		t.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Database = name
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, log: esmem.New(2, time.Now), versions: map[es.Stream]es.Version{}, clock: time.Now().UTC().Truncate(time.Microsecond)}
	table := record.New("offers", (*offersv1.Event)(nil), pool, w.log)
	table.Alarm(func(_ es.Partition, err error) { t.Errorf("the table does not follow: %v", err) })
	w.must(table.Migrate(ctx, ""))
	w.must(table.Open(ctx))
	running, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() { defer close(done); _ = table.Run(running) }() // ends with its context
	t.Cleanup(func() {
		cancel()
		<-done
		w.must(table.Verify(ctx))
		pool.Close()
		if _, err := admin.Exec(ctx, "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
		_ = admin.Close(ctx) // nothing is pending
	})
	w.book = &record.Book{
		Service: "offers", Pool: pool, Log: w.log, Seen: table, Beat: beat,
		Tell: func(_ context.Context, _ id.ID, r *es.Record) (*recordv1.Entry, error) {
			m := new(offersv1.Event)
			err := proto.Unmarshal(r.Data, m)
			return &recordv1.Entry{BidId: m.GetOfferDeclined().GetBidId() + m.GetAgreementFinished().GetBidId()}, err
		},
	}
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// happens stores an event of a bid's partition.
func (w *world) happens(part es.Partition, on es.Stream, typ string, m *offersv1.Event) *eventv1.Cursor {
	w.t.Helper()
	ctx := w.t.Context()
	s, err := w.log.Session(ctx, part)
	w.must(err)
	defer func() { _ = s.Close() }() // nothing is pending
	tail, err := w.log.Tail(ctx, part)
	w.must(err)
	data, err := proto.Marshal(m)
	w.must(err)
	w.versions[on]++
	w.clock = w.clock.Add(time.Second)
	r := es.Record{
		Partition: part, Position: tail.Position + 1, ID: id.Random(), Stream: on, Version: w.versions[on], Command: id.Random(), Type: typ, Data: data, At: w.clock,
	}
	r.Meta = es.EncodeMeta(es.Meta{ID: r.ID, Hash: [32]byte{1}})
	r.Chain = es.NextChain(tail.Chain, &r)
	_, err = s.Append(ctx, &es.Batch{Tail: tail, Records: []es.Record{r}})
	w.must(err)
	return &eventv1.Cursor{Service: "offers", Incarnation: tail.Incarnation[:], Partition: int32(part), Position: int64(r.Position)}
}

// declines and finishes are two events of an offer, of which the second does not say whose it is.
func (w *world) declines(part es.Partition, offer es.Stream, who id.ID, bid string) *eventv1.Cursor {
	return w.happens(part, offer, "offer_declined", &offersv1.Event{Event: &offersv1.Event_OfferDeclined{OfferDeclined: &offersv1.OfferDeclined{SubscriberId: who.String(), BidId: bid}}})
}

func (w *world) finishes(part es.Partition, offer es.Stream, bid string) *eventv1.Cursor {
	return w.happens(part, offer, "agreement_finished", &offersv1.Event{Event: &offersv1.Event_AgreementFinished{AgreementFinished: &offersv1.AgreementFinished{BidId: bid}}})
}

func stream() es.Stream { return es.StreamOf(id.Random()).Child(id.Random()) }

func (w *world) list(r *offersv1.ListRecordRequest) *record.Page {
	w.t.Helper()
	p, err := w.book.List(w.t.Context(), r)
	w.must(err)
	return p
}

func bids(entries []*recordv1.Entry) string {
	var out []string
	for _, e := range entries {
		out = append(out, e.GetBidId())
	}
	return strings.Join(out, " ")
}

// TestAPersonsEventsAreListedAndNobodyElses: newest first over all partitions, page by page, whatever comes in between; by place; and
// nothing of another person, nor of nobody.
func TestAPersonsEventsAreListedAndNobodyElses(t *testing.T) {
	t.Parallel()
	w := begin(t, 0)
	me, other := id.Random(), id.Random()
	mine, theirs := stream(), stream()
	w.happens(0, es.StreamOf(id.Random()), "bid_opened", &offersv1.Event{Event: &offersv1.Event_BidOpened{BidOpened: &offersv1.BidOpened{}}})
	w.declines(0, mine, me, "1")
	w.declines(1, theirs, other, "x")
	w.declines(1, stream(), me, "2")
	w.finishes(1, theirs, "x")
	third := w.finishes(0, mine, "3")
	w.declines(1, stream(), me, "4")
	last := w.declines(0, stream(), me, "5")

	first := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String(), PageSize: 2, After: last})
	w.declines(0, stream(), me, "6")
	second := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String(), PageSize: 2, PageToken: first.Next})
	rest := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String(), PageSize: 2, PageToken: second.Next})
	if got := bids(first.Entries) + "|" + bids(second.Entries) + "|" + bids(rest.Entries); got != "5 4|3 2|1" || rest.Next != "" {
		t.Errorf("the pages are %s", got)
	}
	e := second.Entries[0]
	if !proto.Equal(e.GetPlace(), third) || e.GetType() != "agreement_finished" || len(e.GetEventId()) != 16 || e.GetAt() == 0 {
		t.Errorf("an entry is %v", e)
	}
	if first.Watch == "" || second.Watch != "" {
		t.Error("a place to watch from is on the first page and no other")
	}
	if all := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String()}); bids(all.Entries) != "6 5 4 3 2 1" || all.Next != "" {
		t.Errorf("all in all %s", bids(all.Entries))
	}

	if one := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String(), Only: third}); bids(one.Entries) != "3" {
		t.Errorf("at one place %s", bids(one.Entries))
	}
	if one := w.list(&offersv1.ListRecordRequest{SubscriberId: other.String(), Only: third}); len(one.Entries) != 0 {
		t.Errorf("another is told of it: %s", bids(one.Entries))
	}
	// Who has the place of what has just happened need not wait for the table; what has not happened is not waited for.
	for n := range 20 {
		fresh := w.declines(0, stream(), me, fmt.Sprint("fresh ", n))
		if one := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String(), Only: fresh}); bids(one.Entries) != fmt.Sprint("fresh ", n) {
			t.Errorf("at a place of just now %q", bids(one.Entries))
		}
		fresh.Position += 1000
		if one := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String(), Only: fresh}); len(one.Entries) != 0 {
			t.Errorf("at a place to come %s", bids(one.Entries))
		}
	}
	if one := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String(), Only: &eventv1.Cursor{Partition: -1, Position: 1}}); len(one.Entries) != 0 {
		t.Errorf("in no partition %s", bids(one.Entries))
	}
	elsewhen := proto.CloneOf(third)
	elsewhen.Incarnation = make([]byte, 16)
	if one := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String(), Only: elsewhen}); len(one.Entries) != 0 {
		t.Errorf("in another life there is %s", bids(one.Entries))
	}
	if _, err := w.book.List(t.Context(), &offersv1.ListRecordRequest{SubscriberId: other.String(), PageToken: first.Next}); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("another's token: %v", err)
	}
}

// told is what a watch says.
type told struct {
	entry *recordv1.Entry
	token string
}

func (w *world) watch(who id.ID, token string) (<-chan told, func() error) {
	ctx, cancel := context.WithCancel(w.t.Context())
	out, ended := make(chan told), make(chan error, 1)
	go func() {
		ended <- w.book.Watch(ctx, &offersv1.WatchRecordRequest{SubscriberId: who.String(), WatchToken: token}, func(e *recordv1.Entry, token string) error {
			select {
			case out <- told{e, token}:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	}()
	return out, func() error { cancel(); return <-ended }
}

// TestAWatchResumesWhereItBroke: what happens is told once, in order, with signs of life in between; after a break it goes on behind the
// last token, and from a list behind what the list has.
func TestAWatchResumesWhereItBroke(t *testing.T) {
	t.Parallel()
	w := begin(t, 50*time.Millisecond)
	me, other := id.Random(), id.Random()
	w.declines(0, stream(), me, "before")
	list := w.list(&offersv1.ListRecordRequest{SubscriberId: me.String()})

	live, stop := w.watch(me, "")
	if first := <-live; first.entry != nil || first.token == "" {
		t.Fatalf("the first is no sign of life: %v", first)
	}
	for range 2 { // with nothing to tell
		if next := <-live; next.entry != nil {
			t.Fatalf("told of %v", next.entry)
		}
	}
	next := func(live <-chan told) told {
		for {
			if n := <-live; n.entry != nil {
				return n
			}
		}
	}
	mine := stream()
	w.declines(1, mine, me, "1")
	w.declines(0, stream(), other, "x")
	one := next(live)
	if one.entry.GetBidId() != "1" {
		t.Errorf("told of %v", one.entry)
	}
	if err := stop(); err == nil {
		t.Error("a watch that is left ends without saying why")
	}
	w.finishes(1, mine, "2")
	w.declines(0, stream(), me, "3")

	live, stop = w.watch(me, one.token)
	if got := next(live).entry.GetBidId() + next(live).entry.GetBidId(); got != "23" {
		t.Errorf("after a break %s", got)
	}
	_ = stop() // it was left
	live, stop = w.watch(me, list.Watch)
	if got := next(live).entry.GetBidId() + next(live).entry.GetBidId() + next(live).entry.GetBidId(); got != "123" {
		t.Errorf("behind a list %s", got)
	}
	_ = stop() // it was left

	err := w.book.Watch(t.Context(), &offersv1.WatchRecordRequest{SubscriberId: other.String(), WatchToken: one.token}, func(e *recordv1.Entry, _ string) error {
		t.Errorf("another is told %v", e)
		return nil
	})
	if fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("another's token: %v", err)
	}
}
