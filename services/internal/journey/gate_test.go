package journey

import (
	"bytes"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
)

// listening makes a service listen by itself where its peers look for it, so that it can be started again.
func listening(service string) func(*boot.Config) {
	return func(c *boot.Config) {
		if c.Service == service {
			_ = c.Seams.Listener.Close() // the service will listen there
			c.Listen, c.Seams.Listener = c.Peers[service], nil
		}
	}
}

// delivery finds a delivery as it is now.
func (f *full) delivery(d *deliveryv1.Delivery) *deliveryv1.Delivery {
	f.t.Helper()
	for _, got := range f.waiting(d.GetBidId(), 0) {
		if got.GetDeliveryId() == d.GetDeliveryId() {
			return got
		}
	}
	f.t.Fatal("the delivery is gone")
	return nil
}

// TestTheKeyIsLast: it leaves for nobody while the person has paused or consent is away, goes to the key that the buyer has now, and
// does leave when all is well again.
func TestTheKeyIsLast(t *testing.T) {
	t.Parallel()
	f := openFull(t, listening(consent.Name))
	ctx := t.Context()
	f.opens(100_00)
	who := walkers(t)
	people := map[string]*holder{} // by agreement
	bid := f.place(f.bid(30, 5), "one")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	for i := range 6 {
		p := f.holder()
		_, err := p.bring(activity, who[i], nil)
		f.must(err)
		deal, err := p.accept(bid)
		f.must(err)
		people[deal] = p
	}
	f.Eventually("six packages", func() bool { return len(f.waiting(bid, prepared)) == 6 })
	list := f.waiting(bid, prepared)
	sealed := map[string][]byte{}
	for _, d := range list {
		sealed[d.GetDeliveryId()] = f.fetch(d, 0)
	}
	opens := func(d *deliveryv1.Delivery, key *deliveryv1.SignReceiptResponse) {
		t.Helper()
		if m, rows := f.open(d, sealed[d.GetDeliveryId()], key); m.Rows != 5 {
			t.Errorf("a package opens as\n%s", rows)
		}
	}
	opens(list[0], f.signed(list[0])) // the cohort is confirmed with the first

	// Paused.
	paused := list[1]
	p := people[paused.GetAgreementId()]
	_, err := p.consent.Pause(ctx, &consentv1.PauseRequest{SubscriberId: p.id.String(), AgreementId: paused.GetAgreementId(), IdempotencyKey: "p"})
	f.must(err)
	if key, err := f.packages.SignReceipt(ctx, f.receipt(paused)); reason(err) != "PAUSED" || key.GetSealedKey() != nil {
		t.Errorf("a receipt while paused: %v", err)
	}
	stream, err := f.packages.FetchPackage(ctx, &deliveryv1.FetchPackageRequest{BuyerId: f.buyer.String(), DeliveryId: paused.GetDeliveryId()})
	f.must(err)
	if piece, err := stream.Recv(); reason(err) != "PAUSED" {
		t.Errorf("while paused %d bytes come, %v", len(piece.GetChunk()), err)
	}
	f.Eventually("the receipt and why it brought no key", func() bool {
		d := f.delivery(paused)
		return d.GetState() == deliveryv1.DeliveryState_DELIVERY_STATE_RECEIPTED && d.GetBlocked() == deliveryv1.Reason_REASON_PAUSED
	})
	if earned := p.available(); earned != 0 {
		t.Errorf("%d cents for a key that did not leave", earned)
	}
	_, err = p.consent.Resume(ctx, &consentv1.ResumeRequest{SubscriberId: p.id.String(), AgreementId: paused.GetAgreementId(), IdempotencyKey: "r"})
	f.must(err)
	opens(paused, f.signed(paused))
	f.Eventually("20 cents", func() bool { return p.available() == 20 })

	// Consent is away.
	alone := list[2]
	f.stop[consent.Name]()
	if key, err := f.packages.SignReceipt(ctx, f.receipt(alone)); reason(err) != "CONSENT_UNREACHABLE" || key.GetSealedKey() != nil {
		t.Errorf("a receipt while consent is away: %v", err)
	}
	if stream, err := f.packages.FetchPackage(ctx, &deliveryv1.FetchPackageRequest{BuyerId: f.buyer.String(), DeliveryId: list[3].GetDeliveryId()}); err == nil {
		if piece, err := stream.Recv(); reason(err) != "CONSENT_UNREACHABLE" {
			t.Errorf("while consent is away %d bytes come, %v", len(piece.GetChunk()), err)
		}
	}
	if _, err := p.data.ConnectSource(ctx, &deliveryv1.ConnectSourceRequest{
		SubscriberId: p.id.String(), Importer: "withings-json", Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "more",
	}); status.Code(err) != codes.Unavailable {
		t.Errorf("a source while consent is away: %v", err)
	}
	if l, err := p.offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: p.id.String()}); status.Code(err) != codes.Unavailable {
		t.Errorf("offers while consent is away: %v, %v", l, err)
	}
	for _, e := range f.told() {
		if r := e.GetDeliveryReleased(); r.GetDeliveryId() == alone.GetDeliveryId() {
			t.Error("the log says that the key left")
		}
	}
	f.Start(f.run[consent.Name])
	f.Eventually("consent to be back, and the key", func() bool {
		key, err := f.packages.SignReceipt(ctx, f.receipt(alone))
		if err != nil && reason(err) != "CONSENT_UNREACHABLE" {
			t.Fatal(err)
		}
		if err == nil {
			opens(alone, key)
		}
		return err == nil
	})
	f.Eventually("20 cents for it, once", func() bool { return people[alone.GetAgreementId()].available() == 20 })
	f.rotates(list, opens)
	if err := delivery.Fsck(ctx, f.shipping); err != nil {
		t.Errorf("fsck: %v", err)
	}
	f.stop[delivery.Name]()
	if l, err := p.offers.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: p.id.String()}); status.Code(err) != codes.Unavailable {
		t.Errorf("offers while delivery is away: %v, %v", l, err)
	}
}

// rotates gives the buyer another key: what has not been released opens with that one only, what has stays as it was.
func (f *full) rotates(list []*deliveryv1.Delivery, opens func(*deliveryv1.Delivery, *deliveryv1.SignReceiptResponse)) {
	t := f.t
	t.Helper()
	ctx := t.Context()
	for _, d := range list[3:] {
		if d.GetBuyerKeyId() != "k1" {
			t.Fatalf("a package is for %s", d.GetBuyerKeyId())
		}
	}
	before := f.keys
	early := f.receipt(list[3]) // under the key that goes
	after, err := parcel.NewKeys(parcel.X25519)
	f.must(err)
	_, err = f.bids.RotateKey(ctx, &offersv1.RotateKeyRequest{
		BuyerId: f.buyer.String(), Replaces: "k1", IdempotencyKey: "rotate",
		Key: &offersv1.BuyerKey{Id: "k2", Algorithm: after.Algorithm, PublicKey: after.Public, ReceiptKey: after.Receipt},
	})
	f.must(err)
	f.Eventually("what waits to be for the new key", func() bool {
		for _, d := range list[3:] {
			if f.delivery(d).GetBuyerKeyId() != "k2" {
				return false
			}
		}
		return true
	})
	if got := f.delivery(list[0]).GetBuyerKeyId(); got != "k1" {
		t.Errorf("what was released is for %s now", got)
	}
	// What waits is for the new key now, and whoever has the old one gets nothing for it.
	if key, err := f.packages.SignReceipt(ctx, early); reason(err) != "KEY_UNKNOWN" || key.GetSealedKey() != nil {
		t.Errorf("a receipt under the key that was replaced: %v, %v", key, err)
	}
	told, err := f.bids.GetBuyer(ctx, &offersv1.GetBuyerRequest{BuyerId: f.buyer.String()})
	f.must(err)
	if k := told.GetBuyer().GetKeys(); len(k) != 2 || k[0].GetId() != "k2" || k[0].GetValidTo() != 0 || k[1].GetReplacedBy() != "k2" ||
		k[1].GetValidTo() == 0 || !bytes.Equal(k[1].GetPublicKey(), before.Public) {
		t.Errorf("the keys are told as %v", k)
	}
	ahead := &offersv1.BuyerKey{
		Id: "k3", Algorithm: after.Algorithm, PublicKey: after.Public, ReceiptKey: after.Receipt, ValidFrom: time.Now().Add(time.Hour).UnixMicro(),
	}
	if _, err := f.bids.RotateKey(ctx, &offersv1.RotateKeyRequest{BuyerId: f.buyer.String(), Replaces: "k2", IdempotencyKey: "later", Key: ahead}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a key that would leave a time without any: %v", err)
	}
	f.keys = after
	if _, err := f.packages.SignReceipt(ctx, f.receipt(list[4])); reason(err) != "KEY_UNKNOWN" {
		t.Errorf("a receipt that says that the old key has signed: %v", err)
	}
	forged := f.receipt(list[4])
	forged.KeyId, forged.Signature = "k2", early.GetSignature()
	if _, err := f.packages.SignReceipt(ctx, forged); reason(err) != "SIGNATURE_INVALID" {
		t.Errorf("a receipt signed with another key than it says: %v", err)
	}
	for _, d := range list[3:] {
		receipt := f.receipt(d)
		receipt.KeyId = "k2"
		key, err := f.packages.SignReceipt(ctx, receipt)
		f.must(err)
		if key.GetKeyId() != "k2" {
			t.Errorf("the content key is for %s", key.GetKeyId())
		}
		opens(d, key)
		number, err := id.Parse(d.GetDeliveryId())
		f.must(err)
		if content, err := parcel.OpenKey(before.Algorithm, before.Private, number, key.GetSealedKey()); err == nil {
			t.Errorf("the old key opens it too: %d bytes", len(content))
		}
		again := proto.CloneOf(receipt)
		if second, err := f.packages.SignReceipt(ctx, again); err != nil || bytes.Equal(second.GetSealedKey(), key.GetSealedKey()) {
			t.Errorf("asked again: %v", err)
		}
	}
}

// TestWithdrawnBeforeItWasAConsent: a person accepts and at once withdraws everything, or that one agreement. The acceptance is still on
// its way to consent, and becomes none; its slots are free again.
func TestWithdrawnBeforeItWasAConsent(t *testing.T) {
	t.Parallel()
	m := open(t)
	m.register(100_00)
	bid := m.place(m.bid(25, 5), "one")
	m.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	for n := range 10 {
		p := m.enrol("1990-02-03")
		deal, err := p.accept(bid)
		m.must(err)
		r := &consentv1.WithdrawRequest{SubscriberId: p.id.String(), All: true, IdempotencyKey: "w"}
		if n >= 5 {
			r.All, r.AgreementId = false, deal
		}
		_, err = p.consent.Withdraw(t.Context(), r)
		m.must(err)
		m.Eventually("the consent to be refused, or withdrawn", func() bool {
			s := p.state(deal)
			return s == consentv1.ConsentState_CONSENT_STATE_REFUSED || s == consentv1.ConsentState_CONSENT_STATE_WITHDRAWN
		})
		m.Eventually("its slots to be free", func() bool {
			offers := p.list().GetOffers()
			return len(offers) == 1 && offers[0].GetState() == offersv1.OfferState_OFFER_STATE_PRESENTED
		})
	}
	if b := m.stands(bid); b.GetFilledPpm() != 0 || b.GetCleared() {
		t.Errorf("what was withdrawn fills the bid: %v", b)
	}
	// Five slots each, of 25 in all: all of them are to be had.
	for range 5 {
		_, err := m.enrol("1990-02-03").accept(bid)
		m.must(err)
	}
}
