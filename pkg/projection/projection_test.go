package projection_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/projection"
)

func TestTablesFollowTheLog(t *testing.T) {
	t.Parallel()
	w := begin(t, 2)
	w.append(0, amounts(120)...)
	p := w.open(w.options())
	run(t, p.Run)
	w.wait(p, w.append(0, amounts(3)...))
	w.wait(p, w.append(1, 1000))
	if events, amount := w.total(); events != 124 || amount != 120*121/2+6+1000 {
		t.Errorf("%d events of %d", events, amount)
	}
	if p.Seen(0) != 123 || p.Seen(1) != 1 {
		t.Errorf("seen %d and %d", p.Seen(0), p.Seen(1))
	}
	if err := p.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestTheTablesRestUntilSomebodyWaits: after a batch that took long the projection leaves the log alone, unless it is waited for.
func TestTheTablesRestUntilSomebodyWaits(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	o := w.options()
	o.Rest = time.Hour
	slow := true
	o.Project = func(ctx context.Context, tx pgx.Tx, records []es.Record) error {
		if slow {
			slow = false
			if _, err := tx.Exec(ctx, `select pg_sleep(1)`); err != nil { // and so a rest of 3 s
				return err
			}
		}
		return totals(ctx, tx, records)
	}
	p := w.open(o)
	o = w.options()
	o.Name = "other"
	other := w.open(o)
	first := w.append(0, 1)
	run(t, p.Run)
	run(t, other.Run)
	w.wait(p, first)
	began := time.Now()
	second := w.append(0, 2)
	w.wait(other, second)
	if p.Seen(0) != first.Position {
		t.Errorf("the projection that ought to rest is at %d", p.Seen(0))
	}
	w.wait(p, second)
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("who waits had to wait for the rest to end: %v", took)
	}
}

// TestSeldomAskedTablesRestLonger: however quick a batch was, the projection rests for the least that it was told, unless it is waited for.
func TestSeldomAskedTablesRestLonger(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	o := w.options()
	o.Least = time.Hour
	p := w.open(o)
	o = w.options()
	o.Name = "other"
	other := w.open(o)
	first := w.append(0, 1)
	run(t, p.Run)
	run(t, other.Run)
	w.wait(p, first)
	for n := range 3 {
		w.wait(other, w.append(0, int64(n)+2))
	}
	if p.Seen(0) != first.Position {
		t.Errorf("the projection that ought to rest is at %d", p.Seen(0))
	}
	last := w.append(0, 5)
	w.wait(p, last)
	if p.Seen(0) != last.Position {
		t.Errorf("who waited found it at %d", p.Seen(0))
	}
}

// TestWhoWatchesSeesSoon: tables that are seldom asked do not rest for long while somebody watches them.
func TestWhoWatchesSeesSoon(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	o := w.options()
	o.Least = time.Hour
	p := w.open(o)
	w.append(0, 1)
	first := p.Changed()
	run(t, p.Run)
	<-first
	second := p.Changed()
	w.append(0, 2)
	select {
	case <-second:
	case <-time.After(time.Minute):
		t.Error("who watches was not told")
	}
}

// TestABatchIsInWholeOrNotAtAll: a fold that fails after it has written leaves neither rows nor position, and is tried again.
func TestABatchIsInWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	var tries atomic.Int32
	failed := make(chan struct{}, 16)
	o := w.options()
	o.Project = func(ctx context.Context, tx pgx.Tx, records []es.Record) error {
		if err := totals(ctx, tx, records); err != nil {
			return err
		}
		if tries.Add(1) <= 3 {
			return errors.New("not today")
		}
		return nil
	}
	o.Alarm = func(es.Partition, error) { failed <- struct{}{} }
	p := w.open(o)
	c := w.append(0, amounts(10)...)
	run(t, p.Run)
	<-failed
	if events, _ := w.total(); events != 0 {
		t.Errorf("%d events are in of a batch that failed", events)
	}
	w.wait(p, c)
	if events, _ := w.total(); events != 10 {
		t.Errorf("%d events", events)
	}
}

// TestManyInstancesFoldOnce: several processes follow with the same tables.
func TestManyInstancesFoldOnce(t *testing.T) {
	t.Parallel()
	w := begin(t, 2)
	var all []*projection.Projection
	for range 4 {
		p := w.open(w.options())
		run(t, p.Run)
		all = append(all, p)
	}
	var last [2]es.Cursor
	for i := range 60 {
		last[i%2] = w.append(es.Partition(i%2), amounts(1+i)...)
	}
	for _, p := range all {
		w.wait(p, last[0])
		w.wait(p, last[1])
	}
	if events, _ := w.total(); events != 60*61/2 {
		t.Errorf("%d events", events)
	}
	if err := all[0].Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestRebuiltBesideAndSwapped: while events come and people ask, the tables are rebuilt again and again. Nobody's query
// fails, nobody's position goes back, and the rows are those of the log.
func TestRebuiltBesideAndSwapped(t *testing.T) {
	t.Parallel()
	w := begin(t, 2)
	p := w.open(w.options())
	run(t, p.Run)
	ctx, cancel := context.WithCancel(t.Context())
	var load sync.WaitGroup
	loaded := make(chan struct{})
	load.Go(func() {
		defer close(loaded) // a load without end would outgrow every rebuild
		for i := range 500 {
			w.wait(p, w.append(es.Partition(i%2), amounts(1+i%30)...))
		}
	})
	load.Go(func() {
		var before int64
		for ctx.Err() == nil {
			events, _ := w.total()
			if events < before {
				t.Errorf("%d events after %d", events, before)
			}
			before = events
		}
	})
	other := w.open(w.options()) // another process rebuilds
	for under := true; under; {
		select {
		case <-loaded:
			under = false // this round is the last
		default:
		}
		if err := errors.Join(other.Rebuild(ctx), other.Verify(ctx)); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	load.Wait()
	w.wait(p, w.append(0, 1))
	if err := p.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

// TestAnotherFoldIsRebuilt: a process with a newer fold rebuilds at its start; one with the older writes no more.
func TestAnotherFoldIsRebuilt(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	alarms := make(chan error, 64)
	o := w.options()
	o.Alarm = func(_ es.Partition, err error) {
		select {
		case alarms <- err:
		default:
		}
	}
	older := w.open(o)
	run(t, older.Run)
	w.wait(older, w.append(0, amounts(20)...))

	o = w.options()
	o.Fold = 2
	o.Tables = `create table total (stream text primary key, events bigint not null, amount bigint not null, twice bigint not null default 0)`
	o.Project = func(ctx context.Context, tx pgx.Tx, records []es.Record) error {
		if err := totals(ctx, tx, records); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update total set twice = 2 * amount`)
		return err
	}
	newer := w.open(o)
	c := w.append(0, amounts(5)...)
	select {
	case err := <-alarms:
		if !errors.Is(err, projection.ErrFold) {
			t.Errorf("the older process says %v", err)
		}
	case <-time.After(20 * time.Second):
		t.Error("the older process still writes")
	}
	run(t, newer.Run)
	w.wait(newer, c)
	var twice int64
	if err := w.pool.QueryRow(t.Context(), `select sum(twice) from tally.total`).Scan(&twice); err != nil || twice != 2*(210+15) {
		t.Errorf("%d, %v", twice, err)
	}
	if err := newer.Verify(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestVerifyFindsAChangedRow(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	p := w.open(w.options())
	run(t, p.Run)
	w.wait(p, w.append(0, amounts(20)...))
	if _, err := w.pool.Exec(t.Context(), `update tally.total set amount = amount + 1 where stream = (select min(stream) from tally.total)`); err != nil {
		t.Fatal(err)
	}
	if err := p.Verify(t.Context()); !errors.Is(err, projection.ErrDiffers) {
		t.Errorf("verify says %v", err)
	}
	if err := errors.Join(p.Rebuild(t.Context()), p.Verify(t.Context())); err != nil {
		t.Error(err)
	}
}

// TestAnAlteredEventStopsTheTables: the first reader finds what was changed in the database.
func TestAnAlteredEventStopsTheTables(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	w.append(0, amounts(20)...)
	w.log.Tamper(0, 11, func(r *es.Record) { r.Data[0] ^= 1 })
	alarms := make(chan error, 64)
	o := w.options()
	o.Alarm = func(_ es.Partition, err error) {
		select {
		case alarms <- err:
		default:
		}
	}
	p := w.open(o)
	run(t, p.Run)
	select {
	case err := <-alarms:
		if !errors.Is(err, es.ErrChain) {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("nobody noticed")
	}
	if events, _ := w.total(); events > 10 {
		t.Errorf("%d events are in", events)
	}
}

func TestWaitRefusesWhatCannotCome(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	p := w.open(w.options())
	run(t, p.Run)
	c := w.append(0, 1, 2, 3)
	w.wait(p, c)
	w.wait(p, es.Cursor{})
	for name, bad := range map[string]struct {
		change func(*es.Cursor)
		want   error
	}{
		"service":     {func(c *es.Cursor) { c.Service = "another" }, projection.ErrService},
		"partition":   {func(c *es.Cursor) { c.Partition = 1 }, projection.ErrPartition},
		"incarnation": {func(c *es.Cursor) { c.Incarnation[0]++ }, projection.ErrIncarnation},
		"later":       {func(c *es.Cursor) { c.Position++ }, fault.KindDeadline},
	} {
		t.Run(name, func(t *testing.T) {
			c := c
			bad.change(&c)
			ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
			defer cancel()
			if err := p.Wait(ctx, c); !errors.Is(err, bad.want) {
				t.Errorf("got %v, want %v", err, bad.want)
			}
		})
	}
}

func TestDeadlinesFireOnce(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	w.open(w.options())
	now := time.Now().UTC().Truncate(time.Microsecond)
	insert := func(stream, kind string, due time.Time) {
		if _, err := w.pool.Exec(t.Context(), `insert into tally.deadline values ($1, $2, $3)`, stream, kind, due); err != nil {
			t.Fatal(err)
		}
	}
	insert("a", "expire", now.Add(-time.Minute))
	insert("a", "lapse", now.Add(-2*time.Minute))
	insert("b", "expire", now.Add(time.Hour))
	fired := make(chan projection.Deadline, 64)
	var refused atomic.Bool
	d := &projection.Deadlines{
		Pool: w.pool, Schema: "tally", Now: func() time.Time { return now }, Every: 10 * time.Millisecond,
		Fire: func(ctx context.Context, d projection.Deadline) error {
			if d.Kind == "expire" && !refused.Swap(true) {
				return errors.New("not yet")
			}
			fired <- d
			_, err := w.pool.Exec(ctx, `delete from tally.deadline where stream = $1 and kind = $2`, d.Stream, d.Kind)
			return err
		},
	}
	run(t, d.Run)
	first, second := <-fired, <-fired
	if first.Kind != "lapse" || second.Kind != "expire" || second.Stream != "a" || !second.Due.Equal(now.Add(-time.Minute)) {
		t.Errorf("fired %+v and %+v", first, second)
	}
	if first.CommandID() == second.CommandID() || first.CommandID() != (projection.Deadline{Stream: "a", Kind: "lapse", Due: first.Due.In(time.Local)}).CommandID() {
		t.Error("a deadline's command must be named by it and nothing else")
	}
	insert("c", "expire", now)
	if d := <-fired; d.Stream != "c" {
		t.Errorf("fired %+v", d)
	}
	select {
	case d := <-fired:
		t.Errorf("%+v was fired again or too early", d)
	case <-time.After(100 * time.Millisecond):
	}
}

// TestWhatStaysRestsLonger: a deadline whose row does not go is fired again after a minute, then after two, and at last every sixteen.
func TestWhatStaysRestsLonger(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	w.open(w.options())
	began := time.Now().UTC().Truncate(time.Microsecond)
	if _, err := w.pool.Exec(t.Context(), `insert into tally.deadline values ('a', 'waits', $1)`, began); err != nil {
		t.Fatal(err)
	}
	times := make(chan time.Time)
	var now time.Time
	var fired []int // minutes
	d := &projection.Deadlines{
		Pool: w.pool, Schema: "tally", Every: time.Millisecond,
		Now: func() time.Time { now = <-times; return now },
		Fire: func(context.Context, projection.Deadline) error {
			fired = append(fired, int(now.Sub(began)/time.Minute))
			return nil
		},
	}
	run(t, d.Run)
	t.Cleanup(func() { close(times) })
	for minute := range 65 {
		times <- began.Add(time.Duration(minute) * time.Minute) // taken once the look before has ended
	}
	if want := []int{0, 1, 3, 7, 15, 31, 47, 63}; !slices.Equal(fired, want) {
		t.Errorf("fired at the minutes %v, want %v", fired, want)
	}
}

// TestWhatCannotBeDecidedHoldsUpNothing: more deadlines than are read at a time fail for ever, are told of in one word a look, and
// what is due behind them is decided.
func TestWhatCannotBeDecidedHoldsUpNothing(t *testing.T) {
	t.Parallel()
	w := begin(t, 1)
	w.open(w.options())
	now := time.Now().UTC()
	const stuck = 1500
	_, err := w.pool.Exec(t.Context(), `insert into tally.deadline select 's' || n, 'stuck', $1::timestamptz from generate_series(1, $2::int) n`, now.Add(-time.Hour), stuck)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := w.pool.Exec(t.Context(), `insert into tally.deadline values ('behind', 'expire', $1)`, now); err != nil {
		t.Fatal(err)
	}
	fired, alarms, never := make(chan projection.Deadline, 1), make(chan error, 64), errors.New("never")
	d := &projection.Deadlines{
		Pool: w.pool, Schema: "tally", Now: func() time.Time { return now }, Every: time.Hour, Alarm: func(err error) { alarms <- err },
		Fire: func(_ context.Context, d projection.Deadline) error {
			if d.Kind == "stuck" {
				return never
			}
			fired <- d
			return nil
		},
	}
	run(t, d.Run)
	if d := <-fired; d.Stream != "behind" {
		t.Errorf("fired %+v", d)
	}
	if err := <-alarms; !errors.Is(err, never) || !strings.Contains(err.Error(), "1500 deadlines") || len(alarms) > 0 {
		t.Errorf("the alarm says %v, and %d more", err, len(alarms))
	}
}
