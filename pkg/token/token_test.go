package token_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/obole-market/obole/pkg/issuer"
	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

const subject = "5b0c7a52-2f0f-4c8e-9d0c-0f0a3f5f7a11"

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// bench is an issuer behind a server that counts and can be switched off, and a clock that moves.
type bench struct {
	*issuer.Issuer
	asked, down atomic.Int64
	ahead       atomic.Int64 // of the true time
	url         string
}

func (b *bench) now() time.Time { return time.Now().Add(time.Duration(b.ahead.Load())) }

func setUp(t testing.TB) *bench {
	t.Helper()
	b := &bench{}
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.asked.Add(1)
		if b.down.Load() != 0 {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		b.ServeHTTP(w, r)
	}))
	t.Cleanup(srv.Close)
	i, err := issuer.Open(issuer.Config{URL: srv.URL, Now: b.now})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- i.Serve(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	b.Issuer, b.url = i, srv.URL
	return b
}

func (b *bench) verifier(t testing.TB, change func(*token.Config)) *token.Verifier {
	t.Helper()
	cfg := token.Config{Issuer: b.url, Audience: "obole", Now: b.now}
	if change != nil {
		change(&cfg)
	}
	v, err := token.NewVerifier(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func (b *bench) mint(t testing.TB, subject string, roles ...eventv1.Role) string {
	t.Helper()
	raw, err := b.Mint(subject, roles...)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func TestGoodTokenIsVerifiedOnceUntilItExpires(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	v := b.verifier(t, nil)
	raw := b.mint(t, subject, eventv1.Role_ROLE_SUBSCRIBER, eventv1.Role_ROLE_BUYER)
	for range 3 {
		c, err := v.Verify(t.Context(), raw)
		if err != nil || c.Subject != subject || c.Roles != token.RolesOf(eventv1.Role_ROLE_SUBSCRIBER, eventv1.Role_ROLE_BUYER) {
			t.Fatalf("Verify() = %+v, %v", c, err)
		}
	}
	if n := b.asked.Load(); n != 2 {
		t.Errorf("the issuer was asked %d times, want discovery and keys", n)
	}
	b.down.Store(1)
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Errorf("without the issuer: %v", err)
	}
	b.ahead.Store(int64(time.Hour + time.Second))
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, token.ErrExpired) {
		t.Errorf("known and expired: %v", err)
	}
	if _, err := v.Verify(t.Context(), raw); !errors.Is(err, token.ErrExpired) {
		t.Errorf("expired: %v", err)
	}
}

func TestBadTokensAreInvalid(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	v := b.verifier(t, nil)
	good := b.mint(t, subject, eventv1.Role_ROLE_SUBSCRIBER)
	parts := strings.Split(good, ".")
	stranger, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	claims := func(change map[string]any) jwt.MapClaims {
		c := jwt.MapClaims{
			"iss": b.url, "aud": "obole", "sub": subject, "roles": []string{"operator"}, "exp": b.now().Add(time.Hour).Unix(),
		}
		for k, v := range change {
			c[k] = v
		}
		return c
	}
	forged := func(change map[string]any) string {
		raw, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims(change)).SignedString(stranger)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, claims(nil)).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	shared, err := jwt.NewWithClaims(jwt.SigningMethodHS256, claims(nil)).SignedString([]byte("the public key, say"))
	if err != nil {
		t.Fatal(err)
	}
	other := forged(map[string]any{"sub": "someone else"})
	for name, raw := range map[string]string{
		"empty":             "",
		"no token":          "abc",
		"cut off":           good[:len(good)-8],
		"unsigned":          unsigned,
		"shared secret":     shared,
		"stranger's key":    forged(nil),
		"other claims":      parts[0] + "." + strings.Split(other, ".")[1] + "." + parts[2],
		"subject too long":  b.mint(t, strings.Repeat("x", 65), eventv1.Role_ROLE_BUYER),
		"no subject":        b.mint(t, "", eventv1.Role_ROLE_BUYER),
		"subject with line": b.mint(t, "a\nb", eventv1.Role_ROLE_BUYER),
	} {
		if c, err := v.Verify(t.Context(), raw); !errors.Is(err, token.ErrInvalid) {
			t.Errorf("%s: %+v, %v", name, c, err)
		}
	}
	elsewhere := b.verifier(t, func(c *token.Config) { c.Audience = "another" })
	if _, err := elsewhere.Verify(t.Context(), good); !errors.Is(err, token.ErrInvalid) {
		t.Errorf("wrong audience: %v", err)
	}
}

func TestUnknownRolesAreNone(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	raw := b.mint(t, subject)
	if c, err := b.verifier(t, nil).Verify(t.Context(), raw); err != nil || c.Roles != 0 {
		t.Errorf("no roles: %+v, %v", c, err)
	}
	raw = b.mint(t, subject, eventv1.Role_ROLE_BUYER)
	nested := b.verifier(t, func(c *token.Config) { c.RolesClaim = "realm_access.roles" })
	if c, err := nested.Verify(t.Context(), raw); err != nil || c.Roles != 0 {
		t.Errorf("another claim: %+v, %v", c, err)
	}
}

// A service starts before its issuer: it refuses as unreachable, and finds the issuer when it is there.
func TestIssuerMayComeLater(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	b.down.Store(1)
	v := b.verifier(t, nil)
	raw := b.mint(t, subject, eventv1.Role_ROLE_SUBSCRIBER)
	for range 5 {
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, token.ErrUnreachable) {
			t.Fatalf("without issuer: %v", err)
		}
	}
	if n := b.asked.Load(); n != 1 {
		t.Errorf("the issuer was asked %d times within a second", n)
	}
	b.down.Store(0)
	b.ahead.Store(int64(2 * time.Second))
	if _, err := v.Verify(t.Context(), raw); err != nil {
		t.Errorf("with issuer: %v", err)
	}
}

// Keys that cannot be fetched are no verdict on the token.
func TestKeysOutOfReach(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	v := b.verifier(t, nil)
	if _, err := v.Verify(t.Context(), b.mint(t, subject)); err != nil {
		t.Fatal(err)
	}
	foreign := setUp(t) // signs with a key that b's issuer may have begun to use
	raw, err := jwt.NewWithClaims(jwt.SigningMethodRS256, jwt.MapClaims{"iss": b.url}).SignedString(mustKey(t))
	if err != nil {
		t.Fatal(err)
	}
	b.down.Store(1)
	for _, raw := range []string{raw, foreign.mint(t, subject)} {
		if _, err := v.Verify(t.Context(), raw); !errors.Is(err, token.ErrUnreachable) {
			t.Errorf("a key not known, issuer down: %v", err)
		}
	}
}

func TestCacheIsBounded(t *testing.T) {
	t.Parallel()
	b := setUp(t)
	v := b.verifier(t, func(c *token.Config) { c.Size = 1 })
	one, two := b.mint(t, subject), b.mint(t, subject)
	for _, raw := range []string{one, two} {
		if _, err := v.Verify(t.Context(), raw); err != nil {
			t.Fatal(err)
		}
	}
	if c, _ := v.Known(one); c != nil {
		t.Error("the first token is still known")
	}
	if c, _ := v.Known(two); c == nil {
		t.Error("the second token is not known")
	}
}

func TestSourceKeepsItsToken(t *testing.T) {
	t.Parallel()
	var asked atomic.Int64
	mux := http.NewServeMux()
	srv := httptest.NewServer(mux)
	t.Cleanup(srv.Close)
	i, err := issuer.Open(issuer.Config{
		URL: srv.URL, Clients: []issuer.Client{{ID: "offers", Roles: []eventv1.Role{eventv1.Role_ROLE_SERVICE}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	stop()
	t.Cleanup(func() { _ = i.Serve(ctx) }) // gives its own address back
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/token" {
			asked.Add(1)
		}
		i.ServeHTTP(w, r)
	})
	var read atomic.Int64
	s, err := token.Source(token.Credentials{Issuer: srv.URL, Client: "offers", Secret: func() (string, error) {
		if read.Add(1) == 1 {
			return "", errors.New("not mounted yet")
		}
		return i.Secret("offers"), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Token(); err == nil || !strings.Contains(err.Error(), "not mounted yet") {
		t.Errorf("without secret: %v", err)
	}
	for range 4 {
		if _, err := s.Token(); err != nil {
			t.Fatal(err)
		}
	}
	if asked.Load() != 1 {
		t.Errorf("the issuer was asked %d times", asked.Load())
	}
}

func mustKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func BenchmarkKnown(b *testing.B) {
	s := setUp(b)
	v := s.verifier(b, nil)
	raw := s.mint(b, subject, eventv1.Role_ROLE_SUBSCRIBER)
	if _, err := v.Verify(b.Context(), raw); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := v.Known(raw); err != nil {
			b.Fatal(err)
		}
	}
}
