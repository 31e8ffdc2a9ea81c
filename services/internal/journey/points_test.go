package journey

import (
	"bytes"
	"strings"
	"testing"

	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery"
)

// TestABatchIsNamedByItsKey: a retry of a batch adds nothing and is told what it came to; the same key with other points, or into another
// source, is refused; another caller's key is another.
func TestABatchIsNamedByItsKey(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	ctx := t.Context()
	h := f.holder()
	_, err := h.bring(activity, participants(t, activity)[0], nil)
	f.must(err)
	own, err := h.data.ListPoints(ctx, &deliveryv1.ListPointsRequest{SubscriberId: h.id.String(), PageSize: 4})
	f.must(err)
	operator := deliveryv1.NewDeliveryServiceClient(f.Dial(delivery.Name, "staff", eventv1.Role_ROLE_OPERATOR))
	connect := func(key string) string {
		r, err := operator.ConnectSource(ctx, &deliveryv1.ConnectSourceRequest{
			SubscriberId: h.id.String(), Importer: "points", Route: deliveryv1.Route_ROUTE_DATA_ACT_5, IdempotencyKey: key,
		})
		f.must(err)
		return r.GetSourceId()
	}
	watch, scales := connect("watch"), connect("scales")
	feed := func(name string) func(source, key string, points ...[]byte) *deliveryv1.PutPointsResponse {
		stream, err := deliveryv1.NewDeliveryServiceClient(f.Dial(delivery.Name, name, eventv1.Role_ROLE_SOURCE)).PutPoints(ctx)
		f.must(err)
		return func(source, key string, points ...[]byte) *deliveryv1.PutPointsResponse {
			t.Helper()
			f.must(stream.Send(&deliveryv1.PutPointsRequest{SubscriberId: h.id.String(), SourceId: source, Points: points, IdempotencyKey: key}))
			r, err := stream.Recv()
			f.must(err)
			return r
		}
	}
	put, p := feed(id.Random().String()), own.GetPoints()
	first := put(watch, "b1", p[0], p[1])
	if first.GetPoints() != 2 || first.GetRefused() != 0 {
		t.Fatalf("a batch came to %v", first)
	}
	if again := put(watch, "b1", p[0], p[1]); again.GetPoints() != 2 || again.GetCursor().GetPosition() != first.GetCursor().GetPosition() {
		t.Errorf("a retry came to %v, the first to %v", again, first)
	}
	for what, r := range map[string]*deliveryv1.PutPointsResponse{
		"other points": put(watch, "b1", p[2], p[3]), "fewer points": put(watch, "b1", p[0]), "another source": put(scales, "b1", p[0], p[1]),
	} {
		if r.GetRefused() != deliveryv1.Reason_REASON_IDEMPOTENCY_CONFLICT || r.GetPoints() != 0 || r.GetCursor() != nil {
			t.Errorf("the same key with %s: %v", what, r)
		}
	}
	if r := put(watch, "b0", p[2], bytes.ReplaceAll(p[3], []byte("2016-"), []byte("2066-"))); r.GetRefused() != deliveryv1.Reason_REASON_ROW_INVALID ||
		r.GetPoints() != 0 || !strings.Contains(r.GetProblem(), "ahead of now") || !strings.Contains(r.GetProblem(), "point 1") {
		t.Errorf("what was measured in fifty years: %v", r)
	}
	if r := put(watch, "b2", p[2], p[3]); r.GetPoints() != 2 || r.GetRefused() != 0 {
		t.Errorf("the stream goes on with %v", r)
	}
	if r := feed(id.Random().String())(watch, "b1", p[1], p[2]); r.GetRefused() != 0 || r.GetRepeatedPoints() != 2 {
		t.Errorf("another caller's batch under the same key: %v", r)
	}
}
