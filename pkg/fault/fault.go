package fault

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Error is a fault. Make it with a constructor; its fields are for reading.
type Error struct {
	Kind Kind
	// Reason is a name of the context's Reason enum without its REASON_ prefix, or empty where no rule of a context spoke.
	Reason string
	// Msg is one sentence for people, without capital and full stop. Nothing personal.
	Msg string
	// Facts are details by name, at most one per name: with KindInvalid field paths, else what the rule looked at.
	Facts []Fact
	// RetryAfter is how long to wait before trying again; 0 says nothing about it.
	RetryAfter time.Duration

	cause error
}

// Fact is one detail: the path of a field and what is wrong with it, or the name of a bound and its value.
type Fact struct {
	Name string
	Text string
}

// New makes a fault of any kind. Most callers have a constructor with a better name.
func New(kind Kind, reason, msg string, facts ...Fact) *Error {
	return &Error{Kind: kind, Reason: reason, Msg: msg, Facts: slices.Clip(facts)}
}

// Invalid is a wrong request: which field, as a path with dots, and what is wrong with it. And adds further fields.
func Invalid(field, wrong string) *Error {
	return New(KindInvalid, "", "the request is invalid", Fact{field, wrong})
}

// Refuse is a rule's no.
func Refuse(reason, msg string, facts ...Fact) *Error {
	return New(KindPrecondition, reason, msg, facts...)
}

// NotFound says that something does not exist, or not for this caller.
func NotFound(reason, msg string, facts ...Fact) *Error {
	return New(KindNotFound, reason, msg, facts...)
}

// Exists says that something is there already, with other content.
func Exists(reason, msg string, facts ...Fact) *Error {
	return New(KindExists, reason, msg, facts...)
}

// Conflict says that another one came first.
func Conflict(reason, msg string, facts ...Fact) *Error {
	return New(KindConflict, reason, msg, facts...)
}

// Denied says that this caller may not.
func Denied(reason, msg string, facts ...Fact) *Error {
	return New(KindDenied, reason, msg, facts...)
}

// Exhausted says too much or too often. After adds when to come back.
func Exhausted(reason, msg string, facts ...Fact) *Error {
	return New(KindExhausted, reason, msg, facts...)
}

// Unauthenticated says that nobody known is calling.
func Unauthenticated(msg string) *Error { return New(KindUnauthenticated, "", msg) }

// Unavailable says that it cannot be done here or now.
func Unavailable(msg string) *Error { return New(KindUnavailable, "", msg) }

// Deadline says that the time was over first.
func Deadline(msg string) *Error { return New(KindDeadline, "", msg) }

// Internal is a defect. Its message is for this process's log: callers learn that it was internal, and no more.
func Internal(msg string) *Error { return New(KindInternal, "", msg) }

// Because returns a copy that remembers what lies behind it. errors.Is and errors.As find it; the fault's text does not
// show it, and no caller in another process learns it.
func (e *Error) Because(cause error) *Error {
	c := *e
	c.cause = cause
	return &c
}

// And returns a copy with a further fact. A second one of the same name takes the first one's place.
func (e *Error) And(name string, value any) *Error {
	c := *e
	c.Facts = slices.DeleteFunc(slices.Clone(e.Facts), func(f Fact) bool { return f.Name == name })
	c.Facts = append(c.Facts, Fact{name, fmt.Sprint(value)})
	return &c
}

// Named returns a copy with a reason.
func (e *Error) Named(reason string) *Error {
	c := *e
	c.Reason = reason
	return &c
}

// After returns a copy that says when to try again.
func (e *Error) After(d time.Duration) *Error {
	c := *e
	c.RetryAfter = d
	return &c
}

// Error is one line: the message, the facts, the reason.
func (e *Error) Error() string {
	var b strings.Builder
	b.WriteString(e.Msg)
	if e.Msg == "" {
		b.WriteString(e.Kind.String())
	}
	for i, f := range e.Facts {
		if i == 0 {
			b.WriteString(" (")
		} else {
			b.WriteString("; ")
		}
		b.WriteString(f.Name)
		if f.Text != "" {
			b.WriteString(": ")
			b.WriteString(f.Text)
		}
	}
	if len(e.Facts) > 0 {
		b.WriteString(")")
	}
	if e.Reason != "" {
		b.WriteString(" [")
		b.WriteString(e.Reason)
		b.WriteString("]")
	}
	return b.String()
}

// Unwrap gives what lies behind.
func (e *Error) Unwrap() error { return e.cause }

// Is says whether the target means the same: a Kind; a fault of the same kind and reason; or, where neither has a
// reason, of the same kind and message. Facts do not count.
func (e *Error) Is(target error) bool {
	switch t := target.(type) {
	case Kind:
		return e.Kind == t
	case *Error:
		return e.Kind == t.Kind && e.Reason == t.Reason && (e.Reason != "" || e.Msg == t.Msg)
	}
	return false
}

// Fact finds a fact's text by its name.
func (e *Error) Fact(name string) (text string, ok bool) {
	for _, f := range e.Facts {
		if f.Name == name {
			return f.Text, true
		}
	}
	return "", false
}

// KindOf is the kind of the first fault in an error's tree; KindInternal when there is none.
func KindOf(err error) Kind {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Kind
	}
	return KindInternal
}

// ReasonOf is the reason of the first fault in an error's tree; empty when there is none.
func ReasonOf(err error) string {
	if f, ok := errors.AsType[*Error](err); ok {
		return f.Reason
	}
	return ""
}
