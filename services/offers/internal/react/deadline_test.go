package react_test

import (
	"slices"
	"testing"

	"github.com/obole-market/obole/pkg/projection"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// TestWhatIsDueIsDecided: money that nobody said anything of, an acceptance that consent did not answer and a window that is over end what
// waits for them, and nothing that has gone on meanwhile.
func TestWhatIsDueIsDecided(t *testing.T) {
	t.Parallel()
	own, of := string(wire.Stream(bid.On{Bid: number})), string(wire.Stream(bid.On{Bid: number, Offer: offer}))
	placed, open := []string{"bid_placed.2"}, []string{"bid_placed.2", "bid_opened"}
	cleared := append(slices.Clone(open), "bid_cleared")
	accepted := append(slices.Clone(open), "offer_presented.2", "offer_accepted.2")
	formed := append(slices.Clone(accepted), "agreement_formed.2")
	type want []func(*offersv1.Event) bool
	rejected := func(m *offersv1.Event) bool {
		return m.GetBidRejected().GetBidId() == number.String() && m.GetBidRejected().GetReason() == offersv1.Reason_REASON_HOLD_TIMEOUT
	}
	closed := func(why offersv1.CloseReason) func(*offersv1.Event) bool {
		return func(m *offersv1.Event) bool {
			return m.GetBidClosed().GetBidId() == number.String() && m.GetBidClosed().GetReason() == why
		}
	}
	drained := func(m *offersv1.Event) bool { return m.GetBidDrained().GetBidId() == number.String() }
	for name, tc := range map[string]struct {
		kind, stream string
		was          []string
		want         want
	}{
		"no word of the money": {"hold", own, placed, want{rejected}},
		"held meanwhile":       {"hold", own, open, nil},
		"nobody has answered": {"answer", of, accepted, want{func(m *offersv1.Event) bool {
			v := m.GetOfferVoided()
			return v.GetAgreementId() == named("agreement").String() && v.GetOfferId() == offer.String() && v.GetReason() == "TIMEOUT" && v.GetSlots() == 5 && !v.GetConsented()
		}}},
		"answered meanwhile":            {"answer", of, formed, nil},
		"never accepted":                {"answer", of, open, nil},
		"its time is over":              {"window", own, cleared, want{closed(offersv1.CloseReason_CLOSE_REASON_EXPIRED), drained}},
		"over before its cohort":        {"window", own, open, want{closed(offersv1.CloseReason_CLOSE_REASON_COHORT_MISSED), drained}},
		"over while something is open":  {"window", own, accepted, want{closed(offersv1.CloseReason_CLOSE_REASON_COHORT_MISSED)}},
		"over before there was money":   {"window", own, placed, want{rejected}},
		"over when it had ended anyway": {"window", own, append(slices.Clone(open), "bid_closed"), nil},
	} {
		s := begin(t, tc.was...)
		fire := func() error {
			return s.reactor.Due(t.Context(), projection.Deadline{Stream: tc.stream, Kind: tc.kind, Due: s.at})
		}
		got := s.comesOf(fire)
		right := len(got) == len(tc.want)
		for i := range tc.want {
			right = right && tc.want[i](got[i])
		}
		if !right {
			t.Errorf("%s: it came to %v", name, got)
		}
		if again := s.comesOf(fire); len(again) != 0 {
			t.Errorf("%s: fired twice it came to %v more", name, again)
		}
	}
	s := begin(t, open...)
	for _, d := range []projection.Deadline{
		{Stream: own, Kind: "answer"}, {Stream: of, Kind: "window"}, {Stream: of, Kind: "hold"}, {Stream: own, Kind: "lapse"}, {Stream: "x" + own[1:], Kind: "window"},
	} {
		if err := s.reactor.Due(t.Context(), d); err == nil {
			t.Errorf("%s of %s was decided", d.Kind, d.Stream)
		}
	}
}
