package settlement_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/fault/grpcfault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/ledger"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement"
)

// earner is a person with money, at a settlement service that can be ended and started again where it was.
type earner struct {
	*worldtest.World
	t             *testing.T
	c             settlement.Config
	stop          func()
	person        id.ID
	finance, mine settlementv1.SettlementServiceClient
}

// earn brings a person available money for so many slots of 4 cents.
func earn(t *testing.T, slots uint32) *earner {
	t.Helper()
	e := &earner{World: worldtest.New(t), t: t}
	e.c = settlement.Config{Config: e.Config(settlement.Name)}
	e.c.Listen, e.c.Seams.Listener = e.Listener(settlement.Name).Addr().String(), nil
	if err := e.Listener(settlement.Name).Close(); err != nil { // the service will listen there, each time
		t.Fatal(err)
	}
	if err := settlement.Migrate(t.Context(), e.c); err != nil {
		t.Fatal(err)
	}
	s := story{buyer: id.Random(), bid: id.Random(), agreement: id.Random(), person: id.Random()}
	s.shelf = es.StreamOf(id.Derive([]byte("shelf"), s.person[:]))
	e.person = s.person
	register(e.World, s.buyer)
	e.start()
	_, err := e.finance.Deposit(t.Context(), &settlementv1.DepositRequest{BuyerId: s.buyer.String(), Amount: euro(1000_00), Reference: "B", IdempotencyKey: "1"})
	if err != nil {
		t.Fatal(err)
	}
	offers, delivery := e.Peer("offers"), e.Peer("delivery")
	offers.Tell(es.StreamOf(s.bid), s.placed(500_00, 105_00))
	offers.Tell(es.StreamOf(s.bid).Child(id.Random()), s.formed(slots))
	parcel := id.Random()
	delivery.Tell(s.shelf.Child(parcel), s.released(parcel, slots))
	e.Eventually("the money", func() bool { return e.has(nil).GetAvailable().GetMinor() == 4*int64(slots) })
	return e
}

func (e *earner) start() {
	e.stop = e.Start(func(ctx context.Context) error { return settlement.Run(ctx, e.c) })
	e.finance = settlementv1.NewSettlementServiceClient(e.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE))
	e.mine = settlementv1.NewSettlementServiceClient(e.Dial(settlement.Name, e.person.String(), eventv1.Role_ROLE_SUBSCRIBER))
}

// again ends the service and starts it, with nothing but what is stored.
func (e *earner) again() {
	e.stop()
	e.start()
}

func (e *earner) has(after *eventv1.Cursor) *settlementv1.GetEarningsResponse {
	e.t.Helper()
	r, err := e.finance.GetEarnings(e.t.Context(), &settlementv1.GetEarningsRequest{SubscriberId: e.person.String(), After: after})
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

// stands checks what a person has, and that everything that tells of it says the same.
func (e *earner) stands(at *eventv1.Cursor, available, requested, paid int64) {
	e.t.Helper()
	ctx, now := e.t.Context(), e.has(at)
	if now.GetPending().GetMinor() != 0 || now.GetAvailable().GetMinor() != available || now.GetRequested().GetMinor() != requested || now.GetPaid().GetMinor() != paid {
		e.t.Errorf("earnings are %v, want %d available, %d asked for, %d paid", now, available, requested, paid)
	}
	sums, err := e.mine.SumEarnings(ctx, &settlementv1.SumEarningsRequest{SubscriberId: e.person.String(), By: settlementv1.EarningGroup_EARNING_GROUP_MONTH, After: at})
	if err != nil || sums.GetTotal().GetNet().GetMinor() != available+requested+paid || sums.GetCursor().GetPosition() != now.GetCursor().GetPosition() {
		e.t.Errorf("earned in all: %v, %v", sums, err)
	}
	trial, err := e.finance.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{After: at})
	if err != nil || trial.GetTotal().GetMinor() != 0 {
		e.t.Fatalf("trial balance: %v, %v", trial, err)
	}
	replayed := equal(e.t, e.finance, trial)
	for kind, want := range map[settlementv1.AccountKind]int64{
		settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PAYABLE: available, settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PAYOUT: requested,
		settlementv1.AccountKind_ACCOUNT_KIND_BILL_CREDIT: paid,
	} {
		var book id.ID
		for _, a := range replayed.Accounts() {
			book = a.Book
		}
		lines, err := e.finance.ListStatement(ctx, &settlementv1.ListStatementRequest{Account: &settlementv1.Account{Kind: kind, OwnerId: e.person.String()}, After: at})
		if err != nil {
			e.t.Fatal(err)
		}
		var last int64
		if n := len(lines.GetLines()); n > 0 {
			last = lines.GetLines()[n-1].GetBalance().GetMinor()
		}
		if got := replayed.Balance(ledger.Account{Book: book, Kind: kind, Owner: e.person}).Minor; last != want || got != want {
			e.t.Errorf("%v: %d on the statement, %d replayed, want %d", kind, last, got, want)
		}
	}
}

func (e *earner) asks(key string, minor int64) *settlementv1.RequestPayoutRequest {
	r := &settlementv1.RequestPayoutRequest{
		SubscriberId: e.person.String(), Method: settlementv1.PayoutMethod_PAYOUT_METHOD_BILL_CREDIT, IdempotencyKey: key,
	}
	if minor != 0 {
		r.Amount = euro(minor)
	}
	return r
}

// TestAPersonIsPaid: a person asks for what is available, billing credits a part of it, the rest comes back. Between any two steps the
// service ends, and whoever has lost an answer asks again.
func TestAPersonIsPaid(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	e := earn(t, 100) // 4.00
	e.stands(nil, 400, 0, 0)

	first, err := e.mine.RequestPayout(ctx, e.asks("1", 150))
	if err != nil || first.GetAmount().GetMinor() != 150 {
		t.Fatalf("asking for a part: %v, %v", first, err)
	}
	e.again()
	if again, err := e.mine.RequestPayout(ctx, e.asks("1", 150)); err != nil || !proto.Equal(again, first) {
		t.Fatalf("asking again after a crash: %v, %v; it was %v", again, err, first)
	}
	e.stands(first.GetCursor(), 250, 150, 0)
	rest, err := e.mine.RequestPayout(ctx, e.asks("2", 0))
	if err != nil || rest.GetAmount().GetMinor() != 250 || rest.GetPayoutId() == first.GetPayoutId() {
		t.Fatalf("asking for all: %v, %v", rest, err)
	}
	e.stands(rest.GetCursor(), 0, 400, 0)

	today := time.Now().UTC().Format(time.DateOnly)
	instruct := &settlementv1.InstructPayoutRequest{PayoutId: first.GetPayoutId(), EndToEndId: "BILLING-1", IdempotencyKey: "3"}
	settle := &settlementv1.SettlePayoutRequest{PayoutId: first.GetPayoutId(), ValueDate: today, Reference: "BILL-9", IdempotencyKey: "4"}
	back := &settlementv1.ReturnPayoutRequest{PayoutId: rest.GetPayoutId(), Reason: settlementv1.ReturnReason_RETURN_REASON_NO_BILL, IdempotencyKey: "5"}
	if _, err := e.finance.SettlePayout(ctx, settle); reason(err) != "PAYOUT_NOT_INSTRUCTED" {
		t.Errorf("paid before billing was told: %v", err)
	}
	var cursors []*eventv1.Cursor
	for _, step := range []func() (interface{ GetCursor() *eventv1.Cursor }, error){
		func() (interface{ GetCursor() *eventv1.Cursor }, error) {
			return e.finance.InstructPayout(ctx, instruct)
		},
		func() (interface{ GetCursor() *eventv1.Cursor }, error) { return e.finance.SettlePayout(ctx, settle) },
		func() (interface{ GetCursor() *eventv1.Cursor }, error) { return e.finance.ReturnPayout(ctx, back) },
	} {
		done, err := step()
		if err != nil {
			t.Fatal(err)
		}
		e.again()
		if again, err := step(); err != nil || again.GetCursor().GetPosition() != done.GetCursor().GetPosition() {
			t.Fatalf("told again after a crash: %v, %v", again, err)
		}
		cursors = append(cursors, done.GetCursor())
	}
	e.stands(cursors[2], 250, 0, 150)

	// The same told under another key changes nothing; what contradicts it is refused.
	settle.IdempotencyKey = "6"
	if again, err := e.finance.SettlePayout(ctx, settle); err != nil {
		t.Errorf("settled twice: %v, %v", again, err)
	}
	settle.ValueDate, settle.IdempotencyKey = "2026-12-01", "7"
	if _, err := e.finance.SettlePayout(ctx, settle); reason(err) != "PAYOUT_ENDED" {
		t.Errorf("settled on another day: %v", err)
	}
	back.PayoutId, back.IdempotencyKey = first.GetPayoutId(), "8"
	if _, err := e.finance.ReturnPayout(ctx, back); reason(err) != "PAYOUT_ENDED" {
		t.Errorf("returned what was settled: %v", err)
	}
	e.stands(cursors[2], 250, 0, 150)
	list, err := e.mine.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: e.person.String(), After: cursors[2]})
	if err != nil || len(list.GetPayouts()) != 2 {
		t.Fatalf("payouts: %v, %v", list, err)
	}
	for i, want := range []*settlementv1.Payout{
		{
			PayoutId: rest.GetPayoutId(), Amount: euro(250), State: settlementv1.PayoutState_PAYOUT_STATE_RETURNED,
			Reason: settlementv1.ReturnReason_RETURN_REASON_NO_BILL,
		},
		{
			PayoutId: first.GetPayoutId(), Amount: euro(150), State: settlementv1.PayoutState_PAYOUT_STATE_SETTLED, EndToEndId: "BILLING-1",
			ValueDate: today, Reference: "BILL-9",
		},
	} {
		got := list.GetPayouts()[i]
		if got.GetRequestedAt() == 0 || got.GetEndedAt() < got.GetRequestedAt() || (got.GetInstructedAt() > 0) != (want.GetEndToEndId() != "") {
			t.Errorf("times of %v", got)
		}
		want.SubscriberId, want.Method = e.person.String(), settlementv1.PayoutMethod_PAYOUT_METHOD_BILL_CREDIT
		want.RequestedAt, want.InstructedAt, want.EndedAt = got.GetRequestedAt(), got.GetInstructedAt(), got.GetEndedAt()
		if !proto.Equal(got, want) {
			t.Errorf("payout %d is %v, want %v", i, got, want)
		}
	}
	e.recorded(cursors[2])
	// A line of the statement says of which payout it is, and by that the payout is found.
	lines, err := e.finance.ListStatement(ctx, &settlementv1.ListStatementRequest{
		Account: &settlementv1.Account{Kind: settlementv1.AccountKind_ACCOUNT_KIND_SUBSCRIBER_PAYOUT, OwnerId: e.person.String()},
	})
	if err != nil {
		t.Fatal(err)
	}
	var of []string
	for _, l := range lines.GetLines() {
		of = append(of, l.GetPayoutId())
	}
	if want := []string{first.GetPayoutId(), rest.GetPayoutId(), first.GetPayoutId(), rest.GetPayoutId()}; !slices.Equal(of, want) {
		t.Errorf("the statement is of the payouts %v, want %v", of, want)
	}
	one, err := e.finance.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{PayoutId: rest.GetPayoutId()})
	if err != nil || len(one.GetPayouts()) != 1 || !proto.Equal(one.GetPayouts()[0], list.GetPayouts()[0]) {
		t.Errorf("the payout of a line: %v, %v", one, err)
	}
	if other, err := e.mine.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: id.Random().String(), PayoutId: rest.GetPayoutId()}); err == nil {
		t.Errorf("another's list has %v", other)
	}
	if err := settlement.Fsck(ctx, e.c); err != nil {
		t.Errorf("fsck: %v", err)
	}
	if err := settlement.Rebuild(ctx, e.c); err != nil {
		t.Errorf("rebuild: %v", err)
	}
	rebuilt, err := e.finance.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{})
	if err != nil || !slices.EqualFunc(rebuilt.GetPayouts(), list.GetPayouts(), func(a, b *settlementv1.Payout) bool { return proto.Equal(a, b) }) {
		t.Errorf("after rebuilding: %v, %v", rebuilt, err)
	}
}

// recorded: the person's record tells of each step, and of what it was about.
func (e *earner) recorded(at *eventv1.Cursor) {
	e.t.Helper()
	type told struct {
		kind, why string
		amount    int64
	}
	want := []told{
		{"payout_returned", "NO_BILL", 250},
		{"payout_settled", "", 150},
		{"payout_instructed", "", 0},
		{"payout_requested", "BILL_CREDIT", 250},
		{"payout_requested", "BILL_CREDIT", 150},
	}
	r, err := e.mine.ListRecord(e.t.Context(), &settlementv1.ListRecordRequest{SubscriberId: e.person.String(), After: at})
	if err != nil || len(r.GetEntries()) < len(want) {
		e.t.Fatalf("record: %v, %v", r, err)
	}
	for i, w := range want {
		if got := r.GetEntries()[i]; got.GetType() != w.kind || got.GetReason() != w.why || got.GetAmount().GetMinor() != w.amount {
			e.t.Errorf("entry %d is %v, want %v", i, got, w)
		}
	}
}

// TestAPayoutIsRefused: by whom, of what and how a person may ask.
func TestAPayoutIsRefused(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	e := earn(t, 10) // 0.40
	had, err := e.mine.RequestPayout(ctx, e.asks("1", 30))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change        func(*settlementv1.RequestPayoutRequest)
		reason, field string
	}{
		"the same key, another amount": {func(r *settlementv1.RequestPayoutRequest) { r.Amount.Minor = 9 }, "IDEMPOTENCY_CONFLICT", ""},
		"the same key, all":            {func(r *settlementv1.RequestPayoutRequest) { r.Amount = nil }, "IDEMPOTENCY_CONFLICT", ""},
		"more than is left":            {func(r *settlementv1.RequestPayoutRequest) { r.Amount.Minor, r.IdempotencyKey = 11, "2" }, "INSUFFICIENT_EARNINGS", "amount"},
		"to a bank": {func(r *settlementv1.RequestPayoutRequest) {
			r.Method, r.IdempotencyKey = settlementv1.PayoutMethod_PAYOUT_METHOD_SEPA, "2"
		}, "METHOD_UNAVAILABLE", "method"},
		"as a gift": {func(r *settlementv1.RequestPayoutRequest) {
			r.Method, r.IdempotencyKey = settlementv1.PayoutMethod_PAYOUT_METHOD_DONATION, "2"
		}, "METHOD_UNAVAILABLE", "method"},
		"dollars": {func(r *settlementv1.RequestPayoutRequest) {
			r.Amount, r.IdempotencyKey = &moneyv1.Money{Minor: 1, Currency: "USD"}, "2"
		}, "CURRENCY_MISMATCH", "amount.currency"},
		"nothing": {func(r *settlementv1.RequestPayoutRequest) { r.Amount.Minor, r.IdempotencyKey = 0, "2" }, "INVALID_ARGUMENT", "amount.minor"},
		"no method": {func(r *settlementv1.RequestPayoutRequest) {
			r.Method, r.IdempotencyKey = settlementv1.PayoutMethod_PAYOUT_METHOD_UNSPECIFIED, "2"
		}, "INVALID_ARGUMENT", "method"},
	} {
		r := e.asks("1", 30)
		tc.change(r)
		_, err := e.mine.RequestPayout(ctx, r)
		var f *fault.Error
		if !errors.As(grpcfault.From(err), &f) || tc.reason != "INVALID_ARGUMENT" && f.Reason != tc.reason || tc.reason == "INVALID_ARGUMENT" && status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: %v", name, err)
			continue
		}
		text, named := f.Fact(tc.field)
		if tc.field != "" && !named {
			t.Errorf("%s: %v names no field %s", name, f.Facts, tc.field)
		}
		if tc.reason == "INSUFFICIENT_EARNINGS" && !strings.Contains(text, "0.10 EUR that is available") {
			t.Errorf("%s: what there is, is told as %q", name, text)
		}
	}
	denied := func(what string, err error) {
		t.Helper()
		if status.Code(err) != codes.PermissionDenied {
			t.Errorf("%s: %v", what, err)
		}
	}
	other := e.asks("3", 1)
	other.SubscriberId = id.Random().String()
	_, err = e.mine.RequestPayout(ctx, other)
	denied("somebody else's money", err)
	_, err = e.finance.RequestPayout(ctx, e.asks("3", 1))
	denied("finance asks for a person", err)
	_, err = e.mine.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{})
	denied("everybody's payouts", err)
	_, err = e.mine.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{SubscriberId: other.SubscriberId})
	denied("somebody else's payouts", err)
	nobody := id.Random().String()
	_, err = e.mine.InstructPayout(ctx, &settlementv1.InstructPayoutRequest{PayoutId: nobody, EndToEndId: "E", IdempotencyKey: "1"})
	denied("a person tells billing", err)
	for what, err := range map[string]error{
		"instructing": second(e.finance.InstructPayout(ctx, &settlementv1.InstructPayoutRequest{PayoutId: nobody, EndToEndId: "E", IdempotencyKey: "1"})),
		"settling":    second(e.finance.SettlePayout(ctx, &settlementv1.SettlePayoutRequest{PayoutId: nobody, ValueDate: "2026-11-30", IdempotencyKey: "1"})),
		"returning":   second(e.finance.ReturnPayout(ctx, &settlementv1.ReturnPayoutRequest{PayoutId: nobody, Reason: settlementv1.ReturnReason_RETURN_REASON_DUPLICATE, IdempotencyKey: "1"})),
	} {
		var f *fault.Error
		if !errors.As(grpcfault.From(err), &f) || f.Reason != "PAYOUT_UNKNOWN" {
			t.Errorf("%s a payout that there is not: %v", what, err)
		} else if _, named := f.Fact("payout_id"); !named {
			t.Errorf("%s: %v names no field", what, f.Facts)
		}
	}
	if _, err := e.finance.SettlePayout(ctx, &settlementv1.SettlePayoutRequest{PayoutId: nobody, ValueDate: "2026-02-30", IdempotencyKey: "1"}); status.Code(err) != codes.InvalidArgument {
		t.Errorf("a day that is none: %v", err)
	}
	e.stands(had.GetCursor(), 10, 30, 0)
}

func second[T any](_ T, err error) error { return err }

// TestPayoutsAtOnce: two processes are asked for more than there is, by many callers at once. What they grant is what there was.
func TestPayoutsAtOnce(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	e := earn(t, 25) // 1.00
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	other := e.c
	other.Seams.Listener = l
	e.Start(func(ctx context.Context) error { return settlement.Run(ctx, other) })
	clients := []settlementv1.SettlementServiceClient{
		e.mine, settlementv1.NewSettlementServiceClient(e.DialAddr(l.Addr().String(), settlement.Name, e.person.String(), eventv1.Role_ROLE_SUBSCRIBER)),
	}
	const callers, asked = 24, 13 // seven of them can be had
	var (
		wait    sync.WaitGroup
		mu      sync.Mutex
		granted int64
		last    *eventv1.Cursor
	)
	for n := range callers {
		wait.Go(func() {
			// Each asks both processes under one key: it is one payout, whoever is first.
			var ids []string
			for _, c := range clients {
				r, err := c.RequestPayout(ctx, e.asks(fmt.Sprint(n), asked))
				if err != nil {
					if reason(err) != "INSUFFICIENT_EARNINGS" {
						t.Error(err)
					}
					continue
				}
				ids = append(ids, r.GetPayoutId())
				mu.Lock()
				if r.GetCursor().GetPosition() > last.GetPosition() {
					last = r.GetCursor()
				}
				mu.Unlock()
			}
			mu.Lock()
			defer mu.Unlock()
			switch {
			case len(ids) == 2 && ids[0] == ids[1]:
				granted += asked
			case len(ids) != 0:
				t.Errorf("one key is %v", ids)
			}
		})
	}
	wait.Wait()
	if granted != 100/asked*asked {
		t.Errorf("%d of 100 were granted", granted)
	}
	e.stands(last, 100-granted, granted, 0)

	// They are listed in pages, newest first, and by their state.
	var all []*settlementv1.Payout
	r := &settlementv1.ListPayoutsRequest{SubscriberId: e.person.String(), PageSize: 3, After: last}
	for {
		page, err := e.mine.ListPayouts(ctx, r)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page.GetPayouts()...)
		if r.PageToken = page.GetNextPageToken(); r.PageToken == "" {
			break
		}
	}
	if len(all) != 100/asked || !slices.IsSortedFunc(all, func(a, b *settlementv1.Payout) int { return int(b.GetRequestedAt() - a.GetRequestedAt()) }) {
		t.Errorf("%d payouts are listed: %v", len(all), all)
	}
	for state, want := range map[settlementv1.PayoutState]int{settlementv1.PayoutState_PAYOUT_STATE_REQUESTED: 100 / asked, settlementv1.PayoutState_PAYOUT_STATE_SETTLED: 0} {
		if some, err := e.finance.ListPayouts(ctx, &settlementv1.ListPayoutsRequest{State: state}); err != nil || len(some.GetPayouts()) != want {
			t.Errorf("%v: %v, %v", state, some, err)
		}
	}
	if err := settlement.Fsck(ctx, e.c); err != nil {
		t.Errorf("fsck: %v", err)
	}
}
