package issuer

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/obole-market/obole/pkg/token"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
)

// A code lives a minute and is good once; more than maxCodes pending at a time are refused.
const (
	codeLife = time.Minute
	maxCodes = 1024
)

// grant is what a code stands for.
type grant struct {
	client, redirect, challenge, nonce string
	principal                          Principal
	until                              time.Time
}

func (i *Issuer) routes() {
	i.mux = http.NewServeMux()
	i.mux.HandleFunc("GET /.well-known/openid-configuration", i.discovery)
	i.mux.HandleFunc("GET /keys", i.keys)
	i.mux.HandleFunc("GET /authorize", i.page)
	i.mux.HandleFunc("POST /authorize", i.authorize)
	i.mux.HandleFunc("GET /style.css", style)
	i.mux.HandleFunc("POST /token", i.token)
}

func (i *Issuer) discovery(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"issuer":                                i.cfg.URL,
		"authorization_endpoint":                i.cfg.URL + "/authorize",
		"token_endpoint":                        i.cfg.URL + "/token",
		"jwks_uri":                              i.cfg.URL + "/keys",
		"response_types_supported":              []string{"code"},
		"grant_types_supported":                 []string{"authorization_code", "client_credentials"},
		"subject_types_supported":               []string{"public"},
		"id_token_signing_alg_values_supported": []string{"RS256"},
		"token_endpoint_auth_methods_supported": []string{"client_secret_post", "client_secret_basic", "none"},
		"code_challenge_methods_supported":      []string{"S256"},
		"scopes_supported":                      []string{"openid", "profile"},
		"claims_supported":                      []string{"iss", "aud", "sub", "iat", "exp", "jti", "nonce", "name", "roles"},
		"ui_locales_supported":                  languages,

		"authorization_response_iss_parameter_supported": true,
	})
}

func (i *Issuer) keys(w http.ResponseWriter, _ *http.Request) {
	b64 := base64.RawURLEncoding.EncodeToString
	answer(w, http.StatusOK, map[string]any{"keys": []any{map[string]string{
		"kty": "RSA", "use": "sig", "alg": "RS256", "kid": i.keyID,
		"n": b64(i.key.N.Bytes()), "e": b64(big.NewInt(int64(i.key.E)).Bytes()),
	}}})
}

// asked checks what a client asks for on behalf of a person. Where the client or its address is not known, nobody is
// sent anywhere.
func (i *Issuer) asked(w http.ResponseWriter, q url.Values) (grant, bool) {
	c, ok := i.client(q.Get("client_id"))
	if !ok || !c.returns(q.Get("redirect_uri")) {
		http.Error(w, "unknown client_id, or redirect_uri that is not registered for it", http.StatusBadRequest)
		return grant{}, false
	}
	if q.Get("response_type") != "code" || q.Get("code_challenge_method") != "S256" || len(q.Get("code_challenge")) != 43 {
		http.Error(w, "want response_type=code and a code_challenge of method S256", http.StatusBadRequest)
		return grant{}, false
	}
	return grant{client: c.ID, redirect: q.Get("redirect_uri"), challenge: q.Get("code_challenge"), nonce: q.Get("nonce")}, true
}

// newcomer is the subject of the button for somebody new.
const newcomer = "new"

// everybody who may sign in: those of the configuration, and those who have come since.
func (i *Issuer) everybody() ([]Principal, error) {
	if i.cfg.People == nil {
		return i.cfg.Principals, nil
	}
	more, err := i.cfg.People()
	return slices.Concat(i.cfg.Principals, more), err
}

// chosen is who was chosen on the page, nobody where there is no such principal.
func (i *Issuer) chosen(subject string) (Principal, error) {
	if subject == newcomer && i.cfg.Newcomer != nil {
		return i.cfg.Newcomer()
	}
	all, err := i.everybody()
	n := slices.IndexFunc(all, func(p Principal) bool { return p.Subject == subject })
	if err != nil || n < 0 {
		return Principal{}, err
	}
	return all[n], nil
}

func (i *Issuer) authorize(w http.ResponseWriter, r *http.Request) {
	g, ok := i.asked(w, r.URL.Query())
	if !ok {
		return
	}
	who, err := i.chosen(r.PostFormValue("subject"))
	switch {
	case err != nil:
		http.Error(w, "who may sign in cannot be read now", http.StatusServiceUnavailable)
		return
	case who.Subject == "":
		http.Error(w, "no such principal", http.StatusForbidden)
		return
	}
	g.principal, g.until = who, i.cfg.Now().Add(codeLife)
	code, err := i.nonce()
	if err != nil || !i.remember(code, g) {
		http.Error(w, "too many are signing in at once", http.StatusServiceUnavailable)
		return
	}
	back, err := url.Parse(g.redirect)
	if err != nil {
		http.Error(w, "redirect_uri is no address", http.StatusBadRequest)
		return
	}
	q := back.Query()
	q.Set("code", code)
	q.Set("state", r.URL.Query().Get("state"))
	q.Set("iss", i.cfg.URL) // RFC 9207
	back.RawQuery = q.Encode()
	http.Redirect(w, r, back.String(), http.StatusSeeOther)
}

func (i *Issuer) remember(code string, g grant) bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := i.cfg.Now()
	for c, old := range i.codes {
		if now.After(old.until) {
			delete(i.codes, c)
		}
	}
	if len(i.codes) >= maxCodes {
		return false
	}
	i.codes[code] = g
	return true
}

// take spends a code, whatever comes of it.
func (i *Issuer) take(code string) (grant, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	g, ok := i.codes[code]
	delete(i.codes, code)
	return g, ok && !i.cfg.Now().After(g.until)
}

func (i *Issuer) token(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		refuse(w, http.StatusBadRequest, "invalid_request")
		return
	}
	id, secret, basic := r.BasicAuth()
	if !basic {
		id, secret = r.PostForm.Get("client_id"), r.PostForm.Get("client_secret")
	}
	c, ok := i.client(id)
	if !ok || !c.Public && subtle.ConstantTimeCompare([]byte(secret), []byte(i.secrets[id])) != 1 {
		refuse(w, http.StatusUnauthorized, "invalid_client")
		return
	}
	switch r.PostForm.Get("grant_type") {
	case "authorization_code":
		i.exchange(w, r.PostForm, c)
	case "client_credentials":
		i.credentials(w, r.PostForm, c)
	default:
		refuse(w, http.StatusBadRequest, "unsupported_grant_type")
	}
}

// exchange trades a code and its verifier for tokens (RFC 7636, 4.6).
func (i *Issuer) exchange(w http.ResponseWriter, form url.Values, c Client) {
	g, ok := i.take(form.Get("code"))
	sum := sha256.Sum256([]byte(form.Get("code_verifier")))
	challenge := base64.RawURLEncoding.EncodeToString(sum[:])
	if !ok || g.client != c.ID || g.redirect != form.Get("redirect_uri") || g.challenge != challenge {
		refuse(w, http.StatusBadRequest, "invalid_grant")
		return
	}
	claims := jwt.MapClaims{"sub": g.principal.Subject}
	if g.principal.Label != "" {
		claims["name"] = g.principal.Label
	}
	if g.nonce != "" {
		claims["nonce"] = g.nonce
	}
	identity, err := i.sign(c.ID, claims)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "server_error")
		return
	}
	i.grant(w, g.principal.Subject, g.principal.Roles, map[string]any{"id_token": identity})
}

// credentials gives a client its own token, or an administering one anybody's.
func (i *Issuer) credentials(w http.ResponseWriter, form url.Values, c Client) {
	subject, roles := c.ID, c.Roles
	if other := form.Get("subject"); other != "" {
		if !c.Admin {
			refuse(w, http.StatusForbidden, "unauthorized_client")
			return
		}
		subject, roles = other, nil
		for _, name := range form["role"] {
			role := token.ParseRole(name)
			if role == eventv1.Role_ROLE_UNSPECIFIED {
				refuse(w, http.StatusBadRequest, "invalid_scope")
				return
			}
			roles = append(roles, role)
		}
	}
	if c.Public || len(roles) == 0 {
		refuse(w, http.StatusForbidden, "unauthorized_client")
		return
	}
	i.grant(w, subject, roles, map[string]any{})
}

func (i *Issuer) grant(w http.ResponseWriter, subject string, roles []eventv1.Role, body map[string]any) {
	access, err := i.Mint(subject, roles...)
	if err != nil {
		refuse(w, http.StatusInternalServerError, "server_error")
		return
	}
	body["access_token"], body["token_type"], body["expires_in"] = access, "Bearer", int(i.cfg.Lifetime.Seconds())
	answer(w, http.StatusOK, body)
}

// refuse answers with an error code of RFC 6749, 5.2.
func refuse(w http.ResponseWriter, status int, code string) {
	answer(w, status, map[string]any{"error": code})
}

func answer(w http.ResponseWriter, status int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // the reader has gone, nobody to tell
}
