package journey

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// stored reads every event of a service's log as it is stored: no field that the contract calls personal is set in any, and no event about
// a person names the policy of the person's country in clear. What has no mark can still be a canary: the tables are looked through besides.
func stored(t *testing.T, service, url string) {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }() // it was only read
	rows, err := conn.Query(t.Context(), `select data from event`)
	if err != nil {
		t.Fatal(err)
	}
	var data []byte
	boxes := 0
	_, err = pgx.ForEachRow(rows, []any{&data}, func() error {
		m := map[string]proto.Message{
			"offers": new(offersv1.Event), "consent": new(consentv1.Event), "delivery": new(deliveryv1.Event), "settlement": new(settlementv1.Event),
		}[service]
		if err := proto.Unmarshal(data, m); err != nil {
			return err
		}
		revealed(m.ProtoReflect(), func(f protoreflect.FullName) { t.Errorf("%s stores %s in clear: %v", service, f, m) })
		if e, ok := m.(interface{ GetSealed() []*eventv1.Sealed }); ok {
			boxes += len(e.GetSealed())
		}
		if e, ok := m.(interface{ GetMeta() *eventv1.Meta }); ok && service != "settlement" && e.GetMeta().GetPolicy() != nil {
			if placed, bid := m.(*offersv1.Event); !bid || placed.GetBidPlaced() == nil {
				t.Errorf("%s tells a person's country by its policy: %v", service, m)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if (boxes > 0) == (service == "settlement") {
		t.Errorf("%s has %d sealed parts", service, boxes)
	}
}

// revealed visits every field that is set and called personal.
func revealed(m protoreflect.Message, visit func(protoreflect.FullName)) {
	m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
		if proto.HasExtension(f.Options(), eventv1.E_Personal) {
			visit(f.FullName())
			return true
		}
		switch {
		case f.Message() == nil || f.IsMap():
		case f.IsList():
			for i := range v.List().Len() {
				revealed(v.List().Get(i).Message(), visit)
			}
		default:
			revealed(v.Message(), visit)
		}
		return true
	})
}
