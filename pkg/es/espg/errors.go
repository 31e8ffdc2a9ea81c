package espg

import (
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
)

// What Open and Migrate refuse.
var (
	// ErrUnborn: the database holds no log. Run the service's migrate command.
	ErrUnborn = fault.Unavailable("the database holds no event log: run migrate")
	// ErrBirth: the log was born with another number of partitions or another placing of roots than this process has.
	ErrBirth = fault.Unavailable("the event log was born with other partitions than this process is configured for")
)

// cause keeps of a driver's error what may be logged: no text of the server's that quotes a row.
func cause(err error) error {
	if pg, ok := errors.AsType[*pgconn.PgError](err); ok {
		return fmt.Errorf("SQLSTATE %s %s", pg.Code, pg.ConstraintName)
	}
	return err
}

// unavailable is what a failed read means.
func unavailable(err error) error {
	return es.ErrUnavailable.Because(cause(err))
}

// refused says what a failed append means. Only an answer of the server's, given while it goes on serving, proves that
// nothing was stored.
func refused(err error) error {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	if !ok || pg.SeverityUnlocalized == "FATAL" || pg.SeverityUnlocalized == "PANIC" {
		return es.ErrOutcome.Because(cause(err))
	}
	switch {
	case pg.Code == "23505" && pg.ConstraintName == "event_pkey":
		return es.ErrMoved
	case pg.Code == "23505" && pg.ConstraintName == "event_stream_version_key":
		return es.ErrVersion
	case pg.Code == "23505" && pg.ConstraintName == "event_partition_command_ordinal_key":
		return es.ErrKnownCommand
	case strings.HasPrefix(pg.Code, "22"), strings.HasPrefix(pg.Code, "23"):
		return es.ErrData.Because(cause(err))
	}
	return es.ErrUnavailable.Because(cause(err))
}
