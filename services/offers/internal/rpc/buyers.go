package rpc

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/locale"
	"github.com/obole-market/obole/pkg/parcel"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/buyer"
	"github.com/obole-market/obole/services/offers/internal/view"
	"github.com/obole-market/obole/services/offers/internal/wire"
)

const page = 100

var errEntity = fault.Exists(buyer.ErrExists.Reason, "the legal entity has an account already, and there is one for each").And("entity.legal_entity_id", "is registered under another account")

const noCountry = "is no assigned code of ISO 3166-1 alpha-2, as BE is"

// algorithms to which content keys can be sealed.
var algorithms = []string{parcel.X25519, parcel.Hybrid}

// RegisterBuyer opens a buyer's account.
func (s *Server) RegisterBuyer(ctx context.Context, r *offersv1.RegisterBuyerRequest) (*offersv1.RegisterBuyerResponse, error) {
	number, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	claim := number
	if r.GetGroupId() != "" {
		if claim, err = parse("group_id", r.GetGroupId()); err != nil {
			return nil, err
		}
	}
	e := r.GetEntity()
	for field, text := range map[string]string{
		"entity.legal_entity_id": e.GetLegalEntityId(), "entity.legal_name": e.GetLegalName(), "entity.country": e.GetCountry(),
		"entity.dpo_contact": e.GetDpoContact(),
	} {
		if strings.TrimSpace(text) == "" {
			return nil, fault.Invalid(field, "is required")
		}
	}
	if !strings.HasPrefix(e.GetPrivacyNoticeUri(), "https://") {
		return nil, fault.Invalid("entity.privacy_notice_uri", "must be an https address")
	}
	if !locale.Country(e.GetCountry()) {
		return nil, fault.Invalid("entity.country", noCountry)
	}
	for i, c := range e.GetProcessingCountries() {
		if !locale.Country(c) {
			return nil, fault.Invalid(fmt.Sprintf("entity.processing_countries[%d]", i), noCountry)
		}
	}
	keys := make([]buyer.Key, 0, len(r.GetKeys()))
	for _, k := range r.GetKeys() {
		if err := checkKey("keys", k); err != nil {
			return nil, err
		}
		keys = append(keys, wire.Key(k))
	}
	entity := wire.EntityNumber(e.GetLegalEntityId())
	if entity == "" {
		return nil, fault.Invalid("entity.legal_entity_id", "is required")
	}
	// Two that come at once may both be taken in: one of them is vetted.
	taken, _, err := s.View.EntityTaken(ctx, entity, number)
	if err != nil {
		return nil, err
	}
	body := buyer.Register{ID: buyer.ID{ID: number}, Claim: claim, Entity: wire.Entity(e), Keys: keys}
	c, err := command[buyer.Command](ctx, "RegisterBuyer", r.GetIdempotencyKey(), r, body)
	if err != nil {
		return nil, err
	}
	if taken {
		c.Refused = errEntity
	}
	result, err := s.Buyers.Do(ctx, c)
	if err != nil {
		return nil, conflict(err)
	}
	out := &offersv1.Buyer{
		BuyerId: r.GetBuyerId(), ClaimedGroupId: claim.String(), Entity: e, Keys: r.GetKeys(), State: offersv1.BuyerState_BUYER_STATE_REGISTERED,
	}
	if len(result.Events) > 0 {
		out.RegisteredAt = result.Events[0].At.UnixMicro()
	}
	return &offersv1.RegisterBuyerResponse{Buyer: out, Cursor: cursor(result.Cursor)}, nil
}

func checkKey(field string, k *offersv1.BuyerKey) error {
	switch {
	case !slices.Contains(algorithms, k.GetAlgorithm()):
		return fault.Invalid(field+".algorithm", "must be one of "+strings.Join(algorithms, ", "))
	case parcel.CheckPublic(k.GetAlgorithm(), k.GetPublicKey()) != nil:
		// A buyer should not learn of it when its first package waits for a key.
		return fault.Invalid(field+".public_key", "is no public key of the algorithm")
	}
	return nil
}

// do has a buyer's root decide.
func (s *Server) do(ctx context.Context, method, key string, r proto.Message, body buyer.Command) (*eventv1.Cursor, error) {
	return s.unless(ctx, method, key, r, body, nil)
}

// unless is do, with why it may not be decided now.
func (s *Server) unless(ctx context.Context, method, key string, r proto.Message, body buyer.Command, no error) (*eventv1.Cursor, error) {
	c, err := command(ctx, method, key, r, body)
	if err != nil {
		return nil, err
	}
	c.Refused = no
	result, err := s.Buyers.Do(ctx, c)
	if err != nil {
		return nil, conflict(err)
	}
	return cursor(result.Cursor), nil
}

// VetBuyer lets a registered buyer bid, as one of the group that the operator names.
func (s *Server) VetBuyer(ctx context.Context, r *offersv1.VetBuyerRequest) (*offersv1.VetBuyerResponse, error) {
	number, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	var group id.ID
	if r.GetGroupId() != "" {
		if group, err = parse("group_id", r.GetGroupId()); err != nil {
			return nil, err
		}
	}
	state, _, err := s.Buyers.State(ctx, es.StreamOf(number), nil)
	if err != nil {
		return nil, err
	}
	entity := wire.EntityNumber(wire.EntityProto(state.Entity).GetLegalEntityId())
	s.vetting.Lock()
	defer s.vetting.Unlock()
	out := new(offersv1.VetBuyerResponse)
	return out, s.View.Alone(ctx, entity, func() error {
		no := s.single(ctx, state, number, entity)
		out.Cursor, err = s.unless(ctx, "VetBuyer", r.GetIdempotencyKey(), r, buyer.Vet{ID: buyer.ID{ID: number}, Group: group}, no)
		return err
	})
}

// single says why a buyer may not be vetted for the first time: another one of the same legal entity has been. The tables answer, once they
// have seen all that is in the log.
func (s *Server) single(ctx context.Context, state buyer.State, number id.ID, entity string) error {
	if !state.Registered || state.Vetted {
		return nil
	}
	if err := s.Seen.CaughtUp(ctx); err != nil {
		return err
	}
	switch _, vetted, err := s.View.EntityTaken(ctx, entity, number); {
	case err != nil:
		return err
	case vetted:
		return errEntity
	}
	return nil
}

// SuspendBuyer stops a buyer. The gate is told by call as well, so that it obeys while Kafka is down; when consent is down too
// the event will tell it, and the answer does not wait for that.
func (s *Server) SuspendBuyer(ctx context.Context, r *offersv1.SuspendBuyerRequest) (*offersv1.SuspendBuyerResponse, error) {
	number, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	at, err := s.do(ctx, "SuspendBuyer", r.GetIdempotencyKey(), r, buyer.Suspend{ID: buyer.ID{ID: number}, Reason: r.GetReason()})
	if err != nil {
		return nil, err
	}
	s.bar(ctx, number, r.GetReason())
	return &offersv1.SuspendBuyerResponse{Cursor: at}, nil
}

// bar tells the gate at once that a buyer is suspended, as of the buyer's present version: what is on its way about an earlier one must
// not undo it. Where it fails the event will tell.
func (s *Server) bar(ctx context.Context, number id.ID, reason string) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	state, _, err := s.Buyers.State(ctx, es.StreamOf(number), nil)
	if err != nil || !state.Suspended {
		return // reinstated meanwhile
	}
	_, _ = s.Consent.BarBuyer(ctx, &consentv1.BarBuyerRequest{ // the event tells it again
		BuyerId: number.String(), Reason: reason, BuyerVersion: state.Version,
		// The word names itself, whatever key the operator has chosen.
		IdempotencyKey: fmt.Sprintf("%s@%d", number, state.Version),
	})
}

// ReinstateBuyer ends a suspension.
func (s *Server) ReinstateBuyer(ctx context.Context, r *offersv1.ReinstateBuyerRequest) (*offersv1.ReinstateBuyerResponse, error) {
	number, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	at, err := s.do(ctx, "ReinstateBuyer", r.GetIdempotencyKey(), r, buyer.Reinstate{ID: buyer.ID{ID: number}})
	return &offersv1.ReinstateBuyerResponse{Cursor: at}, err
}

// RotateKey replaces a key.
func (s *Server) RotateKey(ctx context.Context, r *offersv1.RotateKeyRequest) (*offersv1.RotateKeyResponse, error) {
	number, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	if err := checkKey("key", r.GetKey()); err != nil {
		return nil, err
	}
	if r.GetKey().GetValidFrom() > s.Now().UnixMicro() {
		return nil, fault.Invalid("key.valid_from", "must not be ahead: the key takes the other's place at once")
	}
	at, err := s.do(ctx, "RotateKey", r.GetIdempotencyKey(), r, buyer.Rotate{ID: buyer.ID{ID: number}, Key: wire.Key(r.GetKey()), Replaces: r.GetReplaces()})
	return &offersv1.RotateKeyResponse{Cursor: at}, err
}

// GetBuyer reads one buyer.
func (s *Server) GetBuyer(ctx context.Context, r *offersv1.GetBuyerRequest) (*offersv1.GetBuyerResponse, error) {
	number, err := parse("buyer_id", r.GetBuyerId())
	if err != nil {
		return nil, err
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	found, err := s.View.Buyers(ctx, []id.ID{number})
	if err != nil {
		return nil, err
	}
	if _, ok := found[number.String()]; !ok {
		// Whoever asks without a cursor, as settlement before it takes money, shall not be told that a new buyer is none.
		state, at, err := s.Buyers.State(ctx, es.StreamOf(number), nil)
		if err != nil {
			return nil, err
		}
		if !state.Registered {
			return nil, buyer.ErrUnknown
		}
		if err := s.Seen.Wait(ctx, at); err != nil {
			return nil, err
		}
		if found, err = s.View.Buyers(ctx, []id.ID{number}); err != nil {
			return nil, err
		}
	}
	return &offersv1.GetBuyerResponse{Buyer: buyerProto(found[number.String()])}, nil
}

var buyerStates = map[string]offersv1.BuyerState{
	"registered": offersv1.BuyerState_BUYER_STATE_REGISTERED, "vetted": offersv1.BuyerState_BUYER_STATE_VETTED,
	"suspended": offersv1.BuyerState_BUYER_STATE_SUSPENDED,
}

func buyerProto(b view.Buyer) *offersv1.Buyer {
	keys := slices.Clone(b.Registered.GetKeys())
	slices.Reverse(keys)
	return &offersv1.Buyer{
		BuyerId: b.Registered.GetBuyerId(), GroupId: b.Group, ClaimedGroupId: b.Registered.GetGroupId(), Entity: b.Registered.GetEntity(), Keys: keys,
		State: buyerStates[b.State], RegisteredAt: b.RegisteredAt.UnixMicro(),
	}
}

// ListBuyers lists buyers by registration.
func (s *Server) ListBuyers(ctx context.Context, r *offersv1.ListBuyersRequest) (*offersv1.ListBuyersResponse, error) {
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	place := new(offersv1.Buyer)
	list, state := "buyers", ""
	for name, s := range buyerStates {
		if s == r.GetState() {
			list, state = list+"/"+name, name
		}
	}
	if err := boot.ParsePage(list, r.GetPageToken(), place); err != nil {
		return nil, err
	}
	after, _ := id.Parse(place.GetBuyerId()) // none on the first page
	limit := size(r.GetPageSize())
	rows, err := s.View.ListBuyers(ctx, state, time.UnixMicro(place.GetRegisteredAt()).UTC(), after, limit+1)
	if err != nil {
		return nil, err
	}
	out := new(offersv1.ListBuyersResponse)
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		if out.NextPageToken, err = boot.PageToken(list, &offersv1.Buyer{BuyerId: last.Registered.GetBuyerId(), RegisteredAt: last.RegisteredAt.UnixMicro()}); err != nil {
			return nil, err
		}
	}
	for _, b := range rows {
		out.Buyers = append(out.Buyers, buyerProto(b))
	}
	return out, nil
}

// DescribeBuyers says who some buyers are, in the order asked.
func (s *Server) DescribeBuyers(ctx context.Context, r *offersv1.DescribeBuyersRequest) (*offersv1.DescribeBuyersResponse, error) {
	numbers := make([]id.ID, len(r.GetBuyerIds()))
	for i, text := range r.GetBuyerIds() {
		var err error
		if numbers[i], err = id.Parse(text); err != nil {
			return nil, fault.Invalid("buyer_ids", "must be UUIDs")
		}
	}
	if err := s.seen(ctx, r.GetAfter()); err != nil {
		return nil, err
	}
	known, err := s.View.Buyers(ctx, numbers)
	if err != nil {
		return nil, err
	}
	out := new(offersv1.DescribeBuyersResponse)
	for _, number := range numbers {
		b, ok := known[number.String()]
		if !ok {
			continue
		}
		delete(known, number.String()) // each once
		e := b.Registered.GetEntity()
		out.Buyers = append(out.Buyers, &offersv1.BuyerCard{
			BuyerId: number.String(), LegalName: e.GetLegalName(), Country: e.GetCountry(), DpoContact: e.GetDpoContact(),
			PrivacyNoticeUri: e.GetPrivacyNoticeUri(), ProcessingCountries: e.GetProcessingCountries(), IsGatekeeper: e.GetIsGatekeeper(),
			State: buyerStates[b.State],
		})
	}
	return out, nil
}

func size(asked uint32) int {
	if asked == 0 {
		return page
	}
	return int(asked)
}
