// Package door is what every request passes before anything else is asked: headers that hold the browser to this origin, the host it
// means, whether the page itself sent it, and how often its address calls.
package door

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"golang.org/x/time/rate"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/services/app/internal/reply"
)

// Options of a Door.
type Options struct {
	// Page is where the page is served.
	Page *url.URL
	// Proxies are those whose X-Forwarded-For is believed.
	Proxies []netip.Prefix
	// Rate is calls a second of one address, bursts of twice as many; 0 means 200. Logins is the same for signing in; 0 means 5.
	Rate, Logins int
	Now          func() time.Time
}

// Door stands before a handler.
type Door struct {
	Options

	policy    string // Content-Security-Policy
	addresses *lru.Map[string, *rate.Limiter]
	logins    *lru.Map[string, *rate.Limiter]
	cross     *http.CrossOriginProtection
}

var errCross = fault.Denied("", "another site sent this request")

// addresses remembered for their rate; who was not heard of for longest is forgotten first.
const remembered = 1 << 14

// New makes a Door.
func New(o Options) *Door {
	if o.Rate == 0 {
		o.Rate = 200
	}
	if o.Logins == 0 {
		o.Logins = 5
	}
	d := &Door{
		Options: o, policy: policy(o.Page), cross: http.NewCrossOriginProtection(),
		addresses: lru.New[string, *rate.Limiter](remembered), logins: lru.New[string, *rate.Limiter](remembered),
	}
	d.cross.SetDenyHandler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reply.Refuse(w, r, errCross) }))
	return d
}

// policy lets the page load and call its own origin, and nothing else; a small image may stand in a style sheet. No script, no style in
// the text. Nobody may frame it.
func policy(page *url.URL) string {
	rules := []string{
		"default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'", "connect-src 'self'",
		"manifest-src 'self'", "worker-src 'self'", "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'",
	}
	if page.Scheme == "https" {
		rules = append(rules, "upgrade-insecure-requests")
	}
	return strings.Join(rules, "; ")
}

// unused are features of browsers that the page has no use for, as far as browsers know them by name.
var unused = func() string {
	features := []string{
		"accelerometer", "browsing-topics", "camera", "display-capture", "geolocation", "gyroscope", "hid",
		"idle-detection", "local-fonts", "magnetometer", "microphone", "midi", "payment", "serial", "usb",
		"xr-spatial-tracking",
	}
	for i, f := range features {
		features[i] = f + "=()"
	}
	return strings.Join(features, ", ")
}()

// Before stands before next.
func (d *Door) Before(next http.Handler) http.Handler {
	inner := d.cross.Handler(next)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d.headers(w.Header())
		if !d.host(w, r) {
			return
		}
		if err := admit(d.addresses, d.Address(r), d.Rate, d.Now()); err != nil {
			reply.Refuse(w, r, err)
			return
		}
		inner.ServeHTTP(w, r)
	})
}

func (d *Door) headers(h http.Header) {
	h.Set("Content-Security-Policy", d.policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Frame-Options", "DENY")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Origin-Agent-Cluster", "?1")
	h.Set("Permissions-Policy", unused)
	h.Set("Cache-Control", "no-store") // until a handler knows better
	if d.Page.Scheme == "https" {
		h.Set("Strict-Transport-Security", "max-age=63072000; includeSubDomains")
	}
}

// host refuses requests that mean another host: a name that somebody has pointed here must not become an origin of ours. Another name of
// the same loopback is sent to the one that cookies are for.
func (d *Door) host(w http.ResponseWriter, r *http.Request) bool {
	if r.Host == d.Page.Host {
		return true
	}
	name, port, err := net.SplitHostPort(r.Host)
	if err == nil && port == d.Page.Port() && Loopback(name) && Loopback(d.Page.Hostname()) && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		to := *r.URL
		to.Scheme, to.Host = d.Page.Scheme, d.Page.Host
		http.Redirect(w, r, to.String(), http.StatusTemporaryRedirect)
		return false
	}
	http.Error(w, "this is "+d.Page.Host, http.StatusMisdirectedRequest)
	return false
}

// Login stands before what signs people in: it asks the issuer, and whoever guesses begins here.
func (d *Door) Login(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := admit(d.logins, d.Address(r), d.Options.Logins, d.Now()); err != nil {
			reply.Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func admit(seen *lru.Map[string, *rate.Limiter], address string, n int, now time.Time) error {
	if seen.GetOr(address, func() *rate.Limiter { return rate.NewLimiter(rate.Limit(n), 2*n) }).AllowN(now, 1) {
		return nil
	}
	return fault.Exhausted(boot.ReasonRate, "too many calls from this address").And("per_second", n).After(time.Second / time.Duration(n))
}

// Address is who calls, for limits only: of an IPv6 network its /64, which is one household. Of a proxy that is believed, the nearest
// address before it that is none.
func (d *Door) Address(r *http.Request) string {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return ""
	}
	one := at.Addr().Unmap()
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for n := len(hops) - 1; n >= 0 && d.believed(one); n-- {
		before, err := netip.ParseAddr(strings.TrimSpace(hops[n]))
		if err != nil {
			break
		}
		one = before.Unmap()
	}
	if one.Is6() {
		if p, err := one.Prefix(64); err == nil {
			return p.String()
		}
	}
	return one.String()
}

func (d *Door) believed(a netip.Addr) bool {
	for _, p := range d.Proxies {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// Loopback says whether a host is this machine's own.
func Loopback(host string) bool {
	a, err := netip.ParseAddr(strings.Trim(host, "[]"))
	return host == "localhost" || err == nil && a.IsLoopback()
}

// Private says by the request that Global Privacy Control is on.
func Private(r *http.Request) bool { return r.Header.Get("Sec-GPC") == "1" }
