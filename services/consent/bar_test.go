package consent_test

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/consent"
)

// types are those of a stream's events, in order.
func (s *scene) types(of es.Stream) []string {
	s.t.Helper()
	conn, err := pgx.Connect(s.t.Context(), s.config.Database.OwnerURL)
	if err != nil {
		s.t.Fatal(err)
	}
	defer func() { _ = conn.Close(s.t.Context()) }() // nothing is pending
	rows, err := conn.Query(s.t.Context(), `select type from event where stream = $1 order by version`, string(of))
	if err != nil {
		s.t.Fatal(err)
	}
	list, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		s.t.Fatal(err)
	}
	return list
}

func (s *scene) suspended() {
	s.offers.Tell(es.StreamOf(s.buyer), &offersv1.Event{Event: &offersv1.Event_BuyerSuspended{
		BuyerSuspended: &offersv1.BuyerSuspended{BuyerId: s.buyer.String(), Reason: "FRAUD"},
	}})
}

func (s *scene) reinstated() {
	s.offers.Tell(es.StreamOf(s.buyer), &offersv1.Event{Event: &offersv1.Event_BuyerReinstated{
		BuyerReinstated: &offersv1.BuyerReinstated{BuyerId: s.buyer.String()},
	}})
}

// TestWhatComesLateUnbarsNobody: a buyer is suspended, reinstated and suspended again while Kafka is behind. The second suspension comes by
// call, and the topic's older words change nothing. What the operator says at the gate stands beside that.
func TestWhatComesLateUnbarsNobody(t *testing.T) {
	t.Parallel()
	s := begin(t, nil)
	ctx := t.Context()
	s.enrol("1990-02-03")
	agreement := s.accept(id.Random())
	s.given(agreement)
	refused := func() bool { return reason(s.release(agreement, id.Random())) == "BUYER_SUSPENDED" }

	bar := &consentv1.BarBuyerRequest{BuyerId: s.buyer.String(), Reason: "FRAUD", IdempotencyKey: "3", BuyerVersion: 3}
	if _, err := s.service.BarBuyer(ctx, bar); err != nil || !refused() {
		t.Fatalf("barred by call: %v", err)
	}
	s.suspended()  // 1
	s.reinstated() // 2
	s.suspended()  // 3
	s.reinstated() // 4
	s.Eventually("the newest word", func() bool { return !refused() })
	want := []string{"buyer_barred", "buyer_unbarred"}
	if got := s.types(es.StreamOf(s.buyer)); !slices.Equal(got, want) {
		t.Errorf("on the way the gate obeyed %v, want %v", got, want)
	}

	operator := consentv1.NewConsentServiceClient(s.Dial(consent.Name, "staff", eventv1.Role_ROLE_OPERATOR))
	bar.IdempotencyKey = "own"
	if _, err := operator.BarBuyer(ctx, bar); status.Code(err) != codes.InvalidArgument {
		t.Errorf("the operator speaks for the market: %v", err)
	}
	bar.BuyerVersion = 0
	if _, err := operator.BarBuyer(ctx, bar); err != nil {
		t.Fatal(err)
	}
	s.suspended()  // 5
	s.reinstated() // 6
	want = append(want, "buyer_barred", "buyer_barred", "buyer_unbarred")
	s.Eventually("both words to be obeyed", func() bool { return slices.Equal(s.types(es.StreamOf(s.buyer)), want) })
	if !refused() {
		t.Error("a reinstatement undoes what the operator said at the gate")
	}
	if _, err := operator.UnbarBuyer(ctx, &consentv1.UnbarBuyerRequest{BuyerId: s.buyer.String(), IdempotencyKey: "end"}); err != nil || refused() {
		t.Errorf("the operator ends it: %v", err)
	}
	if err := consent.Fsck(ctx, s.config); err != nil {
		t.Errorf("fsck: %v", err)
	}
}
