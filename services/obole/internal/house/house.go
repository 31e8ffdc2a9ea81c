// Package house runs the whole market in one process on the embedded default: PostgreSQL as its child, broker and issuer
// inside it, every service on a port of its own with a database and a topic of its own. It is for one machine.
package house

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"time"

	"github.com/obole-market/obole/deploy"
	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/embedded"
	"github.com/obole-market/obole/pkg/issuer"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/app"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/obole/internal/place"
	"github.com/obole-market/obole/services/obole/internal/roster"
)

// partitions of every log on one machine.
const partitions = 2

// The row of ports: the issuer on the first, then these, then the broker, then the page. A service's place in it never changes.
var row = []string{"offers", "consent", "delivery", "settlement"}

// Options of a market.
type Options struct {
	Data place.Folder
	// Port is the first of seven in a row; 0 takes free ones.
	Port int
	// Policy and Products are folders of policy packs and data products; empty means those built in.
	Policy, Products string
	// Say is told of each step that may take a while.
	Say func(string)
	// Ready is told once that everything answers.
	Ready func(place.Running) error
}

// house is a market being built; what was started is in the group, or to be undone.
type house struct {
	Options

	running   place.Running
	listeners map[string]net.Listener
	issuer    *issuer.Issuer
	postgres  *embedded.PostgresServer
	log       *os.File
	group     boot.Group
	undo      []func() error
}

// Run starts everything on the folder and serves until ctx ends. The data are kept, also when the process is killed.
func Run(ctx context.Context, o Options) (err error) {
	give, err := embedded.Take(string(o.Data))
	if err != nil {
		return err
	}
	h := &house{Options: o, listeners: map[string]net.Listener{}, running: place.Running{Process: os.Getpid(), Services: map[string]string{}, Log: o.Data.Log()}}
	h.group.Stop = time.Minute // the database writes what it holds
	h.undo = append(h.undo, give)
	defer func() {
		for i := len(h.undo) - 1; i >= 0; i-- {
			err = errors.Join(err, h.undo[i]())
		}
	}()
	for _, step := range []func(context.Context) error{h.logs, h.ports, h.keys, h.database, h.broker, h.services} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	h.group.Add("ready", h.ready)
	return h.group.Run(ctx)
}

// logs opens the file for the log lines of all; the one before is kept once it is large.
func (h *house) logs(context.Context) error {
	const large = 16 << 20
	name := h.Data.Log()
	if fi, err := os.Stat(name); err == nil && fi.Size() > large {
		if err := os.Rename(name, name+".1"); err != nil {
			return err
		}
	}
	var err error
	h.log, err = os.OpenFile(name, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err == nil {
		h.undo = append(h.undo, h.log.Close)
	}
	return err
}

// ports takes all addresses at once, so that one in use is named before anything is started.
func (h *house) ports(ctx context.Context) error {
	for i, name := range row {
		if err := h.listen(ctx, i+1, name, name); err != nil {
			return err
		}
		h.running.Services[name] = h.listeners[name].Addr().String()
	}
	if err := h.listen(ctx, len(row)+2, app.Name, "the page"); err != nil {
		return err
	}
	h.running.Page = "http://" + h.listeners[app.Name].Addr().String()
	clients := []issuer.Client{{ID: place.Admin, Admin: true}, {ID: app.Name, Redirects: []string{"http://127.0.0.1/login/done"}}}
	for _, s := range roster.All {
		clients = append(clients, issuer.Client{ID: s.Name, Roles: []eventv1.Role{eventv1.Role_ROLE_SERVICE}})
	}
	var err error
	h.issuer, err = issuer.Open(issuer.Config{
		Listen: h.at(0), Folder: h.Data.Issuer(), Clients: clients, Principals: staff(), People: h.guests, Newcomer: h.newcomer,
	})
	if err != nil {
		return h.inUse(0, "the issuer", err)
	}
	h.running.Issuer = h.issuer.URL()
	return nil
}

// listen takes the port of that number in the row, for what answers there.
func (h *house) listen(ctx context.Context, n int, name, what string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", h.at(n))
	if err != nil {
		return h.inUse(n, what, err)
	}
	h.undo = append(h.undo, func() error {
		_ = l.Close() // its service has closed it
		return nil
	})
	h.listeners[name] = l
	return nil
}

func (h *house) at(n int) string {
	if h.Port == 0 {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(h.Port+n))
}

func (h *house) inUse(n int, what string, err error) error {
	if !errors.Is(err, syscall.EADDRINUSE) {
		return err
	}
	return fmt.Errorf("port %d, for %s, is in use: stop what uses it, or choose another row with --port", h.Port+n, what)
}

// keys makes the first key-encryption key of a new folder.
func (h *house) keys(context.Context) error {
	if err := os.MkdirAll(h.Data.Keys(), 0o700); err != nil {
		return err
	}
	files, err := filepath.Glob(filepath.Join(h.Data.Keys(), "*.kek"))
	if err != nil || len(files) > 0 {
		return err
	}
	return vault.CreateKEK(filepath.Join(h.Data.Keys(), "0001.kek"), rand.Reader)
}

// database starts PostgreSQL, and makes each service's database and roles.
func (h *house) database(ctx context.Context) error {
	log, err := h.logger("postgres")
	if err != nil {
		return err
	}
	p, err := embedded.Postgres(ctx, embedded.PostgresOptions{Dir: h.Data.Postgres(), Log: log, Progress: h.Say})
	if err != nil {
		return err
	}
	h.postgres = p
	stop := once(func() error {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), h.group.Stop/2)
		defer cancel()
		return p.Stop(ctx)
	})
	h.undo = append(h.undo, stop)
	h.group.Add("database", func(ctx context.Context) error {
		select {
		case <-ctx.Done():
			return stop()
		case <-p.Done():
			return errors.New("it ended by itself; see postgres.log in its folder")
		}
	})
	h.running.Socket = p.URL("postgres", embedded.Superuser)
	for _, s := range roster.All {
		if err := deploy.DatabaseOf(s.Name).Create(ctx, func(db string) string { return p.URL(db, embedded.Superuser) }); err != nil {
			return err
		}
	}
	return nil
}

// broker starts the broker with the topics of all services.
func (h *house) broker(ctx context.Context) error {
	log, err := h.logger("broker")
	if err != nil {
		return err
	}
	o := embedded.BrokerOptions{Dir: h.Data.Broker(), Log: log, Progress: h.Say, Topics: topics()}
	last := len(row) + 1
	if h.Port != 0 {
		o.Port = h.Port + last
	}
	b, err := embedded.Broker(ctx, o)
	if err != nil {
		return h.inUse(last, "the broker", err)
	}
	stop := once(b.Stop)
	h.undo = append(h.undo, stop)
	h.group.Add("broker", func(ctx context.Context) error {
		<-ctx.Done()
		return stop()
	})
	h.running.Broker = b.Addr()
	h.group.Add("issuer", h.issuer.Serve)
	return nil
}

// topics are those of all services, as one broker has them.
func topics() (all []embedded.Topic) {
	for _, t := range deploy.Single(partitions) {
		all = append(all, embedded.Topic{Name: t.Name, Partitions: int32(t.Partitions), Config: t.Config})
	}
	return all
}

// services brings every database up to date and puts the services into the group.
func (h *house) services(ctx context.Context) error {
	h.Say("starting the services")
	for _, s := range roster.All {
		c := Config(h.Data, h.running, s.Name)
		if err := s.Migrate(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		c.Policy, c.Products = h.Policy, h.Products
		c.Seams.Listener, c.Seams.Log = h.listeners[s.Name], h.log
		run := func(ctx context.Context) error { return s.Run(ctx, c) }
		if cells := h.Data.Cells(); s.Name == delivery.Name && exists(cells) {
			run = func(ctx context.Context) error { return delivery.Run(ctx, delivery.Config{Config: c, Cells: cells}) }
		}
		h.group.Add(s.Name, run)
	}
	page := app.Config{Config: Config(h.Data, h.running, app.Name), URL: h.running.Page}
	page.Policy, page.Products = h.Policy, h.Products
	page.Seams.Listener, page.Seams.Log = h.listeners[app.Name], h.log
	h.group.Add(app.Name, func(ctx context.Context) error { return app.Run(ctx, page) })
	return nil
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

// logger is held to the same list of keys as the services'.
func (h *house) logger(part string) (*slog.Logger, error) {
	return boot.NewLog(&boot.Config{Service: part, Seams: boot.Seams{Log: h.log}})
}

// once makes a function that works the first time and afterwards says the same.
func once(f func() error) func() error {
	var done bool
	var err error
	return func() error {
		if !done {
			done, err = true, f()
		}
		return err
	}
}
