package ledger

import (
	"crypto/sha256"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

func TestShapesAreTheContracts(t *testing.T) {
	t.Parallel()
	arms := (*settlementv1.Event)(nil).ProtoReflect().Descriptor().Oneofs().ByName("event").Fields()
	if arms.Len() != len(shapes) {
		t.Errorf("the contract has %d arms, the ledger knows %d", arms.Len(), len(shapes))
	}
	for i := range arms.Len() {
		arm := arms.Get(i)
		want := shape{arm: arm.Number()}
		if f := arm.Message().Fields().ByName("postings"); f != nil {
			want.postings = f.Number()
			if first := arm.Message().Fields().ByNumber(1); first.Name() != "book_id" {
				t.Errorf("%s begins with %s, not with its book", arm.Name(), first.Name())
			}
		}
		if got := shapes[string(arm.Name())]; got != want {
			t.Errorf("%s is %+v, the ledger thinks %+v", arm.Name(), want, got)
		}
	}
}

var (
	euros = id.Derive([]byte("book"))
	buyer = id.Derive([]byte("buyer"))
	lives = [][]es.Life{{{Incarnation: es.Incarnation{1}}}}
)

// chained makes the partition's events out of deposits of these amounts; off spoils the sum.
func chained(t *testing.T, off int64, amounts ...int64) []es.Record {
	t.Helper()
	chain := es.FirstChain(lives[0][0].Incarnation)
	var out []es.Record
	for i, amount := range amounts {
		data, err := proto.Marshal(&settlementv1.Event{Event: &settlementv1.Event_FundsDeposited{FundsDeposited: &settlementv1.FundsDeposited{
			BookId: euros.String(), BuyerId: buyer.String(), Postings: []*settlementv1.Posting{
				{Account: settlementv1.AccountKind_ACCOUNT_KIND_CLEARING, Minor: -amount},
				{Account: settlementv1.AccountKind_ACCOUNT_KIND_BUYER_AVAILABLE, OwnerId: buyer.String(), Minor: amount + off, ResidualMicros: int64(i)},
			},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		r := es.Record{
			Position: es.Position(i + 1), ID: id.Derive([]byte{byte(i)}), Stream: es.StreamOf(euros).Child(buyer),
			Version: es.Version(i + 1), Type: "funds_deposited", Data: data,
		}
		chain = es.NextChain(chain, &r)
		r.Chain = chain
		out = append(out, r)
	}
	return out
}

func TestBalancesFollowTheEvents(t *testing.T) {
	t.Parallel()
	l := New(lives)
	for _, r := range chained(t, 0, 100, 250) {
		if err := l.Apply(&r); err != nil {
			t.Fatal(err)
		}
	}
	if got := l.Balance(Account{Book: euros, Kind: settlementv1.AccountKind_ACCOUNT_KIND_BUYER_AVAILABLE, Owner: buyer}); got != (Balance{350, 1}) {
		t.Errorf("the buyer has %+v", got)
	}
	sums, total := l.Sums()
	if total != 0 || len(sums) != 2 || sums[0].Minor != 350 || sums[1].Minor != -350 || len(l.Accounts()) != 2 {
		t.Errorf("sums %+v, total %d", sums, total)
	}
	if want := sha256.Sum256([]byte(buyer.String() + " 350\n")); sums[0].Digest != want {
		t.Errorf("the digest of what the buyer has is %x", sums[0].Digest)
	}
	if want := sha256.Sum256([]byte("00000000-0000-0000-0000-000000000000 -350\n")); sums[1].Digest != want {
		t.Errorf("the digest of what came in is %x", sums[1].Digest)
	}
	if events, postings := l.Events(); events != 2 || postings != 4 || l.Position(0) != 2 {
		t.Errorf("%d events, %d postings, position %d", events, postings, l.Position(0))
	}
}

func TestWhatWasTamperedWithIsRefused(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		spoil func([]es.Record) []es.Record
		want  error
	}{
		"a byte flipped": {func(r []es.Record) []es.Record { r[1].Data[10] ^= 1; return r }, es.ErrChain},
		"dropped":        {func(r []es.Record) []es.Record { return append(r[:1], r[2]) }, es.ErrGap},
		"repeated":       {func(r []es.Record) []es.Record { return append(r[:1], r[0]) }, es.ErrGap},
		"swapped": {func(r []es.Record) []es.Record {
			r[1], r[2] = r[2], r[1]
			r[1].Position, r[2].Position = 2, 3
			return r
		}, es.ErrChain},
		"foreign": {func(r []es.Record) []es.Record { r[0].Partition = 7; return r }, ErrPartition},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := New(lives)
			var err error
			for _, r := range tc.spoil(chained(t, 0, 1, 2, 3)) {
				if err = l.Apply(&r); err != nil {
					break
				}
			}
			if !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
	t.Run("unbalanced", func(t *testing.T) {
		t.Parallel()
		r := chained(t, 1, 5)[0]
		if err := New(lives).Apply(&r); !errors.Is(err, ErrUnbalanced) {
			t.Fatal(err)
		}
	})
}

func FuzzApply(f *testing.F) {
	f.Add("funds_deposited", []byte{0x52, 0x02, 0x32, 0x00})
	f.Fuzz(func(t *testing.T, typ string, data []byte) {
		r := es.Record{Position: 1, Type: typ, Data: data}
		r.Chain = es.NextChain(es.FirstChain(lives[0][0].Incarnation), &r)
		l := New(lives)
		if err := l.Apply(&r); err == nil {
			if _, total := l.Sums(); total != 0 {
				t.Fatalf("an event was taken that sums to %d", total)
			}
		}
	})
}
