package projection

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/id"
)

// Deadline is a row of a projection's table deadline (stream text, kind text, due timestamptz): something must be decided
// about a stream when its time has come. The event that decides it removes the row.
type Deadline struct {
	Stream string
	Kind   string
	Due    time.Time
}

// CommandID names the command that a deadline becomes, so that several pollers fire it once.
func (d Deadline) CommandID() id.ID {
	due, _ := d.Due.UTC().MarshalBinary()
	return id.Derive([]byte("deadline"), []byte(d.Stream), []byte(d.Kind), due)
}

// Deadlines polls a projection's table of deadlines and fires those that are due.
type Deadlines struct {
	Pool *pgxpool.Pool
	// Schema is the projection's name.
	Schema string
	// Now is the clock; the log's own time decides again when the command is decided.
	Now func() time.Time
	// Every is how often to look (1 s).
	Every time.Duration
	// Fire has a deadline decided. An error means that it is tried again at the next look.
	Fire func(ctx context.Context, d Deadline) error
	// Alarm is told what went wrong; nil tells nobody.
	Alarm func(err error)
}

// again is how long a deadline rests that was fired and whose row has not gone.
const again = time.Minute

// Run polls until ctx ends.
func (d *Deadlines) Run(ctx context.Context) error {
	every := d.Every
	set(&every, time.Second)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	fired := map[Deadline]time.Time{}
	for {
		if err := d.look(ctx, fired); err != nil && ctx.Err() == nil && d.Alarm != nil {
			d.Alarm(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// look fires what is due, at most so many, and leaves alone what it fired a short while ago.
func (d *Deadlines) look(ctx context.Context, fired map[Deadline]time.Time) error {
	now := d.Now()
	for k, at := range fired {
		if now.Sub(at) > again {
			delete(fired, k)
		}
	}
	rows, err := d.Pool.Query(ctx, `select stream, kind, due from `+pgx.Identifier{d.Schema, "deadline"}.Sanitize()+` where due <= $1 order by due limit 1000`, now)
	if err != nil {
		return err
	}
	due, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Deadline])
	if err != nil {
		return err
	}
	for _, row := range due {
		row.Due = row.Due.UTC()
		if _, done := fired[row]; done {
			continue
		}
		if err := d.Fire(ctx, row); err != nil {
			if d.Alarm != nil {
				d.Alarm(err)
			}
			continue
		}
		fired[row] = now
	}
	return nil
}
