package estest

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// many: several commands are answered each in its place, those of one stream in their order, and are one flush where they can be.
func many(t *testing.T, open Open) {
	handle := open(t, 1)
	log := handle()
	var flushes, commands atomic.Int32
	d := start(t, log, es.Options{Hooks: es.Hooks{Flushed: func(_ es.Partition, n, _ int, _ time.Duration) {
		flushes.Add(1)
		commands.Add(int32(n))
	}}})
	on := stream()
	cs := make([]es.Command[Command], 16)
	for i := range cs {
		cs[i] = put(on, int64(i))
	}
	for i, o := range d.jar.DoMany(t.Context(), cs) {
		if o.Err != nil || len(o.Result.Events) != 1 || o.Result.Events[0].Version != es.Version(i+1) || o.Result.Events[0].Event.Amount != int64(i) {
			t.Errorf("command %d: %+v", i, o)
		}
	}
	if flushes.Load() != 1 || commands.Load() != 16 {
		t.Errorf("%d flushes of %d commands", flushes.Load(), commands.Load())
	}

	// More than may wait at a time, on many streams, with some that are refused.
	small := start(t, handle(), es.Options{Share: 8})
	cs = make([]es.Command[Command], 100)
	for i := range cs {
		cs[i] = put(stream(), 5)
		if i%7 == 3 {
			cs[i].Body.Put.Max = 4
		}
	}
	cs[40] = es.Command[Command]{ID: id.Random()} // names no stream
	cs[99] = cs[0]
	for i, o := range small.jar.DoMany(t.Context(), cs) {
		switch {
		case i == 40:
			if !errors.Is(o.Err, es.ErrDefect) {
				t.Errorf("without a stream: %+v", o)
			}
		case i == 99:
			if o.Err != nil || !o.Result.Repeated {
				t.Errorf("a repeat: %+v", o)
			}
		case i%7 == 3:
			if !errors.Is(o.Err, ErrFull) {
				t.Errorf("command %d: %+v", i, o)
			}
		case o.Err != nil || o.Result.Events[0].Stream != cs[i].Body.Put.On:
			t.Errorf("command %d: %+v", i, o)
		}
	}
	if out := d.jar.DoMany(t.Context(), nil); len(out) != 0 {
		t.Errorf("nothing to do: %v", out)
	}

	idle := es.New(log, es.Options{Queue: 2, Share: 4, Spared: 1, Service: "test"})
	jar := es.Register(idle, Jar())
	soon, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	for i, o := range jar.DoMany(soon, []es.Command[Command]{put(stream(), 1), put(stream(), 1), put(stream(), 1)}) {
		if want := []error{es.ErrDeadline, es.ErrDeadline, es.ErrQueueFull}[i]; !errors.Is(o.Err, want) {
			t.Errorf("command %d of a queue of 2: %v", i, o.Err)
		}
	}
}
