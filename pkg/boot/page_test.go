package boot_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/emptypb"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

func TestPagesGoOnWhereTheyEnded(t *testing.T) {
	t.Parallel()
	at := &eventv1.Cursor{Service: "offers", Partition: 1, Position: 42}
	raw, err := boot.PageToken("bids of "+press, at)
	must(t, err)
	var got eventv1.Cursor
	if err := boot.ParsePage("bids of "+press, raw, &got); err != nil || !proto.Equal(&got, at) {
		t.Errorf("ParsePage() = %v, %v", &got, err)
	}
	var first eventv1.Cursor
	if err := boot.ParsePage("bids of "+press, "", &first); err != nil || first.GetPosition() != 0 {
		t.Errorf("the first page: %v", err)
	}
	for name, bad := range map[string][2]string{
		"another list": {"bids of " + ada, raw}, "no base64": {"bids of " + press, "%%%"}, "too short": {"bids of " + press, "AQ"},
		"spoilt": {"bids of " + press, raw[:len(raw)-3]}, "other version": {"bids of " + press, "Ag" + raw[2:]},
	} {
		err := boot.ParsePage(bad[0], bad[1], &got)
		if fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), "page_token") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := boot.PageToken("x", &emptypb.Empty{}); err != nil {
		t.Error(err)
	}
}

// FuzzPages: what somebody puts into a token, its sum right, can be asked of a database, or is refused as page_token.
func FuzzPages(f *testing.F) {
	for _, forged := range []proto.Message{
		&eventv1.StoredEvent{Position: math.MinInt64}, &eventv1.StoredEvent{Position: math.MaxInt64}, &eventv1.StoredEvent{Ordinal: -1},
		&eventv1.StoredEvent{Stream: "a\x00b"}, &eventv1.StoredEvent{Position: 42, Ordinal: 7, Stream: "a"},
		&offersv1.Buyer{BuyerId: press, RegisteredAt: math.MinInt64}, &offersv1.Buyer{BuyerId: press, RegisteredAt: math.MaxInt64},
		&offersv1.Buyer{BuyerId: "no id"}, &offersv1.Buyer{BuyerId: press, RegisteredAt: 1}, &offersv1.Card{Net: &moneyv1.UnitPrice{Micros: -1}},
	} {
		b, err := proto.Marshal(forged)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	end := time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC).UnixMicro()
	within := func(n int64) bool { return n >= 0 && n < end }
	f.Fuzz(func(t *testing.T, place []byte) {
		raw := new(emptypb.Empty)
		raw.ProtoReflect().SetUnknown(place)
		token, err := boot.PageToken("list", raw)
		if err != nil {
			t.Fatal(err)
		}
		refused := func(err error) bool {
			if err != nil && (fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), "page_token")) {
				t.Errorf("refused with %v", err)
			}
			return err != nil
		}
		var row eventv1.StoredEvent
		if !refused(boot.ParsePage("list", token, &row)) && (!within(row.GetPosition()) || row.GetOrdinal() < 0 || strings.Contains(row.GetStream(), "\x00")) {
			t.Errorf("a place is %v", &row)
		}
		var buyer offersv1.Buyer
		if !refused(boot.ParsePage("list", token, &buyer)) {
			_, err := id.Parse(buyer.GetBuyerId())
			if !within(buyer.GetRegisteredAt()) || buyer.GetBuyerId() != "" && err != nil {
				t.Errorf("a place is %v", &buyer)
			}
		}
		var card offersv1.Card
		if !refused(boot.ParsePage("list", token, &card)) && !within(card.GetNet().GetMicros()) {
			t.Errorf("a place is %v", &card)
		}
	})
}
