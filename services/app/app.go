// Package app is the page's edge: it stands between a browser and the four services, holds the session, and serves the page.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/token"
	"github.com/obole-market/obole/services/app/internal/bridge"
	"github.com/obole-market/obole/services/app/internal/door"
	"github.com/obole-market/obole/services/app/internal/login"
	"github.com/obole-market/obole/services/app/internal/notice"
	"github.com/obole-market/obole/services/app/internal/session"

	// The contracts of those behind, which the bridge finds by their descriptors.
	_ "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/log/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// Name of the service.
const Name = "app"

// services that stand behind the edge.
var services = []string{"consent", "delivery", "offers", "settlement"}

// Config of the edge. Of the common part it uses listen, admin, peers, products, policy, tls, auth and telemetry; it has no database, no
// broker and no keys. The client of auth is one that may sign people in; without a secret's file it is a public client.
type Config struct {
	boot.Config

	URL      string   `placeholder:"URL" help:"Where people open the page, as in https://data.operator.example. Empty means http:// and the address listened on, which is for a loopback only."`
	Operator string   `placeholder:"FILE" help:"JSON file about the operator: name, country, address, dpo; empty means one that is declared synthetic."`
	Proxies  []string `placeholder:"CIDR" help:"Networks of proxies whose X-Forwarded-For says who calls."`

	Session SessionConfig `embed:"" prefix:"session."`
	Import  ImportConfig  `embed:"" prefix:"import."`
	Calls   CallsConfig   `embed:"" prefix:"calls."`
}

// SessionConfig bounds a session.
type SessionConfig struct {
	Life time.Duration `placeholder:"DURATION" help:"Longest life of a session, which never outlives the issuer's token; 0 means 1h."`
	Idle time.Duration `placeholder:"DURATION" help:"Life of a session without a request; 0 means 30m."`
	Most int           `placeholder:"N" help:"Sessions at once; 0 means 65536."`
}

// ImportConfig bounds files that people bring.
type ImportConfig struct {
	Bytes int64 `placeholder:"N" help:"Largest file in bytes; 0 means 4 GiB."`
}

// CallsConfig bounds how often browsers call.
type CallsConfig struct {
	Session int `placeholder:"N" help:"Calls a second of one session; 0 means 50."`
	Address int `placeholder:"N" help:"Calls a second of one address; 0 means 200."`
	Logins  int `placeholder:"N" help:"Attempts to sign in a second of one address; 0 means 5."`
}

// edge is what Run puts together.
type edge struct {
	Config

	page     *url.URL
	log      *slog.Logger
	sessions *session.Store
	jar      session.Jar
	login    *login.Login
	notice   *notice.Notice
	door     *door.Door
	conns    map[string]*grpc.ClientConn
	stopping context.Context
}

// Run serves until ctx ends. It starts before, after or without everything that it stands on.
func Run(ctx context.Context, c Config) (err error) {
	c.Service = Name
	telemetry, err := boot.Observe(&c.Config)
	if err != nil {
		return err
	}
	listener := c.Seams.Listener
	if listener == nil {
		at := c.Listen
		if at == "" {
			at = "127.0.0.1:0"
		}
		if listener, err = new(net.ListenConfig).Listen(ctx, "tcp", at); err != nil {
			return fmt.Errorf("app: listen: %w", err)
		}
	}
	defer func() { _ = listener.Close() }() // the server has closed it, where it came to that
	stopping, stop := context.WithCancel(context.Background())
	defer stop()
	e := &edge{Config: c, log: telemetry.Log, conns: map[string]*grpc.ClientConn{}, stopping: stopping}
	defer func() {
		for _, conn := range e.conns {
			err = errors.Join(err, conn.Close())
		}
		err = errors.Join(err, telemetry.Close(context.WithoutCancel(ctx)))
	}()
	for _, step := range []func(net.Addr) error{e.address, e.people, e.words, e.services(telemetry)} {
		if err := step(listener.Addr()); err != nil {
			return err
		}
	}
	routes, err := e.routes(telemetry)
	if err != nil {
		return err
	}
	health := boot.NewHealth(Name)
	var g boot.Group
	g.Add("sessions", e.sessions.Run)
	g.Add("admin", boot.ServeHTTP(c.Admin, boot.Admin(telemetry, health)))
	g.Add("http", e.serve(listener, routes, func() {
		health.Stop()
		stop()
	}))
	return g.Run(ctx)
}

// address settles where the page is: cookies, the way back from the issuer and the browser's same origin depend on it.
func (e *edge) address(at net.Addr) error {
	text := e.URL
	if text == "" {
		scheme := "http://"
		if e.TLS.Cert != "" {
			scheme = "https://"
		}
		text = scheme + at.String()
	}
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.User != nil || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("app: --url %q: want https:// and a host, without a path", text)
	}
	if u.Scheme == "http" && !door.Loopback(u.Hostname()) {
		return fmt.Errorf("app: --url %q: browsers keep a session's cookie over https, or on a loopback, and nowhere else", text)
	}
	e.page = &url.URL{Scheme: u.Scheme, Host: u.Host}
	proxies := make([]netip.Prefix, 0, len(e.Proxies))
	for _, p := range e.Proxies {
		network, err := netip.ParsePrefix(p)
		if err != nil {
			return fmt.Errorf("app: --proxies %q: want networks, as in 10.0.0.0/8", p)
		}
		proxies = append(proxies, network)
	}
	e.door = door.New(door.Options{Page: e.page, Proxies: proxies, Rate: e.Calls.Address, Logins: e.Calls.Logins, Now: e.Now})
	return nil
}

// people prepares signing in and sessions.
func (e *edge) people(net.Addr) error {
	roots, err := boot.Roots(e.TLS.CA)
	if err != nil {
		return err
	}
	tokens, err := token.NewVerifier(token.Config{
		Issuer: e.Auth.Issuer, Audience: e.Audience(), RolesClaim: e.Auth.RolesClaim, Roots: roots, Now: e.Now, Size: e.Limits.Tokens,
	})
	if err != nil {
		return fmt.Errorf("app: auth: %w", err)
	}
	e.sessions = session.NewStore(
		session.Limits{Life: e.Session.Life, Idle: e.Session.Idle, Most: e.Session.Most, Rate: e.Calls.Session}, e.Now, e.Random(),
	)
	e.jar = session.NewJar(e.page)
	var secret func() (string, error)
	if file := e.Auth.SecretFile; file != "" {
		secret = func() (string, error) { return boot.Read(file) }
	}
	client := e.Auth.Client
	if client == "" {
		client = Name
	}
	e.login, err = login.New(login.Options{
		Page: e.page, Issuer: e.Auth.Issuer, Client: client, Audience: e.Audience(), Secret: secret, Roots: roots, Tokens: tokens,
		Sessions: e.sessions, Jar: e.jar, Log: e.log, Now: e.Now, Random: e.Random(),
	})
	return err
}

// words prepares the privacy policy.
func (e *edge) words(net.Addr) error {
	products, err := catalog.Open(e.Products)
	if err != nil {
		return err
	}
	rules, err := policy.Open(e.Policy)
	if err != nil {
		return err
	}
	if e.Import.Bytes == 0 {
		e.Import.Bytes = 4 << 30
	}
	limits := e.sessions.Limits()
	e.notice, err = notice.Open(notice.Options{
		Operator: e.Operator, Catalog: products, Rules: rules, Cookies: [2]string{e.jar.Name(session.What), e.jar.Name(login.Cookie)},
		Life: limits.Life, Idle: limits.Idle, Login: login.Patience, Most: e.Import.Bytes, Now: e.Now,
	})
	return err
}

// services connects to those behind. They get each session's token, and none of the edge's own.
func (e *edge) services(t *boot.Telemetry) func(net.Addr) error {
	return func(net.Addr) error {
		for _, name := range services {
			addr := e.Peers[name]
			if addr == "" {
				return fmt.Errorf("app: --peers names no address for %s", name)
			}
			conn, err := boot.Dial(&e.Config.Config, t, addr, nil)
			if err != nil {
				return err
			}
			e.conns[name] = conn
		}
		return nil
	}
}

// bridge puts the browser's protocols in front of the services.
func (e *edge) bridge() (*bridge.Bridge, http.Handler, error) {
	b := &bridge.Bridge{Conns: map[string]grpc.ClientConnInterface{}, Stopping: e.stopping}
	for name, conn := range e.conns {
		b.Conns[name] = conn
	}
	h, err := b.Handler()
	return b, h, err
}
