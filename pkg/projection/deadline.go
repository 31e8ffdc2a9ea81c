package projection

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/id"
)

// Deadline is a row of a projection's table or view deadline (stream text, kind text, due timestamptz): something must be decided
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

// Child splits the name of a child's stream; false where it is none.
func (d Deadline) Child() (root, child id.ID, ok bool) {
	const text = 36
	if len(d.Stream) != 2*text+1 {
		return root, child, false
	}
	root, err := id.Parse(d.Stream[:text])
	if err != nil {
		return root, child, false
	}
	child, err = id.Parse(d.Stream[text+1:])
	return root, child, err == nil
}

// Deadlines polls a projection's deadlines and fires those that are due.
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
	// Alarm is told what went wrong, once a look; nil tells nobody.
	Alarm func(err error)
}

// A deadline that was fired and whose row has not gone rests: again, and twice as long each further time, up to longest. What waits for something
// that nobody can foretell, a person's or an operator's word, may wait for months.
const (
	again   = time.Minute
	longest = 16 * time.Minute
)

// rest of a deadline that was fired.
type rest struct {
	until time.Time
	long  time.Duration
}

// Run polls until ctx ends.
func (d *Deadlines) Run(ctx context.Context) error {
	every := d.Every
	set(&every, time.Second)
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	fired := map[Deadline]rest{}
	for {
		var err error
		if fired, err = d.look(ctx, fired); err != nil && ctx.Err() == nil && d.Alarm != nil {
			d.Alarm(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
	}
}

// look fires all that is due, leaves alone what rests, and says what rests now. It goes on behind what cannot be decided.
func (d *Deadlines) look(ctx context.Context, fired map[Deadline]rest) (map[Deadline]rest, error) {
	now, rests := d.Now(), map[Deadline]rest{} // what has gone rests no more
	var last Deadline
	var first error
	failed := 0
	for more := true; more; {
		due, err := d.due(ctx, now, last)
		if err != nil {
			return fired, err
		}
		more = len(due) == page
		for _, row := range due {
			last = row
			was := fired[row]
			if now.Before(was.until) {
				rests[row] = was
				continue
			}
			if err := d.Fire(ctx, row); err == nil {
				long := min(max(again, 2*was.long), longest)
				rests[row] = rest{now.Add(long), long}
				continue
			} else if failed++; first == nil {
				first = fmt.Errorf("%s: %w", row.Kind, err)
			}
			if ctx.Err() != nil {
				return rests, ctx.Err()
			}
		}
	}
	if failed > 0 {
		return rests, fmt.Errorf("projection: %d deadlines could not be decided, the first one %w", failed, first)
	}
	return rests, nil
}

// page is how many deadlines are read at a time.
const page = 1000

// due reads the next of the deadlines that are due, after the last one read.
func (d *Deadlines) due(ctx context.Context, now time.Time, after Deadline) ([]Deadline, error) {
	rows, err := d.Pool.Query(ctx, `select stream, kind, due from `+pgx.Identifier{d.Schema, "deadline"}.Sanitize()+`
		where due <= $1 and (due, stream, kind) > ($2, $3, $4) order by due, stream, kind limit $5`, now, after.Due, after.Stream, after.Kind, page)
	if err != nil {
		return nil, fmt.Errorf("projection: deadlines: %w", err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowToStructByPos[Deadline])
	if err != nil {
		return nil, fmt.Errorf("projection: deadlines: %w", err)
	}
	for i := range list {
		list[i].Due = list[i].Due.UTC()
	}
	return list, nil
}
