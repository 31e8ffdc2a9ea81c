package journey

import (
	"testing"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// TestTheFirstKeyFindsItsCohort: a buyer asks for a key while enough people are in its bid, and is refused for another reason. When it asks
// for the next one too few are left, and no key of the bid has left yet: none does.
func TestTheFirstKeyFindsItsCohort(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	ctx := t.Context()
	list, _, people := f.packed() // six, in a bid for at least five
	paused := people[list[0].GetAgreementId()]
	_, err := paused.consent.Pause(ctx, &consentv1.PauseRequest{SubscriberId: paused.id.String(), All: true, IdempotencyKey: "p"})
	f.must(err)
	f.Eventually("the gate to refuse", func() bool {
		key, err := f.packages.SignReceipt(ctx, f.receipt(list[0]))
		if err == nil {
			t.Fatalf("a paused person's key left: %v", key)
		}
		return reason(err) == "PAUSED"
	})
	for _, d := range list[1:3] {
		f.withdraws(people[d.GetAgreementId()], d)
	}
	_, err = paused.consent.Resume(ctx, &consentv1.ResumeRequest{SubscriberId: paused.id.String(), All: true, IdempotencyKey: "r"})
	f.must(err)
	if key, err := f.packages.SignReceipt(ctx, f.receipt(list[3])); reason(err) != "COHORT_MISSED" || key.GetSealedKey() != nil {
		t.Errorf("the first key, with four of five people left: %v", err)
	}
	f.comesTo(list[0].GetBidId(), offersv1.BidState_BID_STATE_DRAINED)
	f.Eventually("the money to come back", func() bool {
		funds, err := f.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: f.buyer.String()})
		f.must(err)
		return funds.GetHeld().GetMinor() == 0 && funds.GetAvailable().GetMinor() == 100_00
	})
	for _, e := range f.told() {
		if r := e.GetDeliveryReleased(); r != nil {
			t.Errorf("delivery %s was released", r.GetDeliveryId())
		}
	}
}

// TestAfterTheFirstKeyTheOthersFollow: once a key has left while the cohort was there, those who stay are not held up by those who go.
func TestAfterTheFirstKeyTheOthersFollow(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	list, _, people := f.packed()
	f.signed(list[0])
	for _, d := range list[1:4] {
		f.withdraws(people[d.GetAgreementId()], d)
	}
	f.signed(list[4])
	f.signed(list[5])
}
