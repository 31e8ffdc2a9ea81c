package view

import (
	"context"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// near is how far, in each partition, the tables are read through from the place where a watch stands. Further behind, each bid of
// the buyer is looked up by itself: what lies between is mostly others'.
const near = 1000

// Changed lists a buyer's deliveries that an event after some positions changed last, and none after others, by partition and then by
// that event; both are given for every partition.
func (v View) Changed(ctx context.Context, buyer, bid id.ID, after, upto []es.Position, limit int) ([]Delivery, error) {
	partitions, from, to, far := make([]int32, len(after)), make([]int64, len(after)), make([]int64, len(after)), false
	for p := range after {
		partitions[p], from[p], to[p] = int32(p), int64(after[p]), int64(upto[p])
		far = far || upto[p]-after[p] > near
	}
	// The limits within make the planner go through the index in its order. That of the near ones is never met: no two deliveries of
	// a partition have changed last by the same event.
	moved := `
		from unnest($3::integer[], $4::bigint[], $5::bigint[]) w (partition, after, upto)
		cross join lateral (
			select delivery from shelves.delivery where partition = w.partition and changed > w.after and changed <= w.upto order by changed limit 1001
		) m`
	if far {
		moved = `
		from store.bid o cross join unnest($3::integer[], $4::bigint[], $5::bigint[]) w (partition, after, upto)
		cross join lateral (
			select delivery from shelves.delivery
			where bid = o.bid and partition = w.partition and changed > w.after and changed <= w.upto order by changed limit $6
		) m`
	}
	sql := `select ` + deliveryColumns + moved + `
		join shelves.delivery d on d.delivery = m.delivery join store.bid b on b.bid = d.bid join shelves.agreement a on a.agreement = d.agreement
		where b.buyer = $1 and ($2::uuid is null or d.bid = $2)`
	if far {
		sql += ` and o.buyer = $1`
	}
	rows, err := v.Pool.Query(ctx, sql+` order by d.partition, d.changed limit $6`, [16]byte(buyer), set(bid), partitions, from, to, limit)
	return collect(rows, err, "deliveries", delivery)
}
