package worldtest

import (
	"bytes"
	"crypto/tls"
	"html"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// Browser is one as far as a page's edge can tell: it keeps cookies by the rules that matter (Secure, Max-Age, the host, whatever its
// port), says where its requests come from, and remembers what it was sent.
type Browser struct {
	t testing.TB
	// Page is the URL of the page that it looks at.
	Page   string
	client *http.Client

	mu      sync.Mutex
	cookies map[string]*http.Cookie // by host and name
	saw     []Answer
}

// Answer is what a server has sent, whole.
type Answer struct {
	URL    string
	Status int
	Header http.Header
	Body   string
}

// NewBrowser opens none of its pages yet. trust is how it knows servers over TLS, nil for none.
func NewBrowser(t testing.TB, page string, trust *tls.Config) *Browser {
	t.Helper()
	b := &Browser{t: t, Page: page, cookies: map[string]*http.Cookie{}}
	transport := &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: trust != nil}
	t.Cleanup(transport.CloseIdleConnections)
	b.client = &http.Client{Transport: transport, Jar: b, Timeout: 30 * time.Second}
	return b
}

// Client is for whoever speaks another protocol than this one does, with the same cookies.
func (b *Browser) Client() *http.Client { return b.client }

// SetCookies keeps what a server sets, as http.CookieJar wants it.
func (b *Browser) SetCookies(u *url.URL, all []*http.Cookie) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range all {
		key := u.Hostname() + " " + c.Name
		switch {
		case c.Secure && !secure(u), strings.HasPrefix(c.Name, "__Host-") && (u.Scheme != "https" || c.Path != "/" || c.Domain != "" || !c.Secure):
			b.t.Errorf("a browser does not take the cookie %s of %s", c.Name, u.Host)
		case c.MaxAge < 0:
			delete(b.cookies, key)
		default:
			b.cookies[key] = c
		}
	}
}

// Cookies are those for an address.
func (b *Browser) Cookies(u *url.URL) (all []*http.Cookie) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for key, c := range b.cookies {
		if strings.HasPrefix(key, u.Hostname()+" ") && (!c.Secure || secure(u)) && strings.HasPrefix(u.Path, c.Path) {
			all = append(all, &http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	return all
}

// Cookie is one that was set, nil for none; Forge puts another in its place.
func (b *Browser) Cookie(name string) *http.Cookie {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.cookies {
		if c.Name == name {
			return c
		}
	}
	return nil
}

// Forge sets a cookie's value, as only somebody with the browser's own means can.
func (b *Browser) Forge(name, value string) {
	u, err := url.Parse(b.Page)
	if err != nil {
		b.t.Fatal(err)
	}
	b.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: true, HttpOnly: true}})
}

func secure(u *url.URL) bool {
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Do sends a request as it is and reads the answer to its end.
func (b *Browser) Do(r *http.Request) Answer {
	b.t.Helper()
	resp, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	a := Answer{resp.Request.URL.String(), resp.StatusCode, resp.Header, string(body)}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.saw = append(b.saw, a)
	return a
}

// Saw is all that servers have sent.
func (b *Browser) Saw() []Answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.saw
}

// Get fetches an address, or a path of the page.
func (b *Browser) Get(to string) Answer {
	b.t.Helper()
	return b.Do(b.Request(http.MethodGet, to, nil))
}

// Post sends what the page itself sends.
func (b *Browser) Post(to, kind string, body []byte) Answer {
	b.t.Helper()
	r := b.Request(http.MethodPost, to, bytes.NewReader(body))
	if kind != "" {
		r.Header.Set("Content-Type", kind)
	}
	return b.Do(r)
}

// Request makes one that comes from the page.
func (b *Browser) Request(method, to string, body io.Reader) *http.Request {
	b.t.Helper()
	if strings.HasPrefix(to, "/") {
		to = b.Page + to
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, to, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if method != http.MethodGet {
		r.Header.Set("Origin", b.Page)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	return r
}

var button = regexp.MustCompile(`<button name="subject" value="([^"]+)">([^<]*)</button>`)

// Choices reads whom one can be on the issuer's page, by their names.
func (a Answer) Choices() map[string]string {
	all := map[string]string{}
	for _, m := range button.FindAllStringSubmatch(a.Body, -1) {
		all[html.UnescapeString(m[2])] = html.UnescapeString(m[1])
	}
	return all
}

// SignIn goes to the page's own way of signing in, and chooses somebody by name at the issuer. It ends where people end.
func (b *Browser) SignIn(name, to string) Answer {
	b.t.Helper()
	page := b.Get("/login?to=" + url.QueryEscape(to))
	subject := page.Choices()[name]
	if page.Status != http.StatusOK || subject == "" {
		b.t.Fatalf("signing in as %q: %d at %s, %s", name, page.Status, page.URL, page.Body)
	}
	r := b.Request(http.MethodPost, page.URL, strings.NewReader(url.Values{"subject": {subject}}.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.Do(r)
}
