package issuer_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"go.uber.org/goleak"
	"golang.org/x/oauth2"

	"github.com/obole-market/obole/pkg/issuer"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

const (
	ada  = "5b0c7a52-2f0f-4c8e-9d0c-0f0a3f5f7a11"
	back = "http://127.0.0.1/back"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

func open(t *testing.T, cfg issuer.Config) *issuer.Issuer {
	t.Helper()
	cfg.Principals = []issuer.Principal{{Subject: ada, Label: "A subscriber", Roles: []eventv1.Role{eventv1.Role_ROLE_SUBSCRIBER}}}
	cfg.Clients = []issuer.Client{
		{ID: "app", Public: true, Redirects: []string{back}},
		{ID: "offers", Roles: []eventv1.Role{eventv1.Role_ROLE_SERVICE}},
		{ID: "cli", Admin: true},
	}
	i, err := issuer.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve() = %v", err)
		}
	})
	return i
}

// browser follows no redirects and keeps no connection.
func browser() *http.Client {
	return &http.Client{
		Transport:     &http.Transport{DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func verifier(t *testing.T, i *issuer.Issuer, now func() time.Time) *token.Verifier {
	t.Helper()
	v, err := token.NewVerifier(token.Config{Issuer: i.URL(), Audience: "obole", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// A person signs in as an app does it: go-oidc discovers, oauth2 exchanges with PKCE, go-oidc verifies the identity.
func TestSignInWithCodeAndPKCE(t *testing.T) {
	t.Parallel()
	i := open(t, issuer.Config{})
	ctx := oidc.ClientContext(t.Context(), browser())
	provider, err := oidc.NewProvider(ctx, i.URL())
	if err != nil {
		t.Fatal(err)
	}
	app := oauth2.Config{ClientID: "app", Endpoint: provider.Endpoint(), RedirectURL: "http://127.0.0.1:4711/back", Scopes: []string{oidc.ScopeOpenID}}
	app.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	proof := oauth2.GenerateVerifier()
	at := app.AuthCodeURL("the-state", oidc.Nonce("the-nonce"), oauth2.S256ChallengeOption(proof))

	page := get(t, at)
	if page.status != http.StatusOK || !strings.Contains(page.body, "A subscriber") {
		t.Fatalf("the page shows %d %q", page.status, page.body)
	}
	code := signIn(t, at)

	if _, err := app.Exchange(ctx, "no-such-code", oauth2.VerifierOption(proof)); err == nil {
		t.Fatal("a code that was never given was exchanged")
	}
	both, err := app.Exchange(ctx, code, oauth2.VerifierOption(proof))
	if err != nil {
		t.Fatal(err)
	}
	raw, _ := both.Extra("id_token").(string)
	identity, err := provider.VerifierContext(ctx, &oidc.Config{ClientID: "app"}).Verify(ctx, raw)
	if err != nil || identity.Subject != ada || identity.Nonce != "the-nonce" {
		t.Fatalf("identity token: %+v, %v", identity, err)
	}
	v := verifier(t, i, time.Now)
	claims, err := v.Verify(t.Context(), both.AccessToken)
	if err != nil || claims.Subject != ada || claims.Roles != token.RolesOf(eventv1.Role_ROLE_SUBSCRIBER) {
		t.Fatalf("access token: %+v, %v", claims, err)
	}
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
		t.Fatalf("an identity token was taken for an access token: %v", err)
	}
	if _, err := app.Exchange(ctx, code, oauth2.VerifierOption(proof)); !spent(err) {
		t.Fatalf("a code was good twice: %v", err)
	}
}

func TestCodeIsWorthNothingWithoutProofOrInTime(t *testing.T) {
	t.Parallel()
	at := &clock{at: time.Now()}
	i := open(t, issuer.Config{Now: at.now})
	ctx := oidc.ClientContext(t.Context(), browser())
	provider, err := oidc.NewProvider(ctx, i.URL())
	if err != nil {
		t.Fatal(err)
	}
	app := oauth2.Config{ClientID: "app", Endpoint: provider.Endpoint(), RedirectURL: back}
	app.Endpoint.AuthStyle = oauth2.AuthStyleInParams
	proof := oauth2.GenerateVerifier()
	page := app.AuthCodeURL("s", oauth2.S256ChallengeOption(proof))

	if _, err := app.Exchange(ctx, signIn(t, page), oauth2.VerifierOption(oauth2.GenerateVerifier())); !spent(err) {
		t.Errorf("another's proof: %v", err)
	}
	code := signIn(t, page)
	at.move(2 * time.Minute)
	if _, err := app.Exchange(ctx, code, oauth2.VerifierOption(proof)); !spent(err) {
		t.Errorf("a code two minutes old: %v", err)
	}
	code = signIn(t, page)
	elsewhere := app
	elsewhere.RedirectURL = "http://127.0.0.1:1/back"
	if _, err := elsewhere.Exchange(ctx, code, oauth2.VerifierOption(proof)); !spent(err) {
		t.Errorf("another address than the one asked for: %v", err)
	}
}

func TestAuthorizeSendsNobodyAstray(t *testing.T) {
	t.Parallel()
	i := open(t, issuer.Config{})
	good := url.Values{
		"client_id": {"app"}, "redirect_uri": {back}, "response_type": {"code"},
		"code_challenge": {oauth2.S256ChallengeFromVerifier(oauth2.GenerateVerifier())}, "code_challenge_method": {"S256"},
	}
	for name, change := range map[string][2]string{
		"unknown client":     {"client_id", "nobody"},
		"other host":         {"redirect_uri", "http://example.com/back"},
		"other path":         {"redirect_uri", "http://127.0.0.1/elsewhere"},
		"user in address":    {"redirect_uri", "http://127.0.0.1@example.com/back"},
		"plain challenge":    {"code_challenge_method", "plain"},
		"no challenge":       {"code_challenge", ""},
		"implicit flow":      {"response_type", "token"},
		"longer than a path": {"redirect_uri", "http://127.0.0.1/back/more"},
	} {
		q := url.Values{}
		for k, v := range good {
			q[k] = v
		}
		q.Set(change[0], change[1])
		if got := get(t, i.URL()+"/authorize?"+q.Encode()); got.status != http.StatusBadRequest || got.location != "" {
			t.Errorf("%s: %d, sent to %q", name, got.status, got.location)
		}
	}
	if got := post(t, i.URL()+"/authorize?"+good.Encode(), url.Values{"subject": {"nobody"}}); got.status != http.StatusForbidden {
		t.Errorf("an unknown principal: %d", got.status)
	}
}

func TestClientCredentials(t *testing.T) {
	t.Parallel()
	i := open(t, issuer.Config{})
	v := verifier(t, i, time.Now)
	source := func(client, secret string, params url.Values) (*oauth2.Token, error) {
		s, err := token.Source(token.Credentials{
			Issuer: i.URL(), Client: client, Secret: func() (string, error) { return secret, nil }, Params: params,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s.Token()
	}
	own, err := source("offers", i.Secret("offers"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c, err := v.Verify(t.Context(), own.AccessToken); err != nil || c.Subject != "offers" || !c.Roles.Has(eventv1.Role_ROLE_SERVICE) {
		t.Errorf("a service's own token: %+v, %v", c, err)
	}
	other, err := source("cli", i.Secret("cli"), url.Values{"subject": {"a-buyer"}, "role": {"buyer", "finance"}})
	if err != nil {
		t.Fatal(err)
	}
	want := token.RolesOf(eventv1.Role_ROLE_BUYER, eventv1.Role_ROLE_FINANCE)
	if c, err := v.Verify(t.Context(), other.AccessToken); err != nil || c.Subject != "a-buyer" || c.Roles != want {
		t.Errorf("a token made by the administrator: %+v, %v", c, err)
	}
	for name, got := range map[string]func() (*oauth2.Token, error){
		"wrong secret":   func() (*oauth2.Token, error) { return source("offers", "guess", nil) },
		"no secret":      func() (*oauth2.Token, error) { return source("offers", "", nil) },
		"unknown client": func() (*oauth2.Token, error) { return source("nobody", "x", nil) },
		"public client":  func() (*oauth2.Token, error) { return source("app", "", nil) },
		"not administrating": func() (*oauth2.Token, error) {
			return source("offers", i.Secret("offers"), url.Values{"subject": {ada}, "role": {"buyer"}})
		},
		"no such role": func() (*oauth2.Token, error) {
			return source("cli", i.Secret("cli"), url.Values{"subject": {ada}, "role": {"king"}})
		},
		"no roles of its own": func() (*oauth2.Token, error) { return source("cli", i.Secret("cli"), nil) },
	} {
		if tok, err := got(); err == nil {
			t.Errorf("%s: got a token %v", name, tok.TokenType)
		}
	}
}

func TestKeyAndSecretsSurviveARestart(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "issuer")
	cfg := issuer.Config{Folder: folder, URL: "http://issuer.test"}
	first, second := open(t, cfg), open(t, cfg)
	if first.Secret("offers") == "" || first.Secret("offers") != second.Secret("offers") {
		t.Error("the secret has changed")
	}
	text, err := os.ReadFile(first.SecretFile("offers"))
	if err != nil || string(text) != first.Secret("offers") {
		t.Errorf("secret file: %v", err)
	}
	for _, name := range []string{"key.pem", "offers.secret", "cli.secret"} {
		info, err := os.Stat(filepath.Join(folder, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	keys := func(i *issuer.Issuer) string {
		w := httptest.NewRecorder()
		i.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/keys", nil))
		return w.Body.String()
	}
	if keys(first) != keys(second) {
		t.Error("the key has changed")
	}
	if err := os.WriteFile(filepath.Join(folder, "key.pem"), []byte("spoilt"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := issuer.Open(cfg); err == nil {
		t.Error("a spoilt key was replaced in silence")
	}
}

func TestRefusesToLeaveTheMachine(t *testing.T) {
	t.Parallel()
	for _, addr := range []string{":0", "0.0.0.0:0", "[::]:0", "192.0.2.1:80", "example.com:80"} {
		if _, err := issuer.Open(issuer.Config{Listen: addr}); err == nil || !strings.Contains(err.Error(), "loopback") {
			t.Errorf("%s: %v", addr, err)
		}
	}
	i := open(t, issuer.Config{Listen: "0.0.0.0:0", Exposed: true})
	if _, _, err := net.SplitHostPort(strings.TrimPrefix(i.URL(), "http://")); err != nil {
		t.Error(err)
	}
}

type response struct {
	status         int
	body, location string
}

func get(t *testing.T, at string) response {
	t.Helper()
	return do(t, http.MethodGet, at, nil)
}

func post(t *testing.T, at string, form url.Values) response {
	t.Helper()
	return do(t, http.MethodPost, at, form)
}

func do(t *testing.T, method, at string, form url.Values) response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, at, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	resp, err := browser().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return response{resp.StatusCode, string(body), resp.Header.Get("Location")}
}

// signIn chooses ada on the page and returns the code that the app is given.
func signIn(t *testing.T, at string) string {
	t.Helper()
	got := post(t, at, url.Values{"subject": {ada}})
	to, err := url.Parse(got.location)
	if err != nil || got.status != http.StatusSeeOther || to.Query().Get("code") == "" {
		t.Fatalf("signing in: %d, sent to %q", got.status, got.location)
	}
	asked, err := url.Parse(at)
	if err != nil || to.Query().Get("state") != asked.Query().Get("state") {
		t.Fatalf("state %q was not handed back", to.Query().Get("state"))
	}
	return to.Query().Get("code")
}

// spent says that the issuer refused a code.
func spent(err error) bool {
	var r *oauth2.RetrieveError
	if !errors.As(err, &r) {
		return false
	}
	var body struct{ Error string }
	return json.Unmarshal(r.Body, &body) == nil && body.Error == "invalid_grant"
}
