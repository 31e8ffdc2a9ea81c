package session_test

import (
	"crypto/rand"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/services/app/internal/session"
)

// bench is a store with a clock that tests move.
type bench struct {
	*session.Store

	mu sync.Mutex
	at time.Time
}

func open(l session.Limits) *bench {
	b := &bench{at: time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)}
	b.Store = session.NewStore(l, b.now, rand.Reader)
	return b
}

func (b *bench) now() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.at
}

func (b *bench) move(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.at = b.at.Add(d)
}

func (b *bench) begin(t *testing.T, subject string) (*session.Session, string) {
	t.Helper()
	s, cookie, err := b.Begin(session.Person{Subject: subject, Token: "secret", Until: b.now().Add(2 * time.Hour)})
	if err != nil {
		t.Fatal(err)
	}
	return s, cookie
}

func over(s *session.Session) bool { return s.Context().Err() != nil }

// TestWhatEndsASession ends its context, on which its streams hang.
func TestWhatEndsASession(t *testing.T) {
	t.Parallel()
	b := open(session.Limits{Life: time.Hour, Idle: 10 * time.Minute})
	idle, _ := b.begin(t, "a")
	used, cookie := b.begin(t, "b")
	b.move(9 * time.Minute)
	if _, err := b.Find(cookie); err != nil {
		t.Fatal(err)
	}
	b.move(2 * time.Minute)
	b.Sweep()
	if !over(idle) || over(used) {
		t.Errorf("after 11 minutes: without a request %v, with one %v", over(idle), over(used))
	}
	for range 10 {
		b.move(5 * time.Minute)
		_, _ = b.Find(cookie) // the last ones are too late
	}
	if !over(used) {
		t.Error("it outlives its life")
	}
	one, first := b.begin(t, "c")
	two, second := b.begin(t, "c")
	three, _ := b.begin(t, "d")
	b.End(first, false)
	if !over(one) || over(two) {
		t.Error("one session was to be revoked")
	}
	b.End(first, true) // it is no session any more, and speaks for nobody
	if over(two) {
		t.Error("a revoked session revokes others")
	}
	b.End(second, true)
	if !over(two) || over(three) {
		t.Error("all of one person's were to be revoked")
	}
	short, _, err := b.Begin(session.Person{Subject: "e", Until: b.now().Add(time.Minute)})
	if err != nil || short.Ends.Sub(short.Began) != time.Minute {
		t.Errorf("a token of a minute: %v, %v", short, err)
	}
}

// TestEndedSessionsAreKnownForAWhile, so that the page hears that they are over; then they are forgotten.
func TestEndedSessionsAreKnownForAWhile(t *testing.T) {
	t.Parallel()
	b := open(session.Limits{Life: time.Hour, Idle: 10 * time.Minute})
	_, cookie := b.begin(t, "a")
	reason := func() string {
		_, err := b.Find(cookie)
		f, _ := errors.AsType[*fault.Error](err)
		if f == nil {
			return ""
		}
		return f.Reason
	}
	b.move(15 * time.Minute)
	b.Sweep()
	if got := reason(); got != "TOKEN_EXPIRED" {
		t.Errorf("after 15 minutes: %s", got)
	}
	b.move(6 * time.Minute)
	b.Sweep()
	if got := reason(); got != "TOKEN_INVALID" {
		t.Errorf("after 21 minutes: %s", got)
	}
}

// TestThereIsRoomForSoMany: those that are over make room, live ones never do.
func TestThereIsRoomForSoMany(t *testing.T) {
	t.Parallel()
	b := open(session.Limits{Most: 2, Idle: 10 * time.Minute})
	b.begin(t, "a")
	b.move(5 * time.Minute)
	live, _ := b.begin(t, "b")
	if _, _, err := b.Begin(session.Person{Subject: "c", Until: b.now().Add(time.Hour)}); !errors.Is(err, fault.KindExhausted) {
		t.Errorf("a third: %v", err)
	}
	b.move(9 * time.Minute)
	if _, _, err := b.Begin(session.Person{Subject: "c", Until: b.now().Add(time.Hour)}); !errors.Is(err, fault.KindExhausted) {
		t.Errorf("one is over, and still known: %v", err)
	}
	if over(live) {
		t.Error("a live one was put out")
	}
	b.move(20 * time.Minute)
	b.begin(t, "c")
}

// TestOneSessionsSlots: so many streams and files at a time.
func TestOneSessionsSlots(t *testing.T) {
	t.Parallel()
	b := open(session.Limits{Streams: 1, Uploads: 1})
	s, _ := b.begin(t, "a")
	give, err := s.Stream()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Stream(); !errors.Is(err, fault.KindExhausted) {
		t.Errorf("a second stream: %v", err)
	}
	if _, err := s.Upload(); err != nil {
		t.Errorf("a file beside it: %v", err)
	}
	give()
	if _, err := s.Stream(); err != nil {
		t.Errorf("once there is room: %v", err)
	}
}

// TestTwoCookiesOfOneName are none: one of them was put there by somebody else.
func TestTwoCookiesOfOneName(t *testing.T) {
	t.Parallel()
	b := open(session.Limits{})
	_, cookie := b.begin(t, "a")
	jar := session.NewJar(&url.URL{Scheme: "https", Host: "data.operator.example"})
	if got := jar.Name(session.What); got != "__Host-obole-session" {
		t.Errorf("its name is %s", got)
	}
	reached := 0
	h := b.Require(jar, http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if session.Of(r.Context()).Subject == "a" {
			reached++
		}
	}))
	ask := func(header string) int {
		r := httptest.NewRequest(http.MethodGet, "/api/me", nil)
		r.Header.Set("Cookie", header)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w.Code
	}
	if got := ask("__Host-obole-session=" + cookie); got != http.StatusOK || reached != 1 {
		t.Errorf("one: %d", got)
	}
	if got := ask("__Host-obole-session=" + cookie + "; __Host-obole-session=x"); got != http.StatusUnauthorized || reached != 1 {
		t.Errorf("two: %d", got)
	}
}
