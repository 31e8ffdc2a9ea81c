package rpc

import (
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// TestAHeldAcceptanceOpensWithItsPersonsKeysAlone: what is held of an acceptance answers without the tables, as often as it is asked for, and
// answers nobody any more once the person is forgotten.
func TestAHeldAcceptanceOpensWithItsPersonsKeysAlone(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	keks, err := vault.NewKEKs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	keys := vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks})
	person, deal, event, when := id.Random(), id.Random(), id.Random(), time.Date(2026, 4, 12, 9, 0, 0, 0, time.UTC)
	ring, err := keys.Ring(ctx, person)
	if err != nil {
		t.Fatal(err)
	}
	number := bid.ID{ID: id.Random()}
	offer := bid.OfferOf(number, bid.SubscriberID{ID: person})
	accepted := bid.Accepted{
		Bid: number, Offer: offer, Subscriber: bid.SubscriberID{ID: person}, Agreement: bid.AgreementID{ID: deal}, Slots: 5, AnswerDue: when,
		Licence: wire.Licence(&marketv1.Licence{AgreementId: deal.String(), Country: "FR", SlotsReserved: 5}), ExplicitStep: when,
	}
	h := &es.Header{
		ID: event, Stream: wire.Stream(bid.On{Bid: number, Offer: offer}), Version: 2, At: when,
		Meta: &eventv1.Meta{EventId: event[:], RecordedAt: when.UnixMicro()},
	}
	typ, data, err := wire.Bids().Encode(accepted, h, ring)
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{Keys: keys, Accepted: lru.New[id.ID, es.Record](1)}
	s.Accepted.Put(deal, es.Record{ID: event, Stream: h.Stream, Version: h.Version, Type: typ, Data: data})
	for range 2 { // opening it leaves it sealed
		r, err := s.GetLicence(ctx, &offersv1.GetLicenceRequest{AgreementId: deal.String()})
		if err != nil || r.GetLicence().GetCountry() != "FR" || r.GetExplicitStepAt() != when.UnixMicro() {
			t.Fatalf("the licence is %v, %v", r, err)
		}
	}
	if err := keys.Forget(ctx, person, eventv1.Retention_RETENTION_CONSENT_PROOF); err != nil {
		t.Fatal(err)
	}
	if r, err := s.GetLicence(ctx, &offersv1.GetLicenceRequest{AgreementId: deal.String()}); err == nil {
		t.Errorf("a forgotten person's licence is told: %v", r)
	}
}
