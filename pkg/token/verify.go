package token

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"

	"github.com/obole-market/obole/pkg/lru"
)

// What a caller whose token was refused should do next.
var (
	// ErrInvalid: not a token of our issuer for our audience; get another.
	ErrInvalid = errors.New("token: not signed by the issuer for this audience, or without a usable subject")
	// ErrExpired: get a fresh one.
	ErrExpired = errors.New("token: expired")
	// ErrUnreachable: the issuer's keys cannot be had now; try again.
	ErrUnreachable = errors.New("token: the issuer cannot be reached")
)

// Claims are what a verified token says of its bearer.
type Claims struct {
	// Subject is the bearer's id: of a person or buyer a random UUID, of a service its name. 1 to 64 bytes.
	Subject string
	Roles   Roles
	// Expiry is when the token ends.
	Expiry time.Time
}

// Config of a Verifier.
type Config struct {
	// Issuer is the issuer's URL; its keys are found through /.well-known/openid-configuration.
	Issuer string
	// Audience that a token must be for.
	Audience string
	// RolesClaim is the path of the claim that lists the roles, dots between the parts; empty means "roles".
	RolesClaim string
	// Roots are the roots by which the issuer is known; nil means the system's.
	Roots *tls.Config
	// Now is the clock.
	Now func() time.Time
	// Size bounds the verified tokens remembered; 0 means 16384.
	Size int
}

// Verifier tells who bears a token. It is safe for concurrent use.
type Verifier struct {
	cfg Config
	// known is by the token itself: SHA-256 of it takes ten times as long as all else here.
	known  *lru.Map[string, *Claims]
	client *http.Client
	// keys are set once the issuer has been found; finding admits one who looks for it, and failed says when it
	// was last looked for in vain.
	keys    atomic.Pointer[oidc.RemoteKeySet]
	finding chan struct{}
	failed  time.Time
}

// algorithms are those whose keys are public; a token signed with a shared secret is none of ours.
var algorithms = []string{
	oidc.RS256, oidc.RS384, oidc.RS512, oidc.PS256, oidc.PS384, oidc.PS512, oidc.ES256, oidc.ES384, oidc.ES512, oidc.EdDSA,
}

// NewVerifier makes a Verifier. The issuer is looked for at the first token, so services start in any order.
func NewVerifier(cfg Config) (*Verifier, error) {
	if cfg.Issuer == "" || cfg.Audience == "" || cfg.Now == nil {
		return nil, errors.New("token: issuer, audience and clock are needed")
	}
	if cfg.RolesClaim == "" {
		cfg.RolesClaim = "roles"
	}
	if cfg.Size <= 0 {
		cfg.Size = 16384
	}
	return &Verifier{
		cfg: cfg, known: lru.New[string, *Claims](cfg.Size), client: client(cfg.Roots), finding: make(chan struct{}, 1),
	}, nil
}

// client talks to the issuer, rarely: it keeps no connection.
func client(roots *tls.Config) *http.Client {
	return &http.Client{
		Timeout:   5 * time.Second,
		Transport: &http.Transport{Proxy: http.ProxyFromEnvironment, TLSClientConfig: roots, DisableKeepAlives: true},
	}
}

// Known answers for tokens verified before, without a wait. The claims are shared and must not be changed.
func (v *Verifier) Known(raw string) (*Claims, error) {
	c, ok := v.known.Get(raw)
	if !ok {
		return nil, nil
	}
	if !v.cfg.Now().Before(c.Expiry) {
		v.known.Delete(raw)
		return nil, ErrExpired
	}
	return c, nil
}

// Verify answers for any token. Its errors are ErrInvalid, ErrExpired and ErrUnreachable, and tell nothing of the token.
func (v *Verifier) Verify(ctx context.Context, raw string) (*Claims, error) {
	if c, err := v.Known(raw); c != nil || err != nil {
		return c, err
	}
	keys, err := v.issuer(ctx)
	if err != nil {
		return nil, err
	}
	try := &attempt{keys: keys}
	verified, err := oidc.NewVerifier(v.cfg.Issuer, try, &oidc.Config{
		ClientID: v.cfg.Audience, SupportedSigningAlgs: algorithms, Now: v.cfg.Now,
	}).Verify(ctx, raw)
	var expired *oidc.TokenExpiredError
	switch {
	case errors.As(err, &expired):
		return nil, ErrExpired
	case try.unreachable:
		return nil, ErrUnreachable
	case err != nil:
		return nil, ErrInvalid
	}
	c, err := v.claims(verified)
	if err != nil {
		return nil, err
	}
	v.known.Put(raw, c)
	return c, nil
}

// issuer finds the issuer's keys, once. After a failure it waits a second before it looks again.
func (v *Verifier) issuer(ctx context.Context) (*oidc.RemoteKeySet, error) {
	if keys := v.keys.Load(); keys != nil {
		return keys, nil
	}
	select {
	case v.finding <- struct{}{}:
		defer func() { <-v.finding }()
	case <-ctx.Done():
		return nil, ErrUnreachable
	}
	if keys := v.keys.Load(); keys != nil {
		return keys, nil
	}
	if now := v.cfg.Now(); !v.failed.IsZero() && now.Sub(v.failed).Abs() < time.Second {
		return nil, ErrUnreachable
	}
	ctx = oidc.ClientContext(ctx, v.client)
	provider, err := oidc.NewProvider(ctx, v.cfg.Issuer)
	if err != nil {
		v.failed = v.cfg.Now()
		return nil, fmt.Errorf("%w: discovery at %s", ErrUnreachable, v.cfg.Issuer)
	}
	var at struct {
		Keys string `json:"jwks_uri"`
	}
	if err := provider.Claims(&at); err != nil || at.Keys == "" {
		v.failed = v.cfg.Now()
		return nil, fmt.Errorf("%w: %s names no keys", ErrUnreachable, v.cfg.Issuer)
	}
	keys := oidc.NewRemoteKeySet(ctx, at.Keys)
	v.keys.Store(keys)
	return keys, nil
}

// claims reads what go-oidc has verified.
func (v *Verifier) claims(t *oidc.IDToken) (*Claims, error) {
	if t.Subject == "" || len(t.Subject) > 64 || strings.ContainsFunc(t.Subject, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return nil, ErrInvalid
	}
	c := &Claims{Subject: t.Subject, Expiry: t.Expiry}
	var at json.RawMessage
	if err := t.Claims(&at); err != nil {
		return nil, ErrInvalid
	}
	for part := range strings.SplitSeq(v.cfg.RolesClaim, ".") {
		inner := map[string]json.RawMessage{}
		if json.Unmarshal(at, &inner) != nil {
			return c, nil // without roles, so that every RPC refuses by name
		}
		at = inner[part]
	}
	var names []string
	if json.Unmarshal(at, &names) != nil {
		return c, nil
	}
	for _, name := range names {
		c.Roles |= RolesOf(ParseRole(name))
	}
	return c, nil
}

// attempt is a key set that remembers whether it failed for want of the issuer: oidc's verifier keeps the text only.
type attempt struct {
	keys        *oidc.RemoteKeySet
	unreachable bool
}

// VerifySignature asks the remote keys. Of its errors only that of fetching wraps another.
func (a *attempt) VerifySignature(ctx context.Context, jwt string) ([]byte, error) {
	payload, err := a.keys.VerifySignature(ctx, jwt)
	a.unreachable = errors.Unwrap(err) != nil
	return payload, err
}
