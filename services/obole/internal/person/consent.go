package person

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/catalog"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Consent has the commands about consents.
type Consent struct {
	List     consents `cmd:"" help:"List a person's consents, newest first." example:"obole consent list --subscriber ID"`
	Withdraw withdraw `cmd:"" help:"End one consent or all, at once. No reason is asked." example:"obole consent withdraw --subscriber ID AGREEMENT\nobole consent withdraw --subscriber ID --all"`
	Pause    pause    `cmd:"" help:"Stop the use of one consent or of all, until resumed." example:"obole consent pause --subscriber ID AGREEMENT\nobole consent pause --subscriber ID --all"`
	Resume   resume   `cmd:"" help:"End a pause." example:"obole consent resume --subscriber ID AGREEMENT"`
	Rules    rules    `cmd:"" help:"Show a person's rules, or set them."`
}

type consents struct {
	who
	Live bool `help:"Only those that live."`
}

// Run lists.
func (c *consents) Run(ctx context.Context, s *client.Session) error {
	gate, err := s.Consent(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	all, paused, err := given(ctx, gate, c.Subscriber, c.Live)
	if err != nil {
		return err
	}
	var names map[string]string
	if !s.JSON {
		names = c.buyers(ctx, s, all)
	}
	heads := []string{"agreement", "state", "who", "product", "what for", "given", "ended", "keys given", "why"}
	err = client.List(s, "consents", all, heads, func(v *consentv1.Consent) []any {
		l := v.GetRecord().GetLicence()
		return []any{
			brief(v.GetAgreementId()), client.Word(v.GetState()), dash(names[l.GetBuyerId()]), dash(l.GetProduct().GetId()), dash(catalog.Purpose(l.GetPurpose())), client.Time(v.GetGivenAt()),
			client.Time(v.GetEndedAt()), v.GetReleases(), client.Word(v.GetRefused()),
		}
	})
	if err == nil && paused && !s.JSON {
		fmt.Fprintln(s.Out, "Everything is paused.")
	}
	return err
}

// given are a person's consents, newest first, and whether everything is paused.
func given(ctx context.Context, gate consentv1.ConsentServiceClient, person string, live bool) (all []*consentv1.Consent, paused bool, err error) {
	all, err = client.Pages(func(page string) ([]*consentv1.Consent, string, error) {
		r, err := gate.ListConsents(ctx, &consentv1.ListConsentsRequest{SubscriberId: person, PageToken: page, Live: live})
		paused = r.GetPaused()
		return r.GetConsents(), r.GetNextPageToken(), err
	})
	return all, paused, err
}

// buyers are the legal names of those whom the consents are for. Where offers does not say, a person still sees what they consented to: then
// a buyer has the first digits of its id for a name.
func (c *consents) buyers(ctx context.Context, s *client.Session, all []*consentv1.Consent) map[string]string {
	names := map[string]string{}
	var ids []string
	for _, v := range all {
		if b := v.GetRecord().GetLicence().GetBuyerId(); b != "" && names[b] == "" {
			names[b], ids = brief(b), append(ids, b)
		}
	}
	market, err := s.Offers(client.Person(c.Subscriber))
	if err != nil {
		return names
	}
	for some := range slices.Chunk(ids, 1000) { // as many as the contract takes at once
		r, err := market.DescribeBuyers(ctx, &offersv1.DescribeBuyersRequest{BuyerIds: some})
		if err != nil {
			break
		}
		for _, b := range r.GetBuyers() {
			names[b.GetBuyerId()] = b.GetLegalName()
		}
	}
	return names
}

// digits of an id are enough for a person to tell one from others; --json has the whole.
const digits = 8

func brief(id string) string { return id[:min(digits, len(id))] }

// which is one agreement or all of them.
type which struct {
	who
	key
	Agreement string `arg:"" optional:"" help:"The agreement's id, or the beginning of it that the list shows."`
	All       bool   `help:"All of the person's consents."`
}

// gate connects to consent, once it is clear what is meant.
func (c *which) gate(ctx context.Context, s *client.Session) (consentv1.ConsentServiceClient, error) {
	if c.All == (c.Agreement != "") {
		return nil, client.Usage("name one agreement, or say --all")
	}
	gate, err := s.Consent(client.Person(c.Subscriber))
	if err == nil {
		err = c.find(ctx, gate)
	}
	return gate, err
}

// find puts the whole id in the place of its beginning. A whole one is not looked for: nothing has to answer but the gate.
func (c *which) find(ctx context.Context, gate consentv1.ConsentServiceClient) error {
	if c.All || len(c.Agreement) != digits {
		return nil
	}
	all, _, err := given(ctx, gate, c.Subscriber, false)
	if err != nil {
		return err
	}
	var found []string
	for _, v := range all {
		if strings.HasPrefix(v.GetAgreementId(), strings.ToLower(c.Agreement)) {
			found = append(found, v.GetAgreementId())
		}
	}
	switch len(found) {
	case 0:
		return client.Usage("<agreement>: none begins with %s; obole consent list shows them", c.Agreement)
	case 1:
		c.Agreement = found[0]
		return nil
	}
	return client.Usage("<agreement>: %d begin with %s, write one whole: %s", len(found), c.Agreement, strings.Join(found, ", "))
}

// unknown shows the answer to a word about a consent that there is not, which is a failure: whoever said it means one that there is.
func (c *which) unknown(s *client.Session, r proto.Message, then string) error {
	if s.JSON {
		if err := s.Line(r); err != nil {
			return err
		}
	}
	return fmt.Errorf("no consent %s is known: if it was accepted a moment ago, it will %s", c.Agreement, then)
}

func (c *which) what() string {
	if c.All {
		return "all"
	}
	return c.Agreement
}

// seen waits until the list shows what was just done: the next command shall find it. It holds in any case.
func (c *which) seen(ctx context.Context, gate consentv1.ConsentServiceClient, after *eventv1.Cursor) {
	_, _ = gate.ListConsents(ctx, &consentv1.ListConsentsRequest{SubscriberId: c.Subscriber, PageSize: 1, After: after})
}

type withdraw struct{ which }

// Run withdraws.
func (c *withdraw) Run(ctx context.Context, s *client.Session) error {
	gate, err := c.gate(ctx, s)
	if err != nil {
		return err
	}
	r, err := gate.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: c.Subscriber, AgreementId: c.Agreement, All: c.All, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	c.seen(ctx, gate, r.GetCursor())
	if r.GetAwaited() {
		return c.unknown(s, r, "be refused; no consent ended")
	}
	return s.One(r, "withdrawn %s, consents ended: %d; no key leaves after %s", c.what(), r.GetEnded(), client.Time(r.GetEffectiveAt()))
}

type pause struct{ which }

// Run pauses.
func (c *pause) Run(ctx context.Context, s *client.Session) error {
	gate, err := c.gate(ctx, s)
	if err != nil {
		return err
	}
	r, err := gate.Pause(ctx, &consentv1.PauseRequest{SubscriberId: c.Subscriber, AgreementId: c.Agreement, All: c.All, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	c.seen(ctx, gate, r.GetCursor())
	if r.GetAwaited() {
		return c.unknown(s, r, "begin paused")
	}
	return s.One(r, "paused %s: no key leaves after %s", c.what(), client.Time(r.GetEffectiveAt()))
}

type resume struct{ which }

// Run resumes.
func (c *resume) Run(ctx context.Context, s *client.Session) error {
	gate, err := c.gate(ctx, s)
	if err != nil {
		return err
	}
	r, err := gate.Resume(ctx, &consentv1.ResumeRequest{SubscriberId: c.Subscriber, AgreementId: c.Agreement, All: c.All, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	c.seen(ctx, gate, r.GetCursor())
	return s.One(r, "resumed %s", c.what())
}
