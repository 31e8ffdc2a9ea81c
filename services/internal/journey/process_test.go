package journey

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	kafkago "github.com/segmentio/kafka-go"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/ledger"
	"github.com/obole-market/obole/pkg/node"
	"github.com/obole-market/obole/pkg/record"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

// accepts is the person's accept, tried again while a service is away.
func (f *fleet) accepts(p *holder, bid string, fields ...string) (deal string) {
	f.t.Helper()
	f.Eventually("an acceptance", func() bool {
		ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
		defer cancel()
		l, err := p.offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: p.id.String()})
		if err != nil {
			return passing(f.t, err)
		}
		for _, o := range l.GetOffers() {
			card := new(offersv1.Card)
			f.must(proto.Unmarshal(o.GetCard(), card))
			if card.GetBidId() != bid {
				continue
			}
			if deal = o.GetAgreementId(); deal != "" {
				return true // an answer was lost
			}
			r, err := p.offers.AcceptOffer(ctx, &offersv1.AcceptOfferRequest{
				SubscriberId: p.id.String(), OfferId: o.GetOfferId(), BidId: bid, CardSha256: o.GetCardSha256(), Fields: fields, ExplicitStep: true,
				IdempotencyKey: "a" + bid,
			})
			if err != nil {
				return passing(f.t, err)
			}
			deal = r.GetAgreementId()
			return true
		}
		return false
	})
	return deal
}

// passing tells errors of a service that is away from others, which fail the test.
func passing(t testing.TB, err error) bool {
	t.Helper()
	switch status.Code(err) {
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return false
	}
	t.Fatal(err)
	return false
}

// receives signs for a package until its key comes, however often services are killed meanwhile.
func (f *fleet) receives(d *deliveryv1.Delivery) (key *deliveryv1.SignReceiptResponse) {
	f.t.Helper()
	f.Eventually("a key", func() bool {
		ctx, cancel := context.WithTimeout(f.t.Context(), 5*time.Second)
		defer cancel()
		var err error
		if key, err = f.packages.SignReceipt(ctx, f.receipt(d)); err != nil {
			return passing(f.t, err)
		}
		return true
	})
	return key
}

// rows reads every row of a service's tables, in an order of their own.
func (f *fleet) rows(service, schema string) map[string][]string {
	f.t.Helper()
	ctx := f.t.Context()
	conn, err := pgx.Connect(ctx, f.configs[service].Database.URL)
	f.must(err)
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	names, err := conn.Query(ctx, `select table_name from information_schema.tables where table_schema = $1`, schema)
	f.must(err)
	tables, err := pgx.CollectRows(names, pgx.RowTo[string])
	f.must(err)
	out := map[string][]string{}
	for _, table := range tables {
		list, err := conn.Query(ctx, `select t::text from `+pgx.Identifier{schema, table}.Sanitize()+` t order by 1`)
		f.must(err)
		out[table], err = pgx.CollectRows(list, pgx.RowTo[string])
		f.must(err)
	}
	return out
}

// replayed folds the settlement stream as finance does.
func (f *fleet) replayed() *ledger.Ledger {
	f.t.Helper()
	stream, err := f.finance.ReplayEvents(f.t.Context(), &settlementv1.ReplayEventsRequest{})
	f.must(err)
	var l *ledger.Ledger
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return l
		}
		f.must(err)
		part := es.Partition(m.GetCursor().GetPartition())
		if l == nil {
			lives := make([][]es.Life, worldtest.Partitions)
			lives[part] = node.Lived(m.GetLives())
			l = ledger.New(lives)
		}
		for _, e := range m.GetEvents() {
			f.must(l.Apply(node.Record(part, e)))
		}
	}
}

// TestFourProcesses tells the story with four real processes over a Kafka and PostgreSQL of their own, and breaks it where it
// hurts: each service is killed in the middle, the tables are built anew, the topics are emptied, consent is out of reach, and a
// person withdraws while everything but consent and its database is down.
func TestFourProcesses(t *testing.T) {
	t.Parallel()
	f := launch(t)
	ctx := t.Context()
	f.opens(1000_00)
	who := participants(t, "dailyActivity_merged.csv")
	people := make([]*holder, 6)
	for i := range people {
		people[i] = f.holder()
		_, err := people[i].bring("dailyActivity_merged.csv", who[i], nil)
		f.must(err)
	}

	// Every service is killed in the middle of the story, and the story ends right.
	bid := f.place(f.bid(30, 5), "one")
	f.again(settlement.Name)
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	shy := f.above(who[len(people)])
	f.insurer()
	deals := map[string]*holder{}
	for i, p := range people {
		var fields []string
		switch i {
		case 0:
			fields = []string{"date", "steps"} // without the optional energy
		case 1:
			f.again(offers.Name)
		case 3:
			f.again(consent.Name)
		case 4:
			f.again(delivery.Name)
		}
		deals[f.accepts(p, bid, fields...)] = p
	}
	f.Eventually("six packages", func() bool { return len(f.listed(bid, prepared)) == 6 })
	for i, d := range f.listed(bid, prepared) {
		sealed := f.fetch(d, 0)
		switch i {
		case 0:
			f.again(consent.Name)
		case 1:
			f.again(offers.Name)
		case 2:
			f.again(delivery.Name)
		case 3:
			f.again(settlement.Name)
		}
		m, rows := f.open(d, sealed, f.receives(d))
		if m.Rows != 5 || !strings.Contains(rows, `"steps":`) {
			t.Errorf("a package of %d rows:\n%s", m.Rows, rows)
		}
		if whole := deals[d.GetAgreementId()] != people[0]; whole != strings.Contains(rows, `"energy":`) {
			t.Errorf("energy was granted: %v; the rows say\n%s", whole, rows)
		}
	}
	earned := []int64{16, 20, 20, 20, 20, 20}
	for i, p := range people {
		f.Eventually(fmt.Sprintf("%d cents for person %d", earned[i], i), func() bool { return p.earned() == earned[i] })
	}

	f.rebuilt()
	f.refilled()

	// Consent cannot be reached: no key leaves, and it does when it can.
	second := f.place(f.bid(30, 5), "two")
	f.comesTo(second, offersv1.BidState_BID_STATE_OPEN)
	taken := map[string]*holder{}
	for _, p := range people {
		taken[f.accepts(p, second)] = p
	}
	f.Eventually("six more packages", func() bool { return len(f.listed(second, prepared)) == 6 })
	waiting := f.listed(second, prepared)
	f.receives(waiting[0]) // the cohort is confirmed with the first
	f.kill(consent.Name)
	if _, err := f.packages.SignReceipt(ctx, f.receipt(waiting[1])); reason(err) != "CONSENT_UNREACHABLE" {
		t.Errorf("a receipt while consent is away: %v", err)
	}
	f.start(consent.Name)
	f.receives(waiting[1])

	f.withdrawnInTheDark(waiting[2], taken[waiting[2].GetAgreementId()])

	// The others go on; one package waits for the end.
	last := waiting[5]
	for _, d := range waiting[3:5] {
		f.receives(d)
	}
	silent, late := taken[waiting[2].GetAgreementId()], taken[last.GetAgreementId()]
	for i, p := range people {
		want := earned[i]
		if p != silent && p != late {
			want += 20
		}
		f.Eventually(fmt.Sprintf("%d cents in all", want), func() bool { return p.earned() == want })
	}
	if shy.earned() != 0 || len(shy.consents()) != 0 {
		t.Errorf("whose floor is above the price has %d cents and %v", shy.earned(), shy.consents())
	}

	// Finance replays twice, and comes to what the book says.
	first, again := f.replayed(), f.replayed()
	if !slices.Equal(first.Accounts(), again.Accounts()) {
		t.Error("two replays name other accounts")
	}
	for _, a := range first.Accounts() {
		if first.Balance(a) != again.Balance(a) {
			t.Errorf("account %v: %v, and %v when replayed again", a, first.Balance(a), again.Balance(a))
		}
	}
	trial, err := f.finance.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{})
	f.must(err)
	sums, total := first.Sums()
	if total != 0 || trial.GetTotal().GetMinor() != 0 || len(sums) != len(trial.GetSums()) {
		t.Errorf("the books come to %d in %d kinds, and the service says %v", total, len(sums), trial)
	}
	for i, s := range trial.GetSums() {
		if own := sums[i]; s.GetKind() != own.Kind || s.GetAccounts() != own.Accounts || s.GetBalance().GetMinor() != own.Minor || !bytes.Equal(s.GetAccountsSha256(), own.Digest[:]) {
			t.Errorf("the events come to %+v, the service says %v", own, s)
		}
	}
	for _, s := range worldtest.Services {
		f.once(s, "fsck")
	}
	f.suspendedInTheDark(last, late)
}

// above is a person with the participant's measurements, who wants more than the bid pays and is shown nothing.
func (f *fleet) above(participant string) *holder {
	f.t.Helper()
	ctx := f.t.Context()
	p := f.holder()
	_, err := p.bring(activity, participant, nil)
	f.must(err)
	f.Eventually("the offer", func() bool { return len(p.list().GetOffers()) == 1 })
	set := func(key string, rules *consentv1.Rules) {
		_, err := p.consent.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: p.id.String(), Rules: rules, IdempotencyKey: key})
		f.must(err)
	}
	set("never", &consentv1.Rules{PurposesNever: []string{"https://w3id.org/dpv#AcademicResearch"}})
	if l := p.list(); len(l.GetOffers()) != 0 || l.GetHiddenByFloor() != 0 || l.GetHiddenByRules() != 1 {
		f.t.Errorf("who does not want the purpose is shown %v", l)
	}
	set("floor", &consentv1.Rules{Floors: []*consentv1.Floor{{Product: "daily-steps", Micros: 40_001, Currency: "EUR"}}})
	if l := p.list(); len(l.GetOffers()) != 0 || l.GetHiddenByFloor() != 1 {
		f.t.Errorf("whose floor is above the price is shown %v", l)
	}
	return p
}

// insurer: a bid for a purpose that the product may not be used for is refused, whoever would accept, and nothing of it is kept or held.
func (f *fleet) insurer() {
	f.t.Helper()
	ctx := f.t.Context()
	before, err := f.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: f.buyer.String()})
	f.must(err)
	n := f.bid(30, 5)
	n.Terms.Purpose = "https://w3id.org/dpv#InsurancePricing"
	if _, err := f.bids.PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: n, IdempotencyKey: "insurer"}); reason(err) != "PURPOSE_NOT_ALLOWED" {
		f.t.Errorf("an insurer bids: %v", err)
	}
	for _, e := range f.decided() {
		if b := e.GetBidPlaced(); b.GetTerms().GetPurpose() == n.GetTerms().GetPurpose() {
			f.t.Errorf("what was refused is in the log: %v", b)
		}
	}
	after, err := f.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: f.buyer.String()})
	f.must(err)
	if len(after.GetHolds()) != 1 || after.GetHeld().GetMinor() != before.GetHeld().GetMinor() || after.GetAvailable().GetMinor() != before.GetAvailable().GetMinor() {
		f.t.Errorf("a refused bid moved money: %v, then %v", before, after)
	}
}

// listed is waiting, tried again while delivery is away.
func (f *fleet) listed(bid string, state deliveryv1.DeliveryState) []*deliveryv1.Delivery {
	f.t.Helper()
	r, err := f.packages.ListDeliveries(f.t.Context(), &deliveryv1.ListDeliveriesRequest{BuyerId: f.buyer.String(), BidId: bid, State: state})
	if err != nil {
		passing(f.t, err)
		return nil
	}
	return r.GetDeliveries()
}

// earned is what a person has, pending or available; below zero while settlement is away.
func (p *person) earned() int64 {
	p.m.t.Helper()
	r, err := p.money.GetEarnings(p.m.t.Context(), &settlementv1.GetEarningsRequest{SubscriberId: p.id.String()})
	if err != nil {
		passing(p.m.t, err)
		return -1
	}
	return r.GetPending().GetMinor() + r.GetAvailable().GetMinor()
}

// rebuilt drops every table of every service and folds it anew: row for row the same.
func (f *fleet) rebuilt() {
	f.t.Helper()
	for service, schema := range map[string]string{offers.Name: "market", consent.Name: "people", delivery.Name: "shelves", settlement.Name: "ledger"} {
		f.quiet(service)
		before, told := f.rows(service, schema), f.rows(service, record.Name)
		f.emptied(service, schema)
		f.emptied(service, record.Name)
		f.once(service, "rebuild")
		after := f.rows(service, schema)
		if again := f.rows(service, record.Name); len(told["entry"]) == 0 || !slices.Equal(told["entry"], again["entry"]) || !slices.Equal(told["owner"], again["owner"]) {
			f.t.Errorf("%s: the record was built anew as something else", service)
		}
		for table, rows := range before {
			if table != "checkpoint" && !slices.Equal(rows, after[table]) {
				f.t.Errorf("%s: table %s was built anew as something else: %d rows, then %d", service, table, len(rows), len(after[table]))
			}
		}
		if len(before) == 0 {
			f.t.Errorf("%s has no tables in %s", service, schema)
		}
	}
}

// emptied takes every row out of a service's tables but where they are.
func (f *fleet) emptied(service, schema string) {
	f.t.Helper()
	ctx := f.t.Context()
	conn, err := pgx.Connect(ctx, f.configs[service].Database.URL)
	f.must(err)
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	names, err := conn.Query(ctx, `select tablename from pg_tables where schemaname = $1 and tablename <> 'checkpoint'`, schema)
	f.must(err)
	tables, err := pgx.CollectRows(names, pgx.RowTo[string])
	f.must(err)
	for _, table := range tables {
		_, err := conn.Exec(ctx, `truncate `+pgx.Identifier{schema, table}.Sanitize())
		f.must(err)
	}
}

// quiet waits until a service's log and tables stand still.
func (f *fleet) quiet(service string) {
	f.t.Helper()
	ctx := f.t.Context()
	conn, err := pgx.Connect(ctx, f.configs[service].Database.URL)
	f.must(err)
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	var last int64
	still := 0
	f.Eventually(service+" to stand still", func() bool {
		var n int64
		f.must(conn.QueryRow(ctx, `select count(*) from event`).Scan(&n))
		if n != last {
			last, still = n, 0
		}
		still++
		return still > 50
	})
}

// refilled empties every topic by deleting it under the running relays, and waits until each is filled again from its log.
func (f *fleet) refilled() {
	f.t.Helper()
	ctx := f.t.Context()
	client := bus.NewClient(f.Brokers, nil)
	before := map[string]int64{}
	topics := make([]string, 0, len(worldtest.Services))
	for _, s := range worldtest.Services {
		topic := node.Topic(f.Prefix, s)
		topics = append(topics, topic)
		for p := range worldtest.Partitions {
			before[fmt.Sprint(s, p)] = f.tail(s, p)
		}
	}
	r, err := client.DeleteTopics(ctx, &kafkago.DeleteTopicsRequest{Topics: topics})
	f.must(err)
	for topic, err := range r.Errors {
		if err != nil {
			f.t.Fatal(topic, err)
		}
	}
	f.Eventually("the topics to be made anew", func() bool {
		for _, topic := range topics {
			if err := bus.Ensure(ctx, client, bus.Topic{Name: topic, Partitions: worldtest.Partitions}); err != nil {
				return false
			}
		}
		return true
	})
	for _, s := range worldtest.Services {
		for p := range worldtest.Partitions {
			f.Eventually(fmt.Sprintf("topic of %s, partition %d, to be full again", s, p), func() bool {
				on, err := bus.Positions(ctx, client, node.Topic(f.Prefix, s), es.Partition(p))
				first := slices.Index(on, 1) // before it stands what was on its way when the topic was deleted
				if err != nil || before[fmt.Sprint(s, p)] > 0 && first < 0 {
					return false
				}
				var newest es.Position
				for _, at := range on[max(first, 0):] {
					if at != newest+1 {
						f.t.Fatalf("topic of %s, partition %d: position %d follows %d", s, p, at, newest)
					}
					newest = at
				}
				return int64(newest) >= before[fmt.Sprint(s, p)]
			})
		}
	}
}

// tail is the last position of a partition of a service's log.
func (f *fleet) tail(service string, partition int) (n int64) {
	f.t.Helper()
	ctx := f.t.Context()
	conn, err := pgx.Connect(ctx, f.configs[service].Database.URL)
	f.must(err)
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	f.must(conn.QueryRow(ctx, `select coalesce(max(position), 0) from event where partition = $1`, partition).Scan(&n))
	return n
}

// withdrawnInTheDark: with Kafka and the three other services down a person withdraws. It is taken and obeyed at once, and by
// everybody when they are back.
func (f *fleet) withdrawnInTheDark(d *deliveryv1.Delivery, p *holder) {
	f.t.Helper()
	ctx := f.t.Context()
	for _, s := range []string{offers.Name, delivery.Name, settlement.Name} {
		f.kill(s)
	}
	f.kafka.Kill()
	w, err := p.consent.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: p.id.String(), AgreementId: d.GetAgreementId(), IdempotencyKey: "dark"})
	if err != nil || w.GetEnded() != 1 {
		f.t.Fatalf("withdrawn in the dark: %v, %v", w, err)
	}
	if err := f.release(d, p); reason(err) != "WITHDRAWN" {
		f.t.Errorf("the gate after that: %v", err)
	}
	resuming, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	f.must(f.kafka.Resume(resuming))
	for _, s := range []string{offers.Name, delivery.Name, settlement.Name} {
		f.start(s)
	}
	f.Eventually("the withdrawal to reach delivery", func() bool {
		for _, got := range f.listed(d.GetBidId(), deliveryv1.DeliveryState_DELIVERY_STATE_BLOCKED) {
			if got.GetDeliveryId() == d.GetDeliveryId() {
				return got.GetBlocked() == deliveryv1.Reason_REASON_WITHDRAWN
			}
		}
		return false
	})
	if _, err := f.packages.SignReceipt(ctx, f.receipt(d)); reason(err) != "WITHDRAWN" {
		f.t.Errorf("a receipt for what was withdrawn: %v", err)
	}
}

// release asks the gate for a delivery of a person.
func (f *fleet) release(d *deliveryv1.Delivery, p *holder) error {
	gate := consentv1.NewConsentServiceClient(f.Dial(consent.Name, "delivery", eventv1.Role_ROLE_SERVICE))
	_, err := gate.Release(f.t.Context(), &consentv1.ReleaseRequest{
		SubscriberId: p.id.String(), AgreementId: d.GetAgreementId(), DeliveryId: d.GetDeliveryId(), BuyerId: f.buyer.String(), AttemptId: id.Random().String(),
	})
	return err
}

// suspendedInTheDark: with Kafka down the buyer is suspended. The gate knows at once, and no key leaves.
func (f *fleet) suspendedInTheDark(d *deliveryv1.Delivery, p *holder) {
	f.t.Helper()
	ctx := f.t.Context()
	f.kafka.Kill()
	_, err := f.operator.SuspendBuyer(ctx, &offersv1.SuspendBuyerRequest{BuyerId: f.buyer.String(), Reason: "FRAUD", IdempotencyKey: "dark"})
	f.must(err)
	if err := f.release(d, p); reason(err) != "BUYER_SUSPENDED" {
		f.t.Errorf("the gate after a suspension: %v", err)
	}
	if key, err := f.packages.SignReceipt(ctx, f.receipt(d)); reason(err) != "BUYER_SUSPENDED" || key.GetSealedKey() != nil {
		f.t.Errorf("a receipt of a buyer that is suspended: %v", err)
	}
}
