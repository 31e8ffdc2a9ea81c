package consent_test

import (
	"testing"

	"google.golang.org/grpc/codes"

	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
)

// TestAnAttemptOfManyFailsAlone: those beside it, and those after it on the stream, are answered.
func TestAnAttemptOfManyFailsAlone(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	s.enrol("1990-02-03")
	agreement := s.accept(id.Random())
	s.given(agreement)
	stream, err := s.service.ReleaseMany(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ask := func(agreement, attempt id.ID) *consentv1.ReleaseRequest {
		return &consentv1.ReleaseRequest{
			SubscriberId: s.person.String(), AgreementId: agreement.String(), DeliveryId: id.Random().String(), BuyerId: s.buyer.String(), AttemptId: attempt.String(),
		}
	}
	for range 2 {
		var nobody id.ID
		in := &consentv1.ReleaseManyRequest{Releases: []*consentv1.ReleaseRequest{
			ask(agreement, id.Random()), ask(agreement, nobody), ask(id.Random(), id.Random()), ask(agreement, id.Random()),
		}}
		if err := stream.Send(in); err != nil {
			t.Fatal(err)
		}
		out, err := stream.Recv()
		if err != nil {
			t.Fatal(err)
		}
		for i, want := range []*consentv1.Released{
			{}, {Code: uint32(codes.InvalidArgument)}, {Refused: consentv1.Reason_REASON_CONSENT_UNKNOWN}, {},
		} {
			got := out.GetReleases()[i]
			if got.GetAttemptId() != in.GetReleases()[i].GetAttemptId() || got.GetCode() != want.GetCode() || got.GetRefused() != want.GetRefused() ||
				(got.GetPermit() != nil) != (want.GetCode() == 0 && want.GetRefused() == 0) {
				t.Errorf("attempt %d is answered with %v", i, got)
			}
		}
	}
	if err := stream.CloseSend(); err != nil {
		t.Error(err)
	}
}
