package buyer

import (
	"context"
	"strings"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Buyer has the commands about buyers.
type Buyer struct {
	Register  register  `cmd:"" help:"Open a buyer's account with its first key."`
	Vet       vet       `cmd:"" help:"Let a registered buyer bid; the operator's." example:"obole buyer vet study.key"`
	Suspend   suspend   `cmd:"" help:"Stop a buyer at once; the operator's." example:"obole buyer suspend study.key --reason FRAUD"`
	Reinstate reinstate `cmd:"" help:"End a suspension; the operator's." example:"obole buyer reinstate study.key"`
	Rotate    rotate    `cmd:"" help:"Replace a buyer's key." example:"obole keys study-2.key --buyer study.key && obole buyer rotate --buyer study.key --to study-2.key"`
	Show      show      `cmd:"" help:"Show one buyer." example:"obole buyer show --buyer study.key"`
	List      list      `cmd:"" help:"List the buyers; the operator's." example:"obole buyer list"`
}

// seen waits until what was just written is shown too: the next command shall find it. It was written in any case, so that
// this fails is nobody's concern.
func seen(ctx context.Context, market offersv1.OffersServiceClient, buyer string, after *eventv1.Cursor) {
	_, _ = market.GetBuyer(ctx, &offersv1.GetBuyerRequest{BuyerId: buyer, After: after})
}

type key struct {
	Key string `placeholder:"TEXT" help:"Idempotency key: the same command with the same key is done once; empty means a new one."`
}

type register struct {
	who
	key
	Group      string   `placeholder:"ID" help:"Group of the parent company, for whoever vets the buyer to confirm; empty means one of its own."`
	Name       string   `required:"" help:"Registered name."`
	Country    string   `required:"" placeholder:"CODE" help:"Country of the seat, as in BE."`
	Entity     string   `required:"" placeholder:"ID" help:"LEI or VAT number."`
	Address    string   `help:"Postal address."`
	DPO        string   `name:"dpo" required:"" placeholder:"MAILBOX" help:"Contact of the data protection officer."`
	Notice     string   `required:"" placeholder:"URL" help:"Privacy notice, https."`
	Processing []string `placeholder:"CODE" help:"Countries where the data are processed; empty means that of the seat."`
	Gatekeeper bool     `help:"A gatekeeper under Regulation (EU) 2022/1925."`
}

// Help has the example.
func (*register) Help() string {
	return `Examples:
  obole buyer register --buyer study.key --name 'A sleep study' --country BE --entity BE0123456789 \
      --dpo dpo@study.example --notice https://study.example/privacy`
}

// Run registers.
func (c *register) Run(ctx context.Context, s *client.Session) error {
	k, err := readKey(c.Buyer)
	if err != nil {
		return err
	}
	market, err := s.Offers(client.Buyer(k.Buyer))
	if err != nil {
		return err
	}
	if len(c.Processing) == 0 {
		c.Processing = []string{c.Country}
	}
	r, err := market.RegisterBuyer(ctx, &offersv1.RegisterBuyerRequest{
		BuyerId: k.Buyer, GroupId: c.Group, IdempotencyKey: client.Key(c.Key), Keys: []*offersv1.BuyerKey{k.BuyerKey()}, Entity: &offersv1.LegalEntity{
			LegalEntityId: c.Entity, LegalName: c.Name, Country: c.Country, Address: c.Address, DpoContact: c.DPO, PrivacyNoticeUri: c.Notice,
			ProcessingCountries: c.Processing, IsGatekeeper: c.Gatekeeper,
		},
	})
	if err != nil {
		return err
	}
	if err := s.Welcome(client.Buyer(k.Buyer), c.Name); err != nil {
		return err
	}
	seen(ctx, market, k.Buyer, r.GetCursor())
	return s.One(r.GetBuyer(), "registered %s, %s; it may bid once it is vetted", k.Buyer, c.Name)
}

// named is a buyer that somebody else acts on.
type named struct {
	Buyer string `arg:"" help:"The buyer: its id, or its key file."`
	key
}

type vet struct {
	named
	Group string `placeholder:"ID" help:"Group that counts, whatever the buyer claims: a day is charged once per group. Empty means one of its own, or as before; a claim must be confirmed, or denied with the buyer's own id."`
}

// Run vets.
func (c *vet) Run(ctx context.Context, s *client.Session) error {
	who, market, err := c.operator(s)
	if err != nil {
		return err
	}
	r, err := market.VetBuyer(ctx, &offersv1.VetBuyerRequest{BuyerId: who, GroupId: c.Group, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	seen(ctx, market, who, r.GetCursor())
	return s.One(r, "vetted %s", who)
}

type suspend struct {
	named
	Reason string `required:"" placeholder:"CODE" help:"Why, shown to the buyer, as in FRAUD."`
}

// Run suspends.
func (c *suspend) Run(ctx context.Context, s *client.Session) error {
	who, market, err := c.operator(s)
	if err != nil {
		return err
	}
	r, err := market.SuspendBuyer(ctx, &offersv1.SuspendBuyerRequest{BuyerId: who, Reason: c.Reason, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	seen(ctx, market, who, r.GetCursor())
	return s.One(r, "suspended %s: %s", who, c.Reason)
}

type reinstate struct{ named }

// Run reinstates.
func (c *reinstate) Run(ctx context.Context, s *client.Session) error {
	who, market, err := c.operator(s)
	if err != nil {
		return err
	}
	r, err := market.ReinstateBuyer(ctx, &offersv1.ReinstateBuyerRequest{BuyerId: who, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	seen(ctx, market, who, r.GetCursor())
	return s.One(r, "reinstated %s", who)
}

func (c *named) operator(s *client.Session) (string, offersv1.OffersServiceClient, error) {
	who, err := buyerID(c.Buyer)
	if err != nil {
		return "", nil, err
	}
	market, err := s.Offers(client.Operator())
	return who, market, err
}

type rotate struct {
	who
	key
	To string `required:"" placeholder:"FILE" help:"Key file of the new key, made by obole keys with --buyer."`
}

// Run rotates.
func (c *rotate) Run(ctx context.Context, s *client.Session) error {
	old, err := readKey(c.Buyer)
	if err != nil {
		return err
	}
	fresh, err := readKey(c.To)
	if err != nil {
		return err
	}
	if fresh.Buyer != old.Buyer {
		return client.Usage("%s is a key of another buyer: make it with obole keys %s --buyer %s", c.To, c.To, c.Buyer)
	}
	market, err := s.Offers(client.Buyer(old.Buyer))
	if err != nil {
		return err
	}
	r, err := market.RotateKey(ctx, &offersv1.RotateKeyRequest{BuyerId: old.Buyer, Key: fresh.BuyerKey(), Replaces: old.Key, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	seen(ctx, market, old.Buyer, r.GetCursor())
	return s.One(r, "key %s takes the place of %s; keep both until what was sealed to the old one is opened", fresh.Key, old.Key)
}

type show struct{ who }

// Run shows.
func (c *show) Run(ctx context.Context, s *client.Session) error {
	who, err := c.id()
	if err != nil {
		return err
	}
	market, err := s.Offers(client.Buyer(who))
	if err != nil {
		return err
	}
	r, err := market.GetBuyer(ctx, &offersv1.GetBuyerRequest{BuyerId: who})
	if err != nil {
		return err
	}
	return buyers(s, []*offersv1.Buyer{r.GetBuyer()})
}

type list struct{}

// Run lists.
func (*list) Run(ctx context.Context, s *client.Session) error {
	market, err := s.Offers(client.Operator())
	if err != nil {
		return err
	}
	all, err := client.Pages(func(page string) ([]*offersv1.Buyer, string, error) {
		r, err := market.ListBuyers(ctx, &offersv1.ListBuyersRequest{PageToken: page})
		return r.GetBuyers(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	return buyers(s, all)
}

func buyers(s *client.Session, all []*offersv1.Buyer) error {
	return client.List(s, "buyers", all, []string{"buyer", "state", "name", "country", "group", "keys", "registered"}, func(b *offersv1.Buyer) []any {
		keys := make([]string, len(b.GetKeys()))
		for i, k := range b.GetKeys() {
			keys[i] = k.GetId()
		}
		return []any{
			b.GetBuyerId(), client.Word(b.GetState()), b.GetEntity().GetLegalName(), b.GetEntity().GetCountry(), group(b), strings.Join(keys, ","),
			client.Time(b.GetRegisteredAt()),
		}
	})
}

// group is the one that counts, or what the buyer claims until somebody has vetted it.
func group(b *offersv1.Buyer) string {
	switch {
	case b.GetGroupId() == "" && b.GetClaimedGroupId() != b.GetBuyerId():
		return "claims " + b.GetClaimedGroupId()
	case b.GetGroupId() == "" || b.GetGroupId() == b.GetBuyerId():
		return "its own"
	}
	return b.GetGroupId()
}
