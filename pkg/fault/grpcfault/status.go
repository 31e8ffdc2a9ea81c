package grpcfault

import (
	"cmp"
	"slices"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/obole-market/obole/pkg/fault"
)

// Domain is the ErrorInfo domain of every reason of ours (google.rpc.ErrorInfo).
const Domain = "obole.market"

// maxFacts is how many facts a status carries at most: its details travel in a header, and servers and proxies commonly
// refuse headers above 8 KiB.
const maxFacts = 32

// maxText is how many bytes of a fact or message travel at most, for the same reason.
const maxText = 160

var codeOf = map[fault.Kind]codes.Code{
	fault.KindInternal:        codes.Internal,
	fault.KindInvalid:         codes.InvalidArgument,
	fault.KindNotFound:        codes.NotFound,
	fault.KindExists:          codes.AlreadyExists,
	fault.KindConflict:        codes.Aborted,
	fault.KindUnauthenticated: codes.Unauthenticated,
	fault.KindDenied:          codes.PermissionDenied,
	fault.KindPrecondition:    codes.FailedPrecondition,
	fault.KindExhausted:       codes.ResourceExhausted,
	fault.KindUnavailable:     codes.Unavailable,
	fault.KindDeadline:        codes.DeadlineExceeded,
	fault.KindCanceled:        codes.Canceled,
	fault.KindUnimplemented:   codes.Unimplemented,
}

var kindOf = func() map[codes.Code]fault.Kind {
	m := map[codes.Code]fault.Kind{codes.OutOfRange: fault.KindInvalid}
	for k, c := range codeOf {
		m[c] = k
	}
	return m
}()

// Code is the gRPC code of a kind.
func Code(k fault.Kind) codes.Code {
	if c, ok := codeOf[k]; ok {
		return c
	}
	return codes.Internal
}

// Status is what a caller in another process may know of a fault; nil is OK. An internal fault is bare.
func Status(f *fault.Error) *status.Status {
	if f == nil {
		return status.New(codes.OK, "")
	}
	code := Code(f.Kind)
	if code == codes.Internal {
		return status.New(code, "internal error")
	}
	msg := f.Msg
	if msg == "" {
		msg = f.Kind.String()
	}
	facts := f.Facts[:min(len(f.Facts), maxFacts)]
	var details []protoadapt.MessageV1
	add := func(m protoadapt.MessageV2) { details = append(details, protoadapt.MessageV1Of(m)) }
	if f.Kind == fault.KindInvalid {
		if len(facts) > 0 {
			bad := &errdetails.BadRequest{}
			for _, x := range facts {
				bad.FieldViolations = append(bad.FieldViolations, &errdetails.BadRequest_FieldViolation{
					Field: clip(x.Name), Description: clip(x.Text), Reason: f.Reason,
				})
			}
			add(bad)
		}
		facts = nil
	}
	if f.Reason != "" || len(facts) > 0 {
		info := &errdetails.ErrorInfo{Reason: f.Reason, Domain: Domain}
		if len(facts) > 0 {
			info.Metadata = make(map[string]string, len(facts))
		}
		for _, x := range facts {
			info.Metadata[clip(x.Name)] = clip(x.Text)
		}
		add(info)
	}
	if f.RetryAfter > 0 {
		add(&errdetails.RetryInfo{RetryDelay: durationpb.New(f.RetryAfter)})
	}
	bare := status.New(code, clip(msg))
	if len(details) == 0 {
		return bare
	}
	full, err := bare.WithDetails(details...)
	if err != nil {
		return bare // text that is not UTF-8 does not travel; code and message do
	}
	return full
}

// From turns what a call returned into a *fault.Error; nil stays nil. Reasons of other domains are ignored. What lies
// behind it is the status itself, so that status.FromError still finds it.
func From(err error) error {
	if err == nil {
		return nil
	}
	s, ok := status.FromError(err)
	if !ok {
		return Classify(err)
	}
	f := &fault.Error{Kind: kindOf[s.Code()], Msg: s.Message()} // a code without kind is KindInternal, the zero
	for _, d := range s.Details() {
		switch d := d.(type) {
		case *errdetails.ErrorInfo:
			if d.GetDomain() != Domain {
				continue
			}
			f.Reason = d.GetReason()
			for name, text := range d.GetMetadata() {
				f.Facts = append(f.Facts, fault.Fact{Name: name, Text: text})
			}
			slices.SortFunc(f.Facts, func(a, b fault.Fact) int { return cmp.Compare(a.Name, b.Name) })
		case *errdetails.BadRequest:
			for _, v := range d.GetFieldViolations() {
				f.Facts = append(f.Facts, fault.Fact{Name: v.GetField(), Text: v.GetDescription()})
			}
		case *errdetails.RetryInfo:
			f.RetryAfter = d.GetRetryDelay().AsDuration()
		}
	}
	return f.Because(err)
}

// clip cuts a text to maxText bytes without splitting a character.
func clip(s string) string {
	if len(s) <= maxText {
		return s
	}
	cut := maxText - len("...")
	for cut > 0 && s[cut]&0xc0 == 0x80 {
		cut--
	}
	return s[:cut] + "..."
}
