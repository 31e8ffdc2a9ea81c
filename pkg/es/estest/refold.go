package estest

import (
	"context"
	"encoding/json"

	"github.com/obole-market/obole/pkg/es"
)

// rowless is a log that has lost one stream's row, or has it as of an older position.
type rowless struct {
	es.Log
	of es.Stream
	at es.Position // 0: lost
}

func (l rowless) States(ctx context.Context, p es.Partition, visit func(*es.StateRow) error) error {
	return l.Log.States(ctx, p, func(row *es.StateRow) error {
		if row.Stream != l.of {
			return visit(row)
		}
		if l.at == 0 {
			return nil
		}
		older, err := json.Marshal(l.state(ctx, p))
		if err != nil {
			return err
		}
		return visit(&es.StateRow{Stream: row.Stream, Version: row.Version, Position: l.at, Fold: row.Fold, Data: older})
	})
}

// state of the stream as of the older position: that of nothing but what was poured into it.
func (l rowless) state(ctx context.Context, p es.Partition) (s State) {
	rack := Rack()
	_, _ = l.Scan(ctx, p, 0, int(l.at), func(r *es.Record) error { // a failure shows in the comparison
		e, err := rack.Decode(r, nil)
		if err == nil && e.To == l.of {
			s = rack.Evolve(s, l.of, es.Entry[Event]{Stream: r.Stream, Event: e, Version: r.Version, Position: r.Position, At: r.At})
		}
		return err
	})
	return s
}
