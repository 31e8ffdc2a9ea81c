package person

import (
	"context"
	"fmt"

	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/obole/internal/client"
)

// Consent has the commands about consents.
type Consent struct {
	List     consents `cmd:"" help:"List a person's consents, newest first."`
	Withdraw withdraw `cmd:"" help:"End one consent or all, at once. No reason is asked."`
	Pause    pause    `cmd:"" help:"Stop the use of one consent or of all, until resumed."`
	Resume   resume   `cmd:"" help:"End a pause."`
	Rules    rules    `cmd:"" help:"Show a person's rules, or set them."`
}

// Help has the examples.
func (*Consent) Help() string {
	return `Examples:
  obole consent list --subscriber ID
  obole consent withdraw --subscriber ID AGREEMENT
  obole consent withdraw --subscriber ID --all
  obole consent rules set --subscriber ID --floor daily-steps='0.03 EUR' --never-product body-weight --max 5`
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
	paused := false
	all, err := client.Pages(func(page string) ([]*consentv1.Consent, string, error) {
		r, err := gate.ListConsents(ctx, &consentv1.ListConsentsRequest{SubscriberId: c.Subscriber, PageToken: page, Live: c.Live})
		paused = r.GetPaused()
		return r.GetConsents(), r.GetNextPageToken(), err
	})
	if err != nil {
		return err
	}
	heads := []string{"agreement", "state", "buyer", "product", "purpose", "given", "ended", "keys given", "why"}
	err = client.List(s, all, heads, func(v *consentv1.Consent) []any {
		l := v.GetRecord().GetLicence()
		return []any{
			v.GetAgreementId(), client.Word(v.GetState()), l.GetBuyerId(), l.GetProduct().GetId(), l.GetPurpose(), client.Time(v.GetGivenAt()),
			client.Time(v.GetEndedAt()), v.GetReleases(), client.Word(v.GetRefused()),
		}
	})
	if err == nil && paused && !s.JSON {
		fmt.Fprintln(s.Out, "Everything is paused.")
	}
	return err
}

// which is one agreement or all of them.
type which struct {
	who
	key
	Agreement string `arg:"" optional:"" help:"The agreement's id."`
	All       bool   `help:"All of the person's consents."`
}

func (c *which) check() error {
	if c.All == (c.Agreement != "") {
		return client.Usage("name one agreement, or say --all")
	}
	return nil
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
	if err := c.check(); err != nil {
		return err
	}
	gate, err := s.Consent(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	r, err := gate.Withdraw(ctx, &consentv1.WithdrawRequest{SubscriberId: c.Subscriber, AgreementId: c.Agreement, All: c.All, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	c.seen(ctx, gate, r.GetCursor())
	if r.GetAwaited() {
		return s.One(r, "no consent %s is known: if it was accepted a moment ago, it will be refused; no consent ended", c.Agreement)
	}
	return s.One(r, "withdrawn %s, consents ended: %d; no key leaves after %s", c.what(), r.GetEnded(), client.Time(r.GetEffectiveAt()))
}

type pause struct{ which }

// Run pauses.
func (c *pause) Run(ctx context.Context, s *client.Session) error {
	if err := c.check(); err != nil {
		return err
	}
	gate, err := s.Consent(client.Person(c.Subscriber))
	if err != nil {
		return err
	}
	r, err := gate.Pause(ctx, &consentv1.PauseRequest{SubscriberId: c.Subscriber, AgreementId: c.Agreement, All: c.All, IdempotencyKey: client.Key(c.Key)})
	if err != nil {
		return err
	}
	c.seen(ctx, gate, r.GetCursor())
	if r.GetAwaited() {
		return s.One(r, "no consent %s is known: if it was accepted a moment ago, it will begin paused", c.Agreement)
	}
	return s.One(r, "paused %s: no key leaves after %s", c.what(), client.Time(r.GetEffectiveAt()))
}

type resume struct{ which }

// Run resumes.
func (c *resume) Run(ctx context.Context, s *client.Session) error {
	if err := c.check(); err != nil {
		return err
	}
	gate, err := s.Consent(client.Person(c.Subscriber))
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
