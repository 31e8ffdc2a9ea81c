package espg_test

import (
	"testing"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/estest"
	"github.com/obole-market/obole/pkg/id"
)

// TestWhatWasAppendedIsLent to who follows, until somebody else has written in between; what was lent stays what it was.
func TestWhatWasAppendedIsLent(t *testing.T) {
	t.Parallel()
	url := database(t, 1)
	log, other := open(t, url), open(t, url)
	ours, theirs := jars(t, log), jars(t, other)
	log.Wake(0) // somebody follows
	other.Wake(0)
	on := es.StreamOf(id.Random())
	put := func(jar *es.Root[estest.State, estest.Command, estest.Event], amounts ...int64) {
		t.Helper()
		if _, err := jar.Do(t.Context(), es.Command[estest.Command]{ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: on, Amounts: amounts}}}); err != nil {
			t.Fatal(err)
		}
	}
	put(ours, 1, 2, 3)
	put(ours, 4)
	lent, _ := log.Fresh(0, 1)
	if len(lent) != 3 || lent[0].Position != 2 || lent[2].Position != 4 {
		t.Fatalf("lent %d records", len(lent))
	}
	if more, _ := log.Fresh(0, 4); more != nil {
		t.Errorf("lent %d records after the newest", len(more))
	}
	put(theirs, 5)
	put(ours, 6)
	for after, want := range map[es.Position]int{0: 0, 4: 0, 5: 1} {
		if got, _ := log.Fresh(0, after); len(got) != want {
			t.Errorf("lent %d records after %d, not %d", len(got), after, want)
		}
	}
	if data := string(lent[2].Data); data != `{"kind":"put","amount":4}` || lent[2].Position != 4 {
		t.Errorf("what was lent has become %s at %d", data, lent[2].Position)
	}
	if got, _ := other.Fresh(0, 4); len(got) != 1 {
		t.Errorf("the other was lent %d of its own", len(got))
	}
}

func jars(t *testing.T, log es.Log) *es.Root[estest.State, estest.Command, estest.Event] {
	t.Helper()
	e := es.New(log, es.Options{Service: "test"})
	root := es.Register(e, estest.Jar())
	run(t, e)
	return root
}
