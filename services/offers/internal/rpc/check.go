package rpc

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/locale"
	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/policy"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/view"
)

// Refusals of bids that a bid's own root does not know of.
var (
	errProduct   = fault.Refuse("PRODUCT_UNKNOWN", "the product or its version is not in the catalogue")
	errField     = fault.Refuse("FIELD_UNKNOWN", "a field or rung is not in the product")
	errPredicate = fault.Refuse("PREDICATE_UNKNOWN", "a fact or band is not in the catalogue")
	errCohort    = fault.Refuse("COHORT_TOO_SMALL", "the cohort is smaller than the product allows")
	errPurpose   = fault.Refuse("PURPOSE_NOT_ALLOWED", "the purpose is not one the product may be used for")
	errTerms     = fault.Refuse("TERMS_INVALID", "the terms contradict themselves or the law")
	errCurrency  = fault.Refuse("CURRENCY_UNSUPPORTED", "the operator's book keeps another currency")
)

// eea are the countries of the European Economic Area.
var eea = []string{
	"AT", "BE", "BG", "CY", "CZ", "DE", "DK", "EE", "ES", "FI", "FR", "GR", "HR", "HU", "IE", "IS", "IT", "LI", "LT", "LU", "LV", "MT", "NL", "NO",
	"PL", "PT", "RO", "SE", "SI", "SK",
}

// longest is how far ahead a bid may close, in days, and how many days it may ask for.
const longest = 366

// check finds everything that is wrong with a bid. TryBid lists it all; PlaceBid refuses with the first.
func (s *Server) check(n *offersv1.NewBid, who view.Buyer, now time.Time) (p catalog.Product, problems []*fault.Error) {
	t := n.GetTerms()
	wrong := func(err *fault.Error, field, what string) { problems = append(problems, err.And(field, what)) }
	p, known := s.Catalog.Product(t.GetProduct().GetId(), t.GetProduct().GetVersion())
	if !known {
		wrong(errProduct, "bid.terms.product", "is not in the catalogue")
	}
	if known && !slices.Contains(p.Purposes, t.GetPurpose()) {
		wrong(errPurpose, "bid.terms.purpose", "is not one of the product's")
	}
	if known && n.GetCohortMin() > 0 && int(n.GetCohortMin()) < p.CohortMin {
		wrong(errCohort, "bid.cohort_min", fmt.Sprintf("must be at least %d for this product", p.CohortMin))
	}
	var shares uint32
	seen, required := map[string]bool{}, false
	for i, f := range t.GetFields() {
		at := fmt.Sprintf("bid.terms.fields[%d]", i)
		if known {
			if field, ok := p.Field(f.GetId()); !ok {
				wrong(errField, at+".id", "is not in the product")
			} else if _, ok := field.Rung(f.GetRung()); !ok {
				wrong(errField, at+".rung", "is not on the field's ladder")
			}
		}
		if seen[f.GetId()] {
			wrong(errTerms, at+".id", "is asked for twice")
		}
		seen[f.GetId()] = true
		if f.GetRequired() && f.GetSharePpm() > 0 {
			wrong(errTerms, at+".share_ppm", "must be 0 for a required field")
		}
		required = required || f.GetRequired()
		shares += f.GetSharePpm()
	}
	if !required {
		wrong(errTerms, "bid.terms.fields", "at least one must be required")
	}
	if shares >= money.Million {
		wrong(errTerms, "bid.terms.fields", "shares of optional fields must stay below 1,000,000 in all")
	}
	for i, predicate := range t.GetPredicates() {
		at := fmt.Sprintf("bid.terms.predicates[%d]", i)
		fact, ok := s.Catalog.Fact(predicate.GetFact())
		if !ok {
			wrong(errPredicate, at+".fact", "is not in the catalogue")
			continue
		}
		for _, band := range predicate.GetBands() {
			if !slices.Contains(fact.Bands, band) {
				wrong(errPredicate, at+".bands", "has a band that the fact does not have")
			}
		}
	}
	first, err1 := time.Parse(time.DateOnly, t.GetSlots().GetFirst())
	last, err2 := time.Parse(time.DateOnly, t.GetSlots().GetLast())
	switch {
	case err1 != nil:
		wrong(errTerms, "bid.terms.slots.first", "is not a day")
	case err2 != nil:
		wrong(errTerms, "bid.terms.slots.last", "is not a day")
	case last.Before(first):
		wrong(errTerms, "bid.terms.slots.last", "is before the first day")
	case last.Sub(first) > longest*24*time.Hour:
		wrong(errTerms, "bid.terms.slots.last", "is more than 366 days after the first")
	case last.After(now.AddDate(0, 0, 2*longest)): // as many days as it may ask for, behind the last moment at which it may close
		wrong(errTerms, "bid.terms.slots.last", "is more than 732 days ahead")
	}
	if closes := time.UnixMicro(n.GetClosesAt()); !closes.After(now) || closes.After(now.AddDate(0, 0, longest)) {
		wrong(errTerms, "bid.closes_at", "must be ahead, by at most 366 days")
	} else if n.GetOpensAt() >= n.GetClosesAt() {
		wrong(errTerms, "bid.opens_at", "must be before closes_at")
	}
	if t.GetUnitPrice().GetCurrency() != s.Currency {
		wrong(errCurrency, "bid.terms.unit_price.currency", "must be "+s.Currency)
	}
	if t.GetUnitPrice().GetMicros() <= 0 {
		wrong(errTerms, "bid.terms.unit_price.micros", "must be more than nothing")
	}
	if t.GetTransferTool() == 0 && outside(who) {
		wrong(errTerms, "bid.terms.transfer_tool", "is required when data are processed outside the European Economic Area")
	}
	for i, r := range t.GetRecipients() {
		at := fmt.Sprintf("bid.terms.recipients[%d].country", i)
		switch {
		case !locale.Country(r.GetCountry()):
			wrong(errTerms, at, noCountry)
		case t.GetTransferTool() == 0 && !slices.Contains(eea, r.GetCountry()):
			wrong(errTerms, at, "needs a transfer tool")
		}
	}
	switch _, _, err := s.cost(n, who, now); {
	case errors.Is(err, policy.ErrCountry):
		wrong(errTerms, "bid.buyer_id", "has its seat in a country without a policy pack, so its tax is not known")
	case err != nil:
		wrong(errTerms, "bid.quantity", "with this price is more than a book can hold")
	}
	return p, problems
}

func outside(who view.Buyer) bool {
	where := who.Registered.GetEntity().GetProcessingCountries()
	// Who registered when nobody had to say where has not said that the data stay.
	return len(where) == 0 || slices.ContainsFunc(where, func(c string) bool { return !slices.Contains(eea, c) })
}

// cost is what a bid holds: quantity times unit price, and the VAT of the buyer's country on it, each rounded up to a minor unit.
func (s *Server) cost(n *offersv1.NewBid, who view.Buyer, now time.Time) (budget, tax int64, err error) {
	pack, err := s.Policy.At(who.Registered.GetEntity().GetCountry(), now)
	if err != nil {
		return 0, 0, err
	}
	currency, err := money.ParseCurrency(s.Currency)
	if err != nil {
		return 0, 0, err
	}
	unit := int64(1)
	for range 6 - currency.Exponent() {
		unit *= 10
	}
	price, slots := n.GetTerms().GetUnitPrice().GetMicros(), int64(n.GetQuantity())
	const most = 1_000_000_000_000_000_000 // 10^12 of the major unit in micros
	if slots > 0 && price > most/slots {
		return 0, 0, fault.Invalid("bid.quantity", "with this price is more than a book can hold")
	}
	micros := price * slots
	budget = (micros + unit - 1) / unit
	vat := money.PPM(micros, pack.VATPPM.Value)
	if micros%money.Million*pack.VATPPM.Value%money.Million != 0 {
		vat++ // a fraction of a micro counts as one: the hold must cover whatever the deliveries come to
	}
	return budget, (vat + unit - 1) / unit, nil
}

func (s *Server) money(minor int64) *moneyv1.Money {
	return &moneyv1.Money{Minor: minor, Currency: s.Currency}
}
