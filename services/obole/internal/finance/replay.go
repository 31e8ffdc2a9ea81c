package finance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/ledger"
	"github.com/obole-market/obole/pkg/node"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/buyer"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// replay streams the log.
type replay struct {
	Events  bool   `help:"Show the events, not the balances that follow from them. Implied by the flags below."`
	After   int64  `placeholder:"POSITION" help:"Begin behind this position."`
	Buyer   string `placeholder:"FILE|ID" help:"Only events of this buyer."`
	Product string `placeholder:"ID" help:"Only events of this product."`
	From    string `placeholder:"TIME" help:"Only events recorded at or after, as in 2026-11-25 or 2026-11-25T08:00:00Z."`
	To      string `placeholder:"TIME" help:"Only events recorded before."`
	Follow  bool   `help:"Go on as events come, until Ctrl-C."`
}

func (*replay) Help() string {
	return `Without flags the whole log is replayed: every hash in its chain is checked, through all lives of the log, every balance derived from the events alone, by code
that the service does not share, and compared with the service's own trial balance as of the last event. Exit status 1 when
anything differs.

Examples:
  obole finance replay
  obole finance replay --events --buyer study.key
  obole finance replay --product daily-steps --after 1200 --json`
}

// Run replays.
func (c *replay) Run(ctx context.Context, s *client.Session) error {
	books, err := s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	request, err := c.request(ctx, books)
	if err != nil {
		return err
	}
	stream, err := books.ReplayEvents(ctx, request)
	if err != nil {
		return err
	}
	if c.Events || *c != (replay{}) {
		return show(ctx, s, books, stream)
	}
	return prove(ctx, s, books, stream)
}

// Prove replays the whole log and compares every balance; what differs is an error.
func Prove(ctx context.Context, s *client.Session) error { return new(replay).Run(ctx, s) }

func (c *replay) request(ctx context.Context, books settlementv1.SettlementServiceClient) (*settlementv1.ReplayEventsRequest, error) {
	who, err := buyer.ID(c.Buyer)
	if err != nil {
		return nil, err
	}
	from, err := moment("--from", c.From)
	if err != nil {
		return nil, err
	}
	to, err := moment("--to", c.To)
	if err != nil {
		return nil, err
	}
	r := &settlementv1.ReplayEventsRequest{
		Filter: &settlementv1.ReplayFilter{BuyerId: who, ProductId: c.Product, From: from, To: to}, Follow: c.Follow,
	}
	if c.After < 0 {
		return nil, client.Usage("--after %d: positions begin at 1", c.After)
	}
	if c.After > 0 {
		// A book lies in one partition, and only the service knows in which.
		trial, err := books.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{})
		if err != nil {
			return nil, err
		}
		r.After = trial.GetAsOf()
		r.After.Position = c.After
	}
	return r, nil
}

func moment(flag, text string) (int64, error) {
	if text == "" {
		return 0, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t.UnixMicro(), nil
		}
	}
	return 0, client.Usage("%s %q: want a day or a moment, as in 2026-11-25 or 2026-11-25T08:00:00Z", flag, text)
}

type replayed = grpc.ServerStreamingClient[settlementv1.ReplayEventsResponse]

// each hands on the events of a replay until it ends.
func each(ctx context.Context, stream replayed, message func(*settlementv1.ReplayEventsResponse) error) error {
	for {
		m, err := stream.Recv()
		if client.Ended(ctx, err) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := message(m); err != nil {
			return err
		}
	}
}

// row is how wide the columns of events are: they come one by one, and a table that waits for all of them would show none of a stream that
// goes on. Only what is written last may be longer.
const row = "%8v  %-20v  %-18v  %14v  %-8v  %-8v  %-8v  %-8v  %v\n"

// show writes a line for each event.
func show(ctx context.Context, s *client.Session, books settlementv1.SettlementServiceClient, stream replayed) error {
	// A book keeps one currency, which not every event names.
	trial, err := books.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{})
	if err != nil {
		return err
	}
	shown := 0
	err = each(ctx, stream, func(m *settlementv1.ReplayEventsResponse) error {
		for _, e := range m.GetEvents() {
			event := new(settlementv1.Event)
			if err := proto.Unmarshal(e.GetData(), event); err != nil {
				return fmt.Errorf("position %d: %w", e.GetPosition(), err)
			}
			if shown++; s.JSON {
				if err := s.Object(map[string]any{"position": e.GetPosition(), "at": client.Moment(e.GetAt()), "type": e.GetType(), "event": event}); err != nil {
					return err
				}
				continue
			}
			if shown == 1 {
				fmt.Fprintf(s.Out, row, "POSITION", "AT", "EVENT", "AMOUNT", "BUYER", "PERSON", "BID", "DELIVERY", "WHAT")
			}
			if _, err := fmt.Fprintf(s.Out, row, cells(e, event, trial.GetTotal().GetCurrency())...); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil && shown == 0 && ctx.Err() == nil {
		s.None("such events")
	}
	return err
}

// cells are what a person reads of an event. The whole of it is for scripts.
func cells(e *eventv1.StoredEvent, event *settlementv1.Event, currency string) []any {
	of := event.ProtoReflect()
	if arm := of.WhichOneof(of.Descriptor().Oneofs().ByName("event")); arm != nil {
		of = of.Get(arm).Message()
	}
	get := func(name protoreflect.Name) any {
		if f := of.Descriptor().Fields().ByName(name); f != nil && of.Has(f) {
			return of.Get(f).Interface()
		}
		return nil
	}
	short := func(name protoreflect.Name) string {
		id, _ := get(name).(string)
		return dash(id[:min(8, len(id))])
	}
	var moved int64 // from some accounts to others
	if f := of.Descriptor().Fields().ByName("postings"); f != nil {
		for list, i := of.Get(f).List(), 0; i < list.Len(); i++ {
			if p, is := list.Get(i).Message().Interface().(*settlementv1.Posting); is {
				moved += max(p.GetMinor(), 0)
			}
		}
	}
	amount := "-"
	if moved > 0 {
		amount = client.Money(&moneyv1.Money{Minor: moved, Currency: currency})
	}
	var what []string
	if payout := short("payout_id"); payout != "-" {
		what = append(what, "payout "+payout)
	}
	for _, name := range []protoreflect.Name{"product_id", "reference", "end_to_end_id", "value_date", "reason"} {
		if text, is := get(name).(string); is {
			what = append(what, client.Printable(text))
		}
	}
	if n, is := get("slots").(uint32); is {
		what = append(what, fmt.Sprintf("slots: %d", n))
	}
	if n, is := get("reason").(protoreflect.EnumNumber); is {
		what = append(what, client.Word(settlementv1.Reason(n)))
	}
	return []any{
		e.GetPosition(), client.Time(e.GetAt()), strings.ReplaceAll(e.GetType(), "_", " "), amount, short("buyer_id"), short("subscriber_id"), short("bid_id"),
		short("delivery_id"), dash(strings.Join(what, ", ")),
	}
}

// errDiffers says that the events and the service's tables tell different balances.
var errDiffers = errors.New("the trial balance differs from what the events say")

// errLives says that the chain cannot be checked.
var errLives = errors.New("the service does not say which lives its log has had: it is older than this command")

// prove derives every balance and compares.
func prove(ctx context.Context, s *client.Session, books settlementv1.SettlementServiceClient, stream replayed) error {
	var derived *ledger.Ledger
	var at *eventv1.Cursor
	err := each(ctx, stream, func(m *settlementv1.ReplayEventsResponse) error {
		at = m.GetCursor()
		if derived == nil {
			if len(m.GetLives()) == 0 {
				return errLives
			}
			lives := make([][]es.Life, at.GetPartition()+1)
			lives[at.GetPartition()] = node.Lived(m.GetLives())
			derived = ledger.New(lives)
		}
		for _, e := range m.GetEvents() {
			if err := derived.Apply(node.Record(es.Partition(at.GetPartition()), e)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || ctx.Err() != nil {
		return errors.Join(err, ctx.Err())
	}
	if derived == nil {
		return io.ErrUnexpectedEOF // even an empty log is told in a message
	}
	trial, err := books.TrialBalance(ctx, &settlementv1.TrialBalanceRequest{AsOf: at})
	if err != nil {
		return err
	}
	return compare(s, derived, trial)
}

func compare(s *client.Session, derived *ledger.Ledger, trial *settlementv1.TrialBalanceResponse) error {
	told := map[settlementv1.AccountKind]*settlementv1.Sum{}
	for _, sum := range trial.GetSums() {
		told[sum.GetKind()] = sum
	}
	sums, total := derived.Sums()
	events, postings := derived.Events()
	equal := total == 0 && trial.GetTotal().GetMinor() == 0
	code := trial.GetTotal().GetCurrency()
	amount := func(minor int64) *moneyv1.Money { return &moneyv1.Money{Minor: minor, Currency: code} }
	var rows [][]any
	for _, sum := range sums {
		t := told[sum.Kind]
		delete(told, sum.Kind)
		same := t.GetBalance().GetMinor() == sum.Minor && t.GetAccounts() == sum.Accounts && bytes.Equal(t.GetAccountsSha256(), sum.Digest[:])
		equal = equal && same
		rows = append(rows, []any{client.Word(sum.Kind), sum.Accounts, amount(sum.Minor), amount(t.GetBalance().GetMinor()), same})
	}
	for kind, t := range told { // kinds that no event knows
		same := t.GetBalance().GetMinor() == 0 && t.GetAccounts() == 0
		equal = equal && same
		rows = append(rows, []any{client.Word(kind), int64(0), amount(0), amount(t.GetBalance().GetMinor()), same})
	}
	if s.JSON {
		lines := make([]map[string]any, len(rows))
		for i, r := range rows {
			lines[i] = map[string]any{"account": r[0], "accounts": r[1], "from_events": r[2], "from_tables": r[3], "equal": r[4]}
		}
		if err := s.Object(map[string]any{"events": events, "postings": postings, "position": trial.GetAsOf().GetPosition(), "equal": equal, "sums": lines}); err != nil {
			return err
		}
	} else {
		if err := s.Table([]string{"account", "accounts", "from the events", "from the tables", "equal"}, rows); err != nil {
			return err
		}
		fmt.Fprintf(s.Out, "%d events, %d postings up to position %d, total %s\n", events, postings, trial.GetAsOf().GetPosition(), client.Money(amount(total)))
	}
	if !equal {
		return errDiffers
	}
	if !s.JSON {
		fmt.Fprintln(s.Out, "Equal to the cent.")
	}
	return nil
}
