package app_test

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/obole-market/obole/services/app"
)

// TestSignIn is the whole way, as a browser goes it: to the issuer and back, with a cookie that scripts cannot read and other sites do not
// send; the tokens never reach the browser.
func TestSignIn(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*app.Config)
		cookie func(page string) string
	}{
		"over TLS":      {withTLS(t), func(string) string { return "__Host-obole-session" }},
		"on a loopback": {nil, func(page string) string { return "obole-session-" + page[strings.LastIndexByte(page, ':')+1:] }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := open(t, c.change)
			b := w.browser(t)
			if got := reason(t, b.Get("/api/me"), http.StatusUnauthorized); got != "TOKEN_MISSING" {
				t.Errorf("before: %s", got)
			}
			if a := b.Get("/api/session"); a.Status != http.StatusOK || strings.TrimSpace(a.Body) != "{}" || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("whether anybody is there: %d %s", a.Status, a.Body)
			}
			if at := b.SignIn("Ada <of Namur>", "/offers?x=1"); at.URL != w.page+"/offers?x=1" || at.Status != http.StatusOK {
				t.Errorf("signing in ends at %s, %d", at.URL, at.Status)
			}
			cookie := b.Cookie(c.cookie(w.page))
			if cookie == nil || !cookie.HttpOnly || !cookie.Secure || cookie.SameSite != http.SameSiteStrictMode || cookie.Path != "/" || cookie.Domain != "" ||
				cookie.MaxAge < 3000 || cookie.MaxAge > 3600 || len(cookie.Value) != 43 {
				t.Fatalf("the cookie: %+v", cookie)
			}
			if left := b.Cookie(strings.Replace(cookie.Name, "session", "login", 1)); left != nil {
				t.Errorf("the cookie of signing in is left: %+v", left)
			}
			got := me(t, b)
			roles, _ := got["roles"].([]any)
			if got["subject"] != ada || got["name"] != "Ada <of Namur>" || !slices.Equal(roles, []any{"subscriber"}) || got["idle_seconds"] != 1800.0 || got["gpc"] != false {
				t.Errorf("me: %v", got)
			}
			if a := b.Get("/api/session"); a.Status != http.StatusOK || !strings.Contains(a.Body, `"subject":"`+ada+`"`) || a.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("who is there: %d %s", a.Status, a.Body)
			}
			ends, err := time.Parse(time.RFC3339, got["ends"].(string))
			if err != nil || time.Until(ends) > time.Hour || time.Until(ends) < 50*time.Minute {
				t.Errorf("it ends %v", got["ends"])
			}
			for _, a := range b.Saw() {
				all := a.Body + a.Header.Get("Set-Cookie") + a.Header.Get("Location") + a.URL
				if strings.Contains(all, "eyJ") {
					t.Errorf("%s: a token reaches the browser", a.URL)
				}
			}
		})
	}
}

// TestSignOut: at once, here or everywhere, and what the page has stored goes.
func TestSignOut(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	here, there, other := w.browser(t), w.browser(t), w.browser(t)
	here.SignIn("Ada <of Namur>", "/")
	there.SignIn("Ada <of Namur>", "/")
	other.SignIn("Finance", "/")
	name := "obole-session-" + w.page[strings.LastIndexByte(w.page, ':')+1:]
	kept := here.Cookie(name).Value

	out := here.Post("/logout", "", nil)
	if out.Status != http.StatusOK || strings.TrimSpace(out.Body) != `{"to":"/"}` || out.Header.Get("Clear-Site-Data") != `"storage"` {
		t.Errorf("signing out: %d %s %v", out.Status, out.Body, out.Header)
	}
	if got := reason(t, here.Get("/api/me"), http.StatusUnauthorized); got != "TOKEN_MISSING" {
		t.Errorf("after: %s", got)
	}
	here.Forge(name, kept)
	if got := reason(t, here.Get("/api/me"), http.StatusUnauthorized); got != "TOKEN_INVALID" {
		t.Errorf("with the cookie that was kept: %s", got)
	}
	me(t, there)
	here.SignIn("Ada <of Namur>", "/")
	here.Post("/logout?everywhere=true", "", nil)
	if got := reason(t, there.Get("/api/me"), http.StatusUnauthorized); got != "TOKEN_INVALID" {
		t.Errorf("elsewhere: %s", got)
	}
	me(t, other)
	if got := here.Post("/logout", "", nil); got.Status != http.StatusOK {
		t.Errorf("signing out twice: %d", got.Status)
	}
}

// TestSessionsEnd without requests, and at last in any case; whoever signs in anew gets another one.
func TestSessionsEnd(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	b := w.browser(t)
	b.SignIn("Finance", "/")
	for range 2 {
		w.move(20 * time.Minute)
		me(t, b) // a request in time keeps it
	}
	w.move(20 * time.Minute)
	if got := reason(t, b.Get("/api/me"), http.StatusUnauthorized); got != "TOKEN_EXPIRED" {
		t.Errorf("after an hour: %s", got)
	}
	b.SignIn("Finance", "/")
	w.move(31 * time.Minute)
	if got := reason(t, b.Get("/api/me"), http.StatusUnauthorized); got != "TOKEN_EXPIRED" {
		t.Errorf("after half an hour without a request: %s", got)
	}
	b.SignIn("Finance", "/")
	me(t, b)
}

// TestForgedCookies are of no session: guessed, cut, of the wrong shape, or two at a time.
func TestForgedCookies(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	b := w.browser(t)
	b.SignIn("Finance", "/")
	name := "obole-session-" + w.page[strings.LastIndexByte(w.page, ':')+1:]
	good := b.Cookie(name).Value
	for what, value := range map[string]string{
		"guessed": strings.Repeat("A", 43), "cut": good[:42], "longer": good + "A", "of another shape": "%00", "padded": good + "=",
		"the same bits in another spelling": good[:42] + string(spelled(good[42])),
	} {
		b.Forge(name, value)
		if got := reason(t, b.Get("/api/me"), http.StatusUnauthorized); got != "TOKEN_INVALID" {
			t.Errorf("%s: %s", what, got)
		}
	}
	b.Forge(name, good)
	me(t, b)
	r := b.Request(http.MethodGet, "/api/me", nil)
	r.Header.Set("Cookie", name+"="+strings.Repeat("A", 43)) // beside the good one
	if got := reason(t, b.Do(r), http.StatusUnauthorized); got != "TOKEN_MISSING" {
		t.Errorf("two cookies: %s", got)
	}
}

// spelled is another character of base64 that differs in bits that 43 characters have too many.
func spelled(c byte) byte {
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	return alphabet[strings.IndexByte(alphabet, c)^1]
}

// TestWaysBackThatAreRefused: whoever did not begin here, or too long ago, or is refused by the issuer, comes to the page and is not signed in.
func TestWaysBackThatAreRefused(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *app.Config) { c.Calls.Logins = 100 })
	b := w.browser(t)
	state := func() string {
		t.Helper()
		page := b.Get("/login")
		u, err := url.Parse(page.URL)
		if err != nil || u.Query().Get("state") == "" || u.Query().Get("code_challenge_method") != "S256" || u.Query().Get("nonce") == "" {
			t.Fatalf("signing in leads to %s", page.URL)
		}
		return u.Query().Get("state")
	}
	back := func(q url.Values) string {
		t.Helper()
		return strings.TrimPrefix(b.Get("/login/done?"+q.Encode()).URL, w.page)
	}
	issuerIs := []string{w.issuer.URL()}
	for name, c := range map[string]struct {
		q    func() url.Values
		want string
	}{
		"another's state":       {func() url.Values { state(); return url.Values{"state": {"x"}, "code": {"y"}, "iss": issuerIs} }, "/?login=stale"},
		"refused by the issuer": {func() url.Values { return url.Values{"state": {state()}, "error": {"access_denied"}, "iss": issuerIs} }, "/?login=denied"},
		"a code of nobody":      {func() url.Values { return url.Values{"state": {state()}, "code": {"y"}, "iss": issuerIs} }, "/?login=denied"},
		"another issuer": {func() url.Values {
			return url.Values{"state": {state()}, "code": {"y"}, "iss": {"https://other.example"}}
		}, "/?login=denied"},
		"no issuer": {func() url.Values { return url.Values{"state": {state()}, "code": {"y"}} }, "/?login=denied"},
		"too late": {func() url.Values {
			s := state()
			w.move(11 * time.Minute)
			return url.Values{"state": {s}, "code": {"y"}, "iss": issuerIs}
		}, "/?login=stale"},
		"twice": {func() url.Values {
			s := state()
			back(url.Values{"state": {s}, "error": {"access_denied"}})
			return url.Values{"state": {s}, "code": {"y"}, "iss": issuerIs}
		}, "/?login=stale"},
	} {
		if got := back(c.q()); got != c.want {
			t.Errorf("%s: sent to %s, want %s", name, got, c.want)
		}
		if got := reason(t, b.Get("/api/me"), http.StatusUnauthorized); got != "TOKEN_MISSING" {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestNobodyIsSentAstray: after signing in people come to a path of the page and nowhere else.
func TestNobodyIsSentAstray(t *testing.T) {
	t.Parallel()
	w := open(t, func(c *app.Config) { c.Calls.Logins = 100 })
	b := w.browser(t)
	for to, want := range map[string]string{
		"/money": "/money", "": "/", "https://other.example/": "/", "//other.example/": "/", `/\other.example`: "/", "/login?to=/": "/",
		"javascript:alert(1)": "/", "offers": "/", "/rpc/x": "/", "/data#y": "/data",
	} {
		at := b.SignIn("Finance", to)
		if got := strings.TrimPrefix(at.URL, w.page); got != want && got != want+"#y" {
			t.Errorf("to %q: ended at %q", to, at.URL)
		}
	}
}

// TestIssuerOutOfReach: the page says so, and the edge finds the issuer once it is there.
func TestIssuerOutOfReach(t *testing.T) {
	t.Parallel()
	silent := listen(t)
	at := "http://" + silent.Addr().String()
	_ = silent.Close() // nobody answers there
	w := open(t, func(c *app.Config) { c.Auth.Issuer = at })
	b := w.browser(t)
	if got := b.Get("/login"); got.URL != w.page+"/?login=unavailable" {
		t.Errorf("sent to %s", got.URL)
	}
}

// TestTheIssuersPageIsHeldToo to its own origin, and speaks the language that the page asks for.
func TestTheIssuersPageIsHeldToo(t *testing.T) {
	t.Parallel()
	w := open(t, nil)
	b := w.browser(t)
	page := b.Get("/login?lang=fr")
	if !strings.Contains(page.Body, `<html lang="fr">`) || !strings.Contains(page.Body, "Se connecter") {
		t.Errorf("in French: %s", page.Body)
	}
	want := "default-src 'none'; style-src 'self'; base-uri 'none'; frame-ancestors 'none'; form-action 'self' " + w.page
	if got := page.Header.Get("Content-Security-Policy"); got != want {
		t.Errorf("policy %q, want %q", got, want)
	}
	if strings.Contains(page.Body, "<style") || strings.Contains(page.Body, "style=") || strings.Contains(page.Body, "<script") {
		t.Error("the page has style or script in its text")
	}
	if css := b.Get(w.issuer.URL() + "/style.css"); css.Status != http.StatusOK || !strings.HasPrefix(css.Header.Get("Content-Type"), "text/css") {
		t.Errorf("its style sheet: %d", css.Status)
	}
}
