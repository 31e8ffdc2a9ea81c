package record

import (
	"context"
	"crypto/sha256"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
)

// WatchRequest is any service's WatchRecordRequest.
type WatchRequest interface {
	GetSubscriberId() string
	GetWatchToken() string
}

const (
	// beat is a watch's longest silence.
	beat = 15 * time.Second
	// pace is how long a watch rests between two looks at the table: the tables move far more often than one person's record.
	pace = 100 * time.Millisecond
	// portion is how many entries are read at a time.
	portion = 200
)

var errWatch = fault.Invalid("watch_token", "is none that this record gave")

// watched names a watch in its tokens.
func watched(who id.ID) string { return "watch-record/" + who.String() }

// now is the end of the log, seen by the table: another process may have told what this one's table has not seen yet.
func (b *Book) now(ctx context.Context) (*here, error) {
	h := new(here)
	lives := sha256.New()
	for p := range b.Log.Partitions() {
		tail, err := b.Log.Tail(ctx, es.Partition(p))
		if err != nil {
			return nil, err
		}
		lives.Write(tail.Incarnation[:])
		h.at = append(h.at, tail.Position)
	}
	copy(h.lives[:], lives.Sum(nil))
	for p, at := range h.at {
		if err := b.Seen.Wait(ctx, es.Cursor{Partition: es.Partition(p), Position: at}); err != nil {
			return nil, err
		}
	}
	return h, nil
}

// Watch tells a person what happens, until ctx ends or telling fails. A nil entry is a sign of life.
func (b *Book) Watch(ctx context.Context, r WatchRequest, tell func(e *recordv1.Entry, token string) error) error {
	who, err := person(r.GetSubscriberId())
	if err != nil {
		return err
	}
	carried := new(eventv1.StoredEvent)
	if err := boot.ParsePage(watched(who), r.GetWatchToken(), carried); err != nil {
		return errWatch
	}
	h, err := b.now(ctx)
	if err != nil {
		return err
	}
	if r.GetWatchToken() != "" {
		if err := h.resume(carried.GetData()); err != nil {
			return err
		}
	}
	w := &watch{book: b, who: who, here: h, say: tell}
	if err := w.tell(nil); err != nil {
		return err
	}
	return w.run(ctx)
}

// watch is one person's.
type watch struct {
	book *Book
	who  id.ID
	here *here
	say  func(*recordv1.Entry, string) error
	told bool // something, since the last sign of life
}

func (w *watch) run(ctx context.Context) error {
	every := w.book.Beat
	if every == 0 {
		every = beat
	}
	alive, rest := time.NewTicker(every), time.NewTicker(pace)
	defer alive.Stop()
	defer rest.Stop()
	for {
		// Taken before the table is looked at: what moves meanwhile wakes the next round.
		moved := w.book.Seen.Changed()
		if err := w.follow(ctx); err != nil {
			return err
		}
		for waiting := true; waiting; {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-alive.C:
				if !w.told {
					if err := w.tell(nil); err != nil {
						return err
					}
				}
				w.told = false
			case <-moved:
				waiting = false
			}
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-rest.C:
		}
	}
}

// follow tells of what has come, as far as the table has.
func (w *watch) follow(ctx context.Context) error {
	upto := slices.Clone(w.here.at)
	for p := range upto {
		upto[p] = max(upto[p], w.book.Seen.Seen(es.Partition(p)))
	}
	if slices.Equal(upto, w.here.at) {
		return nil
	}
	for more := true; more; {
		rows, err := w.book.between(ctx, w.who, w.here.at, upto, portion)
		if err != nil {
			return err
		}
		entries, err := w.book.entries(ctx, w.who, rows)
		if err != nil {
			return err
		}
		for i, e := range entries {
			w.here.at[rows[i].partition] = rows[i].position
			if err := w.tell(e); err != nil {
				return err
			}
		}
		more = len(rows) == portion
	}
	copy(w.here.at, upto)
	return nil
}

// tell says something with the token of the place behind it.
func (w *watch) tell(e *recordv1.Entry) error {
	token, err := w.here.token(watched(w.who))
	if err != nil {
		return err
	}
	w.told = w.told || e != nil
	return w.say(e, token)
}
