package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/obole-market/obole/services/obole/internal/client"
)

// wrong types what people mistype: each command says in one line and in its own words what is wrong, with the status that scripts rely on.
func (s shell) wrong(dir, key, person string) {
	s.t.Helper()
	const nobody = "00000000-0000-4000-8000-000000000001"
	file := func(name, text string) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			s.t.Fatal(err)
		}
		return name
	}
	bid, rules, prose := file("bid.json", `{"quantity": 5, "terms": {"recipients": [{"legal_name": "L", "country": "X"}]}}`), file("rules.json", `{"max": 3}`), file("prose", "hello")
	buyer, as := []string{"--buyer", key}, []string{"--subscriber", person}
	register := slices.Clip(append(slices.Clone(registering), "--buyer", file("new.key", s.spare(dir)))) // clipped: each line has its own end
	place := slices.Clip(append(append([]string{"bid", "place"}, buyer...), asking...))
	fund := slices.Clip(append([]string{"fund", "--reference", "X-1"}, buyer...))
	bring := slices.Clip(append([]string{"import", "--importer", "fitabase-csv", "--zone", "America/New_York", "--person", participants[0]}, as...))
	for _, tc := range []struct {
		status int
		says   string
		args   []string
	}{
		{2, "--country: is no assigned code of ISO 3166-1", append(register, "--country", "UK")},
		{2, "--processing #2: is no assigned code", append(register, "--processing", "BE,EU")},
		{2, "--notice: must be an https address", append(register, "--notice", "http://x")},
		{2, "--group: must be a valid UUID", append(register, "--group", "g")},
		{1, "obole: the legal entity has an account already, and there is one for each (--entity: is registered under another account) [BUYER_EXISTS]\n", register},
		{2, "obole: --country: is not of the form BE\n", append(register, "--country", "Belgium")},
		{2, "is a buyer's id: its key file is needed", append(slices.Clone(registering), "--buyer", nobody)},
		{2, "is no key file", []string{"buyer", "show", "--buyer", prose}},
		{1, "[BUYER_UNKNOWN]", []string{"buyer", "vet", nobody}},
		{2, "--group: must be a valid UUID", []string{"buyer", "vet", key, "--group", "g"}},
		{2, "--reason: is not of the form FRAUD", []string{"buyer", "suspend", nobody, "--reason", "they cheat"}},

		{1, "(--buyer: is not registered) [BUYER_UNKNOWN]", []string{"fund", "--buyer", nobody, "--reference", "X-1", "5 EUR"}},
		{1, "<amount>: this book keeps EUR) [CURRENCY_MISMATCH]", append(fund, "5 USD")},
		{2, "<amount>: must be more than 0", append(fund, "0 EUR")},
		{2, "obole: <amount>: must be more than 0\n", append(fund, "-5 EUR")},
		{2, "no more decimals than its currency has", append(fund, "5.001 EUR")},
		{2, "--value-date: is not of the form", append(fund, "5 EUR", "--value-date", "tomorrow")},
		{2, "--value-date: is no day of the calendar", append(fund, "5 EUR", "--value-date", "2026-02-31")},
		{2, "--key: must be at most 64 bytes", append(fund, "5 EUR", "--key", strings.Repeat("k", 65))},

		{2, "--price: is missing; --per-person: is missing", append([]string{"bid", "place"}, buyer...)},
		{1, "(--price: must be more than nothing) [TERMS_INVALID]", append(place, "--price", "0 EUR")},
		{1, "(--price: must be EUR) [CURRENCY_UNSUPPORTED]", append(place, "--price", "0.05 USD")},
		{1, "--field #4: is not in the product", append(place, "--field", "mood:exact")},
		{1, "(--cohort: must be at least 5", append(place, "--cohort", "2")},
		{1, "(--closes: must be ahead", append(place, "--closes", "100000h")},
		{2, "--days: is not of the form", append(place, "--days", "a..b")},
		{2, "--slots: must be greater than or equal to 1", append(place, "--slots", "0")},
		{2, "terms.recipients[0].country in " + bid, append(place, bid)},
		{2, prose + ": syntax error", append(place, prose)},
		{2, "<bid>: must be a valid UUID", append([]string{"bid", "withdraw", "x"}, buyer...)},
		{2, "--bid: must be a valid UUID", append([]string{"receive", "list", "--bid", "x"}, buyer...)},
		{2, "there is no delivery x", append([]string{"receive", "--out", dir, "x"}, buyer...)},
		{1, "(<product>: is not in the catalogue)", []string{"products", "dreams"}},

		{2, "--country: is no assigned code", []string{"enrol", "--country", "UK"}},
		{2, "--language: is no language tag", []string{"enrol", "--country", "BE", "--language", "English"}},
		{2, "--born: must be a day of the calendar", []string{"enrol", "--country", "BE", "--born", "1990-02-31"}},
		{2, "--subscriber: must be a valid UUID", []string{"enrol", "--country", "BE", "--subscriber", "me"}},
		{1, "(--subscriber: was never enrolled) [SUBSCRIBER_UNKNOWN]", append(bring, "--subscriber", nobody, prose)},
		{2, "[FORMAT_UNKNOWN]", append(bring, prose)},
		{2, `--importer must be one of "fitabase-csv","withings-json","points" but got "fitbit"`, append(bring, "--importer", "fitbit", prose)},
		{2, "obole: the file has no rows of that person (file: dailyActivity_merged.csv; --person: is not in the file)", append(bring, "--person", "42", filepath.Join("..", "..", "testdata", "fitabase", "dailyActivity_merged.csv"))},
		{2, "--route: only the operator", append(bring, "--route", "operator", prose)},
		{2, "is a directory", append(bring, dir)},

		{2, "<agreement>: must be a valid UUID", append([]string{"consent", "withdraw", "x"}, as...)},
		{1, "[CONSENT_UNKNOWN]", append([]string{"consent", "resume", nobody}, as...)},
		{1, "no consent " + nobody + " is known: if it was accepted a moment ago, it will begin paused", append([]string{"consent", "pause", nobody}, as...)},
		{1, "no consent " + nobody + " is known: if it was accepted a moment ago, it will be refused", append([]string{"consent", "withdraw", nobody}, as...)},
		{2, "say which rules there are to be", append([]string{"consent", "rules", "set"}, as...)},
		{2, "--floor dreams: there is no such product", append([]string{"consent", "rules", "set", "--floor", "dreams=1 EUR"}, as...)},
		{2, "--never-product dreams: there is no such product", append([]string{"consent", "rules", "set", "--never-product", "dreams"}, as...)},
		{2, "--never-buyer #1: must be", append([]string{"consent", "rules", "set", "--never-buyer", "x"}, as...)},
		{2, `unknown field "max"`, append([]string{"consent", "rules", "set", rules}, as...)},

		{2, "<owner>: is missing", []string{"finance", "statement", "buyer-available"}},
		{1, "[CURSOR_UNKNOWN]", []string{"finance", "replay", "--after", "99999"}},
		{2, "--addr shop: want one of offers", []string{"--addr", "shop=127.0.0.1:1", "buyer", "list"}},
		{2, "--token-file: ", []string{"--token-file", filepath.Join(dir, "none"), "buyer", "list"}},
		{2, "--policy: ", []string{"up", "--policy", filepath.Join(dir, "none")}},
	} {
		s.fails(tc.status, tc.says, tc.args...)
	}
	if out, _, status := s.run(append(append(append([]string{"bid", "try"}, buyer...), asking...), "--purpose", "InsurancePricing", "--cohort", "2")...); status != client.ExitFailed ||
		!strings.Contains(out, "--purpose") || !strings.Contains(out, "--cohort") || strings.Contains(out, "people") {
		s.t.Errorf("a bid with two faults: status %d, %s", status, out)
	}
}

// spare is the text of another buyer's key file.
func (s shell) spare(dir string) string {
	s.t.Helper()
	name := filepath.Join(dir, "spare.key")
	s.ok("keys", name)
	text, err := os.ReadFile(name)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(text)
}
