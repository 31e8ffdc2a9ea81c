package rpc_test

import (
	"bytes"
	"context"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// IsEnrolled knows everybody.
func (*gate) IsEnrolled(context.Context, *consentv1.IsEnrolledRequest, ...grpc.CallOption) (*consentv1.IsEnrolledResponse, error) {
	return &consentv1.IsEnrolledResponse{Enrolled: true}, nil
}

// upload is the server's side of one Import.
type upload struct {
	grpc.ServerStream
	ctx  context.Context
	send []*deliveryv1.ImportRequest
	got  *deliveryv1.ImportResponse
}

func (u *upload) Context() context.Context { return u.ctx }

func (u *upload) Recv() (*deliveryv1.ImportRequest, error) {
	if len(u.send) == 0 {
		return nil, io.EOF
	}
	next := u.send[0]
	u.send = u.send[1:]
	return next, nil
}

func (u *upload) SendAndClose(r *deliveryv1.ImportResponse) error {
	u.got = r
	return nil
}

// exported is the server's side of one ExportPoints.
type exported struct {
	grpc.ServerStream
	ctx  context.Context
	got  map[string][]string
	last bool
}

func (e *exported) Context() context.Context { return e.ctx }

func (e *exported) Send(r *deliveryv1.ExportPointsResponse) error {
	for _, p := range r.GetPoints() {
		e.got[r.GetSchema()] = append(e.got[r.GetSchema()], string(p))
	}
	e.last = r.GetLast()
	return nil
}

// feeds imports a table of a person from the operator's feed.
func (d *desk) feeds(ctx context.Context, who id.ID, importer string, file []byte) *deliveryv1.ImportResponse {
	d.t.Helper()
	from, err := d.ConnectSource(ctx, &deliveryv1.ConnectSourceRequest{
		SubscriberId: who.String(), Importer: importer, Route: deliveryv1.Route_ROUTE_OPERATOR, IdempotencyKey: who.String() + importer,
	})
	d.must(err)
	up := &upload{ctx: ctx, send: []*deliveryv1.ImportRequest{
		{Part: &deliveryv1.ImportRequest_Header{Header: &deliveryv1.ImportHeader{
			SubscriberId: who.String(), SourceId: from.GetSourceId(), FileName: "ego.csv", Zone: "America/New_York",
		}}},
		{Part: &deliveryv1.ImportRequest_Chunk{Chunk: file}},
	}}
	d.must(d.Import(up))
	return up.got
}

// others are the correspondents in a list of points, in its order.
func others(t *testing.T, list [][]byte) (out []id.ID) {
	t.Helper()
	for _, b := range list {
		p, err := source.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, p.Contact.Correspondent)
	}
	return out
}

// TestTrafficDataIsForItsPersonOnly: a person's calls and messages come by the operator's feed alone, are there for them to see, list,
// plot and take along, and make no slot of any product, no fact, and no row of a preview.
func TestTrafficDataIsForItsPersonOnly(t *testing.T) {
	t.Parallel()
	d := begin(t, 1)
	var err error
	d.Catalog, err = catalog.Open("")
	d.must(err)
	operator := boot.WithCaller(t.Context(), boot.Caller{Role: eventv1.Role_ROLE_OPERATOR})
	who, another := id.Random(), id.Random()
	own := boot.WithCaller(t.Context(), boot.Caller{Role: eventv1.Role_ROLE_SUBSCRIBER})
	for _, importer := range []string{source.Bandicoot, source.Mobility, source.Usage} {
		for _, r := range []deliveryv1.Route{deliveryv1.Route_ROUTE_GDPR_20, deliveryv1.Route_ROUTE_DATA_ACT_4, deliveryv1.Route_ROUTE_DATA_ACT_5} {
			_, err := d.ConnectSource(operator, &deliveryv1.ConnectSourceRequest{
				SubscriberId: who.String(), Importer: importer, Route: r, IdempotencyKey: importer + r.String(),
			})
			if fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), "route") {
				t.Errorf("%s by route %v: %v", importer, r, err)
			}
		}
		if _, err := d.ConnectSource(own, &deliveryv1.ConnectSourceRequest{
			SubscriberId: who.String(), Importer: importer, Route: deliveryv1.Route_ROUTE_OPERATOR, IdempotencyKey: "own" + importer,
		}); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("the person's own word on %s: %v", importer, err)
		}
	}

	file, err := os.ReadFile("../../../../testdata/bandicoot/ego.csv")
	d.must(err)
	file = bytes.ReplaceAll(file, []byte(",D,"), []byte(",+15550100,"))
	done := d.feeds(operator, who, source.Bandicoot, file)
	if got := done.GetArrivals(); len(got) != 2 || got[0].GetPoints() != 75 || got[1].GetPoints() != 239 {
		t.Fatalf("%v", got)
	}
	if again := d.feeds(operator, who, source.Bandicoot, file); again.GetImportId() != done.GetImportId() {
		t.Errorf("the same file is another import: %v", again)
	}
	if part := d.feeds(operator, who, source.Bandicoot, file[:bytes.LastIndexByte(file[:len(file)-1], '\n')+1]); part.GetRepeatedPoints() != 313 || len(part.GetArrivals()) != 0 {
		t.Errorf("the file without its last row: %v", part)
	}
	d.feeds(operator, another, source.Bandicoot, file)
	d.caught()

	// The person sees it.
	summary, err := d.GetSummary(t.Context(), &deliveryv1.GetSummaryRequest{SubscriberId: who.String()})
	d.must(err)
	for i, want := range []uint64{75, 239} {
		if c := summary.GetCategories(); len(c) != 2 || c[i].GetPoints() != want || len(c[i].GetProducts()) != 0 {
			t.Fatalf("%v", c)
		}
	}
	list := func(who id.ID) [][]byte {
		r, err := d.ListPoints(t.Context(), &deliveryv1.ListPointsRequest{SubscriberId: who.String(), PageSize: 1000})
		d.must(err)
		return r.GetPoints()
	}
	mine, theirs := list(who), list(another)
	all := bytes.Join(mine, nil)
	if len(mine) != 314 || bytes.Contains(all, []byte("15550100")) || !bytes.Contains(all, []byte(`"cell":"1"`)) {
		t.Errorf("%d points: %s", len(mine), mine[0])
	}
	known := others(t, mine)
	for _, o := range others(t, theirs) {
		if slices.Contains(known, o) {
			t.Fatal("one correspondent has the same name in two people's data")
		}
	}
	series := func(schema point.Schema) (sum int64, n uint32) {
		r, err := d.GetSeries(t.Context(), &deliveryv1.GetSeriesRequest{SubscriberId: who.String(), Schema: schema.String(), First: "2014-03-01", Last: "2014-12-31"})
		d.must(err)
		for _, b := range r.GetBuckets() {
			sum += b.GetSum()
		}
		return sum, r.GetPoints()
	}
	if sum, n := series(point.PhoneCall); sum != 266_797_000 || n != 75 {
		t.Errorf("%d calls of %d ms", n, sum)
	}
	if sum, n := series(point.TextMessage); sum != 239_000 || n != 239 {
		t.Errorf("%d messages, %d", n, sum)
	}
	out := &exported{ctx: t.Context(), got: map[string][]string{}}
	d.must(d.ExportPoints(&deliveryv1.ExportPointsRequest{SubscriberId: who.String()}, out))
	if !out.last || len(out.got[point.PhoneCall.String()]) != 75 || len(out.got[point.TextMessage.String()]) != 239 {
		t.Errorf("%d schemas are exported", len(out.got))
	}

	// Nobody else does.
	facts, err := d.GetFacts(t.Context(), &deliveryv1.GetFactsRequest{SubscriberId: who.String()})
	d.must(err)
	if len(facts.GetFacts()) != 0 || len(facts.GetStock()) != 0 || len(summary.GetStock()) != 0 {
		t.Errorf("facts %v, stock %v", facts.GetFacts(), facts.GetStock())
	}
	for _, p := range d.Catalog.Products() {
		ask := &deliveryv1.PreviewPackageRequest{
			SubscriberId: who.String(), BuyerId: d.buyer.String(), Product: &marketv1.ProductRef{Id: p.ID, Version: p.Version}, MaxSlots: 400,
			Slots: &marketv1.Days{First: "2014-01-01", Last: "2014-12-31"}, MinAssurance: marketv1.Assurance_ASSURANCE_OWN_FILE,
		}
		for _, f := range p.Fields {
			ask.Fields = append(ask.Fields, &marketv1.GrantedField{Id: f.ID, Rung: f.Rungs[0].ID})
		}
		preview, err := d.PreviewPackage(t.Context(), ask)
		d.must(err)
		if preview.GetRowCount() != 0 || len(preview.GetRows()) != 0 || preview.GetExpectedSlots() != 0 {
			t.Errorf("%s: %v", p.ID, preview)
		}
	}
	for _, s := range []point.Schema{point.PhoneCall, point.TextMessage, point.CellVisit, point.DataUse} {
		for _, name := range []string{s.String(), s.Name} {
			if _, err := d.PreviewPackage(t.Context(), &deliveryv1.PreviewPackageRequest{
				SubscriberId: who.String(), BuyerId: d.buyer.String(), Product: &marketv1.ProductRef{Id: name, Version: s.Version},
			}); fault.ReasonOf(err) != "PRODUCT_UNKNOWN" {
				t.Errorf("a preview of %s: %v", name, err)
			}
		}
	}
	// Nor does the log: it says how many came, and no correspondent.
	_, err = d.log.Scan(t.Context(), 0, 0, 1_000_000, func(r *es.Record) error {
		if bytes.Contains(r.Data, []byte("15550100")) {
			t.Errorf("%s names a correspondent", r.Type)
		}
		return nil
	})
	d.must(err)
	if text := prototext.Format(proto.Message(done)); strings.Contains(text, "15550100") {
		t.Error(text)
	}
}
