package grpcfault

import (
	"context"
	"errors"
	"slices"

	"buf.build/go/protovalidate"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/obole-market/obole/pkg/fault"
)

// meaning is what an error of a package that does not speak in faults means to a caller. Nothing of its own text is used.
type meaning struct {
	err error
	is  *fault.Error
}

var sentinels = slices.Concat(engine, []meaning{
	{context.DeadlineExceeded, fault.Deadline("the deadline passed before an answer")},
	{context.Canceled, fault.New(fault.KindCanceled, "", "the caller went away")},
})

// Classify says what an error is to a caller; nil stays nil. In this order: a fault in its tree; a violation of the
// contract's rules; a sentinel of package es or context; a status of gRPC itself. All else is KindInternal, and so is an
// es.ErrDefect or es.ErrData: log these, the error lies behind the fault.
func Classify(err error) *fault.Error {
	if err == nil {
		return nil
	}
	if f, ok := errors.AsType[*fault.Error](err); ok {
		return f
	}
	if v, ok := errors.AsType[*protovalidate.ValidationError](err); ok {
		return violations(v).Because(err)
	}
	for _, s := range sentinels {
		if errors.Is(err, s.err) {
			return s.is.Because(err)
		}
	}
	// Only what gRPC says of the connection or the method is passed on: any other status is somebody else's answer to
	// another question.
	if s, ok := status.FromError(err); ok {
		if slices.Contains([]codes.Code{codes.Unimplemented, codes.Unavailable, codes.Canceled, codes.DeadlineExceeded, codes.ResourceExhausted}, s.Code()) {
			kind := kindOf[s.Code()]
			return fault.New(kind, "", kind.String()).Because(err)
		}
	}
	return fault.Internal("unclassified").Because(err)
}

// violations names each field once, with the first rule that it breaks.
func violations(v *protovalidate.ValidationError) *fault.Error {
	f := fault.New(fault.KindInvalid, "", "the request is invalid")
	for _, x := range v.Violations {
		path := protovalidate.FieldPathString(x.Proto.GetField())
		if _, known := f.Fact(path); known {
			continue
		}
		text := x.Proto.GetMessage()
		if text == "" {
			text = "breaks the rule " + x.Proto.GetRuleId()
		}
		f.Facts = append(f.Facts, fault.Fact{Name: path, Text: text})
	}
	return f
}
