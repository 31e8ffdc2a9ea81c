package fault_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/fault"
)

func TestFaultsAreComparedByKindAndReason(t *testing.T) {
	t.Parallel()
	limit := fault.Refuse("LIMIT", "the limit is reached")
	told := fmt.Errorf("deep: %w", limit.And("limit", 3).After(time.Second).Because(errors.New("cause")))
	if !errors.Is(told, limit) || !errors.Is(told, fault.KindPrecondition) {
		t.Error("a fault with facts is not its sentinel any more")
	}
	for _, other := range []error{fault.Refuse("PAUSED", "paused"), fault.NotFound("LIMIT", "none"), fault.KindInvalid} {
		if errors.Is(told, other) {
			t.Errorf("it is taken for %v", other)
		}
	}
	if fault.KindOf(told) != fault.KindPrecondition || fault.ReasonOf(told) != "LIMIT" || fault.KindOf(errors.New("x")) != fault.KindInternal {
		t.Errorf("kind %v, reason %q", fault.KindOf(told), fault.ReasonOf(told))
	}
}

func TestASentinelIsNeverChanged(t *testing.T) {
	t.Parallel()
	s := fault.Refuse("LIMIT", "the limit is reached", fault.Fact{Name: "a", Text: "1"})
	changed := s.And("b", 2).And("a", 9).After(time.Second).Named("OTHER").Because(errors.New("x"))
	if len(s.Facts) != 1 || s.Facts[0].Text != "1" || s.RetryAfter != 0 || s.Reason != "LIMIT" || s.Unwrap() != nil {
		t.Errorf("the sentinel is now %#v", s)
	}
	if v, ok := changed.Fact("a"); !ok || v != "9" || len(changed.Facts) != 2 {
		t.Errorf("one fact per name: %v", changed.Facts)
	}
}

func TestAMessageSaysWhatToMend(t *testing.T) {
	t.Parallel()
	for want, err := range map[string]error{
		"the request is invalid (bid.quantity: must be at least 1)": fault.Invalid("bid.quantity", "must be at least 1"),
		"the limit is reached (limit: 3) [LIMIT]":                   fault.Refuse("LIMIT", "the limit is reached").And("limit", 3),
	} {
		if err.Error() != want {
			t.Errorf("%q, want %q", err.Error(), want)
		}
	}
}
