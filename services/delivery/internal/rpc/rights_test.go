package rpc_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/source"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// owner is a person with measurements of their own, as they call.
type owner struct {
	*desk
	ctx    context.Context
	who    id.ID
	packer *packing.Packer
	calls  int
}

func (d *desk) owner() *owner {
	d.t.Helper()
	var err error
	d.Catalog, err = catalog.Open("")
	d.must(err)
	d.Bars.Catalog = d.Catalog
	return &owner{desk: d, who: id.Random(), ctx: boot.WithCaller(d.t.Context(), boot.Caller{Role: eventv1.Role_ROLE_SUBSCRIBER}), packer: &packing.Packer{
		Shelves: d.Shelves, Keys: d.Keys, Store: d.Store, Catalog: d.Catalog, Buyers: d.Buyers, Consent: &d.gate, Now: d.Now, NewID: id.Random,
		Random: rand.Reader, Patience: patience,
	}}
}

func (o *owner) key() string {
	o.calls++
	return fmt.Sprint("call ", o.calls)
}

// walked is a day's steps as a data point.
func walked(day string, steps int) string {
	return `{"header":{"uuid":"8e9bfd5c-0d15-4d30-a1b2-3f2f7f5b0a11","schema_id":{"namespace":"omh","name":"step-count","version":"3.0"},` +
		`"source_creation_date_time":"` + day + `T23:00:00Z","modality":"sensed"},"body":{"step_count":{"value":` + fmt.Sprint(steps) + `,"unit":"steps"},` +
		`"effective_time_frame":{"time_interval":{"start_date_time":"` + day + `T00:00:00Z","end_date_time":"` + day + `T23:59:00Z"}}}}`
}

// brings connects a source and imports points from it.
func (o *owner) brings(points ...string) (from string) {
	o.t.Helper()
	connected, err := o.ConnectSource(o.ctx, &deliveryv1.ConnectSourceRequest{
		SubscriberId: o.who.String(), Importer: source.Points, Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: o.key(),
	})
	o.must(err)
	_, err = o.more(connected.GetSourceId(), points...)
	o.must(err)
	return connected.GetSourceId()
}

func (o *owner) more(from string, points ...string) (*deliveryv1.ImportResponse, error) {
	up := o.upload(from, points...)
	err := o.Import(up)
	return up.got, err
}

func (o *owner) upload(from string, points ...string) *upload {
	return &upload{ctx: o.ctx, send: []*deliveryv1.ImportRequest{
		{Part: &deliveryv1.ImportRequest_Header{Header: &deliveryv1.ImportHeader{SubscriberId: o.who.String(), SourceId: from}}},
		{Part: &deliveryv1.ImportRequest_Chunk{Chunk: []byte(strings.Join(points, "\n"))}},
	}}
}

func (o *owner) points() *deliveryv1.ListPointsResponse {
	o.t.Helper()
	list, err := o.ListPoints(o.ctx, &deliveryv1.ListPointsRequest{SubscriberId: o.who.String()})
	o.must(err)
	return list
}

// agrees puts an agreement on the shelf that runs over some days of 2016, and gives its id.
func (o *owner) agrees() packing.Agreement {
	o.t.Helper()
	a := packing.Agreement{ID: shelf.AgreementID{ID: id.Random()}, Subscriber: shelf.SubscriberID{ID: o.who}}
	m := &marketv1.Licence{
		AgreementId: a.ID.String(), OfferId: id.Random().String(), BidId: o.bid.String(), BuyerId: o.buyer.String(), GroupId: o.buyer.String(),
		SubscriberId: o.who.String(), Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, UnitPrice: &moneyv1.UnitPrice{Micros: 1, Currency: "EUR"},
		SlotsReserved: 100, Slots: &marketv1.Days{First: "2016-04-01", Last: "2016-04-30"}, Cadence: marketv1.Cadence_CADENCE_DAILY,
		Fields:       []*marketv1.GrantedField{{Id: "date", Rung: "exact"}, {Id: "steps", Rung: "exact"}},
		MinAssurance: marketv1.Assurance_ASSURANCE_OWN_FILE,
	}
	document, err := proto.Marshal(m)
	o.must(err)
	licence, err := wire.Licence(m)
	o.must(err)
	o.do(a.Subscriber, shelf.Take{Licence: licence, Document: document, Cleared: true})
	return a
}

// packs prepares what is due, and lists all uses of the person's data, newest first.
func (o *owner) packs(a packing.Agreement) []*deliveryv1.Use {
	o.t.Helper()
	o.must(o.packer.Prepare(o.t.Context(), a, id.Random(), new(eventv1.Meta)))
	return o.uses()
}

func (o *owner) uses() []*deliveryv1.Use {
	o.t.Helper()
	o.caught()
	out, err := o.ListUses(o.ctx, &deliveryv1.ListUsesRequest{SubscriberId: o.who.String()})
	o.must(err)
	return out.GetUses()
}

// asks signs for a delivery and asks for its key.
func (o *owner) asks(delivery string) error {
	o.t.Helper()
	list, err := o.ListDeliveries(o.t.Context(), &deliveryv1.ListDeliveriesRequest{BuyerId: o.buyer.String()})
	o.must(err)
	for _, d := range list.GetDeliveries() {
		if d.GetDeliveryId() == delivery {
			number, err := id.Parse(delivery)
			o.must(err)
			p := waits{delivery: shelf.DeliveryID{ID: number}, digest: [32]byte(d.GetDigest())}
			_, err = o.sign(o.t.Context(), p, "k1")
			return err
		}
	}
	o.t.Fatalf("the buyer is told of no delivery %s", delivery)
	return nil
}

func (o *owner) restricts(from string) {
	o.t.Helper()
	_, err := o.RestrictSource(o.ctx, &deliveryv1.RestrictSourceRequest{SubscriberId: o.who.String(), SourceId: from, IdempotencyKey: o.key()})
	o.must(err)
}

func (o *owner) lifts(from string) {
	o.t.Helper()
	_, err := o.LiftRestriction(o.ctx, &deliveryv1.LiftRestrictionRequest{SubscriberId: o.who.String(), SourceId: from, IdempotencyKey: o.key()})
	o.must(err)
}

// TestNothingRestrictedLeaves: of a source that is restricted nothing leaves, neither what waited, nor what was being made, nor what comes; what
// another source says of the same days does, and all of it once the restriction is lifted. The person sees everything meanwhile.
func TestNothingRestrictedLeaves(t *testing.T) {
	t.Parallel()
	o := begin(t, 2).owner()
	watch := o.brings(walked("2016-04-12", 9000), walked("2016-04-13", 8000))
	a := o.agrees()
	waiting := o.packs(a)
	if len(waiting) != 1 || len(waiting[0].GetSlots()) != 2 {
		t.Fatalf("%v", waiting)
	}
	phone := o.brings(walked("2016-04-13", 7000))

	o.restricts(watch)
	o.restricts(watch)
	if err := o.asks(waiting[0].GetDeliveryId()); fault.ReasonOf(err) != "SOURCE_RESTRICTED" {
		t.Errorf("what waited: %v", err)
	}
	uses := o.packs(a)
	if len(uses) != 2 || uses[1].GetState() != deliveryv1.DeliveryState_DELIVERY_STATE_BLOCKED ||
		uses[1].GetBlocked() != deliveryv1.Reason_REASON_SOURCE_RESTRICTED {
		t.Fatalf("%v", uses)
	}
	if d := cmp.Diff([]string{"2016-04-13"}, uses[0].GetSlots()); d != "" {
		t.Errorf("what the other source says: %s", d)
	}
	preview, err := o.PreviewPackage(o.ctx, &deliveryv1.PreviewPackageRequest{
		SubscriberId: o.who.String(), BuyerId: id.Random().String(), Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, MaxSlots: 10,
		Fields: []*marketv1.GrantedField{{Id: "steps", Rung: "exact"}}, Slots: &marketv1.Days{First: "2016-04-01", Last: "2016-04-30"},
		MinAssurance: marketv1.Assurance_ASSURANCE_OWN_FILE,
	})
	o.must(err)
	if preview.GetRowCount() != 1 || preview.GetExpectedSlots() != 1 || !bytes.Contains(preview.GetRows(), []byte("7000")) {
		t.Errorf("previewed: %s", preview.GetRows())
	}
	if list := o.points(); len(list.GetPoints()) != 3 {
		t.Errorf("the person sees %d points", len(list.GetPoints()))
	}
	if s := o.listed(watch); s.GetRestrictedAt() == 0 || s.GetDisconnectedAt() != 0 {
		t.Errorf("%v", s)
	}
	if err := o.asks(uses[0].GetDeliveryId()); err != nil {
		t.Errorf("of the other source: %v", err)
	}

	// The other one too: nothing is left, and that ends nothing for ever.
	_, err = o.more(watch, walked("2016-04-14", 5000))
	o.must(err)
	o.restricts(phone)
	if after := o.packs(a); len(after) != 2 {
		t.Errorf("made of nothing: %v", after)
	}
	o.lifts(watch)
	uses = o.packs(a)
	if d := cmp.Diff([]string{"2016-04-12", "2016-04-14"}, uses[0].GetSlots()); len(uses) != 3 || d != "" {
		t.Fatalf("lifted: %v", uses)
	}
	if err := o.asks(uses[0].GetDeliveryId()); err != nil {
		t.Errorf("lifted: %v", err)
	}
	if s := o.listed(watch); s.GetRestrictedAt() != 0 {
		t.Errorf("%v", s)
	}
}

func (o *owner) listed(from string) *deliveryv1.Source {
	o.t.Helper()
	o.caught()
	list, err := o.ListSources(o.ctx, &deliveryv1.ListSourcesRequest{SubscriberId: o.who.String()})
	o.must(err)
	for _, s := range list.GetSources() {
		if s.GetSourceId() == from {
			return s
		}
	}
	o.t.Fatalf("no source %s", from)
	return nil
}

// TestAPackageThatIsMadeMeanwhileStays: it was read before the restriction and put on the shelf after it; its key does not leave.
func TestAPackageThatIsMadeMeanwhileStays(t *testing.T) {
	t.Parallel()
	o := begin(t, 2).owner()
	watch := o.brings(walked("2016-04-12", 9000))
	a := o.agrees()
	uses := o.packs(a)
	number, err := id.Parse(watch)
	o.must(err)
	// As the store has it when the process that restricts ends before it has looked at the shelf.
	on := o.ringOf(o.who)
	_, err = o.Store.Bar(t.Context(), on, number, true, 1, o.Catalog.Products())
	o.must(err)
	for range 2 {
		if err := o.asks(uses[0].GetDeliveryId()); fault.ReasonOf(err) != "SOURCE_RESTRICTED" {
			t.Errorf("%v", err)
		}
		o.caught()
	}
	if o.gate.permits != nil {
		t.Error("the gate was asked all the same")
	}
}

// TestADisconnectedSourceBringsNothing until it is connected again; what it brought is as it was.
func TestADisconnectedSourceBringsNothing(t *testing.T) {
	t.Parallel()
	o := begin(t, 1).owner()
	watch := o.brings(walked("2016-04-12", 9000))
	off := &deliveryv1.DisconnectSourceRequest{SubscriberId: o.who.String(), SourceId: watch, IdempotencyKey: "off"}
	first, err := o.DisconnectSource(o.ctx, off)
	o.must(err)
	again, err := o.DisconnectSource(o.ctx, off)
	o.must(err)
	if d := cmp.Diff(first.GetCursor().GetPosition(), again.GetCursor().GetPosition()); d != "" {
		t.Errorf("the same command again: %s", d)
	}
	off.SourceId = id.Random().String()
	if _, err := o.DisconnectSource(o.ctx, off); fault.ReasonOf(err) != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("the key of another command: %v", err)
	}
	if _, err := o.more(watch, walked("2016-04-13", 9000)); fault.ReasonOf(err) != "SOURCE_DISCONNECTED" {
		t.Errorf("a file: %v", err)
	}
	if s := o.listed(watch); s.GetDisconnectedAt() == 0 || s.GetRestrictedAt() != 0 || len(o.points().GetPoints()) != 1 {
		t.Errorf("%v", s)
	}
	_, err = o.ReconnectSource(o.ctx, &deliveryv1.ReconnectSourceRequest{SubscriberId: o.who.String(), SourceId: watch, IdempotencyKey: "on"})
	o.must(err)
	_, err = o.more(watch, walked("2016-04-13", 9000))
	o.must(err)
	if s := o.listed(watch); s.GetDisconnectedAt() != 0 || len(o.points().GetPoints()) != 2 {
		t.Errorf("%v", s)
	}
	_, err = o.RestrictSource(o.ctx, &deliveryv1.RestrictSourceRequest{SubscriberId: id.Random().String(), SourceId: watch, IdempotencyKey: "theirs"})
	if fault.ReasonOf(err) != "SOURCE_UNKNOWN" {
		t.Errorf("somebody else's source: %v", err)
	}
}

// slow is an upload during which something happens, when all of it has come.
type slow struct {
	*upload
	then func()
}

func (u slow) Recv() (*deliveryv1.ImportRequest, error) {
	r, err := u.upload.Recv()
	if err != nil {
		u.then()
	}
	return r, err
}

// TestAFileThatIsOnItsWayIsRefusedToo: the source is disconnected while a file comes in. Nothing of it is kept.
func TestAFileThatIsOnItsWayIsRefusedToo(t *testing.T) {
	t.Parallel()
	o := begin(t, 1).owner()
	watch := o.brings(walked("2016-04-12", 9000))
	up := slow{o.upload(watch, walked("2016-04-13", 9000)), func() {
		_, err := o.DisconnectSource(o.ctx, &deliveryv1.DisconnectSourceRequest{SubscriberId: o.who.String(), SourceId: watch, IdempotencyKey: "off"})
		o.must(err)
	}}
	if err := o.Import(up); fault.ReasonOf(err) != "SOURCE_DISCONNECTED" {
		t.Errorf("%v", err)
	}
	if n := len(o.points().GetPoints()); n != 1 {
		t.Errorf("%d points are there", n)
	}
}

// TestWhatIsToldLateIsNotWhatCounts: a file is in the store, and before the log is told of it its source is restricted, which the log is told
// first. What the log says in the end is what the store says.
func TestWhatIsToldLateIsNotWhatCounts(t *testing.T) {
	t.Parallel()
	o := begin(t, 1).owner()
	watch := o.brings(walked("2016-03-31", 9000))
	number, err := id.Parse(watch)
	o.must(err)
	facts := func() []*deliveryv1.Fact {
		r, err := o.GetFacts(o.ctx, &deliveryv1.GetFactsRequest{SubscriberId: o.who.String()})
		o.must(err)
		return r.GetFacts()
	}
	// As the process leaves it that ends between the two.
	told, err := o.Store.Read(t.Context(), o.ringOf(o.who), store.Origin{Source: number, Assurance: point.OwnFile}, o.Catalog.Products(), "", o.Now(),
		func(add func(*point.Point) error) (source.Summary, error) {
			for day := range 28 {
				p, err := source.Read([]byte(walked(fmt.Sprintf("2016-04-%02d", day+1), 9000)))
				o.must(err)
				p.Source, p.Assurance = number, point.OwnFile
				p.ID = point.Identify(o.who, number, &p)
				o.must(add(&p))
			}
			return source.Summary{}, nil
		})
	o.must(err)
	if len(told.Facts) == 0 {
		t.Fatal("nothing is derived: this shows nothing")
	}
	o.restricts(watch)
	if left := facts(); len(left) != 0 {
		t.Fatalf("%v, of what is restricted", left)
	}
	open, err := o.Store.Unrecorded(t.Context(), o.Now().Add(time.Hour), store.Import{}, 10)
	o.must(err)
	if len(open) != 1 {
		t.Fatalf("%d imports are to be told", len(open))
	}
	o.must(o.Catch(o.ctx, open, new(eventv1.Meta)))
	if left := facts(); len(left) != 0 {
		t.Errorf("%v, of what is restricted", left)
	}
}

// TestAPersonCorrectsAPoint: the corrected one is listed, plotted, previewed and delivered from then on, and is told with the packages that
// carried the other.
func TestAPersonCorrectsAPoint(t *testing.T) {
	t.Parallel()
	o := begin(t, 2).owner()
	watch := o.brings(walked("2016-04-12", 9000), walked("2016-04-13", 8000), walked("2016-04-14", 8000))
	a := o.agrees()
	sent := o.packs(a)
	was := o.points().GetPoints()
	says := bytes.Replace(was[0], []byte(`"value":9000`), []byte(`"value":1200`), 1)
	ask := &deliveryv1.CorrectPointRequest{SubscriberId: o.who.String(), Point: says, IdempotencyKey: "one"}
	done, err := o.CorrectPoint(o.ctx, ask)
	o.must(err)
	if d := cmp.Diff([]string{sent[0].GetDeliveryId()}, done.GetDeliveryIds()); d != "" {
		t.Errorf("what carried it: %s", d)
	}
	again, err := o.CorrectPoint(o.ctx, ask)
	o.must(err)
	if !proto.Equal(done, again) {
		t.Errorf("the same command again: %v", again)
	}
	other := proto.CloneOf(ask)
	other.Point = bytes.Replace(was[0], []byte(`"value":9000`), []byte(`"value":1300`), 1)
	if _, err := o.CorrectPoint(o.ctx, other); fault.ReasonOf(err) != "IDEMPOTENCY_CONFLICT" {
		t.Errorf("the key of another command: %v", err)
	}
	other.IdempotencyKey = "two"
	if _, err := o.CorrectPoint(o.ctx, other); fault.ReasonOf(err) != "POINT_SUPERSEDED" {
		t.Errorf("who has seen the earlier one: %v", err)
	}
	for name, wrong := range map[string]string{
		"body.step_count": strings.Replace(string(says), `"value":1200`, `"value":-3`, 1), "point": "none",
		"body": strings.Replace(string(says), `"step_count"`, `"steps"`, 1),
	} {
		_, err := o.CorrectPoint(o.ctx, &deliveryv1.CorrectPointRequest{SubscriberId: o.who.String(), Point: []byte(wrong), IdempotencyKey: o.key()})
		if fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}

	list := o.points()
	if got := list.GetPoints(); len(got) != 3 || !bytes.Contains(got[0], []byte(done.GetPointId())) || !bytes.Contains(got[0], []byte(`"value":1200`)) ||
		!bytes.Contains(got[0], []byte("self-reported")) {
		t.Errorf("listed: %s", got)
	}
	if got := list.GetSuperseded(); len(got) != 1 || got[0].GetBy() != done.GetPointId() || !bytes.Equal(got[0].GetPoint(), was[0]) {
		t.Errorf("superseded: %v", got)
	}
	series, err := o.GetSeries(o.ctx, &deliveryv1.GetSeriesRequest{
		SubscriberId: o.who.String(), Schema: "omh:step-count:3.0", First: "2016-04-12", Last: "2016-04-14", Buckets: 3,
	})
	o.must(err)
	if got := series.GetBuckets(); len(got) != 3 || got[0].GetSum() != 1_200_000 || got[0].GetPoints() != 1 {
		t.Errorf("plotted: %v", got)
	}
	facts, err := o.GetFacts(o.ctx, &deliveryv1.GetFactsRequest{SubscriberId: o.who.String()})
	o.must(err)
	if got := facts.GetFacts(); len(got) != 1 || got[0].GetBand() != "5000_9999" {
		t.Errorf("facts: %v", got)
	}
	preview, err := o.PreviewPackage(o.ctx, &deliveryv1.PreviewPackageRequest{
		SubscriberId: o.who.String(), BuyerId: id.Random().String(), Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, MaxSlots: 10,
		Fields: []*marketv1.GrantedField{{Id: "steps", Rung: "exact"}}, Slots: &marketv1.Days{First: "2016-04-12", Last: "2016-04-12"},
		MinAssurance: marketv1.Assurance_ASSURANCE_OWN_FILE,
	})
	o.must(err)
	if !bytes.Contains(preview.GetRows(), []byte("1200")) {
		t.Errorf("previewed: %s", preview.GetRows())
	}

	// The log tells it, to its person alone.
	entry := o.told("point_corrected")
	if c := entry.GetCorrected(); c.GetDay() != "2016-04-12" || c.GetPointId() != done.GetPointId() || c.GetSupersedes() != done.GetSupersedes() ||
		len(c.GetDeliveryIds()) != 1 || entry.GetSourceId() != watch || entry.GetImporter() != source.Points {
		t.Errorf("told: %v", entry)
	}
}

// told is the one entry of the person's record of a type, and shows nothing of it in the log.
func (o *owner) told(typ string) *recordv1.Entry {
	o.t.Helper()
	var out *recordv1.Entry
	for p := range o.log.Partitions() {
		_, err := o.log.Scan(o.t.Context(), es.Partition(p), 0, 1_000_000, func(r *es.Record) error {
			if r.Type != typ {
				return nil
			}
			if out != nil {
				o.t.Errorf("%s is told twice", typ)
			}
			for _, canary := range []string{"2016-04-12", "step-count"} {
				if bytes.Contains(r.Data, []byte(canary)) {
					o.t.Errorf("%s shows %s", typ, canary)
				}
			}
			var err error
			out, err = o.Tell(o.t.Context(), o.who, r)
			return err
		})
		o.must(err)
	}
	return out
}

// TestAnExportIsHeldByItsOwnSchemas: every point of an export, those that were corrected among them, is valid by the documents that come with it
// and nothing else.
func TestAnExportIsHeldByItsOwnSchemas(t *testing.T) {
	t.Parallel()
	o := begin(t, 1).owner()
	weighed := `{"header":{"uuid":"8e9bfd5c-0d15-4d30-a1b2-3f2f7f5b0a11","schema_id":{"namespace":"omh","name":"body-weight","version":"2.0"},` +
		`"source_creation_date_time":"2016-04-12T08:00:00Z","modality":"sensed"},"body":{"body_weight":{"value":70.5,"unit":"kg"},` +
		`"effective_time_frame":{"date_time":"2016-04-12T08:00:00Z"}}}`
	o.brings(walked("2016-04-12", 9000), walked("2016-04-13", 8000), weighed)
	says := bytes.Replace(o.points().GetPoints()[0], []byte(`"value":9000`), []byte(`"value":1200`), 1)
	_, err := o.CorrectPoint(o.ctx, &deliveryv1.CorrectPointRequest{SubscriberId: o.who.String(), Point: says, IdempotencyKey: "one"})
	o.must(err)
	out := &whole{exported: exported{ctx: o.ctx, got: map[string][]string{}}}
	o.must(o.ExportPoints(&deliveryv1.ExportPointsRequest{SubscriberId: o.who.String()}, out))
	if out.sent != 4 || len(out.superseded) != 1 || len(out.got) != 2 {
		t.Fatalf("%d sent, superseded %v, %v", out.sent, out.superseded, out.got)
	}
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	c.UseLoader(out)
	compiled := map[string]*jsonschema.Schema{}
	for uri, d := range out.documents {
		if d.GetSchema() != "" {
			compiled[d.GetSchema()], err = c.Compile(uri)
			o.must(err)
		}
	}
	if len(compiled) != 3 {
		t.Errorf("schemas of %d things", len(compiled))
	}
	out.got["omh:step-count:3.0"] = append(out.got["omh:step-count:3.0"], out.superseded...)
	for name, points := range out.got {
		for _, text := range points {
			var p map[string]any
			o.must(json.Unmarshal([]byte(text), &p))
			if err := compiled["point"].Validate(p); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if err := compiled[name].Validate(p["body"]); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			p["body"] = map[string]any{}
			if compiled[name].Validate(p["body"]) == nil {
				t.Errorf("%s takes nothing for something", name)
			}
		}
	}
}

// whole is all of an export, and nothing but its documents.
type whole struct {
	exported
	sent       uint64
	superseded []string
	documents  map[string]*deliveryv1.SchemaDocument
}

func (w *whole) Send(r *deliveryv1.ExportPointsResponse) error {
	w.sent, w.documents = r.GetSent(), map[string]*deliveryv1.SchemaDocument{}
	for _, s := range r.GetSuperseded() {
		w.superseded = append(w.superseded, string(s.GetPoint()))
	}
	for _, d := range r.GetSchemas() {
		w.documents[d.GetUri()] = d
	}
	if len(r.GetPoints()) == 0 {
		return nil
	}
	return w.exported.Send(r)
}

func (w *whole) Load(uri string) (any, error) {
	d, ok := w.documents[uri]
	if !ok {
		return nil, fmt.Errorf("the export has no document %s", uri)
	}
	return jsonschema.UnmarshalJSON(bytes.NewReader(d.GetDocument()))
}

// TestWhatWasSupersededComesByPages: a day that was corrected often is no larger page than another; each of its points comes once.
func TestWhatWasSupersededComesByPages(t *testing.T) {
	t.Parallel()
	o := begin(t, 1).owner()
	o.brings(walked("2016-04-12", 9000), walked("2016-04-13", 8000))
	for n := range 5 {
		says := o.points().GetPoints()[0]
		for _, was := range []int{9000, 1000, 1001, 1002, 1003} {
			says = bytes.Replace(says, fmt.Appendf(nil, `"value":%d,`, was), fmt.Appendf(nil, `"value":%d,`, 1000+n), 1)
		}
		_, err := o.CorrectPoint(o.ctx, &deliveryv1.CorrectPointRequest{SubscriberId: o.who.String(), Point: says, IdempotencyKey: o.key()})
		o.must(err)
	}
	seen := map[string]int{}
	pages := 0
	for token := ""; ; pages++ {
		r, err := o.ListPoints(o.ctx, &deliveryv1.ListPointsRequest{SubscriberId: o.who.String(), PageSize: 2, PageToken: token})
		o.must(err)
		if n := len(r.GetPoints()) + len(r.GetSuperseded()); n > 2 || n == 0 {
			t.Errorf("a page of %d points, of which %d are superseded", n, len(r.GetSuperseded()))
		}
		for _, p := range r.GetPoints() {
			seen[string(p)]++
		}
		for _, p := range r.GetSuperseded() {
			seen[string(p.GetPoint())+" by "+p.GetBy()]++
		}
		if token = r.GetNextPageToken(); token == "" {
			break
		}
	}
	for what, n := range seen {
		if n != 1 {
			t.Errorf("%s comes %d times", what, n)
		}
	}
	if len(seen) != 7 || pages != 3 {
		t.Errorf("%d points come in %d pages: %v", len(seen), pages+1, seen)
	}
}
