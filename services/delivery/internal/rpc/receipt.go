package rpc

import (
	"context"
	"crypto/ed25519"
	"errors"
	"io"
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
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
	"github.com/obole-market/obole/services/delivery/internal/store"
	"github.com/obole-market/obole/services/delivery/internal/wire"
)

// second is the time within which a key leaves after the gate was asked.
const second = time.Second

// SignReceipt takes the buyer's receipt and asks for the key.
func (s *Server) SignReceipt(ctx context.Context, r *deliveryv1.SignReceiptRequest) (*deliveryv1.SignReceiptResponse, error) {
	p, err := s.find(ctx, r.GetBuyerId(), r.GetDeliveryId())
	if err != nil {
		return nil, err
	}
	receipt := shelf.Receipt{BuyerKey: r.GetKeyId(), Signature: r.GetSignature()}
	copy(receipt.Digest[:], r.GetDigest())
	if p.delivery.Digest != receipt.Digest {
		return nil, shelf.ErrDigestMismatch
	}
	to, err := s.keyFor(ctx, &p, receipt)
	if err != nil {
		return nil, err
	}
	content, err := s.Store.Key(ctx, p.ring, p.row.ID)
	if errors.Is(err, store.ErrGone) {
		return nil, shelf.ErrAgreementEnded
	}
	if err != nil {
		return nil, err
	}
	// All that can be done before the gate is asked is done before: the second is for the answer and the key alone.
	sealed, err := parcel.SealKey(to.GetAlgorithm(), to.GetPublicKey(), p.row.ID, content)
	if err != nil {
		return nil, errKey.Because(err)
	}
	if err := s.cohort(ctx, &p, receipt); err != nil {
		return nil, err
	}
	began := s.Tick()
	release, err := s.ask(ctx, &p, receipt, began)
	if err != nil {
		return nil, err
	}
	at, err := s.release(ctx, &p, receipt, release, began)
	if err != nil {
		return nil, err
	}
	took := s.Tick().Sub(began)
	if took >= second {
		// The delivery counts, and the key is for the asking: through the gate again.
		return nil, errUnreachable
	}
	s.Sent(took)
	return &deliveryv1.SignReceiptResponse{SealedKey: sealed, KeyId: to.GetId(), ReleaseEventId: release[:], Cursor: cursor(at)}, nil
}

// keyFor verifies the receipt and finds the key to which the content key goes.
func (s *Server) keyFor(ctx context.Context, p *held, receipt shelf.Receipt) (*offersv1.BuyerKey, error) {
	buyer, err := s.Buyers.Find(ctx, p.agreement.Licence.Buyer.ID)
	if err != nil {
		return nil, err
	}
	if !buyer.Has(p.delivery.BuyerKey) {
		// The log knows of a key that these do not: they are from before it.
		s.Buyers.Forget(p.agreement.Licence.Buyer.ID)
		if buyer, err = s.Buyers.Find(ctx, p.agreement.Licence.Buyer.ID); err != nil {
			return nil, err
		}
	}
	now := s.Now()
	signer, ok := buyer.Key(receipt.BuyerKey, now)
	if !ok && receipt.BuyerKey == p.delivery.BuyerKey {
		// A rotation has not reached this package yet: what was signed for it before still counts.
		signer, ok = buyer.Replaced(receipt.BuyerKey)
	}
	if !ok {
		return nil, errKey
	}
	if !parcel.VerifyReceipt(ed25519.PublicKey(signer.GetReceiptKey()), p.row.ID, receipt.Digest, receipt.Signature) {
		return nil, errSignature
	}
	if to, ok := buyer.Key(p.delivery.BuyerKey, now); ok {
		return to, nil
	}
	to, ok := buyer.Current(now)
	if !ok {
		return nil, errKey
	}
	return to, nil
}

// confirmed remembers bids of which a key may leave: once enough people were left before the first, it stays so.
type confirmed struct {
	once sync.Once
	bids *lru.Map[id.ID, struct{}]
}

func (c *confirmed) known() *lru.Map[id.ID, struct{}] {
	const size = 4096
	c.once.Do(func() { c.bids = lru.New[id.ID, struct{}](size) })
	return c.bids
}

// cohort asks offers, before the first key of a bid leaves, whether enough people are still in it.
func (s *Server) cohort(ctx context.Context, p *held, receipt shelf.Receipt) error {
	bid := p.agreement.Licence.Bid.ID
	if _, ok := s.confirmed.known().Get(bid); ok {
		return nil
	}
	r, err := s.Offers.ConfirmCohort(ctx, &offersv1.ConfirmCohortRequest{BidId: bid.String()})
	if err != nil {
		return fault.Unavailable("offers does not answer: no key leaves").Because(err)
	}
	if !r.GetConfirmed() {
		return s.block(ctx, p, receipt, errCohort)
	}
	s.confirmed.known().Put(bid, struct{}{})
	return nil
}

// ask asks consent's gate. Each call is an attempt of its own; without an answer within the second there is no permit.
func (s *Server) ask(ctx context.Context, p *held, receipt shelf.Receipt, began time.Time) (permit id.ID, err error) {
	within, cancel := context.WithTimeout(ctx, second)
	defer cancel()
	r, err := s.Consent.Release(within, &consentv1.ReleaseRequest{
		SubscriberId: p.row.Subscriber.String(), AgreementId: p.row.Agreement.String(), DeliveryId: p.row.ID.String(),
		BuyerId: p.agreement.Licence.Buyer.String(), AttemptId: s.NewID().String(),
	})
	took := s.Tick().Sub(began)
	switch reason := fault.ReasonOf(err); {
	case err == nil && took < second:
		s.Gate(took, "permitted")
		copy(permit[:], r.GetReleaseEventId())
		return permit, nil
	case err == nil, errors.Is(err, fault.KindUnavailable), errors.Is(err, fault.KindDeadline), errors.Is(err, fault.KindCanceled), errors.Is(err, fault.KindExhausted):
		s.Gate(took, "unreachable")
		return permit, s.block(ctx, p, receipt, errUnreachable)
	case reason != "" && wire.ReasonProto(reason) != 0:
		s.Gate(took, "refused")
		return permit, s.block(ctx, p, receipt, refusal(reason))
	}
	s.Gate(took, "failed")
	return permit, errUnreachable.Because(err)
}

// release records that the key leaves. Where that cannot be told in time, the key stays.
func (s *Server) release(ctx context.Context, p *held, receipt shelf.Receipt, permit id.ID, began time.Time) (es.Cursor, error) {
	took := s.Tick().Sub(began)
	within, cancel := context.WithTimeout(ctx, second-took)
	defer cancel()
	result, err := s.Shelves.Do(within, es.Command[shelf.Command]{
		// Named after the delivery: it is charged once, whoever asks again.
		ID: id.Derive([]byte("released"), p.row.ID[:]), Keys: p.ring, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject,
		Body: shelf.Release{
			Shelf: p.shelf(), Agreement: shelf.AgreementID{ID: p.row.Agreement}, Delivery: shelf.DeliveryID{ID: p.row.ID}, Receipt: receipt,
			ReleaseEvent: permit, Elapsed: took,
		},
	})
	if errors.Is(err, fault.KindDeadline) || errors.Is(err, fault.KindCanceled) {
		err = errUnreachable.Because(err) // the second is over
	}
	return result.Cursor, err
}

// block records why the key does not leave, and answers with it.
func (s *Server) block(ctx context.Context, p *held, receipt shelf.Receipt, why *fault.Error) error {
	_, err := s.Shelves.Do(ctx, es.Command[shelf.Command]{
		ID: s.NewID(), Keys: p.ring, Meta: meta(ctx), Caller: boot.CallerFrom(ctx).Subject,
		Body: shelf.Block{
			Shelf: p.shelf(), Agreement: shelf.AgreementID{ID: p.row.Agreement}, Delivery: shelf.DeliveryID{ID: p.row.ID}, Receipt: receipt, Reason: why.Reason,
		},
	})
	if err != nil && fault.ReasonOf(err) == "" {
		return err
	}
	return why
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
		work, ctx := errgroup.WithContext(stream.Context())
		work.SetLimit(atOnce)
		for i, receipt := range r.GetReceipts() {
			work.Go(func() error {
				answer := &deliveryv1.SignedReceipt{DeliveryId: receipt.GetDeliveryId()}
				out.Receipts[i] = answer
				if receipt.GetBuyerId() != r.GetBuyerId() {
					return fault.Invalid("receipts.buyer_id", "must be the message's buyer")
				}
				var err error
				answer.Key, err = s.SignReceipt(ctx, receipt)
				if reason := wire.ReasonProto(fault.ReasonOf(err)); err != nil && reason != 0 {
					answer.Refused = reason
					return nil
				}
				return err
			})
		}
		if err := work.Wait(); err != nil {
			return err
		}
		if err := stream.Send(out); err != nil {
			return err
		}
	}
}
