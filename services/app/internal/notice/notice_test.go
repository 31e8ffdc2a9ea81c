package notice

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/policy"
)

// today is a day on which the packs built in apply.
func today() time.Time { return time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC) }

func open(t *testing.T, change func(*Options)) *Notice {
	t.Helper()
	n, err := Open(options(t, change))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func options(t *testing.T, change func(*Options)) Options {
	t.Helper()
	products, err := catalog.Open("")
	if err != nil {
		t.Fatal(err)
	}
	rules, err := policy.Open("")
	if err != nil {
		t.Fatal(err)
	}
	o := Options{
		Catalog: products, Rules: rules, Cookies: [2]string{"a-session", "a-login"}, Life: time.Hour, Idle: 30 * time.Minute, Login: 10 * time.Minute,
		Most: 7, Now: today,
	}
	if change != nil {
		change(&o)
	}
	return o
}

// TestTheNewestVersionIsWhatIsMade: whoever changes a product, a pack, the operator or a word of the policy says what has changed, in every
// language, under a version of its own.
func TestTheNewestVersionIsWhatIsMade(t *testing.T) {
	t.Parallel()
	n := open(t, nil)
	digest, err := n.digest()
	if err != nil {
		t.Fatal(err)
	}
	if digest != n.history[0].Digest {
		t.Errorf("the policy is not version %s any more: put a new one before it into history.json, with what has changed and digest %s", n.history[0].Version, digest)
	}
	for i, c := range n.history {
		if _, err := time.Parse(time.DateOnly, c.Since); err != nil || i > 0 && c.Since > n.history[i-1].Since {
			t.Errorf("version %s: since %q", c.Version, c.Since)
		}
		for _, lang := range Languages {
			if len(c.What[lang]) == 0 || len(c.What[lang]) != len(c.What["en"]) {
				t.Errorf("version %s says in %q: %q", c.Version, lang, c.What[lang])
			}
		}
	}
}

var places = regexp.MustCompile(`\{\w+\}`)

// TestEveryMessageStandsInEveryLanguage, has the same places, and is used; and none that is asked for is missing.
func TestEveryMessageStandsInEveryLanguage(t *testing.T) {
	t.Parallel()
	n := open(t, nil)
	english, err := wordsOf("en")
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range Languages {
		w, err := wordsOf(lang)
		if err != nil {
			t.Fatal(err)
		}
		w.say("title")
		composed, err := json.Marshal(n.compose(w, n.Cookies))
		if err != nil {
			t.Fatal(err)
		}
		if left := places.FindAllString(string(composed), -1); len(left) > 0 {
			t.Errorf("%s: nothing was put into %q", lang, left)
		}
		for key := range w.used {
			if w.all[key] == "" {
				t.Errorf("%s: no message %q", lang, key)
			}
		}
		for key, text := range w.all {
			if !w.used[key] && key != "common.no" { // all products that are built in are about health
				t.Errorf("%s: nobody asks for %q", lang, key)
			}
			one, other := places.FindAllString(text, -1), places.FindAllString(english.all[key], -1)
			slices.Sort(one)
			slices.Sort(other)
			if !slices.Equal(one, other) {
				t.Errorf("%s: %q has the places %q, in English %q", lang, key, one, other)
			}
			if lang != "en" && len(text) > 25 && text == english.all[key] {
				t.Errorf("%s: %q is not translated", lang, key)
			}
		}
		if len(w.all) != len(english.all) {
			t.Errorf("%s has %d messages, English %d", lang, len(w.all), len(english.all))
		}
	}
}

// TestSectionsThatAPersonMustFind: they are there, in every language, and say what the files say.
func TestSectionsThatAPersonMustFind(t *testing.T) {
	t.Parallel()
	n := open(t, nil)
	for _, lang := range Languages {
		e, err := n.current(lang)
		if err != nil {
			t.Fatal(err)
		}
		var ids []string
		for _, s := range e.Sections {
			ids = append(ids, s.ID)
			if s.Title == "" || len(s.Blocks) == 0 {
				t.Errorf("%s: section %s is empty", lang, s.ID)
			}
			for _, b := range s.Blocks {
				for _, row := range b.Rows {
					if len(row) != len(b.Head) || slices.Contains(row, "") {
						t.Errorf("%s: section %s has the row %q under %q", lang, s.ID, row, b.Head)
					}
				}
			}
		}
		if want := []string{"who", "data", "purposes", "sharing", "cookies", "security", "rights", "children"}; !slices.Equal(ids, want) {
			t.Errorf("%s: sections %q", lang, ids)
		}
		text := string(e.body)
		for _, says := range []string{"a-session", "a-login", "Code de la sante publique, article L1111-8", "dpo@operator.example", "https://www.cnil.fr", "72", "3650"} {
			if !strings.Contains(text, says) {
				t.Errorf("%s: the policy does not say %q", lang, says)
			}
		}
		rows := 0
		for _, p := range n.Catalog.Products() {
			rows += len(p.Fields)
		}
		if got := len(e.Sections[1].Blocks[2].Rows); got != rows {
			t.Errorf("%s: %d fields of %d are listed", lang, got, rows)
		}
	}
}

// TestOtherFilesAreAnotherVersion, and a day on which another pack begins is too.
func TestOtherFilesAreAnotherVersion(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for country, b := range packs(t) {
		b["dispute_days"] = map[string]any{"value": 3, "source": "house"}
		b["retention_days"] = map[string]any{"value": 30, "source": "house"}
		write(t, filepath.Join(dir, country+"-old.json"), b)
		b["retention_days"] = map[string]any{"value": 31, "source": "house"}
		b["from"], b["version"] = "2026-11-27", "2026-11-27"
		write(t, filepath.Join(dir, country+"-new.json"), b)
	}
	rules, err := policy.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	now := today()
	n := open(t, func(o *Options) { o.Rules, o.Now = rules, func() time.Time { return now } })
	one, err := n.current("en")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(one.Version, "3-") || !strings.Contains(string(one.body), "30 days") {
		t.Errorf("version %s", one.Version)
	}
	now = now.AddDate(0, 0, 1)
	two, err := n.current("en")
	if err != nil {
		t.Fatal(err)
	}
	if two.Version == one.Version || !strings.Contains(string(two.body), "31 days") || two.etag == one.etag {
		t.Errorf("the day after: version %s", two.Version)
	}
}

func packs(t *testing.T) map[string]map[string]any {
	t.Helper()
	all := map[string]map[string]any{}
	for _, country := range options(t, nil).Rules.Countries() {
		p, err := options(t, nil).Rules.At(country, today())
		if err != nil {
			t.Fatal(err)
		}
		b, err := json.Marshal(p)
		if err != nil {
			t.Fatal(err)
		}
		m := map[string]any{}
		if err := json.Unmarshal(b, &m); err != nil {
			t.Fatal(err)
		}
		all[country] = m
	}
	return all
}

func write(t *testing.T, name string, value any) {
	t.Helper()
	b, err := json.Marshal(value)
	if err == nil {
		err = os.WriteFile(name, b, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestOperatorsFile: the operator's own words, and what is wrong with them.
func TestOperatorsFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "operator.json")
	good := func() map[string]any {
		return map[string]any{
			"name": "Telco SA", "country": "ES", "address": "Calle 1", "dpo": "https://telco.example/dpo",
			"changes": []any{map[string]any{"version": "2", "since": "2026-12-01", "what": map[string]any{"en": []any{"a"}, "fr": []any{"b"}, "es": []any{"c"}}}},
		}
	}
	write(t, file, good())
	n := open(t, func(o *Options) { o.Operator = file })
	e, err := n.current("es")
	if err != nil {
		t.Fatal(err)
	}
	if e.Since != "2026-12-01" || e.Changes[0].What[0] != "c" || !strings.Contains(string(e.body), "https://telco.example/dpo") {
		t.Errorf("%s", e.body)
	}
	for name, change := range map[string]func(map[string]any){
		"dpo":     func(m map[string]any) { m["dpo"] = "" },
		"country": func(m map[string]any) { m["country"] = "XX" },
		"unknown": func(m map[string]any) { m["phone"] = "1" },
		"no French": func(m map[string]any) {
			m["changes"].([]any)[0].(map[string]any)["what"] = map[string]any{"en": []any{"a"}}
		},
		"since": func(m map[string]any) { m["changes"].([]any)[0].(map[string]any)["since"] = "soon" },
	} {
		m := good()
		change(m)
		write(t, file, m)
		if _, err := Open(options(t, func(o *Options) { o.Operator = file })); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// TestLanguageAndCaching: the language asked for, else the browser's; kept as long as it is asked after.
func TestLanguageAndCaching(t *testing.T) {
	t.Parallel()
	n := open(t, nil)
	for _, c := range []struct{ query, accept, want string }{
		{"", "fr-BE,fr;q=0.9,en;q=0.8", "fr"}, {"", "de", "en"}, {"", "", "en"}, {"es", "fr", "es"}, {"es-MX", "", "es"}, {"?!", "fr", "en"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/privacy", nil)
		r.URL.RawQuery = "lang=" + strings.ReplaceAll(c.query, "?", "%3F")
		r.Header.Set("Accept-Language", c.accept)
		w := httptest.NewRecorder()
		n.Privacy(w, r)
		var p Policy
		if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Language != c.want || w.Header().Get("Content-Language") != c.want {
			t.Errorf("%+v: %s, %v", c, p.Language, err)
		}
		r.Header.Set("If-None-Match", w.Header().Get("ETag"))
		again := httptest.NewRecorder()
		n.Privacy(again, r)
		if again.Code != http.StatusNotModified || again.Body.Len() != 0 {
			t.Errorf("%+v: asked again, %d", c, again.Code)
		}
	}
}

// TestConfigReflectsGPC: the page sees that the signal was seen.
func TestConfigReflectsGPC(t *testing.T) {
	t.Parallel()
	n := open(t, nil)
	for header, want := range map[string]bool{"": false, "1": true, "0": false} {
		r := httptest.NewRequest(http.MethodGet, "/api/config", nil)
		if header != "" {
			r.Header.Set("Sec-GPC", header)
		}
		w := httptest.NewRecorder()
		n.Config(w, r)
		var got struct {
			GPC         bool
			Authorities []Authority
			Operator    map[string]any
			Import      map[string]int64
			Privacy     map[string]string
		}
		if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || got.GPC != want {
			t.Errorf("Sec-GPC %q: %v, %v", header, got.GPC, err)
		}
		if len(got.Authorities) != len(n.Rules.Countries()) || got.Operator["synthetic"] != true || got.Import["max_bytes"] != 7 || got.Privacy["version"] != "3" {
			t.Errorf("%s", w.Body)
		}
		if w.Header().Get("Cache-Control") != "no-store" || !strings.Contains(w.Header().Get("Vary"), "Sec-GPC") {
			t.Errorf("headers %v", w.Header())
		}
	}
	w := httptest.NewRecorder()
	n.GPC(w, httptest.NewRequest(http.MethodGet, "/.well-known/gpc.json", nil))
	if got := strings.TrimSpace(w.Body.String()); got != `{"gpc":true,"lastUpdate":"`+n.history[len(n.history)-1].Since+`"}` {
		t.Errorf("gpc.json: %s", got)
	}
}
