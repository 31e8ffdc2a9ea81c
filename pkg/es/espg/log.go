package espg

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// Config of a Log.
type Config struct {
	// URL of the service's database, as its application role.
	URL string
	// Partitions must be the number with which the log was born; 0 takes whatever that is, for tools.
	Partitions int
	// Readers is the most connections that Tail, Lives, Scan and States use at a time (8). Each session has one more.
	Readers int32
	// Tracer sees the readers' queries; may be nil. Appends are not traced one by one: a batch has many callers.
	Tracer pgx.QueryTracer
	// Dial replaces the network; may be nil.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Idle is how long a session may hold a partition's lock in silence (2 s), and Lock how long it waits for another
	// that does (8 s).
	Idle, Lock time.Duration
}

// Log is an es.Log in PostgreSQL, safe for concurrent use.
type Log struct {
	config Config
	pool   *pgxpool.Pool
	n      int
	fresh  []fresh // by partition

	mu    sync.Mutex
	wakes map[es.Partition][]chan struct{}
}

// Open connects to a log that Migrate has made. It refuses a log that was born otherwise than this process expects.
func Open(ctx context.Context, c Config) (*Log, error) {
	if c.Readers == 0 {
		c.Readers = 8
	}
	if c.Idle == 0 {
		c.Idle = 2 * time.Second
	}
	if c.Lock == 0 {
		c.Lock = 8 * time.Second
	}
	config, err := pgxpool.ParseConfig(c.URL)
	if err != nil {
		return nil, errors.New("espg: the database url is malformed") // the cause would quote a password
	}
	config.MaxConns = c.Readers
	config.ConnConfig.Tracer = c.Tracer
	if c.Dial != nil {
		config.ConnConfig.DialFunc = c.Dial
	}
	config.ConnConfig.RuntimeParams["default_transaction_read_only"] = "on"
	config.ConnConfig.RuntimeParams["application_name"] = "obole es reader"
	plans(config.ConnConfig.RuntimeParams)
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, unavailable(err)
	}
	l := &Log{config: c, pool: pool, wakes: make(map[es.Partition][]chan struct{})}
	if err := l.check(ctx); err != nil {
		pool.Close()
		return nil, err
	}
	return l, nil
}

// check that the log was born as this process expects.
func (l *Log) check(ctx context.Context) error {
	var born bool
	if err := l.pool.QueryRow(ctx, `select to_regclass('partition') is not null`).Scan(&born); err != nil {
		return unavailable(err)
	}
	if !born {
		return ErrUnborn
	}
	var n, hash int
	err := l.pool.QueryRow(ctx, `select partitions, hash_version from partition limit 1`).Scan(&n, &hash)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return ErrUnborn
	case err != nil:
		return unavailable(err)
	case hash != es.HashVersion:
		return ErrBirth.And("hash version of the log", hash).And("of this process", es.HashVersion)
	case l.config.Partitions != 0 && l.config.Partitions != n:
		return ErrBirth.And("partitions of the log", n).And("of this process", l.config.Partitions)
	}
	l.n, l.fresh = n, make([]fresh, n)
	return nil
}

// Close ends the readers. Sessions are closed by their engine.
func (l *Log) Close() { l.pool.Close() }

// Partitions implements es.Reader.
func (l *Log) Partitions() int { return l.n }

// Tail implements es.Reader.
func (l *Log) Tail(ctx context.Context, p es.Partition) (es.Tail, error) {
	var tail es.Tail
	err := l.query(ctx, func(v [][]byte) error {
		h := readHead(v)
		tail = h.tail
		return nil
	}, sqlHead, p, 0)
	return tail, err
}

// Lives implements es.Reader.
func (l *Log) Lives(ctx context.Context, p es.Partition) ([]es.Life, error) {
	var lives []es.Life
	err := l.query(ctx, func(v [][]byte) error {
		lives = append(lives, readLife(v))
		return nil
	}, sqlLives, p)
	return lives, err
}

// Scan implements es.Reader.
func (l *Log) Scan(ctx context.Context, p es.Partition, after es.Position, limit int, visit func(*es.Record) error) (int, error) {
	var (
		n     int
		r     = es.Record{Partition: p}
		types names
	)
	err := l.query(ctx, func(v [][]byte) error {
		readRecord(v, &r, &types)
		n++
		return visit(&r)
	}, sqlScan, p, after, limit)
	return n, err
}

// Pick implements es.Reader.
func (l *Log) Pick(ctx context.Context, p es.Partition, at []es.Position, visit func(*es.Record) error) error {
	r, types := es.Record{Partition: p}, names(nil)
	positions := make([]int64, len(at))
	for i, position := range at {
		positions[i] = int64(position)
	}
	return l.query(ctx, func(v [][]byte) error {
		readRecord(v, &r, &types)
		return visit(&r)
	}, sqlPick, p, positions)
}

// States implements es.Log.
func (l *Log) States(ctx context.Context, p es.Partition, visit func(*es.StateRow) error) error {
	return l.query(ctx, func(v [][]byte) error {
		row := readRow(v)
		return visit(&row)
	}, sqlStates, p)
}

// Wake implements es.Reader.
func (l *Log) Wake(p es.Partition) <-chan struct{} {
	c := make(chan struct{}, 1)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.wakes[p] = append(l.wakes[p], c)
	return c
}

// appended keeps a batch for those who follow the partition, where anybody does, and wakes them.
func (l *Log) appended(p es.Partition, b *es.Batch) {
	l.mu.Lock()
	wakes := l.wakes[p]
	l.mu.Unlock()
	if len(wakes) == 0 {
		return
	}
	l.fresh[p].add(b)
	for _, c := range wakes {
		select {
		case c <- struct{}{}:
		default:
		}
	}
}

// query hands each row's binary values to visit, whose error it returns as it is.
func (l *Log) query(ctx context.Context, visit func([][]byte) error, sql string, args ...any) error {
	rows, err := l.pool.Query(ctx, sql, append([]any{pgx.QueryResultFormats{1}}, args...)...)
	if err != nil {
		return unavailable(err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := visit(rows.RawValues()); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return unavailable(err)
	}
	return nil
}

// plans pins how statements are planned: by their indexes, always. A plan that is made on an empty table must still be
// right on a full one, and statistics of the day must not change it.
func plans(params map[string]string) {
	for name, value := range map[string]string{
		"plan_cache_mode": "force_generic_plan",
		"enable_seqscan":  "off", "enable_bitmapscan": "off", "enable_hashjoin": "off", "enable_mergejoin": "off",
		"jit": "off",
	} {
		params[name] = value
	}
}

// head is where a partition stands.
type head struct {
	life es.Life
	now  time.Time
	tail es.Tail
	link es.Chain // after the asked position
}

// readHead reads a row of sqlHead.
func readHead(v [][]byte) head {
	h := head{life: readLife(v), now: readTime(v[3])}
	h.tail.Incarnation = h.life.Incarnation
	if v[4] != nil {
		h.tail.Position, h.tail.Chain, h.tail.At = es.Position(readInt8(v[4])), es.Chain(v[5]), readTime(v[6])
	}
	if h.tail.Position == h.life.After {
		h.tail.Chain = h.life.Base()
	}
	if v[7] != nil {
		h.link = es.Chain(v[7])
	}
	return h
}

// readLife reads incarnation, after, before.
func readLife(v [][]byte) es.Life {
	l := es.Life{Incarnation: es.Incarnation(v[0]), After: es.Position(readInt8(v[1]))}
	copy(l.Before[:], v[2])
	return l
}

// names keeps one string of each event type.
type names map[string]string

func (n *names) of(b []byte) string {
	if s, ok := (*n)[string(b)]; ok {
		return s
	}
	if *n == nil {
		*n = make(names)
	}
	s := string(b)
	(*n)[s] = s
	return s
}

// readRecord reads eventColumns. Data and meta stay in the connection's buffer.
func readRecord(v [][]byte, r *es.Record, types *names) {
	r.Position = es.Position(readInt8(v[0]))
	r.Stream = es.Stream(v[1])
	r.Version = es.Version(readInt8(v[2]))
	r.Command = id.ID(v[3])
	r.Ordinal = readInt4(v[4])
	r.Type = types.of(v[5])
	r.Data, r.Meta = v[6], v[7]
	r.At = readTime(v[8])
	r.Chain = es.Chain(v[9])
	r.ID = id.ID{}
	if len(r.Meta) >= 17 {
		r.ID = id.ID(r.Meta[1:17]) // where es.AppendMeta puts it
	}
}

// readRow reads stream, version, position, fold, data. The data stays in the connection's buffer.
func readRow(v [][]byte) es.StateRow {
	return es.StateRow{
		Stream: es.Stream(v[0]), Version: es.Version(readInt8(v[1])), Position: es.Position(readInt8(v[2])),
		Fold: uint32(readInt8(v[3])), Data: v[4],
	}
}

var _ es.Log = (*Log)(nil)

// String names the log without its address.
func (l *Log) String() string { return fmt.Sprintf("espg log of %d partitions", l.n) }
