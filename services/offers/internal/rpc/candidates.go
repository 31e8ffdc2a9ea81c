package rpc

import (
	"cmp"
	"context"
	"slices"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/policy"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// candidate is a bid that may be shown.
type candidate struct {
	*view.Listed
	net  int64 // micros of a slot
	like bool  // its question is like one that the person declined, within the interval
}

// compare orders candidates: best net first.
func (c candidate) compare(other candidate) int {
	return cmp.Or(cmp.Compare(other.net, c.net), slices.Compare(c.Bid[:], other.Bid[:]))
}

// entry is a candidate that is on the page, with how its offer stands, and its card once that is made.
type entry struct {
	candidate
	*shown
	bid     view.Bid
	who     view.Buyer
	product catalog.Product
	offer   view.Offer
}

// page reads what a page of offers shows of its candidates. One that has closed since is left out.
func (s *Server) page(ctx context.Context, person id.ID, fit []candidate) ([]entry, error) {
	if len(fit) == 0 {
		return nil, nil
	}
	var numbers, sellers []id.ID
	for _, c := range fit {
		numbers, sellers = append(numbers, c.Bid), append(sellers, c.Buyer)
	}
	bids, err := s.View.OpenAmong(ctx, numbers)
	if err != nil {
		return nil, err
	}
	buyers, err := s.View.Buyers(ctx, sellers)
	if err != nil {
		return nil, err
	}
	answers, err := s.View.Offers(ctx, person, numbers)
	if err != nil {
		return nil, err
	}
	var out []entry
	for _, c := range fit {
		e := entry{candidate: c, bid: bids[c.Bid], who: buyers[c.Placed.GetBuyerId()], offer: answers[c.Bid]}
		if e.bid.Placed == nil || e.who.State != "vetted" {
			continue
		}
		asks := c.Placed.GetTerms().GetProduct()
		e.product, _ = s.Catalog.Product(asks.GetId(), asks.GetVersion()) // it would be no candidate else
		out = append(out, e)
	}
	return out, nil
}

// candidates are all bids that fit the person, in their order; those that the person's own rules hide
// are counted, and those like one that the person declined.
func (s *Server) candidates(
	ctx context.Context, a asker, r rates, person id.ID, pack policy.Pack, declinedToo bool, out *offersv1.ListOffersResponse,
) ([]candidate, error) {
	all, err := s.reachable(ctx, a, r, person, pack)
	if err != nil {
		return nil, err
	}
	var again []id.ID
	fit := slices.DeleteFunc(all, func(c candidate) bool {
		why := a.fits(c.Placed, money64(c.net))
		switch why {
		case byFloor:
			out.HiddenByFloor++
		case byRules:
			out.HiddenByRules++
		}
		if why == visible && c.like && !declinedToo {
			again = append(again, c.Bid)
		}
		return why != visible
	})
	if len(again) > 0 {
		answers, err := s.View.Offers(ctx, person, again)
		if err != nil {
			return nil, err
		}
		fit = slices.DeleteFunc(fit, func(c candidate) bool {
			open := c.like && !answered(answers[c.Bid].State)
			if open {
				out.DeclinedBefore++
			}
			return open
		})
	}
	slices.SortFunc(fit, candidate.compare)
	return fit, nil
}

// question is what is asked of a person: the same buyer, product (in any version) and purpose ask the same, at whatever price and for whatever days.
type question struct{ buyer, product, purpose string }

func asked(p *offersv1.BidPlaced) question {
	return question{p.GetBuyerId(), p.GetTerms().GetProduct().GetId(), p.GetTerms().GetPurpose()}
}

// declined are the questions that a person has declined within so many days: until these are over they are not put again.
func (s *Server) declined(ctx context.Context, person id.ID, days int) (map[question]bool, error) {
	list, err := s.View.Declined(ctx, person, s.Now().AddDate(0, 0, -days))
	if err != nil {
		return nil, err
	}
	out := make(map[question]bool, len(list))
	for _, p := range list {
		out[asked(p)] = true
	}
	return out, nil
}

// reachable are all bids that are for the person, whatever their rules say.
func (s *Server) reachable(ctx context.Context, a asker, r rates, person id.ID, pack policy.Pack) ([]candidate, error) {
	refused, err := s.declined(ctx, person, pack.RepromptDays.Value)
	if err != nil {
		return nil, err
	}
	if err := s.board.follow(ctx, s); err != nil {
		return nil, err
	}
	var out []candidate
	now, done := s.Now(), map[string]bool{}
	for _, stock := range a.facts.GetStock() {
		if done[stock.GetProduct()] {
			continue
		}
		done[stock.GetProduct()] = true
		err := s.board.open(stock.GetProduct(), now, func(l *view.Listed) error {
			asks := l.Placed.GetTerms().GetProduct()
			product, listed := s.Catalog.Product(asks.GetId(), asks.GetVersion())
			if !listed || product.Health && !pack.PaidHealth.Value || !a.able(l.Placed) {
				return nil
			}
			parts, err := r.net(l.Placed.GetTerms().GetUnitPrice().GetMicros())
			out = append(out, candidate{Listed: l, net: parts.Net, like: refused[asked(l.Placed)]})
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}
