package view_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/offers/internal/schema"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// TestWhatIsDueFollowsFromTheRows: a bid waits for its money and for its last moment, an acceptance for consent, and what was decided
// waits no more; also where all of it is one batch.
func TestWhatIsDueFollowsFromTheRows(t *testing.T) {
	t.Parallel()
	pool := worldtest.Database(t, "create schema market; set search_path = market; "+schema.Market)
	at := time.Date(2026, 4, 12, 9, 0, 0, 0, time.UTC)
	closes, answer := at.Add(time.Hour), at.Add(time.Minute)
	bid, other, offer, person := id.Random().String(), id.Random().String(), id.Random().String(), id.Random().String()
	placed := func(bid string) *offersv1.Event {
		return &offersv1.Event{Event: &offersv1.Event_BidPlaced{BidPlaced: &offersv1.BidPlaced{
			BidId: bid, BuyerId: person, Quantity: 7, OpensAt: 1, ClosesAt: closes.UnixMicro(), Terms: &marketv1.Terms{Product: &marketv1.ProductRef{Id: "p"}},
		}}}
	}
	opened := &offersv1.Event{Event: &offersv1.Event_BidOpened{BidOpened: &offersv1.BidOpened{BidId: bid}}}
	rejected := &offersv1.Event{Event: &offersv1.Event_BidRejected{BidRejected: &offersv1.BidRejected{BidId: other}}}
	closed := &offersv1.Event{Event: &offersv1.Event_BidClosed{BidClosed: &offersv1.BidClosed{BidId: bid, Reason: offersv1.CloseReason_CLOSE_REASON_EXPIRED}}}
	shown := &offersv1.Event{Event: &offersv1.Event_OfferPresented{OfferPresented: &offersv1.OfferPresented{OfferId: offer, BidId: bid, SubscriberId: person, CardSha256: []byte{1}}}}
	licence := &marketv1.Licence{AgreementId: id.Random().String(), OfferId: offer, BidId: bid, SlotsReserved: 3}
	accepted := &offersv1.Event{Event: &offersv1.Event_OfferAccepted{OfferAccepted: &offersv1.OfferAccepted{OfferId: offer, Licence: licence, AnswerDue: answer.UnixMicro()}}}
	// The same person again, another agreement, as it is written now.
	again := &offersv1.Event{Event: &offersv1.Event_OfferAccepted{OfferAccepted: &offersv1.OfferAccepted{
		OfferId: offer, AgreementId: id.Random().String(), BidId: bid, SubscriberId: person, Slots: 3, AnswerDue: answer.UnixMicro(),
	}}}
	formedAgain := &offersv1.Event{Event: &offersv1.Event_AgreementFormed{AgreementFormed: &offersv1.AgreementFormed{
		AgreementId: again.GetOfferAccepted().GetAgreementId(), OfferId: offer, BidId: bid, SubscriberId: person, Slots: 3,
	}}}
	formed := &offersv1.Event{Event: &offersv1.Event_AgreementFormed{AgreementFormed: &offersv1.AgreementFormed{Licence: licence}}}
	declined := &offersv1.Event{Event: &offersv1.Event_OfferDeclined{OfferDeclined: &offersv1.OfferDeclined{OfferId: offer, BidId: bid, SubscriberId: person}}}
	voided := &offersv1.Event{Event: &offersv1.Event_OfferVoided{OfferVoided: &offersv1.OfferVoided{OfferId: offer, BidId: bid, Slots: 3, Consented: true}}}
	fold := func(events ...*offersv1.Event) {
		t.Helper()
		records := make([]es.Record, len(events))
		for i, m := range events {
			data, err := proto.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			records[i] = es.Record{Data: data, At: at}
		}
		err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
			if _, err := tx.Exec(t.Context(), "set local search_path = market"); err != nil {
				return err
			}
			return view.Project(t.Context(), tx, records)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	due := func(after string, want ...string) {
		t.Helper()
		rows, err := pool.Query(t.Context(), `select stream, kind, due from market.deadline order by due, stream, kind`)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		var stream, kind string
		var when time.Time
		if _, err := pgx.ForEachRow(rows, []any{&stream, &kind, &when}, func() error {
			got = append(got, fmt.Sprint(stream, " ", kind, " ", when.Sub(at)))
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: due is %q, not %q", after, got, want)
		}
	}
	hold, window, reply := bid+" hold 15m0s", bid+" window 1h0m0s", bid+"/"+offer+" answer 1m0s"
	fold(placed(bid))
	due("placed", hold, window)
	fold(opened, placed(other), rejected)
	due("opened, and another one rejected", window)
	fold(shown)
	due("shown", window)
	fold(accepted)
	due("accepted", reply, window)
	fold(formed)
	due("agreed", window)
	fold(voided, shown, again)
	due("accepted again", reply, window)
	fold(closed)
	due("closed", reply)
	fold(formedAgain)
	due("and agreed")
	tables := view.View{Pool: pool}
	who, err := id.Parse(person)
	if err != nil {
		t.Fatal(err)
	}
	refused := func(after time.Time) int {
		t.Helper()
		list, err := tables.Declined(t.Context(), who, after)
		if err != nil || len(list) > 0 && list[0].GetBidId() != bid {
			t.Errorf("declined: %v, %v", list, err)
		}
		return len(list)
	}
	if n := refused(at.Add(-1)); n != 0 {
		t.Errorf("%d are declined before any was", n)
	}
	var consented, quantity int64
	if err := pool.QueryRow(t.Context(), `select consented, quantity from market.bid where bid = $1`, bid).Scan(&consented, &quantity); err != nil || consented != 3 || quantity != 7 {
		t.Errorf("%d of %d slots are consented, %v", consented, quantity, err)
	}
	for agreement, want := range map[string]string{licence.GetAgreementId(): "accepted", again.GetOfferAccepted().GetAgreementId(): "accepted again", id.Random().String(): ""} {
		number, err := id.Parse(agreement)
		if err != nil {
			t.Fatal(err)
		}
		r, found, err := tables.Acceptance(t.Context(), number)
		m := new(offersv1.Event)
		if err != nil || found != (want != "") || proto.Unmarshal(r.Data, m) != nil {
			t.Fatalf("%s: %v, %v", want, found, err)
		}
		if found && (m.GetOfferAccepted().GetLicence() != nil) != (want == "accepted") {
			t.Errorf("%s is %v", want, m)
		}
	}
	fold(declined)
	if n, past := refused(at.Add(-time.Microsecond)), refused(at); n != 1 || past != 0 {
		t.Errorf("%d are declined after a moment before, %d after the moment itself", n, past)
	}
}
