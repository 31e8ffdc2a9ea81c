package journey

import (
	"encoding/json"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

const (
	stepCount = "omh:step-count:3.0"
	firstDay  = "2016-04-12"
	lastDay   = "2016-05-12"
)

// TestWhatAPersonIsShown: a person sees their measurements, tries rules, sees the rows before they leave and they are the very ones that do,
// follows what happens live, finds the same sums everywhere and the event behind each, and leaves.
func TestWhatAPersonIsShown(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	f.opens(100_00)
	who := participants(t, "dailyActivity_merged.csv")
	people := make([]*holder, 5)
	for i := range people {
		people[i] = f.holder()
		_, err := people[i].bring("dailyActivity_merged.csv", who[i], nil)
		f.must(err)
	}
	me := people[0]
	me.measured()

	bid := f.place(f.bid(25, 5), "one")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	me.triesRules()
	preview, err := me.data.PreviewPackage(t.Context(), &deliveryv1.PreviewPackageRequest{
		SubscriberId: me.id.String(), BuyerId: f.buyer.String(), Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, MaxSlots: 5,
		Fields: []*marketv1.GrantedField{{Id: "date", Rung: "exact"}, {Id: "steps", Rung: "hundred"}}, Slots: &marketv1.Days{First: firstDay, Last: lastDay},
	})
	f.must(err)
	if preview.GetRowCount() != 5 || len(preview.GetSlots()) != 5 || preview.GetTakenSlots() != 0 || !json.Valid(preview.GetJsonSchema()) {
		t.Fatalf("the preview is %v", preview)
	}

	live := me.follows()
	deals := make([]string, len(people))
	for i, p := range people {
		var fields []string
		if i == 0 {
			fields = []string{"date", "steps"}
		}
		deals[i], err = p.accept(bid, fields...)
		f.must(err)
	}
	given := live("consent_given")
	if given.GetAgreementId() != deals[0] || given.GetBuyerId() != f.buyer.String() || len(given.GetFields()) != 2 || given.GetBy() != recordv1.By_BY_PERSON {
		t.Errorf("told live of %v", given)
	}
	f.Eventually("five packages", func() bool { return len(f.waiting(bid, prepared)) == 5 })
	for _, d := range f.waiting(bid, prepared) {
		_, rows := f.open(d, f.fetch(d, 0), f.signed(d))
		if d.GetAgreementId() != deals[0] {
			continue
		}
		// Nothing but the pseudonym differs.
		var line struct {
			Person string `json:"person"`
		}
		f.must(json.Unmarshal([]byte(rows[:strings.IndexByte(rows, '\n')]), &line))
		if line.Person == preview.GetPerson() || len(line.Person) != len(preview.GetPerson()) ||
			strings.ReplaceAll(rows, line.Person, preview.GetPerson()) != string(preview.GetRows()) {
			t.Errorf("previewed was\n%s\nand there left\n%s", preview.GetRows(), rows)
		}
	}
	f.Eventually("the money", func() bool { return me.available() == 16 })
	me.adds(deals[0])
	me.remembers()
	f.operated()
	me.leaves()
}

// measured looks at a person's own measurements in every way, and they are the same.
func (h *holder) measured() {
	t, ctx, own := h.m.t, h.m.t.Context(), h.id.String()
	var want, points int64
	for token := ""; ; {
		r, err := h.data.ListPoints(ctx, &deliveryv1.ListPointsRequest{SubscriberId: own, Schema: stepCount, PageSize: 20, PageToken: token})
		h.m.must(err)
		for _, raw := range r.GetPoints() {
			var p struct {
				Body struct {
					Steps struct {
						Value int64 `json:"value"`
					} `json:"step_count"`
				} `json:"body"`
			}
			h.m.must(json.Unmarshal(raw, &p))
			want += p.Body.Steps.Value * 1000
			points++
		}
		if token = r.GetNextPageToken(); token == "" {
			break
		}
	}
	for _, buckets := range []uint32{0, 31, 5} {
		s, err := h.data.GetSeries(ctx, &deliveryv1.GetSeriesRequest{SubscriberId: own, Schema: stepCount, First: firstDay, Last: lastDay, Buckets: buckets})
		h.m.must(err)
		var sum, n int64
		for i, b := range s.GetBuckets() {
			sum, n = sum+b.GetSum(), n+int64(b.GetPoints())
			if b.GetLeast() > b.GetMean() || b.GetMean() > b.GetMost() || i > 0 && b.GetFrom() < s.GetBuckets()[i-1].GetFrom()+s.GetWidth() {
				t.Errorf("bucket %d is %v", i, b)
			}
		}
		if sum != want || n != points || int64(s.GetPoints()) != points || buckets > 0 && len(s.GetBuckets()) > int(buckets) || !s.GetAddsUp() || s.GetUnit() != "steps" {
			t.Errorf("in %d buckets %d points come to %d, all in all are %d with %d: %v", buckets, n, sum, points, want, s)
		}
	}
	sum, err := h.data.GetSummary(ctx, &deliveryv1.GetSummaryRequest{SubscriberId: own})
	h.m.must(err)
	at := slices.IndexFunc(sum.GetCategories(), func(c *deliveryv1.Category) bool { return c.GetSchema() == stepCount })
	if at < 0 || int64(sum.GetCategories()[at].GetPoints()) != points || len(sum.GetCategories()[at].GetShares()) != 1 ||
		sum.GetCategories()[at].GetShares()[0].GetSourceId() != h.source || !slices.Contains(sum.GetCategories()[at].GetProducts(), "daily-steps") || len(sum.GetStock()) == 0 {
		t.Errorf("the summary is %v", sum)
	}
	stream, err := h.data.ExportPoints(ctx, &deliveryv1.ExportPointsRequest{SubscriberId: own})
	h.m.must(err)
	var exported int64
	whole := false
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			break
		}
		h.m.must(err)
		for _, raw := range r.GetPoints() {
			if !json.Valid(raw) {
				t.Errorf("%s is no JSON", raw)
			}
		}
		if r.GetSchema() == stepCount {
			exported += int64(len(r.GetPoints()))
		}
		whole = r.GetLast()
	}
	if exported != points || !whole {
		t.Errorf("%d of %d were exported, whole: %v", exported, points, whole)
	}
	if _, err := h.data.GetSeries(ctx, &deliveryv1.GetSeriesRequest{SubscriberId: own, Schema: stepCount, Measure: "weight", First: firstDay, Last: lastDay}); err == nil {
		t.Error("steps have a weight")
	}
}

// triesRules sees what rules would do, and nothing of it is kept.
func (h *holder) triesRules() {
	t, ctx, own := h.m.t, h.m.t.Context(), h.id.String()
	now, err := h.offers.PreviewRules(ctx, &offersv1.PreviewRulesRequest{SubscriberId: own})
	h.m.must(err)
	if now.GetShown() != 1 || now.GetHidden() != 0 {
		t.Errorf("the rules that stand: %v", now)
	}
	tried, err := h.offers.PreviewRules(ctx, &offersv1.PreviewRulesRequest{SubscriberId: own, Rules: &consentv1.Rules{
		Floors:      []*consentv1.Floor{{Product: "daily-steps", Micros: 1_000_000, Currency: "EUR"}, {Product: "sleep-nights", Micros: 1, Currency: "EUR"}},
		BuyersNever: []string{h.m.buyer.String()},
	}})
	h.m.must(err)
	floor, other, never := tried.GetEffects()[0], tried.GetEffects()[1], tried.GetEffects()[3]
	if tried.GetShown() != 0 || tried.GetNewlyHidden() != 1 || floor.GetHides() != 1 || floor.GetAlone() != 0 || other.GetHides() != 0 ||
		never.GetKind() != offersv1.RuleKind_RULE_KIND_BUYER || never.GetHides() != 1 {
		t.Errorf("rules that are tried: %v", tried)
	}
	rules, err := h.consent.GetRules(ctx, &consentv1.GetRulesRequest{SubscriberId: own})
	h.m.must(err)
	if len(rules.GetRules().GetFloors()) != 0 {
		t.Error("rules that were tried are set")
	}
}

// follows listens to consent from behind what is listed; the function waits for an event of a type.
func (h *holder) follows() func(typ string) *recordv1.Entry {
	list, err := h.consent.ListRecord(h.m.t.Context(), &consentv1.ListRecordRequest{SubscriberId: h.id.String()})
	h.m.must(err)
	stream, err := h.consent.WatchRecord(h.m.t.Context(), &consentv1.WatchRecordRequest{SubscriberId: h.id.String(), WatchToken: list.GetWatchToken()})
	h.m.must(err)
	return func(typ string) *recordv1.Entry {
		h.m.t.Helper()
		for {
			r, err := stream.Recv()
			h.m.must(err)
			if r.GetEntry().GetType() == typ {
				return r.GetEntry()
			}
		}
	}
}

// adds finds the same sums everywhere, and the event behind one.
func (h *holder) adds(deal string) {
	t, ctx, own := h.m.t, h.m.t.Context(), h.id.String()
	total, err := h.money.GetEarnings(ctx, &settlementv1.GetEarningsRequest{SubscriberId: own})
	h.m.must(err)
	all := total.GetPending().GetMinor() + total.GetAvailable().GetMinor() + total.GetRequested().GetMinor() + total.GetPaid().GetMinor()
	for by, key := range map[settlementv1.EarningGroup]string{
		settlementv1.EarningGroup_EARNING_GROUP_BUYER: h.m.buyer.String(), settlementv1.EarningGroup_EARNING_GROUP_PRODUCT: "daily-steps",
		settlementv1.EarningGroup_EARNING_GROUP_AGREEMENT: deal, settlementv1.EarningGroup_EARNING_GROUP_MONTH: time.Now().UTC().Format("2006-01"),
	} {
		r, err := h.money.SumEarnings(ctx, &settlementv1.SumEarningsRequest{SubscriberId: own, By: by, After: total.GetCursor()})
		h.m.must(err)
		if len(r.GetSums()) != 1 || r.GetSums()[0].GetKey() != key || r.GetSums()[0].GetNet().GetMinor() != all || r.GetTotal().GetNet().GetMinor() != all {
			t.Errorf("by %v: %v, all in all %d", by, r, all)
		}
	}
	list, err := h.money.ListEarnings(ctx, &settlementv1.ListEarningsRequest{SubscriberId: own, AgreementId: deal, BuyerId: h.m.buyer.String(), ProductId: "daily-steps", Month: time.Now().UTC().Format("2006-01")})
	h.m.must(err)
	if len(list.GetEarnings()) != 1 {
		t.Fatalf("earned is %v", list)
	}
	e := list.GetEarnings()[0]
	none, err := h.money.ListEarnings(ctx, &settlementv1.ListEarningsRequest{SubscriberId: own, Month: "2001-01"})
	h.m.must(err)
	if len(none.GetEarnings()) != 0 {
		t.Errorf("earned long ago: %v", none)
	}
	behind, err := h.money.ListRecord(ctx, &settlementv1.ListRecordRequest{SubscriberId: own, Only: e.GetEvent(), After: e.GetEvent()})
	h.m.must(err)
	if len(behind.GetEntries()) != 1 || behind.GetEntries()[0].GetDeliveryId() != e.GetDeliveryId() || behind.GetEntries()[0].GetAmount().GetMinor() != e.GetNet().GetMinor() {
		t.Errorf("behind %v is %v", e, behind)
	}
	uses, err := h.data.ListUses(ctx, &deliveryv1.ListUsesRequest{SubscriberId: own, DeliveryId: e.GetDeliveryId()})
	h.m.must(err)
	if u := uses.GetUses(); len(u) != 1 || u[0].GetAgreementId() != deal || u[0].GetUnitPrice().GetMicros() != 40_000 || u[0].GetRetentionDays() != 365 {
		t.Errorf("used is %v", u)
	}
	buyers, err := h.offers.DescribeBuyers(ctx, &offersv1.DescribeBuyersRequest{BuyerIds: []string{own, h.m.buyer.String()}})
	h.m.must(err)
	if b := buyers.GetBuyers(); len(b) != 1 || b[0].GetLegalName() != "A sleep study" || b[0].GetState() != offersv1.BuyerState_BUYER_STATE_VETTED {
		t.Errorf("the buyer is %v", b)
	}
	prices, err := h.money.ComparePrices(ctx, &settlementv1.ComparePricesRequest{ProductIds: []string{"daily-steps"}})
	h.m.must(err)
	if p := prices.GetRanges(); len(p) != 1 || !p[0].GetTooFew() || p[0].GetMedian() != nil {
		t.Errorf("prices of one buyer are told: %v", p)
	}
}

// remembers finds the whole story in the four records.
func (h *holder) remembers() {
	ctx, own := h.m.t.Context(), h.id.String()
	records := map[string]func() ([]*recordv1.Entry, error){
		"subscriber_enrolled consent_given release_committed": func() ([]*recordv1.Entry, error) {
			r, err := h.consent.ListRecord(ctx, &consentv1.ListRecordRequest{SubscriberId: own})
			return r.GetEntries(), err
		},
		"offer_presented offer_accepted agreement_formed": func() ([]*recordv1.Entry, error) {
			r, err := h.offers.ListRecord(ctx, &offersv1.ListRecordRequest{SubscriberId: own})
			return r.GetEntries(), err
		},
		"source_connected data_imported facts_derived agreement_taken delivery_prepared receipt_signed delivery_released": func() ([]*recordv1.Entry, error) {
			r, err := h.data.ListRecord(ctx, &deliveryv1.ListRecordRequest{SubscriberId: own})
			return r.GetEntries(), err
		},
		"funds_earmarked delivery_settled": func() ([]*recordv1.Entry, error) {
			r, err := h.money.ListRecord(ctx, &settlementv1.ListRecordRequest{SubscriberId: own})
			return r.GetEntries(), err
		},
	}
	for types, list := range records {
		entries, err := list()
		h.m.must(err)
		for _, typ := range strings.Fields(types) {
			i := slices.IndexFunc(entries, func(e *recordv1.Entry) bool { return e.GetType() == typ })
			if i < 0 {
				h.m.t.Errorf("%s is not in the record", typ)
				continue
			}
			e := entries[i]
			if len(e.GetEventId()) != 16 || len(e.GetPlace().GetIncarnation()) != 16 || e.GetAt() == 0 || e.GetBy() == 0 || e.GetForgotten() {
				h.m.t.Errorf("an entry is %v", e)
			}
			switch {
			case typ == "data_imported" && len(e.GetReceived()) == 0, typ == "delivery_prepared" && len(e.GetSlotDays()) != 5,
				typ == "receipt_signed" && e.GetBy() != recordv1.By_BY_BUYER,
				// Who has it is told wherever a delivery is.
				e.GetDeliveryId() != "" && strings.HasPrefix(typ, "deliver") && e.GetBuyerId() != h.m.buyer.String():
				h.m.t.Errorf("an entry says %v", e)
			}
		}
	}
}

// operated looks at the services as staff do.
func (f *full) operated() {
	ctx := f.t.Context()
	f.Eventually("the book's tables to have all", func() bool {
		s, err := logv1.NewLogServiceClient(f.Dial(settlement.Name, "staff", eventv1.Role_ROLE_OPERATOR)).GetStatus(ctx, &logv1.GetStatusRequest{})
		f.must(err)
		readers := map[string]bool{}
		for _, r := range s.GetReaders() {
			readers[r.GetName()] = true
			if r.GetTopic() == "" && r.GetBehind() != 0 {
				return false
			}
		}
		for _, p := range s.GetPartitions() {
			if p.GetPublish() != logv1.PublishState_PUBLISH_STATE_PUBLISHING || p.GetPublished() != p.GetTail() {
				return false
			}
		}
		if s.GetService() != settlement.Name || !s.GetReady() || !readers["ledger"] || !readers["record"] || len(s.GetReaders()) < 5 || len(s.GetParts()) < 2 || len(s.GetParked()) != 0 {
			f.t.Errorf("settlement stands so: %v", s)
		}
		return true
	})
	counts, err := deliveryv1.NewDeliveryServiceClient(f.Dial(delivery.Name, "staff", eventv1.Role_ROLE_OPERATOR)).CountDeliveries(ctx, &deliveryv1.CountDeliveriesRequest{})
	f.must(err)
	if c := counts.GetCounts(); len(c) != 1 || c[0].GetState() != deliveryv1.DeliveryState_DELIVERY_STATE_RELEASED || c[0].GetDeliveries() != 5 {
		f.t.Errorf("deliveries are counted so: %v", c)
	}
	for state, want := range map[offersv1.BuyerState]int{offersv1.BuyerState_BUYER_STATE_VETTED: 1, offersv1.BuyerState_BUYER_STATE_REGISTERED: 0} {
		list, err := offersv1.NewOffersServiceClient(f.Dial(offers.Name, "staff", eventv1.Role_ROLE_OPERATOR)).ListBuyers(ctx, &offersv1.ListBuyersRequest{State: state})
		f.must(err)
		if len(list.GetBuyers()) != want {
			f.t.Errorf("%v: %v", state, list)
		}
	}
}

// leaves closes the account, and nothing paid is offered any more.
func (h *holder) leaves() {
	t, ctx, own := h.m.t, h.m.t.Context(), h.id.String()
	if _, err := h.consent.CloseAccount(ctx, &consentv1.CloseAccountRequest{SubscriberId: own, IdempotencyKey: "slip"}); err == nil {
		t.Error("an account is closed by a slip")
	}
	closed, err := h.consent.CloseAccount(ctx, &consentv1.CloseAccountRequest{SubscriberId: own, Confirmed: true, IdempotencyKey: "bye"})
	h.m.must(err)
	if closed.GetEnded() != 1 || len(closed.GetKept()) != 2 || closed.GetKept()[0].GetSource() == "" || closed.GetEffectiveAt() == 0 || closed.GetPolicy().GetPack() != "BE" {
		t.Errorf("closing came to %v", closed)
	}
	a, err := h.consent.GetAccount(ctx, &consentv1.GetAccountRequest{SubscriberId: own, After: closed.GetCursor()})
	h.m.must(err)
	if a := a.GetAccount(); a.GetClosedAt() != closed.GetEffectiveAt() || a.GetNotEligible() != consentv1.Reason_REASON_ACCOUNT_CLOSED || a.GetAgreements() != 0 || a.GetAuthorityUri() == "" {
		t.Errorf("the account is %v", a)
	}
	if r := h.list(); len(r.GetOffers()) != 0 || r.GetNotEligible() != offersv1.Reason_REASON_NOT_ELIGIBLE {
		t.Errorf("who has left is offered %v", r)
	}
	_, err = h.consent.Enrol(ctx, &consentv1.EnrolRequest{SubscriberId: own, Country: "BE", Language: "fr", BirthDate: "1990-02-03", IdempotencyKey: "again"})
	if reason(err) != "ACCOUNT_CLOSED" {
		t.Errorf("enrolling again: %v", err)
	}
	for what, err := range map[string]error{
		"rules":      second(h.consent.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: own, Rules: &consentv1.Rules{}, IdempotencyKey: "late"})),
		"a file":     second(h.bring("dailyActivity_merged.csv", participants(t, "dailyActivity_merged.csv")[0], nil)),
		"reconnects": second(h.data.ReconnectSource(ctx, &deliveryv1.ReconnectSourceRequest{SubscriberId: own, SourceId: h.source, IdempotencyKey: "late"})),
		"connects": second(h.data.ConnectSource(ctx, &deliveryv1.ConnectSourceRequest{
			SubscriberId: own, Importer: "fitabase-csv", Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "late",
		})),
	} {
		if reason(err) != "ACCOUNT_CLOSED" {
			t.Errorf("%s of who has left: %v", what, err)
		}
	}
	// What was earned stays theirs. It is not available yet, and that alone stands against paying it.
	had, err := h.money.GetEarnings(ctx, &settlementv1.GetEarningsRequest{SubscriberId: own})
	h.m.must(err)
	_, err = h.money.RequestPayout(ctx, &settlementv1.RequestPayoutRequest{
		SubscriberId: own, Method: settlementv1.PayoutMethod_PAYOUT_METHOD_BILL_CREDIT, IdempotencyKey: "last",
	})
	if had.GetPending().GetMinor() == 0 || reason(err) != "INSUFFICIENT_EARNINGS" {
		t.Errorf("who has left has %v, and is told %v", had, err)
	}
	list, err := h.consent.ListConsents(ctx, &consentv1.ListConsentsRequest{SubscriberId: own, After: closed.GetCursor()})
	h.m.must(err)
	c := list.GetConsents()[0]
	ended, err := h.consent.ListRecord(ctx, &consentv1.ListRecordRequest{SubscriberId: own, Only: c.GetEnded(), After: c.GetEnded()})
	h.m.must(err)
	if e := ended.GetEntries(); c.GetState() != consentv1.ConsentState_CONSENT_STATE_WITHDRAWN || len(e) != 1 || e[0].GetType() != "consent_withdrawn" || !e[0].GetAll() || len(e[0].GetScope()) != 1 {
		t.Errorf("%v ended by %v", c, e)
	}
}
