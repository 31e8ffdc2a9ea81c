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

// begin opens transactions in which names without a schema mean a schema's tables. Their commits do not wait for the disk: what a
// crash takes back is folded again from the log, and the disk's time is the log's.
func begin(schema string) pgx.TxOptions {
	return pgx.TxOptions{BeginQuery: "begin; set local synchronous_commit to off; set local search_path to " + pgx.Identifier{schema}.Sanitize()}
}

// within does the same later in a transaction.
func within(ctx context.Context, tx pgx.Tx, schema string) error {
	_, err := tx.Exec(ctx, `select set_config('search_path', $1, true)`, pgx.Identifier{schema}.Sanitize())
	return err
}

// locate reads how far a schema's tables have come with a partition.
func (p *Projection) locate(ctx context.Context, schema string, part es.Partition, at *place) error {
	return pgx.BeginTxFunc(ctx, p.o.Pool, begin(schema), func(tx pgx.Tx) error { return locate(ctx, tx, part, at) })
}

func locate(ctx context.Context, tx pgx.Tx, part es.Partition, at *place) error {
	var chain []byte
	at.Chain = es.Chain{}
	err := tx.QueryRow(ctx, `select position, chain from checkpoint where partition = $1`, int32(part)).Scan(&at.Position, &chain)
	copy(at.Chain[:], chain)
	at.known = err == nil
	if errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("the tables follow a log of other partitions: %d is not among them", part)
	}
	return err
}

// Migrate makes the tables where there are none, rebuilds those of another fold, and lets a role own and use them (empty:
// nobody further). It works as the database's owner and may run any number of times.
func (p *Projection) Migrate(ctx context.Context, role string) error {
	err := p.alone(ctx, func() error {
		var exists bool
		if err := p.o.Pool.QueryRow(ctx, `select exists (select from pg_namespace where nspname = $1)`, p.o.Name).Scan(&exists); err != nil {
			return err
		}
		if exists {
			return p.refold(ctx)
		}
		return pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error { return p.create(ctx, tx, p.o.Name) })
	})
	if err == nil && role != "" {
		err = pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error { return own(ctx, tx, p.o.Name, role) })
	}
	if err != nil {
		return fmt.Errorf("projection %s: migrate: %w", p.o.Name, err)
	}
	return nil
}

// alone does something while nobody else, in any process, does such a thing with this projection.
func (p *Projection) alone(ctx context.Context, do func() error) error {
	conn, err := p.o.Pool.Acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	if _, err := conn.Exec(ctx, `select pg_advisory_lock(hashtext($1))`, "projection "+p.o.Name); err != nil {
		return err
	}
	defer func() {
		// Where this fails the session has ended, and the lock with it.
		_, _ = conn.Exec(context.WithoutCancel(ctx), `select pg_advisory_unlock(hashtext($1))`, "projection "+p.o.Name)
	}()
	return do()
}

// refold rebuilds tables of another fold.
func (p *Projection) refold(ctx context.Context) error {
	var fold int
	err := p.o.Pool.QueryRow(ctx, `select version from `+pgx.Identifier{p.o.Name, "fold"}.Sanitize()).Scan(&fold)
	if err != nil || fold == p.o.Fold {
		return err
	}
	return p.rebuild(ctx)
}

// own gives a schema, its tables and its views to a role: it owns its projections, as it owns nothing else.
func own(ctx context.Context, tx pgx.Tx, schema, role string) error {
	if _, err := tx.Exec(ctx, `alter schema `+pgx.Identifier{schema}.Sanitize()+` owner to `+pgx.Identifier{role}.Sanitize()); err != nil {
		return err
	}
	rows, err := tx.Query(ctx, `
		select relname from pg_class where relnamespace = (select oid from pg_namespace where nspname = $1) and relkind in ('r', 'p', 'v')`, schema)
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
	if err := p.alone(ctx, func() error { return p.refold(ctx) }); err != nil {
		return fmt.Errorf("projection %s: open: %w", p.o.Name, err)
	}
	for part := range p.at {
		if err := p.locate(ctx, p.o.Name, es.Partition(part), &p.at[part]); err != nil {
			return fmt.Errorf("projection %s: open: %w", p.o.Name, err)
		}
		p.reached(p.o.Name, es.Partition(part), p.at[part].Position)
	}
	return nil
}

// Rebuild folds the whole log into new tables beside the live ones and then swaps them.
func (p *Projection) Rebuild(ctx context.Context) error {
	if err := p.alone(ctx, func() error { return p.rebuild(ctx) }); err != nil {
		return fmt.Errorf("projection %s: rebuild: %w", p.o.Name, err)
	}
	return nil
}

func (p *Projection) rebuild(ctx context.Context) error {
	next := shadow(p.o.Name)
	if err := p.prepare(ctx, next); err != nil {
		return err
	}
	if _, err := p.catchUp(ctx, next, nil); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		// From here on the live tables stand still. The new ones go exactly as far before they take their place: who has
		// waited for a position does not lose it again.
		if _, err := tx.Exec(ctx, `lock table `+pgx.Identifier{p.o.Name, "checkpoint"}.Sanitize()+` in access exclusive mode`); err != nil {
			return err
		}
		// Should they hold events that a reconciliation has set aside since, the log's end is far enough.
		if err := p.follows(ctx, tx, next); err != nil && !errors.Is(err, errEnds) {
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
}

func (p *Projection) prepare(ctx context.Context, schema string) error {
	return pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, `drop schema if exists `+pgx.Identifier{schema}.Sanitize()+` cascade`); err != nil {
			return err
		}
		return p.create(ctx, tx, schema)
	})
}

// catchUp folds until every partition's tail, or a position before it, is reached, and says where that is.
func (p *Projection) catchUp(ctx context.Context, schema string, until []es.Position) ([]es.Position, error) {
	reached := make([]es.Position, p.o.Log.Partitions())
	for part := range reached {
		at := new(place)
		if until != nil {
			at.until = &until[part]
		}
		for more := true; more; {
			var err error
			if more, err = p.step(ctx, schema, es.Partition(part), at); err != nil {
				return nil, err
			}
		}
		reached[part] = at.Position
	}
	return reached, nil
}

// follows folds into a schema, within a transaction that holds the live tables still, exactly as far as those have come. errEnds
// says that the log does not reach so far.
func (p *Projection) follows(ctx context.Context, tx pgx.Tx, schema string) (short error) {
	for part := range p.o.Log.Partitions() {
		part := es.Partition(part)
		var live, at place
		if err := within(ctx, tx, p.o.Name); err != nil {
			return err
		}
		if err := locate(ctx, tx, part, &live); err != nil {
			return err
		}
		if err := within(ctx, tx, schema); err != nil {
			return err
		}
		if err := locate(ctx, tx, part, &at); err != nil {
			return err
		}
		for at.Position < live.Position {
			records, _, err := p.read(ctx, part, &at)
			if err != nil {
				return err
			}
			if records = upTo(records, live.Position); len(records) == 0 {
				short = fmt.Errorf("%w: partition %d: the tables are at %d, the log ends at %d", errEnds, part, live.Position, at.Position)
				break
			}
			if err := p.apply(ctx, tx, part, at.Position, records); err != nil {
				return err
			}
			last := &records[len(records)-1]
			at.Position, at.Chain = last.Position, last.Chain
		}
	}
	return short
}
