package estest

import (
	"context"
	"sync"
	"time"

	"github.com/obole-market/obole/pkg/es"
)

// counting is a log that counts how often each stream was asked for.
type counting struct {
	es.Log

	mu      sync.Mutex
	streams map[es.Stream]int
}

func (c *counting) of(s es.Stream) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.streams[s]
}

func (c *counting) Session(ctx context.Context, p es.Partition) (es.Session, error) {
	s, err := c.Log.Session(ctx, p)
	return &watched{Session: s, want: func(w *es.Want) {
		c.mu.Lock()
		defer c.mu.Unlock()
		for i := range w.Streams {
			c.streams[w.Streams[i].Stream]++
		}
	}}, err
}

// skewed is a log whose clock is off.
type skewed struct {
	es.Log

	by func() time.Duration
}

func (l *skewed) Session(ctx context.Context, p es.Partition) (es.Session, error) {
	s, err := l.Log.Session(ctx, p)
	return &watched{Session: s, clock: func(t time.Time) time.Time { return t.Add(l.by()) }}, err
}

// watched is a session that is looked at, and whose clock may be another.
type watched struct {
	es.Session

	want  func(*es.Want)
	clock func(time.Time) time.Time
}

func (s *watched) found(w *es.Want, f *es.Found, err error) (*es.Found, error) {
	if s.want != nil {
		s.want(w)
	}
	if s.clock != nil && err == nil {
		f.Now = s.clock(f.Now)
	}
	return f, err
}

func (s *watched) Load(ctx context.Context, w *es.Want) (*es.Found, error) {
	f, err := s.Session.Load(ctx, w)
	return s.found(w, f, err)
}

func (s *watched) Lock(ctx context.Context, w *es.Want) (*es.Found, error) {
	f, err := s.Session.Lock(ctx, w)
	return s.found(w, f, err)
}

func (s *watched) Append(ctx context.Context, b *es.Batch) (time.Time, error) {
	now, err := s.Session.Append(ctx, b)
	if s.clock != nil {
		now = s.clock(now)
	}
	return now, err
}
