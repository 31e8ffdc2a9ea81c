package rpc

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/consent/internal/party"
	"github.com/obole-market/obole/services/consent/internal/subscriber"
	"github.com/obole-market/obole/services/consent/internal/wire"
)

var errAttempt = fault.Refuse("ATTEMPT_REPEATED", "a permit is never repeated: ask with a new attempt")

// Release is the gate. What it answers was decided on the state of the log at this moment and is stored; nothing is ever
// answered from memory.
func (s *Server) Release(ctx context.Context, r *consentv1.ReleaseRequest) (*consentv1.ReleaseResponse, error) {
	command, err := s.attempt(ctx, r)
	if err != nil {
		return nil, err
	}
	result, err := s.People.Do(ctx, command)
	return permit(result, err)
}

// attempt makes the command of one attempt.
func (s *Server) attempt(ctx context.Context, r *consentv1.ReleaseRequest) (es.Command[subscriber.Command], error) {
	var none es.Command[subscriber.Command]
	var parsed [5]id.ID
	for i, f := range []struct{ name, text string }{
		{"subscriber_id", r.GetSubscriberId()},
		{"agreement_id", r.GetAgreementId()},
		{"delivery_id", r.GetDeliveryId()},
		{"buyer_id", r.GetBuyerId()},
		{"attempt_id", r.GetAttemptId()},
	} {
		v, err := id.Parse(f.text)
		if err != nil || v.IsZero() {
			return none, fault.Invalid(f.name, "must be a UUID")
		}
		parsed[i] = v
	}
	who, buyer := subscriber.ID{ID: parsed[0]}, subscriber.BuyerID{ID: parsed[3]}
	ring, err := s.Keys.Ring(ctx, who.ID)
	if err != nil {
		return none, err
	}
	barred, _, err := s.Parties.State(ctx, es.StreamOf(buyer.ID), nil)
	if err != nil {
		return none, err
	}
	return es.Command[subscriber.Command]{
		// The attempt alone names the command: whoever repeats it is refused, not answered.
		ID: id.Derive([]byte("release"), parsed[4][:]),
		Body: subscriber.Release{
			Subscriber: who, Agreement: subscriber.AgreementID{ID: parsed[1]}, Delivery: subscriber.DeliveryID{ID: parsed[2]},
			Buyer: buyer, Attempt: subscriber.AttemptID{ID: parsed[4]}, BuyerBarred: barred.Barred,
		},
		Keys: ring, Caller: boot.CallerFrom(ctx).Subject, Fresh: true,
		Meta: &eventv1.Meta{Actor: boot.CallerFrom(ctx).Actor()},
	}, nil
}

func permit(result es.Result[subscriber.Event], err error) (*consentv1.ReleaseResponse, error) {
	switch {
	case errors.Is(err, es.ErrRepeated), errors.Is(err, es.ErrOtherBody):
		return nil, errAttempt
	case err != nil:
		return nil, err
	}
	e := result.Events[0]
	return &consentv1.ReleaseResponse{ReleaseEventId: e.ID[:], CommittedAt: e.At.UnixMicro(), Cursor: cursor(result.Cursor)}, nil
}

// ReleaseMany is Release on a stream: the attempts of one message share flushes of the log.
func (s *Server) ReleaseMany(stream grpc.BidiStreamingServer[consentv1.ReleaseManyRequest, consentv1.ReleaseManyResponse]) error {
	ctx := stream.Context()
	for {
		in, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		out := &consentv1.ReleaseManyResponse{Releases: make([]*consentv1.Released, len(in.GetReleases()))}
		commands := make([]es.Command[subscriber.Command], 0, len(in.GetReleases()))
		places := make([]int, 0, len(in.GetReleases()))
		for i, r := range in.GetReleases() {
			out.Releases[i] = &consentv1.Released{AttemptId: r.GetAttemptId()}
			c, err := s.attempt(ctx, r)
			if err != nil {
				unreleased(ctx, out.Releases[i], err)
				continue
			}
			commands = append(commands, c)
			places = append(places, i)
		}
		for i, outcome := range s.People.DoMany(ctx, commands) {
			answer := out.Releases[places[i]]
			answer.Permit, err = permit(outcome.Result, outcome.Err)
			if err != nil {
				unreleased(ctx, answer, err)
			}
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// unreleased writes a rule's no into an answer, or what has failed, which must not be taken for one.
func unreleased(ctx context.Context, answer *consentv1.Released, err error) {
	if answer.Refused = wire.ReasonProto(fault.ReasonOf(err)); answer.GetRefused() == 0 {
		answer.Code = boot.Failed(ctx, err)
	}
}

// believed is how old that may be from which Check answers. The contract names it.
const believed = 250 * time.Millisecond

// Check says whether a consent allows use. Unlike the gate it may answer from what this process holds: it commits nothing, and is
// asked for every step of every delivery.
func (s *Server) Check(ctx context.Context, r *consentv1.CheckRequest) (*consentv1.CheckResponse, error) {
	who, agreement, err := scope(r.GetSubscriberId(), r.GetAgreementId(), false)
	if err != nil {
		return nil, err
	}
	within := believed
	if r.GetAfter() != nil {
		within = 0 // who has heard of something is not answered from before it
	}
	state, err := s.People.Held(ctx, es.StreamOf(who.ID), within, func(ctx context.Context) (any, error) { return s.Keys.Ring(ctx, who.ID) })
	if err != nil {
		return nil, err
	}
	p, _ := state.(subscriber.Person)
	no := p.Allows(agreement, nil, s.Now())
	if no == subscriber.ErrConsentUnknown {
		if p, no, err = s.ended(ctx, who, agreement); err != nil {
			return nil, err
		}
	}
	if no != nil {
		return &consentv1.CheckResponse{Reason: wire.ReasonProto(no.Reason), Held: no == subscriber.ErrExpired && p.Holds(agreement, s.Now())}, nil
	}
	barred, err := s.Parties.Held(ctx, es.StreamOf(p.Living[agreement].Buyer.ID), within, func(context.Context) (any, error) { return nil, nil })
	if err != nil {
		return nil, err
	}
	if barred.Barred {
		return &consentv1.CheckResponse{Reason: consentv1.Reason_REASON_BUYER_SUSPENDED}, nil
	}
	return &consentv1.CheckResponse{Allowed: true}, nil
}

// ended says why a consent does not live, as the log knows: another process may have recorded it a moment ago, and how it ended only
// its own stream tells. That one is read first: a consent that is given between the two reads lives.
func (s *Server) ended(ctx context.Context, who subscriber.ID, agreement subscriber.AgreementID) (p subscriber.Person, no *fault.Error, err error) {
	ring, err := s.Keys.Ring(ctx, who.ID)
	if err != nil {
		return p, nil, err
	}
	own, _, err := s.People.State(ctx, es.StreamOf(who.ID).Child(agreement.ID), ring)
	if err != nil {
		return p, nil, err
	}
	p, _, err = s.person(ctx, who)
	return p, p.Allows(agreement, own, s.Now()), err
}

// CheckMany is Check for many, in their order.
func (s *Server) CheckMany(ctx context.Context, r *consentv1.CheckManyRequest) (*consentv1.CheckManyResponse, error) {
	out := &consentv1.CheckManyResponse{Checks: make([]*consentv1.CheckResponse, len(r.GetChecks()))}
	for i, c := range r.GetChecks() {
		answer, err := s.Check(ctx, c)
		if err != nil {
			return nil, err
		}
		out.Checks[i] = answer
	}
	return out, nil
}

// BarBuyer makes the gate refuse a buyer.
func (s *Server) BarBuyer(ctx context.Context, r *consentv1.BarBuyerRequest) (*consentv1.BarBuyerResponse, error) {
	at, err := s.bar(ctx, "BarBuyer", r, r.GetIdempotencyKey(), party.Command{Bar: true, Reason: r.GetReason(), Word: r.GetBuyerVersion()})
	return &consentv1.BarBuyerResponse{Cursor: at}, err
}

// UnbarBuyer ends it.
func (s *Server) UnbarBuyer(ctx context.Context, r *consentv1.UnbarBuyerRequest) (*consentv1.UnbarBuyerResponse, error) {
	at, err := s.bar(ctx, "UnbarBuyer", r, r.GetIdempotencyKey(), party.Command{Word: r.GetBuyerVersion()})
	return &consentv1.UnbarBuyerResponse{Cursor: at}, err
}

// word is a request about a buyer.
type word interface {
	proto.Message
	GetBuyerId() string
}

func (s *Server) bar(ctx context.Context, method string, r word, key string, c party.Command) (*eventv1.Cursor, error) {
	v, err := id.Parse(r.GetBuyerId())
	if err != nil || v.IsZero() {
		return nil, fault.Invalid("buyer_id", "must be a UUID")
	}
	caller := boot.CallerFrom(ctx)
	c.Buyer, c.AtGate = party.ID{ID: v}, caller.Role == eventv1.Role_ROLE_OPERATOR
	if c.AtGate && c.Word > 0 {
		return nil, fault.Invalid("buyer_version", "is the market's to say")
	}
	command, hash, err := boot.Command(ctx, method, key, r)
	if err != nil {
		return nil, err
	}
	result, err := s.Parties.Do(ctx, es.Command[party.Command]{
		ID: command, Hash: hash, Body: c, Caller: caller.Subject, Urgent: true, Meta: &eventv1.Meta{Actor: caller.Actor(), OnBehalfOf: caller.For},
	})
	if err != nil {
		return nil, conflict(err)
	}
	return cursor(result.Cursor), nil
}

// conflict tells a repeated idempotency key with another request as this context names it.
func conflict(err error) error {
	if errors.Is(err, es.ErrOtherBody) {
		return errIdempotency
	}
	return err
}
