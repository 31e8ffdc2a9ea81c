package projection

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
)

// Options of a projection. Name, Pool, Log, Tables and Project are required.
type Options struct {
	// Name of the projection and of the schema that holds its tables: a lower-case word.
	Name string
	// Service whose log it follows; cursors of other services are refused.
	Service string
	// Fold is the version of Project and of Tables. Another one than the tables were made with means rebuilding.
	Fold int
	// Tables is the SQL that creates the tables, without naming a schema.
	Tables string
	Pool   *pgxpool.Pool
	Log    es.Reader
	// Project folds the next records of a partition, in order, within the transaction that moves the position. The records
	// are its own until it returns.
	Project func(ctx context.Context, tx pgx.Tx, records []es.Record) error
	// Batch is the most records in one transaction (2,000), Bytes about the most data (4 MiB).
	Batch, Bytes int
	// Poll is how long to wait at most before the log is looked at again (200 ms): other processes write too.
	Poll time.Duration
	// Alarm is told what keeps the tables from following; nil tells nobody.
	Alarm func(p es.Partition, err error)
	// Moved is told how far a partition has come, and how far behind its log that is.
	Moved func(p es.Partition, at es.Position, behind int64)
}

// Projection follows a log.
type Projection struct {
	o    Options
	mu   sync.Mutex
	seen []es.Position
	move chan struct{} // closed and replaced whenever seen moves
}

// New makes a projection; Open it, then Run it.
func New(o Options) *Projection {
	set(&o.Batch, 2000)
	set(&o.Bytes, 4<<20)
	set(&o.Poll, 200*time.Millisecond)
	return &Projection{o: o, seen: make([]es.Position, o.Log.Partitions()), move: make(chan struct{})}
}

func set[T comparable](v *T, to T) {
	var zero T
	if *v == zero {
		*v = to
	}
}

// Refusals of Wait.
var (
	ErrService     = fault.Invalid("after.service", "is another service than the one asked")
	ErrPartition   = fault.Invalid("after.partition", "is no partition of this log")
	ErrIncarnation = fault.New(fault.KindConflict, "", "the cursor is of an incarnation that ended: read again without it")
)

// Run follows every partition until ctx ends. What goes wrong is retried with growing pauses: a projection that cannot follow
// says so through Alarm and keeps what it has.
func (p *Projection) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	for part := range p.o.Log.Partitions() {
		wg.Go(func() { p.follow(ctx, es.Partition(part)) })
	}
	wg.Wait()
	return ctx.Err()
}

func (p *Projection) follow(ctx context.Context, part es.Partition) {
	const most = 5 * time.Second
	pause := p.o.Poll
	timer := time.NewTimer(0)
	defer timer.Stop()
	wake := p.o.Log.Wake(part)
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-wake:
		}
		for ctx.Err() == nil {
			n, err := p.step(ctx, p.o.Name, part)
			if err != nil && ctx.Err() == nil {
				if p.o.Alarm != nil {
					p.o.Alarm(part, err)
				}
				pause = min(2*pause, most)
				break
			}
			pause = p.o.Poll
			if n == 0 {
				break
			}
		}
		timer.Reset(pause)
	}
}

// step folds the next batch of a partition into the tables of a schema, and says how many records that were.
func (p *Projection) step(ctx context.Context, schema string, part es.Partition) (n int, err error) {
	records, reached := []es.Record(nil), es.Position(0)
	err = pgx.BeginFunc(ctx, p.o.Pool, func(tx pgx.Tx) error {
		if err := within(ctx, tx, schema); err != nil {
			return err
		}
		// The row's lock keeps other instances of the same projection out until this batch is in.
		at, err := lock(ctx, tx, part)
		if err != nil {
			return err
		}
		reached = at.Position
		if records, err = p.read(ctx, part, at); err != nil || len(records) == 0 {
			return err
		}
		if err := p.o.Project(ctx, tx, records); err != nil {
			return err
		}
		last := &records[len(records)-1]
		reached = last.Position
		_, err = tx.Exec(ctx, `update checkpoint set position = $2, chain = $3 where partition = $1`, int32(part), int64(last.Position), last.Chain[:])
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("projection %s: partition %d: %w", p.o.Name, part, err)
	}
	if schema == p.o.Name {
		p.moved(part, reached)
	}
	return len(records), nil
}

// read gives the records after a checkpoint, copied and checked against it.
func (p *Projection) read(ctx context.Context, part es.Partition, at es.Checker) ([]es.Record, error) {
	var (
		records []es.Record
		arena   []byte
		bytes   int
		err     error
	)
	if at.Lives, err = p.o.Log.Lives(ctx, part); err != nil {
		return nil, err
	}
	own := func(b []byte) []byte {
		arena = append(arena, b...)
		return arena[len(arena)-len(b):]
	}
	_, err = p.o.Log.Scan(ctx, part, at.Position, p.o.Batch, func(r *es.Record) error {
		if err := at.Check(r); err != nil {
			return err
		}
		c := *r
		c.Data, c.Meta = own(r.Data), own(r.Meta)
		records = append(records, c)
		if bytes += len(r.Data); bytes >= p.o.Bytes {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return records, err
}

var errEnough = errors.New("projection: enough for one batch")

// moved tells those who wait.
func (p *Projection) moved(part es.Partition, to es.Position) {
	p.mu.Lock()
	before := p.seen[part]
	if to > before {
		p.seen[part] = to
		close(p.move)
		p.move = make(chan struct{})
	}
	p.mu.Unlock()
	if to > before && p.o.Moved != nil {
		if tail, err := p.o.Log.Tail(context.Background(), part); err == nil {
			p.o.Moved(part, to, int64(tail.Position-to))
		}
	}
}

// Wait returns when the tables have seen a cursor. The zero cursor is always seen.
func (p *Projection) Wait(ctx context.Context, c es.Cursor) error {
	switch {
	case c.Position == 0:
		return nil
	case c.Service != "" && c.Service != p.o.Service:
		return ErrService
	case c.Partition < 0 || int(c.Partition) >= len(p.seen):
		return ErrPartition
	}
	if c.Incarnation != (es.Incarnation{}) {
		tail, err := p.o.Log.Tail(ctx, c.Partition)
		if err != nil {
			return err
		}
		if tail.Incarnation != c.Incarnation {
			return ErrIncarnation
		}
	}
	for {
		p.mu.Lock()
		seen, move := p.seen[c.Partition], p.move
		p.mu.Unlock()
		if seen >= c.Position {
			return nil
		}
		select {
		case <-ctx.Done():
			return fault.Deadline("the answer is not ready yet: repeat the question").Because(ctx.Err())
		case <-move:
		}
	}
}

// Seen is how far the tables have followed a partition, as this process knows.
func (p *Projection) Seen(part es.Partition) es.Position {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.seen[part]
}

// Changed returns a channel that is closed when the tables move next.
func (p *Projection) Changed() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.move
}
