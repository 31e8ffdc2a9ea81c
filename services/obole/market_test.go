package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"

	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	"github.com/obole-market/obole/services/obole/internal/cli"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// shell types commands at one market.
type shell struct {
	t    *testing.T
	flag []string
}

// run types a command in this process.
func (s shell) run(args ...string) (out, errs string, status int) {
	var o, e bytes.Buffer
	status = cli.Main(s.t.Context(), append(slices.Clone(s.flag), args...), strings.NewReader(""), &o, &e)
	return o.String(), e.String(), status
}

// ok runs a command that must succeed and gives what it says.
func (s shell) ok(args ...string) string {
	s.t.Helper()
	out, errs, status := s.run(args...)
	if status != client.ExitOK {
		s.t.Fatalf("obole %s: status %d, %s", strings.Join(args, " "), status, errs)
	}
	return out
}

// lines runs a command with --json and gives its lines.
func (s shell) lines(args ...string) []map[string]any {
	s.t.Helper()
	var all []map[string]any
	for line := range strings.Lines(s.ok(append([]string{"--json"}, args...)...)) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			s.t.Fatalf("obole %s: %q is no line of JSON: %v", strings.Join(args, " "), line, err)
		}
		formed(s.t, strings.Join(args, " "), v)
		all = append(all, v)
	}
	return all
}

// spelt is an amount as people read it.
var spelt = regexp.MustCompile(`^-?[0-9][0-9.,]* [A-Z]{3}$`)

// formed checks that what is written for scripts has one form, whatever command writes it: money and prices as the contract's messages,
// positions in quotes as all integers of 64 bits, times in RFC 3339.
func formed(t *testing.T, command string, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			formed(t, command, e)
		}
	case map[string]any:
		for name, e := range v {
			text, quoted := e.(string)
			switch {
			case spelt.MatchString(text):
				t.Errorf("obole %s: %s is %q", command, name, text)
			case name == "at" || name == "due" || strings.HasSuffix(name, "_at"):
				if _, err := time.Parse(time.RFC3339, text); err != nil {
					t.Errorf("obole %s: %s is %v", command, name, e)
				}
			case name == "minor" || name == "micros" || name == "position" || name == "accounts":
				if _, err := strconv.ParseInt(text, 10, 64); err != nil || !quoted {
					t.Errorf("obole %s: %s is %v", command, name, e)
				}
			}
			formed(t, command, e)
		}
	}
}

// none runs a command that lists nothing: people are told of what there is none, and scripts get no line.
func (s shell) none(what string, args ...string) {
	s.t.Helper()
	out, errs, status := s.run(args...)
	json, silent, _ := s.run(append([]string{"--json"}, args...)...)
	if status != client.ExitOK || out != "" || errs != "obole: no "+what+"\n" || json+silent != "" {
		s.t.Errorf("obole %s: status %d, %q %q; for scripts %q %q", strings.Join(args, " "), status, out, errs, json, silent)
	}
}

// line is the one line of a command with --json.
func (s shell) line(args ...string) map[string]any {
	s.t.Helper()
	all := s.lines(args...)
	if len(all) != 1 {
		s.t.Fatalf("obole %s: %d lines", strings.Join(args, " "), len(all))
	}
	return all[0]
}

// fails runs a command that must end with the status and say the words.
func (s shell) fails(status int, says string, args ...string) {
	s.t.Helper()
	out, errs, got := s.run(args...)
	if got != status || !strings.Contains(errs, says) || strings.Count(errs, "\n") != 1 {
		s.t.Errorf("obole %s: status %d, want %d with %q; %s%s", strings.Join(args, " "), got, status, says, out, errs)
	}
}

// until runs a command with --json until one of its lines is as wanted.
func (s shell) until(what string, ok func(map[string]any) bool, args ...string) map[string]any {
	s.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); time.Now().Before(deadline); {
		for _, v := range s.lines(args...) {
			if ok(v) {
				return v
			}
		}
	}
	s.t.Fatalf("waited too long for %s", what)
	return nil
}

// deliver serves a delivery service of the test's own.
func deliver(t *testing.T, addr string, as deliveryv1.DeliveryServiceServer) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	server := grpc.NewServer()
	deliveryv1.RegisterDeliveryServiceServer(server, as)
	go func() { _ = server.Serve(l) }() // until stopped
	t.Cleanup(server.Stop)
	return l.Addr().String()
}

// registering and asking are a buyer's flags, but for who it is.
var (
	registering = []string{
		"buyer", "register", "--name", "A sleep study", "--country", "BE", "--entity", "TEST-1", "--dpo", "dpo@study.example", "--notice", "https://study.example/privacy",
	}
	asking = []string{
		"--product", "daily-steps", "--field", "date:exact,steps:hundred,energy:hundred=20", "--purpose", "AcademicResearch", "--price", "0.05 EUR",
		"--slots", "500", "--per-person", "5", "--days", "2016-04-12..2016-05-12", "--cadence", "once", "--closes", "1h", "--retention", "365",
	}
)

// participants of the extract of Fitabase's files, with five valid days and more each.
var participants = []string{"1503960366", "1624580081", "1644430081", "1844505072", "1927972279"}

// TestCommandsTellTheStory: a buyer, its money and bids; people, their rules, offers and consents; the books.
func TestCommandsTellTheStory(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	_, running := up(t, dir)
	sh := shell{t, []string{"--data", dir}}
	key := filepath.Join(dir, "study.key")

	// The buyer.
	buyer := sh.line("keys", key)["buyer_id"].(string)
	if fi, err := os.Stat(key); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the key file: %v, %v", fi.Mode(), err)
	}
	sh.fails(client.ExitUsage, "exists", "keys", key)
	sh.ok(append(registering, "--buyer", key)...)
	ask := append([]string{"--buyer", key}, asking...)
	sh.fails(client.ExitFailed, "[BUYER_NOT_VETTED]", append([]string{"bid", "place"}, ask...)...)
	sh.ok("buyer", "vet", key)
	if out := sh.ok("buyer", "list"); !strings.Contains(out, buyer+"  vetted") {
		t.Errorf("the buyers:\n%s", out)
	}
	fresh := filepath.Join(dir, "study-2.key")
	sh.ok("keys", fresh, "--buyer", key, "--hybrid")
	sh.ok("buyer", "rotate", "--buyer", key, "--to", fresh)
	if shown := sh.line("buyer", "show", "--buyer", fresh); len(shown["keys"].([]any)) != 2 {
		t.Errorf("after the rotation: %v", shown["keys"])
	}

	// Its money and bids.
	sh.fails(client.ExitUsage, "want an amount", "fund", "--buyer", key, "100", "--reference", "B-1")
	sh.none("bids", "bid", "list", "--buyer", key)
	sh.none("deliveries", "receive", "list", "--buyer", key)
	sh.none("packages wait", "receive", "--buyer", key, "--out", dir)
	sh.none("payouts", "finance", "payouts")
	sh.none("postings of this account", "finance", "statement", "vat-output")
	sh.none("such events", "finance", "replay", "--events")
	for _, want := range []string{"100.00 EUR recorded; available to " + buyer + ": 100.00 EUR", "100.00 EUR was recorded before, and counts once; available to " + buyer + ": 100.00 EUR"} {
		if out := sh.ok("fund", "--buyer", key, "100 EUR", "--reference", "B-1"); out != want+"\n" {
			t.Errorf("fund: %s", out)
		}
	}
	if out := sh.ok(append([]string{"bid", "try"}, ask...)...); !strings.Contains(out, "would hold 30.25 EUR, of which 5.25 EUR VAT; might reach 0 to 49 people") {
		t.Errorf("try: %s", out)
	}
	bad := append([]string{"bid", "try"}, ask...)
	sh.fails(client.ExitFailed, "1 problem: ", append(bad, "--purpose", "InsurancePricing")...)
	sh.fails(client.ExitUsage, "--price", append(bad, "--price", "five")...)
	sh.fails(client.ExitUsage, "--cadence", append(bad, "--cadence", "hourly")...)
	place := append([]string{"bid", "place", "--key", "first", "--wait"}, ask...)
	placed := sh.line(place...)
	bid := placed["bid_id"].(string)
	if at, told := placed["bid"].(map[string]any)["opens_at"]; told {
		t.Errorf("a bid that was to open at once opens at %v", at)
	}
	if out := sh.ok("bid", "list", "--buyer", key); !strings.Contains(out, bid+"  open") || !strings.Contains(out, "30.25 EUR") {
		t.Errorf("the bids:\n%s", out)
	}
	sh.fails(client.ExitFailed, "insufficient funds", append([]string{"bid", "place", "--wait", "--slots", "100000"}, withoutSlots(ask)...)...)
	sh.fails(client.ExitFailed, "[BUYER_UNKNOWN]", append([]string{"bid", "place"}, append(ask[2:], "--buyer", "00000000-0000-4000-8000-000000000001")...)...)

	if out := sh.ok("products", "daily-steps"); !strings.Contains(out, "Counted by the person-day") || !strings.Contains(out, "steps") {
		t.Errorf("the product:\n%s", out)
	}
	if all := sh.lines("products"); len(all) != 4 {
		t.Errorf("%d products", len(all))
	}

	// The people.
	person := sh.line("enrol", "--country", "BE", "--language", "fr", "--born", "1990-02-03")["subscriber_id"].(string)
	as := []string{"--subscriber", person}
	sh.ok(append([]string{"consent", "rules", "set", "--floor", "body-weight=1.50 EUR", "--max", "5", "--never-purpose", "Marketing"}, as...)...)
	if out := sh.ok(append([]string{"consent", "rules"}, as...)...); !strings.Contains(out, "1.50 EUR net a slot") || !strings.Contains(out, "#Marketing") {
		t.Errorf("the rules:\n%s", out)
	}
	sh.wrong(dir, key, person)
	fitabase := []string{"import", "--importer", "fitabase-csv", "--zone", "America/New_York", filepath.Join("..", "..", "testdata", "fitabase", "dailyActivity_merged.csv")}
	if out := sh.ok(append(fitabase, "--person", participants[0], "--subscriber", person)...); !strings.Contains(out, "0 known already") {
		t.Errorf("import: %s", out)
	}
	sh.none("consents", append([]string{"consent", "list"}, as...)...)
	sh.none("payouts", append([]string{"payout", "list"}, as...)...)
	offer := sh.line(append([]string{"offers", "list"}, as...)...)
	number, card := offer["offer_id"].(string), offer["card_sha256"].(string)
	if out := sh.ok(append([]string{"offers", "show", number}, as...)...); !strings.Contains(out, "A sleep study (BE) asks for") || !strings.Contains(out, "0.04 EUR for you") {
		t.Errorf("the card:\n%s", out)
	}
	accept := append([]string{"offers", "accept", number, "--field", "date,steps"}, as...)
	sh.fails(client.ExitFailed, "look at it again", append(accept, "--card", "00000000", "--explicit")...)
	sh.fails(client.ExitFailed, "[EXPLICIT_STEP_MISSING]", append(accept, "--card", card[:8])...)
	sh.fails(client.ExitUsage, `--field "nope": is not on the card, which has date, steps, energy`, append(accept, "--card", card[:8], "--field", "nope")...)
	agreement := sh.line(append(accept, "--card", card[:8], "--explicit")...)["agreement_id"].(string)
	list := append([]string{"consent", "list"}, as...)
	state := func(want string) func(map[string]any) bool {
		return func(v map[string]any) bool { return v["agreement_id"] == agreement && v["state"] == want }
	}
	sh.until("the consent", state("CONSENT_STATE_GIVEN"), list...)
	sh.fails(client.ExitUsage, "name one agreement, or say --all", append([]string{"consent", "pause"}, as...)...)
	table := sh.ok(list...)
	if want := agreement[:8] + "   given  A sleep study  daily-steps  academic research  "; !strings.Contains(table, want) || strings.Contains(table, agreement) || strings.Contains(table, "http") {
		t.Errorf("the consents, for people, lack %q:\n%s", want, table)
	}
	sh.fails(client.ExitUsage, "none begins with 00000000", append([]string{"consent", "pause", "00000000"}, as...)...)
	if out := sh.ok(append([]string{"consent", "pause", agreement[:8]}, as...)...); !strings.Contains(out, "paused "+agreement) {
		t.Errorf("paused by the beginning of its id: %s", out)
	}
	sh.until("the pause", state("CONSENT_STATE_PAUSED"), list...)
	sh.ok(append([]string{"consent", "resume", agreement}, as...)...)
	sh.until("its end", state("CONSENT_STATE_GIVEN"), list...)
	sh.ok("fsck") // also in the middle of things

	// Four more make the cohort; then packages come, are opened, and paid.
	for _, participant := range participants[1:] {
		other := sh.line("enrol", "--country", "BE", "--born-year", "1980")["subscriber_id"].(string)
		sh.ok(append(fitabase, "--person", participant, "--subscriber", other)...)
		offer := sh.line("offers", "list", "--subscriber", other)
		sh.ok("offers", "accept", offer["offer_id"].(string), "--card", offer["card_sha256"].(string), "--explicit", "--subscriber", other)
	}
	waiting := func() (n int) {
		for _, d := range sh.lines("receive", "list", "--buyer", fresh, "--bid", bid) {
			if d["state"] == "DELIVERY_STATE_PREPARED" {
				n++
			}
		}
		return n
	}
	sh.until("five packages", func(map[string]any) bool { return waiting() == 5 }, "receive", "list", "--buyer", fresh)
	packages := filepath.Join(dir, "packages")
	received := sh.lines("receive", "--buyer", fresh, "--bid", bid, "--out", packages)
	if len(received) != 5 {
		t.Fatalf("received %v", received)
	}
	for _, d := range received {
		if rows, err := os.ReadFile(d["file"].(string)); err != nil || strings.Count(string(rows), "\n") != 5 || !strings.Contains(string(rows), `"steps":`) {
			t.Errorf("the rows of %v: %s, %v", d["delivery_id"], rows, err)
		}
	}
	sh.until("the person's money", func(v map[string]any) bool {
		pending, _ := v["pending"].(map[string]any)
		return pending["minor"] == "16" // five slots at 4 cents, less a fifth
	}, "finance", "balance", "--subscriber", person)
	sh.fails(client.ExitFailed, "the 0.00 EUR that is available; 0.16 EUR is pending until "+time.Now().UTC().AddDate(0, 0, 11).Format("2006-01-"), append([]string{"payout", "request"}, as...)...)
	sh.ok(append([]string{"consent", "withdraw", "--all"}, as...)...)
	if out := sh.ok(list...); !strings.Contains(out, agreement[:8]) {
		t.Errorf("the consents:\n%s", out)
	}
	second := sh.line("enrol", "--country", "BE", "--born-year", "1980")["subscriber_id"].(string)
	sh.ok(append(fitabase, "--person", participants[0], "--subscriber", second)...)
	number = sh.line("offers", "list", "--subscriber", second)["offer_id"].(string)
	sh.ok("offers", "decline", number, "--subscriber", second)

	// The end of the bid, and the books.
	sh.ok("bid", "withdraw", bid, "--buyer", key)
	sh.until("the end of the bid", func(v map[string]any) bool { return v["bid_id"] == bid && v["closed"] == "CLOSE_REASON_WITHDRAWN" }, "bid", "list", "--buyer", key)
	if out := sh.ok("finance", "balance", "--buyer", key); !strings.Contains(out, "available") {
		t.Errorf("the buyer's money: %s", out)
	}
	if out := sh.ok("finance", "balance", "--subscriber", person); !strings.Contains(out, "pending 0.16 EUR") {
		t.Errorf("the person's money: %s", out)
	}
	if out := sh.ok("finance", "balance"); !strings.Contains(out, "Total 0.00 EUR") || !strings.Contains(out, "-100.00 EUR") {
		t.Errorf("the trial balance:\n%s", out)
	}
	if out := sh.ok("finance", "statement", "buyer-available", key); !strings.Contains(out, "funds_deposited  100.00 EUR") {
		t.Errorf("the statement:\n%s", out)
	}
	sh.fails(client.ExitUsage, "there are buyer-available", "finance", "statement", "piggybank")
	if out := sh.ok("finance", "replay"); !strings.Contains(out, "Equal to the cent.") {
		t.Errorf("the replay:\n%s", out)
	}
	if proof := sh.line("finance", "replay"); proof["equal"] != true {
		t.Errorf("the replay: %v", proof)
	}
	events := sh.lines("finance", "replay", "--events")
	if len(events) < 3 || events[0]["type"] != "funds_deposited" {
		t.Fatalf("the events: %v", events)
	}
	told := strings.Join(strings.Fields(sh.ok("finance", "replay", "--events")), " ")
	for _, want := range []string{"POSITION AT EVENT", "funds deposited 100.00 EUR " + buyer[:8], "funds held 30.25 EUR " + buyer[:8] + " - " + bid[:8], "slots: 5"} {
		if !strings.Contains(told, want) || strings.Contains(told, "{") {
			t.Errorf("the events, for people, lack %q:\n%s", want, told)
		}
	}
	if rest := sh.lines("finance", "replay", "--after", "1", "--buyer", key); len(rest) == 0 || rest[0]["position"] != "2" {
		t.Errorf("the events after the first: %v", rest)
	}

	// The operator stops the buyer.
	sh.ok("buyer", "suspend", buyer, "--reason", "FRAUD")
	sh.fails(client.ExitFailed, "[BUYER_SUSPENDED]", append([]string{"bid", "place"}, ask...)...)
	sh.ok("buyer", "reinstate", buyer)
	sh.watches(bid, "bid", "watch", "--buyer", key)
	if out := sh.ok("fsck"); strings.Count(out, "sound") != 4 {
		t.Errorf("fsck: %s", out)
	}
	spoil(t, running.Socket)
	if out, errs, status := sh.run("fsck", "--json"); status != client.ExitFailed || strings.Count(out, `"sound":true`) != 3 {
		t.Errorf("fsck of an altered log: status %d, %s%s", status, out, errs)
	}
}

// watches runs a command that goes on until it is stopped: it must show the id, and then end well.
func (s shell) watches(id string, args ...string) {
	s.t.Helper()
	ctx, stop := context.WithCancel(s.t.Context())
	defer stop()
	read, write := io.Pipe()
	ended := make(chan int, 1)
	go func() {
		ended <- cli.Main(ctx, append(append(slices.Clone(s.flag), "--json"), args...), strings.NewReader(""), write, io.Discard)
		_ = write.Close() // a pipe's always works
	}()
	found := false
	for lines := bufio.NewScanner(read); lines.Scan(); {
		if found = strings.Contains(lines.Text(), id); found {
			stop()
			go func() { _, _ = io.Copy(io.Discard, read) }()
			break
		}
	}
	if status := <-ended; !found || status != client.ExitOK {
		s.t.Errorf("obole %s: found %v, status %d", strings.Join(args, " "), found, status)
	}
}

// spoil changes what an event of settlement says, as nobody may.
func spoil(t *testing.T, server string) {
	t.Helper()
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	u.Path = "/obole_settlement"
	conn, err := pgx.Connect(t.Context(), u.String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	if _, err := conn.Exec(t.Context(), `update event set data = set_byte(data, length(data) - 1, get_byte(data, length(data) - 1) # 1) where position = 1`); err != nil {
		t.Fatal(err)
	}
}

// withoutSlots leaves --slots out of a bid's flags.
func withoutSlots(ask []string) []string {
	var rest []string
	for i := 0; i < len(ask); i += 2 {
		if ask[i] != "--slots" {
			rest = append(rest, ask[i], ask[i+1])
		}
	}
	return rest
}

// TestNobodyAnswers: scripts can tell it from a refusal.
func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	shell{t, []string{"--data", dir}}.fails(client.ExitUnavailable, "start it with obole up", "finance", "balance")
	token := filepath.Join(dir, "token")
	if err := os.WriteFile(token, []byte("t\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	_ = l.Close() // nobody listens there now
	shell{t, []string{"--token-file", token, "--addr", "settlement=" + nobody}}.fails(client.ExitUnavailable, "", "finance", "balance")
}
