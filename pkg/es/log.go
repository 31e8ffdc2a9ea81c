package es

import (
	"context"
	"time"

	"github.com/obole-market/obole/pkg/id"
)

// Log stores events. Two implementations exist, espg over PostgreSQL and esmem in memory; package estest holds the
// suite that both pass.
type Log interface {
	Reader
	// States calls visit for each state row of a partition, in no particular order. The row is only valid during the
	// call.
	States(ctx context.Context, p Partition, visit func(*StateRow) error) error
	// Session opens what the writer of a partition works with. It refuses with ErrIncarnation when the log is not on
	// the server and timeline on which its partition lives.
	Session(ctx context.Context, p Partition) (Session, error)
}

// Session is one writer's connection to one partition; it serves one goroutine. After ErrOutcome or ErrUnavailable it
// is of no further use but for Close.
type Session interface {
	// Load reads one consistent cut of the partition.
	Load(ctx context.Context, want *Want) (*Found, error)
	// Lock takes the partition's lock, waiting for whoever has it, and then reads as Load does. Until Append or Unlock
	// nobody else appends. A holder that falls silent loses the lock within seconds, and with it its session.
	Lock(ctx context.Context, want *Want) (*Found, error)
	// Root calls visit for every event of a root's streams, in order of position, as of one moment after the call. It holds
	// neither all of them at a time nor the lock. The record is only valid during the call.
	Root(ctx context.Context, root Stream, visit func(*Record) error) error
	// Append stores a batch if the log ends at the batch's Tail, all of it or nothing, and returns the log's clock. It
	// takes the lock if the session does not hold it, and gives it back in any case. Errors: ErrMoved, ErrKnownCommand,
	// ErrVersion, ErrData (nothing stored), ErrUnavailable (nothing stored), ErrOutcome (unknown).
	//
	// Without records it stores states only, wherever the log ends by now, as long as the partition lives the life of the
	// Tail; else it stores none. That may be done any number of times, so it has no outcome: where the answer is lost, it is
	// ErrUnavailable.
	Append(ctx context.Context, b *Batch) (time.Time, error)
	// Unlock gives back the lock without an append.
	Unlock(ctx context.Context) error
	// Close ends the session; the lock, if held, is given back.
	Close() error
}

// Want says what to load.
type Want struct {
	// After is the position up to which the writer knows the partition, and Missed how many later events it will take
	// at most.
	After  Position
	Missed int
	// Streams to load from their row, where its fold fits, and the events after it.
	Streams []WantStream
	// Commands to look up.
	Commands []id.ID
	// Roots of which to say whether any stream but their own has an event.
	Roots []Stream
}

// WantStream is a stream to load. Without Rows its state row, if any, is left alone.
type WantStream struct {
	Stream Stream
	Rows   bool
	Fold   uint32
	// Anew says that a row of another fold is all there is to know: the root is folded anew, and no event is loaded.
	Anew bool
}

// Found is what was loaded, as of one moment at which nothing after Tail existed. Its slices are the receiver's.
type Found struct {
	// Now is the log's clock.
	Now  time.Time
	Tail Tail
	// Link is the chain that the event after Want.After builds on; zero when the log does not reach so far.
	Link Chain
	// Missed are the events after Want.After in order, at most Want.Missed of them.
	Missed []Record
	// Rows are the state rows of the wanted streams, of whatever fold.
	Rows []StateRow
	// Events of the wanted streams that are not in their row, each stream's in order of version.
	Events []Record
	// Commands are the events of the wanted commands, each command's in order of ordinal.
	Commands []Record
	// Roots are those of the wanted roots of which another stream than their own has events.
	Roots []Stream
}

// Batch is what one flush stores.
type Batch struct {
	// Tail is where the writer knows the log to end.
	Tail Tail
	// Records continue the tail without a hole; all carry the same time.
	Records []Record
	// States are rows to write in the same transaction. One gives way to a stored row of a later position.
	States []StateRow
}

// StateRow is a stream's state as of a position, so that the stream need not be folded from its first event.
type StateRow struct {
	Stream Stream
	// Version of the stream that the state includes.
	Version Version
	// Position up to which the state includes the partition's events.
	Position Position
	// Fold is the version of the rules that made it. Others must not trust it.
	Fold uint32
	Data []byte
}
