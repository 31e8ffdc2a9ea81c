package worldtest

import (
	"context"
	"io/fs"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/id"
)

// Database makes a database of the test's own and runs statements in it.
func Database(t testing.TB, statements ...string) *pgxpool.Pool {
	t.Helper()
	url, ctx := Need(t, "DATABASE_URL"), context.Background() // also in cleanups
	admin, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	name := "test_" + strings.ReplaceAll(id.Random().String(), "-", "")
	if _, err := admin.Exec(ctx, "create database "+name); err != nil {
		t.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Database = name
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		if _, err := admin.Exec(ctx, "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
		_ = admin.Close(ctx) // nothing is pending
	})
	for _, sql := range statements {
		if _, err := pool.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	return pool
}

// Up is what migrations of a folder make, one after the other.
func Up(t testing.TB, files fs.FS, folder string) string {
	t.Helper()
	list, err := fs.ReadDir(files, folder) // by name
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range list {
		text, err := fs.ReadFile(files, folder+"/"+file.Name())
		if err != nil {
			t.Fatal(err)
		}
		up, _, _ := strings.Cut(string(text), "-- +goose Down")
		all.WriteString(up)
	}
	return all.String()
}
