package ledger

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

// TestEveryFrozenShapeIsRead: every shape that settlement has ever published comes to the balances that its postings say.
func TestEveryFrozenShapeIsRead(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("../../proto/golden/settlement/v1/*.binpb")
	if err != nil || len(files) < len(shapes) {
		t.Fatalf("%d frozen shapes of %d arms, %v", len(files), len(shapes), err)
	}
	read := map[string]bool{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		m := new(settlementv1.Event)
		if err := proto.Unmarshal(data, m); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		event := m.ProtoReflect()
		arm := event.WhichOneof(event.Descriptor().Oneofs().ByName("event"))
		read[string(arm.Name())] = true
		want := map[Account]Balance{}
		if f := arm.Message().Fields().ByName("postings"); f != nil {
			body := event.Get(arm).Message()
			book, err := id.Parse(body.Get(arm.Message().Fields().ByName("book_id")).String())
			if err != nil {
				t.Fatalf("%s: %v", file, err)
			}
			want = told(t, book, body.Get(f).List())
		}
		r := &es.Record{
			Position: 1, ID: id.Derive([]byte(file)), Stream: es.StreamOf(euros).Child(buyer), Version: 1, Type: string(arm.Name()), Data: data,
		}
		r.Chain = es.NextChain(es.FirstChain(lives[0][0].Incarnation), r)
		l := New(lives)
		if err := l.Apply(r); err != nil {
			t.Errorf("%s cannot be read: %v", filepath.Base(file), err)
			continue
		}
		for a, b := range want {
			if got := l.Balance(a); got != b {
				t.Errorf("%s: %v is %+v, its postings say %+v", filepath.Base(file), a, got, b)
			}
		}
		if got := len(l.Accounts()); got != len(want) {
			t.Errorf("%s: %d accounts, its postings name %d", strings.TrimSuffix(filepath.Base(file), ".binpb"), got, len(want))
		}
	}
	for arm := range shapes {
		if !read[arm] {
			t.Errorf("%s has no frozen shape", arm)
		}
	}
}

// told sums postings as protobuf reads them.
func told(t *testing.T, book id.ID, postings protoreflect.List) map[Account]Balance {
	t.Helper()
	out := map[Account]Balance{}
	for i := range postings.Len() {
		p, ok := postings.Get(i).Message().Interface().(*settlementv1.Posting)
		if !ok {
			t.Fatal("a posting is none")
		}
		a := Account{Book: book, Kind: p.GetAccount()}
		if p.GetOwnerId() != "" {
			owner, err := id.Parse(p.GetOwnerId())
			if err != nil {
				t.Fatal(err)
			}
			a.Owner = owner
		}
		b := out[a]
		b.Minor += p.GetMinor()
		b.Residual = p.GetResidualMicros()
		out[a] = b
	}
	return out
}
