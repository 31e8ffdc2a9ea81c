package grpcfault_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
)

func TestAFaultComesBackAsItWas(t *testing.T) {
	t.Parallel()
	for _, f := range []*fault.Error{
		fault.Invalid("bid.quantity", "must be at least 1"),
		fault.Refuse("LIMIT", "the limit is reached", fault.Fact{Name: "limit", Text: "3"}),
		fault.NotFound("BID_UNKNOWN", "there is no such bid"),
		fault.Conflict("IDEMPOTENCY_CONFLICT", "another request"),
		fault.Denied("NOT_OWNER", "it is not yours"),
		fault.Exhausted("RATE_EXCEEDED", "too often").After(3 * time.Second),
		fault.Unauthenticated("nobody known"),
	} {
		back, ok := errors.AsType[*fault.Error](grpcfault.From(grpcfault.Status(f).Err()))
		if !ok || back.Kind != f.Kind || back.Reason != f.Reason || back.RetryAfter != f.RetryAfter || len(back.Facts) != len(f.Facts) {
			t.Errorf("%#v came back as %#v", f, back)
		}
	}
}

func TestWhatNobodyClassifiedIsBare(t *testing.T) {
	t.Parallel()
	secret := errors.New("pq: password authentication failed for user anna")
	f := grpcfault.Classify(fmt.Errorf("while saving: %w", secret))
	s := grpcfault.Status(f)
	if s.Code() != codes.Internal || s.Message() != "internal error" && s.Message() != "unclassified" || len(s.Details()) != 0 {
		t.Errorf("a driver's error is told as %v: %q %v", s.Code(), s.Message(), s.Details())
	}
	if !errors.Is(f, secret) {
		t.Error("whoever logs the fault cannot see its cause")
	}
}

func TestSentinelsOfTheLog(t *testing.T) {
	t.Parallel()
	for err, want := range map[error]fault.Kind{
		es.ErrQueueFull: fault.KindExhausted, es.ErrUnavailable: fault.KindUnavailable, es.ErrUnknownArm: fault.KindUnavailable,
		es.ErrIncarnation: fault.KindUnavailable, context.DeadlineExceeded: fault.KindDeadline, context.Canceled: fault.KindCanceled,
		status.Error(codes.Unavailable, "connection refused"): fault.KindUnavailable, es.ErrDefect: fault.KindInternal,
	} {
		if got := grpcfault.Classify(fmt.Errorf("deep: %w", err)).Kind; got != want {
			t.Errorf("%v is %v, want %v", err, got, want)
		}
	}
}
