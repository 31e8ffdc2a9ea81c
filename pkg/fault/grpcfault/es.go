package grpcfault

import (
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
)

// engine is what the errors of package es mean to a caller. ErrDefect and ErrData are missing on purpose: they are ours.
var engine = []meaning{
	{es.ErrOtherBody, fault.Exists("IDEMPOTENCY_CONFLICT", "the idempotency key was used with another request")},
	{es.ErrRepeated, fault.Exists("ATTEMPT_REPEATED", "a permit is never repeated: ask with a new attempt")},
	{es.ErrQueueFull, fault.Exhausted("", "too many commands are waiting").After(100 * time.Millisecond)},
	{es.ErrDeadline, fault.Deadline("the deadline passed before an answer; repeat with the same idempotency key")},
	{es.ErrOutcome, fault.Unavailable("the outcome is unknown; repeat with the same idempotency key")},
	{es.ErrKeys, fault.Unavailable("keys have changed meanwhile").After(20 * time.Millisecond)},
	{es.ErrUnknownArm, fault.Unavailable("a newer version of the service is needed here")},
	{es.ErrIncarnation, fault.Unavailable("the log accepts no writes until it has been reconciled")},
	{es.ErrUnavailable, fault.Unavailable("the log cannot be reached").After(250 * time.Millisecond)},
	{es.ErrClosed, fault.Unavailable("the service is stopping")},
	{es.ErrTooLarge, fault.New(fault.KindInvalid, "", "the request makes an event larger than 512 KiB")},
}
