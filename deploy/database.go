package deploy

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

//go:embed sql/roles.sql
var rolesSQL string

//go:embed sql/schema.sql
var schemaSQL string

// Database names the database of one service and its two roles.
type Database struct {
	Name  string
	Owner string // owns it and migrates
	App   string // works in it
}

// DatabaseOf is the database of a service by the names that deploy uses throughout.
func DatabaseOf(service string) Database {
	name := "obole_" + service
	return Database{Name: name, Owner: name + "_owner", App: name}
}

// Create makes the database and its roles unless they stand. url names a database of the server as a role that may do
// so; it is called with the database's name once that is made.
func (d Database) Create(ctx context.Context, url func(database string) string) error {
	if err := d.run(ctx, url("postgres"), rolesSQL); err != nil {
		return err
	}
	return d.run(ctx, url(d.Name), schemaSQL)
}

// run does what psql does with the file: puts the names in and runs one statement after the other.
func (d Database) run(ctx context.Context, url, file string) error {
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		return fmt.Errorf("deploy: database %s: %w", d.Name, err)
	}
	defer conn.Close(context.WithoutCancel(ctx))
	named := strings.NewReplacer(`:"database"`, quote(d.Name), `:"owner"`, quote(d.Owner), `:"app"`, quote(d.App)).Replace(file)
	for statement := range strings.SplitSeq(named, ";\n") {
		if _, err := conn.Exec(ctx, statement); err != nil && !stands(err) {
			return fmt.Errorf("deploy: database %s: %w", d.Name, err)
		}
	}
	return nil
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

// stands says that a statement found what it should make: duplicate_object, duplicate_database, or, where two make it
// at once, unique_violation in the catalogue.
func stands(err error) bool {
	pg, ok := errors.AsType[*pgconn.PgError](err)
	return ok && (pg.Code == "42710" || pg.Code == "42P04" || pg.Code == "23505")
}
