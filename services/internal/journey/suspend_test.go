package journey

import (
	"errors"
	"io"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	logv1 "github.com/obole-market/obole/proto/gen/obole/log/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// words are what the gate was told of the buyer and obeyed: versions of its stream at offers, negative where they unbar.
func (m *market) words() (list []int64) {
	m.t.Helper()
	log := logv1.NewLogServiceClient(m.Dial(consent.Name, "audit", eventv1.Role_ROLE_AUDITOR))
	for part := range int32(worldtest.Partitions) {
		stream, err := log.ReadLog(m.t.Context(), &logv1.ReadLogRequest{Partition: part})
		m.must(err)
		for {
			r, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			m.must(err)
			for _, stored := range r.GetEvents() {
				e := new(consentv1.Event)
				m.must(proto.Unmarshal(stored.GetData(), e))
				switch {
				case e.GetBuyerBarred() != nil:
					list = append(list, e.GetBuyerBarred().GetBuyerVersion())
				case e.GetBuyerUnbarred() != nil:
					list = append(list, -e.GetBuyerUnbarred().GetBuyerVersion())
				}
			}
		}
	}
	return list
}

// TestASuspensionIsOneWordByTwoWays: by call and by topic the gate is told the same word, so what comes late by one way never undoes what
// came by the other.
func TestASuspensionIsOneWordByTwoWays(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	m.register(1_00) // versions 1 and 2: registered, vetted
	suspend := func(key string) {
		_, err := m.operator.SuspendBuyer(ctx, &offersv1.SuspendBuyerRequest{BuyerId: m.buyer.String(), Reason: "FRAUD", IdempotencyKey: key})
		m.must(err)
	}
	reinstate := func(key string) {
		_, err := m.operator.ReinstateBuyer(ctx, &offersv1.ReinstateBuyerRequest{BuyerId: m.buyer.String(), IdempotencyKey: key})
		m.must(err)
	}
	suspend("3")
	suspend("3 again")
	reinstate("4")
	suspend("5")
	m.Eventually("the second suspension", func() bool { return slices.Contains(m.words(), 5) })
	reinstate("6")
	m.Eventually("the newest word", func() bool { return slices.Contains(m.words(), -6) })
	last := int64(0)
	for _, w := range m.words() {
		if w = max(w, -w); w <= last {
			t.Errorf("the gate obeyed %d after %d", w, last)
		}
		last = max(w, last)
	}
}
