// Package login signs people in at an OpenID issuer: authorization code with PKCE (S256), state and nonce, as OAuth 2.1 asks for. What it
// must remember between sending somebody away and seeing them again is in a sealed cookie, so that nobody can fill this process's memory
// by beginning to sign in.
package login

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/obole-market/obole/pkg/token"
	"github.com/obole-market/obole/services/app/internal/door"
	"github.com/obole-market/obole/services/app/internal/reply"
	"github.com/obole-market/obole/services/app/internal/session"
)

// Options of a Login.
type Options struct {
	// Page is where the page is served; the issuer sends people back to its /login/done.
	Page *url.URL
	// Issuer, Client and Audience are those of the configuration. Secret reads the client's secret at each use, nil for a public client.
	Issuer, Client, Audience string
	Secret                   func() (string, error)
	// Roots are the roots by which the issuer is known; nil means the system's.
	Roots *tls.Config
	// Tokens tells what the access token says.
	Tokens   *token.Verifier
	Sessions *session.Store
	Jar      session.Jar
	Log      *slog.Logger
	Now      func() time.Time
	Random   io.Reader
}

// Login serves /login, /login/done, /logout and /api/me.
type Login struct {
	Options

	client *http.Client
	box    cipher.AEAD

	mu     sync.Mutex
	found  *issuer
	failed time.Time
}

// issuer is what discovery says.
type issuer struct {
	provider *oidc.Provider
	End      string `json:"end_session_endpoint"`
	NamesIt  bool   `json:"authorization_response_iss_parameter_supported"`
}

// Patience is how long signing in may take; Cookie is what remembers it.
const (
	Patience = 10 * time.Minute
	Cookie   = "login"
)

// attempt is what the cookie holds while somebody is away.
type attempt struct {
	State, Nonce, Verifier, To string
	Until                      int64 // seconds since 1970
}

// New makes a Login with a key of its own: an attempt does not survive the process.
func New(o Options) (*Login, error) {
	var key [32]byte
	if _, err := io.ReadFull(o.Random, key[:]); err != nil {
		return nil, fmt.Errorf("login: randomness: %w", err)
	}
	block, err := aes.NewCipher(key[:])
	if err != nil {
		return nil, err
	}
	box, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &Login{Options: o, box: box, client: &http.Client{
		Timeout:   10 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: o.Roots, DisableKeepAlives: true},
	}}, nil
}

// Begin sends somebody to the issuer.
func (l *Login) Begin(w http.ResponseWriter, r *http.Request) {
	at, err := l.issuer(r.Context())
	if err != nil {
		l.back(w, r, "unavailable", err)
		return
	}
	a := attempt{To: local(r.URL.Query().Get("to")), Until: l.Now().Add(Patience).Unix()}
	for _, to := range []*string{&a.State, &a.Nonce, &a.Verifier} {
		if *to, err = l.random(); err != nil {
			l.back(w, r, "unavailable", err)
			return
		}
	}
	sealed, err := l.seal(a)
	if err != nil {
		l.back(w, r, "unavailable", err)
		return
	}
	options := []oauth2.AuthCodeOption{
		oidc.Nonce(a.Nonce), oauth2.S256ChallengeOption(a.Verifier), oauth2.SetAuthURLParam("audience", l.Audience),
	}
	if tag := r.URL.Query().Get("lang"); tag != "" && len(tag) <= 16 {
		options = append(options, oauth2.SetAuthURLParam("ui_locales", tag))
	}
	// Lax: the way back is a navigation from the issuer's site.
	http.SetCookie(w, l.Jar.Cookie(Cookie, sealed, Patience, http.SameSiteLaxMode))
	http.Redirect(w, r, l.oauth(at, "").AuthCodeURL(a.State, options...), http.StatusSeeOther)
}

// Done takes somebody back, and makes their session.
func (l *Login) Done(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	a, ok := l.open(l.Jar.Value(r, Cookie))
	http.SetCookie(w, l.Jar.Cookie(Cookie, "", 0, http.SameSiteLaxMode))
	switch {
	case !ok || subtle.ConstantTimeCompare([]byte(a.State), []byte(q.Get("state"))) != 1:
		l.back(w, r, "stale", nil)
		return
	case q.Get("code") == "":
		l.back(w, r, "denied", nil)
		return
	}
	p, err := l.person(r.Context(), a, q)
	switch {
	case errors.Is(err, errDenied):
		l.back(w, r, "denied", err)
		return
	case err != nil:
		l.back(w, r, "unavailable", err)
		return
	}
	l.Sessions.End(l.Jar.Value(r, session.What), false) // whoever was signed in here before no longer is
	one, value, err := l.Sessions.Begin(p)
	if err != nil {
		l.back(w, r, "unavailable", err)
		return
	}
	http.SetCookie(w, l.Jar.Cookie(session.What, value, one.Ends.Sub(one.Began), http.SameSiteStrictMode))
	http.Redirect(w, r, a.To, http.StatusSeeOther)
}

// errDenied: the issuer has answered, and it is no.
var errDenied = errors.New("login: the issuer does not vouch for this person")

// person asks the issuer who came back, and believes what it has signed.
func (l *Login) person(ctx context.Context, a attempt, q url.Values) (p session.Person, err error) {
	at, err := l.issuer(ctx)
	if err != nil {
		return p, err
	}
	// Who named it in discovery names it here, so that no other issuer's answer is taken for this one's (RFC 9207).
	if from := q.Get("iss"); from != "" && from != l.Issuer || from == "" && at.NamesIt {
		return p, fmt.Errorf("%w: another issuer answers", errDenied)
	}
	secret := ""
	if l.Secret != nil {
		if secret, err = l.Secret(); err != nil {
			return p, err
		}
	}
	ctx = oidc.ClientContext(ctx, l.client)
	tokens, err := l.oauth(at, secret).Exchange(ctx, q.Get("code"), oauth2.VerifierOption(a.Verifier))
	if refused, is := errors.AsType[*oauth2.RetrieveError](err); is && refused.ErrorCode != "" {
		return p, fmt.Errorf("%w: %s", errDenied, refused.ErrorCode)
	}
	if err != nil {
		return p, fmt.Errorf("login: %w", token.ErrUnreachable)
	}
	raw, _ := tokens.Extra("id_token").(string)
	id, err := at.provider.Verifier(&oidc.Config{ClientID: l.Client, Now: l.Now}).Verify(ctx, raw)
	if err != nil || subtle.ConstantTimeCompare([]byte(id.Nonce), []byte(a.Nonce)) != 1 {
		return p, fmt.Errorf("%w: its identity token is not for this attempt", errDenied)
	}
	says, err := l.Tokens.Verify(ctx, tokens.AccessToken)
	if errors.Is(err, token.ErrUnreachable) {
		return p, err
	}
	if err != nil || says.Subject != id.Subject {
		return p, fmt.Errorf("%w: its access token is not for this person and the services", errDenied)
	}
	var named struct{ Name string }
	_ = id.Claims(&named) // a name of another shape is no name
	return session.Person{Subject: says.Subject, Name: clip(named.Name), Roles: says.Roles, Token: tokens.AccessToken, Until: says.Expiry}, nil
}

// clip bounds a name to what a page shows.
func clip(name string) string {
	if r := []rune(name); len(r) > 100 {
		return string(r[:100])
	}
	return name
}

// back takes somebody to the page, which says in their language what happened.
func (l *Login) back(w http.ResponseWriter, r *http.Request, why string, err error) {
	if err != nil {
		l.Log.WarnContext(r.Context(), "nobody was signed in", "reason", why, "error", err)
	}
	http.Redirect(w, r, "/?login="+why, http.StatusSeeOther)
}

// Out ends the session, or all of the person's, and has the browser forget what the page has stored.
func (l *Login) Out(w http.ResponseWriter, r *http.Request) {
	l.Sessions.End(l.Jar.Value(r, session.What), r.URL.Query().Get("everywhere") == "true")
	http.SetCookie(w, l.Jar.Cookie(session.What, "", 0, http.SameSiteStrictMode))
	w.Header().Set("Clear-Site-Data", `"storage"`)
	to := "/"
	if at, err := l.issuer(r.Context()); err == nil && at.End != "" {
		to = at.End + "?" + url.Values{"client_id": {l.Client}, "post_logout_redirect_uri": {l.Page.String() + "/"}}.Encode()
	}
	reply.JSON(w, map[string]string{"to": to})
}

// Me says who is signed in.
func (l *Login) Me(w http.ResponseWriter, r *http.Request) {
	reply.JSON(w, l.me(session.Of(r.Context()), r))
}

// Session says the same to a page that does not know whether anybody is: that nobody is, is no error to it.
func (l *Login) Session(w http.ResponseWriter, r *http.Request) {
	s, err := l.Sessions.Anybody(l.Jar, r)
	switch {
	case err != nil:
		reply.Refuse(w, r, err)
	case s == nil:
		reply.JSON(w, map[string]any{})
	default:
		reply.JSON(w, map[string]any{"me": l.me(s, r)})
	}
}

func (l *Login) me(s *session.Session, r *http.Request) map[string]any {
	roles := []string{}
	for _, role := range s.Roles.List() {
		roles = append(roles, token.RoleName(role))
	}
	return map[string]any{
		"subject": s.Subject, "name": s.Name, "roles": roles, "began": s.Began.UTC().Truncate(time.Second), "ends": s.Ends.UTC().Truncate(time.Second),
		"idle_seconds": int(l.Sessions.Limits().Idle / time.Second), "gpc": door.Private(r),
	}
}

func (l *Login) oauth(at *issuer, secret string) *oauth2.Config {
	endpoint := at.provider.Endpoint()
	// The style is named: auto-detection tries one after the other, which burns the one-time code.
	endpoint.AuthStyle = oauth2.AuthStyleInParams
	return &oauth2.Config{
		ClientID: l.Client, ClientSecret: secret, Endpoint: endpoint, RedirectURL: l.Page.String() + "/login/done",
		Scopes: []string{oidc.ScopeOpenID, "profile"},
	}
}

// issuer finds the issuer, once; after a failure it waits a second before it looks again, so services start in any order.
func (l *Login) issuer(ctx context.Context) (*issuer, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.found != nil {
		return l.found, nil
	}
	if now := l.Now(); now.Sub(l.failed).Abs() < time.Second {
		return nil, token.ErrUnreachable
	}
	// Not the request's context alone: the provider keeps it for fetching keys later.
	provider, err := oidc.NewProvider(oidc.ClientContext(context.WithoutCancel(ctx), l.client), l.Issuer)
	if err != nil {
		l.failed = l.Now()
		return nil, fmt.Errorf("login: %w: discovery at %s", token.ErrUnreachable, l.Issuer)
	}
	at := &issuer{provider: provider}
	if err := provider.Claims(at); err != nil {
		return nil, fmt.Errorf("login: %w: discovery at %s", token.ErrUnreachable, l.Issuer)
	}
	l.found = at
	return at, nil
}

// random is 256 bits as text, which is also what PKCE wants of a verifier.
func (l *Login) random() (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(l.Random, b[:]); err != nil {
		return "", fmt.Errorf("login: randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

func (l *Login) seal(a attempt) (string, error) {
	plain, err := json.Marshal(a)
	if err != nil {
		return "", err
	}
	nonce := make([]byte, l.box.NonceSize(), l.box.NonceSize()+len(plain)+l.box.Overhead())
	if _, err := io.ReadFull(l.Random, nonce); err != nil {
		return "", fmt.Errorf("login: randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(l.box.Seal(nonce, nonce, plain, l.about())), nil
}

func (l *Login) open(value string) (a attempt, ok bool) {
	raw, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(raw) < l.box.NonceSize() {
		return a, false
	}
	plain, err := l.box.Open(nil, raw[:l.box.NonceSize()], raw[l.box.NonceSize():], l.about())
	if err != nil || json.Unmarshal(plain, &a) != nil {
		return attempt{}, false
	}
	return a, l.Now().Unix() < a.Until
}

// about binds a sealed attempt to what it is for.
func (l *Login) about() []byte {
	sum := sha256.Sum256([]byte("login\x00" + l.Page.String() + "\x00" + l.Issuer))
	return sum[:]
}

// local is a path of the page to come back to: never another site, and not the edge's own paths.
func local(to string) string {
	u, err := url.Parse(to)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, "/") || strings.HasPrefix(u.Path, "//") || len(to) > 512 ||
		strings.ContainsAny(to, "\\\r\n\t") || strings.HasPrefix(u.Path, "/login") || strings.HasPrefix(u.Path, "/logout") || strings.HasPrefix(u.Path, "/rpc/") {
		return "/"
	}
	return to
}
