package journey

import (
	"cmp"
	"testing"

	"github.com/obole-market/obole/pkg/id"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// another is the same market with another buyer, which claims one group and is vetted as of another; empty means its own.
func (f *full) another(claims, group string, minor int64) *full {
	f.t.Helper()
	ctx := f.t.Context()
	market := *f.market
	market.buyer = id.Random()
	other := &full{market: &market, stop: f.stop, run: f.run, databases: f.databases, shipping: f.shipping}
	other.connect()
	_, err := other.bids.RegisterBuyer(ctx, &offersv1.RegisterBuyerRequest{
		BuyerId: other.buyer.String(), GroupId: claims, IdempotencyKey: "r", Entity: &offersv1.LegalEntity{
			LegalEntityId: "TEST-" + other.buyer.String(), LegalName: "Its sister", Country: "BE", Address: "-", DpoContact: "dpo@sister.example",
			PrivacyNoticeUri: "https://sister.example/privacy", ProcessingCountries: []string{"BE"},
		},
		Keys: []*offersv1.BuyerKey{{Id: "k1", Algorithm: other.keys.Algorithm, PublicKey: other.keys.Public, ReceiptKey: other.keys.Receipt}},
	})
	f.must(err)
	vet := &offersv1.VetBuyerRequest{BuyerId: other.buyer.String(), IdempotencyKey: "v" + other.buyer.String()}
	if claims != "" {
		if _, err := f.operator.VetBuyer(ctx, vet); reason(err) != "GROUP_UNCONFIRMED" {
			f.t.Errorf("a buyer is vetted on its own word: %v", err)
		}
	}
	vet.GroupId = cmp.Or(group, other.buyer.String())
	vetted, err := f.operator.VetBuyer(ctx, vet)
	f.must(err)
	got, err := f.operator.GetBuyer(ctx, &offersv1.GetBuyerRequest{BuyerId: other.buyer.String(), After: vetted.GetCursor()})
	f.must(err)
	if b := got.GetBuyer(); b.GetGroupId() != vet.GetGroupId() || b.GetClaimedGroupId() != cmp.Or(claims, other.buyer.String()) {
		f.t.Errorf("of group %s, claiming %s", b.GetGroupId(), b.GetClaimedGroupId())
	}
	_, err = f.finance.Deposit(ctx, &settlementv1.DepositRequest{
		BuyerId: other.buyer.String(), Amount: &moneyv1.Money{Minor: minor, Currency: "EUR"}, Reference: "B" + other.buyer.String()[:8],
		IdempotencyKey: "d" + other.buyer.String(),
	})
	f.must(err)
	return other
}

// funds of the buyer: what is free and what is held.
func (f *full) funds() (free, held int64) {
	f.t.Helper()
	r, err := f.finance.GetFunds(f.t.Context(), &settlementv1.GetFundsRequest{BuyerId: f.buyer.String()})
	f.must(err)
	return r.GetAvailable().GetMinor(), r.GetHeld().GetMinor()
}

// TestAGroupPaysForADayOnce: of two buyers of one group that bid for the same days one gets them and pays, the other gets what is left,
// here nothing, and has its money back; a buyer that only says it is of the group gets and pays for all of them.
func TestAGroupPaysForADayOnce(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	ctx := t.Context()
	f.opens(100_00)
	sister, stranger := f.another("", "", 100_00), f.another(f.buyer.String(), "", 100_00)
	who := walkers(t)
	people := make([]*holder, 5)
	for i := range people {
		people[i] = f.holder()
		_, err := people[i].bring(activity, who[i], april(12, 16))
		f.must(err)
	}
	days := func(of *full, key string) string {
		t.Helper()
		n := of.bid(25, 5)
		n.Terms.Slots, n.Terms.Cadence = april(12, 16), marketv1.Cadence_CADENCE_DAILY
		if of == sister {
			n.Terms.Cadence = marketv1.Cadence_CADENCE_ONCE // it ends by itself when there is nothing
		}
		bid := of.place(n, key)
		of.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
		if of == sister { // the operator finds out while the bid is open
			_, err := f.operator.VetBuyer(ctx, &offersv1.VetBuyerRequest{BuyerId: of.buyer.String(), GroupId: f.buyer.String(), IdempotencyKey: "sister"})
			f.must(err)
		}
		for _, p := range people {
			_, err := p.accept(bid)
			of.must(err)
		}
		return bid
	}
	bought := days(f, "one")
	f.Eventually("five packages for the first", func() bool { return len(f.waiting(bought, prepared)) == 5 })
	again := days(sister, "two")
	other := days(stranger, "three")
	f.Eventually("five packages for the stranger", func() bool { return len(stranger.waiting(other, prepared)) == 5 })
	f.Eventually("the sister's bid to come to nothing", func() bool { return sister.stands(again).GetState() == offersv1.BidState_BID_STATE_DRAINED })
	if list := sister.waiting(again, 0); len(list) != 0 {
		t.Errorf("the sister gets %d packages", len(list))
	}
	for _, of := range []struct {
		*full
		bid string
	}{{f, bought}, {stranger, other}} {
		for _, d := range of.waiting(of.bid, prepared) {
			if m, _ := of.open(d, of.fetch(d, 0), of.signed(d)); m.Rows != 5 {
				t.Errorf("a package of %d days", m.Rows)
			}
		}
	}
	for _, p := range people {
		f.Eventually("ten days' pay for five days of two groups", func() bool { return p.available() == 40 })
		uses, err := p.data.ListUses(ctx, &deliveryv1.ListUsesRequest{SubscriberId: p.id.String()})
		f.must(err)
		seen := map[string]string{}
		for _, use := range uses.GetUses() {
			for _, day := range use.GetSlots() {
				if buyer, twice := seen[use.GetBuyerId()+day]; twice || use.GetBuyerId() == sister.buyer.String() {
					t.Errorf("%s went to %s, and before to %s", day, use.GetBuyerId(), buyer)
				}
				seen[use.GetBuyerId()+day] = use.GetBuyerId()
			}
		}
		if len(seen) != 10 {
			t.Errorf("%d days went out in all", len(seen))
		}
	}
	// 25 slots at 5 cents and 21 % VAT.
	f.Eventually("one group to have paid once", func() bool {
		free, held := f.funds()
		back, none := sister.funds()
		strange, rest := stranger.funds()
		return free+held <= 100_00-125 && free == strange && held == rest && back == 100_00 && none == 0
	})
}
