package journey

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
)

// TestNobodyIsImported: nothing comes about somebody who never joined, and everything about who has just joined.
func TestNobodyIsImported(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	who := id.Random()
	connect := &deliveryv1.ConnectSourceRequest{SubscriberId: who.String(), Importer: "fitabase-csv", Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "c"}
	mine := deliveryv1.NewDeliveryServiceClient(f.Dial(delivery.Name, who.String(), eventv1.Role_ROLE_SUBSCRIBER))
	operator := deliveryv1.NewDeliveryServiceClient(f.Dial(delivery.Name, "staff", eventv1.Role_ROLE_OPERATOR))
	for name, as := range map[string]deliveryv1.DeliveryServiceClient{"the person": mine, "the operator": operator} {
		if _, err := as.ConnectSource(t.Context(), connect); reason(err) != "SUBSCRIBER_UNKNOWN" {
			t.Errorf("%s connects a source of nobody: %v", name, err)
		}
	}
	joined := consentv1.NewConsentServiceClient(f.Dial(consent.Name, who.String(), eventv1.Role_ROLE_SUBSCRIBER))
	_, err := joined.Enrol(t.Context(), &consentv1.EnrolRequest{SubscriberId: who.String(), Country: "BE", Language: "fr", IdempotencyKey: "e"})
	f.must(err)
	first, err := mine.ConnectSource(t.Context(), connect)
	f.must(err)
	f.stop[consent.Name]()
	again, err := mine.ConnectSource(t.Context(), connect)
	if err != nil || again.GetSourceId() != first.GetSourceId() {
		t.Errorf("what was decided, asked again while consent is away: %v, %v", again, err)
	}
	connect.IdempotencyKey = "d"
	if _, err := mine.ConnectSource(t.Context(), connect); status.Code(err) != codes.Unavailable {
		t.Errorf("what was not decided, while consent is away: %v", err)
	}
}

// TestWhatCannotBeImported: every refusal says which file, line and field, and of such a file nothing is kept.
func TestWhatCannotBeImported(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	ctx := t.Context()
	h, stranger := f.holder(), f.holder()
	raw := read(t, activity)
	who := participants(t, activity)[0]
	// line replaces one of the file's lines, from 1.
	line := func(n int, change func(string) string) []byte {
		lines := strings.Split(string(raw), "\n")
		lines[n-1] = change(lines[n-1])
		return []byte(strings.Join(lines, "\n"))
	}
	good := func(change func(*deliveryv1.ImportHeader)) *deliveryv1.ImportHeader {
		header := &deliveryv1.ImportHeader{
			SubscriberId: h.id.String(), SourceId: h.source, FileName: "mine.csv", Zone: "America/New_York", Person: who,
		}
		if change != nil {
			change(header)
		}
		return header
	}
	for what, tc := range map[string]struct {
		raw    []byte
		header *deliveryv1.ImportHeader
		kind   fault.Kind
		reason string
		facts  []string // each in some fact's name and text
	}{
		"a number that is none": {
			line(20, func(s string) string { return strings.Replace(s, ","+strings.Split(s, ",")[2]+",", ",many,", 1) }), good(nil), fault.KindInvalid,
			"ROW_INVALID",
			[]string{"file mine.csv", "line 20", "field TotalSteps"},
		},
		"a day that is none": {
			line(31, func(s string) string { return strings.Replace(s, strings.Split(s, ",")[1], "13/32/2016", 1) }), good(nil), fault.KindInvalid,
			"ROW_INVALID",
			[]string{"file mine.csv", "line 31", "field ActivityDate"},
		},
		"a day that has not come": {
			line(31, func(s string) string {
				return strings.Replace(s, strings.Split(s, ",")[1], time.Now().AddDate(0, 0, 3).Format("1/2/2006"), 1)
			}), good(nil), fault.KindInvalid, "ROW_INVALID",
			[]string{"file mine.csv", "line 31", "field ActivityDate is ahead of now"},
		},
		"a row that is cut off": {
			line(2, func(s string) string { return s[:20] }), good(nil), fault.KindInvalid, "ROW_INVALID", []string{"file mine.csv", "line 2"},
		},
		"no zone":         {raw, good(func(h *deliveryv1.ImportHeader) { h.Zone = "" }), fault.KindInvalid, "ZONE_MISSING", []string{"file mine.csv", "zone"}},
		"no such zone":    {raw, good(func(h *deliveryv1.ImportHeader) { h.Zone = "Europe/Atlantis" }), fault.KindInvalid, "", []string{"zone"}},
		"no format":       {[]byte("a,b,c\n1,2,3\n"), good(nil), fault.KindInvalid, "FORMAT_UNKNOWN", []string{"file mine.csv"}},
		"nothing":         {nil, good(nil), fault.KindInvalid, "FORMAT_UNKNOWN", []string{"file mine.csv"}},
		"another format":  {[]byte(`{"status":0,"body":{}}`), good(nil), fault.KindInvalid, "FORMAT_UNKNOWN", []string{"file mine.csv"}},
		"whose rows":      {raw, good(func(h *deliveryv1.ImportHeader) { h.Person = "" }), fault.KindInvalid, "PERSON_MISSING", []string{"file mine.csv"}},
		"nobody's rows":   {raw, good(func(h *deliveryv1.ImportHeader) { h.Person = "4711" }), fault.KindInvalid, "PERSON_MISSING", []string{"file mine.csv"}},
		"no day":          {raw, good(func(h *deliveryv1.ImportHeader) { h.Days = &marketv1.Days{First: "April"} }), fault.KindInvalid, "", []string{"days"}},
		"no source":       {raw, good(func(h *deliveryv1.ImportHeader) { h.SourceId = id.Random().String() }), fault.KindNotFound, "SOURCE_UNKNOWN", nil},
		"another's":       {raw, good(func(h *deliveryv1.ImportHeader) { h.SourceId = stranger.source }), fault.KindNotFound, "SOURCE_UNKNOWN", nil},
		"no source's id":  {raw, good(func(h *deliveryv1.ImportHeader) { h.SourceId = "mine" }), fault.KindInvalid, "", []string{"source_id"}},
		"for another":     {raw, good(func(h *deliveryv1.ImportHeader) { h.SubscriberId = stranger.id.String() }), fault.KindDenied, "NOT_OWNER", nil},
		"without a start": {raw, nil, fault.KindDenied, "NOT_OWNER", []string{"header"}},
	} {
		_, err := h.deliver(tc.raw, tc.header)
		err = grpcfault.From(err)
		text := ""
		if e, ok := errors.AsType[*fault.Error](err); ok {
			for _, fact := range e.Facts {
				text += fact.Name + " " + fact.Text + "; "
			}
		}
		if !errors.Is(err, tc.kind) || fault.ReasonOf(err) != tc.reason {
			t.Errorf("%s: %v (%s), want %s", what, err, fault.ReasonOf(err), tc.reason)
		}
		for _, fact := range tc.facts {
			if !strings.Contains(text, fact) {
				t.Errorf("%s is told with %q, without %q", what, text, fact)
			}
		}
		if strings.Contains(text+err.Error(), "13162") || strings.Contains(text+err.Error(), h.id.String()) {
			t.Errorf("%s tells what was measured, or of whom: %q, %v", what, text, err)
		}
	}
	points, err := h.data.ListPoints(ctx, &deliveryv1.ListPointsRequest{SubscriberId: h.id.String()})
	if err != nil || len(points.GetPoints()) != 0 {
		t.Errorf("%d points of files that were refused, %v", len(points.GetPoints()), err)
	}
	for _, e := range f.told() {
		if e.GetDataImported() != nil || e.GetFactsDerived() != nil {
			t.Errorf("the log was told %v", e)
		}
	}

	// After all that the file is as welcome as ever, whatever bytes stand around it, and comes back page by page.
	done, err := h.send(slices.Concat([]byte("\xef\xbb\xbf"), bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))), good(nil))
	f.must(err)
	var want uint32
	for _, a := range done.GetArrivals() {
		want += a.GetPoints()
	}
	sources, err := h.data.ListSources(ctx, &deliveryv1.ListSourcesRequest{SubscriberId: h.id.String(), After: done.GetCursor()})
	f.must(err)
	if s := sources.GetSources(); len(s) != 1 || len(s[0].GetArrivals()) != len(done.GetArrivals()) || !proto.Equal(s[0].GetArrivals()[0], done.GetArrivals()[0]) {
		t.Errorf("the sources are %v, the import came to %v", s, done)
	}
	got := map[string]bool{}
	for token := ""; ; {
		page, err := h.data.ListPoints(ctx, &deliveryv1.ListPointsRequest{SubscriberId: h.id.String(), PageSize: 7, PageToken: token})
		f.must(err)
		for _, p := range page.GetPoints() {
			if got[string(p)] {
				t.Fatal("a point comes twice")
			}
			got[string(p)] = true
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if want == 0 || len(got) != int(want) {
		t.Errorf("%d points of %d come back", len(got), want)
	}
}

// deliver is send, without a header where there is none.
func (h *holder) deliver(raw []byte, header *deliveryv1.ImportHeader) (*deliveryv1.ImportResponse, error) {
	h.m.t.Helper()
	if header != nil {
		return h.send(raw, header)
	}
	stream, err := h.data.Import(h.m.t.Context())
	h.m.must(err)
	_ = stream.Send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Chunk{Chunk: raw[:100]}}) // the answer tells
	return stream.CloseAndRecv()
}

// TestSlowImportsHoldUpNobody: more files that never end than the service has connections to its database, and it answers.
func TestSlowImportsHoldUpNobody(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	h, other := f.holder(), f.holder()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	for range 24 {
		stream, err := h.data.Import(ctx)
		f.must(err)
		f.must(stream.Send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Header{Header: &deliveryv1.ImportHeader{
			SubscriberId: h.id.String(), SourceId: h.source, FileName: "endless.csv", Zone: "America/New_York", Person: "1",
		}}}))
	}
	for range 24 { // the files have begun while these are answered
		within, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := other.data.ListPoints(within, &deliveryv1.ListPointsRequest{SubscriberId: other.id.String()})
		cancel()
		f.must(err)
	}
}
