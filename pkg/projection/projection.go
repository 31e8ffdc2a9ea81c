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
	// Rest is the longest rest at the head of the log (100 ms). After a batch it lasts as long as es.Rest says, so that under load what comes is
	// folded together; who waits for a cursor ends it, and while somebody watches (Changed) it is 10 ms.
	Rest time.Duration
	// Least is how long it rests after a batch at least, for tables that are seldom asked: 0 for no such bound. Who waits for a cursor, or
	// watches, ends it too.
	Least time.Duration
	// Alarm is told what keeps the tables from following; nil tells nobody.
	Alarm func(p es.Partition, err error)
	// Moved is told how far a partition has come, and how far behind its log that is.
	Moved func(p es.Partition, at es.Position, behind int64)
}

// Projection follows a log.
type Projection struct {
	o  Options
	at []place // each partition's is its follower's own

	hurry []chan struct{} // per partition, with room for one: somebody has begun to wait

	mu    sync.Mutex
	seen  []es.Position
	due   []es.Position    // that somebody has waited for
	asked bool             // somebody has asked for move
	eyes  bool             // and somebody had for the one before
	lives []es.Incarnation // the present one of each partition, as last read
	move  chan struct{}    // closed and replaced whenever seen moves
}

// place is how far a partition's events are in the tables.
type place struct {
	es.Checker
	known bool         // Position and Chain are the checkpoint's
	until *es.Position // where to stop; nil means at the tail
}

// upTo cuts off what is after a position.
func upTo(records []es.Record, last es.Position) []es.Record {
	for len(records) > 0 && records[len(records)-1].Position > last {
		records = records[:len(records)-1]
	}
	return records
}

// New makes a projection; Open it, then Run it.
func New(o Options) *Projection {
	set(&o.Batch, 2000)
	set(&o.Bytes, 4<<20)
	set(&o.Poll, 200*time.Millisecond)
	set(&o.Rest, 100*time.Millisecond)
	n := o.Log.Partitions()
	p := &Projection{o: o, at: make([]place, n), seen: make([]es.Position, n), due: make([]es.Position, n), lives: make([]es.Incarnation, n), move: make(chan struct{})}
	for range n {
		p.hurry = append(p.hurry, make(chan struct{}, 1))
	}
	return p
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

// ErrFold: the tables are of another version of the fold than this process's. One of the two is being replaced.
var ErrFold = errors.New("projection: the tables are of another fold")

// Alarm names who is told what keeps the tables from following, in the place of the options' Alarm. It is called before Run.
func (p *Projection) Alarm(tell func(part es.Partition, err error)) { p.o.Alarm = tell }

// restWatched is the longest rest while somebody watches.
const restWatched = 10 * time.Millisecond

// Name of the projection.
func (p *Projection) Name() string { return p.o.Name }

// Run follows every partition until ctx ends. What goes wrong is retried with growing pauses: a projection that cannot follow
// says so through the alarm and keeps what it has.
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
	pause, wake := p.o.Poll, p.o.Log.Wake(part)
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		began, hurry := time.Now(), p.hurry[part]
		for more := true; more && ctx.Err() == nil; {
			var err error
			if more, err = p.step(ctx, p.o.Name, part, &p.at[part]); err != nil {
				if p.o.Alarm != nil && ctx.Err() == nil {
					p.o.Alarm(part, err)
				}
				pause, hurry = min(2*pause, most), nil
				break
			}
			pause = p.o.Poll
		}
		timer.Reset(p.restAfter(time.Since(began)))
		if p.rest(ctx, part, timer.C, hurry) {
			continue
		}
		timer.Reset(pause)
		select {
		case <-ctx.Done():
			return
		case <-hurry:
		case <-timer.C:
		case <-wake:
		}
	}
}

// restAfter is how long to rest now, having worked for so long. Who watched the tables move last will do so again.
func (p *Projection) restAfter(worked time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.eyes {
		return es.Rest(worked, min(p.o.Rest, restWatched))
	}
	return max(es.Rest(worked, p.o.Rest), p.o.Least)
}

// rest until the time is over, or until somebody waits for what is not in the tables yet; then it returns true.
func (p *Projection) rest(ctx context.Context, part es.Partition, over <-chan time.Time, hurry <-chan struct{}) bool {
	for {
		select {
		case <-ctx.Done():
			return false
		case <-over:
			return false
		case <-hurry:
			p.mu.Lock()
			waited := p.due[part] > p.seen[part]
			p.mu.Unlock()
			if waited {
				return true
			}
		}
	}
}

// step folds the next batch of a partition into the tables of a schema, and says whether there is more. The log is read
// first, so that a poll that finds nothing costs the database one look at an index.
func (p *Projection) step(ctx context.Context, schema string, part es.Partition, at *place) (more bool, err error) {
	defer func() {
		if err != nil {
			at.known = false
			err = fmt.Errorf("projection %s: partition %d: %w", p.o.Name, part, err)
		}
	}()
	if !at.known {
		if err := p.locate(ctx, schema, part, at); err != nil {
			return false, err
		}
		p.reached(schema, part, at.Position)
	}
	records, full, err := p.read(ctx, part, at)
	if err == nil && at.until != nil {
		records = upTo(records, *at.until)
	}
	if err != nil || len(records) == 0 {
		return false, err
	}
	err = pgx.BeginTxFunc(ctx, p.o.Pool, begin(schema), func(tx pgx.Tx) error { return p.apply(ctx, tx, part, at.Position, records) })
	if errors.Is(err, errMoved) {
		at.known = false
		return true, nil
	}
	if err != nil {
		return false, err
	}
	last := &records[len(records)-1]
	at.Position, at.Chain = last.Position, last.Chain
	p.reached(schema, part, at.Position)
	if schema == p.o.Name {
		p.tell(ctx, part, at.Position, full)
	}
	return full, nil
}

// errMoved: another instance of the projection has folded these records.
var errMoved = errors.New("projection: the checkpoint has moved")

// apply folds records that follow a position into the tables of the transaction's schema. The checkpoint moves first: its
// row's lock keeps other instances of the same projection out until this batch is in.
func (p *Projection) apply(ctx context.Context, tx pgx.Tx, part es.Partition, after es.Position, records []es.Record) error {
	last := &records[len(records)-1]
	var fold int
	err := tx.QueryRow(ctx, `update checkpoint set position = $3, chain = $4 from fold where partition = $1 and position = $2 returning fold.version`,
		int32(part), int64(after), int64(last.Position), last.Chain[:]).Scan(&fold)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return errMoved
	case err != nil:
		return err
	case fold != p.o.Fold:
		return ErrFold
	}
	return p.o.Project(ctx, tx, records)
}

// read gives the records after a place, copied and checked, and whether the batch is full.
func (p *Projection) read(ctx context.Context, part es.Partition, at *place) (records []es.Record, full bool, err error) {
	records, full, err = p.scan(ctx, part, at.Checker)
	if err == nil || len(at.Lives) > 0 && !errors.Is(err, es.ErrChain) {
		return records, full, err
	}
	// Perhaps it is the first event of a life that has begun since.
	if at.Lives, err = p.o.Log.Lives(ctx, part); err != nil {
		return nil, false, err
	}
	p.mu.Lock()
	p.lives[part] = at.Lives[len(at.Lives)-1].Incarnation
	p.mu.Unlock()
	return p.scan(ctx, part, at.Checker)
}

func (p *Projection) scan(ctx context.Context, part es.Partition, at es.Checker) (records []es.Record, full bool, err error) {
	if len(at.Lives) == 0 {
		return nil, false, es.ErrChain
	}
	if fresh, _ := p.o.Log.Fresh(part, at.Position); len(fresh) > 0 {
		return p.enough(fresh, at)
	}
	const chunk = 64 << 10
	var room []byte
	own := func(b []byte) []byte {
		if len(b) > cap(room)-len(room) {
			room = make([]byte, 0, max(chunk, len(b)))
		}
		room = append(room, b...)
		return room[len(room)-len(b) : len(room) : len(room)]
	}
	bytes := 0
	n, err := p.o.Log.Scan(ctx, part, at.Position, p.o.Batch, func(r *es.Record) error {
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
		return records, true, nil
	}
	return records, n == p.o.Batch, err
}

// enough checks records that are lent for good, and gives one batch of them.
func (p *Projection) enough(fresh []es.Record, at es.Checker) (records []es.Record, full bool, err error) {
	bytes := 0
	for i := range fresh {
		if err := at.Check(&fresh[i]); err != nil {
			return nil, false, err
		}
		if bytes += len(fresh[i].Data); bytes >= p.o.Bytes || i+1 == p.o.Batch {
			return fresh[:i+1], true, nil
		}
	}
	return fresh, false, nil
}

var errEnough = errors.New("projection: enough for one batch")

// reached tells those who wait how far the live tables have come.
func (p *Projection) reached(schema string, part es.Partition, to es.Position) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if schema == p.o.Name && to > p.seen[part] {
		p.seen[part] = to
		p.eyes, p.asked = p.asked, false
		close(p.move)
		p.move = make(chan struct{})
	}
}

// tell tells Moved.
func (p *Projection) tell(ctx context.Context, part es.Partition, at es.Position, more bool) {
	if p.o.Moved == nil {
		return
	}
	tail := es.Tail{Position: at}
	if more {
		var err error
		if tail, err = p.o.Log.Tail(ctx, part); err != nil {
			return // the next step says what is wrong
		}
	}
	p.o.Moved(part, at, int64(tail.Position-at))
}

// CaughtUp returns when the tables have seen all that is in the log when it is called.
func (p *Projection) CaughtUp(ctx context.Context) error {
	for part := range p.seen {
		tail, err := p.o.Log.Tail(ctx, es.Partition(part))
		if err != nil {
			return err
		}
		if err := p.Wait(ctx, es.Cursor{Partition: es.Partition(part), Position: tail.Position}); err != nil {
			return err
		}
	}
	return nil
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
	asked := c.Incarnation == es.Incarnation{}
	for {
		p.mu.Lock()
		seen, life, move := p.seen[c.Partition], p.lives[c.Partition], p.move
		p.due[c.Partition] = max(p.due[c.Partition], c.Position)
		p.mu.Unlock()
		if seen >= c.Position && (asked || life == c.Incarnation) {
			return nil
		}
		if !asked {
			// What is remembered may be old: before waiting, or refusing, the log is asked.
			tail, err := p.o.Log.Tail(ctx, c.Partition)
			if err != nil {
				return err
			}
			if tail.Incarnation != c.Incarnation {
				return ErrIncarnation
			}
			asked = true
			continue
		}
		select {
		case p.hurry[c.Partition] <- struct{}{}:
		default: // somebody else waits as well
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
	p.asked = true
	return p.move
}
