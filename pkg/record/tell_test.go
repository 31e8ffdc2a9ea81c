package record

import (
	"testing"

	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
)

// TestWhatAPersonGets: beside the buyer's price stands what the person gets of it, rounded as the card and the ledger round.
func TestWhatAPersonGets(t *testing.T) {
	t.Parallel()
	l := &marketv1.Licence{UnitPrice: &moneyv1.UnitPrice{Micros: 50_001, Currency: "EUR"}, CommissionPpm: 200_000, WithholdingPpm: 300_000}
	var e recordv1.Entry
	Licence(&e, l)
	// 10,000 of commission, then 12,000 of what is left, rounded down both.
	if got := e.GetNetPrice(); e.GetUnitPrice().GetMicros() != 50_001 || got.GetMicros() != 28_001 || got.GetCurrency() != "EUR" {
		t.Errorf("of %v the person gets %v", e.GetUnitPrice(), got)
	}
	for _, wrong := range []*marketv1.Licence{{CommissionPpm: 200_000}, {UnitPrice: l.GetUnitPrice(), CommissionPpm: 1_000_001}} {
		var e recordv1.Entry
		if Licence(&e, wrong); e.GetNetPrice() != nil {
			t.Errorf("%v: the person gets %v", wrong, e.GetNetPrice())
		}
	}
}
