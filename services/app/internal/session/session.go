// Package session keeps who is signed in. The browser has a cookie of 256 random bits and nothing else; everything it stands for,
// the token for the services among it, is in this process, found by the cookie's hash. So a session ends at once when it is told to, and
// all end with the process: people sign in again, which with an issuer that knows them is a redirect.
//
// It is no database: a session is worth an hour at most.
package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/token"
)

// What the page may do about it stands beside each reason in the contract.
var (
	errNone    = fault.Unauthenticated("nobody is signed in").Named(boot.ReasonTokenMissing)
	errUnknown = fault.Unauthenticated("there is no such session, or no longer: sign in again").Named(boot.ReasonTokenInvalid)
	errEnded   = fault.Unauthenticated("the session is over: sign in again").Named(boot.ReasonTokenExpired)
	errFull    = fault.Exhausted(boot.ReasonRate, "too many people are signed in at once").After(time.Minute)
	errMany    = fault.Exhausted(boot.ReasonRate, "too many at a time in this session").After(time.Second)
)

// Person is who has signed in, as the issuer says.
type Person struct {
	Subject string
	Name    string // for the eye only; empty where the issuer gives none
	Roles   token.Roles
	Token   string    // access token for the services; it stays here
	Until   time.Time // when the token ends
}

// Session is one browser of one person.
type Session struct {
	Person

	Began, Ends time.Time

	ctx   context.Context // ends with the session
	end   context.CancelFunc
	calls *rate.Limiter
	slots map[string]chan struct{}
	used  time.Time // guarded by the store's lock
}

// Context ends when the session does.
func (s *Session) Context() context.Context { return s.ctx }

// Limits of a session; zero values are replaced by Defaults.
type Limits struct {
	Life    time.Duration // at most, from signing in
	Idle    time.Duration // without a request
	Rate    int           // calls a second, bursts of twice as many
	Streams int           // open at once
	Uploads int           // open at once
	Most    int           // sessions in all
}

// Defaults fills what is zero.
func (l Limits) Defaults() Limits {
	if l.Life == 0 {
		l.Life = time.Hour
	}
	if l.Idle == 0 {
		l.Idle = 30 * time.Minute
	}
	l.Rate, l.Streams, l.Uploads, l.Most = or(l.Rate, 50), or(l.Streams, 16), or(l.Uploads, 2), or(l.Most, 1<<16)
	return l
}

func or(n, zero int) int {
	if n == 0 {
		return zero
	}
	return n
}

// remembered is for how long an ended session is known as such, so that its page hears that it is over and not that it never was.
const remembered = 10 * time.Minute

type key [sha256.Size]byte

// Store is the sessions of this process. It is safe for concurrent use.
type Store struct {
	limits Limits
	now    func() time.Time
	random io.Reader

	mu  sync.Mutex
	all map[key]*Session
}

// NewStore makes an empty one. random must be safe for concurrent use.
func NewStore(l Limits, now func() time.Time, random io.Reader) *Store {
	return &Store{limits: l.Defaults(), now: now, random: random, all: map[key]*Session{}}
}

// Limits are those that hold, with what zero stood for.
func (s *Store) Limits() Limits { return s.limits }

// Begin makes a session and gives the value of its cookie, which nobody keeps but the browser.
func (s *Store) Begin(p Person) (*Session, string, error) {
	var raw [32]byte
	if _, err := io.ReadFull(s.random, raw[:]); err != nil {
		return nil, "", fmt.Errorf("session: randomness: %w", err)
	}
	now := s.now()
	ends := now.Add(s.limits.Life)
	if p.Until.Before(ends) {
		ends = p.Until
	}
	ctx, end := context.WithCancel(context.Background())
	one := &Session{
		Person: p, Began: now, Ends: ends, used: now, ctx: ctx, end: end,
		calls: rate.NewLimiter(rate.Limit(s.limits.Rate), 2*s.limits.Rate),
		slots: map[string]chan struct{}{"stream": make(chan struct{}, s.limits.Streams), "upload": make(chan struct{}, s.limits.Uploads)},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) >= s.limits.Most {
		s.sweep(now)
	}
	if len(s.all) >= s.limits.Most {
		end()
		return nil, "", errFull
	}
	s.all[sha256.Sum256(raw[:])] = one
	return one, base64.RawURLEncoding.EncodeToString(raw[:]), nil
}

// Find is the session of a cookie's value, and marks it as used.
func (s *Store) Find(cookie string) (*Session, error) {
	k, ok := keyOf(cookie)
	if cookie == "" {
		return nil, errNone
	}
	if !ok {
		return nil, errUnknown
	}
	now := s.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[k]
	switch {
	case one == nil:
		return nil, errUnknown
	case one.over(now, s.limits.Idle):
		one.end()
		return nil, errEnded
	}
	one.used = now
	return one, nil
}

func (s *Session) over(now time.Time, idle time.Duration) bool {
	return !now.Before(s.Ends) || !now.Before(s.used.Add(idle))
}

// End revokes the session of a cookie, and with everywhere all of the same person.
func (s *Store) End(cookie string, everywhere bool) {
	k, ok := keyOf(cookie)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.all[k]
	if one == nil {
		return
	}
	for other, o := range s.all {
		if other == k || everywhere && o.Subject == one.Subject {
			o.end()
			delete(s.all, other)
		}
	}
}

// Sweep ends sessions whose time is over, which ends their streams, and forgets those that have been over for a while.
func (s *Store) Sweep() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sweep(s.now())
}

func (s *Store) sweep(now time.Time) {
	for k, one := range s.all {
		if !one.over(now, s.limits.Idle) {
			continue
		}
		one.end()
		if one.over(now.Add(-remembered), s.limits.Idle) {
			delete(s.all, k)
		}
	}
}

// Run sweeps every second until ctx ends, and then ends all.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			s.Sweep()
		case <-ctx.Done():
			s.mu.Lock()
			defer s.mu.Unlock()
			for k, one := range s.all {
				one.end()
				delete(s.all, k)
			}
			return nil
		}
	}
}

// Admit counts a call against what the session may make.
func (s *Store) Admit(one *Session) error {
	if one.calls.AllowN(s.now(), 1) {
		return nil
	}
	n := s.limits.Rate
	return fault.Exhausted(boot.ReasonRate, "too many calls").And("per_second", n).After(time.Second / time.Duration(n))
}

// Stream takes one of the session's streams, Upload one of its uploads; give puts it back.
func (s *Session) Stream() (give func(), err error) { return s.take("stream") }

// Upload is the same for files on their way in.
func (s *Session) Upload() (give func(), err error) { return s.take("upload") }

func (s *Session) take(what string) (func(), error) {
	select {
	case s.slots[what] <- struct{}{}:
		return func() { <-s.slots[what] }, nil
	default:
		return nil, errMany.And(what+"s", cap(s.slots[what]))
	}
}

// keyOf is where the session of a cookie is kept: somebody who reads this process's memory finds no cookie there.
func keyOf(cookie string) (key, bool) {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cookie)
	if err != nil || len(raw) != 32 {
		return key{}, false
	}
	return sha256.Sum256(raw), true
}
