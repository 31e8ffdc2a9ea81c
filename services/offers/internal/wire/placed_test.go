package wire

import (
	"bytes"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
)

// TestAPlacedBidIsWrittenUnderTheMetaOfTheMoment: the writer lends one Meta to event after event, and changes it in between.
func TestAPlacedBidIsWrittenUnderTheMetaOfTheMoment(t *testing.T) {
	t.Parallel()
	placed := &offersv1.BidPlaced{BidId: "b", Quantity: 7}
	meta := &eventv1.Meta{EventId: make([]byte, 16), RecordedAt: 1}
	for _, at := range []int64{1, 1 << 50, 3} {
		meta.RecordedAt = at
		if at == 3 {
			meta.CorrelationId = make([]byte, 16)
		}
		typ, data, err := encodePlaced(bid.Placed{Body: Body(placed)}, &es.Header{Meta: meta})
		if err != nil || typ != "bid_placed" {
			t.Fatal(typ, err)
		}
		m, err := Decode(data)
		if err != nil {
			t.Fatal(err)
		}
		if !proto.Equal(m.GetMeta(), meta) || !proto.Equal(m.GetBidPlaced(), placed) {
			t.Errorf("it reads as %v", m)
		}
		if body := PlacedBody(data); !bytes.Equal(body, Body(placed)) {
			t.Errorf("its message is %x", body)
		}
		for cut := 1; cut < len(Body(placed)); cut++ {
			if body := PlacedBody(data[:len(data)-cut]); body != nil {
				t.Errorf("without its last %d bytes its message is %x", cut, body)
			}
		}
	}
	other := Marshal(&offersv1.Event{Meta: meta, Event: &offersv1.Event_BidOpened{BidOpened: &offersv1.BidOpened{BidId: "b"}}})
	if body := PlacedBody(other); body != nil {
		t.Errorf("another event's message is %x", body)
	}
}
