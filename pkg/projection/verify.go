package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
)

// ErrDiffers: tables rebuilt from the log are not the live ones.
var ErrDiffers = errors.New("projection: the live tables are not what the log says")

// errEnds: the tables hold more events than the log.
var errEnds = fmt.Errorf("%w: it ends before them", ErrDiffers)

// Verify rebuilds beside the live tables and compares the two row for row, at one position. It changes nothing, but lets the
// live tables catch up first.
func (p *Projection) Verify(ctx context.Context) error {
	if err := p.alone(ctx, func() error { return p.verify(ctx) }); err != nil {
		return fmt.Errorf("projection %s: verify: %w", p.o.Name, err)
	}
	return nil
}

func (p *Projection) verify(ctx context.Context) error {
	next := shadow(p.o.Name)
	if err := p.prepare(ctx, next); err != nil {
		return err
	}
	defer func() {
		_, _ = p.o.Pool.Exec(context.WithoutCancel(ctx), `drop schema if exists `+pgx.Identifier{next}.Sanitize()+` cascade`) // the next run drops it too
	}()
	live, err := p.catchUp(ctx, p.o.Name, nil)
	if err != nil {
		return err
	}
	if _, err := p.catchUp(ctx, next, live); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `lock table `+pgx.Identifier{p.o.Name, "checkpoint"}.Sanitize()+` in exclusive mode`); err != nil {
			return err
		}
		if err := p.follows(ctx, tx, next); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select tablename from pg_tables where schemaname = $1 order by tablename`, p.o.Name)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, table := range tables {
			if err := compare(ctx, tx, p.o.Name, next, table); err != nil {
				return err
			}
		}
		return nil
	})
}

// compare counts the rows of a table that only one of two schemas has.
func compare(ctx context.Context, tx pgx.Tx, live, next, table string) error {
	a, b := pgx.Identifier{live, table}.Sanitize(), pgx.Identifier{next, table}.Sanitize()
	var differ int64
	err := tx.QueryRow(ctx, `select count(*) from ((table `+a+` except all table `+b+`) union all (table `+b+` except all table `+a+`)) as d`).Scan(&differ)
	if err == nil && differ > 0 {
		err = fmt.Errorf("%w: %s: %d rows differ", ErrDiffers, table, differ)
	}
	return err
}
