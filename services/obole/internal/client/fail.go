package client

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"google.golang.org/grpc/connectivity"

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
	case fault.KindInvalid:
		return ExitUsage
	case fault.KindUnavailable, fault.KindDeadline:
		return ExitUnavailable
	default:
		return ExitFailed
	}
}

// ErrStopped says that a command was told to stop before it had done what it is for.
var ErrStopped = errors.New("stopped before the end")

// Explain is an error as one line for people, in the words of the command line, with the reason where a rule gave one.
func (s *Session) Explain(err error) string {
	if errors.Is(err, context.Canceled) || errors.Is(err, fault.KindCanceled) {
		return ErrStopped.Error()
	}
	text := err.Error()
	if f, ok := errors.AsType[*fault.Error](err); ok {
		text = strings.Replace(text, f.Error(), s.explain(f), 1)
	}
	return strings.ReplaceAll(text, "\n", "; ")
}

func (s *Session) explain(f *fault.Error) string {
	if f.Kind == fault.KindInternal && f.Msg == "internal error" {
		return "the service failed; its log says why"
	}
	if f.Kind == fault.KindUnavailable && f.Reason == "" {
		if who := s.silent(); who != "" {
			return who
		}
	}
	own := s.spoken(f)
	if own.Kind != fault.KindInvalid || own.Reason != "" || len(own.Facts) == 0 {
		return own.Error()
	}
	facts := make([]string, len(own.Facts))
	for i, fact := range own.Facts {
		facts[i] = fact.Name + ": " + fact.Text
	}
	return strings.Join(facts, "; ")
}

// silent says which service does not answer, and where; empty when all that were called do.
func (s *Session) silent() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for to, conn := range s.conns {
		if conn.GetState() == connectivity.TransientFailure {
			return fmt.Sprintf("%s does not answer at %s", to.service, strings.TrimPrefix(conn.Target(), "dns:///"))
		}
	}
	return ""
}
