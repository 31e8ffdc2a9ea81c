package espg

import (
	"context"
	"encoding/binary"
	"errors"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/obole-market/obole/pkg/es"
)

// This file is the way that every event goes. Its messages are built in one buffer that is used again and again, and sent in one
// write: the driver's pipeline gives its buffer away after each large message, which costs more than all of the rest here.

// Append implements es.Session.
func (s *session) Append(ctx context.Context, b *es.Batch) (time.Time, error) {
	locked := s.locked
	s.locked = false
	a, err := s.store(ctx, b, locked)
	if err != nil {
		err = refused(err)
		if locked && !errors.Is(err, es.ErrOutcome) {
			s.locked = true
			_ = s.Unlock(ctx) // nothing was stored, whatever becomes of the session
		}
		if len(b.Records) == 0 && errors.Is(err, es.ErrOutcome) {
			err = unavailable(err) // rows are stored again
		}
		return a.now, err
	}
	if a.rows[answerRecords] != int64(len(b.Records)) {
		return a.now, es.ErrMoved
	}
	if len(b.Records) > 0 {
		s.log.appended(s.p, b)
	}
	return a.now, nil
}

// stored is what the server said to an append.
type stored struct {
	now  time.Time
	rows [answers]int64 // affected, by statement
}

// The statements of an append, in their order.
const (
	answerClock = iota
	answerRecords
	answerStates
	answerCommit
	answers
)

// store sends a batch in one round trip and returns when the server is ready again: before, an implicit transaction is not
// known to be committed.
func (s *session) store(ctx context.Context, b *es.Batch, locked bool) (a stored, err error) {
	s.out = s.out[:0]
	var said [answers]int // which statement answers as which
	n := 0
	bind := func(as, stmt int, params ...[]byte) {
		said[n] = as
		n++
		s.bind(stmt, params)
	}
	if locked {
		bind(answerClock, stmtClock)
	} else {
		bind(answerClock, stmtLock, s.class, s.part)
	}
	if len(b.Records) > 0 {
		bind(answerRecords, stmtAppend, s.recordParams(b)...)
	}
	switch {
	case len(b.States) == 0:
	case len(b.Records) == 0:
		bind(answerStates, stmtRefold, s.stateParams(b, b.Tail.Incarnation[:])...)
	default:
		bind(answerStates, stmtUpsert, s.stateParams(b, b.Records[len(b.Records)-1].Chain[:])...)
	}
	if locked {
		bind(answerCommit, stmtCommit)
	}
	s.out, err = (&pgproto3.Sync{}).Encode(s.out)
	if err != nil {
		return a, err
	}
	defer s.watch(ctx)()
	if _, err := s.conn.Conn().Write(s.out); err != nil {
		return a, err
	}
	n = 0
	for {
		message, e := s.conn.ReceiveMessage(context.Background()) // the deadline is the connection's
		if e != nil {
			return a, errors.Join(err, e)
		}
		switch m := message.(type) {
		case *pgproto3.DataRow:
			a.now = readTime(m.Values[len(m.Values)-1])
		case *pgproto3.CommandComplete:
			a.rows[said[n]] = pgconn.NewCommandTag(string(m.CommandTag)).RowsAffected()
			n++
		case *pgproto3.ErrorResponse:
			err = pgconn.ErrorResponseToPgError(m)
		case *pgproto3.ReadyForQuery:
			return a, err
		}
	}
}

// watch ends what the connection waits for when ctx does, until the returned function is called.
func (s *session) watch(ctx context.Context) func() {
	conn, done := s.conn.Conn(), make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		_ = conn.SetDeadline(time.Unix(1, 0)) // a connection that is closed waits for nothing
		close(done)
	})
	return func() {
		if !stop() {
			<-done
			_ = conn.SetDeadline(time.Time{})
		}
	}
}

// bind adds a statement's execution to what is sent.
func (s *session) bind(stmt int, params [][]byte) {
	// Encode refuses only what is larger than a message may be, which MaxEvent and the batch's bound exclude.
	s.out, _ = (&pgproto3.Bind{
		PreparedStatement: s.stmt[stmt].Name, ParameterFormatCodes: binaryFormat, Parameters: params, ResultFormatCodes: binaryFormat,
	}).Encode(s.out)
	s.out, _ = (&pgproto3.Execute{}).Encode(s.out)
}

// recordParams are the parameters of sqlAppend. They are valid until the next call.
func (s *session) recordParams(b *es.Batch) [][]byte {
	a := &s.arrays
	for i, oid := range [...]uint32{oidText, oidInt8, oidUUID, oidInt4, oidText, oidBytea, oidBytea, oidBytea} {
		a[i].begin(oid)
	}
	for i := range b.Records {
		r := &b.Records[i]
		a[0].text(string(r.Stream))
		a[1].int8(int64(r.Version))
		a[2].raw(r.Command[:])
		a[3].int4(r.Ordinal)
		a[4].text(r.Type)
		a[5].raw(r.Data)
		a[6].raw(r.Meta)
		a[7].raw(r.Chain[:])
	}
	s.number = binary.BigEndian.AppendUint64(s.number[:0], uint64(b.Tail.Position))
	s.at = appendTime(s.at[:0], b.Records[0].At)
	newest := b.Tail.Chain[:]
	if b.Tail.Position == s.life.After {
		newest = s.life.Before[:]
		if s.life.After == 0 {
			newest = nil
		}
	}
	p := append(s.params[:0], s.part, s.number, b.Tail.Incarnation[:], empty(newest), s.at)
	for i := range a {
		p = append(p, a[i].bytes())
	}
	return p
}

// stateParams are the parameters of sqlUpsert and sqlRefold: the rows, and that on which they are written. They are valid until
// the next call.
func (s *session) stateParams(b *es.Batch, provided []byte) [][]byte {
	a := &s.arrays
	for i, oid := range [...]uint32{oidText, oidInt8, oidInt8, oidInt8, oidBytea} {
		a[i].begin(oid)
	}
	for i := range b.States {
		row := &b.States[i]
		a[0].text(string(row.Stream))
		a[1].int8(int64(row.Version))
		a[2].int8(int64(row.Position))
		a[3].int8(int64(row.Fold))
		a[4].raw(row.Data)
	}
	p := append(s.params[:0], s.part, provided)
	for i := range 5 {
		p = append(p, a[i].bytes())
	}
	return p
}

// empty makes nil an empty value: nil would be null.
func empty(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}
