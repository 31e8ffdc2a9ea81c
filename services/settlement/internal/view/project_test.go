package view_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/ledger"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/schema"
	"github.com/obole-market/obole/services/settlement/internal/view"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

var (
	codec = wire.Codec{Currency: "EUR"}
	first = time.Date(2026, 4, 12, 0, 0, 0, 0, time.UTC)
)

// stored is an event as the log has it.
func stored(t *testing.T, position int, e book.Event) es.Record {
	t.Helper()
	r := es.Record{ID: id.Random(), Position: es.Position(position), At: first}
	var err error
	if r.Type, r.Data, err = wire.Rules(book.Ledger{Unit: 10_000, SplitRule: "1"}, codec).Encode(e, &es.Header{Meta: new(eventv1.Meta)}, nil); err != nil {
		t.Fatal(err)
	}
	return r
}

func tables(t *testing.T) *pgxpool.Pool {
	t.Helper()
	return worldtest.Database(t, "create schema ledger; set search_path = ledger; "+schema.Ledger)
}

func project(t *testing.T, pool *pgxpool.Pool, batch []es.Record) error {
	t.Helper()
	return pgx.BeginFunc(t.Context(), pool, func(tx pgx.Tx) error {
		if _, err := tx.Exec(t.Context(), "set local search_path = ledger"); err != nil {
			return err
		}
		return view.Project(t.Context(), tx, codec, batch)
	})
}

// TestWhatMaturesDoesNotHangOnTheBatch: earnings of two days mature with the later one, those of a third wait. What is left to fall due is the
// same whether the events are folded one by one, as they came, or together, as a rebuild does.
func TestWhatMaturesDoesNotHangOnTheBatch(t *testing.T) {
	t.Parallel()
	ledger, buyer := book.ID{ID: id.Random()}, book.BuyerID{ID: id.Random()}
	day := func(n int) time.Time { return first.AddDate(0, 0, n) }
	var records []es.Record
	add := func(e book.Event) {
		t.Helper()
		records = append(records, stored(t, len(records)+1, e))
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
		pool := tables(t)
		for at := 0; at < len(records); at += batch {
			if err := project(t, pool, records[at:at+batch]); err != nil {
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

// deposited is a deposit of 1.00, of which the buyer's account gets so much.
func deposited(ledger book.ID, buyer id.ID, minor int64) book.Deposited {
	return book.Deposited{
		Book: ledger, Buyer: book.BuyerID{ID: buyer}, Amount: 100, Reference: "R", ValueDate: "2026-04-12",
		Postings: []book.Posting{{Account: book.Clearing, Minor: -100}, {Account: book.BuyerAvailable, Owner: buyer, Minor: minor}},
	}
}

// TestAccountsTakeNothingThatIsNotZero: what the domain would never decide is refused once more where account rows are written, and leaves none.
func TestAccountsTakeNothingThatIsNotZero(t *testing.T) {
	t.Parallel()
	ledger, buyer := book.ID{ID: id.Random()}, id.Random()
	records := []es.Record{stored(t, 1, deposited(ledger, buyer, 101)), stored(t, 2, deposited(ledger, buyer, 99))} // together they come to zero
	pool := tables(t)
	for name, batch := range map[string][]es.Record{"alone": records[:1], "made up for by another": records} {
		if err := project(t, pool, batch); !errors.Is(err, view.ErrUnbalanced) {
			t.Errorf("%s: %v", name, err)
		}
	}
	var rows int
	if err := pool.QueryRow(t.Context(), "select count(*) from ledger.account").Scan(&rows); err != nil || rows != 0 {
		t.Errorf("%d accounts, %v", rows, err)
	}
}

// TestTheTrialBalanceTellsWhoHasWhat: it comes to the digests that the events come to, and to another where two owners have each other's
// balance, though sums and counts stay the same.
func TestTheTrialBalanceTellsWhoHasWhat(t *testing.T) {
	t.Parallel()
	ledgerID, pool := book.ID{ID: id.Random()}, tables(t)
	folded, chain := ledger.New([][]es.Life{{{}}}), es.FirstChain(es.Incarnation{})
	var records []es.Record
	buyers := make([]id.ID, 20) // in an order by chance
	for i := range buyers {
		buyers[i] = id.Random()
		for range i { // the first has nothing, all others have different amounts
			records = append(records, stored(t, len(records)+1, deposited(ledgerID, buyers[i], 100)))
		}
	}
	for i := range records {
		chain = es.NextChain(chain, &records[i])
		records[i].Chain = chain
		if err := folded.Apply(&records[i]); err != nil {
			t.Fatal(err)
		}
	}
	if err := project(t, pool, records); err != nil {
		t.Fatal(err)
	}
	compare := func() (same, other int) {
		t.Helper()
		told, err := view.View{Pool: pool}.Trial(t.Context(), 0, int64(len(records)))
		if err != nil {
			t.Fatal(err)
		}
		sums, _ := folded.Sums()
		if len(told) != 2 || len(sums) != 2 {
			t.Fatalf("%d kinds, and %d of the events", len(told), len(sums))
		}
		for i, s := range sums {
			if int(told[i].Kind) != int(s.Kind) || told[i].Minor != s.Minor || told[i].Accounts != s.Accounts {
				t.Errorf("%+v, the events say %+v", told[i], s)
			}
			if bytes.Equal(told[i].Digest, s.Digest[:]) {
				same++
			} else {
				other++
			}
		}
		return same, other
	}
	if same, other := compare(); same != 2 || other != 0 {
		t.Errorf("%d digests are the events', %d are not", same, other)
	}
	if _, err := pool.Exec(t.Context(), "update ledger.line set owner = case owner when $1 then $2::uuid else $1::uuid end where owner in ($1, $2)",
		[16]byte(buyers[3]), [16]byte(buyers[4])); err != nil {
		t.Fatal(err)
	}
	if same, other := compare(); same != 1 || other != 1 {
		t.Errorf("two buyers have each other's money, and %d digests are the events', %d are not", same, other)
	}
}
