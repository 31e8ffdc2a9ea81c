package rpc

import (
	"crypto/sha256"
	"slices"
	"time"

	"github.com/obole-market/obole/pkg/catalog"
	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/buyer"
	"github.com/obole-market/obole/services/offers/internal/view"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

// noticeVersion is the version of the card's wording.
const noticeVersion = "1"

// consentDays is for how long a consent outlives the last day that it is for: data come late.
const consentDays = 30

// shown is a card with what an acceptance of it needs.
type shown struct {
	buyer string // id of who asks
	card  *offersv1.Card
	bytes []byte
	hash  [32]byte
	terms bid.Terms
	rates rates
}

// rates are what the person's policy pack and the operator take of a price.
type rates struct {
	commission, withholding int64 // millionths
	days                    uint32
	policy                  *eventv1.PolicyRef
	country                 string
}

func (s *Server) rates(p policy.Pack) rates {
	return rates{
		commission: s.Commission, withholding: p.WithholdingPPM.Value, days: uint32(p.DisputeDays.Value), country: p.Country,
		policy: &eventv1.PolicyRef{Pack: p.Country, Version: p.Version},
	}
}

// net is what a person gets of a slot's price.
func (r rates) net(price int64) (money.Parts, error) {
	return money.Divide(price, r.commission, r.withholding)
}

// salts gives the salts of one person's cards. They follow from a key of the person's, so that the same card has the same salt, and nobody
// who has not the card can guess from its hash what is on it.
func salts(ring *vault.Ring) (func(bid.OfferID) []byte, error) {
	h, err := ring.Fingerprint(eventv1.Retention_RETENTION_CONSENT_PROOF, "card")
	if err != nil {
		return nil, err
	}
	const enough = 16
	return func(o bid.OfferID) []byte {
		h.Reset()
		h.Write(o.ID[:])
		return h.Sum(nil)[:enough]
	}, nil
}

// show makes the card of a bid for a person under these rates. The same bid, person, rates and language give the same bytes.
func (s *Server) show(b view.Bid, who view.Buyer, product catalog.Product, r rates, language string, salt []byte) (*shown, error) {
	p := b.Placed
	t := p.GetTerms()
	terms, err := wire.Terms(p)
	if err != nil {
		return nil, err
	}
	parts, err := r.net(terms.UnitPrice)
	if err != nil {
		return nil, err
	}
	price := func(micros int64) *moneyv1.UnitPrice {
		return &moneyv1.UnitPrice{Micros: micros, Currency: t.GetUnitPrice().GetCurrency()}
	}
	e := who.Registered.GetEntity()
	c := &offersv1.Card{
		BidId: p.GetBidId(), BidVersion: p.GetVersion(), NoticeVersion: noticeVersion, Language: language,
		BuyerName: e.GetLegalName(), BuyerCountry: e.GetCountry(), BuyerDpoContact: e.GetDpoContact(), BuyerPrivacyNotice: e.GetPrivacyNoticeUri(),
		Product: t.GetProduct(), ProductDescription: product.Description, Purpose: t.GetPurpose(), PurposeDescription: catalog.Purpose(t.GetPurpose()),
		Slots: t.GetSlots(), Cadence: t.GetCadence(), MaxSlots: uint32(min(terms.MaxPerPerson, terms.Days)),
		Gross: price(terms.UnitPrice), Commission: price(parts.Commission), Withheld: price(parts.Withheld), Net: price(parts.Net),
		AvailableAfterDays: r.days, Recipients: t.GetRecipients(), TransferTool: t.GetTransferTool(), ProcessingCountries: e.GetProcessingCountries(),
		RetentionDays: t.GetRetentionDays(), AutomatedDecisions: t.GetAutomatedDecisions(), AiTraining: t.GetAiTraining(),
		Predicates: t.GetPredicates(), ExplicitStep: p.GetHealth(), Allocation: p.GetAllocation(), ExpiresAt: expires(p).UnixMicro(),
		Policy: r.policy, CohortMin: p.GetCohortMin(), Salt: salt,
	}
	all, err := terms.Grant(nil)
	if err != nil {
		return nil, err
	}
	for _, f := range terms.Fields {
		field, _ := product.Field(f.ID)
		rung, _ := field.Rung(f.Rung)
		row := &offersv1.CardField{
			Id: f.ID, Description: field.Description, Unit: field.Unit, Rung: f.Rung, RungDescription: rung.Description, Required: f.Required,
		}
		if !f.Required {
			without, err := r.net(terms.Price(slices.DeleteFunc(slices.Clone(all), func(id string) bool { return id == f.ID })))
			if err != nil {
				return nil, err
			}
			row.Net = price(parts.Net - without.Net)
		}
		c.Fields = append(c.Fields, row)
	}
	out := &shown{buyer: p.GetBuyerId(), card: c, bytes: wire.Marshal(c), terms: terms, rates: r}
	out.hash = sha256.Sum256(out.bytes)
	return out, nil
}

// expires is when a consent to the bid ends by itself: some days after the last day it is for, and not before the bid's window.
func expires(p *offersv1.BidPlaced) time.Time {
	last, err := time.Parse(time.DateOnly, p.GetTerms().GetSlots().GetLast())
	closes := time.UnixMicro(p.GetClosesAt()).UTC()
	if err != nil || last.Before(closes) {
		last = closes
	}
	return last.AddDate(0, 0, consentDays)
}

// licence is what accepting some fields of a card comes to; its agreement and slots are the bid's to decide. The buyer's group is that of
// this moment: what the operator has corrected since the bid was placed counts.
func (s *shown) licence(p *offersv1.BidPlaced, offer bid.OfferID, person bid.SubscriberID, granted []string, who buyer.State) *marketv1.Licence {
	t := p.GetTerms()
	l := &marketv1.Licence{
		OfferId: offer.String(), BidId: p.GetBidId(), BuyerId: p.GetBuyerId(), GroupId: who.Group.String(), SubscriberId: person.String(),
		Product: t.GetProduct(), Purpose: t.GetPurpose(), Slots: t.GetSlots(), Cadence: t.GetCadence(), Predicates: t.GetPredicates(),
		UnitPrice:    &moneyv1.UnitPrice{Micros: s.terms.Price(granted), Currency: t.GetUnitPrice().GetCurrency()},
		MinAssurance: t.GetMinAssurance(), RetentionDays: t.GetRetentionDays(), Country: s.rates.country, CohortMin: p.GetCohortMin(),
		ExpiresAt: expires(p).UnixMicro(), CardSha256: s.hash[:], Health: p.GetHealth(), Policy: s.rates.policy,
		CommissionPpm: uint32(s.rates.commission), WithholdingPpm: uint32(s.rates.withholding), AvailableAfterDays: s.rates.days,
		Recipients: t.GetRecipients(), ProcessingCountries: wire.EntityProto(who.Entity).GetProcessingCountries(),
	}
	for _, f := range s.terms.Fields {
		if slices.Contains(granted, f.ID) {
			l.Fields = append(l.Fields, &marketv1.GrantedField{Id: f.ID, Rung: f.Rung})
		}
	}
	return l
}
