package esmem

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// Log is an es.Log in memory, safe for concurrent use.
type Log struct {
	clock      func() time.Time
	partitions []*partition
}

type partition struct {
	lock chan struct{} // held by who may append

	mu       sync.Mutex // guards what follows; never held while waiting
	lives    []es.Life
	records  []es.Record // of position i+1
	streams  map[es.Stream][]es.Position
	commands map[id.ID][]es.Position
	roots    map[string]bool
	states   map[es.Stream]es.StateRow
	wakes    []chan struct{}
}

// New makes an empty log of n partitions whose time is that of clock. Its incarnations follow from the partition's
// number alone, so that a simulation repeats itself.
func New(n int, clock func() time.Time) *Log {
	l := &Log{clock: clock}
	for p := range n {
		seed := sha256.Sum256(binary.BigEndian.AppendUint32([]byte("esmem"), uint32(p)))
		l.partitions = append(l.partitions, &partition{
			lock:     make(chan struct{}, 1),
			lives:    []es.Life{{Incarnation: es.Incarnation(seed[:16])}},
			streams:  make(map[es.Stream][]es.Position),
			commands: make(map[id.ID][]es.Position),
			roots:    make(map[string]bool),
			states:   make(map[es.Stream]es.StateRow),
		})
	}
	return l
}

// Partitions implements es.Reader.
func (l *Log) Partitions() int { return len(l.partitions) }

// Tail implements es.Reader.
func (l *Log) Tail(_ context.Context, p es.Partition) (es.Tail, error) {
	part := l.partitions[p]
	part.mu.Lock()
	defer part.mu.Unlock()
	return part.tail(), nil
}

// Lives implements es.Reader.
func (l *Log) Lives(_ context.Context, p es.Partition) ([]es.Life, error) {
	part := l.partitions[p]
	part.mu.Lock()
	defer part.mu.Unlock()
	return append([]es.Life(nil), part.lives...), nil
}

// Scan implements es.Reader.
func (l *Log) Scan(_ context.Context, p es.Partition, after es.Position, limit int, visit func(*es.Record) error) (int, error) {
	part := l.partitions[p]
	part.mu.Lock()
	from := min(max(0, int(after)), len(part.records))
	records := part.records[from:min(len(part.records), from+limit)] // stored records never change
	part.mu.Unlock()
	for i := range records {
		r := records[i]
		if err := visit(&r); err != nil {
			return i + 1, err
		}
	}
	return len(records), nil
}

// Pick implements es.Reader.
func (l *Log) Pick(_ context.Context, p es.Partition, at []es.Position, visit func(*es.Record) error) error {
	part := l.partitions[p]
	part.mu.Lock()
	records := part.records // stored records never change
	part.mu.Unlock()
	for _, position := range at {
		if position < 1 || int(position) > len(records) {
			continue
		}
		r := records[position-1]
		if err := visit(&r); err != nil {
			return err
		}
	}
	return nil
}

// Fresh implements es.Reader: all of it is in memory, so there is nothing to spare.
func (l *Log) Fresh(es.Partition, es.Position) ([]es.Record, es.Incarnation) {
	return nil, es.Incarnation{}
}

// Wake implements es.Reader.
func (l *Log) Wake(p es.Partition) <-chan struct{} {
	part := l.partitions[p]
	part.mu.Lock()
	defer part.mu.Unlock()
	c := make(chan struct{}, 1)
	part.wakes = append(part.wakes, c)
	return c
}

// States implements es.Log.
func (l *Log) States(_ context.Context, p es.Partition, visit func(*es.StateRow) error) error {
	part := l.partitions[p]
	part.mu.Lock()
	var rows []es.StateRow
	for _, row := range part.states {
		rows = append(rows, row)
	}
	part.mu.Unlock()
	for i := range rows {
		if err := visit(&rows[i]); err != nil {
			return err
		}
	}
	return nil
}

// Session implements es.Log.
func (l *Log) Session(_ context.Context, p es.Partition) (es.Session, error) {
	return &session{log: l, part: l.partitions[p]}, nil
}

// Tamper changes a stored record behind everybody's back, as a fault of the medium would. It is for tests of checkers.
func (l *Log) Tamper(p es.Partition, at es.Position, change func(*es.Record)) {
	part := l.partitions[p]
	part.mu.Lock()
	defer part.mu.Unlock()
	r := clone(part.records[at-1])
	change(&r)
	records := append([]es.Record(nil), part.records...)
	records[at-1] = r
	part.records = records
}

func (p *partition) tail() es.Tail {
	life := p.lives[len(p.lives)-1]
	t := es.Tail{Incarnation: life.Incarnation, Position: es.Position(len(p.records)), Chain: p.link(es.Position(len(p.records)))}
	if n := len(p.records); n > 0 {
		t.At = p.records[n-1].At
	}
	return t
}

// link is the chain that the event after a position builds on.
func (p *partition) link(after es.Position) es.Chain {
	life := p.lives[len(p.lives)-1]
	switch {
	case after == life.After:
		return life.Base()
	case after < 1 || after > es.Position(len(p.records)):
		return es.Chain{}
	}
	return p.records[after-1].Chain
}

var errNoLock = errors.New("esmem: the session does not hold the lock")

// session implements es.Session.
type session struct {
	log  *Log
	part *partition
	held bool
}

func (s *session) Load(_ context.Context, w *es.Want) (*es.Found, error) {
	p := s.part
	p.mu.Lock()
	defer p.mu.Unlock()
	f := &es.Found{Now: s.log.clock(), Tail: p.tail(), Link: p.link(w.After)}
	for at := w.After + 1; at <= f.Tail.Position && len(f.Missed) < w.Missed; at++ {
		f.Missed = append(f.Missed, p.records[at-1])
	}
	for _, ws := range w.Streams {
		from := es.Version(0)
		if row, ok := p.states[ws.Stream]; ok && ws.Rows {
			f.Rows = append(f.Rows, row)
			if row.Fold == ws.Fold {
				from = row.Version
			}
		}
		for _, at := range p.streams[ws.Stream] {
			if p.records[at-1].Version > from {
				f.Events = append(f.Events, p.records[at-1])
			}
		}
	}
	for _, c := range w.Commands {
		for _, at := range p.commands[c] {
			f.Commands = append(f.Commands, p.records[at-1])
		}
	}
	for _, root := range w.Roots {
		if p.roots[string(root)] {
			f.Roots = append(f.Roots, root)
		}
	}
	return f, nil
}

func (s *session) Lock(ctx context.Context, w *es.Want) (*es.Found, error) {
	if !s.held {
		select {
		case s.part.lock <- struct{}{}:
			s.held = true
		case <-ctx.Done():
			return nil, es.ErrUnavailable.Because(context.Cause(ctx))
		}
	}
	return s.Load(ctx, w)
}

func (s *session) Root(_ context.Context, root es.Stream, visit func(*es.Record) error) error {
	s.part.mu.Lock()
	records := s.part.records
	s.part.mu.Unlock()
	for i := range records {
		if r := records[i]; r.Stream.Root() == string(root) {
			if err := visit(&r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *session) Append(ctx context.Context, b *es.Batch) (time.Time, error) {
	if !s.held {
		if len(b.Records) == 0 {
			return time.Time{}, errNoLock
		}
		select {
		case s.part.lock <- struct{}{}:
			s.held = true
		case <-ctx.Done():
			return time.Time{}, es.ErrUnavailable.Because(context.Cause(ctx))
		}
	}
	defer s.release()
	p := s.part
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.refuse(b); err != nil {
		return time.Time{}, err
	}
	for i := range b.Records {
		r := clone(b.Records[i])
		p.records = append(p.records, r)
		p.streams[r.Stream] = append(p.streams[r.Stream], r.Position)
		p.commands[r.Command] = append(p.commands[r.Command], r.Position)
		if root := r.Stream.Root(); len(root) < len(r.Stream) {
			p.roots[root] = true
		}
	}
	for _, row := range b.States {
		row.Data = append([]byte(nil), row.Data...)
		p.states[row.Stream] = row
	}
	for _, w := range p.wakes {
		select {
		case w <- struct{}{}:
		default:
		}
	}
	return s.log.clock(), nil
}

// refuse says why a batch cannot be stored.
func (p *partition) refuse(b *es.Batch) error {
	t := p.tail()
	if b.Tail.Incarnation != t.Incarnation || b.Tail.Position != t.Position || b.Tail.Chain != t.Chain {
		return es.ErrMoved
	}
	versions := make(map[es.Stream]es.Version)
	type ordinal struct {
		command id.ID
		n       int32
	}
	ordinals := make(map[ordinal]bool)
	for i := range b.Records {
		r := &b.Records[i]
		// What PostgreSQL would not store either.
		if r.Type == "" || !storable(r.Type) || !storable(string(r.Stream)) {
			return fmt.Errorf("%w: not a text that can be stored", es.ErrData)
		}
		// A record to which both object is refused as PostgreSQL does it, by the older index.
		if int(r.Version) <= len(p.streams[r.Stream]) || r.Version <= versions[r.Stream] {
			return es.ErrVersion
		}
		versions[r.Stream] = r.Version
		if len(p.commands[r.Command]) > 0 || ordinals[ordinal{r.Command, r.Ordinal}] {
			return es.ErrKnownCommand
		}
		ordinals[ordinal{r.Command, r.Ordinal}] = true
	}
	return nil
}

func storable(s string) bool { return utf8.ValidString(s) && !strings.ContainsRune(s, 0) }

func (s *session) Unlock(context.Context) error {
	s.release()
	return nil
}

func (s *session) Close() error {
	s.release()
	return nil
}

func (s *session) release() {
	if s.held {
		s.held = false
		<-s.part.lock
	}
}

func clone(r es.Record) es.Record {
	r.Data = append([]byte(nil), r.Data...)
	r.Meta = append([]byte(nil), r.Meta...)
	return r
}

var _ es.Log = (*Log)(nil)
