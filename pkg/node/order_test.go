package node_test

import (
	"context"
	"testing"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/estest"
	"github.com/obole-market/obole/pkg/id"
)

// TestTheEngineEndsAfterThoseWhoDecide: what is under way when a service is stopped, in reactions, deadlines or sweeps, is decided
// still.
func TestTheEngineEndsAfterThoseWhoDecide(t *testing.T) {
	t.Parallel()
	p := build(t, blueprint(t, brokers(t)...))
	last := make(chan error, 1)
	p.Group.Add("sweep", func(ctx context.Context) error {
		<-ctx.Done()
		_, err := p.jar.Do(context.WithoutCancel(ctx), es.Command[estest.Command]{
			ID: id.Random(), Body: estest.Command{Put: &estest.Put{On: es.StreamOf(id.Random()), Amounts: []int64{1}}},
		})
		last <- err
		return err
	})
	p.run()
	p.put(1)
	p.stop()
	if err := <-last; err != nil {
		t.Errorf("the last command of who was told to end: %v", err)
	}
}
