package view

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/id"
)

// Earning is one settlement as its person sees it.
type Earning struct {
	Place                      Place
	Delivery, Agreement, Buyer id.ID
	Product                    string
	Slots                      int32
	Net, Commission, Withheld  int64 // minor
	SettledAt, AvailableAt     time.Time
}

// Filter restricts a person's settlements; what is zero does not.
type Filter struct {
	Buyer, Agreement id.ID
	Product          string
	From, To         time.Time // settled at or after, and before
	Deliveries       []id.ID
}

// Earnings lists a person's settlements before a place, newest first; a zero place means from the newest.
func (v View) Earnings(ctx context.Context, subscriber id.ID, f Filter, before Place, limit int) ([]Earning, error) {
	deliveries := make([][16]byte, len(f.Deliveries))
	for i, d := range f.Deliveries {
		deliveries[i] = d
	}
	rows, err := v.Pool.Query(ctx, `
		select partition, position, delivery, agreement, buyer, product, slots, net, commission, withheld, settled_at, available_at
		from ledger.earning where subscriber = $1 and ($3 = 0 or (partition, position) < ($2, $3))
			and ($5::uuid is null or buyer = $5) and ($6::uuid is null or agreement = $6) and ($7 = '' or product = $7)
			and ($8::timestamptz is null or settled_at >= $8 and settled_at < $9) and (cardinality($10::uuid[]) = 0 or delivery = any($10))
		order by partition desc, position desc limit $4`, [16]byte(subscriber), before.Partition, before.Position, limit,
		known(&f.Buyer), known(&f.Agreement), f.Product, moment(f.From), moment(f.To), deliveries)
	if err != nil {
		return nil, fmt.Errorf("view: earnings: %w", err)
	}
	earnings, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (e Earning, err error) {
		err = row.Scan(&e.Place.Partition, &e.Place.Position, (*[16]byte)(&e.Delivery), (*[16]byte)(&e.Agreement), (*[16]byte)(&e.Buyer),
			&e.Product, &e.Slots, &e.Net, &e.Commission, &e.Withheld, &e.SettledAt, &e.AvailableAt)
		return e, err
	})
	if err != nil {
		return nil, fmt.Errorf("view: earnings: %w", err)
	}
	return earnings, nil
}

// moment is a time as SQL takes it: null for none.
func moment(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Group is by what settlements are summed.
type Group int

// Groups.
const (
	ByBuyer Group = iota + 1
	ByProduct
	ByMonth // of UTC
	ByAgreement
)

// keys are what a group's sums are named by.
var keys = map[Group]string{
	ByBuyer: `buyer::text`, ByProduct: `product`, ByMonth: `to_char(settled_at at time zone 'UTC', 'YYYY-MM')`, ByAgreement: `agreement::text`,
}

// ErrGroup says that there is no such group.
var ErrGroup = errors.New("view: no such group")

// EarningSum is what some settlements come to, in minor units.
type EarningSum struct {
	Key                       string
	Deliveries, Slots         int64
	Net, Commission, Withheld int64
	First, Last               time.Time
}

// Sums are a person's settlements by group and in all, at one position.
type Sums struct {
	Sums     []EarningSum
	Total    EarningSum
	Position int64
}

// Sum sums a person's settlements by key, after one of them; months come newest first.
func (v View) Sum(ctx context.Context, subscriber id.ID, by Group, after string, limit int, partition int32) (out Sums, err error) {
	key, known := keys[by]
	if !known {
		return out, ErrGroup
	}
	order, next := `asc`, `>`
	if by == ByMonth {
		order, next = `desc`, `<`
	}
	const columns = `count(*), coalesce(sum(slots), 0)::bigint, coalesce(sum(net), 0)::bigint, coalesce(sum(commission), 0)::bigint,
		coalesce(sum(withheld), 0)::bigint, coalesce(min(settled_at), to_timestamp(0)), coalesce(max(settled_at), to_timestamp(0))`
	err = pgx.BeginTxFunc(ctx, v.Pool, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, func(tx pgx.Tx) error {
		t := &out.Total
		err := tx.QueryRow(ctx, `select `+columns+`, (select position from ledger.checkpoint where partition = $2) from ledger.earning where subscriber = $1`,
			[16]byte(subscriber), partition).Scan(&t.Deliveries, &t.Slots, &t.Net, &t.Commission, &t.Withheld, &t.First, &t.Last, &out.Position)
		if err != nil {
			return err
		}
		rows, err := tx.Query(ctx, `
			select key, n, slots, net, commission, withheld, first, last from (
				select `+key+` as key, `+columns+` from ledger.earning where subscriber = $1 group by 1
			) s (key, n, slots, net, commission, withheld, first, last)
			where $2 = '' or key `+next+` $2 order by key `+order+` limit $3`, [16]byte(subscriber), after, limit)
		if err != nil {
			return err
		}
		out.Sums, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (s EarningSum, err error) {
			err = row.Scan(&s.Key, &s.Deliveries, &s.Slots, &s.Net, &s.Commission, &s.Withheld, &s.First, &s.Last)
			return s, err
		})
		return err
	})
	if err != nil {
		return out, fmt.Errorf("view: sums: %w", err)
	}
	return out, nil
}

// Prices are what a product's slots were settled at, in micros, each agreement once, and how many distinct buyers and people that was.
type Prices struct {
	Product        string
	Buyers, People int64
	Quartiles      []int64 // the first, the median, the third
}

// Prices compares what some products were settled at since a time. A product that was not is left out.
func (v View) Prices(ctx context.Context, products []string, since time.Time) (map[string]Prices, error) {
	rows, err := v.Pool.Query(ctx, `
		select product, count(distinct buyer), count(distinct subscriber), percentile_disc(array[0.25, 0.5, 0.75]) within group (order by price)
		from (
			select distinct product, agreement, buyer, subscriber, price from ledger.earning where product = any($1) and settled_at >= $2 and net >= 0
		) a
		group by product`, products, since)
	if err != nil {
		return nil, fmt.Errorf("view: prices: %w", err)
	}
	list, err := pgx.CollectRows(rows, func(row pgx.CollectableRow) (p Prices, err error) {
		err = row.Scan(&p.Product, &p.Buyers, &p.People, &p.Quartiles)
		return p, err
	})
	if err != nil {
		return nil, fmt.Errorf("view: prices: %w", err)
	}
	out := make(map[string]Prices, len(list))
	for _, p := range list {
		out[p.Product] = p
	}
	return out, nil
}
