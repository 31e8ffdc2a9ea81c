package record

import (
	"fmt"
	"strings"

	"github.com/obole-market/obole/pkg/money"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	recordv1 "github.com/obole-market/obole/proto/gen/obole/record/v1"
)

// Licence puts what was agreed into an entry.
func Licence(e *recordv1.Entry, l *marketv1.Licence) {
	if l == nil {
		return // it is forgotten
	}
	e.AgreementId, e.OfferId, e.BidId, e.BuyerId = l.GetAgreementId(), l.GetOfferId(), l.GetBidId(), l.GetBuyerId()
	e.Product, e.Purpose, e.Fields, e.Days = l.GetProduct(), l.GetPurpose(), l.GetFields(), l.GetSlots()
	e.UnitPrice, e.Slots, e.CardSha256 = l.GetUnitPrice(), l.GetSlotsReserved(), l.GetCardSha256()
	e.NetPrice = Net(l.GetUnitPrice(), l.GetCommissionPpm(), l.GetWithholdingPpm())
}

// Net is what a person gets of a slot at the rates of their card, in millionths; nil where that cannot be said.
func Net(price *moneyv1.UnitPrice, commissionPPM, withholdingPPM uint32) *moneyv1.UnitPrice {
	parts, err := money.Divide(price.GetMicros(), int64(commissionPPM), int64(withholdingPPM))
	if price == nil || err != nil {
		return nil
	}
	return &moneyv1.UnitPrice{Micros: parts.Net, Currency: price.GetCurrency()}
}

// Reason is the name of an enum's value without its prefix, as in "REASON_"; empty where it is unset.
func Reason(value fmt.Stringer, prefix string) string {
	name := strings.TrimPrefix(value.String(), prefix)
	if name == "UNSPECIFIED" {
		return ""
	}
	return name
}
