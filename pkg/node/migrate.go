package node

import (
	"context"
	"database/sql"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/vault/vaultpg"
)

// Migrate brings a service's database up to date as its owner: the log, the readers' tables, the keys, and tables of the
// service's own, if any, in a schema named store; then it gives the application's role what it needs and no more. Run it before the processes.
func Migrate(ctx context.Context, c *boot.Config, own fs.FS) error {
	url, err := c.DatabaseURL(true)
	if err != nil {
		return err
	}
	if err := espg.Migrate(ctx, url, espg.Birth{Partitions: int(c.PartitionCount()), Role: c.Database.Role}); err != nil {
		return err
	}
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return fmt.Errorf("node: the database url is malformed")
	}
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }() // nothing is pending
	if err := vaultpg.Migrate(ctx, db); err != nil {
		return err
	}
	readers, err := fs.Sub(bus.Migrations, "migrations")
	if err != nil {
		return err
	}
	if err := up(ctx, db, "bus_migration", readers); err != nil {
		return err
	}
	if own != nil {
		if err := up(ctx, db, c.Service+"_migration", own); err != nil {
			return err
		}
	}
	return grant(ctx, db, c.Database.Role, own != nil)
}

func up(ctx context.Context, db *sql.DB, table string, files fs.FS) error {
	store, err := database.NewStore(database.DialectPostgres, table)
	if err != nil {
		return err
	}
	p, err := goose.NewProvider("", db, files, goose.WithStore(store))
	if err != nil {
		return err
	}
	if _, err := p.Up(ctx); err != nil {
		return fmt.Errorf("node: migrate %s: %w", table, err)
	}
	return nil
}

// Rows makes a projection of a service's log.
type Rows = func(*pgxpool.Pool, es.Reader) *projection.Projection

// Tables does something to each of a service's projections as the database's owner: migrating, rebuilding, verifying.
func Tables(ctx context.Context, c *boot.Config, rows []Rows, do func(*projection.Projection) error) error {
	url, err := c.DatabaseURL(true)
	if err != nil {
		return err
	}
	pool, err := ownerPool(ctx, c, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	log, err := espg.Open(ctx, espg.Config{URL: url, Partitions: int(c.PartitionCount()), Dial: c.Seams.Database})
	if err != nil {
		return err
	}
	defer log.Close()
	for _, p := range rows {
		if err := do(p(pool, log)); err != nil {
			return err
		}
	}
	return nil
}

// grant lets the application work with the tables that are not the log's.
func grant(ctx context.Context, db *sql.DB, role string, own bool) error {
	if role == "" {
		return nil
	}
	name := pgx.Identifier{role}.Sanitize()
	rights := []string{
		`select, insert, update, delete on consumed, parked`,
		`select, insert, update on vault_key`,
	}
	if own {
		rights = append(rights, `usage on schema store`, `select, insert, update, delete on all tables in schema store`)
	}
	for _, right := range rights {
		if _, err := db.ExecContext(ctx, `grant `+right+` to `+name); err != nil {
			return fmt.Errorf("node: grant: %w", err)
		}
	}
	return nil
}
