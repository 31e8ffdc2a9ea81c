package session

import (
	"context"
	"net/http"
	"net/url"
	"time"

	"github.com/obole-market/obole/services/app/internal/reply"
)

// Jar names the cookies of a page.
type Jar struct{ suffix, prefix string }

// NewJar names them after where the page is served. Over TLS their names begin with __Host-, by which a browser holds them to this host,
// this path and TLS. Without TLS, which is for a loopback, not every browser takes that prefix; there the name carries the port, since
// cookies do not tell ports apart and two markets on one machine would sign each other out.
func NewJar(page *url.URL) Jar {
	if page.Scheme == "https" {
		return Jar{prefix: "__Host-"}
	}
	return Jar{suffix: "-" + page.Port()}
}

// Name of a cookie.
func (j Jar) Name(what string) string { return j.prefix + "obole-" + what + j.suffix }

// Cookie makes one that scripts cannot read and that is sent over TLS, or to a loopback, only. A life of zero or below takes it away.
func (j Jar) Cookie(what, value string, life time.Duration, same http.SameSite) *http.Cookie {
	seconds := int(life / time.Second)
	if seconds <= 0 {
		value, seconds = "", -1
	}
	return &http.Cookie{Name: j.Name(what), Value: value, Path: "/", MaxAge: seconds, Secure: true, HttpOnly: true, SameSite: same}
}

// Value of a request's cookie, empty where it has none. Two of the same name are an attempt to put one over the other.
func (j Jar) Value(r *http.Request, what string) string {
	all := r.CookiesNamed(j.Name(what))
	if len(all) != 1 {
		return ""
	}
	return all[0].Value
}

// What of the cookies is the session's. SameSite=Strict: only the page's own requests carry it, and the page needs no session to load.
const What = "session"

type inContext struct{}

// Of is the session of a request that Require has let through.
func Of(ctx context.Context) *Session {
	s, _ := ctx.Value(inContext{}).(*Session)
	return s
}

// Anybody is the session of a request; nil where there is none, or none any more.
func (s *Store) Anybody(j Jar, r *http.Request) (*Session, error) {
	one, err := s.Find(j.Value(r, What))
	if err != nil {
		return nil, nil //nolint:nilerr // that nobody is signed in is the answer
	}
	return one, s.Admit(one)
}

// Require lets requests through that have a session and have not made too many calls.
func (s *Store) Require(j Jar, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		one, err := s.Find(j.Value(r, What))
		if err == nil {
			err = s.Admit(one)
		}
		if err != nil {
			reply.Refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), inContext{}, one)))
	})
}
