// Package vaultpg keeps a vault's rows in PostgreSQL, in the table vault_key of the service's own database. The service's
// role needs SELECT, INSERT and UPDATE on it, and never DELETE: an erased row that is deleted could be minted again.
package vaultpg

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"io/fs"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
)

//go:embed migrations/*.sql
var files embed.FS

// VersionTable is where goose notes which of the Migrations have run: its own, so that they do not meet the service's.
const VersionTable = "vault_version"

// Migrations are the table's, in goose's form.
func Migrations() fs.FS {
	sub, err := fs.Sub(files, "migrations")
	if err != nil {
		panic(err) // the folder is embedded
	}
	return sub
}

// Migrate brings the table up to date. It is not safe for several processes at once: run it from the service's own
// migration, which is not either.
func Migrate(ctx context.Context, db *sql.DB) error {
	store, err := database.NewStore(database.DialectPostgres, VersionTable)
	if err != nil {
		return unavailable(err)
	}
	p, err := goose.NewProvider("", db, Migrations(), goose.WithStore(store))
	if err != nil {
		return unavailable(err)
	}
	if _, err := p.Up(ctx); err != nil {
		return unavailable(err)
	}
	return nil
}

// Store is a vault.Store.
type Store struct{ pool *pgxpool.Pool }

var _ vault.Store = (*Store)(nil)

// New makes a Store over the service's pool.
func New(pool *pgxpool.Pool) *Store { return &Store{pool} }

const columns = "subject, retention, key_id, wrapped, coalesce(kek_id, '') AS kek_id, state"

const (
	loadSQL = `SELECT ` + columns + ` FROM vault_key WHERE subject = $1`
	findSQL = `SELECT ` + columns + ` FROM vault_key WHERE key_id = ANY($1)`
	// In a second statement than the SELECT that follows: one alone would not see what another inserted meanwhile.
	mintSQL = `INSERT INTO vault_key (subject, retention, key_id, wrapped, kek_id, state)
		SELECT $1, * FROM unnest($2::smallint[], $3::bytea[], $4::bytea[], $5::text[], $6::smallint[])
		ON CONFLICT (subject, retention) DO NOTHING`
	forgetSQL = `INSERT INTO vault_key (subject, retention, key_id, state)
		SELECT $1, retention, key_id, 2 FROM unnest($2::smallint[], $3::bytea[]) AS n (retention, key_id) ORDER BY retention
		ON CONFLICT (subject, retention) DO UPDATE SET wrapped = NULL, kek_id = NULL, state = 2
		RETURNING ` + columns
	staleSQL  = `SELECT ` + columns + ` FROM vault_key WHERE state = 1 AND kek_id <> $1 LIMIT $2`
	rewrapSQL = `UPDATE vault_key AS v SET wrapped = n.wrapped, kek_id = n.kek_id
		FROM unnest($1::bytea[], $2::bytea[], $3::text[]) AS n (key_id, wrapped, kek_id)
		WHERE v.key_id = n.key_id AND v.state = 1`
)

// Load implements vault.Store.
func (s *Store) Load(ctx context.Context, subject id.ID) ([]vault.Row, error) {
	return s.query(ctx, loadSQL, [16]byte(subject))
}

// Mint implements vault.Store.
func (s *Store) Mint(ctx context.Context, rows []vault.Row) ([]vault.Row, error) {
	n := columnsOf(rows)
	batch := &pgx.Batch{}
	batch.Queue(mintSQL, [16]byte(rows[0].Subject), n.retention, n.keyID, n.wrapped, n.kek, n.state)
	batch.Queue(loadSQL, [16]byte(rows[0].Subject))
	results := s.pool.SendBatch(ctx, batch)
	_, inserted := results.Exec()
	stored, read := collect(results.Query())
	if err := errors.Join(inserted, read, results.Close()); err != nil {
		return nil, unavailable(err)
	}
	return stored, nil
}

// Find implements vault.Store.
func (s *Store) Find(ctx context.Context, keyIDs []id.ID) ([]vault.Row, error) {
	ids := make([][]byte, len(keyIDs))
	for i := range keyIDs {
		ids[i] = keyIDs[i][:]
	}
	return s.query(ctx, findSQL, ids)
}

// Forget implements vault.Store.
func (s *Store) Forget(ctx context.Context, rows []vault.Row) ([]vault.Row, error) {
	n := columnsOf(rows)
	return s.query(ctx, forgetSQL, [16]byte(rows[0].Subject), n.retention, n.keyID)
}

// Stale implements vault.Store.
func (s *Store) Stale(ctx context.Context, kek string, limit int) ([]vault.Row, error) {
	return s.query(ctx, staleSQL, kek, limit)
}

// Rewrap implements vault.Store.
func (s *Store) Rewrap(ctx context.Context, rows []vault.Row) (int, error) {
	n := columnsOf(rows)
	tag, err := s.pool.Exec(ctx, rewrapSQL, n.keyID, n.wrapped, n.kek)
	if err != nil {
		return 0, unavailable(err)
	}
	return int(tag.RowsAffected()), nil
}

func (s *Store) query(ctx context.Context, text string, args ...any) ([]vault.Row, error) {
	rows, err := collect(s.pool.Query(ctx, text, args...))
	if err != nil {
		return nil, unavailable(err)
	}
	return rows, nil
}

func collect(rows pgx.Rows, err error) ([]vault.Row, error) {
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (r vault.Row, err error) {
		var keyID []byte
		err = row.Scan((*[16]byte)(&r.Subject), &r.Retention, &keyID, &r.Wrapped, &r.KEK, &r.State)
		copy(r.KeyID[:], keyID)
		return r, err
	})
}

// arrays are rows turned into columns.
type arrays struct {
	retention, state []int16
	keyID, wrapped   [][]byte
	kek              []string
}

func columnsOf(rows []vault.Row) (c arrays) {
	for i := range rows {
		r := &rows[i]
		c.retention = append(c.retention, int16(r.Retention))
		c.state = append(c.state, int16(r.State))
		c.keyID = append(c.keyID, r.KeyID[:])
		c.wrapped = append(c.wrapped, r.Wrapped)
		c.kek = append(c.kek, r.KEK)
	}
	return c
}

// unavailable keeps the driver's error behind the fault. A context's end stays what it is.
func unavailable(err error) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok {
		return vault.ErrUnavailable.And("sqlstate", refused.Code).Because(err)
	}
	return vault.ErrUnavailable.Because(err)
}
