package rpc

import (
	"context"
	"time"

	"github.com/obole-market/obole/pkg/policy"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
	"github.com/obole-market/obole/services/consent/internal/wire"
)

// GetAccount reads how a person's account stands, of the log itself.
func (s *Server) GetAccount(ctx context.Context, r *consentv1.GetAccountRequest) (*consentv1.GetAccountResponse, error) {
	who, p, enrolled, err := s.reach(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case !enrolled:
		return &consentv1.GetAccountResponse{}, nil // whoever is signed in need not have joined
	}
	law, ref := wire.Law(s.Policy, p.Identity.Country, s.Now())
	a := &consentv1.Account{
		SubscriberId: who.String(), Country: p.Identity.Country, Language: p.Identity.Language, Level: consentv1.AssuranceLevel(p.Identity.Level),
		Paused: p.PausedAll, Agreements: uint32(len(p.Living)), Policy: ref,
	}
	if no := p.Eligible(law, s.Now()); no != nil {
		a.NotEligible = wire.ReasonProto(no.Reason)
	}
	from := s.Now()
	if p.Closed() {
		from, a.ClosedAt = p.ClosedAt, p.ClosedAt.UnixMicro()
	}
	if pack, err := s.Policy.At(p.Identity.Country, s.Now()); err == nil {
		a.AdultAge, a.RepromptDays = uint32(pack.AdultAge.Value), uint32(pack.RepromptDays.Value)
		a.AuthorityName, a.AuthorityUri = pack.Authority.Value, pack.AuthorityURI.Value
		a.Kept = kept(pack, from)
	}
	return &consentv1.GetAccountResponse{Account: a}, nil
}

// forgotten are the classes of which a person who leaves asks to be forgotten; the others are the law's to keep.
var forgotten = []int32{int32(eventv1.Retention_RETENTION_CONTENT), int32(eventv1.Retention_RETENTION_IDENTITY)}

// kept is what stays of somebody who leaves at a time.
func kept(pack policy.Pack, from time.Time) []*consentv1.Kept {
	until := func(class eventv1.Retention, days policy.Row[int]) *consentv1.Kept {
		return &consentv1.Kept{Retention: class, Until: from.UTC().AddDate(0, 0, days.Value).Format(time.DateOnly), Source: days.Source}
	}
	return []*consentv1.Kept{
		until(eventv1.Retention_RETENTION_CONSENT_PROOF, pack.RetentionDays), until(eventv1.Retention_RETENTION_FISCAL, pack.FiscalDays),
	}
}

// CloseAccount ends everything at once, as Withdraw does, and whoever else is down.
func (s *Server) CloseAccount(ctx context.Context, r *consentv1.CloseAccountRequest) (*consentv1.CloseAccountResponse, error) {
	who, err := person(r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	result, err := s.do(ctx, "CloseAccount", r.GetIdempotencyKey(), r, who, subscriber.Close{
		Subscriber: who, Initiator: subscriber.InitiatorPerson, Retention: forgotten,
	}, true)
	if err != nil {
		return nil, err
	}
	p, _, err := s.person(ctx, who)
	if err != nil {
		return nil, err
	}
	out := &consentv1.CloseAccountResponse{EffectiveAt: p.ClosedAt.UnixMicro(), Cursor: cursor(result.Cursor)}
	for _, e := range result.Events {
		if w, ok := e.Event.(subscriber.Withdrawn); ok {
			out.Ended += uint32(len(w.Scope))
		}
	}
	if pack, err := s.Policy.At(p.Identity.Country, p.ClosedAt); err == nil {
		out.Kept, out.Policy = kept(pack, p.ClosedAt), &eventv1.PolicyRef{Pack: pack.Country, Version: pack.Version}
	}
	return out, nil
}
