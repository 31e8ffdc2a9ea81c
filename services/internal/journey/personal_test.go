package journey

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	kafkago "github.com/segmentio/kafka-go"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/embedded"
	"github.com/obole-market/obole/pkg/embedded/kafka"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultpg"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent"
	"github.com/obole-market/obole/services/internal/worldtest"
)

// unreached are personal fields that no request of this story can fill, each with why. A path covers what lies below it.
var unreached = map[string]string{
	"consent.SubscriberEnrolled.level":                    "no request carries it: whoever enrols declares, and AgeAssured says more",
	"consent.ConsentGiven.record.value_added_service_id":  "no product is a value-added service yet",
	"consent.ConsentGiven.record.recipients":              "the bid names no onward recipient; where it does, they are its own words and stand in clear on it",
	"consent.ConsentGiven.record.licence.min_assurance":   "the bid takes any route, which is the zero",
	"consent.ConsentGiven.record.licence.predicates":      "the bid has none; where it has, they are its own words and stand in clear on it",
	"consent.ConsentGiven.record.licence.recipients":      "as the predicates",
	"consent.ConsentGiven.record.licence.withholding_ppm": "the country withholds nothing",
	"delivery.AgreementTaken.licence.min_assurance":       "the bid takes any route, which is the zero",
	"delivery.AgreementTaken.licence.predicates":          "the bid has none; where it has, they are its own words and stand in clear on it",
	"delivery.AgreementTaken.licence.recipients":          "as the predicates",
	"delivery.AgreementTaken.licence.withholding_ppm":     "the country withholds nothing",
	"offers.OfferAccepted.licence.min_assurance":          "the bid takes any route, which is the zero",
	"offers.OfferAccepted.licence.predicates":             "the bid has none; where it has, they are its own words and stand in clear on it",
	"offers.OfferAccepted.licence.recipients":             "as the predicates",
	"offers.OfferAccepted.licence.withholding_ppm":        "the country withholds nothing",
	"offers.AgreementFormed.licence":                      "in events of before acceptances were sealed; none is written any more",
	"consent.ConsentRefused.refusal":                      "nobody is refused here; it is an enum, whose sealing is tested where it is written",
}

// public are personal fields whose values stand in clear somewhere by right, so that looking for them proves nothing: sealed they are all
// the same, which every stored event is held to. A path covers what lies below it.
var public = map[string]string{
	"consent.ConsentGiven.record.controllers":           "the buyer's id, and a word of the contract",
	"delivery.DataImported.arrivals.days":               "this story's bid asks for days of its own, and they are the same",
	"delivery.FactsDerived.facts":                       "ids and bands are the catalogue's, and how many people are in each is kept for estimates, without whom",
	"consent.ConsentGiven.record.licence.agreement_id":  "a random id, which names the stream",
	"consent.ConsentGiven.record.licence.offer_id":      "as the agreement's",
	"consent.ConsentGiven.record.licence.bid_id":        "as the agreement's",
	"consent.ConsentGiven.record.licence.buyer_id":      "a buyer is no person",
	"consent.ConsentGiven.record.licence.group_id":      "a buyer is no person",
	"consent.ConsentGiven.record.licence.subscriber_id": "a random id, which names the person's stream",
	"consent.ConsentGiven.record.licence.product":       "the catalogue's, and the bid's",
	"consent.ConsentGiven.record.licence.purpose":       "the bid's",
	"consent.ConsentGiven.record.licence.fields":        "the catalogue's, and the bid's",
	"consent.ConsentGiven.record.licence.slots":         "the bid's",
	"consent.ConsentGiven.record.licence.card_sha256":   "a hash of the card, which is the offer's",
	"consent.ConsentGiven.record.licence.policy":        "a published pack",
	"delivery.PointCorrected.delivery_ids":              "random ids, which name the deliveries' streams",
	"delivery.AgreementTaken.licence.agreement_id":      "a random id, which names the stream",
	"delivery.AgreementTaken.licence.offer_id":          "as the agreement's",
	"delivery.AgreementTaken.licence.bid_id":            "as the agreement's",
	"delivery.AgreementTaken.licence.buyer_id":          "a buyer is no person",
	"delivery.AgreementTaken.licence.group_id":          "a buyer is no person",
	"delivery.AgreementTaken.licence.subscriber_id":     "a random id, which names the person's stream",
	"delivery.AgreementTaken.licence.product":           "the catalogue's, and the bid's",
	"delivery.AgreementTaken.licence.purpose":           "the bid's",
	"delivery.AgreementTaken.licence.fields":            "the catalogue's, and the bid's",
	"delivery.AgreementTaken.licence.slots":             "the bid's",
	"delivery.AgreementTaken.licence.card_sha256":       "a hash of the card, which is the offer's",
	"delivery.AgreementTaken.licence.policy":            "a published pack",
	"offers.OfferAccepted.licence.agreement_id":         "a random id, which names the stream",
	"offers.OfferAccepted.licence.offer_id":             "as the agreement's",
	"offers.OfferAccepted.licence.bid_id":               "as the agreement's",
	"offers.OfferAccepted.licence.buyer_id":             "a buyer is no person",
	"offers.OfferAccepted.licence.group_id":             "a buyer is no person",
	"offers.OfferAccepted.licence.subscriber_id":        "a random id, which names the person's stream",
	"offers.OfferAccepted.licence.product":              "the catalogue's, and the bid's",
	"offers.OfferAccepted.licence.purpose":              "the bid's",
	"offers.OfferAccepted.licence.fields":               "the catalogue's, and the bid's",
	"offers.OfferAccepted.licence.slots":                "the bid's",
	"offers.OfferAccepted.licence.card_sha256":          "a salted hash of the card, which is the offer's",
	"offers.OfferAccepted.licence.policy":               "a published pack",
}

// servers are a PostgreSQL, with its folder, and a Kafka whose files hold this test's data and nothing else.
func servers(t *testing.T) (p *embedded.PostgresServer, dir string, b *kafka.Broker) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var err error
	dir, err = os.MkdirTemp("", "obole-clear-") // t.TempDir is out of reach for the database's user, where the test runs as root
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	p, err = embedded.Postgres(ctx, embedded.PostgresOptions{
		Dir: filepath.Join(dir, "postgres"), Listen: "127.0.0.1:0", Settings: map[string]string{"max_connections": "200"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Stop(context.Background()) })
	b, err = kafka.Start(ctx, kafka.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
	})
	return p, dir, b
}

// files reads a folder's files, one behind the other.
func files(t *testing.T, dir string) (all []byte) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		all = append(append(all, b...), 0)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// plant puts a value where it will be looked for, and has PostgreSQL write out all that it holds.
func (f *full) plant(database *embedded.PostgresServer, log *sink, value []byte) {
	f.t.Helper()
	ctx := f.t.Context()
	conn, err := pgx.Connect(ctx, f.databases["offers"])
	f.must(err)
	_, err = conn.Exec(ctx, `create table planted as select $1::bytea`, value)
	f.must(err)
	f.must(conn.Close(ctx))
	admin, err := pgx.Connect(ctx, database.URL("postgres", embedded.Superuser))
	f.must(err)
	_, err = admin.Exec(ctx, `checkpoint`)
	f.must(err)
	f.must(admin.Close(ctx))
	topic := f.Prefix + "planted"
	client := bus.NewClient(f.Brokers, nil)
	f.must(bus.Ensure(ctx, client, bus.Topic{Name: topic, Partitions: 1}))
	r, err := client.Produce(ctx, &kafkago.ProduceRequest{
		Topic: topic, RequiredAcks: kafkago.RequireAll, Records: kafkago.NewRecordReader(kafkago.Record{Value: kafkago.NewBytes(value)}),
	})
	f.must(err)
	f.must(r.Error)
	line, err := boot.NewLog(&boot.Config{Seams: boot.Seams{Log: log}})
	f.must(err)
	line.Warn(string(value))
}

// rare does what a story mostly has no part for: a person of whom the year of birth is known, a second copy of a file, a buyer that
// replaces its key while a package waits, and one that loses an answer.
func (f *full) rare(p *holder) {
	f.t.Helper()
	ctx := f.t.Context()
	other := id.Random()
	_, err := consentv1.NewConsentServiceClient(f.Dial(consent.Name, other.String(), eventv1.Role_ROLE_SUBSCRIBER)).Enrol(ctx, &consentv1.EnrolRequest{
		SubscriberId: other.String(), Country: "BE", Language: "fr", BirthYear: 1971, IdempotencyKey: "e",
	})
	f.must(err)
	_, err = p.send(read(f.t, "dailyActivity_merged.csv"), &deliveryv1.ImportHeader{
		SubscriberId: p.id.String(), SourceId: p.source, FileName: canaries["file name"], Zone: canaries["zone"], Person: canaries["participant"],
	})
	f.must(err)
	fresh, err := parcel.NewKeys(parcel.X25519)
	f.must(err)
	_, err = f.bids.RotateKey(ctx, &offersv1.RotateKeyRequest{
		BuyerId: f.buyer.String(), IdempotencyKey: "k", Replaces: "k1", Key: &offersv1.BuyerKey{Id: "k2", Algorithm: fresh.Algorithm, PublicKey: fresh.Public, ReceiptKey: fresh.Receipt, ValidFrom: time.Now().UnixMicro()},
	})
	f.must(err)
	f.Eventually("a package to be sealed to the new key", func() bool {
		list, err := f.packages.ListDeliveries(ctx, &deliveryv1.ListDeliveriesRequest{BuyerId: f.buyer.String(), State: prepared})
		f.must(err)
		return len(list.GetDeliveries()) > 0 && list.GetDeliveries()[0].GetBuyerKeyId() == "k2"
	})
}

// personal opens every stored event, holds what is stored to having no personal field and no country's policy in clear, and every personal
// field of the contract to having been filled by one of them. It gives the texts and bytes of these fields by their paths.
func (f *full) personal(keys string) map[string]map[string]bool {
	f.t.Helper()
	ctx := f.t.Context()
	found, reached := map[string]map[string]bool{}, map[string]bool{}
	var all []string
	for _, service := range worldtest.Services {
		typ, err := protoregistry.GlobalTypes.FindMessageByName(protoreflect.FullName("obole." + service + ".v1.Event"))
		f.must(err)
		arms := typ.Descriptor().Oneofs().ByName("event").Fields()
		for i := range arms.Len() {
			all = append(all, paths(arms.Get(i).Message(), false, service+"."+string(arms.Get(i).Message().Name()), nil)...)
		}
		keks, err := vault.OpenKEKs(keys)
		f.must(err)
		pool, err := pgxpool.New(ctx, f.databases[service])
		f.must(err)
		defer pool.Close()
		keeper := vault.New(vault.Config{Store: vaultpg.New(pool), KEKs: keks})
		rows, err := pool.Query(ctx, `select meta, stream, version, type, data from event`)
		f.must(err)
		var (
			stream, kind string
			version      int64
			about, data  []byte
			boxes        int
		)
		_, err = pgx.ForEachRow(rows, []any{&about, &stream, &version, &kind, &data}, func() error {
			m := typ.New()
			if err := proto.Unmarshal(data, m.Interface()); err != nil {
				return err
			}
			arm := m.Get(m.WhichOneof(typ.Descriptor().Oneofs().ByName("event"))).Message()
			at := service + "." + string(arm.Descriptor().Name())
			fill(m, false, service, func(path string, _ protoreflect.FieldDescriptor, _ protoreflect.Value) {
				f.t.Errorf("%s is stored in clear", path)
			})
			// A policy in clear is a country's. A bid's is the buyer's own, and settlement's events are of the books.
			if e, told := m.Interface().(interface{ GetMeta() *eventv1.Meta }); told && e.GetMeta().GetPolicy() != nil && service != "settlement" && kind != "bid_placed" {
				f.t.Errorf("%s tells a person's country by its policy", at)
			}
			held, can := m.Interface().(interface{ GetSealed() []*eventv1.Sealed })
			if !can || len(held.GetSealed()) == 0 {
				return nil
			}
			boxes += len(held.GetSealed())
			bunch, err := keeper.ByID(ctx, vault.KeyIDs(held.GetSealed()...))
			if err != nil {
				return err
			}
			meta, err := es.DecodeMeta(about)
			if err != nil {
				return err
			}
			aad := vault.AAD(meta.ID, stream, version, kind, "obole."+service+".v1")
			if _, err := bunch.Open(m.Interface(), held.GetSealed(), aad); err != nil {
				return err
			}
			fill(m.Get(m.WhichOneof(typ.Descriptor().Oneofs().ByName("event"))).Message(), false, at, func(path string, d protoreflect.FieldDescriptor, v protoreflect.Value) {
				reached[path] = true
				text := ""
				switch d.Kind() {
				case protoreflect.StringKind:
					text = v.String()
				case protoreflect.BytesKind:
					text = string(v.Bytes())
				}
				if len(text) >= 6 && covered(public, path) == "" {
					if found[path] == nil {
						found[path] = map[string]bool{}
					}
					found[path][text] = true
				}
			})
			return nil
		})
		f.must(err)
		if (boxes > 0) == (service == "settlement") {
			f.t.Errorf("%s has %d sealed parts", service, boxes)
		}
	}
	known := map[string]bool{}
	for _, path := range all {
		known[path] = true
		switch why := covered(unreached, path); {
		case reached[path] && why != "":
			f.t.Errorf("%s is filled, though it is excepted: %s", path, why)
		case !reached[path] && why == "":
			f.t.Errorf("%s is personal, and nothing fills it: no canary reached it", path)
		}
	}
	for _, list := range []map[string]string{unreached, public} {
		for path := range list {
			if !known[path] && !startsAny(all, path+".") {
				f.t.Errorf("%s is excepted, and is no personal field", path)
			}
		}
	}
	if len(all) < 50 || len(found) < 10 {
		f.t.Errorf("only %d personal fields, and values of %d to look for", len(all), len(found))
	}
	return found
}

func startsAny(list []string, prefix string) bool {
	for _, s := range list {
		if strings.HasPrefix(s, prefix) {
			return true
		}
	}
	return false
}

// covered gives why a path, or what it lies below, is on a list.
func covered(list map[string]string, path string) string {
	for {
		if why := list[path]; why != "" {
			return why
		}
		i := strings.LastIndexByte(path, '.')
		if i < 0 {
			return ""
		}
		path = path[:i]
	}
}

func isPersonal(d protoreflect.FieldDescriptor) bool {
	return proto.HasExtension(d.Options(), eventv1.E_Personal)
}

// paths lists the personal fields of a message, down to their single values.
func paths(m protoreflect.MessageDescriptor, within bool, at string, above []protoreflect.FullName) (list []string) {
	for _, name := range above {
		if name == m.FullName() {
			return nil
		}
	}
	for i := range m.Fields().Len() {
		d := m.Fields().Get(i)
		personal, path := within || isPersonal(d), at+"."+string(d.Name())
		switch {
		case d.Message() != nil:
			list = append(list, paths(d.Message(), personal, path, append(above, m.FullName()))...)
		case personal:
			list = append(list, path)
		}
	}
	return list
}

// fill visits the single values of a message's personal fields that are set.
func fill(m protoreflect.Message, within bool, at string, visit func(string, protoreflect.FieldDescriptor, protoreflect.Value)) {
	m.Range(func(d protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		personal, path := within || isPersonal(d), at+"."+string(d.Name())
		one := func(v protoreflect.Value) {
			if d.Message() != nil {
				fill(v.Message(), personal, path, visit)
			} else if personal {
				visit(path, d, v)
			}
		}
		if d.IsList() {
			for i := range v.List().Len() {
				one(v.List().Get(i))
			}
		} else {
			one(v)
		}
		return true
	})
}
