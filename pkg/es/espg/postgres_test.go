package espg_test

import (
	"context"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/espg"
	"github.com/obole-market/obole/pkg/id"
)

// server is the URL of a superuser of a real PostgreSQL.
func server(tb testing.TB) string {
	tb.Helper()
	s := os.Getenv("DATABASE_URL")
	if s == "" {
		tb.Fatal("DATABASE_URL is not set: this test needs a real PostgreSQL; run it with `make test`")
	}
	return s
}

// within is the server's URL for another database.
func within(tb testing.TB, database string) string {
	tb.Helper()
	u, err := url.Parse(server(tb))
	if err != nil {
		tb.Fatal(err)
	}
	u.Path = "/" + database
	q := u.Query()
	if q.Get("sslmode") == "" {
		q.Set("sslmode", "disable")
	}
	u.RawQuery = q.Encode()
	return u.String()
}

// empty makes a database for one test.
func empty(tb testing.TB) string {
	tb.Helper()
	name := "es_" + strings.ReplaceAll(id.Random().String(), "-", "")
	execute(tb, server(tb), `create database `+name)
	tb.Cleanup(func() { execute(tb, server(tb), `drop database if exists `+name+` with (force)`) })
	return within(tb, name)
}

// database makes a log of n partitions.
func database(tb testing.TB, n int) string {
	tb.Helper()
	u := empty(tb)
	if err := espg.Migrate(context.Background(), u, espg.Birth{Partitions: n}); err != nil {
		tb.Fatal(err)
	}
	return u
}

func execute(tb testing.TB, u, sql string, args ...any) {
	tb.Helper()
	ctx := context.Background() // also in cleanups
	conn, err := pgx.Connect(ctx, u)
	if err != nil {
		tb.Fatal(err)
	}
	defer conn.Close(ctx)
	if _, err := conn.Exec(ctx, sql, args...); err != nil {
		tb.Fatal(err)
	}
}

// run an engine for the length of the test.
func run(tb testing.TB, e *es.Engine) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- e.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
}
