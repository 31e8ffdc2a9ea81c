package wire

import (
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	"github.com/obole-market/obole/services/delivery/internal/shelf"
)

const reasonPrefix = "REASON_"

// ReasonProto is the contract's Reason by its name without prefix; unset for a name that it does not have.
func ReasonProto(name string) deliveryv1.Reason {
	return deliveryv1.Reason(deliveryv1.Reason_value[reasonPrefix+name])
}

// ReasonName is ReasonProto's inverse; empty for the unset reason, a number for one of a newer process.
func ReasonName(r deliveryv1.Reason) string {
	if r == deliveryv1.Reason_REASON_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(r.String(), reasonPrefix)
}

// put gives the contract's form of an event of a shelf.
func put(e shelf.Event) *deliveryv1.Event {
	switch e := e.(type) {
	case shelf.Taken:
		licence := new(marketv1.Licence)
		if err := proto.Unmarshal(e.Document, licence); err != nil {
			panic("wire: a licence was changed on its way")
		}
		m := &deliveryv1.AgreementTaken{
			AgreementId: e.Licence.Agreement.String(), SubscriberId: e.Licence.Subscriber.String(), Licence: licence,
			BidId: e.Licence.Bid.String(), Cleared: e.Cleared, DueAt: micros(e.DueAt),
		}
		return &deliveryv1.Event{Event: &deliveryv1.Event_AgreementTaken{AgreementTaken: m}}
	case shelf.Cleared:
		return &deliveryv1.Event{Event: &deliveryv1.Event_AgreementCleared{AgreementCleared: &deliveryv1.AgreementCleared{
			AgreementId: e.Agreement.String(), DueAt: micros(e.DueAt),
		}}}
	case shelf.Awaited:
		return &deliveryv1.Event{Event: &deliveryv1.Event_SlotsAwaited{SlotsAwaited: &deliveryv1.SlotsAwaited{
			AgreementId: e.Agreement.String(), DueAt: micros(e.DueAt),
		}}}
	case shelf.Ended:
		return &deliveryv1.Event{Event: &deliveryv1.Event_AgreementEnded{AgreementEnded: &deliveryv1.AgreementEnded{
			AgreementId: e.Agreement.String(), OfferId: e.Offer.String(), BidId: e.Bid.String(), SubscriberId: e.Subscriber.String(),
			Currency: e.Currency, SlotsReleased: uint32(e.Released), Reason: deliveryv1.EndReason(e.Reason),
		}}}
	case shelf.Prepared:
		return &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryPrepared{DeliveryPrepared: prepared(e)}}
	case shelf.Resealed:
		return &deliveryv1.Event{Event: &deliveryv1.Event_PackageResealed{PackageResealed: &deliveryv1.PackageResealed{
			DeliveryId: e.Delivery.String(), BuyerKeyId: e.BuyerKey,
		}}}
	case shelf.Receipted:
		return &deliveryv1.Event{Event: &deliveryv1.Event_ReceiptSigned{ReceiptSigned: &deliveryv1.ReceiptSigned{
			DeliveryId: e.Delivery.String(), AgreementId: e.Agreement.String(), Digest: e.Receipt.Digest[:], BuyerKeyId: e.Receipt.BuyerKey,
			Signature: e.Receipt.Signature,
		}}}
	case shelf.Released:
		m := &deliveryv1.DeliveryReleased{
			DeliveryId: e.Delivery.String(), AgreementId: e.Agreement.String(), BidId: e.Bid.String(), SubscriberId: e.Subscriber.String(),
			Slots: uint32(e.Slots), Currency: e.Currency, ReleaseEventId: e.ReleaseEvent[:], ElapsedUs: e.Elapsed.Microseconds(), Last: e.Last,
		}
		if e.Answer.Sealed != nil {
			m.Answer = &deliveryv1.ReleasedKey{BuyerKeyId: e.Answer.BuyerKey, SealedKey: e.Answer.Sealed}
		}
		return &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryReleased{DeliveryReleased: m}}
	case shelf.Blocked:
		return &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryBlocked{DeliveryBlocked: &deliveryv1.DeliveryBlocked{
			DeliveryId: e.Delivery.String(), AgreementId: e.Agreement.String(), Reason: ReasonProto(e.Reason), Final: e.Final,
		}}}
	case shelf.Lapsed:
		return &deliveryv1.Event{Event: &deliveryv1.Event_DeliveryLapsed{DeliveryLapsed: &deliveryv1.DeliveryLapsed{
			DeliveryId: e.Delivery.String(), AgreementId: e.Agreement.String(),
		}}}
	case shelf.DeletionOrdered:
		m := &deliveryv1.DeletionOrdered{AgreementId: e.Agreement.String(), Reason: deliveryv1.EndReason(e.Reason), Due: e.Due.UnixMicro()}
		for _, d := range e.Deliveries {
			m.DeliveryIds = append(m.DeliveryIds, d.String())
		}
		return &deliveryv1.Event{Event: &deliveryv1.Event_DeletionOrdered{DeletionOrdered: m}}
	}
	panic(fmt.Sprintf("wire: no arm for %T", e))
}

func prepared(e shelf.Prepared) *deliveryv1.DeliveryPrepared {
	c := e.Contents
	m := &deliveryv1.DeliveryPrepared{
		DeliveryId: e.Delivery.String(), AgreementId: e.Agreement.String(), SubscriberId: e.Subscriber.String(), Sequence: uint32(e.Sequence),
		SchemaVersion: c.Schema, Bytes: uint64(c.Bytes), Rows: uint32(c.Rows), ExpectedSlots: uint32(c.Expected), ValidSlots: uint32(c.Valid),
		DeliveredSlots: uint32(len(c.Slots)), Digest: c.Digest[:], BuyerKeyId: c.BuyerKey, PseudonymScope: c.Scope, PseudonymEpoch: c.Epoch,
		MinimiserVersion: c.Minimiser, LapsesAt: e.LapsesAt.UnixMicro(),
	}
	for _, d := range c.Slots {
		m.Slots = append(m.Slots, d.String())
	}
	return m
}

func (r *ids) agreement(s string) shelf.AgreementID {
	return shelf.AgreementID{ID: r.read("agreement_id", s)}
}

func (r *ids) delivery(s string) shelf.DeliveryID {
	return shelf.DeliveryID{ID: r.read("delivery_id", s)}
}
func (r *ids) bid(s string) shelf.BidID { return shelf.BidID{ID: r.read("bid_id", s)} }
func (r *ids) subscriber(s string) shelf.SubscriberID {
	return shelf.SubscriberID{ID: r.read("subscriber_id", s)}
}

// day reads a local day.
func (r *ids) day(field, s string) shelf.Day {
	d, err := shelf.ParseDay(s)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("wire: %s: no day YYYY-MM-DD", field)
	}
	return d
}

// Licence reads what was agreed.
func Licence(m *marketv1.Licence) (shelf.Licence, error) {
	var r ids
	l := r.licence(m)
	return l, r.err
}

func (r *ids) licence(m *marketv1.Licence) shelf.Licence {
	return shelf.Licence{
		Agreement: r.agreement(m.GetAgreementId()), Offer: shelf.OfferID{ID: r.read("offer_id", m.GetOfferId())}, Bid: r.bid(m.GetBidId()),
		Buyer: shelf.BuyerID{ID: r.read("buyer_id", m.GetBuyerId())}, Group: shelf.GroupID{ID: r.read("group_id", m.GetGroupId())},
		Subscriber: r.subscriber(m.GetSubscriberId()), Product: m.GetProduct().GetId(), Purpose: m.GetPurpose(), Currency: m.GetUnitPrice().GetCurrency(),
		Slots: int(m.GetSlotsReserved()), First: r.day("slots.first", m.GetSlots().GetFirst()), Last: r.day("slots.last", m.GetSlots().GetLast()),
		Cadence: shelf.Cadence(m.GetCadence()),
	}
}

// puts reads an event of a shelf; nil where the arm is not one.
func puts(m *deliveryv1.Event) (shelf.Event, error) {
	var r ids
	e := r.puts(m)
	return e, r.err
}

func (r *ids) puts(m *deliveryv1.Event) shelf.Event {
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_AgreementTaken:
		return r.taken(arm.AgreementTaken)
	case *deliveryv1.Event_AgreementCleared:
		e := arm.AgreementCleared
		return shelf.Cleared{Agreement: r.agreement(e.GetAgreementId()), DueAt: moment(e.GetDueAt())}
	case *deliveryv1.Event_SlotsAwaited:
		e := arm.SlotsAwaited
		return shelf.Awaited{Agreement: r.agreement(e.GetAgreementId()), DueAt: moment(e.GetDueAt())}
	case *deliveryv1.Event_AgreementEnded:
		e := arm.AgreementEnded
		return shelf.Ended{
			Agreement: r.agreement(e.GetAgreementId()), Offer: shelf.OfferID{ID: r.read("offer_id", e.GetOfferId())}, Bid: r.bid(e.GetBidId()),
			Subscriber: r.subscriber(e.GetSubscriberId()), Currency: e.GetCurrency(), Released: int(e.GetSlotsReleased()), Reason: shelf.EndReason(e.GetReason()),
		}
	case *deliveryv1.Event_DeliveryPrepared:
		return r.prepared(arm.DeliveryPrepared)
	case *deliveryv1.Event_PackageResealed:
		e := arm.PackageResealed
		return shelf.Resealed{Delivery: r.delivery(e.GetDeliveryId()), BuyerKey: e.GetBuyerKeyId()}
	case *deliveryv1.Event_ReceiptSigned:
		e := arm.ReceiptSigned
		out := shelf.Receipted{Delivery: r.delivery(e.GetDeliveryId()), Agreement: r.agreement(e.GetAgreementId())}
		out.Receipt = shelf.Receipt{BuyerKey: e.GetBuyerKeyId(), Signature: e.GetSignature()}
		copy(out.Receipt.Digest[:], e.GetDigest())
		return out
	case *deliveryv1.Event_DeliveryReleased:
		e := arm.DeliveryReleased
		out := shelf.Released{
			Delivery: r.delivery(e.GetDeliveryId()), Agreement: r.agreement(e.GetAgreementId()), Bid: r.bid(e.GetBidId()),
			Subscriber: r.subscriber(e.GetSubscriberId()), Slots: int(e.GetSlots()), Currency: e.GetCurrency(),
			Elapsed: time.Duration(e.GetElapsedUs()) * time.Microsecond, Last: e.GetLast(),
			Answer: shelf.Answer{BuyerKey: e.GetAnswer().GetBuyerKeyId(), Sealed: e.GetAnswer().GetSealedKey()},
		}
		copy(out.ReleaseEvent[:], e.GetReleaseEventId())
		return out
	case *deliveryv1.Event_DeliveryBlocked:
		e := arm.DeliveryBlocked
		return shelf.Blocked{
			Delivery: r.delivery(e.GetDeliveryId()), Agreement: r.agreement(e.GetAgreementId()), Reason: ReasonName(e.GetReason()), Final: e.GetFinal(),
		}
	case *deliveryv1.Event_DeliveryLapsed:
		e := arm.DeliveryLapsed
		return shelf.Lapsed{Delivery: r.delivery(e.GetDeliveryId()), Agreement: r.agreement(e.GetAgreementId())}
	case *deliveryv1.Event_DeletionOrdered:
		e := arm.DeletionOrdered
		out := shelf.DeletionOrdered{
			Agreement: r.agreement(e.GetAgreementId()), Reason: shelf.EndReason(e.GetReason()), Due: time.UnixMicro(e.GetDue()).UTC(),
		}
		for _, d := range e.GetDeliveryIds() {
			out.Deliveries = append(out.Deliveries, r.delivery(d))
		}
		return out
	}
	return nil
}

// taken reads an agreement. Once its proof is forgotten the licence is empty: the agreement is known to have been, and its
// buyer and product are not.
func (r *ids) taken(e *deliveryv1.AgreementTaken) shelf.Event {
	out := shelf.Taken{Cleared: e.GetCleared(), DueAt: moment(e.GetDueAt())}
	if e.GetLicence() == nil {
		out.Licence.Agreement, out.Licence.Subscriber = r.agreement(e.GetAgreementId()), r.subscriber(e.GetSubscriberId())
		out.Licence.Bid = r.bid(e.GetBidId())
		return out
	}
	out.Licence = r.licence(e.GetLicence())
	document, err := proto.MarshalOptions{Deterministic: true}.Marshal(e.GetLicence())
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("wire: licence: %w", err)
	}
	out.Document = document
	return out
}

func (r *ids) prepared(e *deliveryv1.DeliveryPrepared) shelf.Event {
	out := shelf.Prepared{
		Delivery: r.delivery(e.GetDeliveryId()), Agreement: r.agreement(e.GetAgreementId()), Subscriber: r.subscriber(e.GetSubscriberId()),
		Sequence: int(e.GetSequence()), LapsesAt: time.UnixMicro(e.GetLapsesAt()).UTC(),
		Contents: shelf.Contents{
			Schema: e.GetSchemaVersion(), Bytes: int64(e.GetBytes()), Rows: int(e.GetRows()), Expected: int(e.GetExpectedSlots()),
			Valid: int(e.GetValidSlots()), BuyerKey: e.GetBuyerKeyId(), Scope: e.GetPseudonymScope(), Epoch: e.GetPseudonymEpoch(),
			Minimiser: e.GetMinimiserVersion(),
		},
	}
	copy(out.Contents.Digest[:], e.GetDigest())
	for _, s := range e.GetSlots() {
		out.Contents.Slots = append(out.Contents.Slots, r.day("slots", s))
	}
	return out
}

// micros is a moment as the contract writes it; 0 for none.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// moment is micros' inverse.
func moment(us int64) time.Time {
	if us == 0 {
		return time.Time{}
	}
	return time.UnixMicro(us).UTC()
}
