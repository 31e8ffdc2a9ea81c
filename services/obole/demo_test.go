package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/obole/internal/place"
)

// played has the built program play the story, which it has a minute for, and gives its lines.
func played(t *testing.T, dir string) []map[string]any {
	t.Helper()
	program := filepath.Join(t.TempDir(), "obole")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, "--data", dir, "--json", "demo")
	// Its broker and its database end with it, whatever ends it.
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the story was not told to its end within a minute: %v\n%s", err, errs.Bytes())
	}
	var all []map[string]any
	for line := range strings.Lines(string(out)) {
		var v map[string]any
		if err := json.Unmarshal([]byte(line), &v); err != nil {
			t.Fatalf("%q is no line of JSON: %v", line, err)
		}
		formed(t, "demo", v)
		all = append(all, v)
	}
	return all
}

// TestDemo: the story comes out the same every time: who asks, who is refused, who is paid, and that the books agree.
func TestDemo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	sh := shell{t, []string{"--data", dir}}
	tables := map[string][]map[string]any{}
	var proof map[string]any
	lines := played(t, dir)
	for _, line := range lines {
		if name, is := line["table"].(string); is {
			tables[name] = append(tables[name], line)
		} else {
			proof = line
		}
	}
	bids := tables["bids"]
	if len(bids) != 3 || !strings.Contains(bids[2]["state"].(string), "[PURPOSE_NOT_ALLOWED]") || bids[2]["packages"] != 0.0 {
		t.Fatalf("the bids: %v", bids)
	}
	for i, want := range []struct{ people, packages, rows float64 }{{18, 18, 358}, {23, 32, 598}} {
		if b := bids[i]; b["people"] != want.people || b["packages"] != want.packages || b["rows"] != want.rows {
			t.Errorf("bid %d: %v, want %v", i, b, want)
		}
	}
	if walker := tables["day by day"]; len(walker) != 1 || walker[0]["participant"] != "1503960366" || walker[0]["delivered"] != 10.0 || walker[0]["delivered_afterwards"] != 0.0 {
		t.Errorf("day by day: %v", walker)
	}
	if n := len(tables["who earned what"]); n != 41 {
		t.Errorf("%d rows of who earned what", n)
	}
	payout := tables["asked for and paid out"]
	if len(payout) != 1 || payout[0]["state"] != "settled" || payout[0]["how"] != "bill credit" || minor(t, payout[0]["still_available"]) != 0 {
		t.Fatalf("the payout: %v", payout)
	}
	credited := minor(t, payout[0]["amount"])
	if credited <= 0 {
		t.Errorf("credited on the bill: %v", payout)
	}
	if n := len(tables["offers not made or not wanted"]); n != 12 {
		t.Errorf("%d rows of offers not made", n)
	}
	// Whose cent a fraction became depends on whose delivery was settled first; what the buyers paid in all does not, nor does anybody
	// come out a cent or more from what the card promised.
	sums := map[string]int64{}
	people := int64(0)
	for _, sum := range proof["sums"].([]any) {
		s := sum.(map[string]any)
		account := s["account"].(string)
		sums[account] = minor(t, s["from_events"])
		if account == "subscriber payable" {
			people, _ = strconv.ParseInt(s["accounts"].(string), 10, 64) // formed has seen that it is one
		}
	}
	if sums["bill credit"] != credited || sums["subscriber payout"] != 0 {
		t.Errorf("%d was credited; the proof: %v", credited, proof)
	}
	people++ // who was paid has nothing left
	paid := sums["subscriber payable"] + credited
	if all := paid + sums["operator commission"] + sums["rounding"]; proof["equal"] != true || all != 56_04 || paid < 44_83-people || paid > 44_83+people {
		t.Errorf("the proof: %v", proof)
	}
	sh.fails(client.ExitUsage, "is not empty", "demo")

	// Whoever took part may sign in to the page of the market that is left, and finds what happened.
	guests, err := place.Folder(dir).People()
	keys, _ := filepath.Glob(filepath.Join(dir, "packages", "k-*.key"))
	if err != nil || len(guests) != 3+33 || len(keys) != 3 {
		t.Errorf("%d may sign in, %v; %d key files of buyers", len(guests), err, len(keys))
	}
	_, r := up(t, dir)
	b, who := someone(t, r.Page, "Participant 1503960366, BE, born 1955")
	a := b.Post("/rpc/obole.settlement.v1.SettlementService/GetEarnings", "application/json", []byte(`{"subscriberId": "`+who+`"}`))
	var has struct {
		Paid struct{ Minor, Currency string }
	}
	if err := json.Unmarshal([]byte(a.Body), &has); err != nil || a.Status != http.StatusOK || has.Paid.Minor != fmt.Sprint(credited) || has.Paid.Currency != "EUR" {
		t.Errorf("what the walker has earned: %d %s", a.Status, a.Body)
	}
	paysOut(sh, r.Page, guests)
}

// minor is an amount in cents.
func minor(t *testing.T, of any) int64 {
	t.Helper()
	sum, _ := of.(map[string]any)
	text, _ := sum["minor"].(string)
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || sum["currency"] != "EUR" {
		t.Fatalf("%v is no amount", of)
	}
	return n
}

// paysOut types what a person and finance type, for the first guest with some money: a part is paid, the rest comes back.
func paysOut(sh shell, page string, guests []place.Someone) {
	sh.t.Helper()
	available := func(person string) int64 {
		return minor(sh.t, sh.line("finance", "balance", "--subscriber", person)["available"])
	}
	i := slices.IndexFunc(guests, func(g place.Someone) bool { return slices.Contains(g.Roles, "subscriber") && available(g.Subject) > 1 })
	if i < 0 {
		sh.t.Fatal("nobody has anything")
	}
	person := guests[i].Subject
	as := []string{"--subscriber", person}
	had := available(person)
	cent := append([]string{"payout", "request", "0.01 EUR", "--key", "cent"}, as...)
	if out := sh.ok(cent...); !strings.Contains(out, "0.01 EUR set aside") {
		sh.t.Errorf("asking for a cent: %s", out)
	}
	first := sh.line(cent...)["payout_id"].(string) // the same, asked again
	rest := sh.line(append([]string{"payout", "request"}, as...)...)
	if got := fmt.Sprint(rest["amount"].(map[string]any)["minor"]); got != fmt.Sprint(had-1) {
		sh.t.Errorf("all that is left is %s, of %d", got, had)
	}
	sh.fails(client.ExitFailed, "(<amount>: must be no more than the 0.00 EUR that is available) [INSUFFICIENT_EARNINGS]", append([]string{"payout", "request", "0.01 EUR"}, as...)...)
	sh.fails(client.ExitFailed, "(--method: only a credit on the operator's bill is paid) [METHOD_UNAVAILABLE]", append([]string{"payout", "request", "--method", "sepa"}, as...)...)
	sh.fails(client.ExitUsage, "there are bill-credit", append([]string{"payout", "request", "--method", "cash"}, as...)...)
	if waiting := sh.lines("finance", "payouts", "--state", "requested", "--subscriber", person); len(waiting) != 2 || waiting[1]["payout_id"] != first {
		sh.t.Errorf("asked for: %v", waiting)
	}
	today := time.Now().UTC().Format(time.DateOnly)
	sh.fails(client.ExitFailed, "[PAYOUT_NOT_INSTRUCTED]", "finance", "settle", first, "--value-date", today)
	sh.fails(client.ExitUsage, "--as: must be at most 35 bytes", "finance", "instruct", first, "--as", strings.Repeat("x", 36))
	sh.ok("finance", "instruct", first, "--as", "B-1")
	sh.fails(client.ExitUsage, "--value-date: is no day of the calendar", "finance", "settle", first, "--value-date", "2026-11-31")
	sh.fails(client.ExitUsage, "(--value-date: must be no day before the payout was asked for, nor more than 7 days ahead) [VALUE_DATE_INVALID]", "finance", "settle", first, "--value-date", "2099-12-31")
	if out := sh.ok("finance", "settle", first, "--value-date", today, "--reference", "BILL-2"); !strings.Contains(out, first+": credited on "+today) {
		sh.t.Errorf("settled: %s", out)
	}
	sh.fails(client.ExitFailed, "[PAYOUT_ENDED]", "finance", "return", first, "--reason", "duplicate")
	sh.fails(client.ExitUsage, "there are no-bill", "finance", "return", first, "--reason", "whim")
	sh.fails(client.ExitFailed, "(<payout>: is none of this book's) [PAYOUT_UNKNOWN]", "finance", "return", person, "--reason", "no-bill")
	sh.ok("finance", "return", rest["payout_id"].(string), "--reason", "contract-ended")
	if out := sh.ok(append([]string{"payout", "list"}, as...)...); strings.Count(out, "\n") != 3 || !strings.Contains(out, "contract ended") || !strings.Contains(out, today) {
		sh.t.Errorf("the payouts:\n%s", out)
	}
	if out := sh.ok("finance", "balance", "--subscriber", person); !strings.Contains(out, "asked for 0.00 EUR, paid 0.01 EUR") || available(person) != had-1 {
		sh.t.Errorf("what is left: %s", out)
	}
	if out := sh.ok("finance", "statement", "bill-credit", person); !strings.Contains(out, "payout_settled") || strings.Count(out, "\n") != 2 {
		sh.t.Errorf("the statement:\n%s", out)
	}
	// Who closes the account is paid what was available.
	b, who := someone(sh.t, page, guests[i].Label)
	bye := b.Post("/rpc/obole.consent.v1.ConsentService/CloseAccount", "application/json", []byte(`{"subscriberId": "`+who+`", "confirmed": true, "idempotencyKey": "bye"}`))
	if bye.Status != http.StatusOK || who != person {
		sh.t.Fatalf("closing the account: %d %s", bye.Status, bye.Body)
	}
	last := sh.line(append([]string{"payout", "request"}, as...)...)
	if got := fmt.Sprint(last["amount"].(map[string]any)["minor"]); got != fmt.Sprint(had-1) {
		sh.t.Errorf("who has left is given %s, of %d", got, had-1)
	}
	if proof := sh.line("finance", "replay"); proof["equal"] != true {
		sh.t.Errorf("the replay: %v", proof)
	}
}
