package finance

import (
	"bytes"
	"errors"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/ledger"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// TestCompare: whatever differs between the events and the tables is told, also where every sum and count is the same.
func TestCompare(t *testing.T) {
	t.Parallel()
	one, other := id.Random(), id.Random()
	// replayed folds a deposit for each of the two buyers; trial is what a service tells that has the same.
	replayed := func(ones, others int64) *ledger.Ledger {
		chain := es.FirstChain(es.Incarnation{})
		l := ledger.New([][]es.Life{{{}}})
		for i, d := range []struct {
			buyer id.ID
			minor int64
		}{{one, ones}, {other, others}} {
			data, err := proto.Marshal(&settlementv1.Event{Event: &settlementv1.Event_FundsDeposited{FundsDeposited: &settlementv1.FundsDeposited{
				BookId: id.Derive([]byte("book")).String(), BuyerId: d.buyer.String(), Postings: []*settlementv1.Posting{
					{Account: settlementv1.AccountKind_ACCOUNT_KIND_CLEARING, Minor: -d.minor},
					{Account: settlementv1.AccountKind_ACCOUNT_KIND_BUYER_AVAILABLE, OwnerId: d.buyer.String(), Minor: d.minor},
				},
			}}})
			if err != nil {
				t.Fatal(err)
			}
			r := es.Record{Position: es.Position(i + 1), Type: "funds_deposited", Data: data}
			chain = es.NextChain(chain, &r)
			r.Chain = chain
			if err := l.Apply(&r); err != nil {
				t.Fatal(err)
			}
		}
		return l
	}
	trial := func(ones, others int64) *settlementv1.TrialBalanceResponse {
		out := &settlementv1.TrialBalanceResponse{Total: &moneyv1.Money{Currency: "EUR"}}
		sums, _ := replayed(ones, others).Sums()
		for _, s := range sums {
			out.Sums = append(out.Sums, &settlementv1.Sum{
				Kind: s.Kind, Accounts: s.Accounts, Balance: &moneyv1.Money{Minor: s.Minor, Currency: "EUR"}, AccountsSha256: s.Digest[:],
			})
		}
		return out
	}
	with := func(change func(*settlementv1.TrialBalanceResponse)) *settlementv1.TrialBalanceResponse {
		told := trial(700, 300)
		change(told)
		return told
	}
	for name, tc := range map[string]struct {
		told *settlementv1.TrialBalanceResponse
		want error
	}{
		"the same":            {trial(700, 300), nil},
		"two buyers swapped":  {trial(300, 700), errDiffers},
		"a cent":              {trial(701, 299), errDiffers},
		"a sum":               {with(func(r *settlementv1.TrialBalanceResponse) { r.Sums[0].Balance.Minor++ }), errDiffers},
		"a count":             {with(func(r *settlementv1.TrialBalanceResponse) { r.Sums[0].Accounts++ }), errDiffers},
		"no digest":           {with(func(r *settlementv1.TrialBalanceResponse) { r.Sums[0].AccountsSha256 = nil }), errDiffers},
		"a kind that is gone": {with(func(r *settlementv1.TrialBalanceResponse) { r.Sums = r.Sums[:1] }), errDiffers},
		"a total":             {with(func(r *settlementv1.TrialBalanceResponse) { r.Total.Minor = 1 }), errDiffers},
		"a kind without money": {with(func(r *settlementv1.TrialBalanceResponse) {
			r.Sums = append(r.Sums, &settlementv1.Sum{Kind: settlementv1.AccountKind_ACCOUNT_KIND_SUSPENSE})
		}), nil},
		"a kind of no event": {with(func(r *settlementv1.TrialBalanceResponse) {
			r.Sums = append(r.Sums, &settlementv1.Sum{Kind: settlementv1.AccountKind_ACCOUNT_KIND_SUSPENSE, Accounts: 2})
		}), errDiffers},
	} {
		if err := compare(&client.Session{Out: new(bytes.Buffer)}, replayed(700, 300), tc.told); !errors.Is(err, tc.want) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}
