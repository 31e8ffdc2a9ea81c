package view

import (
	"bytes"
	"context"

	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
)

// near is how far, in each partition, the tables are read through from the place where a watch stands. Further behind, each bid of
// the buyer is looked up by itself: what lies between is mostly others'.
const near = 1000

// Mark is a place among a partition's changes: behind what changed at a position or before; with Last, of what the event there changed
// only behind those whose ids are not greater.
type Mark struct {
	At   es.Position
	Last id.ID // zero: all of them
}

// Changed lists a buyer's deliveries that were changed last behind some marks, and by no event after some positions, by partition, then by
// that event, then by id; both are given for every partition.
func (v View) Changed(ctx context.Context, buyer, bid id.ID, after []Mark, upto []es.Position, limit int) ([]Delivery, error) {
	partitions, from, to, far := make([]int32, len(after)), make([]int64, len(after)), make([]int64, len(after)), false
	last := make([][16]byte, len(after))
	for p, m := range after {
		partitions[p], from[p], to[p], last[p] = int32(p), int64(m.At), int64(upto[p]), m.Last
		if m.Last.IsZero() {
			last[p] = [16]byte(bytes.Repeat([]byte{0xff}, 16))
		}
		far = far || upto[p]-m.At > near
	}
	// The limits within make the planner go through the index in its order. That of the near ones is never met: an event changes no more
	// than the deliveries of one agreement.
	moved := `
		from unnest($3::integer[], $4::bigint[], $5::bigint[], $7::uuid[]) w (partition, after, upto, last)
		cross join lateral (
			select delivery from shelves.delivery
			where partition = w.partition and (changed, delivery) > (w.after, w.last) and changed <= w.upto order by changed, delivery limit 10000000
		) m`
	if far {
		moved = `
		from store.bid o cross join unnest($3::integer[], $4::bigint[], $5::bigint[], $7::uuid[]) w (partition, after, upto, last)
		cross join lateral (
			select delivery from shelves.delivery
			where bid = o.bid and partition = w.partition and (changed, delivery) > (w.after, w.last) and changed <= w.upto order by changed, delivery limit $6
		) m`
	}
	sql := `select ` + deliveryColumns + moved + `
		join shelves.delivery d on d.delivery = m.delivery join store.bid b on b.bid = d.bid join shelves.agreement a on a.agreement = d.agreement
		where b.buyer = $1 and ($2::uuid is null or d.bid = $2)`
	if far {
		sql += ` and o.buyer = $1`
	}
	rows, err := v.Pool.Query(ctx, sql+` order by d.partition, d.changed, d.delivery limit $6`, [16]byte(buyer), set(bid), partitions, from, to, limit, last)
	return collect(rows, err, "deliveries", delivery)
}
