package view

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	offersv1 "github.com/obole-market/obole/proto/gen/obole/offers/v1"
)

// flood gathers the events of offers that come in floods, one statement for all of a kind: a statement of its own costs each of them more than
// its rows do. The kinds are written in the order of an offer's life, so they are gathered only as long as no offer goes back in it, or is shown twice; any
// other event is written behind what is gathered.
type flood struct {
	b         *pgx.Batch
	reached   map[string]stage // by offer
	presented struct {
		offer, bid, subscriber []string
		card                   [][]byte
	}
	accepted struct {
		offer, agreement []string
		slots            []int64
		due              []time.Time
		stream, typ      []string
		version          []int64
		event            [][16]byte
		data             [][]byte
	}
	formed struct {
		offer, bid []string
		slots      []int64
	}
	finished []string
}

// stage of an offer's life.
type stage int

const (
	presented stage = iota + 1
	accepted
	formed
	finished
)

// reach begins another round where an offer would not go on.
func (f *flood) reach(offer string, s stage) {
	if f.reached[offer] >= s {
		f.flush()
	}
	if f.reached == nil {
		f.reached = map[string]stage{}
	}
	f.reached[offer] = s
}

// add takes an event if it is of a kind that comes in floods.
func (f *flood) add(r *es.Record, m *offersv1.Event) bool {
	switch arm := m.GetEvent().(type) {
	case *offersv1.Event_OfferPresented:
		e, p := arm.OfferPresented, &f.presented
		f.reach(e.GetOfferId(), presented)
		p.offer, p.bid, p.subscriber = append(p.offer, e.GetOfferId()), append(p.bid, e.GetBidId()), append(p.subscriber, e.GetSubscriberId())
		p.card = append(p.card, e.GetCardSha256())
	case *offersv1.Event_OfferAccepted:
		e, a := arm.OfferAccepted, &f.accepted
		f.reach(e.GetOfferId(), accepted)
		a.offer, a.agreement = append(a.offer, e.GetOfferId()), append(a.agreement, e.GetAgreementId())
		a.slots, a.due = append(a.slots, int64(e.GetSlots())), append(a.due, at(e.GetAnswerDue()))
		a.stream, a.typ, a.version = append(a.stream, string(r.Stream)), append(a.typ, r.Type), append(a.version, int64(r.Version))
		a.event, a.data = append(a.event, r.ID), append(a.data, r.Data)
	case *offersv1.Event_AgreementFormed:
		e, x := arm.AgreementFormed, &f.formed
		f.reach(e.GetOfferId(), formed)
		x.offer, x.bid, x.slots = append(x.offer, e.GetOfferId()), append(x.bid, e.GetBidId()), append(x.slots, int64(e.GetSlots()))
	case *offersv1.Event_AgreementFinished:
		e := arm.AgreementFinished
		f.reach(e.GetOfferId(), finished)
		f.finished = append(f.finished, e.GetOfferId())
	default:
		return false
	}
	return true
}

// flush writes what is gathered.
func (f *flood) flush() {
	if p := &f.presented; len(p.offer) > 0 {
		f.b.Queue(`
			insert into offer (offer, bid, subscriber, state, card, slots, voided)
			select offer, bid, subscriber, 'presented', card, 0, ''
			from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::bytea[]) p (offer, bid, subscriber, card)
			on conflict (offer) do update set state = 'presented', card = excluded.card, agreement = null, slots = 0, voided = ''`,
			p.offer, p.bid, p.subscriber, p.card)
	}
	if a := &f.accepted; len(a.offer) > 0 {
		f.b.Queue(`
			with a as (
				select * from unnest($1::uuid[], $2::uuid[], $3::bigint[], $4::timestamptz[], $5::text[], $6::bigint[], $7::text[], $8::uuid[], $9::bytea[])
					a (offer, agreement, slots, due, stream, version, type, event, data)
			), stored as (insert into acceptance (agreement, stream, version, type, event, data) select agreement, stream, version, type, event, data from a)
			update offer o set state = 'accepted', agreement = a.agreement, slots = a.slots, answer_due = a.due from a where o.offer = a.offer`,
			a.offer, a.agreement, a.slots, a.due, a.stream, a.version, a.typ, a.event, a.data)
	}
	if x := &f.formed; len(x.offer) > 0 {
		f.b.Queue(`
			with x as (select * from unnest($1::uuid[], $2::uuid[], $3::bigint[]) x (offer, bid, slots)),
			own as (update offer o set state = 'agreed' from x where o.offer = x.offer)
			update bid b set consented = consented + s.slots from (select bid, sum(slots) as slots from x group by bid) s where b.bid = s.bid`,
			x.offer, x.bid, x.slots)
	}
	if len(f.finished) > 0 {
		f.b.Queue(`update offer set state = 'finished' where offer = any($1::uuid[])`, f.finished)
	}
	*f = flood{b: f.b}
}
