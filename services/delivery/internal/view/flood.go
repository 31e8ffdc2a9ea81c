package view

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	deliveryv1 "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
)

// flood gathers the events that come in floods, one statement for all of a kind: a statement of its own costs each of them more than its rows
// do. The kinds are written in the order of an agreement's life, in which none goes back; any other event is written behind what is gathered.
type flood struct {
	b     *pgx.Batch
	taken struct {
		agreement, shelf, subscriber, bid []string
		cleared                           []bool
		due                               []*time.Time
		events
	}
	prepared struct {
		delivery, shelf, subscriber, agreement, deal []string
		sequence, slots, partition                   []int32
		bytes, position                              []int64
		digest                                       [][]byte
		at, lapses                                   []time.Time
		events
	}
	released struct {
		delivery, stream, deal []string
		position               []int64
		at                     []time.Time
		finish                 []*time.Time
	}
	ended struct{ agreement, stream []string }
}

// events are the columns by which a row carries its event.
type events struct {
	stream  []string
	version []int64
	event   [][16]byte
	data    [][]byte
}

func (e *events) add(r *es.Record) {
	e.stream, e.version = append(e.stream, string(r.Stream)), append(e.version, int64(r.Version))
	e.event, e.data = append(e.event, r.ID), append(e.data, r.Data)
}

// add takes an event if it is of a kind that comes in floods.
func (f *flood) add(r *es.Record, m *deliveryv1.Event) bool {
	switch arm := m.GetEvent().(type) {
	case *deliveryv1.Event_AgreementTaken:
		f.take(r, arm.AgreementTaken)
	case *deliveryv1.Event_DeliveryPrepared:
		f.prepare(r, arm.DeliveryPrepared)
	case *deliveryv1.Event_DeliveryReleased:
		f.release(r, arm.DeliveryReleased)
	case *deliveryv1.Event_AgreementEnded:
		e := arm.AgreementEnded
		f.ended.agreement, f.ended.stream = append(f.ended.agreement, e.GetAgreementId()), append(f.ended.stream, string(r.Stream))
	default:
		return false
	}
	return true
}

func (f *flood) take(r *es.Record, e *deliveryv1.AgreementTaken) {
	t := &f.taken
	var due *time.Time
	if e.GetCleared() {
		due = moment(e.GetDueAt())
	}
	t.agreement, t.shelf, t.subscriber = append(t.agreement, e.GetAgreementId()), append(t.shelf, r.Stream.Root()), append(t.subscriber, e.GetSubscriberId())
	t.bid, t.cleared, t.due = append(t.bid, e.GetBidId()), append(t.cleared, e.GetCleared()), append(t.due, due)
	t.add(r)
}

func (f *flood) prepare(r *es.Record, e *deliveryv1.DeliveryPrepared) {
	p := &f.prepared
	p.delivery, p.shelf, p.subscriber = append(p.delivery, e.GetDeliveryId()), append(p.shelf, r.Stream.Root()), append(p.subscriber, e.GetSubscriberId())
	p.agreement, p.deal = append(p.agreement, e.GetAgreementId()), append(p.deal, r.Stream.Root()+"/"+e.GetAgreementId())
	p.sequence, p.slots = append(p.sequence, int32(e.GetSequence())), append(p.slots, int32(e.GetDeliveredSlots()))
	p.partition, p.position = append(p.partition, int32(r.Partition)), append(p.position, int64(r.Position))
	p.bytes, p.digest = append(p.bytes, int64(e.GetBytes())), append(p.digest, e.GetDigest())
	p.at, p.lapses = append(p.at, r.At), append(p.lapses, time.UnixMicro(e.GetLapsesAt()).UTC())
	p.add(r)
}

func (f *flood) release(r *es.Record, e *deliveryv1.DeliveryReleased) {
	x := &f.released
	var finish *time.Time
	if e.GetLast() {
		at := r.At.Add(grace)
		finish = &at
	}
	x.delivery, x.stream, x.deal = append(x.delivery, e.GetDeliveryId()), append(x.stream, string(r.Stream)), append(x.deal, r.Stream.Root()+"/"+e.GetAgreementId())
	x.position, x.at, x.finish = append(x.position, int64(r.Position)), append(x.at, r.At), append(x.finish, finish)
}

// flush writes what is gathered.
func (f *flood) flush() {
	if t := &f.taken; len(t.agreement) > 0 {
		f.b.Queue(`
			with t as (
				select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::boolean[], $6::timestamptz[], $7::text[], $8::bigint[], $9::uuid[], $10::bytea[])
					t (agreement, shelf, subscriber, bid, cleared, due, stream, version, event, data)
			), due as (insert into deadline (stream, kind, due) select stream, 'due', due from t where due is not null on conflict do nothing)
			insert into agreement (agreement, shelf, subscriber, bid, cleared, ended, stream, version, event, data)
			select agreement, shelf, subscriber, bid, cleared, false, stream, version, event, data from t`,
			t.agreement, t.shelf, t.subscriber, t.bid, t.cleared, t.due, t.stream, t.version, t.event, t.data)
	}
	if p := &f.prepared; len(p.delivery) > 0 {
		f.b.Queue(`
			with p as (
				select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::text[], $6::integer[], $7::integer[], $8::integer[], $9::bigint[], $10::bigint[],
						$11::bytea[], $12::timestamptz[], $13::timestamptz[], $14::text[], $15::bigint[], $16::uuid[], $17::bytea[])
					p (delivery, shelf, subscriber, agreement, deal, sequence, slots, partition, bytes, position, digest, at, lapses, stream, version, event, data)
			), over as (delete from deadline d using p where d.stream = p.deal and d.kind = 'due' and d.due <= p.at),
			lapse as (insert into deadline (stream, kind, due) select stream, 'lapse', lapses from p on conflict do nothing)
			insert into delivery (delivery, shelf, subscriber, agreement, bid, sequence, state, blocked, slots, bytes, digest, partition, position, changed,
				prepared_at, lapses_at, stream, version, event, data)
			select p.delivery, p.shelf, p.subscriber, p.agreement, a.bid, p.sequence, 'prepared', '', p.slots, p.bytes, p.digest, p.partition, p.position, p.position,
				p.at, p.lapses, p.stream, p.version, p.event, p.data
			from p join agreement a using (agreement)`,
			p.delivery, p.shelf, p.subscriber, p.agreement, p.deal, p.sequence, p.slots, p.partition, p.bytes, p.position, p.digest, p.at, p.lapses,
			p.stream, p.version, p.event, p.data)
	}
	if x := &f.released; len(x.delivery) > 0 {
		f.b.Queue(`
			with x as (
				select * from unnest($1::uuid[], $2::text[], $3::text[], $4::bigint[], $5::timestamptz[], $6::timestamptz[]) x (delivery, stream, deal, position, at, finish)
			), over as (delete from deadline d using x where d.stream = x.stream and d.kind = 'lapse'),
			finish as (insert into deadline (stream, kind, due) select deal, 'finish', finish from x where finish is not null on conflict do nothing)
			update delivery d set state = 'released', blocked = '', changed = x.position, released_at = x.at from x where d.delivery = x.delivery`,
			x.delivery, x.stream, x.deal, x.position, x.at, x.finish)
	}
	if e := &f.ended; len(e.agreement) > 0 {
		f.b.Queue(`
			with e as (select * from unnest($1::uuid[], $2::text[]) e (agreement, stream)),
			over as (delete from deadline d using e where d.stream = e.stream)
			update agreement a set ended = true from e where a.agreement = e.agreement`, e.agreement, e.stream)
	}
	*f = flood{b: f.b}
}
