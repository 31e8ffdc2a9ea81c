package rpc

import (
	"context"
	"errors"
	"time"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/record"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/settlement/internal/book"
	"github.com/obole-market/obole/services/settlement/internal/view"
	"github.com/obole-market/obole/services/settlement/internal/wire"
)

// Server answers SettlementService.
type Server struct {
	settlementv1.UnimplementedSettlementServiceServer

	Book     book.ID
	Currency string // ISO 4217
	Root     *es.Root[book.State, book.Command, book.Event]
	Offers   offersv1.OffersServiceClient
	Log      es.Reader
	Record   *record.Book
	View     view.View
	Seen     *projection.Projection
	Now      func() time.Time
	// LeastBuyers and LeastPeople are the fewest of whom a price comparison says anything.
	LeastBuyers, LeastPeople int
	// Partition of the book's log.
	Partition es.Partition
}

// Deposit records money that the bank has seen. The same payment told twice, by whomever and under whatever key, is booked once: the
// book knows it by the bank's reference.
func (s *Server) Deposit(ctx context.Context, r *settlementv1.DepositRequest) (*settlementv1.DepositResponse, error) {
	if err := s.takes(r.GetAmount()); err != nil {
		return nil, err
	}
	if r.GetValueDate() != "" {
		if err := checkDay("value_date", r.GetValueDate()); err != nil {
			return nil, err
		}
	}
	buyer, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	command, hash, err := boot.Command(ctx, "Deposit", r.GetIdempotencyKey(), r)
	if err != nil {
		return nil, err
	}
	result, err := s.Root.Do(ctx, es.Command[book.Command]{
		ID: command, Hash: hash, Refused: s.registered(ctx, buyer),
		Body: book.PayIn{
			Book: s.Book, Buyer: book.BuyerID{ID: buyer}, Amount: r.GetAmount().GetMinor(), Reference: r.GetReference(), ValueDate: r.GetValueDate(),
		},
		Meta:   &eventv1.Meta{Actor: boot.CallerFrom(ctx).Actor()},
		Caller: boot.CallerFrom(ctx).Subject,
	})
	if err != nil {
		return nil, conflict(err)
	}
	state, _, err := s.Root.State(ctx, wire.Stream(book.On{Book: s.Book, Child: buyer}), nil)
	if err != nil {
		return nil, err
	}
	funds, _ := state.(book.Buyer)
	return &settlementv1.DepositResponse{
		Available: s.money(funds.Available), Cursor: cursor(result.Cursor), RecordedBefore: result.Repeated || len(result.Events) == 0,
	}, nil
}

// peerWait is how long offers may take to say whether there is such a buyer.
const peerWait = 2 * time.Second

var (
	errBuyer       = fault.NotFound("BUYER_UNKNOWN", "there is no such buyer")
	errIdempotency = fault.Conflict("IDEMPOTENCY_CONFLICT", "the same idempotency key came with another request")
)

// registered asks offers, which owns the fact: money of a mistyped buyer would have nobody to go to.
func (s *Server) registered(ctx context.Context, buyer id.ID) error {
	ctx, cancel := context.WithTimeout(ctx, peerWait)
	defer cancel()
	_, err := s.Offers.GetBuyer(ctx, &offersv1.GetBuyerRequest{BuyerId: buyer.String()})
	switch {
	case err == nil:
		return nil
	case fault.ReasonOf(err) == errBuyer.Reason:
		return errBuyer.And("buyer_id", "is not registered")
	}
	return fault.Unavailable("offers does not say whether there is such a buyer").Because(err)
}

// GetFunds reads a buyer's money.
func (s *Server) GetFunds(ctx context.Context, r *settlementv1.GetFundsRequest) (*settlementv1.GetFundsResponse, error) {
	owner, at, err := s.reach(ctx, "buyer_id", r.GetBuyerId(), r.GetAfter())
	if err != nil {
		return nil, err
	}
	funds, err := s.View.Funds(ctx, owner, int32(s.Partition))
	if err != nil {
		return nil, err
	}
	at.Position = funds.Position // of the same moment as the amounts
	list, place := "holds/"+owner.String(), new(settlementv1.Hold)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	after, _ := id.Parse(place.GetBidId()) // none on the first page
	limit := size(r.GetPageSize())
	holds, err := s.View.Holds(ctx, owner, after, limit+1)
	if err != nil {
		return nil, err
	}
	out := &settlementv1.GetFundsResponse{Available: s.money(funds.Available), Held: s.money(funds.Held), Cursor: at}
	if len(holds) > limit {
		holds = holds[:limit]
		if out.NextPageToken, err = boot.PageToken(list, &settlementv1.Hold{BidId: holds[limit-1].Bid.String()}); err != nil {
			return nil, err
		}
	}
	for _, h := range holds {
		out.Holds = append(out.Holds, &settlementv1.Hold{
			BidId: h.Bid.String(), Held: s.money(h.Held), Initial: s.money(h.Initial), Captured: s.money(h.Captured),
		})
	}
	return out, nil
}

// GetEarnings reads a person's money.
func (s *Server) GetEarnings(ctx context.Context, r *settlementv1.GetEarningsRequest) (*settlementv1.GetEarningsResponse, error) {
	owner, at, err := s.reach(ctx, "subscriber_id", r.GetSubscriberId(), r.GetAfter())
	if err != nil {
		return nil, err
	}
	e, err := s.View.Earner(ctx, owner, int32(s.Partition))
	if err != nil {
		return nil, err
	}
	at.Position = e.Position // of the same moment as the amounts
	return &settlementv1.GetEarningsResponse{
		Pending: s.money(e.Pending), Available: s.money(e.Payable), Requested: s.money(e.Requested), Paid: s.money(e.Paid), ResidualMicros: e.Residual, Cursor: at,
	}, nil
}

// TrialBalance sums every kind of account.
func (s *Server) TrialBalance(ctx context.Context, r *settlementv1.TrialBalanceRequest) (*settlementv1.TrialBalanceResponse, error) {
	after := r.GetAfter()
	if as := r.GetAsOf(); as != nil {
		if as.GetPartition() != int32(s.Partition) {
			return nil, errCursor.And("as_of.partition", "the book is in another partition")
		}
		tail, lives, err := s.ends(ctx)
		if err != nil {
			return nil, err
		}
		if !stands(as, tail, lives) {
			return nil, errCursor
		}
		if as.GetPosition() > after.GetPosition() {
			after = &eventv1.Cursor{Partition: as.GetPartition(), Position: as.GetPosition()} // of whatever life: it stands
		}
	}
	at, err := s.seen(ctx, after)
	if err != nil {
		return nil, err
	}
	if as := r.GetAsOf(); as != nil {
		at.Position = as.GetPosition()
	}
	sums, err := s.View.Trial(ctx, int32(s.Partition), at.GetPosition())
	if err != nil {
		return nil, err
	}
	out := &settlementv1.TrialBalanceResponse{AsOf: at}
	var total int64
	for _, sum := range sums {
		total += sum.Minor
		out.Sums = append(out.Sums, &settlementv1.Sum{
			Kind: settlementv1.AccountKind(sum.Kind), Accounts: sum.Accounts, Balance: s.money(sum.Minor), AccountsSha256: sum.Digest,
		})
	}
	out.Total = s.money(total)
	return out, nil
}

// ends reads how far the log has come, and its lives.
func (s *Server) ends(ctx context.Context) (es.Tail, []es.Life, error) {
	tail, err := s.Log.Tail(ctx, s.Partition)
	if err != nil {
		return tail, nil, err
	}
	lives, err := s.Log.Lives(ctx, s.Partition)
	return tail, lives, err
}

// stands says whether a cursor is a position of this log, as it is now.
func stands(c *eventv1.Cursor, tail es.Tail, lives []es.Life) bool {
	at := es.Position(c.GetPosition())
	return (c.GetService() == "" || c.GetService() == service) && at <= tail.Position && lived(lives, c.GetIncarnation(), at)
}

// parse reads an id of a request.
func parse(field, s string) (id.ID, error) {
	v, err := id.Parse(s)
	if err != nil {
		return v, fault.Invalid(field, "must be a UUID")
	}
	return v, nil
}

// takes refuses an amount that this book does not keep.
func (s *Server) takes(amount *moneyv1.Money) error {
	switch {
	case amount.GetCurrency() != s.Currency:
		return book.ErrCurrencyMismatch.And("amount.currency", "this book keeps "+s.Currency)
	case amount.GetMinor() <= 0:
		return fault.Invalid("amount.minor", "must be more than 0")
	}
	return nil
}

// checkDay refuses what is no day.
func checkDay(field, s string) error {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return fault.Invalid(field, "is no day of the calendar")
	}
	return nil
}

// reach reads an owner's id and waits until the view has seen what the caller has.
func (s *Server) reach(ctx context.Context, field, owner string, after *eventv1.Cursor) (id.ID, *eventv1.Cursor, error) {
	v, err := parse(field, owner)
	if err != nil {
		return v, nil, err
	}
	at, err := s.seen(ctx, after)
	return v, at, err
}

// seen waits until the view has seen a cursor and says how far the view has come.
func (s *Server) seen(ctx context.Context, after *eventv1.Cursor) (*eventv1.Cursor, error) {
	c := es.Cursor{Service: after.GetService(), Partition: es.Partition(after.GetPartition()), Position: es.Position(after.GetPosition())}
	copy(c.Incarnation[:], after.GetIncarnation())
	if err := s.Seen.Wait(ctx, c); err != nil {
		return nil, err
	}
	tail, err := s.Log.Tail(ctx, s.Partition)
	if err != nil {
		return nil, err
	}
	return cursor(es.Cursor{Service: service, Incarnation: tail.Incarnation, Partition: s.Partition, Position: s.Seen.Seen(s.Partition)}), nil
}

// conflict tells a repeated idempotency key with another request as this context names it.
func conflict(err error) error {
	if errors.Is(err, es.ErrOtherBody) {
		return errIdempotency
	}
	return err
}

func (s *Server) money(minor int64) *moneyv1.Money {
	return &moneyv1.Money{Minor: minor, Currency: s.Currency}
}

func cursor(c es.Cursor) *eventv1.Cursor {
	return &eventv1.Cursor{Service: c.Service, Incarnation: c.Incarnation[:], Partition: int32(c.Partition), Position: int64(c.Position)}
}
