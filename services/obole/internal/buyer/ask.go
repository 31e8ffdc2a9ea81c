package buyer

import (
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/money/moneypb"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// dpv is the vocabulary of purposes.
const dpv = "https://w3id.org/dpv#"

// ask describes a bid: a file with the whole of it, flags over it, or flags alone.
type ask struct {
	who
	File      string            `arg:"" optional:"" contract:"bid" help:"The bid in JSON, a NewBid of the contract; - reads it from standard input. Flags stand over it."`
	Product   string            `placeholder:"ID[@VERSION]" help:"Data product, as in daily-steps."`
	Fields    []string          `name:"field" sep:"," placeholder:"ID:RUNG[=PERCENT]" help:"Fields and their granularity; =PERCENT makes one optional, for that part of the price."`
	Purpose   string            `placeholder:"TERM" help:"The one purpose, a term of W3C DPV, as in AcademicResearch."`
	Price     string            `placeholder:"AMOUNT" help:"Price of a slot, before VAT, as in '0.05 EUR'."`
	Slots     uint32            `placeholder:"N" help:"Slots wanted in all."`
	PerPerson uint32            `placeholder:"N" help:"Slots of one person at most."`
	Days      string            `placeholder:"FIRST..LAST" help:"Days asked for, as in 2016-04-12..2016-05-12."`
	Cadence   string            `placeholder:"WORD" help:"When slots become due: once, daily or weekly."`
	Cohort    uint32            `placeholder:"N" help:"People who must consent before anything leaves; empty means the product's minimum."`
	Closes    time.Duration     `placeholder:"DURATION" help:"Until when offers can be accepted, from now, as in 72h."`
	Retention uint32            `placeholder:"DAYS" help:"Days after which the buyer must have deleted a delivery."`
	Audience  map[string]string `sep:"none" placeholder:"FACT=BAND,BAND" help:"Only people of whom a derived fact is in these bands; they are told."`
	Assurance string            `placeholder:"WORD" help:"Weakest way by which measurements may have come: own-file, vendor-interface or operator-feed."`
}

// bid reads what was asked for.
func (c *ask) bid(in io.Reader, now time.Time) (*offersv1.NewBid, error) {
	b := new(offersv1.NewBid)
	if err := c.read(in, b); err != nil {
		return nil, err
	}
	var err error
	if b.BuyerId, err = c.id(); err != nil {
		return nil, err
	}
	if b.Terms == nil {
		b.Terms = new(marketv1.Terms)
	}
	set(&b.Quantity, c.Slots)
	set(&b.CohortMin, c.Cohort)
	if c.Closes != 0 {
		b.ClosesAt = now.Add(c.Closes).UnixMicro()
	}
	return b, c.terms(b.Terms)
}

func (c *ask) read(in io.Reader, b *offersv1.NewBid) error {
	var text []byte
	var err error
	switch c.File {
	case "":
		return nil
	case "-":
		text, err = io.ReadAll(in)
	default:
		text, err = os.ReadFile(c.File)
	}
	if err != nil {
		return client.Usage("%w", err)
	}
	if err := client.Message(text, b); err != nil {
		return client.Usage("%s: %w", c.File, err)
	}
	return nil
}

func (c *ask) terms(t *marketv1.Terms) error {
	if c.Product != "" {
		name, version, _ := strings.Cut(c.Product, "@")
		t.Product = &marketv1.ProductRef{Id: name, Version: "1"}
		set(&t.Product.Version, version)
	}
	if c.Purpose != "" {
		t.Purpose = c.Purpose
		if !strings.Contains(c.Purpose, ":") {
			t.Purpose = dpv + c.Purpose
		}
	}
	if c.Price != "" {
		p, err := money.ParsePrice(c.Price)
		if err != nil {
			return client.Usage("--price %q: want an amount of at most six decimals and a currency, as in '0.05 EUR'", c.Price)
		}
		t.UnitPrice = moneypb.UnitPrice(p)
	}
	if c.Days != "" {
		first, last, ok := strings.Cut(c.Days, "..")
		if !ok {
			return client.Usage("--days %q: want FIRST..LAST, as in 2016-04-12..2016-05-12", c.Days)
		}
		t.Slots = &marketv1.Days{First: first, Last: last}
	}
	set(&t.MaxSlotsPerPerson, c.PerPerson)
	set(&t.RetentionDays, c.Retention)
	if err := word("--cadence", c.Cadence, &t.Cadence); err != nil {
		return err
	}
	if err := word("--assurance", c.Assurance, &t.MinAssurance); err != nil {
		return err
	}
	if len(c.Audience) > 0 {
		t.Predicates = nil
	}
	for fact, bands := range c.Audience {
		t.Predicates = append(t.Predicates, &marketv1.Predicate{Fact: fact, Bands: strings.Split(bands, ",")})
	}
	if len(c.Fields) > 0 {
		t.Fields = nil
	}
	for _, f := range c.Fields {
		term, err := field(f)
		if err != nil {
			return err
		}
		t.Fields = append(t.Fields, term)
	}
	return nil
}

// field reads "steps:hundred" and "energy:hundred=20".
func field(text string) (*marketv1.FieldTerm, error) {
	name, percent, optional := strings.Cut(text, "=")
	name, rung, ok := strings.Cut(name, ":")
	share, err := 0.0, error(nil)
	if optional {
		share, err = strconv.ParseFloat(percent, 64)
	}
	if !ok || err != nil || share < 0 || share >= 100 {
		return nil, client.Usage("--field %q: want ID:RUNG, or ID:RUNG=PERCENT for an optional one", text)
	}
	return &marketv1.FieldTerm{Id: name, Rung: rung, Required: !optional, SharePpm: uint32(share*10_000 + 0.5)}, nil
}

// word reads an enum's value.
func word[E client.Enum](flag, text string, to *E) error {
	if text == "" {
		return nil
	}
	e, ok := client.Number[E](text)
	if !ok {
		return client.Usage("%s %q: want one of %s", flag, text, client.Words[E]())
	}
	*to = e
	return nil
}

// set takes what a flag says over what the file says.
func set[T comparable](to *T, flag T) {
	var none T
	if flag != none {
		*to = flag
	}
}
