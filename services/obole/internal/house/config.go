package house

import (
	"context"
	"net/url"
	"path/filepath"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/obole-market/obole/deploy"
	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/services/obole/internal/place"
	"github.com/obole-market/obole/services/obole/internal/roster"
)

// Config is that of one service of a market that runs on the folder.
func Config(data place.Folder, r place.Running, service string) boot.Config {
	db := deploy.DatabaseOf(service) // the page's edge has none, and asks for none
	c := boot.Config{
		Service: service, Peers: r.Services, Keys: data.Keys(), Partitions: partitions,
		Database:  boot.Database{URL: database(r.Socket, db.Name, db.App), OwnerURL: database(r.Socket, db.Name, db.Owner), Role: db.App},
		Auth:      boot.Auth{Issuer: r.Issuer, SecretFile: filepath.Join(data.Issuer(), service+".secret")},
		Telemetry: boot.TelemetryConfig{Level: "info", Format: "json"},
	}
	if r.Broker != "" { // the market runs
		c.Kafka.Brokers = []string{r.Broker}
	}
	return c
}

// database turns the server's URL to one of its databases as one of its roles.
func database(server, name, role string) string {
	u, err := url.Parse(server)
	if err != nil {
		return server // what connects with it says that it is malformed
	}
	u.Path, u.User = "/"+name, url.User(role)
	return u.String()
}

// ready waits until every service answers, tells where, and stays until it is time to stop.
func (h *house) ready(ctx context.Context) error {
	for _, s := range roster.All {
		if err := answers(ctx, h.running.Services[s.Name], s.Name); err != nil {
			return err
		}
	}
	if err := h.Data.Announce(h.running); err != nil {
		return err
	}
	h.undo = append(h.undo, h.Data.Retract)
	if err := h.Ready(h.running); err != nil {
		return err
	}
	<-ctx.Done()
	h.Say("stopping")
	return nil
}

// answers waits until a service says that it works.
func answers(ctx context.Context, addr, service string) error {
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		h, err := grpc_health_v1.NewHealthClient(conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: service})
		if err == nil && h.GetStatus() == grpc_health_v1.HealthCheckResponse_SERVING {
			return nil
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
