package projection_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/figure"
	"github.com/obole-market/obole/pkg/id"
)

// BenchmarkPaths prints the table of docs/performance.md for projections: one fetch of 1 MiB against the same rows one by
// one, interleaved, medians of five rounds. Run it with
//
//	go test -run '^$' -bench Paths -benchtime 1x ./pkg/projection
func BenchmarkPaths(b *testing.B) {
	for b.Loop() {
		paths(b)
	}
}

// fetched is what 1 MiB holds of events of 300 bytes; each makes a row of its own.
const fetched = 1 << 20 / 300

const rows = `create table account (stream text primary key, amount bigint not null, position bigint not null)`

// folded writes the rows of a batch in one statement.
func folded(ctx context.Context, tx pgx.Tx, records []es.Record) error {
	streams, amounts, positions := make([]string, len(records)), make([]int64, len(records)), make([]int64, len(records))
	for i := range records {
		amounts[i], _ = binary.Varint(records[i].Data)
		streams[i], positions[i] = string(records[i].Stream), int64(records[i].Position)
	}
	_, err := tx.Exec(ctx, `
		insert into account select * from unnest($1::text[], $2::bigint[], $3::bigint[])
		on conflict (stream) do update set amount = excluded.amount, position = excluded.position`, streams, amounts, positions)
	return err
}

func paths(b *testing.B) {
	w, round := begin(b, 1), 0
	const single = "row by row, a transaction each with its position"
	err := figure.Race(os.Stdout, []figure.Path{
		{Name: single, Unit: "rows/s", Run: func() float64 { return w.singly(b) }},
		{
			Name: "projection, fetches of 1 MiB", Unit: "rows/s", Bars: []figure.Bar{{Of: single, AtLeast: 40}},
			Run: func() float64 {
				round++
				w.rows()
				o := w.options()
				o.Name, o.Tables, o.Project, o.Batch, o.Bytes = fmt.Sprintf("batch_%d", round), rows, folded, fetched, 1<<20
				p := w.open(o)
				began := time.Now()
				stop := run(b, p.Run)
				w.wait(p, es.Cursor{Position: es.Position(round * fetched)})
				defer stop()
				return float64(round*fetched) / time.Since(began).Seconds()
			},
		},
	})
	if err != nil {
		b.Fatal(err)
	}
}

// rows appends one fetch of events with streams of their own.
func (w *world) rows() {
	ctx := context.Background()
	s, err := w.log.Session(ctx, 0)
	if err != nil {
		w.tb.Fatal(err)
	}
	defer func() { _ = s.Close() }() // nothing is pending
	tail, err := w.log.Tail(ctx, 0)
	if err != nil {
		w.tb.Fatal(err)
	}
	b := &es.Batch{Tail: tail}
	chain, at := tail.Chain, time.Now().UTC().Truncate(time.Microsecond)
	for i := range fetched {
		r := es.Record{
			Position: tail.Position + es.Position(i) + 1, ID: id.Random(), Stream: es.StreamOf(id.Random()), Version: 1, Command: id.Random(),
			Type: "put", Data: append(binary.AppendVarint(nil, int64(i)), make([]byte, 290)...), At: at,
		}
		r.Meta = es.EncodeMeta(es.Meta{ID: r.ID, Hash: [32]byte{1}})
		r.Chain = es.NextChain(chain, &r)
		chain = r.Chain
		b.Records = append(b.Records, r)
	}
	if _, err := s.Append(ctx, b); err != nil {
		w.tb.Fatal(err)
	}
}

// singly writes rows as people do who take one message at a time.
func (w *world) singly(b *testing.B) float64 {
	const n = 1000
	ctx := b.Context()
	if _, err := w.pool.Exec(ctx, `create table if not exists account (stream text primary key, amount bigint not null, position bigint not null);
		create table if not exists at (position bigint not null); insert into at values (0)`); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	for i := range n {
		err := pgx.BeginFunc(ctx, w.pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(ctx, `insert into account values ($1, $2, $3) on conflict (stream) do update set amount = excluded.amount`, id.Random().String(), i, i); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `update at set position = position + 1`)
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return n / time.Since(began).Seconds()
}
