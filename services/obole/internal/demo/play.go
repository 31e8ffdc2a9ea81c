package demo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/money/moneypb"
	"github.com/obole-market/obole/pkg/parcel"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	settlementv1 "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
	"github.com/obole-market/obole/services/obole/internal/buyer"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// play is the story as it goes.
type play struct {
	*cast

	s      *client.Session
	dir    string // of the packages that buyers open
	buyers []*actor
	people []*person
	owner  map[string]*person // by agreement
}

// actor is a buyer at work.
type actor struct {
	*role

	name       string
	key        *buyer.KeyFile
	bid        *offersv1.NewBid
	number     string // of the bid; empty when it was refused
	refused    error
	agreements int
	received   map[string]buyer.Received
}

// person is a participant with an account.
type person struct {
	*someone

	id         string
	answer     *offersv1.ListOffersResponse // to the question what is offered
	agreements map[string]string            // by product
	deliveries int
}

func newPlay(s *client.Session, dir string) (*play, error) {
	c, err := readCast()
	if err != nil {
		return nil, err
	}
	p := &play{cast: c, s: s, dir: dir, owner: map[string]*person{}}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	for i := range c.Buyers {
		p.buyers = append(p.buyers, &actor{role: &c.Buyers[i], received: map[string]buyer.Received{}})
	}
	for i := range c.People {
		p.people = append(p.people, &person{someone: &c.People[i], id: id.Random().String(), agreements: map[string]string{}})
	}
	return p, nil
}

// say writes for people, and nothing for scripts.
func (p *play) say(format string, args ...any) {
	if !p.s.JSON {
		fmt.Fprintf(p.s.Out, format, args...)
	}
}

// once is the idempotency key of what a caller does a single time.
const once = "demo"

// crowd is how many people act at the same time.
const crowd = 4

// everybody has each person do something, a few at a time.
func (p *play) everybody(ctx context.Context, what string, do func(context.Context, *person) error) error {
	bar := p.s.Progress(what, len(p.people))
	defer bar.Done()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(crowd)
	for _, who := range p.people {
		g.Go(func() error {
			defer bar.Step()
			return client.Again(ctx, func() error { return do(ctx, who) })
		})
	}
	return g.Wait()
}

// until waits for what the services bring about among themselves.
func until(ctx context.Context, what string, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ok()
		if done || err != nil && !fault.KindOf(err).Transient() {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waited too long for %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// buyersBid: each registers, is vetted, pays in, and asks for data.
func (p *play) buyersBid(ctx context.Context) error {
	operator, err := p.s.Offers(client.Operator())
	if err != nil {
		return err
	}
	books, err := p.s.Settlement(client.Finance())
	if err != nil {
		return err
	}
	for _, a := range p.buyers {
		if a.key, err = buyer.NewKey(id.Random().String(), parcel.X25519); err != nil {
			return err
		}
		if err := client.Again(ctx, func() error { return p.opens(ctx, a, operator, books) }); err != nil {
			return err
		}
	}
	return nil
}

// opens brings one buyer to the market.
func (p *play) opens(ctx context.Context, a *actor, operator offersv1.OffersServiceClient, books settlementv1.SettlementServiceClient) error {
	who := a.key.Buyer
	market, err := p.s.Offers(client.Buyer(who))
	if err != nil {
		return err
	}
	entity, err := a.entity()
	if err != nil {
		return err
	}
	a.name = entity.GetLegalName()
	_, err = market.RegisterBuyer(ctx, &offersv1.RegisterBuyerRequest{
		BuyerId: who, Entity: entity, Keys: []*offersv1.BuyerKey{a.key.BuyerKey()}, IdempotencyKey: once,
	})
	if err != nil {
		return err
	}
	vetted, err := operator.VetBuyer(ctx, &offersv1.VetBuyerRequest{BuyerId: who, IdempotencyKey: who})
	if err != nil {
		return err
	}
	amount, err := money.Parse(a.Deposit)
	if err != nil {
		return err
	}
	_, err = books.Deposit(ctx, &settlementv1.DepositRequest{
		BuyerId: who, Amount: moneypb.Money(amount), Reference: "DEMO-" + entity.GetLegalEntityId(), IdempotencyKey: who,
	})
	if err != nil {
		return err
	}
	if _, err := market.GetBuyer(ctx, &offersv1.GetBuyerRequest{BuyerId: who, After: vetted.GetCursor()}); err != nil {
		return err
	}
	return a.ask(ctx, market)
}

// ask places the buyer's bid and waits until it is open. A refusal is part of the story.
func (a *actor) ask(ctx context.Context, market offersv1.OffersServiceClient) (err error) {
	if a.bid == nil { // the same bid, however often it is tried
		if a.bid, err = a.role.bid(a.key.Buyer, time.Now().Add(24*time.Hour)); err != nil {
			return err
		}
	}
	r, err := market.PlaceBid(ctx, &offersv1.PlaceBidRequest{Bid: a.bid, IdempotencyKey: once})
	if fault.ReasonOf(err) != "" && !fault.KindOf(err).Transient() {
		a.refused = err
		return nil
	}
	if err != nil {
		return err
	}
	a.number = r.GetBidId()
	return until(ctx, "a bid to open", func() (bool, error) {
		b, err := market.GetBid(ctx, &offersv1.GetBidRequest{BidId: a.number, BuyerId: a.key.Buyer, After: r.GetCursor()})
		if err != nil {
			return false, err
		}
		if b.GetBid().GetState() == offersv1.BidState_BID_STATE_REJECTED {
			return false, errors.New("a bid that should open was rejected: " + client.Word(b.GetBid().GetRejected()))
		}
		return b.GetBid().GetState() == offersv1.BidState_BID_STATE_OPEN, nil
	})
}

// peopleJoin: each enrols and sets rules of their own.
func (p *play) peopleJoin(ctx context.Context) error {
	return p.everybody(ctx, "people join, with their own rules", func(ctx context.Context, who *person) error {
		gate, err := p.s.Consent(client.Person(who.id))
		if err != nil {
			return err
		}
		_, err = gate.Enrol(ctx, &consentv1.EnrolRequest{
			SubscriberId: who.id, Country: who.Country, Language: "en", BirthDate: who.Born, IdempotencyKey: once,
		})
		if err != nil {
			return err
		}
		rules := &consentv1.Rules{PurposesNever: who.Never}
		for product, text := range who.Floors {
			price, err := money.ParsePrice(text)
			if err != nil {
				return err
			}
			rules.Floors = append(rules.Floors, &consentv1.Floor{Product: product, Micros: price.Micros(), Currency: price.Currency().Code()})
		}
		_, err = gate.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: who.id, Rules: rules, IdempotencyKey: once})
		return err
	})
}

// peopleAnswer: each looks at what is offered and accepts, in whole or in part, or declines.
func (p *play) peopleAnswer(ctx context.Context) error {
	err := p.everybody(ctx, "people answer their offers", func(ctx context.Context, who *person) error {
		market, err := p.s.Offers(client.Person(who.id))
		if err != nil {
			return err
		}
		if who.answer, err = market.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: who.id}); err != nil {
			return err
		}
		for _, o := range who.answer.GetOffers() {
			if err := who.answers(ctx, market, o); err != nil {
				return err
			}
		}
		return nil
	})
	for _, who := range p.people {
		for product, agreement := range who.agreements {
			p.owner[agreement] = who
			for _, a := range p.buyers {
				if a.number != "" && a.bid.GetTerms().GetProduct().GetId() == product {
					a.agreements++
				}
			}
		}
	}
	return err
}

func (who *person) answers(ctx context.Context, market offersv1.OffersServiceClient, o *offersv1.Offer) error {
	card := new(offersv1.Card)
	if err := proto.Unmarshal(o.GetCard(), card); err != nil {
		return err
	}
	if who.Declines {
		_, err := market.DeclineOffer(ctx, &offersv1.DeclineOfferRequest{
			SubscriberId: who.id, OfferId: o.GetOfferId(), BidId: card.GetBidId(), IdempotencyKey: o.GetOfferId(),
		})
		return err
	}
	var fields []string
	for _, f := range card.GetFields() {
		if f.GetRequired() || !slices.Contains(who.Without, f.GetId()) {
			fields = append(fields, f.GetId())
		}
	}
	r, err := market.AcceptOffer(ctx, &offersv1.AcceptOfferRequest{
		SubscriberId: who.id, OfferId: o.GetOfferId(), BidId: card.GetBidId(), CardSha256: o.GetCardSha256(), Fields: fields, ExplicitStep: true,
		IdempotencyKey: o.GetOfferId(),
	})
	if err == nil {
		who.agreements[card.GetProduct().GetId()] = r.GetAgreementId()
	}
	return err
}
