package node

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
)

// Checked is a log that is being checked, with what opens it.
type Checked struct {
	Log  *espg.Log
	Keys *vault.Keeper // nil where the configuration names no keys
}

// Check opens a service's log as its owner, holds it against its topic, and does something to it. Where the configuration says
// so, a log that lost its tail is first made whole from the topic. Its error is both that of the topic and of what was done.
func Check(ctx context.Context, c *boot.Config, do func(Checked) error) error {
	url, err := c.DatabaseURL(true)
	if err != nil {
		return err
	}
	log, err := espg.Open(ctx, espg.Config{URL: url, Partitions: int(c.PartitionCount()), Dial: c.Seams.Database})
	if err != nil {
		return err
	}
	defer log.Close()
	out := Checked{Log: log}
	if c.Keys != "" {
		pool, err := ownerPool(ctx, c, url)
		if err != nil {
			return err
		}
		defer pool.Close()
		if out.Keys, err = keeper(c, pool); err != nil {
			return err
		}
	}
	torn := compare(ctx, c, url, log)
	if torn != nil && c.Reconcile {
		return torn // what cannot be mended is not checked further
	}
	return errors.Join(torn, do(out))
}

// ownerPool is for the tools of a database's owner.
func ownerPool(ctx context.Context, c *boot.Config, url string) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("node: the database url is malformed") // the cause would quote a password
	}
	dialed(c, &config.ConnConfig.Config)
	return pgxpool.NewWithConfig(ctx, config)
}

// dialed has connections made by the configured dialer, which looks up names itself.
func dialed(c *boot.Config, to *pgconn.Config) {
	if dial := c.Seams.Database; dial != nil {
		to.DialFunc = dial
		to.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
}

// Owner says whose keys open a stream's events; the zero id, that they need none.
type Owner func(s es.Stream) (id.ID, error)

// Nobody owns streams in which nothing is sealed.
func Nobody(es.Stream) (id.ID, error) { return id.ID{}, nil }

// ByRoot is for roots whose id is the person's.
func ByRoot(s es.Stream) (id.ID, error) { return id.Parse(s.Root()) }

// Refold checks every partition's chain, and folds the events of one kind of root anew; see es.Refold. types are the kind's
// events.
func Refold[S, C, E any](ctx context.Context, c Checked, rules es.Rules[S, C, E], types func(string) bool, owner Owner) error {
	keys := func(s es.Stream) (any, error) {
		who, err := owner(s)
		if err != nil || who.IsZero() {
			return nil, err
		}
		return c.Keys.Ring(ctx, who)
	}
	for p := range c.Log.Partitions() {
		if _, err := es.Refold(ctx, c.Log, es.Partition(p), rules, func(r *es.Record) bool { return types(r.Type) }, keys); err != nil {
			return fmt.Errorf("root %s: %w", rules.Name, err)
		}
	}
	return nil
}
