package store_test

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	"github.com/obole-market/obole/services/delivery/internal/store"
)

func TestPackagesAreKeptInPiecesUntilTheyAreDestroyed(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ctx := t.Context()
	ring, stranger := r.ring(id.Random()), r.ring(id.Random())
	const chunk = 256 << 10
	sealed := make([]byte, 2*chunk+1000)
	for i := range sealed {
		sealed[i] = byte(i * 7 / 3)
	}
	deal, key := id.Random(), bytes.Repeat([]byte{7}, 32)
	one, two, other := id.Random(), id.Random(), id.Random()
	for _, p := range []store.Package{
		{Delivery: one, Agreement: deal, Sealed: sealed, Key: key, At: now},
		{Delivery: two, Agreement: deal, Sealed: []byte("small"), Key: key, At: now},
		{Delivery: other, Agreement: id.Random(), Sealed: sealed[:chunk], Key: key, At: now.Add(time.Hour)},
	} {
		r.must(r.Keep(ctx, ring, p))
	}
	open := func(ring *vault.Ring, d id.ID) ([]byte, error) {
		t.Helper()
		var box []byte
		if err := r.Pool.QueryRow(ctx, `select key from store.package where delivery = $1`, [16]byte(d)).Scan(&box); !errors.Is(err, pgx.ErrNoRows) {
			r.must(err)
		}
		return r.Open(ring, d, box)
	}
	whole := func(d id.ID, from int) (out []byte) {
		t.Helper()
		for {
			piece, err := r.Piece(ctx, d, int64(from+len(out)))
			r.must(err)
			if len(piece) == 0 {
				return out
			}
			out = append(out, piece...)
		}
	}
	for _, from := range []int{0, 1, chunk - 1, chunk, chunk + 1, 2 * chunk, len(sealed) - 1, len(sealed), len(sealed) + 1, 3 * chunk} {
		if got := whole(one, from); !bytes.Equal(got, sealed[min(from, len(sealed)):]) {
			t.Errorf("from %d come %d bytes of %d", from, len(got), len(sealed)-from)
		}
	}
	if got := whole(other, 0); !bytes.Equal(got, sealed[:chunk]) {
		t.Errorf("a package of one whole piece comes with %d bytes", len(got))
	}
	if got, err := open(ring, one); err != nil || !bytes.Equal(got, key) {
		t.Errorf("the content key: %x, %v", got, err)
	}
	if got, err := open(stranger, one); err == nil {
		t.Errorf("a stranger's keys open %x", got)
	}

	// What the log knows of is not old.
	_, err := r.Pool.Exec(ctx, `
		insert into shelves.delivery (delivery, shelf, subscriber, agreement, bid, sequence, state, blocked, slots, bytes, digest, partition, position,
			changed, prepared_at, lapses_at, stream, version, event, data)
		values ($1, $1, $1, $1, $1, 1, 'prepared', '', 1, 1, '', 0, 1, 1, $2, $2, '', 1, $1, '')`, [16]byte(two), now)
	r.must(err)
	for before, want := range map[time.Time]int{now: 0, now.Add(time.Minute): 1, now.Add(2 * time.Hour): 2} {
		if old, err := r.Old(ctx, before); err != nil || len(old) != want || want == 1 && old[0] != one {
			t.Errorf("old before %v: %v, %v", before, old, err)
		}
	}

	// One that is spent has no key any more, is kept for its buyer, and is over once its key left long enough ago.
	spent := func(before time.Time) []id.ID {
		t.Helper()
		list, err := r.Spent(ctx, before)
		r.must(err)
		return list
	}
	week := now.AddDate(0, 0, 7)
	if _, err := r.Pool.Exec(ctx, `update shelves.delivery set state = 'released', released_at = $1`, week); err != nil || len(spent(week.Add(1))) != 0 {
		t.Errorf("what has left and runs on is over: %v, %v", spent(week.Add(1)), err)
	}
	r.must(r.Spend(ctx, deal))
	if _, err := open(ring, two); !errors.Is(err, store.ErrGone) || string(whole(two, 0)) != "small" {
		t.Errorf("what is spent: %q, its key %v", whole(two, 0), err)
	}
	if early, over := spent(week), spent(week.Add(time.Microsecond)); len(early) != 0 || len(over) != 1 || over[0] != two {
		t.Errorf("%v is over early, %v later", early, over)
	}

	gone := func(d id.ID) bool {
		t.Helper()
		_, err := open(ring, d)
		return errors.Is(err, store.ErrGone) && len(whole(d, 0)) == 0
	}
	r.must(r.Destroy(ctx, one, id.Random()))
	if !gone(one) || gone(two) || gone(other) {
		t.Error("not the one that was destroyed is gone")
	}
	r.must(r.DestroyOf(ctx, deal))
	if !gone(two) || gone(other) {
		t.Error("not what is of the agreement is gone")
	}
	if n := r.count(`select count(*) from store.chunk`); n != 1 {
		t.Errorf("%d pieces are left, of one package of one", n)
	}
	r.must(r.keys.Forget(ctx, ring.Subject(), eventv1.Retention_RETENTION_CONTENT))
	if _, err := open(r.ring(ring.Subject()), other); !errors.Is(err, store.ErrGone) {
		t.Errorf("the key of a forgotten person's package: %v", err)
	}
}

// TestABidIsItsFirstBuyers: whose a bid is was said with its first package, and stays so.
func TestABidIsItsFirstBuyers(t *testing.T) {
	t.Parallel()
	r := begin(t)
	ring, bid, buyer := r.ring(id.Random()), id.Random(), id.Random()
	for _, who := range []id.ID{buyer, buyer, id.Random()} {
		r.must(r.Keep(t.Context(), ring, store.Package{Delivery: id.Random(), Agreement: id.Random(), Bid: bid, Buyer: who, Key: make([]byte, 32), At: now}))
	}
	if n := r.count(`select count(*) from store.bid where bid = $1 and buyer = $2`, [16]byte(bid), [16]byte(buyer)); n != 1 {
		t.Errorf("%d rows say whose the bid is", n)
	}
}
