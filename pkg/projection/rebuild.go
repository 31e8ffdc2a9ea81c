package projection

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
)

// checkpoints is made beside a projection's own tables, in the same schema.
const checkpoints = `
create table checkpoint (
    partition integer primary key,
    position  bigint  not null,
    chain     bytea   not null -- of the event at that position, empty before the first
);
create table fold (version integer not null);`

// shadow names the schema in which tables are rebuilt.
func shadow(name string) string { return name + "_rebuilt" }

// within makes unqualified names of a transaction mean a schema's tables.
func within(ctx context.Context, tx pgx.Tx, schema string) error {
	_, err := tx.Exec(ctx, `select set_config('search_path', $1, true)`, pgx.Identifier{schema}.Sanitize())
	return err
}

// lock takes a partition's checkpoint for the transaction.
func lock(ctx context.Context, tx pgx.Tx, part es.Partition) (at es.Checker, err error) {
	var chain []byte
	err = tx.QueryRow(ctx, `select position, chain from checkpoint where partition = $1 for update`, int32(part)).Scan(&at.Position, &chain)
	copy(at.Chain[:], chain)
	return at, err
}

// Migrate makes the tables where there are none, as the database's owner, and lets a role use them (empty: nobody further).
// It may run any number of times.
func (p *Projection) Migrate(ctx context.Context, role string) error {
	return pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `select pg_advisory_xact_lock(hashtext($1))`, "projection "+p.o.Name); err != nil {
			return err
		}
		var exists bool
		if err := tx.QueryRow(ctx, `select exists (select from pg_namespace where nspname = $1)`, p.o.Name).Scan(&exists); err != nil {
			return err
		}
		if !exists {
			if err := p.create(ctx, tx, p.o.Name); err != nil {
				return err
			}
		}
		if role == "" {
			return nil
		}
		return own(ctx, tx, p.o.Name, role)
	})
}

// own gives a schema and its tables to a role: it owns its projections, as it owns nothing else.
func own(ctx context.Context, tx pgx.Tx, schema, role string) error {
	if _, err := tx.Exec(ctx, `alter schema `+pgx.Identifier{schema}.Sanitize()+` owner to `+pgx.Identifier{role}.Sanitize()); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `select tablename from pg_tables where schemaname = $1`, schema)
	if err != nil {
		return err
	}
	tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return err
	}
	for _, table := range tables {
		if _, err := tx.Exec(ctx, `alter table `+pgx.Identifier{schema, table}.Sanitize()+` owner to `+pgx.Identifier{role}.Sanitize()); err != nil {
			return err
		}
	}
	return nil
}

// create makes a schema with empty tables.
func (p *Projection) create(ctx context.Context, tx pgx.Tx, schema string) error {
	if _, err := tx.Exec(ctx, `create schema `+pgx.Identifier{schema}.Sanitize()); err != nil {
		return err
	}
	if err := within(ctx, tx, schema); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, checkpoints+p.o.Tables); err != nil {
		return fmt.Errorf("projection %s: tables: %w", p.o.Name, err)
	}
	if _, err := tx.Exec(ctx, `insert into checkpoint select p, 0, '' from generate_series(0, $1 - 1) p`, p.o.Log.Partitions()); err != nil {
		return err
	}
	_, err := tx.Exec(ctx, `insert into fold values ($1)`, p.o.Fold)
	return err
}

// Open reads how far the tables have come, and rebuilds them where another fold made them.
func (p *Projection) Open(ctx context.Context) error {
	var fold int
	err := pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		if err := within(ctx, tx, p.o.Name); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, `select version from fold`).Scan(&fold); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select partition, position from checkpoint`)
		if err != nil {
			return err
		}
		var part int32
		var position int64
		_, err = pgx.ForEachRow(rows, []any{&part, &position}, func() error {
			if int(part) >= len(p.seen) {
				return fmt.Errorf("the tables follow a log of more partitions")
			}
			p.moved(es.Partition(part), es.Position(position))
			return nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("projection %s: open: %w", p.o.Name, err)
	}
	if fold != p.o.Fold {
		return p.Rebuild(ctx)
	}
	return nil
}

// Rebuild folds the whole log into new tables beside the live ones and then swaps them.
func (p *Projection) Rebuild(ctx context.Context) error {
	next := shadow(p.o.Name)
	if err := p.prepare(ctx, next); err != nil {
		return fmt.Errorf("projection %s: rebuild: %w", p.o.Name, err)
	}
	if err := p.catchUp(ctx, next); err != nil {
		return err
	}
	err := pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		// From here on the live tables stand still. The new ones go exactly as far before they take their place: who has
		// waited for a position does not lose it again.
		if _, err := tx.Exec(ctx, `lock table `+pgx.Identifier{p.o.Name, "checkpoint"}.Sanitize()+` in access exclusive mode`); err != nil {
			return err
		}
		if err := p.follows(ctx, tx, next); err != nil {
			return err
		}
		var role string
		if err := tx.QueryRow(ctx, `select pg_get_userbyid(nspowner) from pg_namespace where nspname = $1`, p.o.Name).Scan(&role); err != nil {
			return err
		}
		if err := own(ctx, tx, next, role); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `drop schema `+pgx.Identifier{p.o.Name}.Sanitize()+` cascade`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `alter schema `+pgx.Identifier{next}.Sanitize()+` rename to `+pgx.Identifier{p.o.Name}.Sanitize())
		return err
	})
	if err != nil {
		return fmt.Errorf("projection %s: swap: %w", p.o.Name, err)
	}
	return nil
}

func (p *Projection) prepare(ctx context.Context, schema string) error {
	return pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `drop schema if exists `+pgx.Identifier{schema}.Sanitize()+` cascade`); err != nil {
			return err
		}
		return p.create(ctx, tx, schema)
	})
}

// catchUp folds until every partition's tail is reached.
func (p *Projection) catchUp(ctx context.Context, schema string) error {
	for part := range p.o.Log.Partitions() {
		for {
			n, err := p.step(ctx, schema, es.Partition(part))
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
		}
	}
	return nil
}

// ErrDiffers: tables rebuilt from the log are not the live ones.
var ErrDiffers = errors.New("projection: the live tables are not what the log says")

// Verify rebuilds beside the live tables and compares the two row for row, at one position. It changes nothing.
func (p *Projection) Verify(ctx context.Context) error {
	next := shadow(p.o.Name)
	if err := p.prepare(ctx, next); err != nil {
		return fmt.Errorf("projection %s: verify: %w", p.o.Name, err)
	}
	defer func() {
		_, _ = p.o.Pool.Exec(context.WithoutCancel(ctx), `drop schema if exists `+pgx.Identifier{next}.Sanitize()+` cascade`) // the next run drops it too
	}()
	if err := p.catchUp(ctx, p.o.Name); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		live := pgx.Identifier{p.o.Name, "checkpoint"}.Sanitize()
		if _, err := tx.Exec(ctx, `lock table `+live+` in exclusive mode`); err != nil {
			return err
		}
		if err := p.follows(ctx, tx, next); err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `select tablename from pg_tables where schemaname = $1`, p.o.Name)
		if err != nil {
			return err
		}
		tables, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			return err
		}
		for _, table := range tables {
			a, b := pgx.Identifier{p.o.Name, table}.Sanitize(), pgx.Identifier{next, table}.Sanitize()
			var differ int64
			err := tx.QueryRow(ctx, `select count(*) from ((table `+a+` except all table `+b+`) union all (table `+b+` except all table `+a+`)) as d`).Scan(&differ)
			if err != nil {
				return err
			}
			if differ > 0 {
				return fmt.Errorf("%w: %s.%s: %d rows differ", ErrDiffers, p.o.Name, table, differ)
			}
		}
		return nil
	})
}

// follows folds into a schema, within a transaction that holds the live tables still, exactly as far as those have come.
func (p *Projection) follows(ctx context.Context, tx pgx.Tx, schema string) error {
	for part := range p.o.Log.Partitions() {
		if err := within(ctx, tx, p.o.Name); err != nil {
			return err
		}
		goal, err := lock(ctx, tx, es.Partition(part))
		if err != nil {
			return err
		}
		if err := within(ctx, tx, schema); err != nil {
			return err
		}
		for {
			at, err := lock(ctx, tx, es.Partition(part))
			if err != nil {
				return err
			}
			records, err := p.read(ctx, es.Partition(part), at)
			if err != nil {
				return err
			}
			for len(records) > 0 && records[len(records)-1].Position > goal.Position {
				records = records[:len(records)-1]
			}
			if len(records) == 0 {
				break
			}
			if err := p.o.Project(ctx, tx, records); err != nil {
				return err
			}
			last := &records[len(records)-1]
			if _, err := tx.Exec(ctx, `update checkpoint set position = $2, chain = $3 where partition = $1`, int32(part), int64(last.Position), last.Chain[:]); err != nil {
				return err
			}
		}
	}
	return nil
}
