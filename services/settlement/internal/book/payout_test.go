package book_test

import (
	"errors"
	"testing"

	"github.com/obole-market/obole/services/settlement/internal/book"
)

// earned is a book in which person 1 has 16 cents that are available, of 4 slots at 5 cents.
func earned(t *testing.T) *store {
	t.Helper()
	s := open()
	s.must(t, book.PayIn{Book: ledger, Buyer: buyerN(1), Amount: 100_00, Reference: "R1"}, noon)
	s.must(t, book.Hold{Book: ledger, Buyer: buyerN(1), Bid: bidN(1), Amount: 500, Slots: 10, Currency: true}, noon)
	s.must(t, book.Earmark{Terms: terms(1, 1, 1, 1, 50_000, 6)}, noon)
	s.must(t, settling(1, 1, 1, 1, 1, 4), noon)
	return s
}

func asks(n int, amount int64) book.RequestPayout {
	return book.RequestPayout{Book: ledger, Payout: payoutN(n), Subscriber: personN(1), Amount: amount, Method: book.BillCredit}
}

func told(n int) book.InstructPayout {
	return book.InstructPayout{Book: ledger, Payout: payoutN(n), EndToEnd: "E-1"}
}

func pays(n int) book.SettlePayout {
	return book.SettlePayout{Book: ledger, Payout: payoutN(n), ValueDate: "2026-11-30", Reference: "BILL-1"}
}

func gives(n int) book.ReturnPayout {
	return book.ReturnPayout{Book: ledger, Payout: payoutN(n), Subscriber: personN(1), Reason: "AC01"}
}

// TestAPayoutByHand follows sixteen cents: six are paid, ten come back, and are asked for again.
func TestAPayoutByHand(t *testing.T) {
	t.Parallel()
	s := earned(t)
	has := func(available int64, payouts ...book.Payout) {
		t.Helper()
		if e := balance(s, personN(1).ID).(book.Earner); e.Payable != available {
			t.Errorf("available is %d, want %d", e.Payable, available)
		}
		for i, want := range payouts {
			if got := balance(s, payoutN(i+1).ID).(book.Payout); got != want {
				t.Errorf("payout %d is %+v, want %+v", i+1, got, want)
			}
		}
	}
	s.must(t, asks(1, 6), noon)
	six := book.Payout{Subscriber: personN(1), Stage: book.Requested, Amount: 6, Asked: 6, RequestedAt: noon}
	has(10, six)
	if e := s.must(t, asks(2, 0), noon).(book.PayoutRequested); e.Amount != 10 {
		t.Fatalf("all that is available is %d", e.Amount)
	}
	has(0, six, book.Payout{Subscriber: personN(1), Stage: book.Requested, Amount: 10, Asked: 10, RequestedAt: noon})
	if e := s.must(t, asks(2, 0), noon); e != nil {
		t.Errorf("asked for twice it is %+v", e)
	}
	s.must(t, told(1), noon)
	s.must(t, pays(1), noon)
	six.Stage, six.Asked, six.Credited, six.EndToEnd, six.ValueDate, six.Reference = book.Paid, 0, 6, "E-1", "2026-11-30", "BILL-1"
	has(0, six)
	s.must(t, gives(2), noon)
	has(10, six, book.Payout{Subscriber: personN(1), Stage: book.Returned, Amount: 10, RequestedAt: noon, Reason: "AC01"})
	s.must(t, asks(3, 0), noon)
	has(0)
}

func TestPayoutRefusals(t *testing.T) {
	t.Parallel()
	by := func(m book.Method) book.RequestPayout {
		c := asks(1, 5)
		c.Method = m
		return c
	}
	another := func(change func(*book.SettlePayout)) book.SettlePayout {
		c := pays(1)
		change(&c)
		return c
	}
	again := told(2)
	again.EndToEnd = told(1).EndToEnd
	somebody := gives(1)
	somebody.Subscriber = personN(2)
	nobody := asks(1, 0)
	nobody.Subscriber = personN(2)
	for name, tc := range map[string]struct {
		was  []book.Command
		c    book.Command
		want error // nil: it is what was, and nothing happens
	}{
		"more than there is":                {nil, asks(1, 17), book.ErrInsufficientEarnings},
		"less than nothing":                 {nil, asks(1, -1), book.ErrInsufficientEarnings},
		"all of nothing":                    {nil, nobody, book.ErrInsufficientEarnings},
		"what another payout has":           {[]book.Command{asks(2, 12)}, asks(1, 5), book.ErrInsufficientEarnings},
		"to a bank":                         {nil, by(2), book.ErrMethodUnavailable},
		"to somebody else":                  {nil, by(3), book.ErrMethodUnavailable},
		"telling of none":                   {nil, told(1), book.ErrPayoutUnknown},
		"paying none":                       {nil, pays(1), book.ErrPayoutUnknown},
		"returning none":                    {nil, gives(1), book.ErrPayoutUnknown},
		"paying before telling":             {[]book.Command{asks(1, 5)}, pays(1), book.ErrPayoutNotInstructed},
		"telling twice":                     {[]book.Command{asks(1, 5), told(1)}, told(1), nil},
		"telling otherwise":                 {[]book.Command{asks(1, 5), told(1)}, book.InstructPayout{Book: ledger, Payout: payoutN(1), EndToEnd: "E-2"}, book.ErrReferenceConflict},
		"telling of two by one name":        {[]book.Command{asks(1, 5), asks(2, 5), told(1)}, again, book.ErrReferenceConflict},
		"by the name of a paid one":         {[]book.Command{asks(1, 5), asks(2, 5), told(1), pays(1)}, again, book.ErrReferenceConflict},
		"by the name of one that came back": {[]book.Command{asks(1, 5), asks(2, 5), told(1), gives(1)}, again, book.ErrReferenceConflict},
		"paying twice":                      {[]book.Command{asks(1, 5), told(1), pays(1)}, pays(1), nil},
		"paying twice, another day":         {[]book.Command{asks(1, 5), told(1), pays(1)}, another(func(c *book.SettlePayout) { c.ValueDate = "2026-12-01" }), book.ErrPayoutEnded},
		"paying twice, another bill":        {[]book.Command{asks(1, 5), told(1), pays(1)}, another(func(c *book.SettlePayout) { c.Reference = "" }), book.ErrPayoutEnded},
		"paid before it was asked for":      {[]book.Command{asks(1, 5), told(1)}, another(func(c *book.SettlePayout) { c.ValueDate = "2026-11-23" }), book.ErrValueDateInvalid},
		"paid years ahead":                  {[]book.Command{asks(1, 5), told(1)}, another(func(c *book.SettlePayout) { c.ValueDate = "2099-12-31" }), book.ErrValueDateInvalid},
		"paid eight days ahead":             {[]book.Command{asks(1, 5), told(1)}, another(func(c *book.SettlePayout) { c.ValueDate = "2026-12-02" }), book.ErrValueDateInvalid},
		"returning what was paid":           {[]book.Command{asks(1, 5), told(1), pays(1)}, gives(1), book.ErrPayoutEnded},
		"paying what was returned":          {[]book.Command{asks(1, 5), told(1), gives(1)}, pays(1), book.ErrPayoutEnded},
		"returning twice":                   {[]book.Command{asks(1, 5), gives(1)}, gives(1), nil},
		"telling of what was given":         {[]book.Command{asks(1, 5), gives(1)}, told(1), book.ErrPayoutEnded},
		"giving it to somebody else":        {[]book.Command{asks(1, 5)}, somebody, book.ErrTermsMismatch},
		"a hold's id is no payout":          {nil, book.InstructPayout{Book: ledger, Payout: book.PayoutID{ID: bidN(1).ID}, EndToEnd: "E"}, book.ErrPayoutUnknown},
		"telling again when it ended":       {[]book.Command{asks(1, 5), told(1), pays(1)}, told(1), nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := earned(t)
			for _, c := range tc.was {
				s.must(t, c, noon)
			}
			events, err := s.do(tc.c, noon)
			if !errors.Is(err, tc.want) || tc.want == nil && err != nil || len(events) != 0 {
				t.Fatalf("got %v, %v, want %v", events, err, tc.want)
			}
		})
	}
}
