package rpc

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/locale"
	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
	"github.com/obole-market/obole/services/offers/internal/buyer"
	"github.com/obole-market/obole/services/offers/internal/view"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

const (
	// peersWait is how long consent and delivery may take to say what a person may be shown.
	peersWait = 2 * time.Second
	// answerWait is how long consent may take to answer an acceptance.
	answerWait = 15 * time.Minute
	offersPage = 50
)

func countLive(number id.ID) *consentv1.CountLiveRequest {
	return &consentv1.CountLiveRequest{BidId: number.String()}
}

// doBid has a bid's root decide.
func (s *Server) doBid(ctx context.Context, method, key string, r proto.Message, body bid.Command) (*eventv1.Cursor, error) {
	c, err := command(ctx, method, key, r, body)
	if err != nil {
		return nil, err
	}
	result, err := s.Bids.Do(ctx, c)
	if err != nil {
		return nil, conflict(err)
	}
	return cursor(result.Cursor), nil
}

// asker is what may be known of a person for the length of one call.
type asker struct {
	profile *consentv1.GetProfileResponse
	facts   *deliveryv1.GetFactsResponse
}

// ask asks consent and delivery about a person. Without both there is no offer: never a stale one.
func (s *Server) ask(ctx context.Context, who string) (asker, error) {
	ctx, cancel := context.WithTimeout(ctx, peersWait)
	defer cancel()
	var a asker
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		a.profile, err = s.Consent.GetProfile(ctx, &consentv1.GetProfileRequest{SubscriberId: who})
		return err
	})
	g.Go(func() (err error) {
		a.facts, err = s.Delivery.GetFacts(ctx, &deliveryv1.GetFactsRequest{SubscriberId: who})
		return err
	})
	if err := g.Wait(); err != nil {
		return a, fault.Unavailable("what may be offered cannot be found out now").Because(err)
	}
	return a, nil
}

// hidden says why an offer is not shown.
type hidden int

const (
	visible hidden = iota
	byFloor
	byRules
	unfit // the person is in no audience
)

// able says whether a bid is for a person, whatever their rules are: the data are there, and the conditions hold.
func (a asker) able(p *offersv1.BidPlaced) bool {
	t := p.GetTerms()
	stock := a.stock(t.GetProduct().GetId())
	return stock != nil && (overlap(stock.GetDays(), t.GetSlots()) || future(t.GetSlots(), stock.GetDays()) != 0) &&
		stock.GetAssurance() >= t.GetMinAssurance() && a.within(t.GetPredicates())
}

// fits says whether a bid that is for a person may be shown to them, at what it comes to for them.
func (a asker) fits(p *offersv1.BidPlaced, net money64) hidden {
	t, rules := p.GetTerms(), a.profile.GetRules()
	switch {
	case len(t.GetPredicates()) > 0 && !matching(rules):
		return unfit
	case slices.Contains(rules.GetPurposesNever(), t.GetPurpose()), slices.Contains(rules.GetBuyersNever(), p.GetBuyerId()),
		slices.Contains(rules.GetProductsNever(), t.GetProduct().GetId()),
		rules.GetMaxAgreements() > 0 && a.profile.GetAgreements() >= rules.GetMaxAgreements():
		return byRules
	}
	for _, f := range rules.GetFloors() {
		if f.GetProduct() == t.GetProduct().GetId() && (f.GetCurrency() != t.GetUnitPrice().GetCurrency() || int64(net) < f.GetMicros()) {
			return byFloor
		}
	}
	return visible
}

// money64 is micros of a slot, net.
type money64 int64

func (a asker) stock(product string) *deliveryv1.Stock {
	for _, s := range a.facts.GetStock() {
		if s.GetProduct() == product && s.GetValidSlots() > 0 {
			return s
		}
	}
	return nil
}

func overlap(a, b *marketv1.Days) bool {
	return a.GetFirst() <= b.GetLast() && b.GetFirst() <= a.GetLast()
}

// future says how the asked days lie after the data that a person has: more may come.
func future(asked, have *marketv1.Days) int {
	if asked.GetFirst() > have.GetLast() {
		return 1
	}
	return 0
}

// matching says whether a person is in any audience that asks. Every fact of the catalogue is about health so far, so the explicit step is
// needed as well.
func matching(rules *consentv1.Rules) bool { return rules.GetMatching() && rules.GetMatchingHealth() }

// within says whether a person is in an audience.
func (a asker) within(predicates []*marketv1.Predicate) bool {
	for _, p := range predicates {
		if !slices.ContainsFunc(a.facts.GetFacts(), func(f *deliveryv1.Fact) bool {
			return f.GetId() == p.GetFact() && slices.Contains(p.GetBands(), f.GetBand())
		}) {
			return false
		}
	}
	return true
}

// ListOffers computes the offers for the person who asks and records each card that is shown for the first time.
func (s *Server) ListOffers(ctx context.Context, r *offersv1.ListOffersRequest) (*offersv1.ListOffersResponse, error) {
	person, err := parse("subscriber_id", r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	if r.GetLanguage() != "" && !locale.Language(r.GetLanguage()) {
		return nil, fault.Invalid("language", "is no language tag of BCP 47, as fr or fr-BE is")
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	a, err := s.ask(ctx, r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	out := new(offersv1.ListOffersResponse)
	pack, err := s.Policy.At(a.profile.GetCountry(), s.Now())
	if a.profile.GetNotEligible() != 0 || err != nil || a.profile.GetPaused() {
		out.NotEligible = offersv1.Reason_REASON_NOT_ELIGIBLE
		return out, nil //nolint:nilerr // a country without a pack is an answer
	}
	list, place := "offers/"+person.String(), new(offersv1.Card)
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	rates := s.rates(pack)
	fit, err := s.candidates(ctx, a, rates, person, pack, r.GetDeclinedToo(), out)
	if err != nil {
		return nil, err
	}
	if place.GetBidId() != "" {
		last := candidate{net: place.GetNet().GetMicros(), Listed: new(view.Listed)}
		last.Bid, _ = id.Parse(place.GetBidId()) // our own token
		fit = slices.DeleteFunc(fit, func(c candidate) bool { return c.compare(last) <= 0 })
	}
	limit := int(r.GetPageSize())
	if limit == 0 {
		limit = offersPage
	}
	if len(fit) > limit {
		fit = fit[:limit]
		last := fit[limit-1]
		// What the order is by: a bid that closes or opens between two pages moves no other.
		if out.NextPageToken, err = boot.PageToken(list, &offersv1.Card{BidId: last.Bid.String(), Net: &moneyv1.UnitPrice{Micros: last.net}}); err != nil {
			return nil, err
		}
	}
	page, err := s.page(ctx, person, fit)
	if err != nil || len(page) == 0 {
		return out, err
	}
	ring, err := s.Keys.Ring(ctx, person)
	if err != nil {
		return nil, err
	}
	salt, err := salts(ring)
	if err != nil {
		return nil, err
	}
	who := bid.SubscriberID{ID: person}
	for i := range page {
		offer := bid.OfferOf(bid.ID{ID: page[i].Bid}, who)
		if page[i].shown, err = s.show(page[i].bid, page[i].who, page[i].product, rates, language(r.GetLanguage()), salt(offer)); err != nil {
			return nil, err
		}
	}
	return out, s.present(ctx, who, ring, rates.policy, page, out)
}

func language(asked string) string {
	if asked == "" {
		return "en"
	}
	return asked
}

var offerStates = map[string]offersv1.OfferState{
	"presented": offersv1.OfferState_OFFER_STATE_PRESENTED, "accepted": offersv1.OfferState_OFFER_STATE_ACCEPTED,
	"declined": offersv1.OfferState_OFFER_STATE_DECLINED, "voided": offersv1.OfferState_OFFER_STATE_VOIDED,
	"agreed": offersv1.OfferState_OFFER_STATE_AGREED, "finished": offersv1.OfferState_OFFER_STATE_FINISHED,
}

// present answers with the cards, and records those that are not the ones shown last.
func (s *Server) present(
	ctx context.Context, person bid.SubscriberID, ring *vault.Ring, policy *eventv1.PolicyRef, cards []entry, out *offersv1.ListOffersResponse,
) error {
	var commands []es.Command[bid.Command]
	about := meta(ctx)
	about.Policy = policy
	for _, c := range cards {
		number := bid.ID{ID: c.Bid}
		o := &offersv1.Offer{
			OfferId: bid.OfferOf(number, person).String(), State: offerStates[c.offer.State], Card: c.bytes, CardSha256: c.hash[:], Voided: c.offer.Voided,
			BuyerId: c.buyer,
		}
		if c.offer.Agreement != nil {
			o.AgreementId = id.ID(*c.offer.Agreement).String()
		}
		if !answered(c.offer.State) {
			o.State = offersv1.OfferState_OFFER_STATE_PRESENTED
			if c.offer.State != "presented" || string(c.offer.Card) != string(c.hash[:]) {
				commands = append(commands, es.Command[bid.Command]{
					Body: bid.Present{Bid: number, Subscriber: person, Notice: noticeVersion, Language: c.card.GetLanguage(), Card: c.hash},
					Meta: about, Keys: ring, Caller: boot.CallerFrom(ctx).Subject,
				})
			}
		}
		out.Offers = append(out.Offers, o)
	}
	reached := map[es.Partition]es.Cursor{}
	for _, outcome := range s.Bids.DoMany(ctx, commands) {
		if outcome.Err != nil {
			return outcome.Err
		}
		if at := outcome.Result.Cursor; at.Position >= reached[at.Partition].Position {
			reached[at.Partition] = at
		}
	}
	for _, at := range reached {
		out.Cursors = append(out.Cursors, cursor(at))
	}
	return nil
}

// AcceptOffer accepts all or some fields of exactly the card that was shown. A retry is told what was accepted, whatever has changed since.
func (s *Server) AcceptOffer(ctx context.Context, r *offersv1.AcceptOfferRequest) (*offersv1.AcceptOfferResponse, error) {
	person, number, offer, err := s.offered(r.GetSubscriberId(), r.GetBidId(), r.GetOfferId())
	if err != nil {
		return nil, err
	}
	c, err := command[bid.Command](ctx, "AcceptOffer", r.GetIdempotencyKey(), r, nil)
	if err != nil {
		return nil, err
	}
	accept := bid.Accept{
		Bid: number, Subscriber: person, Card: [32]byte(r.GetCardSha256()), Fields: r.GetFields(), Explicit: r.GetExplicitStep(),
		Agreement: bid.AgreementID{ID: id.Derive([]byte("agreement"), offer.ID[:], c.ID[:])}, Wait: answerWait,
	}
	ring, err := s.Keys.Ring(ctx, person.ID)
	if err != nil {
		return nil, err
	}
	c.Keys = ring
	granted, no := s.granted(ctx, r, accept, offer, ring)
	if accept.Licence, c.Refused = wire.Licence(granted), no; no == nil {
		c.Meta.Policy = granted.GetPolicy()
	}
	c.Body = accept
	result, err := s.Bids.Do(ctx, c)
	if err != nil {
		return nil, conflict(err)
	}
	e, ok := result.Events[0].Event.(bid.Accepted)
	if !ok {
		return nil, fault.Internal("an acceptance came to something else")
	}
	l := wire.Granted(e)
	parts, err := money.Divide(l.GetUnitPrice().GetMicros(), int64(l.GetCommissionPpm()), int64(l.GetWithholdingPpm()))
	if err != nil {
		return nil, err
	}
	return &offersv1.AcceptOfferResponse{
		AgreementId: l.GetAgreementId(), Net: &moneyv1.UnitPrice{Micros: parts.Net, Currency: l.GetUnitPrice().GetCurrency()}, Cursor: cursor(result.Cursor),
	}, nil
}

// GetLicence tells another service what was agreed.
func (s *Server) GetLicence(ctx context.Context, r *offersv1.GetLicenceRequest) (*offersv1.GetLicenceResponse, error) {
	agreement, err := parse("agreement_id", r.GetAgreementId())
	if err != nil {
		return nil, err
	}
	record, err := s.acceptance(ctx, agreement, r.GetAfter())
	if err != nil {
		return nil, err
	}
	m, _, err := s.opened(ctx, &record)
	if err != nil {
		return nil, err
	}
	if m.GetOfferAccepted().GetLicence() == nil {
		return nil, errAgreement
	}
	return &offersv1.GetLicenceResponse{Licence: m.GetOfferAccepted().GetLicence(), ExplicitStepAt: m.GetOfferAccepted().GetExplicitStepAt()}, nil
}

// acceptance is the event by which a person accepted, as it is stored. It never changes and three services ask for it, so it is held, sealed
// as it is: whoever has been forgotten has no key to open it with.
func (s *Server) acceptance(ctx context.Context, agreement id.ID, after *eventv1.Cursor) (es.Record, error) {
	if held, ok := s.Accepted.Get(agreement); ok {
		return held, nil
	}
	if err := s.seen(ctx, after); err != nil {
		return es.Record{}, err
	}
	record, found, err := s.View.Acceptance(ctx, agreement)
	switch {
	case err != nil:
		return es.Record{}, err
	case !found:
		return es.Record{}, errAgreement
	}
	s.Accepted.Put(agreement, record)
	return record, nil
}

// AcceptedHeld is how many acceptances are worth holding: the other services ask for one within seconds of it. Some MiB.
const AcceptedHeld = 4096

var errAgreement = fault.NotFound("AGREEMENT_UNKNOWN", "there is no such agreement")

// granted is the licence that an acceptance comes to now, or why there is none.
func (s *Server) granted(
	ctx context.Context, r *offersv1.AcceptOfferRequest, c bid.Accept, offer bid.OfferID, ring *vault.Ring,
) (*marketv1.Licence, error) {
	state, _, err := s.Bids.State(ctx, es.StreamOf(c.Bid.ID), nil)
	if err != nil {
		return nil, err
	}
	b, ok := state.(bid.Bid)
	if !ok {
		return nil, bid.ErrUnknown
	}
	placed := wire.Placed(b)
	profile, err := s.Consent.GetProfile(ctx, &consentv1.GetProfileRequest{SubscriberId: r.GetSubscriberId()})
	if err != nil {
		return nil, fault.Unavailable("consent does not answer").Because(err)
	}
	pack, err := s.Policy.At(profile.GetCountry(), s.Now())
	if err != nil || profile.GetNotEligible() != 0 {
		return nil, errEligible.Because(err)
	}
	seller, err := id.Parse(placed.GetBuyerId())
	if err != nil {
		return nil, err
	}
	owner, _, err := s.Buyers.State(ctx, es.StreamOf(seller), nil)
	if err != nil {
		return nil, err
	}
	if no := owner.MayBid(); no != nil {
		return nil, no
	}
	fields, err := b.Terms.Grant(c.Fields)
	if err != nil {
		return nil, err
	}
	card := &shown{terms: b.Terms, rates: s.rates(pack), hash: c.Card}
	salt, err := salts(ring)
	if err != nil {
		return nil, err
	}
	if err := s.still(card, placed, owner, language(r.GetLanguage()), salt(offer)); err != nil {
		return nil, err
	}
	return card.licence(placed, offer, c.Subscriber, fields, owner), nil
}

// still says whether the card that is accepted would be shown now; the bid says whether it was. Commission, withholding and the country's rules are
// no part of the bid, and may have changed since: what is agreed is what the card says, or nothing.
func (s *Server) still(accepted *shown, placed *offersv1.BidPlaced, owner buyer.State, language string, salt []byte) error {
	ref := placed.GetTerms().GetProduct()
	product, listed := s.Catalog.Product(ref.GetId(), ref.GetVersion())
	if !listed {
		return bid.ErrCardChanged
	}
	who := view.Buyer{Registered: &offersv1.BuyerRegistered{Entity: wire.EntityProto(owner.Entity)}}
	now, err := s.show(view.Bid{Placed: placed}, who, product, accepted.rates, language, salt)
	if err != nil {
		return err
	}
	if now.hash != accepted.hash {
		return bid.ErrCardChanged
	}
	return nil
}

var errEligible = fault.Refuse("NOT_ELIGIBLE", "paid offers are not made to this person")

// DeclineOffer says no, without a reason.
func (s *Server) DeclineOffer(ctx context.Context, r *offersv1.DeclineOfferRequest) (*offersv1.DeclineOfferResponse, error) {
	person, number, _, err := s.offered(r.GetSubscriberId(), r.GetBidId(), r.GetOfferId())
	if err != nil {
		return nil, err
	}
	at, err := s.doBid(ctx, "DeclineOffer", r.GetIdempotencyKey(), r, bid.Decline{Bid: number, Subscriber: person})
	return &offersv1.DeclineOfferResponse{Cursor: at}, err
}

// offered reads whose offer of which bid is meant; an offer of somebody else's is none.
func (s *Server) offered(who, number, offer string) (bid.SubscriberID, bid.ID, bid.OfferID, error) {
	var none bid.OfferID
	p, err := parse("subscriber_id", who)
	if err != nil {
		return bid.SubscriberID{}, bid.ID{}, none, err
	}
	b, err := parse("bid_id", number)
	if err != nil {
		return bid.SubscriberID{}, bid.ID{}, none, err
	}
	person, one := bid.SubscriberID{ID: p}, bid.ID{ID: b}
	if bid.OfferOf(one, person).String() != offer {
		return person, one, none, bid.ErrOfferUnknown
	}
	return person, one, bid.OfferOf(one, person), nil
}
