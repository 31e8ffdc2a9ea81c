package es

import (
	"context"
	"errors"
	"time"

	"github.com/obole-market/obole/pkg/fault"
)

// What a caller is told. Each says what to do next.
var (
	// ErrOtherBody: the idempotency key was used before, with another request. Choose a new key.
	ErrOtherBody = fault.Exists("", "the idempotency key was used before with another request")
	// ErrRepeated: a command that is never answered from memory came twice. Send a new command.
	ErrRepeated = fault.Conflict("", "a command that is decided once came twice")
	// ErrQueueFull: the partition's queue, or this caller's share of it, is full. Retry later, with the same key.
	ErrQueueFull = fault.Exhausted("", "the queue is full").After(100 * time.Millisecond)
	// ErrDeadline: the caller's deadline passed. If the command had been taken up by then, its outcome is unknown to
	// the caller: repeat it with the same key.
	ErrDeadline = fault.Deadline("the deadline passed before an answer")
	// ErrCanceled: the caller went away. As with ErrDeadline, the command may have been stored.
	ErrCanceled = fault.New(fault.KindCanceled, "", "the caller went away before an answer")
	// ErrKeys: the keys handed over do not open a stored event. Fetch fresh keys and repeat. Rules.Decode returns it.
	ErrKeys = fault.Unavailable("the keys do not open a stored event")
	// ErrUnknownArm: the stream holds an event that this process is too old to read; another process may serve it.
	// Rules.Decode returns it.
	ErrUnknownArm = fault.Unavailable("the stream holds an event of a newer version of this service")
	// ErrTooLarge: an event exceeds MaxEvent. Nothing of the command was stored.
	ErrTooLarge = fault.New(fault.KindInvalid, "", "an event is larger than 512 KiB")
	// ErrIncarnation: the log is not the one that was written to before: its server or timeline changed, or its tail
	// is behind what is known. Nothing is written until an operator has run "fsck --reconcile".
	ErrIncarnation = fault.Unavailable("the log lost its tail or moved to another server: run fsck --reconcile")
	// ErrUnavailable: the log cannot be reached; nothing was stored. Retry later, with the same key.
	ErrUnavailable = fault.Unavailable("the log is unavailable")
	// ErrOutcome: the connection was lost while the command was being stored, and could not be had again in time.
	// Repeat it with the same key to learn what came of it.
	ErrOutcome = fault.Unavailable("the command's outcome is unknown")
	// ErrClosed: the engine has ended. Another process may answer.
	ErrClosed = fault.Unavailable("the engine has ended")
	// ErrDefect: the rules panicked or broke their contract. It concerns this command only; retrying will not help.
	ErrDefect = fault.Internal("the rules failed")
	// ErrData: the log refused the command's events or states as they are. Retrying will not help.
	ErrData = fault.Internal("the log refused the data")
)

// What a log tells the engine, and a checker its user.
var (
	// ErrMoved: the tail is not where the batch expects it; nothing was stored.
	ErrMoved = errors.New("es: the tail has moved")
	// ErrKnownCommand: a command of the batch is stored already; nothing was stored.
	ErrKnownCommand = errors.New("es: a command of the batch is stored already")
	// ErrVersion: a stream's version is stored already; nothing was stored. With a tail that has not moved, and unless the
	// stream was only said to be new (Rules.Creates), this is a fault of the engine or of the data.
	ErrVersion = errors.New("es: a stream's version is stored already")
	// ErrGap: a position is missing.
	ErrGap = errors.New("es: a position is missing")
	// ErrChain: a record does not continue the chain: it, or one before it, was altered.
	ErrChain = errors.New("es: the chain is broken")
)

// MaxEvent is the most bytes one event's data may have. Batches of the relay stay well below the broker's limit so.
const MaxEvent = 512 << 10

// gaveUp is what a caller is told whose context is done.
func gaveUp(ctx context.Context) error {
	if cause := context.Cause(ctx); errors.Is(cause, context.Canceled) {
		return ErrCanceled.Because(cause)
	}
	return ErrDeadline.Because(context.Cause(ctx))
}
