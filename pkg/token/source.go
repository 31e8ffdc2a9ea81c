package token

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// Credentials are by which a service, or who administers it, gets tokens of its own.
type Credentials struct {
	// Issuer is the issuer's URL.
	Issuer string
	// Client is the client id.
	Client string
	// Secret reads the client secret; it is called for each token, so a secret may be rotated.
	Secret func() (string, error)
	// Params are added to the request, such as the audience.
	Params url.Values
	// Roots are the roots by which the issuer is known; nil means the system's.
	Roots *tls.Config
}

// Source gets tokens by client credentials (RFC 6749, 4.4), keeps each until half a minute before it expires, and is
// safe for concurrent use. The issuer is looked for when the first token is.
func Source(c Credentials) (oauth2.TokenSource, error) {
	if c.Issuer == "" || c.Client == "" || c.Secret == nil {
		return nil, errors.New("token: issuer, client id and secret are needed")
	}
	return oauth2.ReuseTokenSourceWithExpiry(nil, &source{Credentials: c, client: client(c.Roots)}, 30*time.Second), nil
}

type source struct {
	Credentials
	client *http.Client
	mu     sync.Mutex
	url    string // of the token endpoint
}

// Token asks the issuer. The client has its own time limit: an oauth2.TokenSource knows no context.
func (s *source) Token() (*oauth2.Token, error) {
	ctx := oidc.ClientContext(context.Background(), s.client)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.url == "" {
		provider, err := oidc.NewProvider(ctx, s.Issuer)
		if err != nil {
			return nil, fmt.Errorf("%w: discovery at %s", ErrUnreachable, s.Issuer)
		}
		s.url = provider.Endpoint().TokenURL
	}
	secret, err := s.Secret()
	if err != nil {
		return nil, err
	}
	// The style is named: auto-detection tries one after the other, which burns one-time codes and doubles refusals.
	cfg := clientcredentials.Config{
		ClientID: s.Client, ClientSecret: secret, TokenURL: s.url, EndpointParams: s.Params, AuthStyle: oauth2.AuthStyleInParams,
	}
	t, err := cfg.Token(ctx)
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused) && refused.ErrorCode != "":
		return nil, fmt.Errorf("token: the issuer refuses client %s: %s", s.Client, refused.ErrorCode)
	case err != nil:
		return nil, fmt.Errorf("%w: token endpoint at %s", ErrUnreachable, s.Issuer)
	}
	return t, nil
}
