package issuer

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// Principal is someone who may sign in.
type Principal struct {
	// Subject is the id in the token, Label what the page shows.
	Subject, Label string
	Roles          []eventv1.Role
}

// Client is a program that asks for tokens.
type Client struct {
	ID string
	// Roles of its own tokens, whose subject is its id. A client without roles gets none of its own.
	Roles []eventv1.Role
	// Redirects are where it may have people sent back to after signing in, to the letter. A port of the loopback may
	// vary (RFC 8252, 7.3).
	Redirects []string
	// Admin clients may ask for a token of any subject and roles: parameters subject and role (repeated).
	Admin bool
	// Public clients have no secret and can only use the authorization code.
	Public bool
}

// Config of an Issuer.
type Config struct {
	// Listen is a loopback address; empty means a free port.
	Listen string
	// Exposed allows other addresses than the loopback's.
	Exposed bool
	// URL is the issuer's name; empty means http:// and the address.
	URL string
	// Folder keeps the key and the clients' secrets, readable by their owner only; empty keeps them in memory.
	Folder string
	// Audience of access tokens; empty means obole.
	Audience string
	// Lifetime of tokens; 0 means an hour.
	Lifetime   time.Duration
	Principals []Principal
	// People gives further principals each time that somebody is about to sign in; nil means none.
	People func() ([]Principal, error)
	// Newcomer makes a principal whom nobody knows yet, for who chooses to be somebody new; nil means that the page does not offer it.
	Newcomer func() (Principal, error)
	Clients  []Client
	// Now is the clock, nil means time.Now. Rand makes secrets, codes and token ids, nil means crypto/rand; the
	// signing key is always the system's.
	Now  func() time.Time
	Rand io.Reader
}

// Issuer signs tokens. It is an http.Handler.
type Issuer struct {
	cfg      Config
	listener net.Listener
	mux      *http.ServeMux
	key      *rsa.PrivateKey
	keyID    string
	secrets  map[string]string // by client

	mu    sync.Mutex
	codes map[string]grant
}

// Open listens and reads or makes the key and the secrets; Serve answers.
func Open(cfg Config) (*Issuer, error) {
	if cfg.Listen == "" {
		cfg.Listen = "127.0.0.1:0"
	}
	if cfg.Audience == "" {
		cfg.Audience = "obole"
	}
	if cfg.Lifetime == 0 {
		cfg.Lifetime = time.Hour
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Rand == nil {
		cfg.Rand = rand.Reader
	}
	if !cfg.Exposed && !loopback(cfg.Listen) {
		return nil, fmt.Errorf("issuer: %s is not a loopback address, and anyone who reaches it may sign in as anyone", cfg.Listen)
	}
	i := &Issuer{cfg: cfg, secrets: map[string]string{}, codes: map[string]grant{}}
	if err := i.unlock(); err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", cfg.Listen)
	if err != nil {
		return nil, fmt.Errorf("issuer: %w", err)
	}
	i.listener = l
	if i.cfg.URL == "" {
		i.cfg.URL = "http://" + l.Addr().String()
	}
	i.cfg.URL = strings.TrimSuffix(i.cfg.URL, "/")
	i.routes()
	return i, nil
}

// URL is the issuer's name, as tokens carry it.
func (i *Issuer) URL() string { return i.cfg.URL }

// Secret is a client's secret, empty for public and unknown clients.
func (i *Issuer) Secret(client string) string { return i.secrets[client] }

// SecretFile is where a client's secret is kept, for its configuration; empty when nothing is kept.
func (i *Issuer) SecretFile(client string) string {
	if i.cfg.Folder == "" || i.secrets[client] == "" {
		return ""
	}
	return filepath.Join(i.cfg.Folder, client+".secret")
}

// Serve answers until the context ends; it is an actor of boot.Group.
func (i *Issuer) Serve(ctx context.Context) error {
	srv := &http.Server{
		Handler: i, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second,
		IdleTimeout: time.Minute, MaxHeaderBytes: 1 << 14,
	}
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(i.listener) }()
	select {
	case err := <-ended:
		return fmt.Errorf("issuer: %w", err)
	case <-ctx.Done():
	}
	err := srv.Close() // its answers take microseconds: there is nothing worth draining
	if served := <-ended; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, served)
	}
	return err
}

// ServeHTTP answers one request.
func (i *Issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 1<<16)
	w.Header().Set("Cache-Control", "no-store")
	i.mux.ServeHTTP(w, r)
}

// Mint signs an access token; it is what the token endpoint does, for who holds the Issuer.
func (i *Issuer) Mint(subject string, roles ...eventv1.Role) (string, error) {
	names := make([]string, len(roles))
	for n, r := range roles {
		names[n] = token.RoleName(r)
	}
	return i.sign(i.cfg.Audience, jwt.MapClaims{"sub": subject, "roles": names})
}

// sign adds what every token has.
func (i *Issuer) sign(audience string, claims jwt.MapClaims) (string, error) {
	id, err := i.nonce()
	if err != nil {
		return "", err
	}
	now := i.cfg.Now()
	claims["iss"], claims["aud"], claims["jti"] = i.cfg.URL, audience, id
	claims["iat"], claims["exp"] = now.Unix(), now.Add(i.cfg.Lifetime).Unix()
	t := jwt.NewWithClaims(jwt.SigningMethodRS256, claims)
	t.Header["kid"] = i.keyID
	return t.SignedString(i.key)
}

// nonce is 256 random bits as text.
func (i *Issuer) nonce() (string, error) {
	var b [32]byte
	if _, err := io.ReadFull(i.cfg.Rand, b[:]); err != nil {
		return "", fmt.Errorf("issuer: randomness: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(b[:]), nil
}

// unlock reads the key and the secrets, or makes them.
func (i *Issuer) unlock() error {
	text, err := i.keep("key.pem", func() (string, error) {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return "", err
		}
		der, err := x509.MarshalPKCS8PrivateKey(key)
		return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
	})
	if err != nil {
		return err
	}
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return errors.New("issuer: key.pem holds no key")
	}
	parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	key, ok := parsed.(*rsa.PrivateKey)
	if err != nil || !ok {
		return errors.New("issuer: key.pem holds no RSA key")
	}
	thumb := sha256.Sum256(x509.MarshalPKCS1PublicKey(&key.PublicKey))
	i.key, i.keyID = key, base64.RawURLEncoding.EncodeToString(thumb[:])
	for _, c := range i.cfg.Clients {
		if c.Public {
			continue
		}
		if c.ID == "" || c.ID != filepath.Base(c.ID) {
			return fmt.Errorf("issuer: client id %q must be a plain name", c.ID)
		}
		secret, err := i.keep(c.ID+".secret", i.nonce)
		if err != nil {
			return err
		}
		i.secrets[c.ID] = strings.TrimSpace(secret)
	}
	return nil
}

// keep reads a file of the folder or writes it with what fresh makes.
func (i *Issuer) keep(name string, fresh func() (string, error)) (string, error) {
	if i.cfg.Folder == "" {
		return fresh()
	}
	path := filepath.Join(i.cfg.Folder, name)
	b, err := os.ReadFile(path)
	if err == nil {
		return string(b), nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("issuer: %w", err)
	}
	text, err := fresh()
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(i.cfg.Folder, 0o700); err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	// Written beside and renamed: a crash leaves no half a key.
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return "", fmt.Errorf("issuer: %w", err)
	}
	return text, nil
}

func (i *Issuer) client(id string) (Client, bool) {
	n := slices.IndexFunc(i.cfg.Clients, func(c Client) bool { return c.ID == id })
	if n < 0 {
		return Client{}, false
	}
	return i.cfg.Clients[n], true
}

// returns says whether the client may have people sent to the address.
func (c Client) returns(to string) bool {
	return slices.ContainsFunc(c.Redirects, func(allowed string) bool {
		if to == allowed {
			return true
		}
		a, err := url.Parse(allowed)
		t, bad := url.Parse(to)
		if err != nil || bad != nil || a.Port() != "" || !loopback(t.Host) {
			return false
		}
		t.Host = t.Hostname()
		return t.String() == allowed
	})
}

// loopback says whether an address, with or without a port, is this machine's own.
func loopback(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		host = addr
	}
	ip := net.ParseIP(strings.Trim(host, "[]"))
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
