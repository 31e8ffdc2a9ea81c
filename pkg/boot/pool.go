package boot

import (
	"context"
	"errors"
	"fmt"

	"github.com/exaring/otelpgx"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// OpenPool prepares connections to the service's database, in the application's role, traced and measured. It does not
// wait for the database. What a session of the log must pin, package espg sets itself.
func OpenPool(ctx context.Context, c *Config, t *Telemetry) (*pgxpool.Pool, error) {
	url, err := c.DatabaseURL(false)
	if err != nil {
		return nil, err
	}
	cfg, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("boot: the database URL cannot be read") // pgx's error would quote it
	}
	if dial := c.Seams.Database; dial != nil {
		cfg.ConnConfig.DialFunc = dial
		cfg.ConnConfig.LookupFunc = func(_ context.Context, host string) ([]string, error) { return []string{host}, nil }
	}
	cfg.MaxConns = or(c.Database.Conns, 16)
	cfg.ConnConfig.Tracer = t.Pgx()
	cfg.ConnConfig.RuntimeParams["application_name"] = "obole-" + c.Service
	// Every statement looks rows up by an index. Left to itself, PostgreSQL plans those with arrays anew each time, which costs more
	// than they do; and a plan that is made on an empty table must still be right on a full one.
	for name, value := range map[string]string{"plan_cache_mode": "force_generic_plan", "enable_seqscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off", "jit": "off"} {
		cfg.ConnConfig.RuntimeParams[name] = value
	}
	if role := c.Database.Role; role != "" {
		cfg.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.Exec(ctx, "set role "+pgx.Identifier{role}.Sanitize())
			return err
		}
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("boot: database: %w", err)
	}
	if err := otelpgx.RecordStats(pool, otelpgx.WithStatsMeterProvider(t.Meter)); err != nil {
		pool.Close()
		return nil, fmt.Errorf("boot: database metrics: %w", err)
	}
	return pool, nil
}
