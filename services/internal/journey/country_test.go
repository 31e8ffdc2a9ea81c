package journey

import (
	"errors"
	"testing"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/offers"
)

// wrong is the field that a refusal names.
func wrong(err error) string {
	if f, ok := errors.AsType[*fault.Error](grpcfault.From(err)); ok && f.Kind == fault.KindInvalid && len(f.Facts) > 0 {
		return f.Facts[0].Name
	}
	return ""
}

// TestCountriesAndLanguages: those that there are not are refused where they are said; in a country whose law the market does not know,
// people may join and companies register, and neither is paid or pays.
func TestCountriesAndLanguages(t *testing.T) {
	t.Parallel()
	m := open(t)
	ctx := t.Context()
	keys, err := parcel.NewKeys(parcel.X25519)
	m.must(err)
	register := &offersv1.RegisterBuyerRequest{
		BuyerId: m.buyer.String(), IdempotencyKey: "r", Entity: &offersv1.LegalEntity{
			LegalEntityId: "TEST-" + m.buyer.String(), LegalName: "From afar", DpoContact: "dpo@afar.example", PrivacyNoticeUri: "https://afar.example/privacy",
		},
		Keys: []*offersv1.BuyerKey{{Id: "k1", Algorithm: keys.Algorithm, PublicKey: keys.Public, ReceiptKey: keys.Receipt}},
	}
	for _, tc := range []struct {
		seat       string
		processing []string
		field      string
	}{
		{"UK", []string{"BE"}, "entity.country"},
		{"us", []string{"BE"}, "entity.country"},
		{"US", []string{"BE", "EU"}, "entity.processing_countries[1]"},
		{"US", nil, "entity.processing_countries"},
		{"US", []string{"BE", "BE"}, "entity.processing_countries"},
		{"US", []string{"BE"}, ""},
	} {
		register.Entity.Country, register.Entity.ProcessingCountries = tc.seat, tc.processing
		if _, err := m.bids.RegisterBuyer(ctx, register); wrong(err) != tc.field || (err == nil) != (tc.field == "") {
			t.Errorf("a buyer of %s, processing in %v: %v", tc.seat, tc.processing, err)
		}
	}
	_, err = m.operator.VetBuyer(ctx, &offersv1.VetBuyerRequest{BuyerId: m.buyer.String(), IdempotencyKey: "v"})
	m.must(err)
	tried, err := m.bids.TryBid(ctx, &offersv1.TryBidRequest{Bid: m.bid(10, 5)})
	m.must(err)
	if p := tried.GetProblems(); len(p) != 1 || p[0].GetField() != "bid.buyer_id" {
		t.Errorf("a bid from a country without a pack: %v", p)
	}

	who := id.Random()
	me := consentv1.NewConsentServiceClient(m.Dial(consent.Name, who.String(), eventv1.Role_ROLE_SUBSCRIBER))
	enrol := &consentv1.EnrolRequest{SubscriberId: who.String(), Country: "US", Language: "en-US", BirthDate: "1990-02-03", IdempotencyKey: "e"}
	for field, change := range map[string]func(){
		"country":  func() { enrol.Country = "UK" },
		"language": func() { enrol.Language = "American" },
	} {
		was := [2]string{enrol.GetCountry(), enrol.GetLanguage()}
		change()
		if _, err := me.Enrol(ctx, enrol); wrong(err) != field {
			t.Errorf("%s %s: %v", enrol.GetCountry(), enrol.GetLanguage(), err)
		}
		enrol.Country, enrol.Language = was[0], was[1]
	}
	_, err = me.Enrol(ctx, enrol)
	m.must(err)
	mine := offersv1.NewOffersServiceClient(m.Dial(offers.Name, who.String(), eventv1.Role_ROLE_SUBSCRIBER))
	list, err := mine.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: who.String()})
	if err != nil || list.GetNotEligible() != offersv1.Reason_REASON_NOT_ELIGIBLE || len(list.GetOffers()) != 0 {
		t.Errorf("offers where the law is not known: %v, %v", list, err)
	}
	if _, err := mine.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: who.String(), Language: "American"}); wrong(err) != "language" {
		t.Errorf("cards in a language that is none: %v", err)
	}
}
