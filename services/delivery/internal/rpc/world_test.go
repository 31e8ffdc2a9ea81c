package rpc_test

import (
	"context"
	"crypto/sha256"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/es/esmem"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/packing"
	"github.com/obole-market/obole/services/delivery/internal/rpc"
	"github.com/obole-market/obole/services/delivery/internal/schema"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/delivery/internal/wire"
	"github.com/obole-market/obole/services/internal/worldtest"
)

const patience = 7 * 24 * time.Hour

// desk is a server over a log in memory and a real database, with a buyer, and with a gate and a clock that the test moves.
type desk struct {
	*rpc.Server
	t     testing.TB
	log   *esmem.Log
	rows  *projection.Projection
	buyer id.ID
	bid   id.ID
	keys  map[string]parcel.Keys // the buyer's, by their names
	ahead atomic.Int64           // of the clock of the service and its log
	tick  atomic.Int64           // monotonic clock
	gate  gate

	standing atomic.Int32 // the buyer's state at offers
}

// gate answers in consent's place.
type gate struct {
	consentv1.ConsentServiceClient
	mu      sync.Mutex
	no      error            // what the gate refuses with
	then    func()           // what happens once it has decided, before its answer arrives
	permits map[id.ID]int    // by delivery
	checked consentv1.Reason // why nothing may be used; unset: it may
	let     bool             // what has expired may be held no more
}

// Check allows whatever is asked, unless the test says why not.
func (g *gate) Check(context.Context, *consentv1.CheckRequest, ...grpc.CallOption) (*consentv1.CheckResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return &consentv1.CheckResponse{Allowed: g.checked == 0, Reason: g.checked, Held: g.checked == consentv1.Reason_REASON_EXPIRED && !g.let}, nil
}

// checks has Check say why nothing may be used; 0 for that it may.
func (g *gate) checks(why consentv1.Reason) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.checked = why
}

func (g *gate) Release(ctx context.Context, r *consentv1.ReleaseRequest, _ ...grpc.CallOption) (*consentv1.ReleaseResponse, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.no != nil {
		return nil, g.no
	}
	d, _ := id.Parse(r.GetDeliveryId())
	if g.permits == nil {
		g.permits = map[id.ID]int{}
	}
	g.permits[d]++
	if g.then != nil {
		g.then()
	}
	permit := id.Random()
	return &consentv1.ReleaseResponse{ReleaseEventId: permit[:]}, ctx.Err()
}

// offers answers in offers' place: whose keys are whose, and that the cohort is there.
type offers struct {
	offersv1.OffersServiceClient
	keys  func() []*offersv1.BuyerKey
	state *atomic.Int32 // the buyer's, as the contract's BuyerState
}

func (o offers) GetBuyer(_ context.Context, r *offersv1.GetBuyerRequest, _ ...grpc.CallOption) (*offersv1.GetBuyerResponse, error) {
	return &offersv1.GetBuyerResponse{Buyer: &offersv1.Buyer{BuyerId: r.GetBuyerId(), Keys: o.keys(), State: offersv1.BuyerState(o.state.Load())}}, nil
}

func (offers) ConfirmCohort(context.Context, *offersv1.ConfirmCohortRequest, ...grpc.CallOption) (*offersv1.ConfirmCohortResponse, error) {
	return &offersv1.ConfirmCohortResponse{Confirmed: true}, nil
}

func begin(t testing.TB, partitions int) *desk {
	t.Helper()
	d := &desk{t: t, buyer: id.Random(), bid: id.Random(), keys: map[string]parcel.Keys{}}
	now := func() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) }
	d.log = esmem.New(partitions, now)
	pool := worldtest.Database(t, worldtest.Up(t, schema.Store, "store"))
	keks, err := vault.NewKEKs(make([]byte, 32))
	d.must(err)
	engine := es.New(d.log, es.Options{Service: "delivery"})
	d.rows = projection.New(projection.Options{
		Name: "shelves", Service: "delivery", Fold: view.Fold, Tables: schema.Shelves, Pool: pool, Log: d.log, Project: view.Project,
		Alarm: func(_ es.Partition, err error) { t.Errorf("the tables do not follow: %v", err) },
	})
	d.must(d.rows.Migrate(t.Context(), ""))
	d.must(d.rows.Open(t.Context()))
	market := offers{keys: func() []*offersv1.BuyerKey { return d.registered() }, state: &d.standing}
	d.Server = &rpc.Server{
		Holdings: es.Register(engine, wire.Holdings()), Shelves: es.Register(engine, wire.Shelves()),
		Keys: vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks}), Store: store.Store{Pool: pool}, View: view.View{Pool: pool}, Seen: d.rows, Log: d.log,
		Buyers: packing.NewBuyers(market, now), Offers: market, Consent: &d.gate, Now: now, Patience: patience,
		Tick: func() time.Time { return time.Unix(0, d.tick.Load()) }, NewID: id.Random,
		Gate: func(time.Duration, string) {}, Sent: func(time.Duration) {},
	}
	d.Bars = &packing.Bars{Holdings: d.Holdings, Shelves: d.Shelves, Store: d.Store}
	d.run(engine.Run)
	d.run(d.rows.Run)
	d.newKey("k1")
	d.must(d.Store.Keep(t.Context(), d.ringOf(id.Random()), store.Package{Delivery: id.Random(), Bid: d.bid, Buyer: d.buyer, At: time.Now()}))
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

func (d *desk) ringOf(who id.ID) *vault.Ring {
	d.t.Helper()
	ring, err := d.Keys.Ring(d.t.Context(), who)
	d.must(err)
	return ring
}

// run runs an actor until the test ends.
func (d *desk) run(actor func(context.Context) error) {
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { defer close(ended); _ = actor(ctx) }() // it ends with ctx
	d.t.Cleanup(func() { stop(); <-ended })
}

// caught waits until the tables have seen all that is in the log.
func (d *desk) caught() {
	d.t.Helper()
	d.must(d.rows.CaughtUp(d.t.Context()))
}

// newKey gives the buyer a key, which is its newest.
func (d *desk) newKey(name string) {
	d.t.Helper()
	keys, err := parcel.NewKeys(parcel.X25519)
	d.must(err)
	d.keys[name] = keys
	d.Buyers.Forget(d.buyer)
}

// registered are the buyer's keys, newest first; those before the newest seal nothing any more.
func (d *desk) registered() (list []*offersv1.BuyerKey) {
	for _, name := range []string{"k2", "k1"} {
		if k, ok := d.keys[name]; ok {
			list = append(list, &offersv1.BuyerKey{Id: name, Algorithm: k.Algorithm, PublicKey: k.Public, ReceiptKey: k.Receipt})
		}
	}
	return list
}

// waits is a package that waits for its receipt.
type waits struct {
	who       shelf.SubscriberID
	agreement shelf.AgreementID
	delivery  shelf.DeliveryID
	digest    [32]byte
	content   []byte
}

func (d *desk) do(who shelf.SubscriberID, c shelf.Command) es.Cursor {
	d.t.Helper()
	result, err := d.Shelves.Do(d.t.Context(), es.Command[shelf.Command]{ID: id.Random(), Body: c, Keys: d.ringOf(who.ID), Meta: new(eventv1.Meta)})
	d.must(err)
	return result.Cursor
}

// takes makes an agreement of a new person with the buyer.
func (d *desk) takes() (shelf.SubscriberID, shelf.AgreementID) {
	d.t.Helper()
	who, deal := shelf.SubscriberID{ID: id.Random()}, shelf.AgreementID{ID: id.Random()}
	m := &marketv1.Licence{
		AgreementId: deal.String(), OfferId: id.Random().String(), BidId: d.bid.String(), BuyerId: d.buyer.String(), GroupId: d.buyer.String(),
		SubscriberId: who.String(), Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, UnitPrice: &moneyv1.UnitPrice{Micros: 1, Currency: "EUR"},
		SlotsReserved: 1000, Slots: &marketv1.Days{First: "1970-01-02", Last: "1975-01-01"}, Cadence: marketv1.Cadence_CADENCE_DAILY,
		Fields: []*marketv1.GrantedField{{Id: "steps", Rung: "exact"}},
	}
	document, err := proto.Marshal(m)
	d.must(err)
	licence, err := wire.Licence(m)
	d.must(err)
	d.do(who, shelf.Take{Licence: licence, Document: document, Cleared: true})
	return who, deal
}

// prepares puts a package of one day on the shelf, and waits until the tables know it.
func (d *desk) prepares(who shelf.SubscriberID, deal shelf.AgreementID, day int) waits {
	d.t.Helper()
	p := waits{who: who, agreement: deal, delivery: shelf.DeliveryID{ID: id.Random()}, content: make([]byte, parcel.KeySize)}
	p.content[0] = byte(day)
	sealed, digest, err := parcel.Seal(p.content, p.delivery.ID, []byte("rows"))
	d.must(err)
	p.digest = digest
	d.must(d.Store.Keep(d.t.Context(), d.ringOf(who.ID), store.Package{
		Delivery: p.delivery.ID, Agreement: deal.ID, Bid: d.bid, Buyer: d.buyer, Sealed: sealed, Key: p.content, At: time.Now(),
	}))
	at := d.do(who, shelf.Prepare{Shelf: shelf.Of(who), Agreement: deal, Delivery: p.delivery, Patience: patience, Contents: shelf.Contents{
		Slots: []shelf.Day{shelf.Day(day)}, Schema: "daily-steps/1", Bytes: int64(len(sealed)), Rows: 1, Digest: digest, BuyerKey: "k1", Minimiser: "1",
	}})
	d.must(d.rows.Wait(d.t.Context(), at))
	return p
}

// sign asks for a package's key with a receipt under one of the buyer's keys.
func (d *desk) sign(ctx context.Context, p waits, key string) (*deliveryv1.SignReceiptResponse, error) {
	return d.SignReceipt(ctx, &deliveryv1.SignReceiptRequest{
		BuyerId: d.buyer.String(), DeliveryId: p.delivery.String(), Digest: p.digest[:], KeyId: key,
		Signature: parcel.SignReceipt(d.keys[key].Signer, p.delivery.ID, p.digest),
	})
}

// opens says whether an answer holds the package's content key for the buyer's key that it names.
func (d *desk) opens(p waits, answer *deliveryv1.SignReceiptResponse) bool {
	own := d.keys[answer.GetKeyId()]
	content, err := parcel.OpenKey(own.Algorithm, own.Private, p.delivery.ID, answer.GetSealedKey())
	return err == nil && sha256.Sum256(content) == sha256.Sum256(p.content)
}

// released counts how often the log says that a package's key left.
func (d *desk) released(p waits) (n int) {
	d.t.Helper()
	stream := wire.Stream(shelf.On{Shelf: shelf.Of(p.who), Child: p.delivery.ID})
	_, err := d.log.Scan(d.t.Context(), es.PartitionOf(stream, d.log.Partitions()), 0, 1_000_000, func(r *es.Record) error {
		if r.Stream == stream && r.Type == "delivery_released" {
			n++
		}
		return nil
	})
	d.must(err)
	return n
}
