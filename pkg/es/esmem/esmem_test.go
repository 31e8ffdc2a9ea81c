package esmem_test

import (
	"errors"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/es/estest"
	"github.com/obole-market/obole/pkg/id"
)

func TestSuite(t *testing.T) {
	t.Parallel()
	estest.Run(t, func(_ *testing.T, n int) func() es.Log {
		log := esmem.New(n, time.Now)
		return func() es.Log { return log }
	})
}

// TestATamperedEventIsFound: whoever reads the log next finds a byte that somebody has changed.
func TestATamperedEventIsFound(t *testing.T) {
	t.Parallel()
	log := esmem.New(1, time.Now)
	s, err := log.Session(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	tail, err := log.Tail(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	event := id.Random()
	r := es.Record{
		Position: 1, ID: event, Stream: es.StreamOf(id.Random()), Version: 1, Command: id.Random(), Type: "put", Data: []byte("{}"),
		Meta: es.EncodeMeta(es.Meta{ID: event, Hash: [32]byte{1}}), At: time.Now().UTC().Truncate(time.Microsecond),
	}
	r.Chain = es.NextChain(tail.Chain, &r)
	if _, err := s.Append(t.Context(), &es.Batch{Tail: tail, Records: []es.Record{r}}); err != nil {
		t.Fatal(err)
	}
	if n, err := es.Fsck(t.Context(), log, 0, nil); err != nil || n != 1 {
		t.Fatalf("%d events, %v", n, err)
	}
	log.Tamper(0, 1, func(r *es.Record) { r.Data = []byte("[]") })
	if _, err := es.Fsck(t.Context(), log, 0, nil); !errors.Is(err, es.ErrChain) {
		t.Errorf("a flipped byte: %v", err)
	}
}
