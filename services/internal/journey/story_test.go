package journey

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers"
	"github.com/obole-market/obole/services/settlement"
)

// full is the four services at work, with a buyer who can open what it buys.
type full struct {
	*market
	keys     parcel.Keys
	packages deliveryv1.DeliveryServiceClient
	stop     map[string]func()
	run      map[string]func(context.Context) error
	// databases are the services' by name.
	databases map[string]string
	shipping  delivery.Config
}

// openFull runs the four services; change, if any, alters each one's configuration.
func openFull(t testing.TB, change ...func(*boot.Config)) *full {
	t.Helper()
	return openOn(t, worldtest.New(t), change...)
}

// openOn is openFull in surroundings of the test's own.
func openOn(t testing.TB, w *worldtest.World, change ...func(*boot.Config)) *full {
	t.Helper()
	ctx := t.Context()
	f := &full{market: &market{World: w, t: t, buyer: id.Random()}, stop: map[string]func(){}, databases: map[string]string{}}
	config := func(service string) boot.Config {
		c := f.Config(service)
		for _, do := range change {
			do(&c)
		}
		f.databases[service] = c.Database.URL
		return c
	}
	f.offers = offers.Config{Config: config(offers.Name)}
	consenting, settling := consent.Config{Config: config(consent.Name)}, settlement.Config{Config: config(settlement.Name)}
	f.shipping = delivery.Config{Config: config(delivery.Name)}
	for _, err := range []error{
		offers.Migrate(ctx, f.offers), consent.Migrate(ctx, consenting), settlement.Migrate(ctx, settling), delivery.Migrate(ctx, f.shipping),
	} {
		f.must(err)
	}
	f.run = map[string]func(context.Context) error{
		settlement.Name: func(ctx context.Context) error { return settlement.Run(ctx, settling) },
		consent.Name:    func(ctx context.Context) error { return consent.Run(ctx, consenting) },
		offers.Name:     func(ctx context.Context) error { return offers.Run(ctx, f.offers) },
		delivery.Name:   func(ctx context.Context) error { return delivery.Run(ctx, f.shipping) },
	}
	for name, run := range f.run {
		f.stop[name] = f.Start(run)
	}
	f.connect()
	return f
}

// connect dials the services as those who use them.
func (f *full) connect() {
	f.t.Helper()
	f.operator = offersv1.NewOffersServiceClient(f.Dial(offers.Name, "staff", eventv1.Role_ROLE_OPERATOR))
	f.bids = offersv1.NewOffersServiceClient(f.Dial(offers.Name, f.buyer.String(), eventv1.Role_ROLE_BUYER))
	f.finance = settlementv1.NewSettlementServiceClient(f.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE))
	f.packages = deliveryv1.NewDeliveryServiceClient(f.Dial(delivery.Name, f.buyer.String(), eventv1.Role_ROLE_BUYER))
	var err error
	f.keys, err = parcel.NewKeys(parcel.X25519)
	f.must(err)
}

// opens registers the buyer, with this much money.
func (f *full) opens(minor int64) {
	f.t.Helper()
	f.registers()
	_, err := f.finance.Deposit(f.t.Context(), &settlementv1.DepositRequest{
		BuyerId: f.buyer.String(), Amount: &moneyv1.Money{Minor: minor, Currency: "EUR"}, Reference: "B" + f.buyer.String()[:8], IdempotencyKey: "d",
	})
	f.must(err)
}

// registers opens the buyer's account with keys that work, and has it vetted.
func (f *full) registers() {
	f.t.Helper()
	ctx := f.t.Context()
	_, err := f.bids.RegisterBuyer(ctx, &offersv1.RegisterBuyerRequest{
		BuyerId: f.buyer.String(), IdempotencyKey: "r", Entity: &offersv1.LegalEntity{
			LegalEntityId: "TEST-" + f.buyer.String(), LegalName: "A sleep study", Country: "BE", Address: "-", DpoContact: "dpo@study.example",
			PrivacyNoticeUri: "https://study.example/privacy", ProcessingCountries: []string{"BE"},
		},
		Keys: []*offersv1.BuyerKey{{Id: "k1", Algorithm: f.keys.Algorithm, PublicKey: f.keys.Public, ReceiptKey: f.keys.Receipt}},
	})
	f.must(err)
	_, err = f.operator.VetBuyer(ctx, &offersv1.VetBuyerRequest{BuyerId: f.buyer.String(), IdempotencyKey: "v"})
	f.must(err)
}

// holder is a person with measurements.
type holder struct {
	*person
	data   deliveryv1.DeliveryServiceClient
	source string
}

func (f *full) holder() *holder {
	f.t.Helper()
	h := &holder{person: f.enrol("1990-02-03")}
	h.data = deliveryv1.NewDeliveryServiceClient(f.Dial(delivery.Name, h.id.String(), eventv1.Role_ROLE_SUBSCRIBER))
	r, err := h.data.ConnectSource(f.t.Context(), &deliveryv1.ConnectSourceRequest{
		SubscriberId: h.id.String(), Importer: "fitabase-csv", Route: deliveryv1.Route_ROUTE_GDPR_20, IdempotencyKey: "c",
	})
	f.must(err)
	h.source = r.GetSourceId()
	return h
}

// bring imports a participant's days of a file.
func (h *holder) bring(file, participant string, days *marketv1.Days) (*deliveryv1.ImportResponse, error) {
	h.m.t.Helper()
	return h.send(read(h.m.t, file), &deliveryv1.ImportHeader{
		SubscriberId: h.id.String(), SourceId: h.source, FileName: file, Zone: "America/New_York", Person: participant, Days: days,
	})
}

func read(t testing.TB, file string) []byte {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join("../../../testdata/fitabase", file))
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func (h *holder) send(raw []byte, header *deliveryv1.ImportHeader) (*deliveryv1.ImportResponse, error) {
	h.m.t.Helper()
	stream, err := h.data.Import(h.m.t.Context())
	h.m.must(err)
	send := func(r *deliveryv1.ImportRequest) bool {
		err := stream.Send(r)
		if err != nil && !errors.Is(err, io.EOF) {
			h.m.t.Fatal(err)
		}
		return err == nil
	}
	if send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Header{Header: header}}) {
		for len(raw) > 0 {
			n := min(len(raw), 7000)
			if !send(&deliveryv1.ImportRequest{Part: &deliveryv1.ImportRequest_Chunk{Chunk: raw[:n]}}) {
				break
			}
			raw = raw[n:]
		}
	}
	return stream.CloseAndRecv()
}

// participants of a Fitabase file, in their order.
func participants(t testing.TB, file string) (out []string) {
	t.Helper()
	for line := range strings.Lines(string(read(t, file))) {
		who, _, _ := strings.Cut(line, ",")
		if who != "Id" && (len(out) == 0 || out[len(out)-1] != who) {
			out = append(out, who)
		}
	}
	return out
}

// fetch reads a package, from an offset.
func (f *full) fetch(d *deliveryv1.Delivery, offset int) []byte {
	f.t.Helper()
	stream, err := f.packages.FetchPackage(f.t.Context(), &deliveryv1.FetchPackageRequest{
		BuyerId: f.buyer.String(), DeliveryId: d.GetDeliveryId(), Offset: uint64(offset),
	})
	f.must(err)
	var out []byte
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return out
		}
		f.must(err)
		if int(r.GetOffset()) != offset+len(out) {
			f.t.Fatalf("a piece at %d follows %d bytes", r.GetOffset(), offset+len(out))
		}
		out = append(out, r.GetChunk()...)
	}
}

// receipt signs for a package.
func (f *full) receipt(d *deliveryv1.Delivery) *deliveryv1.SignReceiptRequest {
	number, err := id.Parse(d.GetDeliveryId())
	f.must(err)
	return &deliveryv1.SignReceiptRequest{
		BuyerId: f.buyer.String(), DeliveryId: d.GetDeliveryId(), Digest: d.GetDigest(), KeyId: "k1",
		Signature: parcel.SignReceipt(f.keys.Signer, number, [32]byte(d.GetDigest())),
	}
}

// signed signs for a package and gets its key. On a busy machine the second may pass: then it is asked for again.
func (f *full) signed(d *deliveryv1.Delivery) (key *deliveryv1.SignReceiptResponse) {
	f.t.Helper()
	f.Eventually("a key", func() bool {
		var err error
		key, err = f.packages.SignReceipt(f.t.Context(), f.receipt(d))
		if reason(err) != "CONSENT_UNREACHABLE" {
			f.must(err)
		}
		return err == nil
	})
	return key
}

// open decrypts a package with the key that came for it.
func (f *full) open(d *deliveryv1.Delivery, sealed []byte, key *deliveryv1.SignReceiptResponse) (parcel.Manifest, string) {
	f.t.Helper()
	number, err := id.Parse(d.GetDeliveryId())
	f.must(err)
	content, err := parcel.OpenKey(f.keys.Algorithm, f.keys.Private, number, key.GetSealedKey())
	f.must(err)
	var file bytes.Buffer
	f.must(parcel.Open(content, number, bytes.NewReader(sealed), &file))
	m, rows, err := parcel.Split(file.Bytes())
	f.must(err)
	return m, string(rows)
}

// waiting lists a bid's deliveries in a state.
func (f *full) waiting(bid string, state deliveryv1.DeliveryState) []*deliveryv1.Delivery {
	f.t.Helper()
	r, err := f.packages.ListDeliveries(f.t.Context(), &deliveryv1.ListDeliveriesRequest{BuyerId: f.buyer.String(), BidId: bid, State: state})
	f.must(err)
	return r.GetDeliveries()
}

const prepared = deliveryv1.DeliveryState_DELIVERY_STATE_PREPARED

// TestTheWholeStory: five people bring their measurements, a study bids, they accept, one only in part; packages are fetched, resumed,
// receipted, opened; all is paid to the cent; and who withdraws in time gives nothing.
func TestTheWholeStory(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of delivery's clock
	f := openFull(t, func(c *boot.Config) {
		if c.Service == delivery.Name {
			c.Seams.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		}
	})
	ctx := t.Context()
	f.opens(100_00)
	who := participants(t, "dailyActivity_merged.csv")
	people := make([]*holder, 5)
	for i := range people {
		people[i] = f.holder()
		r, err := people[i].bring("dailyActivity_merged.csv", who[i], nil)
		f.must(err)
		if len(r.GetArrivals()) == 0 || r.GetRepeatedPoints() != 0 {
			t.Fatalf("an import came to %v", r)
		}
		again, err := people[i].bring("dailyActivity_merged.csv", who[i], nil)
		if err != nil || again.GetImportId() != r.GetImportId() {
			t.Errorf("the same file again: %v, %v", again, err)
		}
	}
	bid := f.place(f.bid(25, 5), "one")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	deals := make([]string, 5)
	for i, p := range people {
		var fields []string
		if i == 0 {
			fields = []string{"date", "steps"} // without the optional energy
		}
		var err error
		deals[i], err = p.accept(bid, fields...)
		f.must(err)
	}
	f.Eventually("five packages", func() bool { return len(f.waiting(bid, prepared)) == 5 })
	if _, err := people[3].consent.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: people[3].id.String(), AgreementId: deals[3], IdempotencyKey: "w"}); err != nil {
		t.Fatal(err)
	}
	for _, d := range f.waiting(bid, 0) {
		want := "COHORT_MISSED"
		if d.GetAgreementId() == deals[3] {
			want = "WITHDRAWN"
		}
		if _, err := f.packages.SignReceipt(ctx, f.receipt(d)); reason(err) != want && reason(err) != "COHORT_MISSED" && reason(err) != "VOIDED" {
			t.Errorf("a receipt when too few are left: %v", err)
		}
	}
	// Four of five are left and the cohort is five: no key of this bid ever leaves, and nobody is charged.
	f.Eventually("the bid to be voided", func() bool { return f.stands(bid).GetState() == offersv1.BidState_BID_STATE_DRAINED })
	f.Eventually("the money to come back", func() bool {
		funds, err := f.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: f.buyer.String()})
		f.must(err)
		return funds.GetHeld().GetMinor() == 0 && funds.GetAvailable().GetMinor() == 100_00
	})

	// A second bid, with everybody in it.
	second := f.place(f.bid(25, 5), "two")
	f.comesTo(second, offersv1.BidState_BID_STATE_OPEN)
	for i, p := range people {
		var fields []string
		if i == 0 {
			fields = []string{"date", "steps"}
		}
		var err error
		deals[i], err = p.accept(second, fields...)
		f.must(err)
	}
	f.Eventually("five packages", func() bool { return len(f.waiting(second, prepared)) == 5 })
	for _, d := range f.waiting(second, prepared) {
		sealed := f.fetch(d, 0)
		if digest := sha256.Sum256(sealed); string(digest[:]) != string(d.GetDigest()) || !bytes.Equal(sealed[100:], f.fetch(d, 100)) {
			t.Fatal("a package is not what its digest says, or resumes as something else")
		}
		wrong := f.receipt(d)
		wrong.Digest = make([]byte, 32)
		if _, err := f.packages.SignReceipt(ctx, wrong); reason(err) != "DIGEST_MISMATCH" {
			t.Errorf("a receipt of something else: %v", err)
		}
		wrong = f.receipt(d)
		wrong.Signature[0] ^= 1
		if _, err := f.packages.SignReceipt(ctx, wrong); reason(err) != "SIGNATURE_INVALID" {
			t.Errorf("a forged receipt: %v", err)
		}
		key := f.signed(d)
		if again := f.signed(d); bytes.Equal(again.GetReleaseEventId(), key.GetReleaseEventId()) {
			t.Error("asked again, the gate was not asked again")
		}
		m, rows := f.open(d, sealed, key)
		if m.Expected != int(d.GetExpectedSlots()) || m.Valid != int(d.GetValidSlots()) || m.Delivered != int(d.GetSlots()) || m.Delivered != 5 || m.Valid < 5 || m.Expected < m.Valid {
			t.Errorf("slots: the manifest says %d expected, %d valid, %d delivered, and the list %v", m.Expected, m.Valid, m.Delivered, d)
		}
		if m.Rows != 5 || strings.Count(rows, "\n") != 5 || !strings.Contains(rows, `"steps":`) {
			t.Errorf("a package holds %d rows:\n%s", m.Rows, rows)
		}
		if whole := d.GetAgreementId() != deals[0]; whole != strings.Contains(rows, `"energy":`) {
			t.Errorf("energy was granted: %v; the rows say\n%s", whole, rows)
		}
		for _, p := range people {
			if strings.Contains(rows, p.id.String()) {
				t.Error("a person's id is in a package")
			}
		}
	}
	for i, want := range []int64{16, 20, 20, 20, 20} {
		f.Eventually(fmt.Sprintf("%d cents for person %d", want, i), func() bool { return people[i].available() == want })
	}
	// All is delivered: a minute later the agreements end, the bid drains, and what was not charged is the buyer's again.
	ahead.Store(int64(2 * time.Minute))
	f.comesTo(second, offersv1.BidState_BID_STATE_DRAINED)
	for i, p := range people {
		f.Eventually("the consent to end", func() bool { return p.state(deals[i]) == consentv1.ConsentState_CONSENT_STATE_EXPIRED })
	}
	f.Eventually("the rest to be free", func() bool {
		funds, err := f.finance.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: f.buyer.String()})
		f.must(err)
		// Charged: 20 + 4 x 25 cents and 21 % VAT on 120 cents, rounded down.
		return funds.GetHeld().GetMinor() == 0 && funds.GetAvailable().GetMinor() == 100_00-120-25
	})
	uses, err := people[0].data.ListUses(ctx, &deliveryv1.ListUsesRequest{SubscriberId: people[0].id.String()})
	f.must(err)
	if u := uses.GetUses(); len(u) != 2 || len(u[0].GetSlots()) != 5 || u[0].GetBuyerId() != f.buyer.String() || len(u[0].GetFields()) != 2 {
		t.Errorf("the person is told %v", u)
	}
	if err := delivery.Fsck(ctx, f.shipping); err != nil {
		t.Errorf("fsck: %v", err)
	}
}
