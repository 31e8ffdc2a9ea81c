package estest

import (
	"context"
	"testing"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// stored lists the streams of a log that have state rows.
func stored(t *testing.T, log es.Log) map[es.Stream]bool {
	t.Helper()
	rows := map[es.Stream]bool{}
	for p := range log.Partitions() {
		if err := log.States(t.Context(), es.Partition(p), func(r *es.StateRow) error {
			rows[r.Stream] = true
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return rows
}

// refolds counts how often a root was folded anew.
type refolds struct {
	es.Log
	n int
}

func (l *refolds) Session(ctx context.Context, p es.Partition) (es.Session, error) {
	s, err := l.Log.Session(ctx, p)
	return refoldSession{s, l}, err
}

type refoldSession struct {
	es.Session
	log *refolds
}

func (s refoldSession) Root(ctx context.Context, root es.Stream, visit func(*es.Record) error) error {
	s.log.n++
	return s.Session.Root(ctx, root, visit)
}

// rows: a root has none while all that happened to it is in its own stream, and is whole without; with the first event beyond that
// it gets its row, and rules that see more in the old events fold them anew.
func rows(t *testing.T, open Open) {
	handle := open(t, 1)
	log := handle()
	d := start(t, log, es.Options{})
	root, alone := stream(), stream()
	number, _ := id.Parse(string(root))
	child := root.Child(number)
	do := func(d *desk, c es.Command[Command]) {
		t.Helper()
		if _, err := d.rack.Do(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	// comesTo checks the states that an engine without any memory comes to, and how many roots it had to fold anew for that.
	comesTo := func(what string, rack es.Rules[State, Command, Event], on es.Stream, sum int64, anew int) {
		t.Helper()
		log := &refolds{Log: handle()}
		e := es.New(log, es.Options{Service: "test"})
		r := es.Register(e, rack)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- e.Run(ctx) }()
		s, _, err := r.State(t.Context(), on, nil)
		cancel()
		if e := <-done; err != nil || e != nil || s.Sum != sum || log.n != anew {
			t.Errorf("%s: the state is %+v, not %d, after %d roots folded anew, not %d; %v, %v", what, s, sum, log.n, anew, err, e)
		}
	}
	do(d, put(root, 5))
	do(d, put(root, 6))
	do(d, put(alone, 1))
	if rows := stored(t, log); len(rows) != 0 {
		t.Errorf("rows of roots that are their own stream: %v", rows)
	}
	comesTo("without a row", Rack(), root, 11, 0)
	comesTo("a child that is not there", Rack(), child, 0, 0)
	other := start(t, handle(), es.Options{}) // which has seen none of it
	do(other, put(root, 1))
	do(d, put(root, 1)) // and this one has missed that
	do(d, put(child, 7))
	if rows := stored(t, log); len(rows) != 1 || !rows[root] {
		t.Errorf("rows after the first event of a child: %v", rows)
	}
	comesTo("with a row", Rack(), root, 13, 0)
	comesTo("a child", Rack(), child, 7, 0)
	do(other, es.Command[Command]{ID: id.Random(), Body: Command{Pour: &Pour{root, child, 3}}})
	do(d, es.Command[Command]{ID: id.Random(), Body: Command{Pour: &Pour{root, child, 1}}})
	comesTo("poured out", Rack(), root, 9, 0)
	comesTo("poured in", Rack(), child, 11, 0)

	do(d, es.Command[Command]{ID: id.Random(), Body: Command{Pour: &Pour{alone, alone.Child(number), 1}}})
	if rows := stored(t, log); len(rows) != 4 || !rows[alone] {
		t.Errorf("rows after an event of the root that touches a child: %v", rows)
	}
	comesTo("touched from the root", Rack(), alone.Child(number), 1, 0)

	// To newer rules a put has touched the child all along.
	last := stream()
	do(d, put(last, 4))
	wider := Rack()
	wider.Fold = 2
	wider.Touch = func(e es.Entry[Event]) []es.Stream { return []es.Stream{es.Stream(e.Stream.Root()).Child(number)} }
	wider.Evolve = func(s State, on es.Stream, e es.Entry[Event]) State {
		s.Sum += e.Event.Amount
		return s
	}
	comesTo("touched by newer rules", wider, last.Child(number), 4, 1)
	comesTo("and once more", wider, last.Child(number), 4, 0)
	if n, err := es.Refold(t.Context(), log, 0, Rack(), func(*es.Record) bool { return true }, func(es.Stream) (any, error) { return nil, nil }); err != nil || n == 0 {
		t.Errorf("%d states compared, %v", n, err)
	}
}
