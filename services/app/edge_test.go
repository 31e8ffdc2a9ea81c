package app_test

import (
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/services/app"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// TestEveryAnswerHoldsTheBrowser to this origin: pages, files, data, refusals, what is not there, and redirects.
func TestEveryAnswerHoldsTheBrowser(t *testing.T) {
	t.Parallel()
	for _, secure := range []bool{true, false} {
		w := open(t, func(c *app.Config) {
			if secure {
				withTLS(t)(c)
			}
		})
		b := w.browser(t)
		b.SignIn("Ada <of Namur>", "/")
		for _, a := range []worldtest.Answer{
			b.Get("/"), b.Get("/data"), b.Get("/console/bids/1"), b.Get("/api/config"), b.Get("/api/privacy"), b.Get("/api/me"), b.Get("/nowhere"),
			b.Get("/api/health"), b.Post("/rpc/obole.consent.v1.ConsentService/GetRules", "application/json", []byte("{}")), b.Post("/import", "", nil), b.Get("/rpc/x"),
			b.Post("/", "", nil),
		} {
			for name, want := range map[string]string{
				"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer", "Cross-Origin-Opener-Policy": "same-origin",
				"Cross-Origin-Resource-Policy": "same-origin", "Access-Control-Allow-Origin": "",
			} {
				if got := a.Header.Get(name); got != want {
					t.Errorf("%s: %s is %q", a.URL, name, got)
				}
			}
			csp := a.Header.Get("Content-Security-Policy")
			for _, rule := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
				if !strings.Contains(csp, rule) {
					t.Errorf("%s: the policy lacks %s", a.URL, rule)
				}
			}
			if strings.Contains(csp, "unsafe") || strings.Contains(csp, "*") || strings.Contains(csp, "http") {
				t.Errorf("%s: the policy is %s", a.URL, csp)
			}
			if !strings.Contains(a.Header.Get("Permissions-Policy"), "geolocation=()") {
				t.Errorf("%s: Permissions-Policy %q", a.URL, a.Header.Get("Permissions-Policy"))
			}
			if hsts := a.Header.Get("Strict-Transport-Security"); secure == (hsts == "") {
				t.Errorf("%s: over TLS is %v, and Strict-Transport-Security %q", a.URL, secure, hsts)
			}
		}
	}
}

// TestWhatIsKept: nothing that is about somebody; the page's text only as long as it is asked after.
func TestWhatIsKept(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	b := w.browser(t)
	b.SignIn("Ada <of Namur>", "/")
	for to, want := range map[string]string{
		"/": "no-cache", "/money": "no-cache", "/api/me": "no-store", "/api/config": "no-store", "/api/privacy": "no-cache", "/api/health": "no-store",
		"/.well-known/gpc.json": "public, max-age=86400", "/nowhere": "no-store",
	} {
		if got := b.Get(to).Header.Get("Cache-Control"); got != want {
			t.Errorf("%s: %q, want %q", to, got, want)
		}
	}
	if got := b.Post("/rpc/obole.consent.v1.ConsentService/GetRules", "application/json", []byte("{}")); got.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("an RPC: %v", got.Header)
	}
	page := b.Get("/offers/1")
	r := b.Request(http.MethodGet, "/offers/1", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	packed := b.Do(r)
	z, err := gzip.NewReader(strings.NewReader(packed.Body))
	if err != nil || packed.Header.Get("Content-Encoding") != "gzip" {
		t.Fatalf("asked for gzip: %v, %v", packed.Header, err)
	}
	if plain, err := io.ReadAll(z); err != nil || string(plain) != page.Body {
		t.Errorf("gzip holds other text: %v", err)
	}
	r = b.Request(http.MethodGet, "/offers/1", nil)
	r.Header.Set("If-None-Match", page.Header.Get("ETag"))
	r.Header.Set("Accept-Encoding", "identity")
	if page.Header.Get("ETag") == "" {
		t.Error("the page has no ETag")
	}
	if again := b.Get("/"); again.Header.Get("ETag") != page.Header.Get("ETag") {
		t.Error("one page has two ETags")
	}
}

// TestOtherSitesChangeNothing: neither by a form nor by a script, whatever cookie the browser would send.
func TestOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	b := w.browser(t)
	b.SignIn("Ada <of Namur>", "/")
	for name, headers := range map[string]map[string]string{
		"a form of another site":        {"Origin": "https://other.example", "Sec-Fetch-Site": "cross-site"},
		"another port of this machine":  {"Origin": "http://127.0.0.1:1", "Sec-Fetch-Site": "same-site"},
		"a browser without fetch sites": {"Origin": "https://other.example", "Sec-Fetch-Site": ""},
		"no origin that it says":        {"Origin": "null", "Sec-Fetch-Site": ""},
	} {
		for _, to := range []string{"/logout", "/import", "/rpc/obole.consent.v1.ConsentService/Withdraw"} {
			r := b.Request(http.MethodPost, to, strings.NewReader("{}"))
			r.Header.Set("Content-Type", "application/json")
			for k, v := range headers {
				r.Header.Set(k, v)
				if v == "" {
					r.Header.Del(k)
				}
			}
			if got := b.Do(r); got.Status != http.StatusForbidden || !strings.Contains(got.Body, "another site") {
				t.Errorf("%s, %s: %d %s", name, to, got.Status, got.Body)
			}
		}
	}
	me(t, b)
}

// TestAnotherHostIsNotThisOne: a name that somebody points here has no answer; another name of the loopback leads to the one that counts.
func TestAnotherHostIsNotThisOne(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	b := w.browser(t)
	port := w.page[strings.LastIndexByte(w.page, ':'):]
	for host, want := range map[string]int{"other.example": http.StatusMisdirectedRequest, "other.example" + port: http.StatusMisdirectedRequest, "127.0.0.1:1": http.StatusMisdirectedRequest} {
		r := b.Request(http.MethodGet, "/", nil)
		r.Host = host
		if got := b.Do(r); got.Status != want || got.Header.Get("Content-Security-Policy") == "" {
			t.Errorf("%s: %d", host, got.Status)
		}
	}
	r := b.Request(http.MethodGet, "/offers?x=1", nil)
	r.Host = "localhost" + port
	if got := b.Do(r); got.URL != w.page+"/offers?x=1" || got.Status != http.StatusOK {
		t.Errorf("localhost leads to %s, %d", got.URL, got.Status)
	}
	r = b.Request(http.MethodPost, "/logout", nil)
	r.Host = "localhost" + port
	if got := b.Do(r); got.Status != http.StatusMisdirectedRequest {
		t.Errorf("a post to localhost: %d", got.Status)
	}
}

// TestCallsAreLimited by session, by address and for signing in, and say when to come back.
func TestCallsAreLimited(t *testing.T) {
	t.Parallel()
	frozen := time.Now()
	w := open(t, func(c *app.Config) {
		c.Calls = app.CallsConfig{Session: 5, Address: 1000, Logins: 3}
		c.Seams.Now = func() time.Time { return frozen } // nothing comes back while the test counts
	})
	b, other := w.browser(t), w.browser(t)
	b.SignIn("Ada <of Namur>", "/")
	other.SignIn("Finance", "/")
	limited := func(what string, allowed int, call func() worldtest.Answer) {
		t.Helper()
		for n := range allowed {
			if got := call(); got.Status == http.StatusTooManyRequests {
				t.Fatalf("%s: call %d is refused", what, n+1)
			}
		}
		a := call()
		if got := reason(t, a, http.StatusTooManyRequests); got != "RATE_EXCEEDED" || a.Header.Get("Retry-After") != "1" || !strings.Contains(a.Body, "google.rpc.RetryInfo") {
			t.Errorf("%s: %s, %v", what, a.Body, a.Header)
		}
	}
	limited("a session", 10, func() worldtest.Answer { return b.Get("/api/me") })
	limited("a session's RPCs", 0, func() worldtest.Answer {
		return b.Post("/rpc/obole.consent.v1.ConsentService/GetRules", "application/json", []byte("{}"))
	})
	me(t, other)                                                                              // which is another session
	limited("signing in", 2, func() worldtest.Answer { return b.Get("/login/done?state=x") }) // four of six are spent
	proxied := open(t, func(c *app.Config) {
		c.Calls.Address, c.Proxies = 2, []string{"127.0.0.0/8"}
		c.Seams.Now = func() time.Time { return frozen }
	})
	p := proxied.browser(t)
	for n, from := range []string{"192.0.2.1", "192.0.2.2", "6.6.6.6, 192.0.2.3", "2001:db8::1"} {
		limited(fmt.Sprint("address ", n), 4, func() worldtest.Answer {
			r := p.Request(http.MethodGet, "/api/config", nil)
			r.Header.Set("X-Forwarded-For", from)
			return p.Do(r)
		})
	}
	for _, same := range []string{"7.7.7.7, 192.0.2.3", "2001:db8::2"} { // what a caller says of itself counts for nothing; a household is one
		r := p.Request(http.MethodGet, "/api/config", nil)
		r.Header.Set("X-Forwarded-For", same)
		if got := p.Do(r); got.Status != http.StatusTooManyRequests {
			t.Errorf("%s: %d", same, got.Status)
		}
	}
}

// TestGPCIsSeen and reflected.
func TestGPCIsSeen(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	b := w.browser(t)
	b.SignIn("Ada <of Namur>", "/")
	for _, to := range []string{"/api/me", "/api/config"} {
		r := b.Request(http.MethodGet, to, nil)
		r.Header.Set("Sec-GPC", "1")
		if got := b.Do(r); !strings.Contains(got.Body, `"gpc":true`) {
			t.Errorf("%s: %s", to, got.Body)
		}
		if got := b.Get(to); !strings.Contains(got.Body, `"gpc":false`) {
			t.Errorf("%s without the signal: %s", to, got.Body)
		}
	}
	if got := b.Get("/.well-known/gpc.json"); !strings.Contains(got.Body, `"gpc":true`) {
		t.Errorf("gpc.json: %s", got.Body)
	}
}

// TestServicesOutOfReach: the page learns that a service is away, and not where it would be.
func TestServicesOutOfReach(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	b := w.browser(t)
	b.SignIn("Ada <of Namur>", "/")
	a := b.Post("/rpc/obole.offers.v1.OffersService/ListOffers", "application/json", []byte(`{"subscriberId":"`+ada+`"}`))
	if a.Status != http.StatusServiceUnavailable || !strings.Contains(a.Body, "offers cannot be reached") || strings.Contains(a.Body, "127.0.0.1") || a.Header.Get("Cache-Control") != "no-store" {
		t.Errorf("an RPC: %d %s", a.Status, a.Body)
	}
	a = b.Post("/import?source="+ada, "", []byte("x"))
	if a.Status != http.StatusServiceUnavailable || strings.Contains(a.Body, "127.0.0.1") {
		t.Errorf("a file: %d %s", a.Status, a.Body)
	}
	b.SignIn("Finance", "/")
	a = b.Get("/api/health")
	if a.Status != http.StatusOK || strings.Count(a.Body, `"reachable":false`) != 4 || !strings.Contains(a.Body, `{"name":"consent","reachable":false}`) {
		t.Errorf("health: %d %s", a.Status, a.Body)
	}
}

// TestConfigurationThatCannotWork is refused at the start.
func TestConfigurationThatCannotWork(t *testing.T) {
	t.Parallel()
	good := func() app.Config {
		c := app.Config{Config: boot.Config{Auth: boot.Auth{Issuer: "http://127.0.0.1:1"}, Peers: map[string]string{}}}
		c.Seams.Log = t.Output()
		for _, s := range worldtest.Services {
			c.Peers[s] = "127.0.0.1:1"
		}
		return c
	}
	for says, change := range map[string]func(*app.Config){
		"over https, or on a loopback":  func(c *app.Config) { c.URL = "http://data.operator.example" },
		"want https:// and a host":      func(c *app.Config) { c.URL = "https://data.operator.example/here" },
		"names no address for delivery": func(c *app.Config) { delete(c.Peers, "delivery") },
		"want networks":                 func(c *app.Config) { c.Proxies = []string{"10.0.0.1"} },
		"issuer, audience and clock":    func(c *app.Config) { c.Auth.Issuer = "" },
		"notice: open":                  func(c *app.Config) { c.Operator = "/nonexistent/operator.json" },
		"policy:":                       func(c *app.Config) { c.Policy = "/nonexistent/policy" },
		"catalog:":                      func(c *app.Config) { c.Products = "/nonexistent/products" },
	} {
		c := good()
		change(&c)
		if err := app.Run(t.Context(), c); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", says, err)
		}
	}
}
