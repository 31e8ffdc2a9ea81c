// Package client is what all commands that talk to a market share: where it answers, as whom they call, how answers and
// errors are shown to people and to scripts.
package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"sync"

	"golang.org/x/oauth2"
	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/token"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/place"
)

// Flags are those of every command.
type Flags struct {
	Data      string            `env:"OBOLE_HOME" placeholder:"DIR" help:"Data folder of the market; empty means ~/.obole, for root /var/lib/obole."`
	Addr      map[string]string `env:"OBOLE_ADDR" placeholder:"SERVICE=HOST:PORT" help:"Where services answer; empty means as the data folder says."`
	TokenFile string            `env:"OBOLE_TOKEN_FILE" placeholder:"FILE" help:"File with the access token to call with; empty means one of the data folder's own issuer."`
	CA        string            `env:"OBOLE_CA" placeholder:"FILE" help:"Roots by which services are known, PEM; empty means in clear."`
	JSON      bool              `name:"json" help:"One line of JSON for each answer."`
}

// Folder is the data folder.
func (f *Flags) Folder() (place.Folder, error) {
	if f.Data != "" {
		return place.Folder(f.Data), nil
	}
	return place.Default()
}

// Session is one run of a command.
type Session struct {
	Flags

	In       io.Reader
	Out, Err io.Writer
	// Params are those of the command that runs: errors name them.
	Params Params

	mu    sync.Mutex
	conns map[called]*grpc.ClientConn
}

// called is a connection's service and who calls it.
type called struct {
	service string
	who     Who
}

// Who makes a call.
type Who struct {
	Subject string
	Role    eventv1.Role
}

// Operator and Finance are the staff of the market of the data folder.
func Operator() Who { return staff("operator", eventv1.Role_ROLE_OPERATOR) }

// Finance is whoever keeps the books.
func Finance() Who { return staff("finance", eventv1.Role_ROLE_FINANCE) }

func staff(name string, role eventv1.Role) Who { return Who{place.Staff(name), role} }

// Buyer is the buyer with the id.
func Buyer(subject string) Who { return Who{subject, eventv1.Role_ROLE_BUYER} }

// Person is the subscriber with the id.
func Person(subject string) Who { return Who{subject, eventv1.Role_ROLE_SUBSCRIBER} }

// Offers connects to the service of that name.
func (s *Session) Offers(w Who) (offersv1.OffersServiceClient, error) {
	return dial(s, "offers", w, offersv1.NewOffersServiceClient)
}

// Consent connects to the service of that name.
func (s *Session) Consent(w Who) (consentv1.ConsentServiceClient, error) {
	return dial(s, "consent", w, consentv1.NewConsentServiceClient)
}

// Delivery connects to the service of that name.
func (s *Session) Delivery(w Who) (deliveryv1.DeliveryServiceClient, error) {
	return dial(s, "delivery", w, deliveryv1.NewDeliveryServiceClient)
}

// Settlement connects to the service of that name.
func (s *Session) Settlement(w Who) (settlementv1.SettlementServiceClient, error) {
	return dial(s, "settlement", w, settlementv1.NewSettlementServiceClient)
}

func dial[C any](s *Session, service string, w Who, stub func(grpc.ClientConnInterface) C) (C, error) {
	var none C
	conn, err := s.dial(service, w)
	if err != nil {
		return none, err
	}
	return stub(conn), nil
}

// services are those that can be called.
var services = []string{"offers", "consent", "delivery", "settlement"}

func (s *Session) dial(service string, w Who) (*grpc.ClientConn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if conn := s.conns[called{service, w}]; conn != nil {
		return conn, nil
	}
	for name := range s.Addr {
		if !slices.Contains(services, name) {
			return nil, Usage("--addr %s: want one of %s", name, strings.Join(services, ", "))
		}
	}
	addr := s.Addr[service]
	var running place.Running
	if addr == "" || s.TokenFile == "" {
		data, err := s.Folder()
		if err != nil {
			return nil, err
		}
		if running, err = data.Running(); err != nil {
			return nil, fault.Unavailable(err.Error()).Because(err)
		}
		if addr == "" {
			addr = running.Services[service]
		}
	}
	source, err := s.source(running.Issuer, w)
	if err != nil {
		return nil, err
	}
	c := &boot.Config{Service: "obole", TLS: boot.TLS{CA: s.CA}}
	c.Seams.Log = s.Err
	if _, err := boot.Roots(s.CA); err != nil {
		return nil, Usage("--ca: %w", err)
	}
	telemetry, err := boot.Observe(c)
	if err != nil {
		return nil, err
	}
	conn, err := boot.Dial(c, telemetry, addr, source)
	if err != nil {
		return nil, err
	}
	if s.conns == nil {
		s.conns = map[called]*grpc.ClientConn{}
	}
	s.conns[called{service, w}] = conn
	return conn, nil
}

// source gives the tokens to call with. The data folder's owner may be anybody; a token file says who one is.
func (s *Session) source(issuer string, w Who) (oauth2.TokenSource, error) {
	if s.TokenFile != "" {
		text, err := boot.Read(s.TokenFile)
		if err != nil {
			return nil, Usage("--token-file: %w", err)
		}
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: text}), nil
	}
	data, err := s.Folder()
	if err != nil {
		return nil, err
	}
	source, err := token.Source(token.Credentials{
		Issuer: issuer, Client: place.Admin, Secret: func() (string, error) { return boot.Read(data.Secret()) },
		Params: url.Values{"subject": {w.Subject}, "role": {token.RoleName(w.Role)}},
	})
	if err != nil {
		return nil, err
	}
	// Asked for now: a market that does not run is told by its folder, not by the address of its issuer.
	if _, err := source.Token(); err != nil {
		if errors.Is(err, token.ErrUnreachable) {
			return nil, fault.Unavailable(fmt.Sprintf("the market of %s does not answer: start it with obole up", data)).Because(err)
		}
		return nil, err
	}
	return source, nil
}

// Welcome has the page of the data folder's market list somebody among those who may sign in. A market elsewhere has an issuer of its own.
func (s *Session) Welcome(w Who, label string) error {
	if s.TokenFile != "" {
		return nil
	}
	data, err := s.Folder()
	if err != nil {
		return err
	}
	return data.Welcome(place.Someone{Subject: w.Subject, Label: label, Roles: []string{token.RoleName(w.Role)}})
}

// Close ends the connections.
func (s *Session) Close() {
	for _, c := range s.conns {
		_ = c.Close() // nothing is pending
	}
}

// Key is the idempotency key of a write: the one that was asked for, or a new one. With the same key the same command is
// done once, however often it is repeated.
func Key(asked string) string {
	if asked != "" {
		return asked
	}
	return id.Random().String()
}

// Ended says that a stream ended because the command was told to stop, which is no failure.
func Ended(ctx context.Context, err error) bool {
	return errors.Is(err, io.EOF) || ctx.Err() != nil && (errors.Is(err, fault.KindCanceled) || errors.Is(err, context.Canceled))
}
