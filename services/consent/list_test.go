package consent_test

import (
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
)

// TestConsentsAreFoundByTheirEnd: those that end soon, one by its agreement; since when one is paused, and what ended it.
func TestConsentsAreFoundByTheirEnd(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	ctx := t.Context()
	s.enrol("1990-02-03")
	agreement, other := s.accept(id.Random()), s.accept(id.Random()) // both for an hour
	s.given(agreement)
	s.given(other)
	list := func(r *consentv1.ListConsentsRequest) []*consentv1.Consent {
		t.Helper()
		r.SubscriberId = s.person.String()
		out, err := s.me.ListConsents(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		return out.GetConsents()
	}
	if n := len(list(&consentv1.ListConsentsRequest{EndsBefore: time.Now().Add(2 * time.Hour).UnixMicro()})); n != 2 {
		t.Errorf("%d end within two hours", n)
	}
	if n := len(list(&consentv1.ListConsentsRequest{EndsBefore: time.Now().Add(time.Minute).UnixMicro()})); n != 0 {
		t.Errorf("%d end within a minute", n)
	}
	one := func() *consentv1.Consent {
		t.Helper()
		c := list(&consentv1.ListConsentsRequest{AgreementId: agreement.String()})
		if len(c) != 1 || c[0].GetAgreementId() != agreement.String() {
			t.Fatalf("by its agreement there is %v", c)
		}
		return c[0]
	}
	if c := one(); c.GetPausedAt() != 0 || c.GetEnded() != nil {
		t.Errorf("it lives as %v", c)
	}
	paused, err := s.me.Pause(ctx, &consentv1.PauseRequest{SubscriberId: s.person.String(), AgreementId: agreement.String(), IdempotencyKey: "p"})
	if err != nil {
		t.Fatal(err)
	}
	s.Eventually("the pause", func() bool { return one().GetPausedAt() == paused.GetEffectiveAt() })
	if _, err := s.me.Resume(ctx, &consentv1.ResumeRequest{SubscriberId: s.person.String(), AgreementId: agreement.String(), IdempotencyKey: "r"}); err != nil {
		t.Fatal(err)
	}
	s.Eventually("the pause to end", func() bool { return one().GetPausedAt() == 0 })
	ended, err := s.me.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: s.person.String(), AgreementId: agreement.String(), IdempotencyKey: "w"})
	if err != nil {
		t.Fatal(err)
	}
	s.Eventually("what ended it", func() bool {
		e := one().GetEnded()
		return e.GetPosition() == ended.GetCursor().GetPosition() && e.GetPartition() == ended.GetCursor().GetPartition()
	})
	if n := len(list(&consentv1.ListConsentsRequest{EndsBefore: time.Now().Add(2 * time.Hour).UnixMicro()})); n != 1 {
		t.Errorf("%d end within two hours, and one has ended", n)
	}
}
