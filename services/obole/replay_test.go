package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/id"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/internal/worldtest"
	"github.com/obole-market/obole/services/obole/internal/client"
	"github.com/obole-market/obole/services/settlement"
)

// anybody is an offers service where every buyer is registered.
type anybody struct {
	offersv1.UnimplementedOffersServiceServer
}

func (anybody) GetBuyer(_ context.Context, r *offersv1.GetBuyerRequest) (*offersv1.GetBuyerResponse, error) {
	return &offersv1.GetBuyerResponse{Buyer: &offersv1.Buyer{BuyerId: r.GetBuyerId()}}, nil
}

// TestReplayThroughAllLives: the log has been moved to another server again and again, once before its first event. Finance's replay checks the
// chain through all of its lives, and finds what was altered in the first.
func TestReplayThroughAllLives(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	w := worldtest.New(t)
	c := settlement.Config{Config: w.Config(settlement.Name)}
	c.Listen, c.Seams.Listener = w.Listener(settlement.Name).Addr().String(), nil
	if err := w.Listener(settlement.Name).Close(); err != nil { // the service will listen there, each time
		t.Fatal(err)
	}
	if err := settlement.Migrate(ctx, c); err != nil {
		t.Fatal(err)
	}
	market := grpc.NewServer()
	offersv1.RegisterOffersServiceServer(market, anybody{})
	w.Start(func(ctx context.Context) error {
		go func() { <-ctx.Done(); market.Stop() }()
		return market.Serve(w.Listener("offers"))
	})
	execute := func(sql string) {
		t.Helper()
		conn, err := pgx.Connect(ctx, c.Database.OwnerURL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close(ctx) }() // nothing is pending
		if _, err := conn.Exec(ctx, sql); err != nil {
			t.Fatal(err)
		}
	}
	token, err := w.Issuer.Mint(id.Random().String(), eventv1.Role_ROLE_FINANCE)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte(token+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sh := shell{t, []string{"--token-file", file, "--addr", "settlement=" + c.Listen}}
	start := func() (stop func()) {
		stop = w.Start(func(ctx context.Context) error { return settlement.Run(ctx, c) })
		w.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE) // waits until it answers
		return stop
	}
	const lives = 3
	for life := range lives {
		execute(`update partition set timeline = timeline + 1`)
		moved := c
		moved.Reconcile = true
		if err := settlement.Fsck(ctx, moved); err != nil {
			t.Fatal(err)
		}
		stop := start()
		for n := range 2 {
			sh.ok("fund", "--buyer", id.Random().String(), "1 EUR", "--reference", fmt.Sprint("B-", life, "-", n))
		}
		if proof := sh.line("finance", "replay"); proof["equal"] != true || proof["events"] != fmt.Sprint(2*(life+1)) {
			t.Errorf("in life %d: %v", life+1, proof)
		}
		stop()
	}
	execute(`update event set data = set_byte(data, length(data) - 1, get_byte(data, length(data) - 1) # 1) where position = 1`)
	start()
	sh.fails(client.ExitFailed, "the chain is broken", "finance", "replay")

	// A cursor of an earlier life is good as far as that life goes.
	books := settlementv1.NewSettlementServiceClient(w.Dial(settlement.Name, "finance", eventv1.Role_ROLE_FINANCE))
	replay := func(after *eventv1.Cursor) (*settlementv1.ReplayEventsResponse, error) {
		stream, err := books.ReplayEvents(ctx, &settlementv1.ReplayEventsRequest{After: after})
		if err != nil {
			return nil, err
		}
		return stream.Recv()
	}
	all, err := replay(nil)
	if err != nil || len(all.GetLives()) != lives+1 || len(all.GetEvents()) != 2*lives {
		t.Fatalf("told: %v, %v", all, err)
	}
	second := all.GetLives()[1].GetIncarnation() // the first has no event
	for _, tc := range []struct {
		incarnation []byte
		position    int64
		events      int
	}{
		{second, 2, 2 * (lives - 1)},
		{second, 3, -1},
		{all.GetCursor().GetIncarnation(), 3, 2*lives - 3},
		{nil, 1, 2*lives - 1},
		{[]byte{1, 2, 3}, 1, -1},
		{second, 2*lives + 1, -1},
	} {
		got, err := replay(&eventv1.Cursor{Partition: all.GetCursor().GetPartition(), Incarnation: tc.incarnation, Position: tc.position})
		if tc.events < 0 && err == nil || tc.events >= 0 && (err != nil || len(got.GetEvents()) != tc.events) {
			t.Errorf("after %d of %x: %d events, %v", tc.position, tc.incarnation, len(got.GetEvents()), err)
		}
	}
}
