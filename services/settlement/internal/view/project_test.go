package view_test

import (
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/schema"
	"github.com/obole-market/obole/services/settlement/internal/view"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// TestWhatMaturesDoesNotHangOnTheBatch: earnings of two days mature with the later one, those of a third wait. What is left to fall due is the
// same whether the events are folded one by one, as they came, or together, as a rebuild does.
func TestWhatMaturesDoesNotHangOnTheBatch(t *testing.T) {
	t.Parallel()
	codec := wire.Codec{Currency: "EUR"}
	rules := wire.Rules(book.Ledger{Unit: 10_000, SplitRule: "1"}, codec)
	ledger, buyer := book.ID{ID: id.Random()}, book.BuyerID{ID: id.Random()}
	first := time.Date(2026, 4, 12, 0, 0, 0, 0, time.UTC)
	day := func(n int) time.Time { return first.AddDate(0, 0, n) }
	var records []es.Record
	add := func(e book.Event) {
		t.Helper()
		r := es.Record{ID: id.Random(), Position: es.Position(len(records) + 1), At: first}
		var err error
		if r.Type, r.Data, err = rules.Encode(e, &es.Header{Meta: new(eventv1.Meta)}, nil); err != nil {
			t.Fatal(err)
		}
		records = append(records, r)
	}
	const people = 40
	for range people {
		who := book.SubscriberID{ID: id.Random()}
		earns := func(at time.Time) {
			add(book.Settled{
				Book: ledger, Delivery: book.DeliveryID{ID: id.Random()}, Agreement: book.AgreementID{ID: id.Random()}, Bid: book.BidID{ID: id.Random()},
				Buyer: buyer, Subscriber: who, Product: "daily-steps", Slots: 1, Price: 10_000, SplitRule: "1", AvailableAt: at, ValueDate: "2026-04-12",
				Postings: []book.Posting{{Account: book.BuyerHeld, Owner: buyer.ID, Minor: -1}, {Account: book.SubscriberPending, Owner: who.ID, Minor: 1}},
			})
		}
		earns(day(1))
		earns(day(2))
		earns(day(3))
		add(book.Matured{Book: ledger, Subscriber: who, Amount: 2, UpTo: day(2), Postings: []book.Posting{
			{Account: book.SubscriberPending, Owner: who.ID, Minor: -2}, {Account: book.SubscriberPayable, Owner: who.ID, Minor: 2},
		}})
	}
	for name, batch := range map[string]int{"one by one": 1, "together": len(records)} {
		pool := worldtest.Database(t, "create schema ledger; set search_path = ledger; "+schema.Ledger)
		for at := 0; at < len(records); at += batch {
			err := pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
				if _, err := tx.Exec(t.Context(), "set local search_path = ledger"); err != nil {
					return err
				}
				return view.Project(t.Context(), tx, codec, records[at:at+batch])
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		var due, third int
		if err := pool.QueryRow(t.Context(), "select count(*), count(*) filter (where due = $1) from ledger.deadline", day(3)).Scan(&due, &third); err != nil {
			t.Fatal(err)
		}
		if due != people || third != people {
			t.Errorf("%s: %d deadlines are left, %d of them of the third day, want %d", name, due, third, people)
		}
	}
}
