package store

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/services/delivery/internal/point"
)

// daysOfMonth is the most that one has.
const daysOfMonth = 31

// days are some of a month's, the n-th as bit n-1.
type days uint32

func (d days) has(n int) bool { return d&(1<<(n-1)) != 0 }

// month is what there is of a person in one calendar month. It grows with the sources and schemas that a person has, never with
// what they measure.
type month struct {
	Name    string             `json:"month"` // YYYY-MM
	Columns []column           `json:"pages"`
	Slots   map[string]trusted `json:"slots"` // that count, by product

	barred []id.ID // sources of the person of which nothing is used, as the month was read
}

// column is the pages of one source and schema.
type column struct {
	Source id.ID        `json:"source"`
	Schema point.Schema `json:"schema"`
	Days   days         `json:"days"`
}

// trusted are days by how far they can be trusted, weakest first.
type trusted [point.OperatorFeed]days

// at is how far a day can be trusted; 0 when it does not count.
func (t trusted) at(n int) (a point.Assurance) {
	for i, d := range t {
		if d.has(n) {
			a = point.Assurance(i + 1)
		}
	}
	return a
}

// least are the days that can be trusted at least so far.
func (t trusted) least(a point.Assurance) (all days) {
	for i, d := range t {
		if point.Assurance(i+1) >= a {
			all |= d
		}
	}
	return all
}

// monthOf names the month of a day, and gives the day's number in it.
func monthOf(day string) (name string, n int) {
	return day[:7], int(day[8]-'0')*10 + int(day[9]-'0')
}

func (m *month) day(n int) string {
	return m.Name + string([]byte{'-', byte('0' + n/10), byte('0' + n%10)})
}

// list appends days.
func (m *month) list(out []string, all days) []string {
	for n := 1; n <= daysOfMonth; n++ {
		if all.has(n) {
			out = append(out, m.day(n))
		}
	}
	return out
}

// pages appends those of some schemas on a day; nil schemas mean all.
func (m *month) pages(out []Page, schemas []point.Schema, n int) []Page {
	for _, c := range m.Columns {
		if c.Days.has(n) && (schemas == nil || slices.Contains(schemas, c.Schema)) {
			out = append(out, Page{Source: c.Source, Schema: c.Schema, Day: m.day(n)})
		}
	}
	return out
}

// add notes a page.
func (m *month) add(page Page) {
	_, n := monthOf(page.Day)
	i, found := slices.BinarySearchFunc(m.Columns, page, func(c column, p Page) int {
		return cmp.Or(cmp.Compare(c.Schema.String(), p.Schema.String()), slices.Compare(c.Source[:], p.Source[:]))
	})
	if !found {
		m.Columns = slices.Insert(m.Columns, i, column{Source: page.Source, Schema: page.Schema})
	}
	m.Columns[i].Days |= 1 << (n - 1)
}

// set notes how far a day's slot of a product can be trusted, 0 when it does not count, and gives what it was.
func (m *month) set(product string, n int, a point.Assurance) (before point.Assurance) {
	all := m.Slots[product]
	before = all.at(n)
	for i := range all {
		all[i] &^= 1 << (n - 1)
	}
	if a != 0 {
		all[a-1] |= 1 << (n - 1)
	}
	if all == (trusted{}) {
		delete(m.Slots, product)
		return before
	}
	if m.Slots == nil {
		m.Slots = map[string]trusted{}
	}
	m.Slots[product] = all
	return before
}

// between names the months from one day's to another's; nil, which means all, where one of them is not said or they are so many that
// reading all costs less.
func between(first, last string) []string {
	const many = 36
	from, wrong := time.Parse(time.DateOnly, first)
	to, wrong2 := time.Parse(time.DateOnly, last)
	if wrong != nil || wrong2 != nil {
		return nil
	}
	names := []string{}
	for at := time.Date(from.Year(), from.Month(), 1, 0, 0, 0, 0, time.UTC); !at.After(to); at = at.AddDate(0, 1, 0) {
		if len(names) == many {
			return nil
		}
		names = append(names, at.Format("2006-01"))
	}
	return names
}

// months reads what there is of a person in some months, ascending; nil names mean all.
func months(ctx context.Context, q querier, ring *vault.Ring, names []string) ([]month, error) {
	sql, args := `
		select month, box, (select array_agg(source) from store.bar b where b.subscriber = $1 and b.restricted)
		from store.month where subscriber = $1`, []any{[16]byte(ring.Subject())}
	if names != nil {
		hash, err := buckets(ring, "month")
		if err != nil {
			return nil, err
		}
		keys := make([][]byte, len(names))
		for i, name := range names {
			keys[i] = hash(name)
		}
		sql, args = sql+` and month = any($2)`, append(args, keys)
	}
	rows, err := q.Query(ctx, sql, args...)
	if err != nil {
		return nil, fmt.Errorf("store: months: %w", err)
	}
	defer rows.Close()
	var out []month
	for rows.Next() {
		var key, box []byte
		var barred [][16]byte
		if err := rows.Scan(&key, &box, &barred); err != nil {
			return nil, fmt.Errorf("store: months: %w", err)
		}
		plain, err := ring.OpenBytes(content, aad("month "+hex.EncodeToString(key), ring), box)
		if err != nil {
			return nil, fmt.Errorf("store: months: %w", err)
		}
		var m month
		if json.Unmarshal(plain, &m) != nil {
			return nil, errPage // the cause may quote it
		}
		for _, source := range barred {
			m.barred = append(m.barred, source)
		}
		out = append(out, m)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("store: months: %w", err)
	}
	slices.SortFunc(out, func(a, b month) int { return slices.Compare([]byte(a.Name), []byte(b.Name)) })
	return out, nil
}

func keepMonths(ctx context.Context, tx pgx.Tx, ring *vault.Ring, list map[string]*month) error {
	hash, err := buckets(ring, "month")
	if err != nil {
		return err
	}
	keys, boxes := make([][]byte, 0, len(list)), make([][]byte, 0, len(list))
	for _, name := range slices.Sorted(maps.Keys(list)) {
		plain, err := json.Marshal(list[name])
		if err != nil {
			return err
		}
		key := hash(name)
		box, err := ring.SealBytes(content, aad("month "+hex.EncodeToString(key), ring), plain)
		if err != nil {
			return err
		}
		keys, boxes = append(keys, key), append(boxes, box)
	}
	_, err = tx.Exec(ctx, `
		insert into store.month (subscriber, month, box) select $1, * from unnest($2::bytea[], $3::bytea[])
		on conflict (subscriber, month) do update set box = excluded.box`, [16]byte(ring.Subject()), keys, boxes)
	if err != nil {
		return fmt.Errorf("store: months: %w", err)
	}
	return nil
}
