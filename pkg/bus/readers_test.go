package bus_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
)

// TestReadersJoinAndLeaveUnderLoad: seven readers of one group over seven partitions come and go while events come; effects happen
// once, in order. Once nobody comes or goes any more, each of the seven reads.
func TestReadersJoinAndLeaveUnderLoad(t *testing.T) {
	t.Parallel()
	const members = 7
	w := beginOf(t, members)
	ctx := context.Background()
	if _, err := w.pool.Exec(ctx, `create table effect (partition integer, position bigint, nth bigserial, member integer, primary key (partition, position))`); err != nil {
		t.Fatal(err)
	}
	for p := range es.Partition(members) {
		r := w.relay()
		r.Partition = p
		run(t, r.Run)
	}
	take := func(member int) func(context.Context, *bus.Checkpoint, []bus.Received) error {
		return bus.Table(w.pool, func(ctx context.Context, tx pgx.Tx, events []bus.Received) error {
			for _, e := range events {
				if _, err := tx.Exec(ctx, `insert into effect (partition, position, member) values ($1, $2, $3)`, int32(e.Partition), int64(e.Position), member); err != nil {
					return err
				}
			}
			return nil
		})
	}
	var stored int64
	load := func() {
		events := make([]string, 0, 40)
		for range 40 {
			events = append(events, fmt.Sprintf("s%d:x", rand.IntN(100))) // over all partitions
		}
		w.append(events...)
		stored += int64(len(events))
	}
	stops := make([]func(), members)
	for i := range 3 * members {
		if stop := stops[i%members]; stop != nil {
			stop()
		}
		stops[i%members] = run(t, w.feed("effects", take(i%members)).Run)
		for range 5 {
			load()
		}
		time.Sleep(time.Duration(rand.IntN(150)) * time.Millisecond) // they come and go whenever they do
	}
	one := func(sql string, args ...any) (n int64) {
		if err := w.pool.QueryRow(ctx, sql, args...).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	within(t, time.Minute, "all effects", func() bool { return one(`select count(*) from effect`) == stored })
	settled := one(`select max(nth) from effect`)
	within(t, time.Minute, "each of the seven to read", func() bool {
		load()
		return one(`select count(distinct member) from effect where nth > $1`, settled) == members
	})
	within(t, time.Minute, "the rest", func() bool { return one(`select count(*) from effect`) == stored })
	if n := one(`select count(*) from (select position - lag(position, 1, 0) over (partition by partition order by nth) as step from effect) s where step <> 1`); n > 0 {
		t.Fatalf("%d effects out of order", n)
	}
	if n := one(`select count(distinct partition) from effect`); n != members {
		t.Errorf("effects of %d partitions", n)
	}
}
