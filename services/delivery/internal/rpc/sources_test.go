package rpc_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/view"
)

// read counts the rows that a database gives.
type read struct{ rows atomic.Int64 }

func (*read) TraceQueryStart(ctx context.Context, _ *pgx.Conn, _ pgx.TraceQueryStartData) context.Context {
	return ctx
}

func (r *read) TraceQueryEnd(_ context.Context, _ *pgx.Conn, d pgx.TraceQueryEndData) {
	if d.CommandTag.Select() {
		r.rows.Add(d.CommandTag.RowsAffected())
	}
}

// counted is a server over the same tables that counts what it reads.
func (d *desk) counted() *read {
	d.t.Helper()
	r := new(read)
	config := d.Store.Pool.Config()
	config.ConnConfig.Tracer = r
	pool, err := pgxpool.NewWithConfig(d.t.Context(), config)
	d.must(err)
	d.t.Cleanup(pool.Close)
	d.Store, d.View = store.Store{Pool: pool}, view.View{Pool: pool}
	return r
}

// connects names a source of a person.
func (d *desk) connects(who, from id.ID) es.Cursor {
	d.t.Helper()
	result, err := d.Holdings.Do(d.t.Context(), es.Command[holding.Command]{ID: id.Random(), Keys: d.ringOf(who), Meta: new(eventv1.Meta), Body: holding.Connect{
		Holding: holding.ID{ID: who}, Source: holding.SourceID{ID: from}, Importer: source.Points, Route: holding.RouteOwnCopy,
	}})
	d.must(err)
	return result.Cursor
}

// brings imports the steps of one day of 2016 through a source.
func (d *desk) brings(who, from id.ID, n int) {
	d.t.Helper()
	d.bringsOn(who, from, time.Date(2016, 1, n, 0, 0, 0, 0, time.UTC))
}

// bringsOn is brings for any day, which begins at a moment.
func (d *desk) bringsOn(who, from id.ID, at time.Time) {
	d.t.Helper()
	ctx := d.t.Context()
	ring := d.ringOf(who)
	products, err := catalog.Open("")
	d.must(err)
	done, err := d.Store.Read(ctx, ring, store.Origin{Source: from, Assurance: point.OwnFile}, products.Products(), "", at, func(emit func(*point.Point) error) (source.Summary, error) {
		p := point.Point{
			Schema: point.StepCount, Frame: point.Frame{Start: at, End: at.Add(24 * time.Hour)}, Source: from, Assurance: point.OwnFile,
			Values: []point.Value{{Measure: point.Steps, Quantity: 9000 * point.Milli}},
		}
		p.ID = point.Identify(who, from, &p)
		return source.Summary{SHA256: sha256.Sum256(fmt.Append(nil, at.Unix()))}, emit(&p)
	})
	d.must(err)
	d.must(d.Catch(ctx, []store.Import{done}, new(eventv1.Meta)))
	d.caught()
}

// TestSourcesByPages: every source is listed once, with what came from it in all, page by page; and what it takes to say so does not
// grow with how often something came.
func TestSourcesByPages(t *testing.T) {
	t.Parallel()
	d := begin(t, 2)
	ctx := t.Context()
	who, stranger := id.Random(), id.Random()
	d.connects(stranger, id.Random())
	sources := make([]id.ID, 5)
	var last es.Cursor
	for i := range sources {
		sources[i] = id.Random()
		last = d.connects(who, sources[i])
	}
	after := &eventv1.Cursor{Service: last.Service, Incarnation: last.Incarnation[:], Partition: int32(last.Partition), Position: int64(last.Position)}
	list := func(size uint32) (all []*deliveryv1.Source) {
		t.Helper()
		for token := ""; ; {
			r, err := d.ListSources(ctx, &deliveryv1.ListSourcesRequest{SubscriberId: who.String(), PageSize: size, PageToken: token, After: after})
			d.must(err)
			if all = append(all, r.GetSources()...); len(r.GetSources()) > int(size) && size > 0 {
				t.Errorf("a page of %d sources, of at most %d", len(r.GetSources()), size)
			}
			if token = r.GetNextPageToken(); token == "" {
				return all
			}
		}
	}
	reading := d.counted()
	var few int64
	for n := 1; n <= 40; n++ {
		d.brings(who, sources[n%2], n)
		if n == 2 {
			before := reading.rows.Load()
			list(2)
			few = reading.rows.Load() - before
		}
	}
	whole := list(0)
	if len(whole) != len(sources) {
		t.Fatalf("%d sources of %d", len(whole), len(sources))
	}
	for i, s := range whole {
		if s.GetSourceId() != sources[i].String() {
			t.Errorf("source %d is listed in the place of another one", i)
		}
		want := 20
		if i > 1 {
			want = 0
		}
		got := 0
		for _, a := range s.GetArrivals() {
			got += int(a.GetPoints())
		}
		if got != want || (s.GetImportedAt() != 0) != (want > 0) {
			t.Errorf("source %d brought %d points, want %d, last at %d", i, got, want, s.GetImportedAt())
		}
	}
	if a := whole[0].GetArrivals()[0]; a.GetDays().GetFirst() != "2016-01-02" || a.GetDays().GetLast() != "2016-02-09" {
		t.Errorf("what came is of the days %v", a.GetDays())
	}
	before := reading.rows.Load()
	for i, s := range list(2) {
		if !proto.Equal(s, whole[i]) {
			t.Errorf("by pages source %d is another one: %v", i, s)
		}
	}
	if many := reading.rows.Load() - before; many != few {
		t.Errorf("%d rows are read after 40 imports, %d after two", many, few)
	}
	if _, err := d.ListSources(ctx, &deliveryv1.ListSourcesRequest{SubscriberId: stranger.String(), PageToken: token(t, d, who)}); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("a page of another person's list: %v", err)
	}
}

// token is that of a person's second page.
func token(t *testing.T, d *desk, who id.ID) string {
	t.Helper()
	r, err := d.ListSources(t.Context(), &deliveryv1.ListSourcesRequest{SubscriberId: who.String(), PageSize: 1})
	d.must(err)
	return r.GetNextPageToken()
}

// TestAFileBringsItsSource: a source that comes with a file is connected when the file is kept, and is nowhere when the file is refused.
func TestAFileBringsItsSource(t *testing.T) {
	t.Parallel()
	o := begin(t, 1).owner()
	brings := func(change func(*deliveryv1.ImportHeader), points ...string) (*deliveryv1.ImportResponse, error) {
		up := o.upload("", points...)
		h := up.send[0].GetHeader()
		h.Connect = &deliveryv1.NewSource{Importer: source.Points, Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "mine"}
		if change != nil {
			change(h)
		}
		err := o.Import(up)
		return up.got, err
	}
	sources := func(want ...string) {
		t.Helper()
		o.caught()
		r, err := o.ListSources(o.ctx, &deliveryv1.ListSourcesRequest{SubscriberId: o.who.String()})
		o.must(err)
		var got []string
		for _, s := range r.GetSources() {
			got = append(got, s.GetSourceId())
			if s.GetImportedAt() == 0 || len(s.GetArrivals()) == 0 {
				t.Errorf("a source of which nothing came: %v", s)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("sources %v, want %v", got, want)
		}
	}
	for what, tc := range map[string]struct {
		change func(*deliveryv1.ImportHeader)
		point  string
		kind   fault.Kind
	}{
		"a row that cannot be read": {nil, `{"header":{}}`, fault.KindInvalid},
		"two sources":               {func(h *deliveryv1.ImportHeader) { h.SourceId = id.Random().String() }, walked("2016-04-12", 1), fault.KindInvalid},
		"no source":                 {func(h *deliveryv1.ImportHeader) { h.Connect = nil }, walked("2016-04-12", 1), fault.KindInvalid},
		"an importer that is none":  {func(h *deliveryv1.ImportHeader) { h.Connect.Importer = "tea-leaves" }, walked("2016-04-12", 1), fault.KindInvalid},
		"more than a person's word": {func(h *deliveryv1.ImportHeader) { h.Connect.Route = deliveryv1.Route_ROUTE_OPERATOR }, walked("2016-04-12", 1), fault.KindInvalid},
	} {
		if _, err := brings(tc.change, tc.point); fault.KindOf(err) != tc.kind {
			t.Errorf("%s: %v", what, err)
		}
	}
	sources()

	first, err := brings(nil, walked("2016-04-12", 5000))
	o.must(err)
	sources(first.GetSourceId())
	again, err := brings(nil, walked("2016-04-12", 5000))
	if err != nil || again.GetImportId() != first.GetImportId() || again.GetSourceId() != first.GetSourceId() {
		t.Errorf("the same file again: %v, %v", again, err)
	}
	more, err := brings(nil, walked("2016-04-13", 6000))
	if err != nil || more.GetSourceId() != first.GetSourceId() || more.GetImportId() == first.GetImportId() {
		t.Errorf("another file: %v, %v", more, err)
	}
	connect := &deliveryv1.ConnectSourceRequest{SubscriberId: o.who.String(), Importer: source.Points, Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "mine"}
	if r, err := o.ConnectSource(o.ctx, connect); err != nil || r.GetSourceId() != first.GetSourceId() {
		t.Errorf("connected under the same key: %v, %v", r, err)
	}
	other := func(h *deliveryv1.ImportHeader) { h.Connect.Importer = "fitabase-csv" }
	if _, err := brings(other, walked("2016-04-14", 1)); fault.ReasonOf(err) != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("another importer under the same key: %v", err)
	}
	_, err = o.DisconnectSource(o.ctx, &deliveryv1.DisconnectSourceRequest{SubscriberId: o.who.String(), SourceId: first.GetSourceId(), IdempotencyKey: o.key()})
	o.must(err)
	if _, err := brings(nil, walked("2016-04-14", 1)); fault.ReasonOf(err) != "SOURCE_DISCONNECTED" {
		t.Errorf("from a source that is disconnected: %v", err)
	}
	sources(first.GetSourceId())
}

// leaving answers in consent's place for somebody who leaves.
type leaving struct {
	consentv1.ConsentServiceClient
	closed atomic.Bool
}

func (l *leaving) IsEnrolled(context.Context, *consentv1.IsEnrolledRequest, ...grpc.CallOption) (*consentv1.IsEnrolledResponse, error) {
	return &consentv1.IsEnrolledResponse{Enrolled: true, Closed: l.closed.Load()}, nil
}

// TestWhatHappensWhileAFileComesInCounts: its person leaves, or another call connects the source that it brings as something else. Nothing of
// the file is kept.
func TestWhatHappensWhileAFileComesInCounts(t *testing.T) {
	t.Parallel()
	o := begin(t, 1).owner()
	person := &leaving{ConsentServiceClient: o.Consent}
	o.Consent = person
	brings := o.upload("", walked("2016-04-13", 9000))
	brings.send[0].GetHeader().Connect = &deliveryv1.NewSource{Importer: source.Points, Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "mine"}
	err := o.Import(slow{brings, func() {
		_, err := o.ConnectSource(o.ctx, &deliveryv1.ConnectSourceRequest{
			SubscriberId: o.who.String(), Importer: "fitabase-csv", Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "mine",
		})
		o.must(err)
	}})
	if fault.ReasonOf(err) != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("connected meanwhile as something else: %v", err)
	}
	watch := o.brings(walked("2016-04-12", 9000))
	err = o.Import(slow{o.upload(watch, walked("2016-04-14", 9000)), func() { person.closed.Store(true) }})
	if fault.ReasonOf(err) != "ACCOUNT_CLOSED" {
		t.Errorf("left meanwhile: %v", err)
	}
	if n := len(o.points().GetPoints()); n != 1 {
		t.Errorf("%d points are kept, of one file that was taken", n)
	}
}
