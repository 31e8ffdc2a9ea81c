package settlement_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/settlement"
)

// payments is a book into which a buyer pays.
type payments struct {
	t       *testing.T
	buyer   id.ID
	finance settlementv1.SettlementServiceClient
	cursor  *eventv1.Cursor // of the newest
	paid    int
}

func openPayments(t *testing.T) *payments {
	t.Helper()
	w := worldtest.New(t)
	c := settlement.Config{Config: w.Config(settlement.Name)}
	if err := settlement.Migrate(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	w.Start(func(ctx context.Context) error { return settlement.Run(ctx, c) })
	buyer := id.Random()
	register(w, buyer)
	return &payments{t: t, buyer: buyer, finance: settlementv1.NewSettlementServiceClient(w.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE))}
}

// pay books one payment, which is one event.
func (p *payments) pay() {
	p.t.Helper()
	p.paid++
	r, err := p.finance.Deposit(p.t.Context(), &settlementv1.DepositRequest{
		BuyerId: p.buyer.String(), Amount: euro(100), Reference: fmt.Sprint("BANK-", p.paid), IdempotencyKey: fmt.Sprint(p.paid),
	})
	if err != nil {
		p.t.Fatal(err)
	}
	p.cursor = r.GetCursor()
}

// replayed gives the positions and the times of what a request is answered with, up to so many events.
func (p *payments) replayed(r *settlementv1.ReplayEventsRequest) (positions, times []int64, err error) {
	p.t.Helper()
	stream, err := p.finance.ReplayEvents(p.t.Context(), r)
	for err == nil {
		var m *settlementv1.ReplayEventsResponse
		m, err = stream.Recv()
		for _, e := range m.GetEvents() {
			positions, times = append(positions, e.GetPosition()), append(times, e.GetAt())
		}
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return positions, times, err
}

// TestReplayOfATime: from is inclusive, to is not, and either may be open.
func TestReplayOfATime(t *testing.T) {
	t.Parallel()
	p := openPayments(t)
	for range 5 {
		p.pay()
	}
	_, times, err := p.replayed(&settlementv1.ReplayEventsRequest{})
	if err != nil || len(times) != 5 || !slices.IsSorted(times) || times[1] == times[2] || times[3] == times[4] {
		t.Fatalf("times %v, %v", times, err)
	}
	for _, c := range []struct {
		from, to int64
		want     []int64
	}{
		{times[2], 0, []int64{3, 4, 5}},
		{times[2] + 1, 0, []int64{4, 5}},
		{0, times[2], []int64{1, 2}},
		{times[1], times[4], []int64{2, 3, 4}},
		{times[4] + 1, 0, nil},
		{times[2], times[2], nil},
	} {
		got, _, err := p.replayed(&settlementv1.ReplayEventsRequest{Filter: &settlementv1.ReplayFilter{From: c.from, To: c.to}})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("from %d to %d: %v, want %v, %v", c.from, c.to, got, c.want, err)
		}
	}
}

// TestReplayFollows: at the tail the stream goes on as events come, and only then ends when its reader does.
func TestReplayFollows(t *testing.T) {
	t.Parallel()
	p := openPayments(t)
	p.pay()
	p.pay()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stream, err := p.finance.ReplayEvents(ctx, &settlementv1.ReplayEventsRequest{Follow: true, After: &eventv1.Cursor{
		Partition: p.cursor.GetPartition(), Position: 1, Incarnation: p.cursor.GetIncarnation(),
	}})
	if err != nil {
		t.Fatal(err)
	}
	got := make(chan int64, 16)
	ended := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if err != nil {
				ended <- err
				return
			}
			for _, e := range m.GetEvents() {
				got <- e.GetPosition()
			}
		}
	}()
	next := func(want int64) {
		t.Helper()
		select {
		case at := <-got:
			if at != want {
				t.Fatalf("position %d, want %d", at, want)
			}
		case err := <-ended:
			t.Fatalf("before position %d the stream ended: %v", want, err)
		case <-time.After(20 * time.Second):
			t.Fatalf("position %d does not come", want)
		}
	}
	next(2)
	for want := range int64(3) {
		p.pay()
		next(want + 3)
	}
	cancel()
	if err := <-ended; status.Code(err) != codes.Canceled {
		t.Errorf("the stream ended with %v", err)
	}
}

// TestACursorsIncarnationIsWhole: a part of one is no incarnation, and says so.
func TestACursorsIncarnationIsWhole(t *testing.T) {
	t.Parallel()
	p := openPayments(t)
	p.pay()
	p.pay()
	for n := range 20 {
		at := proto.CloneOf(p.cursor)
		at.Position, at.Incarnation = 1, append(at.GetIncarnation(), 1, 2, 3, 4)[:n]
		got, _, err := p.replayed(&settlementv1.ReplayEventsRequest{After: at})
		_, tables := p.finance.TrialBalance(t.Context(), &settlementv1.TrialBalanceRequest{AsOf: at})
		if n == 0 || n == 16 {
			if err != nil || len(got) != 1 || tables != nil {
				t.Errorf("%d bytes: %v, %v, %v", n, got, err, tables)
			}
			continue
		}
		if status.Code(err) != codes.InvalidArgument || status.Code(tables) != codes.InvalidArgument {
			t.Errorf("%d bytes: %v, %v", n, err, tables)
		}
	}
	other := proto.CloneOf(p.cursor)
	other.Incarnation = make([]byte, 16)
	for _, after := range []*eventv1.Cursor{nil, p.cursor} {
		if tables, err := p.finance.TrialBalance(t.Context(), &settlementv1.TrialBalanceRequest{AsOf: other, After: after}); reason(err) != "CURSOR_UNKNOWN" {
			t.Errorf("a trial balance as of another incarnation, after %v: %v, %v", after.GetPosition(), tables, err)
		}
	}
	if _, _, err := p.replayed(&settlementv1.ReplayEventsRequest{After: other}); reason(err) != "CURSOR_UNKNOWN" {
		t.Errorf("another incarnation: %v", err)
	}
}

// TestATrialBalanceIsOfItsPosition: before the first event nobody has anything; a position that is still to come is none.
func TestATrialBalanceIsOfItsPosition(t *testing.T) {
	t.Parallel()
	p := openPayments(t)
	p.pay()
	p.pay()
	at := proto.CloneOf(p.cursor)
	for position, accounts := range map[int64]int{0: 0, 1: 2, 2: 2} {
		at.Position = position
		trial, err := p.finance.TrialBalance(t.Context(), &settlementv1.TrialBalanceRequest{AsOf: at, After: p.cursor})
		if err != nil || len(trial.GetSums()) != accounts || trial.GetAsOf().GetPosition() != position || trial.GetTotal().GetMinor() != 0 {
			t.Errorf("as of %d: %v, %v", position, trial, err)
		}
	}
	at.Position = 3
	if trial, err := p.finance.TrialBalance(t.Context(), &settlementv1.TrialBalanceRequest{AsOf: at}); reason(err) != "CURSOR_UNKNOWN" {
		t.Errorf("as of what is to come: %v, %v", trial, err)
	}
}
