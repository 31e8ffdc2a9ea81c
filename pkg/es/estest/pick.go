package estest

import (
	"errors"
	"slices"
	"testing"

	"github.com/obole-market/obole/pkg/es"
)

// picked: what is asked for by position comes whole, in order and once; what is not there is left out; an error of visit ends it.
func picked(t *testing.T, open Open) {
	ctx := t.Context()
	log := open(t, 1)()
	d := start(t, log, es.Options{})
	for range 3 {
		if _, err := d.jar.Do(ctx, put(stream(), 1, 2)); err != nil {
			t.Fatal(err)
		}
	}
	var all []es.Record
	if _, err := log.Scan(ctx, 0, 0, 100, func(r *es.Record) error {
		c := *r
		c.Data, c.Meta = slices.Clone(r.Data), slices.Clone(r.Meta)
		all = append(all, c)
		return nil
	}); err != nil || len(all) < 6 {
		t.Fatalf("the log has %d events: %v", len(all), err)
	}
	last := es.Position(len(all))
	n := 0
	want := []es.Position{2, 3, last}
	err := log.Pick(ctx, 0, append(slices.Clone(want), last+1, last+100), func(r *es.Record) error {
		w := all[want[n]-1]
		if r.Position != w.Position || r.ID != w.ID || r.Stream != w.Stream || string(r.Data) != string(w.Data) || r.Chain != w.Chain || !r.At.Equal(w.At) {
			t.Errorf("at %d there is %v", want[n], r)
		}
		n++
		return nil
	})
	if err != nil || n != len(want) {
		t.Errorf("%d of %d were picked: %v", n, len(want), err)
	}
	if err := log.Pick(ctx, 0, nil, func(*es.Record) error { return errors.New("called for nothing") }); err != nil {
		t.Error(err)
	}
	enough := errors.New("enough")
	n = 0
	if err := log.Pick(ctx, 0, want, func(*es.Record) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("after %d: %v", n, err)
	}
}
