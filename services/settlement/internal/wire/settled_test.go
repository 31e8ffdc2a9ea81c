package wire_test

import (
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// TestASettlementIsWrittenAsTheContractHasIt: what is written by hand is, to the byte, what protobuf makes of the message.
func TestASettlementIsWrittenAsTheContractHasIt(t *testing.T) {
	t.Parallel()
	rules := wire.Rules(book.Ledger{Unit: 10_000, SplitRule: "1"}, euro)
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.Custom(func(t *rapid.T) id.ID { return id.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")) })
		text := rapid.StringMatching(`[ -~é]{0,40}`)
		e := book.Settled{
			Book: book.ID{ID: ids.Draw(t, "book")}, Delivery: book.DeliveryID{ID: ids.Draw(t, "delivery")},
			Agreement: book.AgreementID{ID: ids.Draw(t, "agreement")}, Bid: book.BidID{ID: ids.Draw(t, "bid")},
			Buyer: book.BuyerID{ID: ids.Draw(t, "buyer")}, Subscriber: book.SubscriberID{ID: ids.Draw(t, "person")},
			Product: text.Draw(t, "product"), Slots: rapid.Int64Range(0, 1<<32).Draw(t, "slots"), Price: rapid.Int64().Draw(t, "price"),
			SplitRule: text.Draw(t, "rule"), ReleaseEvent: ids.Draw(t, "event"), ValueDate: text.Draw(t, "day"),
			AvailableAt: time.UnixMicro(rapid.Int64Range(-1<<50, 1<<50).Draw(t, "at")),
		}
		for range rapid.IntRange(0, 9).Draw(t, "postings") {
			e.Postings = append(e.Postings, book.Posting{
				Account: book.Kind(rapid.Int32Range(0, 14).Draw(t, "account")), Owner: rapid.OneOf(ids, rapid.Just(id.ID{})).Draw(t, "owner"),
				Minor: rapid.Int64().Draw(t, "minor"), Residual: rapid.Int64().Draw(t, "residual"),
				Tax: book.Tax{
					Kind: book.TaxKind(rapid.Int32Range(0, 2).Draw(t, "tax")), RatePPM: rapid.Int64Range(0, 1<<32).Draw(t, "rate"),
					Country: text.Draw(t, "country"), Base: rapid.Int64().Draw(t, "base"),
				},
			})
		}
		h := &es.Header{Meta: rapid.SampledFrom([]*eventv1.Meta{meta(), {}}).Draw(t, "meta")}
		typ, data, err := rules.Encode(e, h, nil)
		if err != nil {
			t.Fatal(err)
		}
		m := euro.Proto(e)
		m.Meta = h.Meta
		want, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if string(data) != string(want) || typ != wire.Arm(m) {
			t.Fatalf("%s:\n%x\nis not\n%x", typ, data, want)
		}
	})
}

// TestPlacesComeBack: a place and the name of its stream lead to each other, also where many share a slot.
func TestPlacesComeBack(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		few := rapid.Custom(func(t *rapid.T) id.ID {
			return id.ID{0: rapid.ByteRange(0, 3).Draw(t, "first"), 13: 0xff, 14: rapid.Byte().Draw(t, "last but one"), 15: rapid.ByteRange(0, 1).Draw(t, "last")}
		})
		for range 20 {
			on := book.On{Book: book.ID{ID: few.Draw(t, "book")}, Child: rapid.OneOf(few, rapid.Just(id.ID{})).Draw(t, "child")}
			want := es.StreamOf(on.Book.ID)
			if !on.Child.IsZero() {
				want = want.Child(on.Child)
			}
			if got := wire.Stream(on); got != want {
				t.Fatalf("%v is called %s, not %s", on, got, want)
			}
			if got := wire.Place(want); got != on {
				t.Fatalf("%s is %v, not %v", want, got, on)
			}
		}
	})
}
