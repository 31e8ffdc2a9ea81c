package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	marketv1 "github.com/obole-market/obole/proto/gen/obole/market/v1"
	moneyv1 "github.com/obole-market/obole/proto/gen/obole/money/v1"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	"github.com/obole-market/obole/services/offers/internal/bid"
)

// Schema names the form of this context's events, in what their boxes are bound to.
const Schema = "obole.offers.v1"

// Fold is the version of the bid's Evolve and Touches, and of the rows' form.
const Fold = 2

// Bids are the rules of the root bid. What a person is shown and accepts is sealed with the person's *vault.Ring; all other commands, and
// whoever only decides or counts, need no keys.
func Bids() es.Rules[bid.State, bid.Command, bid.Event] {
	return es.Rules[bid.State, bid.Command, bid.Event]{
		Name: "bid",
		Fold: Fold,
		Streams: func(c bid.Command) []es.Stream {
			reads := bid.Reads(c)
			streams := make([]es.Stream, len(reads))
			for i, on := range reads {
				streams[i] = Stream(on)
			}
			return streams
		},
		Creates: func(c bid.Command) (es.Stream, bool) {
			on, ok := bid.Creates(c)
			return Stream(on), ok
		},
		Decide: func(state func(es.Stream) bid.State, c bid.Command, at time.Time) ([]es.Entry[bid.Event], error) {
			entries, err := bid.Decide(func(on bid.On) bid.State { return state(Stream(on)) }, c, at)
			if err != nil {
				return nil, err
			}
			out := make([]es.Entry[bid.Event], len(entries))
			for i, e := range entries {
				out[i] = es.Entry[bid.Event]{Stream: Stream(e.On), Event: e.Event}
			}
			return out, nil
		},
		Evolve: func(s bid.State, on es.Stream, e es.Entry[bid.Event]) bid.State {
			return bid.Evolve(s, place(on), e.Event)
		},
		Touch: func(e es.Entry[bid.Event]) []es.Stream {
			touched := bid.Touches(bid.Entry{On: place(e.Stream), Event: e.Event})
			streams := make([]es.Stream, len(touched))
			for i, on := range touched {
				streams[i] = Stream(on)
			}
			return streams
		},
		Encode: func(e bid.Event, h *es.Header, keys any) (string, []byte, error) {
			switch e := e.(type) {
			case bid.Placed:
				return encodePlaced(e, h)
			case bid.Presented, bid.Accepted:
				return seal(bidProto(e), h, keys)
			}
			return encode(bidProto(e), h)
		},
		Decode: func(r *es.Record, keys any) (bid.Event, error) {
			m, err := Decode(r.Data)
			if err != nil {
				return nil, err
			}
			// A bid has offers to many people, and a command has the keys of one at most.
			if ring, ok := keys.(*vault.Ring); ok && ring.Subject().String() == Person(m) {
				if _, err := Open(m, r, ring); err != nil {
					return nil, err
				}
			}
			e, err := bidEvent(m)
			if err == nil && e == nil {
				err = es.ErrUnknownArm
			}
			return e, err
		},
		EncodeState: func(s bid.State, _ es.Stream, _ any) ([]byte, error) { return encodeState(s) },
		DecodeState: func(b []byte, _ es.Stream, _ any) (bid.State, error) { return decodeState(b) },
	}
}

func encode(m *offersv1.Event, h *es.Header) (string, []byte, error) {
	m.Meta = h.Meta
	data, err := proto.Marshal(m)
	if err != nil {
		return "", nil, fmt.Errorf("wire: %w", err)
	}
	return Arm(m), data, nil
}

// seal is encode of an event that tells of a person.
func seal(m *offersv1.Event, h *es.Header, keys any) (string, []byte, error) {
	ring, ok := keys.(*vault.Ring)
	if !ok {
		return "", nil, es.ErrKeys
	}
	m.Meta = vault.Meta(h.Meta)
	typ := Arm(m)
	sealed, err := ring.Seal(m, vault.AAD(h.ID, string(h.Stream), int64(h.Version), typ, Schema))
	if err != nil {
		return "", nil, fmt.Errorf("wire: seal %s: %w", typ, err)
	}
	m.Sealed = sealed
	data, err := proto.Marshal(m)
	if err != nil {
		return "", nil, fmt.Errorf("wire: %w", err)
	}
	return typ, data, nil
}

// Person is whose keys seal an event; empty where it has nothing sealed.
func Person(m *offersv1.Event) string {
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_OfferPresented:
		return arm.OfferPresented.GetSubscriberId()
	case *offersv1.Event_OfferAccepted:
		return arm.OfferAccepted.GetSubscriberId()
	}
	return ""
}

// Open puts back what is personal in a stored event, and says whether anything of it is forgotten, which stays empty. An event of before
// any was sealed is as it is.
func Open(m *offersv1.Event, r *es.Record, ring *vault.Ring) (forgotten bool, err error) {
	if len(m.GetSealed()) == 0 {
		return false, nil
	}
	gone, err := ring.Open(m, m.GetSealed(), vault.AAD(r.ID, string(r.Stream), int64(r.Version), r.Type, Schema))
	if errors.Is(err, vault.ErrKeyUnknown) {
		return false, es.ErrKeys
	}
	if err != nil {
		return false, fmt.Errorf("wire: open %s: %w", r.Type, err)
	}
	return len(gone) > 0, nil
}

// encodePlaced is encode of a BidPlaced. Its message was serialised before it was queued, and is not read and written again by the writer,
// who has no time for it.
func encodePlaced(p bid.Placed, h *es.Header) (string, []byte, error) {
	// Reckoned anew: the writer fills one Meta in for event after event, and what it remembers of its size is an earlier one's.
	meta := proto.Size(h.Meta)
	b := make([]byte, 0, meta+len(p.Body)+2*(protowire.SizeTag(placedArm.Number())+protowire.SizeVarint(uint64(meta+len(p.Body)))))
	b = protowire.AppendVarint(protowire.AppendTag(b, metaField, protowire.BytesType), uint64(meta))
	b, err := proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, h.Meta)
	if err != nil {
		return "", nil, fmt.Errorf("wire: %w", err)
	}
	b = protowire.AppendBytes(protowire.AppendTag(b, placedArm.Number(), protowire.BytesType), p.Body)
	return string(placedArm.Name()), b, nil
}

// PlacedBody is the message of a stored BidPlaced as it stands there, which is how Body serialised it; nil for any other event. Whoever keeps the
// message need not read and write what is around it.
func PlacedBody(data []byte) []byte {
	var body []byte
	for len(data) > 0 {
		number, typ, n := protowire.ConsumeTag(data)
		if n < 0 {
			return nil // Decode says what is wrong
		}
		end := protowire.ConsumeFieldValue(number, typ, data[n:])
		if end < 0 {
			return nil
		}
		switch {
		case number == metaField:
		case number != placedArm.Number() || typ != protowire.BytesType || body != nil:
			return nil
		default:
			body, _ = protowire.ConsumeBytes(data[n:])
		}
		data = data[n+end:]
	}
	return body
}

// Decode reads a stored event, and lifts what was written before licences were sealed: its ids and slots stood in the licence.
func Decode(data []byte) (*offersv1.Event, error) {
	m := new(offersv1.Event)
	if err := proto.Unmarshal(data, m); err != nil {
		return nil, fmt.Errorf("wire: %w", err)
	}
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_OfferAccepted:
		if e, l := arm.OfferAccepted, arm.OfferAccepted.GetLicence(); l != nil && e.GetAgreementId() == "" {
			e.AgreementId, e.BidId, e.SubscriberId, e.Slots = l.GetAgreementId(), l.GetBidId(), l.GetSubscriberId(), l.GetSlotsReserved()
		}
	case *offersv1.Event_AgreementFormed:
		if e, l := arm.AgreementFormed, arm.AgreementFormed.GetLicence(); l != nil && e.GetAgreementId() == "" {
			e.AgreementId, e.OfferId, e.BidId = l.GetAgreementId(), l.GetOfferId(), l.GetBidId()
			e.SubscriberId, e.BuyerId, e.Slots = l.GetSubscriberId(), l.GetBuyerId(), l.GetSlotsReserved()
		}
	}
	return m, nil
}

// Arm is the type of an event: the name of the arm that is set.
func Arm(m *offersv1.Event) string {
	if f := m.ProtoReflect().WhichOneof(arms); f != nil {
		return string(f.Name())
	}
	return ""
}

var (
	message   = (*offersv1.Event)(nil).ProtoReflect().Descriptor()
	arms      = message.Oneofs().ByName("event")
	placedArm = arms.Fields().ByName("bid_placed")
	metaField = message.Fields().ByName("meta").Number()
)

// Stream is the name of a bid's or an offer's stream.
func Stream(on bid.On) es.Stream {
	s := es.StreamOf(on.Bid.ID)
	if on.Offer.IsZero() {
		return s
	}
	return s.Child(on.Offer.ID)
}

// place is Stream's inverse, for names that Stream has made.
func place(s es.Stream) (on bid.On) {
	const text = 36
	on.Bid.ID, _ = id.Parse(s.Root())
	if len(s) > text {
		on.Offer.ID, _ = id.Parse(string(s[text+1:]))
	}
	return on
}

// Terms reads what deciding needs off a BidPlaced.
func Terms(p *offersv1.BidPlaced) (bid.Terms, error) {
	var r ids
	t := p.GetTerms()
	first, err1 := time.Parse(time.DateOnly, t.GetSlots().GetFirst())
	last, err2 := time.Parse(time.DateOnly, t.GetSlots().GetLast())
	out := bid.Terms{
		Buyer: bid.BuyerID{ID: r.read("buyer_id", p.GetBuyerId())}, UnitPrice: t.GetUnitPrice().GetMicros(), Quantity: int64(p.GetQuantity()),
		MaxPerPerson: int64(t.GetMaxSlotsPerPerson()), Days: int64(last.Sub(first).Hours()/24) + 1, CohortMin: int64(p.GetCohortMin()),
		OpensAt: micros(p.GetOpensAt()), ClosesAt: micros(p.GetClosesAt()), Health: p.GetHealth(),
	}
	for _, f := range t.GetFields() {
		out.Fields = append(out.Fields, bid.Field{ID: f.GetId(), Rung: f.GetRung(), Required: f.GetRequired(), SharePPM: int64(f.GetSharePpm())})
	}
	return out, errors.Join(r.err, err1, err2)
}

// Placed reads the BidPlaced that a bid's state keeps.
func Placed(b bid.Bid) *offersv1.BidPlaced {
	m := new(offersv1.BidPlaced)
	_ = proto.Unmarshal(b.Body, m) // Place has been given it by Body
	return m
}

// Body is how the domain keeps a BidPlaced.
func Body(p *offersv1.BidPlaced) []byte { return Marshal(p) }

// Licence is how the domain keeps a licence.
func Licence(l *marketv1.Licence) []byte { return Marshal(l) }

// Granted reads the licence of an acceptance.
func Granted(e bid.Accepted) *marketv1.Licence { return licence(e.Licence, e.Agreement, e.Slots) }

func licence(raw []byte, a bid.AgreementID, slots int64) *marketv1.Licence {
	m := new(marketv1.Licence)
	_ = proto.Unmarshal(raw, m) // Licence has made it
	m.AgreementId, m.SlotsReserved = a.String(), uint32(slots)
	return m
}

func micros(v int64) time.Time { return time.UnixMicro(v).UTC() }

func bidProto(e bid.Event) *offersv1.Event {
	switch e := e.(type) {
	case bid.Placed:
		return &offersv1.Event{Event: &offersv1.Event_BidPlaced{BidPlaced: Placed(bid.Bid{Body: e.Body})}}
	case bid.Opened:
		return &offersv1.Event{Event: &offersv1.Event_BidOpened{BidOpened: &offersv1.BidOpened{BidId: e.Bid.String(), Held: &moneyv1.Money{Minor: e.Held, Currency: e.Currency}}}}
	case bid.Rejected:
		return &offersv1.Event{Event: &offersv1.Event_BidRejected{BidRejected: &offersv1.BidRejected{BidId: e.Bid.String(), Reason: ReasonProto(e.Reason)}}}
	case bid.Cleared:
		return &offersv1.Event{Event: &offersv1.Event_BidCleared{BidCleared: &offersv1.BidCleared{BidId: e.Bid.String(), Count: uint32(e.Count)}}}
	case bid.Confirmed:
		return &offersv1.Event{Event: &offersv1.Event_CohortConfirmed{CohortConfirmed: &offersv1.CohortConfirmed{BidId: e.Bid.String(), Live: uint32(e.Live)}}}
	case bid.Withdrawn:
		return &offersv1.Event{Event: &offersv1.Event_BidWithdrawn{BidWithdrawn: &offersv1.BidWithdrawn{BidId: e.Bid.String()}}}
	case bid.Closed:
		return &offersv1.Event{Event: &offersv1.Event_BidClosed{BidClosed: &offersv1.BidClosed{BidId: e.Bid.String(), Reason: offersv1.CloseReason(e.Reason)}}}
	case bid.Drained:
		return &offersv1.Event{Event: &offersv1.Event_BidDrained{BidDrained: &offersv1.BidDrained{
			BidId: e.Bid.String(), BuyerId: e.Buyer.String(), SlotsDelivered: uint32(e.Delivered),
		}}}
	case bid.Presented:
		return &offersv1.Event{Event: &offersv1.Event_OfferPresented{OfferPresented: &offersv1.OfferPresented{
			OfferId: e.Offer.String(), BidId: e.Bid.String(), SubscriberId: e.Subscriber.String(), NoticeVersion: e.Notice, Language: e.Language,
			CardSha256: e.Card[:], BidVersion: 1,
		}}}
	case bid.Accepted:
		m := &offersv1.OfferAccepted{
			OfferId: e.Offer.String(), Licence: licence(e.Licence, e.Agreement, e.Slots), CardSha256: e.Card[:], AnswerDue: e.AnswerDue.UnixMicro(),
			AgreementId: e.Agreement.String(), BidId: e.Bid.String(), SubscriberId: e.Subscriber.String(), Slots: uint32(e.Slots),
		}
		if !e.ExplicitStep.IsZero() {
			m.ExplicitStepAt = e.ExplicitStep.UnixMicro()
		}
		return &offersv1.Event{Event: &offersv1.Event_OfferAccepted{OfferAccepted: m}}
	case bid.Declined:
		return &offersv1.Event{Event: &offersv1.Event_OfferDeclined{OfferDeclined: &offersv1.OfferDeclined{
			OfferId: e.Offer.String(), BidId: e.Bid.String(), SubscriberId: e.Subscriber.String(),
		}}}
	case bid.Voided:
		return &offersv1.Event{Event: &offersv1.Event_OfferVoided{OfferVoided: &offersv1.OfferVoided{
			OfferId: e.Offer.String(), BidId: e.Bid.String(), AgreementId: e.Agreement.String(), SubscriberId: e.Subscriber.String(), Reason: e.Reason,
			Slots: uint32(e.Slots), Consented: e.Agreed,
		}}}
	case bid.Formed:
		return &offersv1.Event{Event: &offersv1.Event_AgreementFormed{AgreementFormed: &offersv1.AgreementFormed{
			AgreementId: e.Agreement.String(), OfferId: e.Offer.String(), BidId: e.Bid.String(), SubscriberId: e.Subscriber.String(),
			BuyerId: e.Buyer.String(), Slots: uint32(e.Slots), BidVersion: 1, ConsentEventId: e.ConsentEvent[:], Cleared: e.Cleared,
		}}}
	case bid.Finished:
		return &offersv1.Event{Event: &offersv1.Event_AgreementFinished{AgreementFinished: &offersv1.AgreementFinished{
			AgreementId: e.Agreement.String(), BidId: e.Bid.String(), OfferId: e.Offer.String(), SlotsDelivered: uint32(e.Delivered), Reason: e.Reason,
		}}}
	}
	panic(fmt.Sprintf("wire: no arm for %T", e))
}

// bidEvent reads an event about a bid or an offer; nil where this version of the service has no rule for the arm.
func bidEvent(m *offersv1.Event) (bid.Event, error) {
	var r ids
	e, err := r.bid(m)
	return e, errors.Join(err, r.err)
}

func (r *ids) number(s string) bid.ID     { return bid.ID{ID: r.read("bid_id", s)} }
func (r *ids) offer(s string) bid.OfferID { return bid.OfferID{ID: r.read("offer_id", s)} }
func (r *ids) person(s string) bid.SubscriberID {
	return bid.SubscriberID{ID: r.read("subscriber_id", s)}
}

func (r *ids) deal(s string) bid.AgreementID { return bid.AgreementID{ID: r.read("agreement_id", s)} }

func (r *ids) bid(m *offersv1.Event) (bid.Event, error) {
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_BidPlaced:
		terms, err := Terms(arm.BidPlaced)
		return bid.Placed{Bid: r.number(arm.BidPlaced.GetBidId()), Terms: terms, Body: Body(arm.BidPlaced)}, err
	case *offersv1.Event_BidOpened:
		e := arm.BidOpened
		return bid.Opened{Bid: r.number(e.GetBidId()), Held: e.GetHeld().GetMinor(), Currency: e.GetHeld().GetCurrency()}, nil
	case *offersv1.Event_BidRejected:
		return bid.Rejected{Bid: r.number(arm.BidRejected.GetBidId()), Reason: ReasonName(arm.BidRejected.GetReason())}, nil
	case *offersv1.Event_BidCleared:
		return bid.Cleared{Bid: r.number(arm.BidCleared.GetBidId()), Count: int64(arm.BidCleared.GetCount())}, nil
	case *offersv1.Event_CohortConfirmed:
		return bid.Confirmed{Bid: r.number(arm.CohortConfirmed.GetBidId()), Live: int64(arm.CohortConfirmed.GetLive())}, nil
	case *offersv1.Event_BidWithdrawn:
		return bid.Withdrawn{Bid: r.number(arm.BidWithdrawn.GetBidId())}, nil
	case *offersv1.Event_BidClosed:
		return bid.Closed{Bid: r.number(arm.BidClosed.GetBidId()), Reason: bid.CloseReason(arm.BidClosed.GetReason())}, nil
	case *offersv1.Event_BidDrained:
		e := arm.BidDrained
		return bid.Drained{Bid: r.number(e.GetBidId()), Buyer: bid.BuyerID{ID: r.read("buyer_id", e.GetBuyerId())}, Delivered: int64(e.GetSlotsDelivered())}, nil
	case *offersv1.Event_OfferPresented:
		e := arm.OfferPresented
		return bid.Presented{
			Bid: r.number(e.GetBidId()), Offer: r.offer(e.GetOfferId()), Subscriber: r.person(e.GetSubscriberId()), Notice: e.GetNoticeVersion(),
			Language: e.GetLanguage(), Card: sum(e.GetCardSha256()),
		}, nil
	case *offersv1.Event_OfferAccepted:
		e := arm.OfferAccepted
		out := bid.Accepted{
			Bid: r.number(e.GetBidId()), Offer: r.offer(e.GetOfferId()), Subscriber: r.person(e.GetSubscriberId()), Agreement: r.deal(e.GetAgreementId()),
			Card: sum(e.GetCardSha256()), Slots: int64(e.GetSlots()), AnswerDue: micros(e.GetAnswerDue()),
		}
		if l := e.GetLicence(); l != nil {
			out.Licence = Licence(l)
		}
		if e.GetExplicitStepAt() > 0 {
			out.ExplicitStep = micros(e.GetExplicitStepAt())
		}
		return out, nil
	case *offersv1.Event_OfferDeclined:
		e := arm.OfferDeclined
		return bid.Declined{Bid: r.number(e.GetBidId()), Offer: r.offer(e.GetOfferId()), Subscriber: r.person(e.GetSubscriberId())}, nil
	case *offersv1.Event_OfferVoided:
		e := arm.OfferVoided
		return bid.Voided{
			Bid: r.number(e.GetBidId()), Offer: r.offer(e.GetOfferId()), Subscriber: r.person(e.GetSubscriberId()), Agreement: r.deal(e.GetAgreementId()),
			Reason: e.GetReason(), Slots: int64(e.GetSlots()), Agreed: e.GetConsented(),
		}, nil
	case *offersv1.Event_AgreementFormed:
		e := arm.AgreementFormed
		out := bid.Formed{
			Bid: r.number(e.GetBidId()), Offer: r.offer(e.GetOfferId()), Subscriber: r.person(e.GetSubscriberId()), Agreement: r.deal(e.GetAgreementId()),
			Buyer: bid.BuyerID{ID: r.read("buyer_id", e.GetBuyerId())}, Slots: int64(e.GetSlots()), Cleared: e.GetCleared(),
		}
		copy(out.ConsentEvent[:], e.GetConsentEventId())
		return out, nil
	case *offersv1.Event_AgreementFinished:
		e := arm.AgreementFinished
		return bid.Finished{
			Bid: r.number(e.GetBidId()), Offer: r.offer(e.GetOfferId()), Agreement: r.deal(e.GetAgreementId()), Delivered: int64(e.GetSlotsDelivered()), Reason: e.GetReason(),
		}, nil
	}
	return nil, nil
}

func sum(b []byte) (out [32]byte) {
	copy(out[:], b)
	return out
}

const reasonPrefix = "REASON_"

// ReasonProto is the contract's Reason of a name as refusals carry it.
func ReasonProto(name string) offersv1.Reason {
	return offersv1.Reason(offersv1.Reason_value[reasonPrefix+name])
}

// ReasonName is ReasonProto's inverse; empty for the unset reason, a number for one of a newer process.
func ReasonName(r offersv1.Reason) string {
	if r == offersv1.Reason_REASON_UNSPECIFIED {
		return ""
	}
	return strings.TrimPrefix(r.String(), reasonPrefix)
}

// A state row is a byte for the kind of state and then its JSON; what does not exist is an empty row.
const (
	rowBid   = 'b'
	rowOffer = 'o'
)

var errRow = errors.New("wire: malformed state row")

func encodeState(s bid.State) ([]byte, error) {
	kind := byte(rowBid)
	switch s.(type) {
	case nil:
		return []byte{}, nil
	case bid.Offer:
		kind = rowOffer
	}
	b, err := json.Marshal(s)
	return append([]byte{kind}, b...), err
}

func decodeState(b []byte) (bid.State, error) {
	if len(b) == 0 {
		return nil, nil
	}
	var err error
	switch b[0] {
	case rowBid:
		var s bid.Bid
		if err = json.Unmarshal(b[1:], &s); err == nil {
			return s, nil
		}
	case rowOffer:
		var s bid.Offer
		if err = json.Unmarshal(b[1:], &s); err == nil {
			return s, nil
		}
	}
	return nil, errors.Join(errRow, err)
}
