package boot

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"net"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
	"google.golang.org/grpc/status"

	"github.com/obole-market/obole/pkg/fault"
)

// Told is what may be said of an error in a log or a trace. Of a fault that is its kind, reason and message; of an error of ours its
// text. Of the errors of others, which may quote the values that they choked on, it is what is theirs alone: a database's SQLSTATE
// and the name of the rule, what a connection was to do and the class of the address, the number of an error, a file; else only its
// type.
func Told(err error) string {
	text, _ := tell(err)
	return text
}

// ours begins the texts of this house's errors: the name of the package that made them.
var ours = regexp.MustCompile(`^(projection \w+|` + strings.Join(speakers, "|") + `): `)

// speakers are the packages that name themselves in their errors, and whose errors a service may log.
var speakers = []string{
	"app", "boot", "bridge", "bus", "catalog", "delivery", "es", "esmem", "espg", "id", "ledger", "login", "mill", "money", "node", "notice", "parcel", "policy", "projection", "react", "record", "rpc",
	"session", "settlement", "site", "source", "store", "token", "upload", "view", "wire",
}

// plain are errors of the standard library whose text is always the same.
var plain = []error{context.Canceled, io.EOF, io.ErrUnexpectedEOF, io.ErrClosedPipe, fs.ErrNotExist, fs.ErrPermission, fs.ErrExist, fs.ErrClosed}

// tell gives an error's text, and whether it is one of ours.
func tell(err error) (text string, our bool) {
	switch e := err.(type) { //nolint:errorlint // each error of the tree is looked at by itself
	case nil:
		return "", false
	case *fault.Error:
		return join(faulty(e), children(e)), true
	case *pgconn.PgError:
		return strings.Join(slices.DeleteFunc([]string{"SQLSTATE " + e.Code, e.TableName, e.ConstraintName}, func(s string) bool { return s == "" }), " "), false
	case *net.OpError:
		return join(strings.TrimSpace(e.Op+" "+e.Net+" "+class(e.Addr)), children(e)), false
	case *fs.PathError:
		return join(e.Op+" "+e.Path, children(e)), false
	case interface{ GRPCStatus() *status.Status }:
		return "grpc " + e.GRPCStatus().Code().String(), false
	}
	if slices.Contains(plain, err) || constant(err) {
		return err.Error(), false
	}
	return composed(err)
}

// faulty is a fault without what lies behind it, with the facts of machinery: what a rule looked at is the caller's matter.
func faulty(e *fault.Error) string {
	text := e.Kind.String() + ": " + e.Msg
	for _, f := range e.Facts {
		if shown[f.Name] && (e.Kind == fault.KindInternal || e.Kind == fault.KindUnavailable) {
			text += " (" + f.Name + ": " + f.Text + ")"
		}
	}
	if e.Reason != "" {
		text += " [" + e.Reason + "]"
	}
	return text
}

// constant says whether the type of an error leaves no room for a text of the moment: it is a number or nothing.
func constant(err error) bool {
	t := reflect.TypeOf(err)
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return reflect.Zero(t).CanInt() || reflect.Zero(t).CanUint() || t.Kind() == reflect.Struct && t.NumField() == 0
}

// composed is an error that was made of a text, of others, or of both. Its own text is kept where it is ours; those in it that are
// not are told as they may be.
func composed(err error) (text string, our bool) {
	inner := children(err)
	own := false
	switch fmt.Sprintf("%T", err) {
	case "*errors.errorString", "*fmt.wrapError", "*fmt.wrapErrors":
		own = true
	case "*errors.joinError":
		return join("", inner), false
	}
	text = err.Error()
	if own && begins(text, inner) {
		// The longest first: one text may be a part of another.
		slices.SortStableFunc(inner, func(a, b error) int { return cmp.Compare(len(b.Error()), len(a.Error())) })
		for _, e := range inner {
			if e.Error() == "" {
				continue
			}
			if !strings.Contains(text, e.Error()) {
				return join("", inner), false // it was written otherwise, who knows how
			}
			text = strings.ReplaceAll(text, e.Error(), Told(e))
		}
		return text, true
	}
	if own && len(inner) > 0 {
		return join("", inner), false
	}
	return join(fmt.Sprintf("%T", err), inner), false
}

// begins says whether a text begins with the name of one of our packages, or with one of our errors.
func begins(text string, inner []error) bool {
	if ours.MatchString(text) {
		return true
	}
	return slices.ContainsFunc(inner, func(e error) bool {
		_, our := tell(e)
		return our && strings.HasPrefix(text, e.Error())
	})
}

// children are the errors right behind one.
func children(err error) []error {
	switch e := err.(type) { //nolint:errorlint // this is how errors unwrap
	case interface{ Unwrap() error }:
		if inner := e.Unwrap(); inner != nil {
			return []error{inner}
		}
	case interface{ Unwrap() []error }:
		return slices.DeleteFunc(slices.Clone(e.Unwrap()), func(e error) bool { return e == nil })
	}
	return nil
}

// join puts what is told of errors behind a text.
func join(text string, inner []error) string {
	parts := make([]string, 0, len(inner)+1)
	if text != "" {
		parts = append(parts, text)
	}
	for _, e := range inner {
		parts = append(parts, Told(e))
	}
	return strings.Join(parts, ": ")
}

// class of an address: never the address itself, which may be a person's.
func class(a net.Addr) string {
	if a == nil {
		return ""
	}
	host, _, err := net.SplitHostPort(a.String())
	if err != nil {
		return ""
	}
	switch ip := net.ParseIP(host); {
	case ip == nil:
		return ""
	case ip.IsLoopback():
		return "(loopback)"
	case ip.IsPrivate() || ip.IsLinkLocalUnicast():
		return "(private)"
	default:
		return "(public)"
	}
}
