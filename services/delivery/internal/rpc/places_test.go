package rpc_test

import (
	"os"
	"strings"
	"testing"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/source"
)

// TestAPersonsPlacesAndHours: calls, messages, stays and data use of the extracts, by cell and by hour. What is expected was counted in the
// files by other means (awk).
func TestAPersonsPlacesAndHours(t *testing.T) {
	t.Parallel()
	d := begin(t, 1)
	var err error
	d.Catalog, err = catalog.Open("")
	d.must(err)
	d.Antennas, err = source.OpenAntennas("../../../../testdata/bandicoot/antennas.csv")
	d.must(err)
	operator := boot.WithCaller(t.Context(), boot.Caller{Role: eventv1.Role_ROLE_OPERATOR})
	who, nobody := id.Random(), id.Random()
	for importer, file := range map[string]string{source.Bandicoot: "bandicoot/ego.csv", source.Mobility: "mobile/visits.csv", source.Usage: "mobile/usage.csv"} {
		b, err := os.ReadFile("../../../../testdata/" + file)
		d.must(err)
		done := d.feeds(operator, who, importer, b)
		if again := d.feeds(operator, who, importer, b); again.GetImportId() != done.GetImportId() {
			t.Errorf("%s again is another import: %v", file, again)
		}
		rows := strings.TrimSuffix(string(b), "\n")
		n := strings.Count(rows, "\n") // all but the header
		if part := d.feeds(operator, who, importer, []byte(rows[:strings.LastIndexByte(rows, '\n')+1])); len(part.GetArrivals()) != 0 || int(part.GetRepeatedPoints()) != n-1 {
			t.Errorf("%s without its last row: %v", file, part)
		}
	}
	d.caught()

	ask := &deliveryv1.GetPlacesRequest{SubscriberId: who.String(), First: "2014-03-01", Last: "2014-12-31"}
	got, err := d.GetPlaces(t.Context(), ask)
	d.must(err)
	if got.GetCalls() != 75 || got.GetTalked() != 266_797 || got.GetMessages() != 239 || got.GetData() != 8_744_870 || got.GetCorrespondents() != 7 ||
		got.GetNowhere() != 0 || got.GetMore() != 0 {
		t.Errorf("%d calls of %d s, %d messages, %d data, %d others, %d nowhere", got.GetCalls(), got.GetTalked(), got.GetMessages(), got.GetData(), got.GetCorrespondents(), got.GetNowhere())
	}
	var sum deliveryv1.Place
	before := ^uint32(0)
	for _, p := range got.GetPlaces() {
		if p.GetPoints() > before || p.GetPoints() != p.GetCalls()+p.GetMessages()+p.GetVisits()+uint32(sessions(t, p.GetCell())) {
			t.Errorf("out of order, or not the sum of its parts: %v", p)
		}
		before = p.GetPoints()
		sum.Calls += p.GetCalls()
		sum.Messages += p.GetMessages()
		sum.Visits += p.GetVisits()
		sum.Stayed += p.GetStayed()
		sum.Data += p.GetData()
		if p.GetSpot() == nil || p.GetSpan().GetFirst() > p.GetSpan().GetLast() || p.GetDays() == 0 {
			t.Errorf("%v", p)
		}
	}
	if sum.GetCalls() != 75 || sum.GetMessages() != 239 || sum.GetVisits() != 210 || sum.GetStayed() != 1_529_477 || sum.GetData() != got.GetData() {
		t.Errorf("together: %v", &sum)
	}
	if first := got.GetPlaces()[0]; first.GetCell() != "1" || first.GetSpot().GetLatitude() != 42_366_944 || first.GetSpot().GetLongitude() != -71_083_611 {
		t.Errorf("the place of most: %v", first)
	}

	// Days are a bound, and a cell that the table does not name has no place.
	d.Antennas = nil
	day, err := d.GetPlaces(t.Context(), &deliveryv1.GetPlacesRequest{SubscriberId: who.String(), First: "2014-03-02", Last: "2014-03-02"})
	d.must(err)
	if day.GetMessages() >= got.GetMessages() || day.GetMessages() == 0 || day.GetPlaces()[0].GetSpot() != nil {
		t.Errorf("one day: %v", day)
	}
	if none, err := d.GetPlaces(t.Context(), &deliveryv1.GetPlacesRequest{SubscriberId: nobody.String(), First: "2014-03-01", Last: "2014-12-31"}); err != nil || len(none.GetPlaces()) != 0 {
		t.Errorf("of somebody else: %v, %v", none, err)
	}

	hours := func(s point.Schema, want *deliveryv1.GetHoursResponse) {
		t.Helper()
		r, err := d.GetHours(t.Context(), &deliveryv1.GetHoursRequest{SubscriberId: who.String(), Schema: s.String(), First: ask.GetFirst(), Last: ask.GetLast()})
		d.must(err)
		var total int64
		var points, last uint32
		for _, h := range r.GetHours() {
			total += h.GetSum()
			points += h.GetPoints()
			if at := h.GetWeekday()*24 + h.GetHour(); at <= last || h.GetWeekday() > 7 || h.GetHour() > 23 || h.GetPoints() == 0 {
				t.Errorf("%v", h)
			} else {
				last = at
			}
		}
		if total != want.GetHours()[0].GetSum() || points != want.GetPoints() || r.GetPoints() != points || r.GetUnit() != want.GetUnit() || !r.GetAddsUp() || r.GetOverlapped() != 0 {
			t.Errorf("%s: %d points, %d in all, %v", s, points, total, r.GetUnit())
		}
	}
	of := func(points uint32, sum int64, unit string) *deliveryv1.GetHoursResponse {
		return &deliveryv1.GetHoursResponse{Points: points, Unit: unit, Hours: []*deliveryv1.Hour{{Sum: sum}}}
	}
	hours(point.PhoneCall, of(75, 266_797_000, "sec"))
	hours(point.TextMessage, of(239, 239_000, ""))
	hours(point.DataUse, of(377, 8_744_870, "MiB"))
	// 2014-03-02 was a Sunday: 7:13, 7:53.
	r, err := d.GetHours(t.Context(), &deliveryv1.GetHoursRequest{SubscriberId: who.String(), Schema: point.TextMessage.String(), First: "2014-03-02", Last: "2014-03-02"})
	d.must(err)
	if h := r.GetHours()[0]; h.GetWeekday() != 7 || h.GetHour() != 7 || h.GetPoints() != 2 || r.GetDays() != 1 {
		t.Errorf("%v", r)
	}

	// Nobody else's: no product reads any of it.
	facts, err := d.GetFacts(t.Context(), &deliveryv1.GetFactsRequest{SubscriberId: who.String()})
	d.must(err)
	summary, err := d.GetSummary(t.Context(), &deliveryv1.GetSummaryRequest{SubscriberId: who.String()})
	d.must(err)
	if len(facts.GetFacts())+len(facts.GetStock())+len(summary.GetStock()) != 0 || len(summary.GetCategories()) != 4 {
		t.Errorf("%v, %v", facts, summary)
	}
	for _, c := range summary.GetCategories() {
		if len(c.GetProducts()) != 0 {
			t.Errorf("%s is in %v", c.GetSchema(), c.GetProducts())
		}
	}
	for _, p := range d.Catalog.Products() {
		preview := &deliveryv1.PreviewPackageRequest{
			SubscriberId: who.String(), BuyerId: d.buyer.String(), Product: &marketv1.ProductRef{Id: p.ID, Version: p.Version}, MaxSlots: 400,
			Slots: &marketv1.Days{First: "2014-01-01", Last: "2014-12-31"}, MinAssurance: marketv1.Assurance_ASSURANCE_OWN_FILE,
			Fields: []*marketv1.GrantedField{{Id: p.Fields[0].ID, Rung: p.Fields[0].Rungs[0].ID}},
		}
		if rows, err := d.PreviewPackage(t.Context(), preview); err != nil || rows.GetRowCount() != 0 || rows.GetExpectedSlots() != 0 {
			t.Errorf("%s: %v, %v", p.ID, rows, err)
		}
	}

	// What is no question has an answer that names the field.
	for field, ask := range map[string]*deliveryv1.GetHoursRequest{
		"subscriber_id": {Schema: point.PhoneCall.String(), First: ask.GetFirst(), Last: ask.GetLast()},
		"schema":        {SubscriberId: who.String(), Schema: point.TotalSleepTime.String()},
		"measure":       {SubscriberId: who.String(), Schema: point.PhoneCall.String(), Measure: "steps"},
		"first":         {SubscriberId: who.String(), Schema: point.PhoneCall.String(), First: "2014-02-30", Last: "2014-03-01"},
		"last":          {SubscriberId: who.String(), Schema: point.PhoneCall.String(), First: "2014-03-01", Last: "2014-02-01"},
	} {
		if _, err := d.GetHours(t.Context(), ask); fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), field) {
			t.Errorf("%s: %v", field, err)
		}
	}
	if _, err := d.GetPlaces(t.Context(), &deliveryv1.GetPlacesRequest{SubscriberId: who.String(), First: "2014-03-01", Last: "2034-03-01"}); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("twenty years: %v", err)
	}
}

// sessions are the rows of data use in a cell.
func sessions(t *testing.T, cell string) (n int) {
	t.Helper()
	b, err := os.ReadFile("../../../../testdata/mobile/usage.csv")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if strings.HasSuffix(strings.TrimSpace(line), ","+cell) {
			n++
		}
	}
	return n
}
