package record

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// silent are events that carry no person's id in clear: those of a person's streams, whose earlier events do, and those that are about
// nobody.
var silent = map[string]bool{
	// About the person whose the stream is.
	"offers/agreement_finished":    true,
	"delivery/agreement_cleared":   true,
	"delivery/slots_awaited":       true,
	"delivery/package_resealed":    true,
	"delivery/receipt_signed":      true,
	"delivery/delivery_blocked":    true,
	"delivery/delivery_lapsed":     true,
	"delivery/delivery_disputed":   true,
	"delivery/dispute_resolved":    true,
	"delivery/deletion_ordered":    true,
	"delivery/deletion_attested":   true,
	"settlement/earmark_ended":     true,
	"settlement/payout_instructed": true,
	"settlement/payout_settled":    true,
	"settlement/payout_returned":   true,
	// About nobody.
	"consent/buyer_barred": false, "consent/buyer_unbarred": false,
	"offers/buyer_registered": false, "offers/buyer_vetted": false, "offers/buyer_suspended": false, "offers/buyer_reinstated": false,
	"offers/buyer_key_rotated": false, "offers/bid_placed": false, "offers/bid_opened": false, "offers/bid_rejected": false,
	"offers/bid_price_raised": false, "offers/bid_cleared": false, "offers/cohort_confirmed": false, "offers/bid_withdrawn": false,
	"offers/bid_closed": false, "offers/bid_drained": false,
	"settlement/funds_deposited": false, "settlement/funds_held": false, "settlement/hold_refused": false, "settlement/hold_released": false,
	"settlement/period_closed": false,
}

// TestEveryEventSaysWhomItIsAbout: each arm of the contract leads to a person, or is known not to.
func TestEveryEventSaysWhomItIsAbout(t *testing.T) {
	t.Parallel()
	used := 0
	for service, event := range map[string]proto.Message{
		"offers": (*offersv1.Event)(nil), "consent": (*consentv1.Event)(nil), "delivery": (*deliveryv1.Event)(nil), "settlement": (*settlementv1.Event)(nil),
	} {
		desc := event.ProtoReflect().Descriptor()
		whose := paths(desc)
		arms := desc.Oneofs().ByName("event").Fields()
		for i := range arms.Len() {
			arm := arms.Get(i)
			name := service + "/" + string(arm.Name())
			p, says := whose[string(arm.Name())]
			if _, known := silent[name]; known {
				used++
				if says {
					t.Errorf("%s says whom it is about", name)
				}
				continue
			}
			if !says {
				t.Errorf("%s does not say whom it is about", name)
				continue
			}
			// An event with nothing but the id gives it back, also behind a part that is to be passed over.
			m := event.ProtoReflect().New()
			m.Set(desc.Fields().ByName("meta"), protoreflect.ValueOfMessage((&eventv1.Meta{EventId: make([]byte, 16), RecordedAt: 7}).ProtoReflect()))
			at := m
			for j, number := range p {
				f := at.Descriptor().Fields().ByNumber(number)
				if j == len(p)-1 {
					at.Set(f, protoreflect.ValueOfString("somebody"))
				} else {
					at = at.Mutable(f).Message()
				}
			}
			data, err := proto.Marshal(m.Interface())
			if err != nil {
				t.Fatal(err)
			}
			if got, err := p.of(data); err != nil || got != "somebody" {
				t.Errorf("%s: %q, %v", name, got, err)
			}
			if _, err := p.of(data[:len(data)-1]); err == nil {
				t.Errorf("%s: cut short, it is read all the same", name)
			}
		}
	}
	if used != len(silent) {
		t.Errorf("%d of %d silent events are in the contract", used, len(silent))
	}
}
