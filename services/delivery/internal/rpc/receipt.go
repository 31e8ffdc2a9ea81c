package rpc

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/fault"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
	"github.com/obole-market/obole/pkg/parcel"
	"github.com/obole-market/obole/pkg/vault"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/view"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// second is the time within which a key leaves after the gate was asked.
const second = time.Second

// asking is a buyer who has signed for a delivery and asks for its key.
type asking struct {
	view.Held
	ring    *vault.Ring
	receipt shelf.Receipt
}

func (p *asking) shelf() shelf.ID { return shelf.ID{ID: p.Shelf} }

// SignReceipt takes the buyer's receipt and asks for the key.
func (s *Server) SignReceipt(ctx context.Context, r *deliveryv1.SignReceiptRequest) (*deliveryv1.SignReceiptResponse, error) {
	held, err := s.find(ctx, r.GetBuyerId(), r.GetDeliveryId(), s.View.ToOpen)
	if err != nil {
		return nil, err
	}
	p := asking{Held: held, receipt: shelf.Receipt{BuyerKey: r.GetKeyId(), Signature: r.GetSignature()}}
	copy(p.receipt.Digest[:], r.GetDigest())
	if !bytes.Equal(p.Digest, r.GetDigest()) {
		return nil, shelf.ErrDigestMismatch
	}
	if p.ring, err = s.Keys.Ring(ctx, p.Subscriber); err != nil {
		return nil, err
	}
	if p.Barred && p.State != "released" {
		if err := s.stop(ctx, &p); err != nil {
			return nil, err
		}
	}
	to, err := s.keyFor(ctx, &p)
	if err != nil {
		return nil, err
	}
	content, err := s.Store.Open(p.ring, p.ID, p.Kept)
	if errors.Is(err, store.ErrGone) {
		return s.gone(ctx, &p)
	}
	if err != nil {
		return nil, err
	}
	// All that can be done before the gate is asked is done before: the second is for the answer and the key alone.
	sealed, err := parcel.SealKey(to.GetAlgorithm(), to.GetPublicKey(), p.ID, content)
	if err != nil {
		return nil, errKey.Because(err)
	}
	if err := s.cohort(ctx, &p); err != nil {
		return nil, err
	}
	began := s.Tick()
	permit, err := s.ask(ctx, &p, began)
	if err != nil {
		return s.again(ctx, &p, err)
	}
	at, err := s.release(ctx, &p, permit, shelf.Answer{BuyerKey: to.GetId(), Sealed: sealed}, began)
	if err != nil {
		return nil, err
	}
	s.begun.known().Put(p.Bid, struct{}{})
	took := s.Tick().Sub(began)
	if took >= second {
		// The delivery counts, and the key is for the asking: through the gate again.
		return nil, errUnreachable
	}
	s.Sent(took)
	return &deliveryv1.SignReceiptResponse{SealedKey: sealed, KeyId: to.GetId(), ReleaseEventId: permit[:], Cursor: cursor(at)}, nil
}

// gone answers for a delivery whose content key was destroyed. Nothing can be made anew, but consent is asked here as everywhere: a buyer
// who is suspended, or whose person has paused, gets nothing that was recorded either.
func (s *Server) gone(ctx context.Context, p *asking) (*deliveryv1.SignReceiptResponse, error) {
	if forgotten(p.ring) {
		return nil, shelf.ErrAgreementEnded
	}
	// Where it was destroyed because it never leaves, the tables may not have seen that yet, and there is nothing to ask the gate for.
	d, err := s.onShelf(ctx, p)
	if err != nil {
		return nil, err
	}
	if no := d.Refusal(); no != nil {
		return nil, no
	}
	if _, err := s.ask(ctx, p, s.Tick()); err != nil {
		return s.again(ctx, p, err)
	}
	return s.again(ctx, p, shelf.ErrAgreementEnded)
}

// forgotten says whether the keys of a person's content are gone: nothing of it is given then, whoever remembers it.
func forgotten(ring *vault.Ring) bool {
	return slices.Contains(ring.Erased(), eventv1.Retention_RETENTION_CONTENT)
}

// again gives the answer that was recorded when the delivery was released, to a buyer who lost it and asks when the consent has ended
// since. It was decided, recorded and charged then, and nothing is in it that was not in it then. no is the answer where there is
// no such record, where it is too old, and where something else than the end of the consent refuses.
func (s *Server) again(ctx context.Context, p *asking, no error) (*deliveryv1.SignReceiptResponse, error) {
	switch fault.ReasonOf(no) {
	case "WITHDRAWN", "EXPIRED", "AGREEMENT_ENDED":
	default:
		return nil, no
	}
	// The log's writer may remember what was erased since.
	if forgotten(p.ring) {
		return nil, no
	}
	d, err := s.onShelf(ctx, p)
	if err != nil {
		return nil, err
	}
	if d.Status != shelf.Gone {
		return nil, no
	}
	// What is gone is never released anew, so this command can only be the one of then.
	result, err := s.Shelves.Do(ctx, s.released(ctx, p, shelf.Release{}))
	if err != nil {
		return nil, err
	}
	for _, e := range result.Events {
		then, ok := e.Event.(shelf.Released)
		if ok && then.Answer.Sealed != nil && s.Now().Before(e.At.Add(s.Patience)) {
			return &deliveryv1.SignReceiptResponse{
				SealedKey: then.Answer.Sealed, KeyId: then.Answer.BuyerKey, ReleaseEventId: then.ReleaseEvent[:], Cursor: cursor(result.Cursor),
			}, nil
		}
	}
	return nil, no
}

// onShelf is a delivery as the log has it: what happened to it last, the tables may not have seen.
func (s *Server) onShelf(ctx context.Context, p *asking) (shelf.Delivery, error) {
	state, _, err := s.Shelves.State(ctx, wire.Stream(shelf.On{Shelf: p.shelf(), Child: p.ID}), p.ring)
	d, _ := state.(shelf.Delivery)
	return d, err
}

// keyFor verifies the receipt and finds the key to which the content key goes.
func (s *Server) keyFor(ctx context.Context, p *asking) (*offersv1.BuyerKey, error) {
	buyer, err := s.Buyers.Find(ctx, p.Buyer)
	if err != nil {
		return nil, err
	}
	known, err := s.terms.of(p.ID, p.ring, p.Resealed, func() (*view.Delivery, error) {
		row, known, err := s.View.Delivery(ctx, p.ID)
		if err == nil && !known {
			err = shelf.ErrDeliveryUnknown
		}
		return &row, err
	})
	if err != nil {
		return nil, err
	}
	if !buyer.Has(known.key) {
		// The log knows of a key that these do not: they are from before it.
		s.Buyers.Forget(p.Buyer)
		if buyer, err = s.Buyers.Find(ctx, p.Buyer); err != nil {
			return nil, err
		}
	}
	now := s.Now()
	signer, ok := buyer.Key(p.receipt.BuyerKey, now)
	if !ok && p.receipt.BuyerKey == known.key {
		// A rotation has not reached this package yet: what was signed for it before still counts.
		signer, ok = buyer.Replaced(p.receipt.BuyerKey)
	}
	if !ok {
		return nil, errKey
	}
	if !parcel.VerifyReceipt(ed25519.PublicKey(signer.GetReceiptKey()), p.ID, p.receipt.Digest, p.receipt.Signature) {
		return nil, errSignature
	}
	if to, ok := buyer.Key(known.key, now); ok {
		return to, nil
	}
	to, ok := buyer.Current(now)
	if !ok {
		return nil, errKey
	}
	return to, nil
}

// begun remembers bids of which a key has left: enough people were there for the first, and the others follow.
type begun struct {
	once sync.Once
	bids *lru.Map[id.ID, struct{}]
}

func (b *begun) known() *lru.Map[id.ID, struct{}] {
	const size = 4096
	b.once.Do(func() { b.bids = lru.New[id.ID, struct{}](size) })
	return b.bids
}

// cohort asks offers, before the first key of a bid leaves, whether enough people are still in it. A yes is for this question: if for
// another reason no key leaves now, the next one asks again.
func (s *Server) cohort(ctx context.Context, p *asking) error {
	bid := p.Bid
	if _, ok := s.begun.known().Get(bid); ok {
		return nil
	}
	left, err := s.View.Left(ctx, bid)
	if err != nil {
		return err
	}
	if left {
		s.begun.known().Put(bid, struct{}{})
		return nil
	}
	r, err := s.Offers.ConfirmCohort(ctx, &offersv1.ConfirmCohortRequest{BidId: bid.String()})
	if err != nil {
		return fault.Unavailable("offers does not answer: no key leaves").Because(err)
	}
	if !r.GetConfirmed() {
		return s.block(ctx, p, errCohort)
	}
	return nil
}

// ask asks consent's gate. Each call is an attempt of its own; without an answer within the second there is no permit.
func (s *Server) ask(ctx context.Context, p *asking, began time.Time) (permit id.ID, err error) {
	within, cancel := context.WithTimeout(ctx, second)
	defer cancel()
	r, err := s.Consent.Release(within, &consentv1.ReleaseRequest{
		SubscriberId: p.Subscriber.String(), AgreementId: p.Agreement.String(), DeliveryId: p.ID.String(),
		BuyerId: p.Buyer.String(), AttemptId: s.NewID().String(),
	})
	took := s.Tick().Sub(began)
	switch reason := fault.ReasonOf(err); {
	case err == nil && took < second:
		s.Gate(took, "permitted")
		copy(permit[:], r.GetReleaseEventId())
		return permit, nil
	case err == nil, errors.Is(err, fault.KindUnavailable), errors.Is(err, fault.KindDeadline), errors.Is(err, fault.KindCanceled), errors.Is(err, fault.KindExhausted):
		s.Gate(took, "unreachable")
		return permit, s.block(ctx, p, errUnreachable)
	case reason != "" && wire.ReasonProto(reason) != 0:
		s.Gate(took, "refused")
		return permit, s.block(ctx, p, refusal(reason))
	}
	s.Gate(took, "failed")
	return permit, errUnreachable.Because(err)
}

// release records that the key leaves, and as what. Where that cannot be told in time, the key stays.
func (s *Server) release(ctx context.Context, p *asking, permit id.ID, answer shelf.Answer, began time.Time) (es.Cursor, error) {
	took := s.Tick().Sub(began)
	within, cancel := context.WithTimeout(ctx, second-took)
	defer cancel()
	result, err := s.Shelves.Do(within, s.released(ctx, p, shelf.Release{ReleaseEvent: permit, Elapsed: took, Answer: answer}))
	if errors.Is(err, fault.KindDeadline) || errors.Is(err, fault.KindCanceled) {
		err = errUnreachable.Because(err) // the second is over
	}
	return result.Cursor, err
}

// released is the command of a release. It is named after the delivery: that is charged once, whoever asks again.
func (s *Server) released(ctx context.Context, p *asking, c shelf.Release) es.Command[shelf.Command] {
	c.Shelf, c.Agreement, c.Delivery, c.Receipt = p.shelf(), shelf.AgreementID{ID: p.Agreement}, shelf.DeliveryID{ID: p.ID}, p.receipt
	return es.Command[shelf.Command]{
		ID: id.Derive([]byte("released"), p.ID[:]), Keys: p.ring, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject, Body: c,
	}
}

// block records why the key does not leave, and answers with it.
func (s *Server) block(ctx context.Context, p *asking, why *fault.Error) error {
	_, err := s.Shelves.Do(ctx, es.Command[shelf.Command]{
		ID: s.NewID(), Keys: p.ring, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject,
		Body: shelf.Block{
			Shelf: p.shelf(), Agreement: shelf.AgreementID{ID: p.Agreement}, Delivery: shelf.DeliveryID{ID: p.ID}, Receipt: p.receipt, Reason: why.Reason,
		},
	})
	if err != nil && fault.ReasonOf(err) == "" {
		return err
	}
	return why
}

// stop blocks for ever a package with something of a source that its person has restricted while the package was made. One whose key has
// left, which the tables may not have seen, goes on: what had left, had left.
func (s *Server) stop(ctx context.Context, p *asking) error {
	now, err := s.Bars.Stop(ctx, p.shelf(), store.Waiting{Delivery: p.ID, Agreement: p.Agreement}, es.Command[shelf.Command]{
		ID: s.NewID(), Keys: p.ring, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject,
	})
	if err != nil {
		return err
	}
	if no := now.Refusal(); no != nil {
		return no
	}
	return nil
}

// SignReceipts is SignReceipt on a stream: the receipts of one message are answered side by side, in their order.
func (s *Server) SignReceipts(stream grpc.BidiStreamingServer[deliveryv1.SignReceiptsRequest, deliveryv1.SignReceiptsResponse]) error {
	const atOnce = 64
	for {
		r, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		out := &deliveryv1.SignReceiptsResponse{Receipts: make([]*deliveryv1.SignedReceipt, len(r.GetReceipts()))}
		var work errgroup.Group
		work.SetLimit(atOnce)
		for i, receipt := range r.GetReceipts() {
			work.Go(func() error {
				out.Receipts[i] = s.signed(stream.Context(), r.GetBuyerId(), receipt)
				return nil
			})
		}
		_ = work.Wait() // each answer says what has failed
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}

// signed answers one receipt of a message.
func (s *Server) signed(ctx context.Context, buyer string, r *deliveryv1.SignReceiptRequest) *deliveryv1.SignedReceipt {
	answer := &deliveryv1.SignedReceipt{DeliveryId: r.GetDeliveryId()}
	var err error = fault.Invalid("receipts.buyer_id", "must be the message's buyer")
	if r.GetBuyerId() == buyer {
		if answer.Key, err = s.SignReceipt(ctx, r); err == nil {
			return answer
		}
	}
	if answer.Refused = wire.ReasonProto(fault.ReasonOf(err)); answer.GetRefused() == 0 {
		answer.Code = boot.Failed(ctx, err)
	}
	return answer
}
