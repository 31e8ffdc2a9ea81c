package person

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/obole-market/obole/pkg/money"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

type rules struct {
	Show showRules `cmd:"" default:"withargs" help:"Show the rules. The default." example:"obole consent rules --subscriber ID"`
	Set  setRules  `cmd:"" help:"Replace the rules as a whole." example:"obole consent rules set --subscriber ID --floor daily-steps='0.03 EUR' --never-product body-weight --max 5"`
}

type showRules struct{ who }

// Run shows.
func (c *showRules) Run(ctx context.Context, s *client.Session) error {
	gate, err := s.Consent(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	r, err := gate.GetRules(ctx, &consentv1.GetRulesRequest{SubscriberId: c.Subscriber})
	if err != nil {
		return err
	}
	v := r.GetRules()
	if s.JSON {
		return s.Line(v)
	}
	rows := [][]any{
		{"matching by derived facts", onOff(v.GetMatching())},
		{"matching by facts about health", onOff(v.GetMatchingHealth())},
		{"purposes never", strings.Join(v.GetPurposesNever(), ", ")},
		{"buyers never", strings.Join(v.GetBuyersNever(), ", ")},
		{"products never", strings.Join(v.GetProductsNever(), ", ")},
		{"agreements at once", v.GetMaxAgreements()},
	}
	for _, f := range v.GetFloors() {
		rows = append(rows, []any{"floor of " + f.GetProduct(), client.Price(&moneyv1.UnitPrice{Micros: f.GetMicros(), Currency: f.GetCurrency()}) + " net a slot"})
	}
	return s.Table([]string{"rule", "is"}, rows)
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

type setRules struct {
	who
	key
	File           string            `arg:"" optional:"" contract:"rules" help:"The rules in JSON, a Rules of the contract; - reads standard input. Flags add to it."`
	Floors         map[string]string `name:"floor" placeholder:"PRODUCT=AMOUNT" help:"Least net price of a slot, as in daily-steps='0.03 EUR'."`
	Matching       bool              `help:"Offers may be matched by derived facts."`
	MatchingHealth bool              `help:"Also by facts about health: the separate yes that this needs."`
	NeverPurpose   []string          `placeholder:"TERM" help:"Purposes never allowed, terms of W3C DPV."`
	NeverBuyer     []string          `placeholder:"ID" help:"Buyers never allowed."`
	NeverProduct   []string          `placeholder:"ID" help:"Products never offered."`
	Max            uint32            `placeholder:"N" help:"Agreements at once at most."`
}

// Run sets.
func (c *setRules) Run(ctx context.Context, s *client.Session) error {
	if c.says() == 0 {
		return client.Usage("say which rules there are to be, or that there are none with a file that holds {}: those of before all go")
	}
	v, err := c.rules(s.In)
	if err != nil {
		return err
	}
	if err := c.known(ctx, s, v); err != nil {
		return err
	}
	gate, err := s.Consent(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	r, err := gate.SetRules(ctx, &consentv1.SetRulesRequest{SubscriberId: c.Subscriber, Rules: v, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	return s.One(r, "the rules of %s are set, as a whole", c.Subscriber)
}

// known refuses a product that is not in the catalogue: a floor under a mistyped name protects nothing. Where the catalogue cannot be
// had now, nobody is kept from setting rules.
func (c *setRules) known(ctx context.Context, s *client.Session, v *consentv1.Rules) error {
	from, err := s.Delivery(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	all, err := client.Pages(func(page string) ([]*deliveryv1.Product, string, error) {
		r, err := from.ListProducts(ctx, &deliveryv1.ListProductsRequest{PageToken: page})
		return r.GetProducts(), r.GetNextPageToken(), err
	})
	if err != nil {
		return nil //nolint:nilerr // see above
	}
	listed := func(product string) bool {
		return slices.ContainsFunc(all, func(p *deliveryv1.Product) bool { return p.GetRef().GetId() == product })
	}
	for _, f := range v.GetFloors() {
		if !listed(f.GetProduct()) {
			return client.Usage("--floor %s: there is no such product; obole products lists them", f.GetProduct())
		}
	}
	for _, p := range v.GetProductsNever() {
		if !listed(p) {
			return client.Usage("--never-product %s: there is no such product; obole products lists them", p)
		}
	}
	return nil
}

// says counts what is said of the rules.
func (c *setRules) says() int {
	n := len(c.File) + len(c.Floors) + len(c.NeverPurpose) + len(c.NeverBuyer) + len(c.NeverProduct) + int(c.Max)
	if c.Matching || c.MatchingHealth {
		n++
	}
	return n
}

func (c *setRules) rules(in io.Reader) (*consentv1.Rules, error) {
	v := new(consentv1.Rules)
	if c.File != "" {
		if c.File != "-" {
			f, err := os.Open(c.File)
			if err != nil {
				return nil, client.Usage("%w", err)
			}
			defer f.Close()
			in = f
		}
		text, err := io.ReadAll(in)
		if err == nil {
			err = client.Message(text, v)
		}
		if err != nil {
			return nil, client.Usage("%s: %w", c.File, err)
		}
	}
	for _, product := range slices.Sorted(maps.Keys(c.Floors)) {
		p, err := money.ParsePrice(c.Floors[product])
		if err != nil {
			return nil, client.Usage("--floor %s=%q: want an amount of at most six decimals and a currency, as in '0.03 EUR'", product, c.Floors[product])
		}
		v.Floors = append(v.Floors, &consentv1.Floor{Product: product, Micros: p.Micros(), Currency: p.Currency().Code()})
	}
	for _, p := range c.NeverPurpose {
		if !strings.Contains(p, ":") {
			p = fmt.Sprintf("https://w3id.org/dpv#%s", p)
		}
		v.PurposesNever = append(v.PurposesNever, p)
	}
	v.Matching = v.GetMatching() || c.Matching
	v.MatchingHealth = v.GetMatchingHealth() || c.MatchingHealth
	v.BuyersNever = append(v.BuyersNever, c.NeverBuyer...)
	v.ProductsNever = append(v.ProductsNever, c.NeverProduct...)
	if c.Max != 0 {
		v.MaxAgreements = c.Max
	}
	return v, nil
}
