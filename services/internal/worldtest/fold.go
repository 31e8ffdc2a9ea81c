package worldtest

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// Happened is an event of a stream, as its contract has it.
type Happened struct {
	On    es.Stream
	Event proto.Message
}

// Folds folds what happened into tables one by one, all at once, and in batches of any size, and fails where the rows differ.
func Folds(t *testing.T, tables string, project func(context.Context, pgx.Tx, []es.Record) error, what []Happened) {
	t.Helper()
	at := time.Date(2026, 4, 12, 9, 0, 0, 0, time.UTC)
	records, versions := make([]es.Record, len(what)), map[es.Stream]es.Version{}
	for i, h := range what {
		m := h.Event.ProtoReflect()
		data, err := proto.Marshal(h.Event)
		if err != nil {
			t.Fatal(err)
		}
		versions[h.On]++
		records[i] = es.Record{
			ID: id.Random(), Position: es.Position(i + 1), Stream: h.On, Version: versions[h.On], At: at.Add(time.Duration(i) * time.Second),
			Type: string(m.WhichOneof(m.Descriptor().Oneofs().ByName("event")).Name()), Data: data,
		}
	}
	pool := Database(t)
	rows := func(name string, batch func() int) string {
		t.Helper()
		var out strings.Builder
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "create schema "+name+"; set local search_path = "+name+"; "+tables); err != nil {
				return err
			}
			for left := records; len(left) > 0; {
				n := min(batch(), len(left))
				if err := project(t.Context(), tx, left[:n]); err != nil {
					return err
				}
				left = left[n:]
			}
			list, err := tx.Query(t.Context(), `select tablename from pg_tables where schemaname = $1 order by 1`, name)
			if err != nil {
				return err
			}
			names, err := pgx.CollectRows(list, pgx.RowTo[string])
			if err != nil {
				return err
			}
			for _, table := range names {
				var all []string
				if err := tx.QueryRow(t.Context(), `select coalesce(array_agg(r::text order by r::text), '{}') from `+table+` r`).Scan(&all); err != nil {
					return err
				}
				fmt.Fprintf(&out, "%s:\n%s\n", table, strings.Join(all, "\n"))
			}
			return nil
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		return out.String()
	}
	want := rows("singly", func() int { return 1 })
	if got := rows("at_once", func() int { return len(records) }); got != want {
		t.Errorf("all at once come\n%s\nand one by one\n%s", got, want)
	}
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 0))
		if got := rows(fmt.Sprint("some", seed), func() int { return 1 + r.IntN(7) }); got != want {
			t.Fatalf("in batches (%d) come\n%s\nand one by one\n%s", seed, got, want)
		}
	}
}
