package espg

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/obole-market/obole/pkg/es"
)

// session implements es.Session on a connection of its own.
type session struct {
	log    *Log
	p      es.Partition
	conn   *pgconn.PgConn
	life   es.Life
	locked bool // in a transaction that holds the partition's lock
	stmt   [statements]*pgconn.StatementDescription
	types  names

	part, number, class []byte // scalar parameters
	at                  []byte
	out                 []byte // messages of an append
	arrays              [8]array
	params              [13][]byte
}

// Prepared statements.
const (
	stmtBegin = iota
	stmtBeginRead
	stmtCommit
	stmtRollback
	stmtHead
	stmtMissed
	stmtRows
	stmtStreams
	stmtCommands
	stmtRoots
	stmtRoot
	stmtLock
	stmtClock
	stmtAppend
	stmtUpsert
	stmtRefold
	statements
)

var texts = [statements]string{
	stmtBegin:     "begin isolation level read committed",
	stmtBeginRead: "begin isolation level repeatable read, read only",
	stmtCommit:    "commit",
	stmtRollback:  "rollback",
	stmtHead:      sqlHead,
	stmtMissed:    sqlScan,
	stmtRows:      sqlRows,
	stmtStreams:   sqlStreams,
	stmtCommands:  sqlCommands,
	stmtRoots:     sqlRoots,
	stmtRoot:      sqlRoot,
	stmtLock:      sqlLock,
	stmtClock:     sqlClock,
	stmtAppend:    sqlAppend,
	stmtUpsert:    sqlUpsert,
	stmtRefold:    sqlRefold,
}

var binaryFormat = []int16{1}

// Session implements es.Log.
func (l *Log) Session(ctx context.Context, p es.Partition) (es.Session, error) {
	config, err := pgconn.ParseConfig(l.config.URL)
	if err != nil {
		return nil, errors.New("espg: the database url is malformed")
	}
	ms := func(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }
	for name, value := range map[string]string{
		"application_name":                    fmt.Sprintf("obole es writer %d", p),
		"default_transaction_isolation":       "read committed",
		"default_transaction_read_only":       "off",
		"synchronous_commit":                  "on",
		"idle_in_transaction_session_timeout": ms(l.config.Idle),
		"lock_timeout":                        ms(l.config.Lock),
		// The server finds out that we are gone, also while the network is silent.
		"tcp_user_timeout":        ms(4 * l.config.Idle),
		"tcp_keepalives_idle":     "5",
		"tcp_keepalives_interval": "1",
		"tcp_keepalives_count":    "5",
	} {
		config.RuntimeParams[name] = value
	}
	plans(config.RuntimeParams)
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 5 * time.Second, Interval: time.Second, Count: 5}}
	config.DialFunc = dialer.DialContext
	l.config.Dial.over(config)
	conn, err := pgconn.ConnectConfig(ctx, config)
	if err != nil {
		return nil, unavailable(err)
	}
	s := &session{
		log: l, p: p, conn: conn,
		part:  binary.BigEndian.AppendUint32(nil, uint32(p)),
		class: binary.BigEndian.AppendUint32(nil, lockClass),
	}
	if err := s.prepare(ctx); err != nil {
		_ = s.Close() // the error that counts is the first
		return nil, err
	}
	return s, nil
}

// prepare all statements in one round trip, then look at whose partition it is.
func (s *session) prepare(ctx context.Context) error {
	pipe := s.conn.StartPipeline(ctx)
	for i, sql := range texts {
		pipe.SendPrepare("es"+strconv.Itoa(i), sql, nil)
	}
	err := pipe.Sync()
	for i := 0; err == nil && i < statements; i++ {
		var got any
		if got, err = pipe.GetResults(); err == nil {
			s.stmt[i], _ = got.(*pgconn.StatementDescription)
			s.stmt[i].Name = "es" + strconv.Itoa(i)
		}
	}
	if e := pipe.Close(); err == nil {
		err = e
	}
	if err != nil {
		return unavailable(err)
	}
	found := s.conn.ExecParams(ctx, sqlOpen, [][]byte{s.part}, []uint32{oidInt4}, binaryFormat, binaryFormat).Read()
	if found.Err != nil {
		return unavailable(found.Err)
	}
	if len(found.Rows) == 0 {
		return ErrUnborn.And("partition", s.p)
	}
	v := found.Rows[0]
	s.life = readLife(v)
	if here := v[5]; len(here) != 1 || here[0] == 0 {
		return es.ErrIncarnation.And("partition", s.p).And("found", "another server or timeline than the partition's")
	}
	return nil
}

// Close implements es.Session.
func (s *session) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return s.conn.Close(ctx)
}

// send queues a statement.
func (s *session) send(pipe *pgconn.Pipeline, stmt int, params ...[]byte) {
	pipe.SendQueryStatement(s.stmt[stmt], params, binaryFormat, binaryFormat)
}

// receive reads the result of the next statement.
func receive(pipe *pgconn.Pipeline, row func([][]byte)) (pgconn.CommandTag, error) {
	got, err := pipe.GetResults()
	if err != nil {
		return pgconn.CommandTag{}, err
	}
	rows, ok := got.(*pgconn.ResultReader)
	if !ok {
		return pgconn.CommandTag{}, fmt.Errorf("espg: unexpected result %T", got)
	}
	for rows.NextRow() {
		if row != nil {
			row(rows.Values())
		}
	}
	return rows.Close()
}

// Load implements es.Session.
func (s *session) Load(ctx context.Context, want *es.Want) (*es.Found, error) {
	if s.locked {
		return s.load(ctx, want)
	}
	return s.load(ctx, want, stmtBeginRead)
}

// Lock implements es.Session.
func (s *session) Lock(ctx context.Context, want *es.Want) (*es.Found, error) {
	if s.locked {
		return s.load(ctx, want)
	}
	found, err := s.load(ctx, want, stmtBegin, stmtLock)
	s.locked = err == nil
	return found, err
}

// load runs the prologue and the queries in one round trip. Outside the lock they share one snapshot; under it nothing
// can change between them.
func (s *session) load(ctx context.Context, want *es.Want, prologue ...int) (*es.Found, error) {
	pipe := s.conn.StartPipeline(ctx)
	for _, stmt := range prologue {
		if stmt == stmtLock {
			s.send(pipe, stmt, s.class, s.part)
		} else {
			s.send(pipe, stmt)
		}
	}
	s.number = binary.BigEndian.AppendUint64(s.number[:0], uint64(want.After))
	s.send(pipe, stmtHead, s.part, s.number)
	if want.Missed > 0 {
		s.send(pipe, stmtMissed, s.part, s.number, binary.BigEndian.AppendUint64(nil, uint64(want.Missed)))
	}
	if len(want.Streams) > 0 {
		s.sendStreams(pipe, want.Streams)
	}
	if len(want.Commands) > 0 {
		ids := &s.arrays[0]
		ids.begin(oidUUID)
		for i := range want.Commands {
			ids.raw(want.Commands[i][:])
		}
		s.send(pipe, stmtCommands, s.part, ids.bytes())
	}
	if len(want.Roots) > 0 {
		roots := &s.arrays[0]
		roots.begin(oidText)
		for _, r := range want.Roots {
			roots.text(string(r))
		}
		s.send(pipe, stmtRoots, roots.bytes())
	}
	reading := len(prologue) > 0 && prologue[0] == stmtBeginRead
	if reading {
		s.send(pipe, stmtCommit)
	}
	err := pipe.Sync()
	found := &es.Found{}
	if err == nil {
		err = s.receiveFound(pipe, want, len(prologue), reading, found)
	}
	if e := pipe.Close(); err == nil {
		err = e
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return found, nil
}

func (s *session) sendStreams(pipe *pgconn.Pipeline, streams []es.WantStream) {
	names, folds, other := &s.arrays[0], &s.arrays[1], &s.arrays[2]
	names.begin(oidText)
	rows := false
	for i := range streams {
		names.text(string(streams[i].Stream))
		rows = rows || streams[i].Rows
	}
	if rows {
		s.send(pipe, stmtRows, s.part, names.bytes())
	}
	folds.begin(oidInt8)
	other.begin(oidInt8)
	for i := range streams {
		fold, has := int64(-1), int64(0)
		if streams[i].Rows {
			fold = int64(streams[i].Fold)
			if streams[i].Anew {
				has = math.MaxInt64
			}
		}
		folds.int8(fold)
		other.int8(has)
	}
	s.send(pipe, stmtStreams, s.part, names.bytes(), folds.bytes(), other.bytes())
}

func (s *session) receiveFound(pipe *pgconn.Pipeline, want *es.Want, prologue int, reading bool, f *es.Found) error {
	for range prologue {
		if _, err := receive(pipe, nil); err != nil {
			return err
		}
	}
	_, err := receive(pipe, func(v [][]byte) {
		h := readHead(v)
		s.life, f.Now, f.Tail, f.Link = h.life, h.now, h.tail, h.link
		if want.After == h.life.After {
			f.Link = h.life.Base()
		}
	})
	if err != nil {
		return err
	}
	records := func(into *[]es.Record) error {
		_, err := receive(pipe, func(v [][]byte) { *into = append(*into, s.keep(v)) })
		return err
	}
	if want.Missed > 0 {
		if err := records(&f.Missed); err != nil {
			return err
		}
	}
	if len(want.Streams) > 0 {
		for i := range want.Streams {
			if want.Streams[i].Rows {
				_, err := receive(pipe, func(v [][]byte) {
					row := readRow(v)
					row.Data = append([]byte(nil), row.Data...)
					f.Rows = append(f.Rows, row)
				})
				if err != nil {
					return err
				}
				break
			}
		}
		if err := records(&f.Events); err != nil {
			return err
		}
	}
	if len(want.Commands) > 0 {
		if err := records(&f.Commands); err != nil {
			return err
		}
	}
	if len(want.Roots) > 0 {
		_, err := receive(pipe, func(v [][]byte) { f.Roots = append(f.Roots, es.Stream(v[0])) })
		if err != nil {
			return err
		}
	}
	if reading {
		_, err = receive(pipe, nil)
	}
	return err
}

// keep reads a record into memory of its own.
func (s *session) keep(v [][]byte) es.Record {
	r := es.Record{Partition: s.p}
	readRecord(v, &r, &s.types)
	own := append(append(make([]byte, 0, len(r.Data)+len(r.Meta)), r.Data...), r.Meta...)
	r.Data, r.Meta = own[:len(r.Data):len(r.Data)], own[len(r.Data):]
	return r
}

// Root implements es.Session.
func (s *session) Root(ctx context.Context, root es.Stream, visit func(*es.Record) error) error {
	rows := s.conn.ExecStatement(ctx, s.stmt[stmtRoot], [][]byte{[]byte(root)}, binaryFormat, binaryFormat)
	r := es.Record{Partition: s.p}
	var stopped error
	for stopped == nil && rows.NextRow() {
		readRecord(rows.Values(), &r, &s.types)
		stopped = visit(&r)
	}
	if _, err := rows.Close(); err != nil && stopped == nil {
		return unavailable(err)
	}
	return stopped
}

// Unlock implements es.Session.
func (s *session) Unlock(ctx context.Context) error {
	if !s.locked {
		return nil
	}
	s.locked = false
	pipe := s.conn.StartPipeline(ctx)
	s.send(pipe, stmtRollback)
	err := pipe.Sync()
	if err == nil {
		_, err = receive(pipe, nil)
	}
	if e := pipe.Close(); err == nil {
		err = e
	}
	if err != nil {
		return unavailable(err)
	}
	return nil
}
