package client

import (
	"context"
	"errors"
	"fmt"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
)

// Exit codes, which scripts may rely on.
const (
	ExitOK          = 0
	ExitFailed      = 1 // refused, or went wrong
	ExitUsage       = 2 // the command line, or a file named on it, is wrong
	ExitUnavailable = 3 // nobody answers, or not in time: the same command may succeed later
)

// usage is an error of who typed the command.
type usage struct{ error }

func (u usage) Unwrap() error { return u.error }

// Usage is an error of who typed the command, as in a malformed amount.
func Usage(format string, args ...any) error { return usage{fmt.Errorf(format, args...)} }

// Exit is the code for what a command returned.
func Exit(err error) int {
	if err == nil {
		return ExitOK
	}
	if _, ok := errors.AsType[usage](err); ok {
		return ExitUsage
	}
	switch fault.KindOf(grpcfault.From(err)) {
	case fault.KindUnavailable, fault.KindDeadline:
		return ExitUnavailable
	default:
		return ExitFailed
	}
}

// Explain is an error as one line for people, with the reason where a rule gave one.
func Explain(err error) string {
	if errors.Is(err, context.Canceled) {
		return "stopped"
	}
	if f, ok := errors.AsType[*fault.Error](err); ok && f.Kind == fault.KindInternal && f.Msg == "internal error" {
		return "the service failed; its log says why"
	}
	return err.Error()
}
