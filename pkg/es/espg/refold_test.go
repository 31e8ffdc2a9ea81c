package espg_test

import (
	"context"
	"runtime"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/estest"
	"github.com/obole-market/obole/pkg/id"
)

// TestALargeRootIsFoldedAnewInFlatMemory: a root of 200,000 events is brought up to other rules within what a few thousand take, and
// while that goes on its partition answers for others. It is not parallel: what it measures is the process's.
//
//nolint:paralleltest // see above
func TestALargeRootIsFoldedAnewInFlatMemory(t *testing.T) {
	const (
		streams, commands, each = 20, 400, 500
		most                    = 8 << 20 // bytes; the events alone are many times that
	)
	// What is looked at is memory: the caller waits as long as 200,000 events take, on however busy a machine.
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	url := database(t, 1)
	root := es.StreamOf(id.Random())
	children := make([]es.Stream, streams)
	for i := range children {
		children[i] = root.Child(id.Random())
	}
	engine := func(rules es.Rules[estest.State, estest.Command, estest.Event]) (rack *es.Root[estest.State, estest.Command, estest.Event], stop func()) {
		e := es.New(open(t, url), es.Options{Service: "test"})
		rack = es.Register(e, rules)
		own, cancel := context.WithCancel(context.WithoutCancel(ctx))
		done := make(chan error, 1)
		go func() { done <- e.Run(own) }()
		return rack, func() {
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
	}
	put := func(rack *es.Root[estest.State, estest.Command, estest.Event], on es.Stream, amounts ...int64) {
		if _, err := rack.Do(ctx, es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: on, Amounts: amounts}}}); err != nil {
			t.Fatal(err)
		}
	}
	old, end := engine(estest.Rack())
	amounts := make([]int64, each)
	for i := range amounts {
		amounts[i] = int64(i)
	}
	for i := range commands {
		put(old, children[i%streams], amounts...)
	}
	end()

	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	var (
		before, peak = heap(), uint64(0)
		folded       = 0
		half         = make(chan struct{}) // of the events are folded
		others       = make(chan struct{}) // were answered meanwhile
	)
	newer := estest.Rack()
	newer.Fold++
	evolve := newer.Evolve
	newer.Evolve = func(s estest.State, on es.Stream, e es.Entry[estest.Event]) estest.State {
		if on.Root() == string(root) {
			if folded++; folded%20_000 == 0 {
				peak = max(peak, heap())
			}
			if folded == commands*each/2 {
				close(half)
				<-others
			}
		}
		return evolve(s, on, e)
	}
	rack, stop := engine(newer)
	answer := make(chan es.Result[estest.Event], 1)
	go func() {
		r, err := rack.Do(ctx, es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: children[0], Amounts: []int64{1}}}})
		if err != nil {
			t.Error(err)
		}
		answer <- r
	}()
	select {
	case <-half:
		put(rack, es.StreamOf(id.Random()), 1)
		close(others)
	case <-answer:
		t.Fatal("answered before the root was folded anew")
	}
	if r := <-answer; len(r.Events) != 1 || r.Events[0].Version != commands*each/streams+1 {
		t.Errorf("%+v", r)
	}
	stop()
	if peak > before+most {
		t.Errorf("%d KiB are held while %d events are folded, %d KiB before", peak>>10, folded, before>>10)
	}
	t.Logf("%d events folded; %d KiB held before, at most %d KiB meanwhile", folded, before>>10, peak>>10)
}
