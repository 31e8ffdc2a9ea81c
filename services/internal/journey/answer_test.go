package journey

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/parcel"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/delivery"
)

// packed has six people accept a bid, and gives their packages with their ciphertexts, and the people by agreement.
func (f *full) packed() (list []*deliveryv1.Delivery, sealed map[string][]byte, people map[string]*holder) {
	f.t.Helper()
	f.opens(100_00)
	sealed, people = map[string][]byte{}, map[string]*holder{}
	bid := f.place(f.bid(30, 5), "one")
	f.comesTo(bid, offersv1.BidState_BID_STATE_OPEN)
	for _, who := range participants(f.t, activity)[:6] {
		p := f.holder()
		_, err := p.bring(activity, who, nil)
		f.must(err)
		deal, err := p.accept(bid)
		f.must(err)
		people[deal] = p
	}
	f.Eventually("six packages", func() bool { return len(f.waiting(bid, prepared)) == 6 })
	list = f.waiting(bid, prepared)
	for _, d := range list {
		sealed[d.GetDeliveryId()] = f.fetch(d, 0)
	}
	return list, sealed, people
}

// withdraws ends the consent behind a delivery, and waits until delivery has ended the agreement.
func (f *full) withdraws(p *holder, d *deliveryv1.Delivery) {
	f.t.Helper()
	_, err := p.consent.Withdraw(f.t.Context(), &consentv1.WithdrawRequest{SubscriberId: p.id.String(), AgreementId: d.GetAgreementId(), IdempotencyKey: "w" + d.GetAgreementId()})
	f.must(err)
	f.Eventually("the agreement to end", func() bool {
		for _, e := range f.told() {
			if e.GetAgreementEnded().GetAgreementId() == d.GetAgreementId() {
				return true
			}
		}
		return false
	})
}

// TestAnAnswerThatWasLost: the key left and never arrived, and then the person withdraws, once also after the buyer has replaced its key.
// The buyer, who is charged, is answered as it was then; the person is paid once, and the order to delete counts the package.
func TestAnAnswerThatWasLost(t *testing.T) {
	t.Parallel()
	f := openFull(t)
	ctx := t.Context()
	list, sealed, people := f.packed()
	before := f.keys
	for i, d := range list[:2] {
		lost, p := f.signed(d), people[d.GetAgreementId()]
		receipt := f.receipt(d)
		if i == 1 {
			after, err := parcel.NewKeys(parcel.X25519)
			f.must(err)
			_, err = f.bids.RotateKey(ctx, &offersv1.RotateKeyRequest{BuyerId: f.buyer.String(), Replaces: "k1", IdempotencyKey: "rotate", Key: &offersv1.BuyerKey{
				Id: "k2", Algorithm: after.Algorithm, PublicKey: after.Public, ReceiptKey: after.Receipt,
			}})
			f.must(err)
			f.Eventually("what waits to be for the new key", func() bool { return f.delivery(list[2]).GetBuyerKeyId() == "k2" })
			f.keys = after
			receipt = f.receipt(d)
			receipt.KeyId = "k2"
		}
		f.withdraws(p, d)
		got, err := f.packages.SignReceipt(ctx, receipt)
		f.must(err)
		if !bytes.Equal(got.GetSealedKey(), lost.GetSealedKey()) || !bytes.Equal(got.GetReleaseEventId(), lost.GetReleaseEventId()) || got.GetKeyId() != "k1" {
			t.Errorf("package %d: the answer of then was for %s, and is for %s now", i, lost.GetKeyId(), got.GetKeyId())
		}
		now := f.keys
		f.keys = before
		if m, rows := f.open(d, sealed[d.GetDeliveryId()], got); m.Rows != 5 {
			t.Errorf("package %d opens as\n%s", i, rows)
		}
		f.keys = now
		f.Eventually(fmt.Sprintf("20 cents for person %d", i), func() bool { return p.available() == 20 })
	}
	released, ordered := map[string]int{}, map[string]bool{}
	for _, e := range f.told() {
		released[e.GetDeliveryReleased().GetDeliveryId()]++
		for _, d := range e.GetDeletionOrdered().GetDeliveryIds() {
			ordered[d] = true
		}
	}
	for i, d := range list[:2] {
		if released[d.GetDeliveryId()] != 1 || !ordered[d.GetDeliveryId()] {
			t.Errorf("package %d was released %d times, and is ordered to be deleted: %v", i, released[d.GetDeliveryId()], ordered[d.GetDeliveryId()])
		}
	}
	// What never left does not, whoever asks how often.
	d := list[2]
	f.withdraws(people[d.GetAgreementId()], d)
	receipt := f.receipt(d)
	receipt.KeyId = "k2"
	if got, err := f.packages.SignReceipt(ctx, receipt); reason(err) != "WITHDRAWN" || got.GetSealedKey() != nil {
		t.Errorf("what had not left before the withdrawal: %v", err)
	}
	if err := delivery.Fsck(ctx, f.shipping); err != nil {
		t.Errorf("fsck: %v", err)
	}
}

// between stands between delivery and consent.
type between struct {
	consentv1.UnimplementedConsentServiceServer
	consent consentv1.ConsentServiceClient
	permit  func() bool // told of each permit; false keeps it from delivery
}

func (b *between) Check(ctx context.Context, r *consentv1.CheckRequest) (*consentv1.CheckResponse, error) {
	return b.consent.Check(ctx, r)
}

func (b *between) IsEnrolled(ctx context.Context, r *consentv1.IsEnrolledRequest) (*consentv1.IsEnrolledResponse, error) {
	return b.consent.IsEnrolled(ctx, r)
}

func (b *between) Release(ctx context.Context, r *consentv1.ReleaseRequest) (*consentv1.ReleaseResponse, error) {
	permit, err := b.consent.Release(ctx, r)
	if err == nil && !b.permit() {
		return nil, context.Canceled
	}
	return permit, err
}

// TestKilledBetweenPermitAndRelease: consent has recorded two permits, and delivery's process is killed before it hears of them. Nothing
// left and nothing is charged. When it is back, the one question is decided anew, and charged once; the other, whose person has
// withdrawn meanwhile, is refused, and never charged.
func TestKilledBetweenPermitAndRelease(t *testing.T) {
	t.Parallel()
	f := launch(t)
	ctx := t.Context()
	var deadly atomic.Int32 // permits until the process is killed
	killed := make(chan struct{})
	middle := &between{
		consent: consentv1.NewConsentServiceClient(f.Dial(consent.Name, "delivery", eventv1.Role_ROLE_SERVICE)),
		permit: func() bool {
			switch n := deadly.Add(-1); {
			case n < 0:
				return true
			case n == 0:
				_ = f.running[delivery.Name].Process.Kill() // the test waits for it
				close(killed)
			}
			<-killed
			return false
		},
	}
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	f.must(err)
	server := grpc.NewServer()
	consentv1.RegisterConsentServiceServer(server, middle)
	f.Start(func(ctx context.Context) error {
		go func() { <-ctx.Done(); server.Stop() }()
		return server.Serve(l)
	})
	c := f.configs[delivery.Name]
	c.Peers = maps.Clone(c.Peers)
	c.Peers[consent.Name] = l.Addr().String()
	f.configs[delivery.Name] = c
	f.again(delivery.Name)

	list, sealed, people := f.packed()
	opens := func(d *deliveryv1.Delivery) {
		t.Helper()
		if m, rows := f.open(d, sealed[d.GetDeliveryId()], f.receives(d)); m.Rows != 5 {
			t.Errorf("a package opens as\n%s", rows)
		}
	}
	opens(list[0]) // the cohort is confirmed with the first
	lives, ends := list[1], list[2]
	deadly.Store(2)
	var asking sync.WaitGroup
	for _, d := range []*deliveryv1.Delivery{lives, ends} {
		asking.Go(func() {
			if key, err := f.packages.SignReceipt(ctx, f.receipt(d)); err == nil {
				t.Errorf("a process that was killed answers %v", key)
			}
		})
	}
	asking.Wait()
	f.kill(delivery.Name)
	person := people[ends.GetAgreementId()]
	_, err = person.consent.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: person.id.String(), AgreementId: ends.GetAgreementId(), IdempotencyKey: "w"})
	f.must(err)
	f.start(delivery.Name)
	f.Dial(delivery.Name, "audit", eventv1.Role_ROLE_AUDITOR) // it answers
	for _, d := range []*deliveryv1.Delivery{lives, ends} {
		if n := f.permits(d); n != 1 {
			t.Errorf("consent has recorded %d permits", n)
		}
		for _, e := range f.told() {
			if e.GetDeliveryReleased().GetDeliveryId() == d.GetDeliveryId() {
				t.Errorf("the log says %v", e)
			}
		}
	}
	if _, err := f.packages.SignReceipt(ctx, f.receipt(ends)); reason(err) != "WITHDRAWN" {
		t.Errorf("what never left, after the withdrawal: %v", err)
	}
	opens(lives)
	if n := f.permits(lives); n != 2 {
		t.Errorf("it was decided anew, and consent has recorded %d permits", n)
	}
	f.Eventually("20 cents", func() bool { return people[lives.GetAgreementId()].earned() == 20 })
	f.Eventually("the withdrawal to reach delivery", func() bool {
		blocked := f.listed(ends.GetBidId(), deliveryv1.DeliveryState_DELIVERY_STATE_BLOCKED)
		return len(blocked) == 1 && blocked[0].GetDeliveryId() == ends.GetDeliveryId()
	})
	opens(list[3])
	f.Eventually("the one behind to be paid", func() bool { return people[list[3].GetAgreementId()].earned() == 20 })
	if earned := person.earned(); earned != 0 {
		t.Errorf("%d cents for a key that never left", earned)
	}
	released := map[string]int{}
	for _, e := range f.told() {
		released[e.GetDeliveryReleased().GetDeliveryId()]++
	}
	for i, want := range []int{1, 1, 0, 1} {
		if n := released[list[i].GetDeliveryId()]; n != want {
			t.Errorf("package %d was released %d times, want %d", i, n, want)
		}
	}
	// Before what stands between it and consent goes away.
	last := f.running[delivery.Name]
	delete(f.running, delivery.Name)
	f.must(last.Process.Signal(syscall.SIGTERM))
	if err := last.Wait(); err != nil {
		t.Errorf("delivery did not end clean: %v", err)
	}
}

// permits counts what consent's gate has recorded for a delivery.
func (f *fleet) permits(d *deliveryv1.Delivery) (n int) {
	f.t.Helper()
	for _, raw := range f.stored(consent.Name, "release_committed") {
		e := new(consentv1.Event)
		f.must(proto.Unmarshal(raw, e))
		if e.GetReleaseCommitted().GetDeliveryId() == d.GetDeliveryId() {
			n++
		}
	}
	return n
}

// stored is a service's events of a type, as they are in its log.
func (f *fleet) stored(service, typ string) (out [][]byte) {
	f.t.Helper()
	ctx := f.t.Context()
	conn, err := pgx.Connect(ctx, f.configs[service].Database.URL)
	f.must(err)
	defer func() { _ = conn.Close(ctx) }() // nothing is pending
	rows, err := conn.Query(ctx, `select data from event where type = $1 order by partition, position`, typ)
	f.must(err)
	out, err = pgx.CollectRows(rows, pgx.RowTo[[]byte])
	f.must(err)
	return out
}

// TestWithdrawnAfterAllWasDelivered: everything under an agreement was delivered and its consent has ended, and then the person withdraws:
// the one consent, twice, and another person everything. Each buyer's package is ordered to be deleted once, and what was earned stays.
func TestWithdrawnAfterAllWasDelivered(t *testing.T) {
	t.Parallel()
	var ahead atomic.Int64 // of delivery's clock
	f := openFull(t, func(c *boot.Config) {
		if c.Service == delivery.Name {
			c.Seams.Now = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
		}
	})
	list, _, people := f.packed()
	for _, d := range list[:2] {
		f.signed(d)
	}
	// A minute after its last key an agreement ends.
	ahead.Store(int64(2 * time.Minute))
	for i, d := range list[:2] {
		p, deal := people[d.GetAgreementId()], d.GetAgreementId()
		f.Eventually("the consent to end", func() bool { return p.state(deal) == consentv1.ConsentState_CONSENT_STATE_EXPIRED })
		f.Eventually("20 cents", func() bool { return p.available() == 20 })
		what := []string{deal, deal}
		if i == 1 {
			what = []string{""}
		}
		for n, agreement := range what {
			_, err := p.consent.Withdraw(t.Context(), &consentv1.WithdrawRequest{SubscriberId: p.id.String(), AgreementId: agreement, All: agreement == "", IdempotencyKey: fmt.Sprint("w", n)})
			f.must(err)
		}
		f.Eventually("the order to delete", func() bool { return f.orders(d) == 1 })
		f.Eventually("the consent to show", func() bool { return p.state(deal) == consentv1.ConsentState_CONSENT_STATE_WITHDRAWN })
		if earned := p.available(); earned != 20 {
			t.Errorf("20 cents were earned, and %d are there", earned)
		}
	}
	if n := f.orders(list[0]); n != 1 {
		t.Errorf("ordered %d times", n)
	}
	if n := f.orders(list[2]); n != 0 {
		t.Errorf("what nobody withdrew is ordered to be deleted %d times", n)
	}
	if err := delivery.Fsck(t.Context(), f.shipping); err != nil {
		t.Errorf("fsck: %v", err)
	}
}

// orders counts the orders to delete a delivery.
func (f *full) orders(d *deliveryv1.Delivery) (n int) {
	for _, e := range f.told() {
		if slices.Contains(e.GetDeletionOrdered().GetDeliveryIds(), d.GetDeliveryId()) {
			n++
		}
	}
	return n
}
