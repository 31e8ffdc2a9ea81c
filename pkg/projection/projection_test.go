package projection_test

import (
	"context"
	"errors"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
)

const tables = `
create table seen (position bigint primary key, type text not null);
create table deadline (stream text not null, kind text not null, due timestamptz not null, primary key (stream, kind, due));`

func database(t *testing.T) *pgxpool.Pool {
	t.Helper()
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		t.Fatal("DATABASE_URL is not set: this test needs a real PostgreSQL; run it with `make test`")
	}
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	name := "proj_" + strings.ReplaceAll(id.Random().String(), "-", "")
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
		_ = admin.Close(ctx)
	})
	return pool
}

// project writes down every record; a type "bad" fails until it is cured.
func project(cured *atomic.Bool) func(context.Context, pgx.Tx, []es.Record) error {
	return func(ctx context.Context, tx pgx.Tx, records []es.Record) error {
		for _, r := range records {
			if r.Type == "bad" && !cured.Load() {
				return errors.New("cannot be folded")
			}
			if _, err := tx.Exec(ctx, `insert into seen (position, type) values ($1, $2)`, int64(r.Position), r.Type); err != nil {
				return err
			}
		}
		return nil
	}
}

func store(t *testing.T, log *esmem.Log, types ...string) es.Position {
	t.Helper()
	ctx := context.Background()
	s, err := log.Session(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }() // nothing is pending
	tail, err := log.Tail(ctx, 0)
	if err != nil {
		t.Fatal(err)
	}
	batch, chain := &es.Batch{Tail: tail}, tail.Chain
	for i, typ := range types {
		event := id.Random()
		r := es.Record{
			Position: tail.Position + es.Position(i) + 1, ID: event, Stream: es.StreamOf(id.Random()), Version: 1, Command: id.Random(), Type: typ,
			Meta: es.EncodeMeta(es.Meta{ID: event, Hash: [32]byte{1}}), At: time.Now().UTC().Truncate(time.Microsecond), Data: []byte{1},
		}
		chain = es.NextChain(chain, &r)
		r.Chain = chain
		batch.Records = append(batch.Records, r)
	}
	if _, err := s.Append(ctx, batch); err != nil {
		t.Fatal(err)
	}
	return tail.Position + es.Position(len(types))
}

func start(t *testing.T, p *projection.Projection) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }() // ends with ctx
	var once atomic.Bool
	stop = func() {
		if !once.Swap(true) {
			cancel()
			<-done
		}
	}
	t.Cleanup(stop)
	return stop
}

func wait(t *testing.T, p *projection.Projection, at es.Position) error {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	return p.Wait(ctx, es.Cursor{Service: "test", Position: at})
}

func TestTablesFollowTheLog(t *testing.T) {
	t.Parallel()
	pool, log := database(t), esmem.New(1, time.Now)
	var cured atomic.Bool
	alarms := make(chan error, 100)
	options := projection.Options{
		Name: "things", Service: "test", Fold: 1, Tables: tables, Pool: pool, Log: log, Project: project(&cured), Batch: 3,
		Alarm: func(_ es.Partition, err error) {
			select {
			case alarms <- err:
			default:
			}
		},
	}
	p := projection.New(options)
	for range 2 { // twice is as good as once
		if err := p.Migrate(t.Context(), ""); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	stop := start(t, p)
	at := store(t, log, "a", "b", "c", "d", "e")
	if err := wait(t, p, at); err != nil {
		t.Fatal(err)
	}
	// Two of them at once fold nothing twice.
	other := projection.New(options)
	if err := other.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	start(t, other)
	for range 20 {
		at = store(t, log, "f", "g", "h", "i")
	}
	if err := errors.Join(wait(t, p, at), wait(t, other, at)); err != nil {
		t.Fatal(err)
	}
	count := func() (n int) {
		if err := pool.QueryRow(t.Context(), `select count(*) from things.seen`).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n := count(); n != 85 {
		t.Errorf("%d rows for 85 events", n)
	}
	// What cannot be folded alarms, changes nothing, and goes on once it can.
	at = store(t, log, "fine", "bad")
	select {
	case <-alarms:
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told")
	}
	if n := count(); n != 85 {
		t.Errorf("%d rows: a batch is in the tables whole or not at all", n)
	}
	cured.Store(true)
	if err := wait(t, p, at); err != nil {
		t.Fatal(err)
	}
	stop()
	if err := p.Verify(t.Context()); err != nil {
		t.Errorf("verified: %v", err)
	}
	if _, err := pool.Exec(t.Context(), `update things.seen set type = 'z' where position = 4`); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(t.Context()); !errors.Is(err, projection.ErrDiffers) {
		t.Errorf("a row was changed by hand: %v", err)
	}
	if err := p.Rebuild(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(t.Context()); err != nil || count() != 87 {
		t.Errorf("rebuilt: %d rows, %v", count(), err)
	}
	// Another fold is rebuilt when it is opened.
	options.Fold, options.Tables = 2, strings.Replace(tables, "type text not null", "type text not null, more text", 1)
	newer := projection.New(options)
	if err := newer.Open(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := pool.Exec(t.Context(), `select more from things.seen`); err != nil {
		t.Errorf("the new tables: %v", err)
	}
}

func TestCursorsThatAreNoneOfOurs(t *testing.T) {
	t.Parallel()
	log := esmem.New(1, time.Now)
	at := store(t, log, "a")
	p := projection.New(projection.Options{Name: "x", Service: "test", Log: log})
	for name, tc := range map[string]struct {
		c    es.Cursor
		want error
	}{
		"another service":     {es.Cursor{Service: "other", Position: at}, projection.ErrService},
		"another partition":   {es.Cursor{Service: "test", Partition: 3, Position: at}, projection.ErrPartition},
		"another incarnation": {es.Cursor{Service: "test", Incarnation: es.Incarnation{9}, Position: at}, projection.ErrIncarnation},
		"none":                {es.Cursor{}, nil},
	} {
		if err := p.Wait(t.Context(), tc.c); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	soon, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if err := p.Wait(soon, es.Cursor{Service: "test", Position: at}); fault.KindOf(err) != fault.KindDeadline {
		t.Errorf("not seen in time: %v", err)
	}
}

func TestDeadlinesFireWhenTheyAreDue(t *testing.T) {
	t.Parallel()
	pool, log := database(t), esmem.New(1, time.Now)
	p := projection.New(projection.Options{Name: "things", Service: "test", Fold: 1, Tables: tables, Pool: pool, Log: log})
	if err := p.Migrate(t.Context(), ""); err != nil {
		t.Fatal(err)
	}
	now := time.Now().UTC().Truncate(time.Microsecond)
	for stream, due := range map[string]time.Time{"past": now.Add(-time.Hour), "now": now, "future": now.Add(time.Hour)} {
		if _, err := pool.Exec(t.Context(), `insert into things.deadline values ($1, 'k', $2)`, stream, due); err != nil {
			t.Fatal(err)
		}
	}
	fired := make(chan projection.Deadline, 16)
	var failures atomic.Int32
	d := &projection.Deadlines{Pool: pool, Schema: "things", Now: func() time.Time { return now }, Every: 10 * time.Millisecond, Fire: func(_ context.Context, d projection.Deadline) error {
		if d.Stream == "past" && failures.Add(1) == 1 {
			return errors.New("not now")
		}
		fired <- d
		return nil
	}}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); _ = d.Run(ctx) }() // ends with ctx
	got := map[string]id.ID{}
	for len(got) < 2 {
		select {
		case d := <-fired:
			if _, twice := got[d.Stream]; twice {
				t.Errorf("%s fired twice", d.Stream)
			}
			got[d.Stream] = d.CommandID()
		case <-time.After(20 * time.Second):
			t.Fatalf("only %v fired", got)
		}
	}
	cancel()
	<-done
	if _, early := got["future"]; early || got["past"] == got["now"] {
		t.Errorf("fired: %v", got)
	}
}
