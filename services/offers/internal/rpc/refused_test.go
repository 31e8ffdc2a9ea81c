package rpc

import (
	"errors"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// TestABidOfManyFailsAlone: a rule's no is told by its reason; what is none must not be taken for one, and says nothing of its cause.
func TestABidOfManyFailsAlone(t *testing.T) {
	t.Parallel()
	for what, c := range map[string]struct {
		err  error
		want *offersv1.PlacedBid
	}{
		"a no":         {fault.Refuse("TERMS_INVALID", "no"), &offersv1.PlacedBid{Refused: offersv1.Reason_REASON_TERMS_INVALID, Problem: fault.Refuse("TERMS_INVALID", "no").Error()}},
		"not now":      {es.ErrUnavailable.Because(errors.New("a cause")), &offersv1.PlacedBid{Code: uint32(codes.Unavailable)}},
		"too much":     {es.ErrQueueFull, &offersv1.PlacedBid{Code: uint32(codes.ResourceExhausted)}},
		"unclassified": {errors.New("a cause"), &offersv1.PlacedBid{Code: uint32(codes.Internal)}},
	} {
		got := &offersv1.PlacedBid{}
		if refused(t.Context(), got, c.err); !proto.Equal(got, c.want) {
			t.Errorf("%s: %v, not %v", what, got, c.want)
		}
	}
}
