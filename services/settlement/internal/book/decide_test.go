package book_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/services/settlement/internal/book"
)

var (
	noon   = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	euro   = book.Ledger{Unit: 10_000, SplitRule: "1"}
	ledger = book.ID{ID: id.Derive([]byte("book"))}
)

func named(kind string, n int) id.ID { return id.Derive([]byte(kind), []byte{byte(n)}) }

func buyerN(n int) book.BuyerID       { return book.BuyerID{ID: named("buyer", n)} }
func bidN(n int) book.BidID           { return book.BidID{ID: named("bid", n)} }
func agreeN(n int) book.AgreementID   { return book.AgreementID{ID: named("agreement", n)} }
func personN(n int) book.SubscriberID { return book.SubscriberID{ID: named("person", n)} }
func payoutN(n int) book.PayoutID     { return book.PayoutID{ID: named("payout", n)} }
func deliverN(n int) book.DeliveryID  { return book.DeliveryID{ID: named("delivery", n)} }

type store struct {
	states map[book.On]book.State
	events []book.Event
}

func open() *store { return &store{states: map[book.On]book.State{}} }

func (s *store) all() (states []book.State) {
	for _, st := range s.states {
		states = append(states, st)
	}
	return states
}

func (s *store) do(c book.Command, at time.Time) ([]book.Event, error) {
	reads := map[book.On]bool{}
	for _, on := range book.Reads(c) {
		reads[on] = true
	}
	entries, err := euro.Decide(func(on book.On) book.State {
		if !reads[on] {
			panic("Decide looked at a stream that Reads did not name")
		}
		return s.states[on]
	}, c, at)
	if err != nil {
		return nil, err
	}
	before := s.all()
	var out []book.Event
	for _, e := range entries {
		for _, on := range append(book.Touches(e), e.On) {
			s.states[on] = euro.Evolve(s.states[on], on, e.Event, at)
		}
		out = append(out, e.Event)
	}
	if err := book.Conserve(before, s.all()); err != nil {
		return nil, err
	}
	s.events = append(s.events, out...)
	return out, nil
}

func (s *store) must(t interface{ Fatal(...any) }, c book.Command, at time.Time) book.Event {
	events, err := s.do(c, at)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) == 0 {
		return nil
	}
	return events[0]
}

func terms(agreement, bid, buyer, person int, price, slots int64) book.Terms {
	return book.Terms{
		Book: ledger, Agreement: agreeN(agreement), Bid: bidN(bid), Buyer: buyerN(buyer), Subscriber: personN(person),
		Product: "daily-steps", Price: price, Slots: slots, CommissionPPM: 200_000, WithholdingPPM: 0, Country: "BE",
	}
}

func settling(delivery, agreement, bid, buyer, person int, slots int64) book.Settle {
	return book.Settle{
		Book: ledger, Delivery: deliverN(delivery), Agreement: agreeN(agreement), Bid: bidN(bid), Buyer: buyerN(buyer),
		Subscriber: personN(person), Slots: slots,
	}
}

func balance(s *store, on id.ID) book.State { return s.states[book.On{Book: ledger, Child: on}] }

// TestOneDeliveryByHand follows the money of one bid with a pencil: 10 slots at 5 cents and 21 % VAT.
func TestOneDeliveryByHand(t *testing.T) {
	t.Parallel()
	s := open()
	s.must(t, book.PayIn{Book: ledger, Buyer: buyerN(1), Amount: 100_00, Reference: "R1"}, noon)
	s.must(t, book.Hold{Book: ledger, Buyer: buyerN(1), Bid: bidN(1), Amount: 61, Slots: 10, TaxPPM: 210_000, TaxCountry: "BE", Currency: true}, noon)
	s.must(t, book.Earmark{Terms: terms(1, 1, 1, 1, 50_000, 6)}, noon)
	settled := s.must(t, settling(1, 1, 1, 1, 1, 4), noon).(book.Settled)

	got := map[book.Kind]int64{}
	for _, p := range settled.Postings {
		got[p.Account] += p.Minor
	}
	// 4 slots: 20 cents; VAT 4.2 cents, of which 4 whole; the person 16, the operator 4.
	for kind, want := range map[book.Kind]int64{
		book.BuyerHeld: -24, book.SubscriberPayable: 16, book.Commission: 4, book.VATOutput: 4, book.Rounding: 0,
	} {
		if got[kind] != want {
			t.Errorf("account %d: posted %d, want %d", kind, got[kind], want)
		}
	}
	if free := s.must(t, book.Drain{Book: ledger, Buyer: buyerN(1), Bid: bidN(1)}, noon).(book.HoldReleased); free.Amount != 61-24-13 || free.Final {
		// Two slots may still come: 10 cents and 2.1 of VAT, rounded up.
		t.Errorf("drained %+v", free)
	}
	if end := s.must(t, book.End{Book: ledger, Buyer: buyerN(1), Bid: bidN(1), Agreement: agreeN(1)}, noon).(book.EarmarkEnded); end.Released != 13 || end.Left != 2 {
		t.Errorf("ended %+v", end)
	}
	if b := balance(s, buyerN(1).ID).(book.Buyer); b.Available != 100_00-24 {
		t.Errorf("the buyer has %d", b.Available)
	}
}

// TestAPaymentIsBookedOnce: the bank's reference names it, whoever tells of it and on whatever day.
func TestAPaymentIsBookedOnce(t *testing.T) {
	t.Parallel()
	s := open()
	pay := book.PayIn{Book: ledger, Buyer: buyerN(1), Amount: 100, Reference: "R1"}
	s.must(t, pay, noon)
	for _, day := range []string{"", noon.Format(time.DateOnly)} {
		pay.ValueDate = day
		if e := s.must(t, pay, noon.AddDate(0, 0, 3)); e != nil {
			t.Errorf("told again it is %+v", e)
		}
	}
	for what, other := range map[string]book.PayIn{
		"another day":    {Book: ledger, Buyer: buyerN(1), Amount: 100, Reference: "R1", ValueDate: "2026-11-25"},
		"another amount": {Book: ledger, Buyer: buyerN(1), Amount: 101, Reference: "R1"},
		"another buyer":  {Book: ledger, Buyer: buyerN(2), Amount: 100, Reference: "R1"},
	} {
		if _, err := s.do(other, noon); !errors.Is(err, book.ErrReferenceConflict) {
			t.Errorf("%s under the same reference: %v", what, err)
		}
	}
	pay.Reference = "R2"
	if e := s.must(t, pay, noon); e == nil || balance(s, buyerN(1).ID).(book.Buyer).Available != 200 {
		t.Errorf("another payment is %+v", e)
	}
}

func TestRefusals(t *testing.T) {
	t.Parallel()
	start := func(t *testing.T) *store {
		s := open()
		s.must(t, book.PayIn{Book: ledger, Buyer: buyerN(1), Amount: 1000, Reference: "R1"}, noon)
		s.must(t, book.Hold{Book: ledger, Buyer: buyerN(1), Bid: bidN(1), Amount: 500, Slots: 100, Currency: true}, noon)
		s.must(t, book.Earmark{Terms: terms(1, 1, 1, 1, 50_000, 10)}, noon)
		return s
	}
	for name, tc := range map[string]struct {
		c    book.Command
		want error
	}{
		"deposit of nothing":   {book.PayIn{Book: ledger, Buyer: buyerN(1)}, book.ErrAmountOverflow},
		"deposit beyond":       {book.PayIn{Book: ledger, Buyer: buyerN(1), Amount: 1 << 62}, book.ErrAmountOverflow},
		"earmark without hold": {book.Earmark{Terms: terms(2, 2, 1, 1, 50_000, 1)}, book.ErrHoldUnknown},
		"earmark of another":   {book.Earmark{Terms: terms(2, 1, 2, 1, 50_000, 1)}, book.ErrTermsMismatch},
		"earmark beyond hold":  {book.Earmark{Terms: terms(2, 1, 1, 1, 50_000, 91)}, book.ErrEarmarkExceeded},
		"settle unknown":       {settling(1, 2, 1, 1, 1, 1), book.ErrEarmarkUnknown},
		"settle for another":   {settling(1, 1, 1, 1, 2, 1), book.ErrTermsMismatch},
		"settle too much":      {settling(1, 1, 1, 1, 1, 11), book.ErrEarmarkExceeded},
		"settle nothing":       {settling(1, 1, 1, 1, 1, 0), book.ErrEarmarkExceeded},
		"end unknown":          {book.End{Book: ledger, Buyer: buyerN(1), Bid: bidN(1), Agreement: agreeN(7)}, book.ErrEarmarkUnknown},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := start(t).do(tc.c, noon); !errors.Is(err, tc.want) {
				t.Fatalf("got %v, want %v", err, tc.want)
			}
		})
	}
	t.Run("hold beyond available", func(t *testing.T) {
		t.Parallel()
		e := start(t).must(t, book.Hold{Book: ledger, Buyer: buyerN(1), Bid: bidN(2), Amount: 501, Slots: 1, Currency: true}, noon)
		if r, ok := e.(book.HoldRefused); !ok || r.Reason != "INSUFFICIENT_FUNDS" {
			t.Fatalf("got %+v", e)
		}
	})
	t.Run("settle after the end", func(t *testing.T) {
		t.Parallel()
		s := start(t)
		s.must(t, book.End{Book: ledger, Buyer: buyerN(1), Bid: bidN(1), Agreement: agreeN(1)}, noon)
		if _, err := s.do(settling(1, 1, 1, 1, 1, 1), noon); !errors.Is(err, book.ErrEarmarkEnded) {
			t.Fatal(err)
		}
	})
}

func TestEarningsWaitUntilTheyMature(t *testing.T) {
	t.Parallel()
	s := open()
	s.must(t, book.PayIn{Book: ledger, Buyer: buyerN(1), Amount: 1000, Reference: "R1"}, noon)
	s.must(t, book.Hold{Book: ledger, Buyer: buyerN(1), Bid: bidN(1), Amount: 500, Slots: 10, Currency: true}, noon)
	wait := terms(1, 1, 1, 1, 500_000, 10)
	wait.AvailableAfter = 10
	s.must(t, book.Earmark{Terms: wait}, noon)
	settled := s.must(t, settling(1, 1, 1, 1, 1, 1), noon).(book.Settled)
	if want := time.Date(2026, 12, 5, 0, 0, 0, 0, time.UTC); !settled.AvailableAt.Equal(want) {
		t.Fatalf("available at %v, want %v", settled.AvailableAt, want)
	}
	// The next day's, asked for by a clock that is ahead: it is asked for again, under the same name, and must find all there is then.
	if e := s.must(t, book.Mature{Book: ledger, Subscriber: personN(1), UpTo: settled.AvailableAt.AddDate(0, 0, 1)}, settled.AvailableAt); e != nil {
		t.Fatalf("matured in the place of a later day: %+v", e)
	}
	mature := book.Mature{Book: ledger, Subscriber: personN(1), UpTo: settled.AvailableAt}
	if e := s.must(t, mature, settled.AvailableAt.Add(-time.Microsecond)); e != nil {
		t.Fatalf("matured before its time: %+v", e)
	}
	s.must(t, mature, settled.AvailableAt)
	if p := balance(s, personN(1).ID).(book.Earner); p.Pending != 0 || p.Payable != 40 || len(p.Due) != 0 {
		t.Fatalf("got %+v", p)
	}
	if e := s.must(t, mature, settled.AvailableAt); e != nil {
		t.Fatalf("matured twice: %+v", e)
	}
}

// TestMoneyIsNeitherMadeNorLost plays random lives of bids and agreements, with prices far below a cent, and checks after
// every step what must always hold.
func TestMoneyIsNeitherMadeNorLost(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		s := open()
		paid := map[int]int64{}  // by bid, as charged
		exact := map[int]int64{} // by person, micros that the cards promised
		s.must(t, book.PayIn{Book: ledger, Buyer: buyerN(1), Amount: 1_000_000, Reference: "R"}, noon)
		type deal struct{ bid, person int }
		deals := map[int]deal{}
		var delivery, payouts int
		paidOut := map[int]int64{} // by person, what was asked for and did not come back
		for range rapid.IntRange(1, 80).Draw(t, "steps") {
			bid := rapid.IntRange(1, 3).Draw(t, "bid")
			a := rapid.IntRange(1, 6).Draw(t, "agreement")
			what := rapid.IntRange(0, 8).Draw(t, "what")
			switch what {
			case 0:
				s.must(t, book.Hold{
					Book: ledger, Buyer: buyerN(1), Bid: bidN(bid), Amount: rapid.Int64Range(1, 400).Draw(t, "amount"), Slots: 100,
					TaxPPM: rapid.SampledFrom([]int64{0, 210_000, 77_777}).Draw(t, "vat"), TaxCountry: "BE", Currency: true,
				}, noon)
			case 1:
				m := terms(a, bid, 1, a%3, rapid.Int64Range(0, 30_000).Draw(t, "price"), rapid.Int64Range(1, 40).Draw(t, "slots"))
				m.CommissionPPM = rapid.SampledFrom([]int64{200_000, 333_333, 0, 1_000_000}).Draw(t, "commission")
				m.WithholdingPPM = rapid.SampledFrom([]int64{0, 300_000, 111_111}).Draw(t, "withholding")
				m.AvailableAfter = rapid.SampledFrom([]int64{0, 10}).Draw(t, "days")
				if events, err := s.do(book.Earmark{Terms: m}, noon); err == nil && len(events) == 1 {
					deals[a] = deal{bid, a % 3}
				}
			case 2, 3:
				d, ok := deals[a]
				if !ok {
					continue
				}
				delivery++
				events, err := s.do(settling(delivery, a, d.bid, 1, d.person, rapid.Int64Range(1, 10).Draw(t, "delivered")), noon)
				if err != nil {
					if errors.Is(err, book.ErrEarmarkExceeded) || errors.Is(err, book.ErrEarmarkEnded) {
						continue
					}
					t.Fatal(err)
				}
				e := events[0].(book.Settled)
				m := balance(s, agreeN(a).ID).(book.Mark)
				commission := m.Price * m.CommissionPPM / 1_000_000
				rest := m.Price - commission
				exact[d.person] += (rest - rest*m.WithholdingPPM/1_000_000) * e.Slots
				for _, p := range e.Postings {
					if p.Account == book.BuyerHeld {
						paid[d.bid] -= p.Minor
					}
					if (p.Account == book.SubscriberPayable || p.Account == book.SubscriberPending) && p.Minor < 0 {
						t.Fatalf("a settlement took money from a person: %+v", e)
					}
				}
			case 4:
				s.must(t, book.Drain{Book: ledger, Buyer: buyerN(1), Bid: bidN(bid)}, noon)
			case 5:
				if d, ok := deals[a]; ok {
					s.must(t, book.End{Book: ledger, Buyer: buyerN(1), Bid: bidN(d.bid), Agreement: agreeN(a)}, noon)
				}
			}
			switch what {
			case 6:
				who := a % 3
				before, _ := balance(s, personN(who).ID).(book.Earner)
				ask := book.RequestPayout{
					Book: ledger, Payout: payoutN(payouts + 1), Subscriber: personN(who), Method: book.BillCredit, Amount: rapid.Int64Range(0, 40).Draw(t, "asked"),
				}
				events, err := s.do(ask, noon)
				if want := before.Payable <= 0 || ask.Amount > before.Payable; want != errors.Is(err, book.ErrInsufficientEarnings) || want != (err != nil) {
					t.Fatalf("%d of %d available: %v", ask.Amount, before.Payable, err)
				}
				if err == nil {
					payouts++
					paidOut[who] += events[0].(book.PayoutRequested).Amount
				}
			case 7, 8:
				if payouts == 0 {
					continue
				}
				n := rapid.IntRange(1, payouts).Draw(t, "payout")
				p := balance(s, payoutN(n).ID).(book.Payout)
				var c book.Command = book.InstructPayout{Book: ledger, Payout: payoutN(n), EndToEnd: fmt.Sprint("E-", n)}
				switch rapid.IntRange(0, 2).Draw(t, "told") {
				case 1:
					c = book.SettlePayout{Book: ledger, Payout: payoutN(n), ValueDate: rapid.SampledFrom([]string{"2026-11-24", "2026-11-25"}).Draw(t, "day")}
				case 2:
					c = book.ReturnPayout{Book: ledger, Payout: payoutN(n), Subscriber: p.Subscriber, Reason: "MS03"}
				}
				if events, err := s.do(c, noon); err == nil && len(events) > 0 {
					if _, back := events[0].(book.PayoutReturned); back {
						for who := range 3 {
							if personN(who) == p.Subscriber {
								paidOut[who] -= p.Amount
							}
						}
					}
				}
				// Once it has ended, it is as it is.
				if q := balance(s, payoutN(n).ID).(book.Payout); p.Stage >= book.Paid && p != q || q.Asked != 0 && q.Credited != 0 {
					t.Fatalf("%+v became %+v", p, q)
				}
			}
			if err := book.Conserve(nil, s.all()); err != nil {
				t.Fatal("the book does not sum to zero")
			}
			if err := euro.Explain(s.all()); err != nil {
				t.Fatal("the rounding account is not explained by what is below a minor unit")
			}
			for on, st := range s.states {
				switch st := st.(type) {
				case book.Buyer:
					if st.Available < 0 {
						t.Fatalf("a buyer's available money is %d", st.Available)
					}
				case book.HeldFor:
					if st.Remaining < 0 || st.Earmarked < 0 {
						t.Fatalf("a hold is %+v", st)
					}
					for n := range 4 {
						if bidN(n).ID == on.Child && paid[n] > st.Initial {
							t.Fatalf("bid %d was charged %d of %d", n, paid[n], st.Initial)
						}
					}
				case book.Earner:
					for n := range 3 {
						if personN(n).ID != on.Child {
							continue
						}
						if gap := exact[n] - (st.Pending+st.Payable+paidOut[n])*euro.Unit; gap != st.Residual || gap <= -euro.Unit || gap >= euro.Unit {
							t.Fatalf("person %d is owed %d micros more than posted, residual %d", n, gap, st.Residual)
						}
					}
				}
			}
		}
		// Whatever happened, in the end every hold comes back to the buyer but for what was charged.
		for n, d := range deals {
			s.must(t, book.End{Book: ledger, Buyer: buyerN(1), Bid: bidN(d.bid), Agreement: agreeN(n)}, noon)
		}
		var charged int64
		for n := 1; n <= 3; n++ {
			s.must(t, book.Drain{Book: ledger, Buyer: buyerN(1), Bid: bidN(n)}, noon)
			if h, ok := balance(s, bidN(n).ID).(book.HeldFor); ok && h.Remaining != 0 {
				t.Fatalf("bid %d still holds %d", n, h.Remaining)
			}
			charged += paid[n]
		}
		if b := balance(s, buyerN(1).ID).(book.Buyer); b.Available != 1_000_000-charged {
			t.Fatalf("the buyer has %d, was charged %d", b.Available, charged)
		}
	})
}
