package view

import (
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/es"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
)

// flood gathers the events that come in floods, one statement for all of a kind: a statement of its own costs each of them more than its rows
// do. The kinds are written in the order of a consent's life, in which none goes back; any other event is written behind what is gathered.
type flood struct {
	b     *pgx.Batch
	given struct {
		agreement, subscriber, offer, bid []string
		partition                         []int32
		position, version                 []int64
		at, expires                       []time.Time
		stream, typ                       []string
		event                             [][16]byte
		data                              [][]byte
	}
	released []string // agreements, one for each release
	expired  struct {
		agreement, stream []string
		at                []time.Time
		position          []int64
	}
}

// add takes an event if it is of a kind that comes in floods.
func (f *flood) add(r *es.Record, m *consentv1.Event) bool {
	switch arm := m.GetEvent().(type) {
	case *consentv1.Event_ConsentGiven:
		e, g := arm.ConsentGiven, &f.given
		g.agreement, g.subscriber = append(g.agreement, e.GetAgreementId()), append(g.subscriber, e.GetSubscriberId())
		g.offer, g.bid = append(g.offer, e.GetOfferId()), append(g.bid, e.GetBidId())
		g.partition, g.position = append(g.partition, int32(r.Partition)), append(g.position, int64(r.Position))
		g.at, g.expires = append(g.at, r.At), append(g.expires, time.UnixMicro(e.GetExpiresAt()).UTC())
		g.stream, g.version, g.typ = append(g.stream, string(r.Stream)), append(g.version, int64(r.Version)), append(g.typ, r.Type)
		g.event, g.data = append(g.event, r.ID), append(g.data, r.Data)
	case *consentv1.Event_ReleaseCommitted:
		e := arm.ReleaseCommitted
		f.released = append(f.released, e.GetAgreementId())
	case *consentv1.Event_ConsentExpired:
		e, x := arm.ConsentExpired.GetScope(), &f.expired
		x.agreement, x.stream = append(x.agreement, e.GetAgreementId()), append(x.stream, r.Stream.Root()+"/"+e.GetAgreementId())
		x.at, x.position = append(x.at, r.At), append(x.position, int64(r.Position))
	default:
		return false
	}
	return true
}

// flush writes what is gathered.
func (f *flood) flush() {
	if g := &f.given; len(g.agreement) > 0 {
		f.b.Queue(`
			with g as (
				select * from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::uuid[], $5::integer[], $6::bigint[], $7::timestamptz[], $8::text[], $9::bigint[], $10::text[],
						$11::uuid[], $12::bytea[], $13::timestamptz[])
					g (agreement, subscriber, offer, bid, partition, position, at, stream, version, type, event, data, expires)
			), due as (insert into deadline (stream, kind, due) select stream, 'expire', expires from g)
			insert into consent (agreement, subscriber, offer, bid, state, partition, position, given_at, releases, stream, version, type, event, data, expires_at)
			select agreement, subscriber, offer, bid, 'given', partition, position, at, 0, stream, version, type, event, data, expires from g`,
			g.agreement, g.subscriber, g.offer, g.bid, g.partition, g.position, g.at, g.stream, g.version, g.typ, g.event, g.data, g.expires)
	}
	if len(f.released) > 0 {
		f.b.Queue(`
			update consent c set releases = releases + r.n from (select agreement, count(*) as n from unnest($1::uuid[]) r (agreement) group by agreement) r
			where c.agreement = r.agreement`, f.released)
	}
	if x := &f.expired; len(x.agreement) > 0 {
		f.b.Queue(`
			with x as (select * from unnest($1::uuid[], $2::text[], $3::timestamptz[], $4::bigint[]) x (agreement, stream, at, position)),
			over as (delete from deadline d using x where d.stream = x.stream)
			update consent c set state = 'expired', ended_at = x.at, ended = x.position, paused_at = null from x
			where c.agreement = x.agreement and c.state in ('given', 'paused')`, x.agreement, x.stream, x.at, x.position)
	}
	*f = flood{b: f.b}
}
