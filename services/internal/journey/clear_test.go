package journey

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	kafkago "github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/embedded"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/node"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

// canary marks what is personal; none of these may stand anywhere in clear.
var canaries = map[string]string{
	"line user":       "CANARY-LINE-7f3a",
	"language":        "qcn-x-Canary",
	"birth date":      "1971-03-29",
	"assured method":  "CANARY_METHOD",
	"zone":            "Antarctica/Troll",
	"participant":     "1503960366",
	"importer":        "fitabase-csv",
	"a slot's day":    "2016-04-23",
	"file name":       "canary-file.csv",
	"floor's product": "canary-product",
	"purpose never":   "https://w3id.org/dpv#CanaryPurpose",
}

// numbers are canaries, too. Bytes may come to them by chance, so they are looked for as words of what is told, not in what is kept.
var numbers = map[string]int64{"floor's micros": 7_346_219, "steps": 346_259}

// sink keeps what is logged.
type sink struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *sink) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(b)
}

// TestNothingPersonalInClear plants canaries in what is personal and looks for them in everything that is kept or told: PostgreSQL's files
// with its write-ahead log, every table, Kafka's files, every topic, the logs, the spans, the metrics and the errors. Which fields are
// personal the contract says; one that nothing reached fails the test, and so does one that stands unsealed in a stored event.
func TestNothingPersonalInClear(t *testing.T) {
	t.Parallel()
	spans, logs := tracetest.NewInMemoryExporter(), &sink{}
	admin := map[string]string{}
	database, dir, broker := servers(t)
	var keys string
	f := openOn(t, worldtest.NewAt(t, database.URL("postgres", embedded.Superuser), broker.Addr()), func(c *boot.Config) {
		keys = c.Keys
		c.Seams.Spans, c.Seams.Log, c.Telemetry.Level = spans, logs, "debug"
		l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		admin[c.Service] = l.Addr().String()
		c.Admin = admin[c.Service]
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})
	ctx := t.Context()
	f.opens(100_00)
	var told []string // errors
	people := make([]*holder, 5)
	who := participants(t, "dailyActivity_merged.csv")
	operator := consentv1.NewConsentServiceClient(f.Dial(consent.Name, "staff", eventv1.Role_ROLE_OPERATOR))
	for i := range people {
		p := &holder{person: &person{m: f.market, id: id.Random()}}
		people[i] = p
		p.offers = offersv1.NewOffersServiceClient(f.Dial(offers.Name, p.id.String(), eventv1.Role_ROLE_SUBSCRIBER))
		p.consent = consentv1.NewConsentServiceClient(f.Dial(consent.Name, p.id.String(), eventv1.Role_ROLE_SUBSCRIBER))
		p.money = settlementv1.NewSettlementServiceClient(f.Dial(settlement.Name, p.id.String(), eventv1.Role_ROLE_SUBSCRIBER))
		p.data = deliveryv1.NewDeliveryServiceClient(f.Dial(delivery.Name, p.id.String(), eventv1.Role_ROLE_SUBSCRIBER))
		_, err := p.consent.Enrol(ctx, &consentv1.EnrolRequest{
			SubscriberId: p.id.String(), Country: "BE", Language: canaries["language"], BirthDate: canaries["birth date"], LineUser: canaries["line user"], IdempotencyKey: "e",
		})
		f.must(err)
		_, err = operator.AssureAge(ctx, &consentv1.AssureAgeRequest{
			SubscriberId: p.id.String(), Method: canaries["assured method"], Level: consentv1.AssuranceLevel_ASSURANCE_LEVEL_DOCUMENT, AtLeast: 18, IdempotencyKey: p.id.String(),
		})
		f.must(err)
		_, err = p.consent.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: p.id.String(), IdempotencyKey: "r", Rules: &consentv1.Rules{
			Floors:        []*consentv1.Floor{{Product: canaries["floor's product"], Micros: numbers["floor's micros"], Currency: "EUR"}},
			PurposesNever: []string{canaries["purpose never"]}, ProductsNever: []string{"canary-never"}, MaxAgreements: 7,
			Matching: true, MatchingHealth: true, BuyersNever: []string{id.Derive([]byte("canary")).String()},
		}})
		f.must(err)
		c, err := p.data.ConnectSource(ctx, &deliveryv1.ConnectSourceRequest{
			SubscriberId: p.id.String(), Importer: canaries["importer"], Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "c",
		})
		f.must(err)
		p.source = c.GetSourceId()
		raw := read(t, "dailyActivity_merged.csv")
		header := &deliveryv1.ImportHeader{
			SubscriberId: p.id.String(), SourceId: p.source, FileName: canaries["file name"], Zone: canaries["zone"], Person: who[i],
			Days: &marketv1.Days{First: canaries["a slot's day"], Last: "2016-04-27"},
		}
		_, err = p.send(raw, header)
		f.must(err)
		broken := bytes.Replace(raw, []byte("13162"), []byte("CANARY-VALUE"), 1)
		if _, err = p.send(broken, header); err == nil {
			t.Error("a broken row was taken")
		} else {
			told = append(told, strings.ReplaceAll(inFull(err), canaries["file name"], "")) // the caller's own word for the file
		}
	}
	if people[0].id.IsZero() || !slices.Contains(who, canaries["participant"]) {
		t.Fatal("the participant is not in the file")
	}
	bid := f.place(f.bid(25, 5), "one")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	for _, p := range people {
		_, err := p.accept(bid)
		f.must(err)
	}
	f.Eventually("five packages", func() bool { return len(f.waiting(bid, prepared)) == 5 })
	for i, d := range f.waiting(bid, prepared) {
		if i == 0 {
			continue
		}
		m, rows := f.open(d, f.fetch(d, 0), f.signed(d))
		if !strings.Contains(rows, canaries["a slot's day"]) {
			t.Errorf("the canary's day was not delivered, so it proves nothing: %v", m.Slots)
		}
	}
	f.Eventually("four postings", func() bool {
		paid := 0
		for _, p := range people {
			if p.available() > 0 {
				paid++
			}
		}
		return paid == 4
	})
	f.corrects(people[1], numbers["steps"])
	told = append(told, f.refusals(people[1], bid)...)
	// Somebody of whom only the year of birth is known, who brings the same file twice; and a key that is replaced before it was used.
	f.rare(people[0])
	found := f.personal(keys)

	planted := []byte("PLANTED-" + id.Random().String())
	f.plant(database, logs, planted)
	places := map[string][]byte{"logs": logs.all.Bytes(), "errors": []byte(strings.Join(told, "\n"))}
	for _, s := range spans.GetSpans() {
		places["spans"] = fmt.Append(places["spans"], s.Name, s.Attributes, s.Events, s.Status)
	}
	for service, addr := range admin {
		places["metrics of "+service] = get(t, "http://"+addr+"/metrics")
	}
	for service, url := range f.databases {
		places["database of "+service] = dump(t, url)
		for p := range worldtest.Partitions {
			places[fmt.Sprintf("topic of %s, partition %d", service, p)] = topic(t, f.Brokers[0], node.Topic(f.Prefix, service), p)
		}
	}
	places["PostgreSQL's files"], places["Kafka's files"] = files(t, dir), files(t, broker.Dir())
	for _, place := range []string{"PostgreSQL's files", "Kafka's files", "logs", "database of offers"} {
		if !bytes.Contains(places[place], planted) {
			t.Errorf("%s: what was planted there is not found", place)
		}
	}
	for _, metric := range []string{`(?m)^obole_gate_seconds_count\{outcome="\w+"\} [1-9]`, `(?m)^obole_gate_to_key_seconds_count [4-9]`} {
		if !regexp.MustCompile(metric).Match(places["metrics of delivery"]) {
			t.Errorf("four keys have left, and delivery's metrics have no %s", metric)
		}
	}
	// What is public is found, or the looking would prove nothing.
	public := []byte("https://w3id.org/dpv#AcademicResearch")
	published := slices.Concat(places["topic of offers, partition 0"], places["topic of offers, partition 1"])
	if !bytes.Contains(places["database of offers"], public) || !bytes.Contains(published, public) {
		t.Error("a bid's purpose is not found where it stands in clear")
	}
	for place, content := range places {
		// Partitions may be empty, and services that are well say nothing.
		if len(content) == 0 && place != "logs" && !strings.Contains(place, "partition") {
			t.Errorf("%s: nothing was there to look at", place)
		}
		for path, values := range found {
			for value := range values {
				if bytes.Contains(content, []byte(value)) {
					t.Errorf("%s in clear: %s", path, place)
					break
				}
			}
		}
		for what, canary := range canaries {
			if i := bytes.Index(content, []byte(canary)); i >= 0 {
				t.Errorf("%s in clear: %s", what, place)
			}
		}
		if bytes.Contains(content, []byte("CANARY-VALUE")) {
			t.Errorf("a measurement in clear: %s", place)
		}
		if told := place == "logs" || place == "errors" || place == "spans" || strings.HasPrefix(place, "metrics"); told {
			for what, n := range numbers {
				if regexp.MustCompile(fmt.Sprintf(`(^|[^0-9A-Za-z.])%d([^0-9A-Za-z.]|$)`, n)).Match(content) {
					t.Errorf("%s in clear: %s", what, place)
				}
			}
		}
	}
}

// inFull is all that a caller is told of a refusal.
func inFull(err error) string { return fmt.Sprint(err, status.Convert(err).Details()) }

// refusals are what a person is told whose requests, all of them with canaries in what is personal, are refused.
func (f *full) refusals(p *holder, bid string) (told []string) {
	f.t.Helper()
	ctx := f.t.Context()
	other := id.Random().String()
	enrol := &consentv1.EnrolRequest{
		SubscriberId: other, Country: "ZZ", Language: canaries["language"], BirthDate: canaries["birth date"], LineUser: canaries["line user"], IdempotencyKey: "e",
	}
	undated := proto.CloneOf(enrol)
	undated.Country, undated.BirthDate, undated.LineUser = "BE", "1971-13-32", strings.Repeat(canaries["line user"], 5)
	rules := &consentv1.Rules{
		Floors:        []*consentv1.Floor{{Product: canaries["floor's product"], Micros: -numbers["floor's micros"], Currency: "euro"}},
		PurposesNever: []string{canaries["purpose never"], canaries["line user"]}, MaxAgreements: 1 << 31,
	}
	var offer *offersv1.Offer
	for _, o := range p.list().GetOffers() {
		offer = o
	}
	accept := func(fields ...string) error {
		_, err := p.offers.AcceptOffer(ctx, &offersv1.AcceptOfferRequest{
			SubscriberId: p.id.String(), OfferId: offer.GetOfferId(), BidId: bid, CardSha256: make([]byte, 32), Fields: fields, ExplicitStep: true, IdempotencyKey: "x",
		})
		return err
	}
	point := fmt.Sprintf(`{"header":{"id":%q,"schema_id":{"namespace":"omh","name":"step-count","version":"3.0"}},"body":{"step_count":{"value":-%d,"unit":%q}}}`,
		other, numbers["steps"], canaries["line user"])
	joining := consentv1.NewConsentServiceClient(f.Dial(consent.Name, other, eventv1.Role_ROLE_SUBSCRIBER))
	for what, err := range map[string]error{
		"enrolling":          second(joining.Enrol(ctx, enrol)),
		"enrolling, undated": second(joining.Enrol(ctx, undated)),
		"rules":              second(p.consent.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: p.id.String(), Rules: rules, IdempotencyKey: "x"})),
		"rules again":        second(p.consent.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: p.id.String(), Rules: &consentv1.Rules{PurposesNever: []string{canaries["purpose never"]}}, IdempotencyKey: "r"})),
		"accepting":          accept(),
		"accepting no field": accept(canaries["participant"]),
		"correcting":         second(p.data.CorrectPoint(ctx, &deliveryv1.CorrectPointRequest{SubscriberId: p.id.String(), Point: []byte(point), IdempotencyKey: "x"})),
		"correcting rubbish": second(p.data.CorrectPoint(ctx, &deliveryv1.CorrectPointRequest{SubscriberId: p.id.String(), Point: []byte(canaries["line user"]), IdempotencyKey: "y"})),
		"connecting":         second(p.data.ConnectSource(ctx, &deliveryv1.ConnectSourceRequest{SubscriberId: p.id.String(), Importer: canaries["line user"], Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "x"})),
		"connecting again":   second(p.data.ConnectSource(ctx, &deliveryv1.ConnectSourceRequest{SubscriberId: p.id.String(), Importer: canaries["importer"], Route: deliveryv1.Route_ROUTE_DATA_ACT_4, IdempotencyKey: "c"})),
	} {
		if err == nil {
			f.t.Errorf("%s was not refused", what)
			continue
		}
		text := inFull(err)
		if what == "connecting" {
			text = strings.ReplaceAll(text, canaries["importer"], "") // all that there are are named
		}
		told = append(told, text)
	}
	return told
}

func second[T any](_ T, err error) error { return err }

func get(t *testing.T, url string) []byte {
	t.Helper()
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = r.Body.Close() }() // it was only read
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// dump reads every table of a database, bytes as they are stored.
func dump(t *testing.T, url string) []byte {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }() // it was only read
	rows, err := conn.Query(t.Context(), `
		select format('%I.%I', schemaname, tablename) from pg_tables where schemaname not in ('pg_catalog', 'information_schema')`)
	if err != nil {
		t.Fatal(err)
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, table := range tables {
		if _, err := conn.PgConn().CopyTo(t.Context(), &out, `copy (select * from `+table+`) to stdout (format binary)`); err != nil {
			t.Fatal(err)
		}
	}
	return out.Bytes()
}

// topic reads every record of a topic's partition.
func topic(t *testing.T, broker, name string, partition int) []byte {
	t.Helper()
	conn, err := kafkago.DialLeader(t.Context(), "tcp", broker, name, partition)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // it was only read
	end, err := conn.ReadLastOffset()
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for end > 0 {
		if err := conn.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		m, err := conn.ReadMessage(4 << 20)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(m.Key)
		out.Write(m.Value)
		for _, h := range m.Headers {
			out.WriteString(h.Key)
			out.Write(h.Value)
		}
		if m.Offset+1 >= end {
			break
		}
	}
	return out.Bytes()
}
