package espg

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
)

// ErrLost: what the log lost could not be had again.
var ErrLost = fault.Unavailable("the topic does not hold all that the log has lost")

// Recovery says what a partition of a log lost, and where that can be had again.
type Recovery struct {
	// Life is the partition's present one, as it was when log and topic were compared.
	Life es.Incarnation
	// Same is the newest position at which log and topic hold the same history. What the log has stored after it is set aside.
	Same es.Position
	// UpTo is the newest position of the topic; not above Same when the log lost nothing.
	UpTo es.Position
	// Events visits the topic's events in its order, repeats and all. The record is only valid during the call.
	Events func(ctx context.Context, visit func(es.Incarnation, *es.Record) error) error
	// Dial replaces the network; may be nil.
	Dial Dial
}

// Recovered says what a reconciliation did.
type Recovered struct {
	// Restored events came from the topic, SetAside ones went into the table set_aside.
	Restored, SetAside int64
	// Life has begun after the position.
	Life  es.Incarnation
	After es.Position
}

// Here says whether a partition's present life is lived on this server and its timeline. Elsewhere nobody may write to it.
func (l *Log) Here(ctx context.Context, p es.Partition) (here bool, err error) {
	err = l.query(ctx, func(v [][]byte) error {
		here = len(v[5]) == 1 && v[5][0] != 0
		return nil
	}, sqlOpen, p)
	return here, err
}

// Reconcile makes a partition whole after a restore or a failover, in one transaction under its writers' lock: events that
// continue another history than the topic's are set aside, those that the log lost come back from the topic, each checked
// by its chain, and a new life begins. It needs the rights of the database's owner. Readers of the topic notice nothing but
// the new life.
func Reconcile(ctx context.Context, url string, p es.Partition, r Recovery) (out Recovered, err error) {
	config, err := pgx.ParseConfig(url)
	if err != nil {
		return out, errMalformed
	}
	r.Dial.over(&config.Config)
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return out, unavailable(err)
	}
	defer func() { _ = conn.Close(context.WithoutCancel(ctx)) }() // nothing is pending
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		out = Recovered{}
		m := mending{tx: tx, p: p}
		if err := m.begin(ctx, r); err != nil {
			return err
		}
		if r.UpTo > r.Same {
			if out.SetAside, err = m.setAside(ctx); err != nil {
				return err
			}
			if err := r.Events(ctx, func(inc es.Incarnation, rec *es.Record) error { return m.take(ctx, inc, rec) }); err != nil {
				return err
			}
			if err := m.flush(ctx); err != nil {
				return err
			}
			if m.at < r.UpTo {
				return ErrLost.And("partition", p).And("ends at", m.at).And("the topic ends at", r.UpTo)
			}
			out.Restored = int64(m.at - r.Same)
		}
		out.After = m.at
		out.Life, err = m.live(ctx, es.Incarnation{})
		return err
	})
	if _, driver := errors.AsType[*pgconn.PgError](err); driver {
		err = unavailable(err)
	}
	if err != nil {
		return Recovered{}, err
	}
	return out, nil
}

// mending is one partition being made whole.
type mending struct {
	tx    pgx.Tx
	p     es.Partition
	at    es.Position // of the newest event that stands
	life  es.Incarnation
	chain es.Chain
	rows  [][]any
	bytes int
}

// begin takes the lock and finds where the history that stands ends: where the topic's goes on, or else at the log's tail.
func (m *mending) begin(ctx context.Context, r Recovery) error {
	if _, err := m.tx.Exec(ctx, `select pg_advisory_xact_lock($1, $2)`, lockClass, int32(m.p)); err != nil {
		return err
	}
	var present es.Incarnation
	if err := m.tx.QueryRow(ctx, `select incarnation from `+sqlLife+` l`, int32(m.p)).Scan((*[16]byte)(&present)); err != nil {
		return err
	}
	err := m.tx.QueryRow(ctx, `select coalesce(max(position), 0) from event where partition = $1`, int32(m.p)).Scan(&m.at)
	if err != nil {
		return err
	}
	if present != r.Life || m.at < r.Same {
		return fmt.Errorf("%w: partition %d was changed meanwhile", es.ErrMoved, m.p)
	}
	if r.UpTo > r.Same {
		m.at = r.Same
	}
	if m.at == 0 {
		return nil
	}
	var chain []byte
	if err := m.tx.QueryRow(ctx, `select chain from event where partition = $1 and position = $2`, int32(m.p), int64(m.at)).Scan(&chain); err != nil {
		return err
	}
	copy(m.chain[:], chain)
	return m.tx.QueryRow(ctx, `select incarnation from partition where partition = $1 and (after < $2 or life = 1) order by life desc limit 1`,
		int32(m.p), int64(m.at)).Scan((*[16]byte)(&m.life))
}

// setAside removes what continues another history than the topic's, but not without a trace.
func (m *mending) setAside(ctx context.Context) (int64, error) {
	const columns = `partition, position, stream, version, command, ordinal, type, data, meta, at, chain`
	tag, err := m.tx.Exec(ctx, `with gone as (delete from event where partition = $1 and position > $2 returning `+columns+`)
		insert into set_aside (`+columns+`) select `+columns+` from gone`, int32(m.p), int64(m.at))
	if err != nil {
		return 0, err
	}
	for _, sql := range []string{
		`delete from state where partition = $1 and position > $2`, // folded from what is gone; made again when needed
		`delete from partition where partition = $1 and after > $2`,
	} {
		if _, err := m.tx.Exec(ctx, sql, int32(m.p), int64(m.at)); err != nil {
			return 0, err
		}
	}
	return tag.RowsAffected(), nil
}

// take stores the next event of the topic. What is a repeat, or does not continue the chain, is passed over.
func (m *mending) take(ctx context.Context, inc es.Incarnation, r *es.Record) error {
	if r.Position != m.at+1 {
		return nil
	}
	before := m.chain
	switch {
	case m.at == 0:
		before = es.FirstChain(inc)
	case inc != m.life:
		before = m.chain.Reborn(inc)
	}
	if es.NextChain(before, r) != r.Chain {
		return nil
	}
	if inc != m.life {
		if err := m.flush(ctx); err != nil {
			return err
		}
		if _, err := m.live(ctx, inc); err != nil {
			return err
		}
	}
	m.at, m.life, m.chain = r.Position, inc, r.Chain
	m.rows = append(m.rows, []any{
		int32(m.p), int64(r.Position), string(r.Stream), int64(r.Version), [16]byte(r.Command), r.Ordinal, r.Type,
		bytes.Clone(r.Data), bytes.Clone(r.Meta), r.At, bytes.Clone(r.Chain[:]),
	})
	if m.bytes += len(r.Data) + len(r.Meta); m.bytes > 8<<20 || len(m.rows) >= 5000 {
		return m.flush(ctx)
	}
	return nil
}

func (m *mending) flush(ctx context.Context) error {
	if len(m.rows) == 0 {
		return nil
	}
	_, err := m.tx.CopyFrom(ctx, pgx.Identifier{"event"},
		[]string{"partition", "position", "stream", "version", "command", "ordinal", "type", "data", "meta", "at", "chain"}, pgx.CopyFromRows(m.rows))
	m.rows, m.bytes = m.rows[:0], 0
	return err
}

// live begins a life of the partition, here, after the newest event that stands: one of the topic's, or a new one. A life that
// the partition has lived is left as it is.
func (m *mending) live(ctx context.Context, inc es.Incarnation) (es.Incarnation, error) {
	if (inc == es.Incarnation{}) {
		if err := m.tx.QueryRow(ctx, `select gen_random_uuid()`).Scan((*[16]byte)(&inc)); err != nil {
			return inc, err
		}
	}
	before := []byte{}
	if m.at > 0 {
		before = m.chain[:]
	}
	_, err := m.tx.Exec(ctx, `
		insert into partition (partition, life, incarnation, after, before, partitions, hash_version, system_identifier, timeline)
		select $1, l.life + 1, $2, $3, $4, l.partitions, l.hash_version, i.system_identifier, i.timeline
		from (select life, partitions, hash_version from partition where partition = $1 order by life desc limit 1) l, `+sqlIdentity+` i
		where not exists (select from partition where partition = $1 and incarnation = $2)`,
		int32(m.p), [16]byte(inc), int64(m.at), before)
	return inc, err
}
