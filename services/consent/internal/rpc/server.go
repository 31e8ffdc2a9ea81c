package rpc

import (
	"context"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/locale"
	"github.com/obole-market/obole/pkg/money"
	"github.com/obole-market/obole/pkg/policy"
	"github.com/obole-market/obole/pkg/projection"
	"github.com/obole-market/obole/pkg/record"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/party"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
	"github.com/obole-market/obole/services/consent/internal/view"
	"github.com/obole-market/obole/services/consent/internal/wire"
)

// Server answers ConsentService.
type Server struct {
	consentv1.UnimplementedConsentServiceServer

	People  *es.Root[subscriber.State, subscriber.Command, subscriber.Event]
	Parties *es.Root[party.State, party.Command, party.Event]
	Keys    *vault.Keeper
	Policy  *policy.Set
	View    view.View
	Seen    *projection.Projection
	Record  *record.Book
	Now     func() time.Time
}

var errIdempotency = fault.Conflict("IDEMPOTENCY_CONFLICT", "the same idempotency key came with another request")

// do has the person's root decide a command.
func (s *Server) do(ctx context.Context, method, key string, r proto.Message, who subscriber.ID, c subscriber.Command, urgent bool) (es.Result[subscriber.Event], error) {
	return s.follow(ctx, method, key, r, who, c, urgent, nil)
}

// follow is do of what is decided under a policy pack; nil where there is none.
func (s *Server) follow(
	ctx context.Context, method, key string, r proto.Message, who subscriber.ID, c subscriber.Command, urgent bool, policy *eventv1.PolicyRef,
) (es.Result[subscriber.Event], error) {
	var none es.Result[subscriber.Event]
	command, hash, err := boot.Command(ctx, method, key, r)
	if err != nil {
		return none, err
	}
	ring, err := s.Keys.Ring(ctx, who.ID)
	if err != nil {
		return none, err
	}
	caller := boot.CallerFrom(ctx)
	result, err := s.People.Do(ctx, es.Command[subscriber.Command]{
		ID: command, Hash: hash, Body: c, Keys: ring, Caller: caller.Subject, Urgent: urgent,
		Meta: &eventv1.Meta{Actor: caller.Actor(), OnBehalfOf: caller.For, Policy: policy},
	})
	return result, conflict(err)
}

// Enrol takes a person in. A person's own word on their age is no more than that.
func (s *Server) Enrol(ctx context.Context, r *consentv1.EnrolRequest) (*consentv1.EnrolResponse, error) {
	who, err := person(r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	if err := known(r); err != nil {
		return nil, err
	}
	identity := subscriber.Identity{
		Country: r.GetCountry(), Language: r.GetLanguage(), BirthYear: int(r.GetBirthYear()),
		Level: subscriber.Level(r.GetLevel()), LineUser: r.GetLineUser(),
	}
	if r.GetBirthDate() != "" {
		if r.GetBirthYear() != 0 {
			return nil, fault.Invalid("birth_year", "must not come with a date of birth")
		}
		if identity.Birth, err = time.Parse(time.DateOnly, r.GetBirthDate()); err != nil || identity.Birth.After(s.Now()) {
			return nil, fault.Invalid("birth_date", "must be a day of the calendar that has come")
		}
	}
	if boot.CallerFrom(ctx).Role == eventv1.Role_ROLE_SUBSCRIBER && identity.Level > subscriber.LevelDeclared {
		identity.Level = subscriber.LevelDeclared
	}
	result, err := s.do(ctx, "Enrol", r.GetIdempotencyKey(), r, who, subscriber.Enrol{Subscriber: who, Identity: identity}, false)
	if err != nil {
		return nil, err
	}
	return &consentv1.EnrolResponse{Cursor: cursor(result.Cursor)}, nil
}

// known refuses countries and languages that there are not. A country without a policy pack is one: people of it may join, and no
// paid offers are made to them.
func known(r *consentv1.EnrolRequest) error {
	switch {
	case !locale.Country(r.GetCountry()):
		return fault.Invalid("country", "is no assigned code of ISO 3166-1 alpha-2, as BE is")
	case !locale.Language(r.GetLanguage()):
		return fault.Invalid("language", "is no language tag of BCP 47, as fr or fr-BE is")
	}
	return nil
}

// AssureAge records what the operator learnt of a person's age.
func (s *Server) AssureAge(ctx context.Context, r *consentv1.AssureAgeRequest) (*consentv1.AssureAgeResponse, error) {
	who, err := person(r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	p, _, err := s.person(ctx, who)
	if err != nil {
		return nil, err
	}
	// The pack of the person's country is what an age is assured for: it says how old is old enough.
	_, policy := wire.Law(s.Policy, p.Identity.Country, s.Now())
	result, err := s.follow(ctx, "AssureAge", r.GetIdempotencyKey(), r, who, subscriber.AssureAge{
		Subscriber: who, Method: r.GetMethod(), Level: subscriber.Level(r.GetLevel()), AtLeast: int(r.GetAtLeast()),
	}, false, policy)
	if err != nil {
		return nil, err
	}
	return &consentv1.AssureAgeResponse{Cursor: cursor(result.Cursor)}, nil
}

// SetRules replaces a person's rules as a whole.
func (s *Server) SetRules(ctx context.Context, r *consentv1.SetRulesRequest) (*consentv1.SetRulesResponse, error) {
	who, err := person(r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	seen := map[string]bool{}
	for _, f := range r.GetRules().GetFloors() {
		if seen[f.GetProduct()] {
			return nil, fault.Invalid("rules.floors", "must name each product once")
		}
		seen[f.GetProduct()] = true
		if _, err := money.ParseCurrency(f.GetCurrency()); err != nil {
			return nil, fault.Invalid("rules.floors.currency", "is no currency of ISO 4217, as EUR is")
		}
	}
	rules, err := wire.Rules(r.GetRules())
	if err != nil {
		return nil, fault.Invalid("rules.buyers_never", "must be UUIDs")
	}
	c := subscriber.SetRules{Subscriber: who, Rules: rules}
	if r.GetOver() != nil {
		over, err := wire.Rules(r.GetOver())
		if err != nil {
			return nil, fault.Invalid("over.buyers_never", "must be UUIDs")
		}
		c.Over = &over
	}
	result, err := s.do(ctx, "SetRules", r.GetIdempotencyKey(), r, who, c, false)
	if err != nil {
		return nil, err
	}
	return &consentv1.SetRulesResponse{Cursor: cursor(result.Cursor)}, nil
}

// GetRules reads a person's own rules, of the log itself.
func (s *Server) GetRules(ctx context.Context, r *consentv1.GetRulesRequest) (*consentv1.GetRulesResponse, error) {
	_, p, enrolled, err := s.reach(ctx, r)
	switch {
	case err != nil:
		return nil, err
	case !enrolled:
		return nil, subscriber.ErrSubscriberUnknown
	}
	return &consentv1.GetRulesResponse{Rules: wire.RulesProto(p.Rules)}, nil
}

// GetProfile tells offers what it may show to a person who asks.
func (s *Server) GetProfile(ctx context.Context, r *consentv1.GetProfileRequest) (*consentv1.GetProfileResponse, error) {
	_, p, enrolled, err := s.reach(ctx, r)
	if err != nil {
		return nil, err
	}
	out := &consentv1.GetProfileResponse{
		Country: p.Identity.Country, Language: p.Identity.Language, Rules: wire.RulesProto(p.Rules),
		Agreements: uint32(len(p.Living)), Paused: p.PausedAll,
	}
	if !enrolled {
		out.NotEligible = consentv1.Reason_REASON_SUBSCRIBER_UNKNOWN
		return out, nil
	}
	law, ref := wire.Law(s.Policy, p.Identity.Country, s.Now())
	out.Policy = ref
	if no := p.Eligible(law, s.Now()); no != nil {
		out.NotEligible = wire.ReasonProto(no.Reason)
	}
	return out, nil
}

// IsEnrolled says whether a person was taken in, and whether they have left. The state of the log answers: whoever has just joined is known.
func (s *Server) IsEnrolled(ctx context.Context, r *consentv1.IsEnrolledRequest) (*consentv1.IsEnrolledResponse, error) {
	who, err := person(r.GetSubscriberId())
	if err != nil {
		return nil, err
	}
	p, enrolled, err := s.person(ctx, who)
	return &consentv1.IsEnrolledResponse{Enrolled: enrolled, Closed: p.Closed()}, err
}

// reach reads the person whom a question is about, of the log itself. A cursor is waited for all the same, so that one of a life that has
// ended is refused here as everywhere.
func (s *Server) reach(ctx context.Context, r interface {
	GetSubscriberId() string
	GetAfter() *eventv1.Cursor
},
) (who subscriber.ID, p subscriber.Person, enrolled bool, err error) {
	if who, err = person(r.GetSubscriberId()); err != nil {
		return who, p, false, err
	}
	if err = s.seen(ctx, r.GetAfter()); err != nil {
		return who, p, false, err
	}
	p, enrolled, err = s.person(ctx, who)
	return who, p, enrolled, err
}

// person reads the present state of a person.
func (s *Server) person(ctx context.Context, who subscriber.ID) (p subscriber.Person, enrolled bool, err error) {
	ring, err := s.Keys.Ring(ctx, who.ID)
	if err != nil {
		return p, false, err
	}
	state, _, err := s.People.State(ctx, es.StreamOf(who.ID), ring)
	if err != nil {
		return p, false, err
	}
	p, enrolled = state.(subscriber.Person)
	return p, enrolled, nil
}

// Withdraw ends one consent or all.
func (s *Server) Withdraw(ctx context.Context, r *consentv1.WithdrawRequest) (*consentv1.WithdrawResponse, error) {
	who, agreement, err := scope(r.GetSubscriberId(), r.GetAgreementId(), r.GetAll())
	if err != nil {
		return nil, err
	}
	result, err := s.do(ctx, "Withdraw", r.GetIdempotencyKey(), r, who, subscriber.Withdraw{
		Subscriber: who, Agreement: agreement, Initiator: subscriber.InitiatorPerson,
	}, true)
	if err != nil {
		return nil, err
	}
	out := &consentv1.WithdrawResponse{EffectiveAt: effective(result, s.Now), Cursor: cursor(result.Cursor)}
	for _, e := range result.Events {
		if w, ok := e.Event.(subscriber.Withdrawn); ok {
			out.Ended += uint32(len(w.Scope))
			out.Awaited = !w.Awaited.IsZero()
		}
	}
	if len(result.Events) == 0 { // it was withdrawn before, perhaps as awaited
		p, _, err := s.person(ctx, who)
		if err != nil {
			return nil, err
		}
		_, out.Awaited = p.Awaited[agreement]
	}
	return out, nil
}

// Pause stops the use of one consent or of all.
func (s *Server) Pause(ctx context.Context, r *consentv1.PauseRequest) (*consentv1.PauseResponse, error) {
	who, agreement, err := scope(r.GetSubscriberId(), r.GetAgreementId(), r.GetAll())
	if err != nil {
		return nil, err
	}
	result, err := s.do(ctx, "Pause", r.GetIdempotencyKey(), r, who, subscriber.Pause{
		Subscriber: who, Agreement: agreement, Initiator: subscriber.InitiatorPerson,
	}, true)
	if err != nil {
		return nil, err
	}
	out := &consentv1.PauseResponse{EffectiveAt: effective(result, s.Now), Cursor: cursor(result.Cursor)}
	for _, e := range result.Events {
		if p, ok := e.Event.(subscriber.Paused); ok {
			out.Awaited = !p.Awaited.IsZero()
		}
	}
	if len(result.Events) == 0 { // it was paused before, perhaps as held back
		p, _, err := s.person(ctx, who)
		if err != nil {
			return nil, err
		}
		_, out.Awaited = p.HeldBack[agreement]
	}
	return out, nil
}

// Resume ends a pause.
func (s *Server) Resume(ctx context.Context, r *consentv1.ResumeRequest) (*consentv1.ResumeResponse, error) {
	who, agreement, err := scope(r.GetSubscriberId(), r.GetAgreementId(), r.GetAll())
	if err != nil {
		return nil, err
	}
	result, err := s.do(ctx, "Resume", r.GetIdempotencyKey(), r, who, subscriber.Resume{Subscriber: who, Agreement: agreement}, false)
	if err != nil {
		return nil, err
	}
	return &consentv1.ResumeResponse{Cursor: cursor(result.Cursor)}, nil
}

// effective is the log's time of what was decided; where there was nothing to change, it was so already.
func effective(r es.Result[subscriber.Event], now func() time.Time) int64 {
	if len(r.Events) == 0 {
		return now().UnixMicro()
	}
	return r.Events[0].At.UnixMicro()
}

// scope reads what a person names: one agreement, or expressly all.
func scope(who, agreement string, all bool) (subscriber.ID, subscriber.AgreementID, error) {
	var one subscriber.AgreementID
	p, err := person(who)
	if err != nil {
		return p, one, err
	}
	switch {
	case agreement == "" && !all:
		return p, one, fault.Invalid("agreement_id", "must be set, or all must be true")
	case agreement != "" && all:
		return p, one, fault.Invalid("all", "must not come with agreement_id")
	case all:
		return p, one, nil
	}
	v, err := id.Parse(agreement)
	if err != nil || v.IsZero() {
		return p, one, fault.Invalid("agreement_id", "must be a UUID")
	}
	return p, subscriber.AgreementID{ID: v}, nil
}

func person(s string) (subscriber.ID, error) {
	v, err := id.Parse(s)
	if err != nil || v.IsZero() {
		return subscriber.ID{}, fault.Invalid("subscriber_id", "must be a UUID")
	}
	return subscriber.ID{ID: v}, nil
}

func cursor(c es.Cursor) *eventv1.Cursor {
	return &eventv1.Cursor{Service: c.Service, Incarnation: c.Incarnation[:], Partition: int32(c.Partition), Position: int64(c.Position)}
}
