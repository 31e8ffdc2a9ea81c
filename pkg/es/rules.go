package es

import (
	"time"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"

	"github.com/obole-market/obole/pkg/id"
)

// Rules are what one kind of root decides by. They are pure: the same states, command and time give the same events.
//
// S is the state of one stream, its zero value meaning that the stream does not exist; it is a value, so Evolve must
// not change what S points to. C is the closed set of commands, E that of events.
type Rules[S, C, E any] struct {
	// Name of the root, as in "bid".
	Name string
	// Fold is the version of Evolve and Touch. Stored states of another version are folded anew, never trusted.
	Fold uint32
	// Streams names the streams that Decide may ask for, all of one root. The first names the partition.
	Streams func(c C) []Stream
	// Creates, where set, names the one of its streams that a command brings into being. A writer that does not hold it takes it
	// for empty instead of asking the log, and lets the log object to a first event of a stream that has one already. It is an
	// expectation, not a promise: an answer that no such first event vouches for is given after the stream was loaded. With
	// Touch, nothing may have happened to the stream before an event of its own: no earlier event touches it, and where it is
	// the root's, none is on another stream of the root.
	Creates func(c C) (Stream, bool)
	// Decide answers a command with the events it causes. No events: nothing to change. Its errors are for the caller
	// (package fault) and leave no trace. Events of one command are stored together or not at all.
	Decide func(state func(Stream) S, c C, at time.Time) ([]Entry[E], error)
	// Evolve folds an event into the state of a stream: the event's own, or one that Touch named. It is total.
	Evolve func(s S, on Stream, e Entry[E]) S
	// Touch names further streams of the same root whose state the event changes, nil where there are none. Their
	// states are kept as rows, written in the append's own transaction.
	Touch func(e Entry[E]) []Stream
	// Conserve, where set, is handed the states before and after of everything that a batch changes, where its state rows
	// are written, and refuses the batch with an error. The ledger checks there once more that it sums to zero.
	Conserve func(before, after []S) error
	// Encode turns an event into the bytes that are stored. It runs in the writer after Decide; keys is the command's.
	Encode func(e E, h *Header, keys any) (typ string, data []byte, err error)
	// Decode is Encode's inverse; keys is that of the command for which the stream is loaded, or of the state's last
	// command. ErrKeys asks for fresh keys: the state is dropped and the command fails as retryable.
	Decode func(r *Record, keys any) (E, error)
	// EncodeState and DecodeState store a state as a row. Required with Touch, else optional: without them long
	// streams are always folded from their first event. With Touch, the zero state is stored too: a root's own row says
	// that its rows are complete, and is there as soon as an event has happened to, or touched, another stream than the root's
	// own. keys are those of the command that changes or loads the state: what is personal is sealed in its row as it is in
	// events.
	EncodeState func(s S, on Stream, keys any) ([]byte, error)
	DecodeState func(b []byte, on Stream, keys any) (S, error)
}

// Entry is an event and the stream it happens to. Decide sets these two; Evolve and Touch are also told where the event
// stands, so that a state may refer to it.
type Entry[E any] struct {
	Stream Stream
	Event  E

	Version  Version
	Position Position
	At       time.Time
}

// Header is what the writer knows of an event before it is encoded.
type Header struct {
	ID      id.ID
	Stream  Stream
	Version Version
	At      time.Time
	// Meta is the command's, with event id and recorded time filled in. It is shared: encode it, do not keep it.
	Meta *eventv1.Meta
}

// Command asks a root to decide.
type Command[C any] struct {
	// ID makes a repeat the same command: hash of caller, method and idempotency key (CommandID). A repeat is answered
	// with the events of the first time.
	ID id.ID
	// Hash of the request; the same ID with another hash is ErrOtherBody.
	Hash [32]byte
	Body C
	// Refused, where set, is why the command may not be decided now, as its caller has found. A repeat is answered all the same: what
	// was decided stays so, whatever has changed since. Of Body only its streams count.
	Refused error
	// Meta carries actor, causation, correlation, occurred_at and policy; may be nil.
	Meta *eventv1.Meta
	// Keys are fetched before the command is queued and handed to Encode and Decode as they are.
	Keys any
	// Caller shares the queue fairly: one caller's flood does not starve the others. Empty is a caller too.
	Caller string
	// Urgent commands (withdrawals, pauses, suspensions) use room in the queue that others may not.
	Urgent bool
	// Fresh commands are never answered from memory: a repeat fails with ErrRepeated. The gate uses it.
	Fresh bool
}

// Recorded is an event with its place in the log.
type Recorded[E any] struct {
	ID       id.ID
	Stream   Stream
	Version  Version
	Position Position
	At       time.Time
	Event    E
}

// Result is what a command came to.
type Result[E any] struct {
	Events []Recorded[E]
	// Cursor of the newest event, or, where there was nothing to change, of the tail that was decided on.
	Cursor Cursor
	// Repeated says that the events are those of an earlier, equal command.
	Repeated bool
}
