package demo

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// moneyArrives: every key that left is posted, and what was earned is available.
func (p *play) moneyArrives(ctx context.Context) error {
	books, err := p.s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	return p.everybody(ctx, "people are paid", func(ctx context.Context, who *person) error {
		return until(ctx, "the money", func() (bool, error) {
			all, err := earnings(ctx, books, who)
			if err != nil || len(all) < who.deliveries {
				return false, err
			}
			r, err := books.GetEarnings(ctx, &settlementv1.GetEarningsRequest{SubscriberId: who.id})
			return err == nil && r.GetPending().GetMinor() == 0, err
		})
	})
}

func earnings(ctx context.Context, books settlementv1.SettlementServiceClient, who *person) ([]*settlementv1.Earning, error) {
	return client.Pages(func(page string) ([]*settlementv1.Earning, string, error) {
		r, err := books.ListEarnings(ctx, &settlementv1.ListEarningsRequest{SubscriberId: who.id, PageToken: page})
		return r.GetEarnings(), r.GetNextPageToken(), err
	})
}

// table shows rows for people, and an object each, with the table's name in it, for scripts.
func (p *play) table(name string, heads []string, rows [][]any) error {
	if !p.s.JSON {
		p.say("\n%s\n", strings.ToUpper(name[:1])+name[1:])
		return p.s.Table(heads, rows)
	}
	for _, row := range rows {
		o := map[string]any{"table": name}
		for i, h := range heads {
			o[strings.ReplaceAll(h, " ", "_")] = row[i]
		}
		if err := p.s.Object(o); err != nil {
			return err
		}
	}
	return nil
}

// tell shows what came of it.
func (p *play) tell(ctx context.Context) error {
	p.say("\n%s\n", p.Synthetic)
	for _, table := range []func(context.Context) error{p.tellBids, p.tellUnasked, p.tellPaid, p.tellWalker, p.tellPayout} {
		if err := table(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tellBids: what each buyer asked for and what became of it.
func (p *play) tellBids(ctx context.Context) error {
	books, err := p.s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	var rows [][]any
	for _, a := range p.buyers {
		t := a.bid.GetTerms()
		state, charged := "", any(nil)
		if f, is := errors.AsType[*fault.Error](a.refused); is {
			rule := *f
			rule.Facts = nil // which field of the contract it is about helps nobody here
			state = "refused: " + rule.Error()
		}
		packages, slots := 0, 0
		if a.number != "" {
			market, err := p.s.Offers(client.Buyer(a.key.Buyer))
			if err != nil {
				return err
			}
			b, err := market.GetBid(ctx, &offersv1.GetBidRequest{BidId: a.number, BuyerId: a.key.Buyer})
			if err != nil {
				return err
			}
			holds, err := client.Pages(func(page string) ([]*settlementv1.Hold, string, error) {
				r, err := books.GetFunds(ctx, &settlementv1.GetFundsRequest{BuyerId: a.key.Buyer, PageToken: page})
				return r.GetHolds(), r.GetNextPageToken(), err
			})
			if err != nil {
				return err
			}
			state = client.Word(b.GetBid().GetState())
			for _, h := range holds {
				if h.GetBidId() == a.number {
					charged = h.GetCaptured()
				}
			}
			packages = len(a.received)
			for _, got := range a.received {
				slots += got.Manifest.Rows
			}
		}
		rows = append(rows, []any{a.name, t.GetProduct().GetId(), catalog.Purpose(t.GetPurpose()), t.GetUnitPrice(), a.agreements, packages, slots, charged, state})
	}
	return p.table("bids", []string{"buyer", "product", "purpose", "a slot", "people", "packages", "rows", "charged with vat", "state"}, rows)
}

// tellUnasked: who was shown less than others, and why.
func (p *play) tellUnasked(context.Context) error {
	var rows [][]any
	for _, who := range p.people {
		var why []string
		r := who.answer
		switch {
		case r.GetNotEligible() != 0 && who.Born == "":
			why = append(why, "nothing paid is offered: age unknown")
		case r.GetNotEligible() != 0:
			why = append(why, "nothing paid is offered: under 18")
		case who.Country == "FR" && len(r.GetOffers()) == 0:
			why = append(why, "nothing paid is offered: French law forbids paying for health data")
		case who.Declines && len(r.GetOffers()) > 0:
			why = append(why, fmt.Sprintf("declined %d", len(r.GetOffers())))
		}
		if n := r.GetHiddenByFloor(); n > 0 {
			why = append(why, fmt.Sprintf("%d hidden by their floor", n))
		}
		if n := r.GetHiddenByRules(); n > 0 {
			why = append(why, fmt.Sprintf("%d hidden by their rules", n))
		}
		if len(why) > 0 {
			rows = append(rows, []any{who.Participant, who.Country, strings.Join(why, "; ")})
		}
	}
	return p.table("offers not made or not wanted", []string{"participant", "country", "why"}, rows)
}

// tellPaid: who earned what, by whom, for what.
func (p *play) tellPaid(ctx context.Context) error {
	books, err := p.s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	names := map[string]string{}
	for _, a := range p.buyers {
		names[a.key.Buyer] = a.name
	}
	type of struct{ buyer, product string }
	var rows [][]any
	for _, who := range p.people {
		all, err := earnings(ctx, books, who)
		if err != nil {
			return err
		}
		var order []of
		sums := map[of]*settlementv1.Earning{}
		for _, e := range all {
			k := of{e.GetBuyerId(), e.GetProductId()}
			if sums[k] == nil {
				order = append(order, k)
				sums[k] = e
				continue
			}
			sums[k].Slots += e.GetSlots()
			sums[k].Net.Minor += e.GetNet().GetMinor()
			sums[k].Commission.Minor += e.GetCommission().GetMinor()
		}
		for _, k := range order {
			e := sums[k]
			rows = append(rows, []any{who.Participant, who.Country, names[k.buyer], k.product, e.GetSlots(), e.GetNet(), e.GetCommission()})
		}
	}
	return p.table("who earned what", []string{"participant", "country", "by", "for", "slots", "net", "commission"}, rows)
}

// tellWalker: what a withdrawal came to.
func (p *play) tellWalker(ctx context.Context) error {
	for _, who := range p.people {
		if who.Participant != p.Walker.Participant {
			continue
		}
		gave, err := p.s.Delivery(client.Person(who.id))
		if err != nil {
			return err
		}
		uses, err := client.Pages(func(page string) ([]*deliveryv1.Use, string, error) {
			r, err := gave.ListUses(ctx, &deliveryv1.ListUsesRequest{SubscriberId: who.id, PageToken: page})
			return r.GetUses(), r.GetNextPageToken(), err
		})
		if err != nil {
			return err
		}
		left := 0
		for _, a := range p.buyers {
			if a.bid.GetTerms().GetCadence() != marketv1.Cadence_CADENCE_DAILY {
				continue
			}
			for _, u := range uses {
				if u.GetAgreementId() == who.agreements[a.bid.GetTerms().GetProduct().GetId()] {
					left++
				}
			}
		}
		if left != p.Walker.Days {
			return fmt.Errorf("%d days of a person were delivered who withdrew after %d", left, p.Walker.Days)
		}
		return p.table("day by day", []string{"participant", "delivered", "withdrew after", "imported afterwards", "delivered afterwards"}, [][]any{
			{who.Participant, left, p.Walker.Days, p.Walker.After, left - p.Walker.Days},
		})
	}
	return nil
}
