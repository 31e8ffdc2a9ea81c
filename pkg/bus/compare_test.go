package bus_test

import (
	"errors"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
)

// TestATopicIsHeldAgainstItsLog: equal, behind, altered, ahead, and of another history.
func TestATopicIsHeldAgainstItsLog(t *testing.T) {
	t.Parallel()
	w := begin(t)
	compare := func(log es.Reader) (bus.Compared, error) { return bus.Compare(t.Context(), w.client, log, w.topic, 0) }
	if c, err := compare(w.log); err != nil || c.Lost() || c.Topic != 0 {
		t.Errorf("nothing anywhere: %+v, %v", c, err)
	}
	w.append("a:one", "a:two", "a:three")
	w.log.Tamper(0, 2, func(r *es.Record) { r.Data = []byte("a:xxx") })
	stop := run(t, w.relay().Run)
	await(t, "the topic", func() bool { return len(w.onTopic()) == 3 })
	stop()
	if c, err := compare(w.log); err != nil || c.Lost() || c.Same != 3 {
		t.Errorf("as published: %+v, %v", c, err)
	}
	w.append("a:four")
	if c, err := compare(w.log); err != nil || c.Lost() || c.Same != 3 || c.Tail.Position != 4 {
		t.Errorf("a topic that is behind: %+v, %v", c, err)
	}
	for what, change := range map[string]func(*es.Record){
		"data": func(r *es.Record) { r.Data = []byte("a:two") }, "time": func(r *es.Record) { r.At = r.At.Add(time.Microsecond) },
		"ordinal": func(r *es.Record) { r.Ordinal++ }, "event id": func(r *es.Record) { r.ID[3]++ },
	} {
		var was es.Record
		w.log.Tamper(0, 2, func(r *es.Record) { was = *r; change(r) })
		if c, err := compare(w.log); !errors.Is(err, bus.ErrAltered) || c.Lost() || c.Same != 3 {
			t.Errorf("another %s: %+v, %v", what, c, err)
		}
		w.log.Tamper(0, 2, func(r *es.Record) { *r = was })
	}
	other := &world{t: t, log: esmem.New(1, time.Now), client: w.client, topic: w.topic, pool: w.pool}
	if c, err := compare(other.log); err != nil || !c.Lost() || c.Topic != 3 || c.Same != 0 {
		t.Errorf("an empty log: %+v, %v", c, err)
	}
	other.append("a:one", "a:two", "a:three", "a:four", "a:five")
	if c, err := compare(other.log); err != nil || !c.Lost() || c.Same != 0 {
		t.Errorf("a log of another history, though longer: %+v, %v", c, err)
	}
}
