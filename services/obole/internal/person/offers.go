package person

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Offers has the commands about offers.
type Offers struct {
	List    list    `cmd:"" help:"Show the offers there are now, best net first." example:"obole offers list --subscriber ID"`
	Show    show    `cmd:"" help:"Show one offer's whole card." example:"obole offers show --subscriber ID OFFER"`
	Accept  accept  `cmd:"" help:"Accept all or some fields of the card that was shown; consent decides next." example:"obole offers accept --subscriber ID OFFER --card 3f2a91bc --field date,steps --explicit"`
	Decline decline `cmd:"" help:"Say no, without a reason." example:"obole offers decline --subscriber ID OFFER"`
}

// shown is an offer with its card read.
type shown struct {
	*offersv1.Offer
	card *offersv1.Card
}

// ask gets the offers that there are now; those too, where they are looked for, that are like one that was declined.
func ask(ctx context.Context, market offersv1.OffersServiceClient, person string, declinedToo bool) (all []shown, last *offersv1.ListOffersResponse, err error) {
	all, err = client.Pages(func(page string) ([]shown, string, error) {
		var r *offersv1.ListOffersResponse
		// Offers asks two others within seconds, or makes none: a busy machine is no answer.
		err := client.Again(ctx, func() (err error) {
			r, err = market.ListOffers(ctx, &offersv1.ListOffersRequest{SubscriberId: person, PageToken: page, DeclinedToo: declinedToo})
			return err
		})
		if err != nil {
			return nil, "", err
		}
		last = r
		some := make([]shown, len(r.GetOffers()))
		for i, o := range r.GetOffers() {
			some[i] = shown{o, new(offersv1.Card)}
			if err := proto.Unmarshal(o.GetCard(), some[i].card); err != nil {
				return nil, "", fmt.Errorf("card of offer %s: %w", o.GetOfferId(), err)
			}
		}
		return some, r.GetNextPageToken(), nil
	})
	return all, last, err
}

// line is an offer as JSON, with the card in place of its bytes.
func (o shown) line(s *client.Session) error {
	card, err := client.JSON(o.card)
	if err != nil {
		return err
	}
	return s.Object(map[string]any{
		"offer_id": o.GetOfferId(), "state": o.GetState().String(), "card_sha256": hex.EncodeToString(o.GetCardSha256()),
		"agreement_id": o.GetAgreementId(), "voided": o.GetVoided(), "card": json.RawMessage(card),
	})
}

type list struct {
	who
	DeclinedToo bool `help:"Show as well what is like an offer that you declined, before it may be put to you again."`
}

// Run lists.
func (c *list) Run(ctx context.Context, s *client.Session) error {
	market, err := s.Offers(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	all, last, err := ask(ctx, market, c.Subscriber, c.DeclinedToo)
	if err != nil {
		return err
	}
	if s.JSON {
		for _, o := range all {
			if err := o.line(s); err != nil {
				return err
			}
		}
		return nil
	}
	rows := make([][]any, len(all))
	for i, o := range all {
		rows[i] = []any{
			o.GetOfferId(), client.Word(o.GetState()), short(o.GetCardSha256()), o.card.GetBuyerName(), o.card.GetProduct().GetId(),
			o.card.GetPurposeDescription(), client.Price(o.card.GetNet()), o.card.GetMaxSlots(),
		}
	}
	if len(all) == 0 {
		s.None("offers")
	} else if err := s.Table([]string{"offer", "state", "card", "who asks", "product", "what for", "net a slot, at most", "slots"}, rows); err != nil {
		return err
	}
	if last.GetNotEligible() != 0 {
		fmt.Fprintln(s.Out, "No paid offer is made:", client.Word(last.GetNotEligible()))
	}
	if floor, rules := last.GetHiddenByFloor(), last.GetHiddenByRules(); floor+rules > 0 {
		fmt.Fprintf(s.Out, "Hidden: %d below your floor, %d by your other rules\n", floor, rules)
	}
	if n := last.GetDeclinedBefore(); n > 0 {
		fmt.Fprintf(s.Out, "Not asked again yet: %d like one that you declined; --declined-too shows them\n", n)
	}
	return nil
}

// short is enough of a card's hash to tell it from another one of the same offer.
func short(sha []byte) string { return hex.EncodeToString(sha[:min(4, len(sha))]) }

// one names an offer.
type one struct {
	who
	Offer string `arg:"" help:"The offer's id."`
}

func (c *one) find(ctx context.Context, market offersv1.OffersServiceClient) (shown, error) {
	// Who names one that is not asked again yet looks for it.
	for _, declinedToo := range []bool{false, true} {
		all, last, err := ask(ctx, market, c.Subscriber, declinedToo)
		if err != nil {
			return shown{}, err
		}
		for _, o := range all {
			if o.GetOfferId() == c.Offer {
				return o, nil
			}
		}
		if last.GetDeclinedBefore() == 0 {
			break
		}
	}
	return shown{}, fmt.Errorf("offer %s is not among those that there are now", c.Offer)
}

type show struct{ one }

// Run shows.
func (c *show) Run(ctx context.Context, s *client.Session) error {
	market, err := s.Offers(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	o, err := c.find(ctx, market)
	if err != nil {
		return err
	}
	if s.JSON {
		return o.line(s)
	}
	k := o.card
	fmt.Fprintf(s.Out, "Card %s of offer %s\n%s (%s) asks for: %s\n", short(o.GetCardSha256()), o.GetOfferId(), k.GetBuyerName(), k.GetBuyerCountry(), k.GetProductDescription())
	fmt.Fprintf(s.Out, "What for: %s\nData protection officer: %s; privacy notice: %s\n", k.GetPurposeDescription(), k.GetBuyerDpoContact(), k.GetBuyerPrivacyNotice())
	fmt.Fprintf(s.Out, "Days %s to %s, %s, at most %d slots; deleted %d days after a delivery\n", k.GetSlots().GetFirst(), k.GetSlots().GetLast(), client.Word(k.GetCadence()), k.GetMaxSlots(), k.GetRetentionDays())
	fmt.Fprintf(s.Out, "A slot: %s gross, %s commission, %s tax withheld, %s for you, available after %d days\n", client.Price(k.GetGross()), client.Price(k.GetCommission()), client.Price(k.GetWithheld()), client.Price(k.GetNet()), k.GetAvailableAfterDays())
	for _, p := range k.GetPredicates() {
		fmt.Fprintf(s.Out, "Being asked says of you: %s is %s\n", p.GetFact(), strings.Join(p.GetBands(), " or "))
	}
	for _, r := range k.GetRecipients() {
		fmt.Fprintf(s.Out, "Passed on to %s (%s): %s\n", r.GetLegalName(), r.GetCountry(), r.GetPurpose())
	}
	if k.GetExplicitStep() {
		fmt.Fprintln(s.Out, "It says something about health: accepting needs --explicit, once you have thought of that by itself.")
	}
	return client.List(s, "fields", k.GetFields(), []string{"field", "what", "how exactly", "required", "net"}, func(f *offersv1.CardField) []any {
		return []any{f.GetId(), f.GetDescription(), f.GetRungDescription(), f.GetRequired(), client.Price(f.GetNet())}
	})
}

type accept struct {
	one
	key
	Card     string   `required:"" placeholder:"HASH" help:"The card that was shown, as the list says: another one is not accepted by mistake."`
	Fields   []string `name:"field" placeholder:"ID" help:"Fields granted: all required ones and any of the optional ones; empty means all."`
	Explicit bool     `help:"The separate yes that data about health need."`
}

// Run accepts.
func (c *accept) Run(ctx context.Context, s *client.Session) error {
	if len(c.Card) < 8 {
		return client.Usage("--card %q: want at least 8 digits", c.Card)
	}
	market, err := s.Offers(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	o, err := c.find(ctx, market)
	if err != nil {
		return err
	}
	if !strings.HasPrefix(hex.EncodeToString(o.GetCardSha256()), strings.ToLower(c.Card)) {
		return fmt.Errorf("the offer's card is now %s, not %s: look at it again with obole offers show", short(o.GetCardSha256()), c.Card)
	}
	for _, f := range c.Fields {
		if !slices.ContainsFunc(o.card.GetFields(), func(on *offersv1.CardField) bool { return on.GetId() == f }) {
			var all []string
			for _, on := range o.card.GetFields() {
				all = append(all, on.GetId())
			}
			return client.Usage("--field %q: is not on the card, which has %s", f, strings.Join(all, ", "))
		}
	}
	r, err := market.AcceptOffer(ctx, &offersv1.AcceptOfferRequest{
		SubscriberId: c.Subscriber, OfferId: c.Offer, BidId: o.card.GetBidId(), CardSha256: o.GetCardSha256(), Fields: c.Fields, ExplicitStep: c.Explicit,
		IdempotencyKey: client.Key(c.Key),
	})
	if err != nil {
		return err
	}
	return s.One(r, "accepted; agreement %s forms when consent says yes, %s for you a slot", r.GetAgreementId(), client.Price(r.GetNet()))
}

type decline struct {
	one
	key
}

// Run declines.
func (c *decline) Run(ctx context.Context, s *client.Session) error {
	market, err := s.Offers(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	o, err := c.find(ctx, market)
	if err != nil {
		return err
	}
	r, err := market.DeclineOffer(ctx, &offersv1.DeclineOfferRequest{
		SubscriberId: c.Subscriber, OfferId: c.Offer, BidId: o.card.GetBidId(), IdempotencyKey: client.Key(c.Key),
	})
	if err != nil {
		return err
	}
	return s.One(r, "declined %s", c.Offer)
}
