package worldtest

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// Message is an empty Event of a service's context.
func Message(service string) proto.Message {
	switch service {
	case "offers":
		return new(offersv1.Event)
	case "consent":
		return new(consentv1.Event)
	case "delivery":
		return new(deliveryv1.Event)
	}
	return new(settlementv1.Event)
}

// shown are shapes that were published before what they tell of a person was sealed.
var shown = map[string]bool{"offer_presented": true, "offer_accepted": true, "offer_accepted.1": true, "agreement_formed": true, "agreement_formed.1": true}

// Golden is the folder of a context's frozen files, seen from the package whose test runs.
func Golden(t testing.TB, service string) string {
	t.Helper()
	const deepest = 8
	folder := "."
	for range deepest {
		if at := filepath.Join(folder, "proto", "golden", service, "v1"); isFolder(at) {
			return at
		}
		folder = filepath.Join(folder, "..")
	}
	t.Fatalf("the frozen files of %s are not above the test's folder", service)
	return ""
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}

// Frozen reads one frozen file as it was written, personal fields and all.
func Frozen(t testing.TB, service, name string) proto.Message {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(Golden(t, service), name+".binpb"))
	if err != nil {
		t.Fatal(err)
	}
	m := Message(service)
	if err := proto.Unmarshal(b, m); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return m
}

// Published are all frozen shapes of a context's events of some types, by the names of their files, each as it comes from the topic: what is
// personal is in boxes that no reader can open.
func Published(t testing.TB, service string, types map[string]bus.Way) map[string]*bus.Received {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(Golden(t, service), "*.binpb"))
	if err != nil || len(files) == 0 {
		t.Fatalf("%s has no frozen files: %v", service, err)
	}
	keks, err := vault.NewKEKs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks}).Ring(t.Context(), id.Random())
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]*bus.Received{}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".binpb")
		m := Frozen(t, service, name)
		r := m.ProtoReflect()
		typ := arm(r)
		if _, read := types[typ]; !read {
			continue
		}
		if !shown[name] {
			sealed, err := ring.Seal(m, nil)
			if err != nil {
				t.Fatal(err)
			}
			boxes := r.Mutable(r.Descriptor().Fields().ByName("sealed")).List()
			for _, s := range sealed {
				boxes.Append(boxes.NewElement())
				proto.Merge(boxes.Get(boxes.Len()-1).Message().Interface(), s)
			}
		}
		data, err := proto.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		out[name] = &bus.Received{Record: es.Record{ID: id.Random(), Stream: es.StreamOf(id.Random()), Version: 1, Position: 1, Type: typ, Data: data}}
	}
	return out
}

// Reads holds a reader to every frozen shape of the types that it reads: read is called with each by the name of its file, and a shape that the
// reader's test does not know, or that is gone, fails.
func Reads(t *testing.T, service string, types map[string]bus.Way, known []string, read func(t *testing.T, name string, e *bus.Received)) {
	t.Helper()
	published := Published(t, service, types)
	for _, name := range known {
		if published[name] == nil {
			t.Errorf("%s has no frozen shape %s", service, name)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(published)) {
		if !slices.Contains(known, name) {
			t.Errorf("nothing says how the shape %s of %s is read here", name, service)
			continue
		}
		t.Run(service+"/"+name, func(t *testing.T) {
			t.Parallel()
			read(t, name, published[name])
		})
	}
}
