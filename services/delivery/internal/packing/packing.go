package packing

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/parcel"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/minimise"
	"github.com/obole-market/obole/services/delivery/internal/point"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// epoch of the secrets behind pseudonyms: another one would give everybody new names.
const epoch = 1

// Agreement names an agreement and whose it is.
type Agreement struct {
	ID         shelf.AgreementID
	Subscriber shelf.SubscriberID
	Heard      *eventv1.Cursor // of consent's log; its answer is not from before that. nil: any answer will do
}

// Packer makes packages.
type Packer struct {
	Shelves *es.Root[shelf.State, shelf.Command, shelf.Event]
	Keys    *vault.Keeper
	Store   store.Store
	Catalog *catalog.Catalog
	Buyers  *Buyers
	Consent consentv1.ConsentServiceClient
	Now     func() time.Time
	NewID   id.Source
	Random  io.Reader // of content keys
	// Patience is for how long a package waits for its receipt.
	Patience time.Duration

	schemas schemas
}

// tries bounds how often a package is made anew because its slots went elsewhere meanwhile.
const tries = 3

// Prepare puts on the shelf what is due under an agreement, if anything is and the person's consent allows its use now; where nothing
// is and nothing will be, the agreement ends, and so it does where its consent has ended before the agreement came to be known
// here. cause names the command: preparing twice for one cause prepares once.
func (p *Packer) Prepare(ctx context.Context, a Agreement, cause id.ID, meta *eventv1.Meta) error {
	ring, err := p.Keys.Ring(ctx, a.Subscriber.ID)
	if err != nil {
		return err
	}
	return p.insist(ctx, a, ring, cause, meta)
}

// Begin is Prepare for an agreement that has just been taken, and is what is given. It supposes that the buyer's group has none of the
// days yet; the shelf, which decides, knows better, and then it is Prepare.
func (p *Packer) Begin(ctx context.Context, agreement shelf.Agreement, cause id.ID, meta *eventv1.Meta) error {
	a := Agreement{ID: agreement.Licence.Agreement, Subscriber: agreement.Licence.Subscriber}
	ring, err := p.Keys.Ring(ctx, a.Subscriber.ID)
	if err != nil {
		return err
	}
	again, err := p.prepare(ctx, a, agreement, shelf.Shelf{}, ring, cause, meta)
	if err != nil || !again {
		return err
	}
	return p.insist(ctx, a, ring, cause, meta)
}

func (p *Packer) insist(ctx context.Context, a Agreement, ring *vault.Ring, cause id.ID, meta *eventv1.Meta) error {
	for range tries {
		agreement, shelved, err := p.states(ctx, shelf.On{Shelf: shelf.Of(a.Subscriber), Child: a.ID.ID}, ring)
		if err != nil {
			return err
		}
		again, err := p.prepare(ctx, a, agreement, shelved, ring, cause, meta)
		if err != nil || !again {
			return err
		}
	}
	// Each time others had taken what was due, or the log's clock is behind ours and knows of a day that is not over yet.
	return fault.Unavailable("what was due went elsewhere while it was packed")
}

func (p *Packer) prepare(
	ctx context.Context, a Agreement, agreement shelf.Agreement, shelved shelf.Shelf, ring *vault.Ring, cause id.ID, meta *eventv1.Meta,
) (again bool, err error) {
	on := shelf.On{Shelf: shelf.Of(a.Subscriber), Child: a.ID.ID}
	if agreement.Ended || agreement.Document == nil {
		return false, nil
	}
	command := es.Command[shelf.Command]{ID: cause, Keys: ring, Meta: meta, Caller: "prepare"}
	answer, ended, err := p.allowed(ctx, a)
	if ended != 0 {
		command.Body = shelf.End{Shelf: on.Shelf, Agreement: a.ID, Reason: ended}
		_, err = p.Shelves.Do(ctx, command)
	}
	if err != nil {
		return false, err
	}
	switch {
	case answer.GetReason() == consentv1.Reason_REASON_BUYER_SUSPENDED:
		// Nobody says here that a buyer is back, so the deadline stays, and is looked at again and again.
		next := agreement.Awaited
		if next.IsZero() {
			next = p.Now().Add(soon)
		}
		return false, p.await(ctx, command, agreement, next)
	case !answer.GetAllowed(), !agreement.Cleared:
		return false, p.await(ctx, command, agreement, time.Time{}) // what allows it again looks again
	}
	licence := new(marketv1.Licence)
	if err := proto.Unmarshal(agreement.Document, licence); err != nil {
		return false, fault.Internal("a licence cannot be read")
	}
	person, err := p.Store.Person(ctx, ring, agreement.Licence.First.String(), agreement.Licence.Last.String())
	if err != nil {
		return false, err
	}
	barred, err := p.barred(licence, person, agreement.Licence)
	if err != nil {
		return false, err
	}
	person = person.Usable()
	stock, err := days(person.Days(licence.GetProduct().GetId(), point.Assurance(licence.GetMinAssurance())))
	if err != nil {
		return false, err
	}
	now := p.Now()
	due, none := agreement.Due(shelved, stock, now)
	if none && barred {
		return false, nil // what the person may lift again ends nothing for ever
	}
	if none {
		command.Body = shelf.Conclude{Shelf: on.Shelf, Agreement: a.ID, Stock: stock}
		_, err := p.Shelves.Do(ctx, command)
		return false, err
	}
	if len(due) > 0 {
		if again, err = p.put(ctx, command, ring, licence, person, agreement, due, within(stock, agreement.Licence)); again || err != nil {
			return again, err
		}
	}
	// Last: where a package cannot be made now, the deadline that asked for it stays until it is.
	return false, p.await(ctx, command, agreement, agreement.After(due).Next(shelved, stock, now))
}

// soon is when to look again where nothing says that it is time.
const soon = time.Minute

// put makes the package of what is due and puts it on the shelf. It says whether its slots went elsewhere meanwhile.
func (p *Packer) put(
	ctx context.Context, command es.Command[shelf.Command], ring *vault.Ring, licence *marketv1.Licence, person store.Person, agreement shelf.Agreement,
	due []shelf.Day, valid int,
) (again bool, err error) {
	delivery := shelf.DeliveryID{ID: p.NewID()}
	contents, err := p.pack(ctx, ring, licence, person, agreement, delivery, due, valid)
	if err != nil {
		return false, err
	}
	l := agreement.Licence
	command.Body = shelf.Prepare{Shelf: shelf.Of(l.Subscriber), Agreement: l.Agreement, Delivery: delivery, Contents: contents, Patience: p.Patience}
	result, err := p.Shelves.Do(ctx, command)
	if err != nil || result.Repeated {
		// Where the outcome is unknown the package stays; what nobody knows of is swept away later.
		if result.Repeated || errors.Is(err, shelf.ErrSlotTaken) || errors.Is(err, shelf.ErrAgreementEnded) {
			if e := p.Store.Destroy(ctx, delivery.ID); e != nil {
				return false, e
			}
		}
		switch {
		case errors.Is(err, shelf.ErrSlotTaken):
			return true, nil
		case errors.Is(err, shelf.ErrAgreementEnded):
			return false, nil
		}
	}
	return false, err
}

// await has the log note when what is there of slots that are not over falls due, if it does not know. The note goes with what was prepared
// for the same cause, under an id of its own.
func (p *Packer) await(ctx context.Context, c es.Command[shelf.Command], a shelf.Agreement, next time.Time) error {
	if next.Equal(a.Awaited) {
		return nil
	}
	c.ID = id.Derive([]byte("await"), c.ID[:])
	c.Body = shelf.Await{Shelf: shelf.Of(a.Licence.Subscriber), Agreement: a.Licence.Agreement, DueAt: next}
	_, err := p.Shelves.Do(ctx, c)
	return err
}

// barred says whether something that an agreement is about is from a source that the person has restricted.
func (p *Packer) barred(licence *marketv1.Licence, person store.Person, l shelf.Licence) (bool, error) {
	restricted := person.Barred()
	product, known := p.Catalog.Product(licence.GetProduct().GetId(), licence.GetProduct().GetVersion())
	if !known || !restricted.Any() {
		return false, nil
	}
	schemas, err := minimise.Schemas(&product)
	return len(restricted.Measured(schemas, l.First.String(), l.Last.String())) > 0, err
}

// states reads an agreement and its shelf.
func (p *Packer) states(ctx context.Context, on shelf.On, ring *vault.Ring) (a shelf.Agreement, s shelf.Shelf, err error) {
	own, _, err := p.Shelves.State(ctx, wire.Stream(on), ring)
	if err != nil {
		return a, s, err
	}
	root, _, err := p.Shelves.State(ctx, wire.Stream(shelf.On{Shelf: on.Shelf}), ring)
	if err != nil {
		return a, s, err
	}
	a, _ = own.(shelf.Agreement)
	s, _ = root.(shelf.Shelf)
	return a, s, nil
}

// allowed asks consent whether a person's data may be used, and as what the agreement ends where they never may again. Where it
// cannot be asked nothing is read.
func (p *Packer) allowed(ctx context.Context, a Agreement) (*consentv1.CheckResponse, shelf.EndReason, error) {
	r, err := p.Consent.Check(ctx, &consentv1.CheckRequest{SubscriberId: a.Subscriber.String(), AgreementId: a.ID.String(), After: a.Heard})
	if err != nil {
		return nil, 0, fault.Unavailable("consent does not answer").Because(err)
	}
	switch r.GetReason() {
	case consentv1.Reason_REASON_WITHDRAWN:
		return r, shelf.EndWithdrawn, nil
	case consentv1.Reason_REASON_EXPIRED:
		return r, shelf.EndExpired, nil
	}
	return r, 0, nil
}

// pack makes and stores the package of some slots, out of so many valid ones.
func (p *Packer) pack(
	ctx context.Context, ring *vault.Ring, licence *marketv1.Licence, person store.Person, agreement shelf.Agreement, delivery shelf.DeliveryID, due []shelf.Day,
	valid int,
) (shelf.Contents, error) {
	var c shelf.Contents
	product, known := p.Catalog.Product(licence.GetProduct().GetId(), licence.GetProduct().GetVersion())
	if !known {
		return c, fault.Internal("the catalogue has no such version of a product any more")
	}
	schemas, err := minimise.Schemas(&product)
	if err != nil {
		return c, err
	}
	buyer, err := p.Buyers.Find(ctx, agreement.Licence.Buyer.ID)
	if err != nil {
		return c, err
	}
	key, ok := buyer.Newest(p.Now())
	if !ok {
		return c, fault.Unavailable("offers does not know the buyer yet")
	}
	slots := texts(due)
	points, err := p.Store.Points(ctx, ring, person, schemas, slots)
	if err != nil {
		return c, err
	}
	c = shelf.Contents{
		Slots: due, Schema: product.ID + "/" + product.Version, BuyerKey: key, Epoch: epoch, Minimiser: minimise.Version,
		Expected: len(person.Measured(schemas, agreement.Licence.First.String(), agreement.Licence.Last.String())), Valid: valid,
	}
	scope := sha256.Sum256([]byte(licence.GetBuyerId() + "\x00" + product.ID + "\x00" + licence.GetPurpose()))
	c.Scope = hex.EncodeToString(scope[:])
	pseudonym, err := ring.Pseudonym(eventv1.Retention_RETENTION_CONTENT, epoch, licence.GetBuyerId(), product.ID, licence.GetPurpose())
	if err != nil {
		return c, err
	}
	grants := grants(licence)
	rows, n, err := minimise.Rows(&product, pseudonym.String(), grants, slots, points)
	if err != nil {
		return c, err
	}
	schema, err := p.schemas.of(&product, grants)
	if err != nil {
		return c, err
	}
	m := manifest(licence, agreement, delivery, slots, n, schema)
	m.Expected, m.Valid, m.Delivered = c.Expected, c.Valid, len(slots)
	file, err := m.File(rows)
	if err != nil {
		return c, err
	}
	content := make([]byte, parcel.KeySize)
	if _, err := io.ReadFull(p.Random, content); err != nil {
		return c, err
	}
	sealed, digest, err := parcel.Seal(content, delivery.ID, file)
	if err != nil {
		return c, err
	}
	c.Rows, c.Bytes, c.Digest = n, int64(len(sealed)), digest
	l := agreement.Licence
	return c, p.Store.Keep(ctx, ring, store.Package{
		Delivery: delivery.ID, Agreement: l.Agreement.ID, Bid: l.Bid.ID, Buyer: l.Buyer.ID, Sealed: sealed, Key: content, At: p.Now(),
		Sources: person.Sources(schemas, slots),
	})
}

// schemas remembers the JSON Schemas of rows: there is one for each product and choice of fields.
type schemas struct {
	once sync.Once
	all  *lru.Map[string, []byte]
}

func (s *schemas) of(product *catalog.Product, grants []minimise.Grant) ([]byte, error) {
	const size = 1024
	s.once.Do(func() { s.all = lru.New[string, []byte](size) })
	name := product.ID + "/" + product.Version + fmt.Sprint(grants)
	if known, ok := s.all.Get(name); ok {
		return known, nil
	}
	fresh, err := minimise.Schema(product, grants)
	if err == nil {
		s.all.Put(name, fresh)
	}
	return fresh, err
}

func grants(l *marketv1.Licence) []minimise.Grant {
	out := make([]minimise.Grant, 0, len(l.GetFields()))
	for _, f := range l.GetFields() {
		out = append(out, minimise.Grant{Field: f.GetId(), Rung: f.GetRung()})
	}
	return out
}

func manifest(l *marketv1.Licence, a shelf.Agreement, d shelf.DeliveryID, slots []string, rows int, schema []byte) parcel.Manifest {
	m := parcel.Manifest{
		Delivery: d.String(), Agreement: l.GetAgreementId(), Sequence: a.Sequence + 1, Product: l.GetProduct().GetId(), Version: l.GetProduct().GetVersion(),
		Purpose: l.GetPurpose(), Rows: rows, Retention: int(l.GetRetentionDays()), Schema: schema,
	}
	exact := false
	for _, f := range l.GetFields() {
		m.Fields = append(m.Fields, f.GetId()+":"+f.GetRung())
		exact = exact || f.GetId() == "date" && f.GetRung() == "exact"
	}
	if exact { // a coarser date must not be told by the manifest
		m.Slots = slots
	}
	for _, r := range l.GetRecipients() {
		m.Recipients = append(m.Recipients, r.GetLegalName())
	}
	return m
}

// days reads local days; they come from our own store.
func days(list []string) ([]shelf.Day, error) {
	out := make([]shelf.Day, len(list))
	for i, s := range list {
		d, err := shelf.ParseDay(s)
		if err != nil {
			return nil, fault.Internal("a stored day is none")
		}
		out[i] = d
	}
	return out, nil
}

func texts(list []shelf.Day) []string {
	out := make([]string, len(list))
	for i, d := range list {
		out[i] = d.String()
	}
	return out
}

// within counts the days of a stock that an agreement is for.
func within(stock []shelf.Day, l shelf.Licence) (n int) {
	from, _ := slices.BinarySearch(stock, l.First)
	to, found := slices.BinarySearch(stock, l.Last)
	if found {
		to++
	}
	return to - from
}
