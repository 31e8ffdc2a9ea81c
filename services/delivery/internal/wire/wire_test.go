package wire

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	"github.com/obole-market/obole/services/delivery/internal/holding"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

var update = flag.Bool("update", false, "write the golden files of shapes that have none; a published one is never rewritten")

const golden = "../../../../proto/golden/delivery/v1"

func named(s string) id.ID { return id.Derive([]byte("golden"), []byte(s)) }

var (
	at       = time.Date(2026, 11, 24, 12, 0, 0, 123_000, time.UTC)
	who      = named("subscriber")
	origin   = holding.SourceID{ID: named("source")}
	deal     = shelf.AgreementID{ID: named("agreement")}
	offer    = shelf.OfferID{ID: named("offer")}
	bid      = shelf.BidID{ID: named("bid")}
	parcel   = shelf.DeliveryID{ID: named("delivery")}
	person   = shelf.SubscriberID{ID: who}
	digest   = [32]byte{7, 8, 9}
	monday   = shelf.Day(16_902)
	document = &marketv1.Licence{
		AgreementId: deal.String(), OfferId: offer.String(), BidId: bid.String(), BuyerId: named("buyer").String(), GroupId: named("group").String(),
		SubscriberId: who.String(), Product: &marketv1.ProductRef{Id: "daily-steps", Version: "1"}, Purpose: "https://w3id.org/dpv#AcademicResearch",
		Fields:    []*marketv1.GrantedField{{Id: "date", Rung: "exact"}, {Id: "steps", Rung: "hundred"}},
		UnitPrice: &moneyv1.UnitPrice{Micros: 50_000, Currency: "EUR"}, SlotsReserved: 5, Slots: &marketv1.Days{First: "2016-04-12", Last: "2016-05-12"},
		Cadence: marketv1.Cadence_CADENCE_WEEKLY, RetentionDays: 365, Country: "BE", Health: true, ExpiresAt: at.UnixMicro(),
	}
)

// holdings is one of each event of a holding that the rules know.
func holdings() []holding.Event {
	h := holding.ID{ID: who}
	return []holding.Event{
		holding.Connected{Holding: h, Source: origin, Importer: "fitabase-csv", Route: holding.RouteOwnCopy},
		holding.Imported{
			Holding: h, Import: holding.ImportID{ID: named("import")}, Source: origin, Route: holding.RouteOwnCopy, Zone: "America/New_York",
			Fingerprint: []byte{1, 2, 3}, Importer: "1", File: digest, Repeated: 2,
			Arrivals: []holding.Arrival{{Schema: "omh:step-count:3.0", Points: 31, First: "2016-04-12", Last: "2016-05-12"}},
		},
		// Of before there was a rule, with its ids in clear.
		holding.Corrected{Holding: h, Point: holding.PointID{ID: named("point")}, Supersedes: holding.PointID{ID: named("older")}},
		holding.Corrected{
			Holding: h, Source: origin, Point: holding.PointID{ID: named("point")}, Supersedes: holding.PointID{ID: named("older")},
			Schema: "omh:step-count:3.0", Day: "2016-04-12", Deliveries: []id.ID{parcel.ID},
		},
		holding.Restricted{Holding: h, Source: origin},
		holding.Lifted{Holding: h, Source: origin},
		holding.Disconnected{Holding: h, Source: origin},
		holding.Reconnected{Holding: h, Source: origin},
		holding.Derived{Holding: h, Rules: 1, Facts: map[string]string{"steps_per_day": "below_5000", "sleep_per_night": "6_to_7"}},
	}
}

// shelves is one of each event of a shelf that the rules know.
func shelves(t testing.TB) []shelf.Event {
	t.Helper()
	licence, err := Licence(document)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return []shelf.Event{
		shelf.Taken{Licence: licence, Document: raw, Cleared: true, DueAt: at},
		shelf.Cleared{Agreement: deal, DueAt: at},
		shelf.Awaited{Agreement: deal, DueAt: at},
		shelf.Ended{Agreement: deal, Offer: offer, Bid: bid, Subscriber: person, Currency: "EUR", Released: 2, Reason: shelf.EndWithdrawn},
		shelf.Prepared{
			Delivery: parcel, Agreement: deal, Subscriber: person, Sequence: 1, LapsesAt: at, Contents: shelf.Contents{
				Slots: []shelf.Day{monday, monday + 1}, Schema: "1", Bytes: 4096, Rows: 2, Expected: 3, Valid: 2, Digest: digest, BuyerKey: "k1",
				Scope: "scope", Epoch: 1, Minimiser: "1",
			},
		},
		shelf.Resealed{Delivery: parcel, BuyerKey: "k2"},
		shelf.Receipted{Delivery: parcel, Agreement: deal, Receipt: shelf.Receipt{Digest: digest, BuyerKey: "k1", Signature: []byte{4, 5, 6}}},
		shelf.Released{
			Delivery: parcel, Agreement: deal, Bid: bid, Subscriber: person, Slots: 2, Currency: "EUR", ReleaseEvent: named("permit"),
			Elapsed: 20 * time.Millisecond, Last: true,
		},
		shelf.Released{
			Delivery: parcel, Agreement: deal, Bid: bid, Subscriber: person, Slots: 2, Currency: "EUR", ReleaseEvent: named("permit"),
			Elapsed: 20 * time.Millisecond, Answer: shelf.Answer{BuyerKey: "k1", Sealed: []byte("sealed to the buyer")},
		},
		shelf.Blocked{Delivery: parcel, Agreement: deal, Reason: "WITHDRAWN", Final: true},
		shelf.Lapsed{Delivery: parcel, Agreement: deal},
		shelf.DeletionOrdered{Agreement: deal, Deliveries: []shelf.DeliveryID{parcel}, Reason: shelf.EndWithdrawn, Due: at},
	}
}

// later are the arms whose behaviour comes later: they stand in the contract from its first version.
func later() []*deliveryv1.Event {
	return []*deliveryv1.Event{
		{Event: &deliveryv1.Event_DeliveryDisputed{DeliveryDisputed: &deliveryv1.DeliveryDisputed{
			DeliveryId: parcel.String(), AgreementId: deal.String(), Code: deliveryv1.DisputeCode_DISPUTE_CODE_UNDECRYPTABLE,
		}}},
		{Event: &deliveryv1.Event_DisputeResolved{DisputeResolved: &deliveryv1.DisputeResolved{
			DeliveryId: parcel.String(), AgreementId: deal.String(), Upheld: true,
		}}},
		{Event: &deliveryv1.Event_DeletionAttested{DeletionAttested: &deliveryv1.DeletionAttested{
			AgreementId: deal.String(), Signer: "k1", Method: "CRYPTO_ERASURE", Exemption: "aggregates", Article: "GDPR 17(3)(d)",
		}}},
	}
}

func meta() *eventv1.Meta {
	event, story := named("event"), named("story")
	return &eventv1.Meta{
		EventId: event[:], CorrelationId: story[:], RecordedAt: at.UnixMicro(), Actor: &eventv1.Actor{Role: eventv1.Role_ROLE_SERVICE, Id: "delivery"},
	}
}

// TestEveryPublishedShapeDecodesForEver holds today's code to the bytes of every shape that was ever published, and to
// writing the same shapes. Golden files hold personal fields in clear: what is sealed is random, and nobody is named.
func TestEveryPublishedShapeDecodesForEver(t *testing.T) {
	t.Parallel()
	seen := map[string]int{}
	for _, e := range holdings() {
		m := held(e)
		freeze(t, m, seen)
		back, err := holds(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", e, diff)
		}
		if other, err := puts(m); other != nil || err != nil || !OfHolding(Arm(m)) {
			t.Errorf("%T is the shelf's: %v, %v", e, other, err)
		}
	}
	for _, e := range shelves(t) {
		m := put(e)
		freeze(t, m, seen)
		back, err := puts(m)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", e, diff)
		}
		if other, err := holds(m); other != nil || err != nil || OfHolding(Arm(m)) {
			t.Errorf("%T is a holding's: %v, %v", e, other, err)
		}
	}
	for _, m := range later() {
		freeze(t, m, seen)
		one, err := holds(m)
		other, wrong := puts(m)
		if one != nil || other != nil || err != nil || wrong != nil {
			t.Errorf("the arm %s without a rule was read as %T, %T, %v, %v", Arm(m), one, other, err, wrong)
		}
	}
	fields := arms.Fields()
	for i := range fields.Len() {
		if name := string(fields.Get(i).Name()); seen[name] == 0 {
			t.Errorf("the arm %s has no golden file", name)
		}
	}
}

// freeze holds a message to its golden file, and writes one where there is none and it was asked for. Further shapes of an arm have
// files of their own, by their numbers.
func freeze(t *testing.T, m *deliveryv1.Event, seen map[string]int) {
	t.Helper()
	arm := Arm(m)
	if seen[arm]++; seen[arm] > 1 {
		arm = fmt.Sprintf("%s-%d", arm, seen[arm])
	}
	m.Meta = meta()
	want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(golden, arm+".binpb")
	frozen, err := os.ReadFile(file)
	if os.IsNotExist(err) && *update {
		text, _ := prototext.MarshalOptions{Multiline: true}.Marshal(m)
		for name, b := range map[string][]byte{file: want, filepath.Join(golden, arm+".txt"): text} {
			if err := os.MkdirAll(golden, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(name, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		return
	}
	if err != nil {
		t.Fatalf("%s has no golden file; go test -update writes it: %v", arm, err)
	}
	old := new(deliveryv1.Event)
	if err := proto.Unmarshal(frozen, old); err != nil {
		t.Fatalf("%s: %v", arm, err)
	}
	if diff := cmp.Diff(old, m, protocmp.Transform()); diff != "" {
		t.Errorf("%s is not written as it was frozen:\n%s", arm, diff)
	}
}

// TestMalformedIDsAndDaysAreNamed: an event that another hand wrote is an error, never a zero id or day.
func TestMalformedIDsAndDaysAreNamed(t *testing.T) {
	t.Parallel()
	for _, m := range []*deliveryv1.Event{
		{Event: &deliveryv1.Event_SourceConnected{SourceConnected: &deliveryv1.SourceConnected{SubscriberId: "-"}}},
		{Event: &deliveryv1.Event_DataImported{DataImported: &deliveryv1.DataImported{ImportId: "-"}}},
		{Event: &deliveryv1.Event_FactsDerived{FactsDerived: &deliveryv1.FactsDerived{SubscriberId: "-"}}},
		{Event: &deliveryv1.Event_PointCorrected{PointCorrected: &deliveryv1.PointCorrected{PointId: "-"}}},
		{Event: &deliveryv1.Event_SourceRestricted{SourceRestricted: &deliveryv1.SourceRestricted{SourceId: "-"}}},
		{Event: &deliveryv1.Event_RestrictionLifted{RestrictionLifted: &deliveryv1.RestrictionLifted{SourceId: "-"}}},
		{Event: &deliveryv1.Event_SourceDisconnected{SourceDisconnected: &deliveryv1.SourceDisconnected{SourceId: "-"}}},
		{Event: &deliveryv1.Event_SourceReconnected{SourceReconnected: &deliveryv1.SourceReconnected{SourceId: "-"}}},
	} {
		if e, err := holds(m); err == nil {
			t.Errorf("%s was read as %v", Arm(m), e)
		}
	}
	bad := func(change func(*marketv1.Licence)) *deliveryv1.Event {
		l := proto.CloneOf(document)
		change(l)
		return &deliveryv1.Event{Event: &deliveryv1.Event_AgreementTaken{AgreementTaken: &deliveryv1.AgreementTaken{Licence: l}}}
	}
	lists := []*deliveryv1.Event{
		bad(func(l *marketv1.Licence) { l.GroupId = "" }), bad(func(l *marketv1.Licence) { l.Slots.First = "2016-04-31" }),
		bad(func(l *marketv1.Licence) { l.Slots = nil }), bad(func(l *marketv1.Licence) { l.OfferId = "-" }),
		{Event: &deliveryv1.Event_AgreementTaken{AgreementTaken: &deliveryv1.AgreementTaken{}}},
	}
	for _, e := range shelves(t) {
		m := put(e)
		// Whatever the arm's ids are, one of them is wrong.
		r := m.ProtoReflect()
		arm := r.Mutable(r.WhichOneof(arms)).Message()
		for i := range arm.Descriptor().Fields().Len() {
			f := arm.Descriptor().Fields().Get(i)
			if name := string(f.Name()); name == "delivery_id" || name == "agreement_id" && arm.Descriptor().Fields().ByName("licence") == nil {
				wrong := proto.CloneOf(m)
				w := wrong.ProtoReflect()
				inner := w.Mutable(w.WhichOneof(arms)).Message()
				inner.Set(f, protoreflect.ValueOfString("no id"))
				lists = append(lists, wrong)
			}
		}
	}
	lists = append(lists, &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryPrepared{DeliveryPrepared: &deliveryv1.DeliveryPrepared{
		DeliveryId: parcel.String(), AgreementId: deal.String(), SubscriberId: who.String(), Slots: []string{"yesterday"},
	}}})
	for _, m := range lists {
		if e, err := puts(m); err == nil {
			t.Errorf("%s was read as %+v", Arm(m), e)
		}
	}
}

// keeper keeps keys in memory.
func keeper(t *testing.T) *vault.Keeper {
	t.Helper()
	keks, err := vault.NewKEKs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	return vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks})
}

func ringOf(t *testing.T, keys *vault.Keeper, who id.ID) *vault.Ring {
	t.Helper()
	ring, err := keys.Ring(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// TestSealedFieldsComeBackUntilForgotten: what is stored shows nothing personal, opens with the person's keys only, and not any
// more once they are forgotten.
func TestSealedFieldsComeBackUntilForgotten(t *testing.T) {
	t.Parallel()
	keys := keeper(t)
	ring, stranger := ringOf(t, keys, who), ringOf(t, keys, named("stranger"))
	of, on := Holdings(), Shelves()
	type stored struct {
		r    *es.Record
		read func(*es.Record, any) (any, error)
	}
	var all []stored
	keep := func(e any, encode func(*es.Header) (string, []byte, error), read func(*es.Record, any) (any, error)) {
		t.Helper()
		h := &es.Header{ID: named("event"), Stream: es.StreamOf(who), Version: es.Version(len(all) + 1), At: at, Meta: meta()}
		typ, data, err := encode(h)
		if err != nil {
			t.Fatal(err)
		}
		r := &es.Record{ID: h.ID, Stream: h.Stream, Version: h.Version, Type: typ, Data: data}
		all = append(all, stored{r, read})
		back, err := read(r, ring)
		if err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		if diff := cmp.Diff(e, back); diff != "" {
			t.Errorf("%s does not come back:\n%s", typ, diff)
		}
		for _, canary := range []string{
			"fitabase", "America/New_York", "omh:", "2016-", "steps_per_day", "below_5000", "daily-steps", "AcademicResearch", "scope", "sealed to",
		} {
			if bytes.Contains(data, []byte(canary)) {
				t.Errorf("%s shows %q in clear", typ, canary)
			}
		}
		sealed := new(deliveryv1.Event)
		if err := proto.Unmarshal(data, sealed); err != nil {
			t.Fatal(err)
		}
		if len(sealed.GetSealed()) == 0 {
			return
		}
		moved := *r
		moved.Version++
		if _, err := read(&moved, ring); err == nil {
			t.Errorf("%s opens at another version", typ)
		}
		if _, err := read(r, stranger); err == nil {
			t.Errorf("%s opens with a stranger's keys", typ)
		}
		if _, err := read(r, nil); !errors.Is(err, es.ErrKeys) {
			t.Errorf("%s without keys: %v", typ, err)
		}
	}
	for _, e := range holdings() {
		keep(e, func(h *es.Header) (string, []byte, error) { return of.Encode(e, h, ring) },
			func(r *es.Record, keys any) (any, error) { return of.Decode(r, keys) })
	}
	for _, e := range shelves(t) {
		keep(e, func(h *es.Header) (string, []byte, error) { return on.Encode(e, h, ring) },
			func(r *es.Record, keys any) (any, error) { return on.Decode(r, keys) })
	}
	err := keys.Forget(t.Context(), who, eventv1.Retention_RETENTION_IDENTITY, eventv1.Retention_RETENTION_CONTENT, eventv1.Retention_RETENTION_CONSENT_PROOF)
	if err != nil {
		t.Fatal(err)
	}
	forgotten := ringOf(t, keys, who)
	for _, s := range all {
		e, err := s.read(s.r, forgotten)
		if err != nil {
			t.Errorf("%s cannot be read any more: %v", s.r.Type, err)
		}
		switch e := e.(type) {
		case holding.Imported:
			if e.Zone != "" || e.File != [32]byte{} || e.Arrivals != nil {
				t.Errorf("what was imported is still known: %+v", e)
			}
		case holding.Derived:
			if e.Facts != nil {
				t.Errorf("facts are still known: %+v", e)
			}
		case shelf.Taken:
			want := shelf.Licence{Agreement: deal, Bid: bid, Subscriber: person}
			if diff := cmp.Diff(want, e.Licence); diff != "" || len(e.Document) != 0 {
				t.Errorf("what was agreed is still known:\n%s", diff)
			}
		case shelf.Released:
			if e.Answer.Sealed != nil || e.Answer.BuyerKey != "" || e.Slots != 2 {
				t.Errorf("what a buyer was answered is still known: %+v", e)
			}
		case shelf.Prepared:
			if e.Contents.Slots != nil || e.Contents.BuyerKey != "" || e.Delivery != parcel {
				t.Errorf("what a package held is still known: %+v", e)
			}
		}
	}
}

// TestUnknownArmsAreRefused: an arm without a rule, and one of the other root, is no event of a root.
func TestUnknownArmsAreRefused(t *testing.T) {
	t.Parallel()
	ring := ringOf(t, keeper(t), who)
	of, on := Holdings(), Shelves()
	for i, m := range append(later(), held(holdings()[0]), put(shelf.Lapsed{Delivery: parcel, Agreement: deal})) {
		h := &es.Header{ID: named("event"), Stream: es.StreamOf(who), Version: 1, At: at, Meta: meta()}
		typ, data, err := encode(m, h, ring)
		if err != nil {
			t.Fatal(err)
		}
		r := &es.Record{ID: h.ID, Stream: h.Stream, Version: h.Version, Type: typ, Data: data}
		if _, err := of.Decode(r, ring); i != len(later()) && !errors.Is(err, es.ErrUnknownArm) {
			t.Errorf("a holding reads %s: %v", typ, err)
		}
		if _, err := on.Decode(r, ring); i != len(later())+1 && !errors.Is(err, es.ErrUnknownArm) {
			t.Errorf("a shelf reads %s: %v", typ, err)
		}
	}
}

func states(t testing.TB) []shelf.State {
	t.Helper()
	taken := shelves(t)[0].(shelf.Taken)
	lot := shelf.Lot{Group: taken.Licence.Group, Product: "daily-steps"}
	return []shelf.State{
		shelf.Shelf{
			Lots: map[shelf.Lot][]shelf.Day{lot: {monday, monday + 1}, {Product: "sleep-nights"}: {monday}},
			Of:   map[shelf.AgreementID]shelf.Lot{deal: lot, {ID: named("another")}: lot},
			Open: map[shelf.DeliveryID]shelf.Held{parcel: {Lot: lot, Slots: []shelf.Day{monday}}, {ID: named("another")}: {Lot: lot, Slots: []shelf.Day{monday + 1}}},
		},
		shelf.Shelf{},
		shelf.Shelf{Of: map[shelf.AgreementID]shelf.Lot{deal: lot}}, // agreed, nothing prepared yet
		shelf.Shelf{Lots: map[shelf.Lot][]shelf.Day{}, Of: map[shelf.AgreementID]shelf.Lot{}, Open: map[shelf.DeliveryID]shelf.Held{}},
		shelf.Agreement{
			Licence: taken.Licence, Document: taken.Document, Cleared: true, Ended: true, Ordered: true, Sequence: 3, Stopped: 1, Slots: 4, Charged: 2,
			Open: []shelf.Waits{{Delivery: parcel, Slots: 2}}, Released: []shelf.DeliveryID{parcel}, Awaited: at,
		},
		shelf.Delivery{Agreement: deal, Sequence: 3, Slots: 2, Digest: digest, BuyerKey: "k1", Status: shelf.Signed, Blocked: "PAUSED", LapsesAt: at},
	}
}

// TestStateRowsComeBack also where the row is the same whatever the order of a map, and shows nothing.
func TestStateRowsComeBack(t *testing.T) {
	t.Parallel()
	ring := ringOf(t, keeper(t), who)
	on := es.StreamOf(who)
	for _, s := range append(states(t), nil) {
		b, err := encodeState(s, on, ring)
		if err != nil {
			t.Fatal(err)
		}
		back, err := decodeState(b, on, ring)
		if err != nil {
			t.Fatalf("%T: %v", s, err)
		}
		if diff := cmp.Diff(s, back); diff != "" {
			t.Errorf("%T does not come back:\n%s", s, diff)
		}
	}
	_, once := appendState(nil, states(t)[0])
	for range 20 {
		if _, again := appendState(nil, states(t)[0]); !bytes.Equal(once, again) {
			t.Fatal("the same shelf is another row")
		}
	}
	// No field of a state is forgotten by its row: the states above have all of them set.
	for _, s := range []shelf.State{states(t)[0], states(t)[4], states(t)[5]} {
		v := reflect.ValueOf(s)
		for i := range v.NumField() {
			if v.Field(i).IsZero() {
				t.Errorf("%T.%s is not in this test", s, v.Type().Field(i).Name)
			}
		}
	}
}

func TestStateRowsAreSealed(t *testing.T) {
	t.Parallel()
	keys := keeper(t)
	ring, stranger := ringOf(t, keys, who), ringOf(t, keys, named("stranger"))
	on := es.StreamOf(who)
	for _, s := range states(t) {
		b, err := encodeState(s, on, ring)
		if err != nil {
			t.Fatal(err)
		}
		for _, canary := range []string{"daily-steps", "sleep-nights", deal.String(), parcel.String(), "16902", "PAUSED", "Licence", "Digest"} {
			if bytes.Contains(b, []byte(canary)) {
				t.Errorf("%T's row shows %q in clear", s, canary)
			}
		}
		if _, err := decodeState(b, on, stranger); err == nil {
			t.Errorf("%T's row opens with a stranger's keys", s)
		}
		if _, err := decodeState(b, on.Child(named("child")), ring); err == nil {
			t.Errorf("%T's row opens as another stream's", s)
		}
		if _, err := encodeState(s, on, nil); !errors.Is(err, es.ErrKeys) {
			t.Errorf("sealed without keys: %v", err)
		}
		if _, err := decodeState(b, on, nil); !errors.Is(err, es.ErrKeys) {
			t.Errorf("opened without keys: %v", err)
		}
	}
	bad, err := ring.SealBytes(eventv1.Retention_RETENTION_CONTENT, []byte("state "+on), []byte("canary"))
	if err != nil {
		t.Fatal(err)
	}
	if s, err := decodeState(append([]byte{rowShelf}, bad...), on, ring); err == nil || bytes.Contains([]byte(err.Error()), []byte("canary")) {
		t.Errorf("a malformed row: %v, %v", s, err)
	}
}

// FuzzStateRows reads anything: it is the row of a state, which is then written as it was read, or malformed.
func FuzzStateRows(f *testing.F) {
	for _, s := range states(f) {
		kind, row := appendState(nil, s)
		f.Add(kind, row)
	}
	f.Fuzz(func(t *testing.T, kind byte, row []byte) {
		s, err := readState(kind, row)
		if err != nil {
			return
		}
		_, again := appendState(nil, s)
		back, err := readState(kind, again)
		if diff := cmp.Diff(s, back); err != nil || diff != "" {
			t.Errorf("it comes back as another one, %v:\n%s", err, diff)
		}
	})
}

func TestPlaceIsStreamsInverse(t *testing.T) {
	t.Parallel()
	for _, on := range []shelf.On{{Shelf: shelf.Of(person)}, {Shelf: shelf.Of(person), Child: deal.ID}} {
		if back := place(Stream(on)); back != on {
			t.Errorf("%v came back as %v", on, back)
		}
	}
}

// TestAReasonOfANewerProcess is read, and is none of ours.
func TestAReasonOfANewerProcess(t *testing.T) {
	t.Parallel()
	if name := ReasonName(9999); name != "9999" || ReasonProto(name) != 0 {
		t.Errorf("it is called %q", name)
	}
}
