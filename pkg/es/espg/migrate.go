package espg

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/obole-market/obole/pkg/es"
)

// Migrations are the log's tables, as goose reads them. Migrate applies them with a version table of their own, so
// that the service's migrations count for themselves.
//
//go:embed migrations/*.sql
var Migrations embed.FS

// Birth is what is decided once in a log's life, and who may use it.
type Birth struct {
	// Partitions is N. Every process that opens the log must say the same.
	Partitions int
	// Role is the application's role, which must exist; empty leaves the grants alone.
	Role string
	// Dial replaces the network; may be nil.
	Dial Dial
}

// Migrate brings the tables in the database at url up to date, gives birth to the log if there is none, and grants the
// role its rights. It needs the rights of the database's owner, may run any number of times and at the same time in
// several processes.
func Migrate(ctx context.Context, url string, b Birth) error {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return errMalformed
	}
	b.Dial.over(&config.Config)
	db := stdlib.OpenDB(*config)
	defer func() { _ = db.Close() }() // nothing is pending
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return unavailable(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // releases the lock; nothing is pending
	// goose's own lock polls once a second.
	if _, err := conn.Exec(ctx, `select pg_advisory_lock($1, -1)`, lockClass); err != nil {
		return unavailable(err)
	}
	files, err := fs.Sub(Migrations, "migrations")
	if err != nil {
		return err
	}
	store, err := database.NewStore(goose.DialectPostgres, "es_migration")
	if err != nil {
		return err
	}
	provider, err := goose.NewProvider("", db, files, goose.WithStore(store))
	if err != nil {
		return err
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("espg: migrate: %w", unavailable(err))
	}
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := born(ctx, tx, b.Partitions); err != nil {
			return err
		}
		if b.Role == "" {
			return nil
		}
		return grant(ctx, tx, b.Role)
	})
}

// born gives each partition its first life, or checks that the log was born as asked.
func born(ctx context.Context, tx pgx.Tx, n int) error {
	if n < 1 {
		return fmt.Errorf("%w: at least one partition", ErrBirth)
	}
	var have int
	if err := tx.QueryRow(ctx, `select count(distinct partition) from partition`).Scan(&have); err != nil {
		return unavailable(err)
	}
	if have != 0 && have != n {
		return ErrBirth.And("born with", have).And("asked for", n)
	}
	_, err := tx.Exec(ctx, `insert into partition (partition, life, incarnation, after, before, partitions, hash_version, system_identifier, timeline)
		select p, 1, gen_random_uuid(), 0, '', $1, $2, i.system_identifier, i.timeline
		from generate_series(0, $1 - 1) p, `+sqlIdentity+` i
		where not exists (select from partition)`, n, es.HashVersion)
	if err != nil {
		return unavailable(err)
	}
	return nil
}

func grant(ctx context.Context, tx pgx.Tx, role string) error {
	name := pgx.Identifier{role}.Sanitize()
	for _, right := range []string{
		`select, insert on event`,
		`select on partition`,
		`select, insert, update on state`,
	} {
		if _, err := tx.Exec(ctx, `grant `+right+` to `+name); err != nil {
			if pg, ok := errors.AsType[*pgconn.PgError](err); ok && pg.Code == "42704" {
				return fmt.Errorf("espg: the role %s does not exist", name)
			}
			return unavailable(err)
		}
	}
	return nil
}
