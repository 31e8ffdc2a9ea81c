package vault

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/lru"
)

// Config is what a Keeper stands on. Store and KEKs are required; the rest works at zero.
type Config struct {
	Store Store
	KEKs  *KEKs
	// Random gives keys, ids and nonces; it must be safe for concurrent use. nil is crypto/rand.
	Random io.Reader
	// Now is the clock of the cache. nil is time.Now.
	Now func() time.Time
	// Size is how many people's rings, and how many single keys, are cached; 0 means 4,096. A person takes up to 5 KiB.
	Size int
	// TTL is how long a key may be used after another process has erased it; 0 means a minute.
	TTL time.Duration
}

// Keeper mints, finds and forgets keys. It is safe for concurrent use, by any number of processes over one store.
type Keeper struct {
	cfg   Config
	newID id.Source
	rings *lru.Map[id.ID, kept[*Ring]]
	keys  *lru.Map[id.ID, kept[*key]]

	mu      sync.Mutex // orders what is cached with what is forgotten
	forgets uint64     // how often something was
}

// kept is a cache entry.
type kept[T any] struct {
	value T
	until time.Time
}

// New makes a Keeper.
func New(cfg Config) *Keeper {
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Size == 0 {
		cfg.Size = 4096
	}
	if cfg.TTL == 0 {
		cfg.TTL = time.Minute
	}
	return &Keeper{
		cfg: cfg, newID: id.FromReader(cfg.Random),
		rings: lru.New[id.ID, kept[*Ring]](cfg.Size), keys: lru.New[id.ID, kept[*key]](cfg.Size),
	}
}

// Ring is a person's keys, minted if there are none yet. Classes that were forgotten stay so.
func (k *Keeper) Ring(ctx context.Context, subject id.ID) (*Ring, error) {
	if e, ok := k.rings.Get(subject); ok && k.cfg.Now().Before(e.until) {
		return e.value, nil
	}
	began := k.begin()
	rows, err := k.cfg.Store.Load(ctx, subject)
	if err != nil {
		return nil, err
	}
	if len(rows) < len(classes) {
		if rows, err = k.mint(ctx, subject); err != nil {
			return nil, err
		}
	}
	ring := &Ring{subject: subject, random: k.cfg.Random}
	for i := range rows {
		at := int(rows[i].Retention) - 1
		if at < 0 || at >= len(ring.keys) || rows[i].Subject != subject {
			return nil, ErrTampered.And("key", rows[i].KeyID)
		}
		if ring.keys[at], err = k.unlock(&rows[i]); err != nil {
			return nil, err
		}
	}
	for i, key := range ring.keys {
		if key == nil {
			return nil, ErrTampered.And("class", classes[i]).And("row", "missing")
		}
	}
	k.keep(began, func(until time.Time) { k.rings.Put(subject, kept[*Ring]{ring, until}) })
	return ring, nil
}

// ByID finds keys of many people at once, to read with. Keys that do not exist are left out; opening says so.
func (k *Keeper) ByID(ctx context.Context, ids []id.ID) (*Bunch, error) {
	b := &Bunch{keys: make(map[id.ID]*key, len(ids))}
	var missing []id.ID
	now := k.cfg.Now()
	for _, name := range ids {
		if e, ok := k.keys.Get(name); ok && now.Before(e.until) {
			b.keys[name] = e.value
		} else {
			missing = append(missing, name)
		}
	}
	if len(missing) == 0 {
		return b, nil
	}
	began := k.begin()
	rows, err := k.cfg.Store.Find(ctx, missing)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		name := rows[i].KeyID
		if b.keys[name], err = k.unlock(&rows[i]); err != nil {
			return nil, err
		}
	}
	k.keep(began, func(until time.Time) {
		for i := range rows {
			name := rows[i].KeyID
			k.keys.Put(name, kept[*key]{b.keys[name], until})
		}
	})
	return b, nil
}

// Forget destroys a person's keys of these classes, for good; none named, nothing done. It may be repeated. What other
// processes have cached they may use for Config.TTL more.
func (k *Keeper) Forget(ctx context.Context, subject id.ID, gone ...Retention) error {
	rows := make([]Row, 0, len(gone))
	seen := [len(classes)]bool{}
	for _, class := range gone {
		at := int(class) - 1
		if at < 0 || at >= len(classes) {
			return ErrClass.And("class", class)
		}
		if !seen[at] {
			seen[at] = true
			rows = append(rows, Row{Subject: subject, Retention: class, KeyID: k.newID(), State: Erased})
		}
	}
	if len(rows) == 0 {
		return nil
	}
	rows, err := k.cfg.Store.Forget(ctx, rows)
	// Also on an error: it may have come after the commit.
	k.mu.Lock()
	defer k.mu.Unlock()
	k.forgets++
	k.rings.Delete(subject)
	for i := range rows {
		k.keys.Delete(rows[i].KeyID)
	}
	return err
}

// rewrapBatch is how many keys are rewrapped in one transaction.
const rewrapBatch = 500

// Rewrap wraps every key anew that an older key-encryption key wraps, and says how many. It may run beside everything else, be
// stopped and be run again; once it has returned without an error, the older ones can be destroyed.
func (k *Keeper) Rewrap(ctx context.Context) (int, error) {
	done := 0
	for {
		rows, err := k.cfg.Store.Stale(ctx, k.cfg.KEKs.Newest(), rewrapBatch)
		if err != nil || len(rows) == 0 {
			return done, err
		}
		for i := range rows {
			raw, err := k.cfg.KEKs.unwrap(&rows[i])
			if err != nil {
				return done, err
			}
			if err := k.cfg.KEKs.wrap(&rows[i], raw, k.cfg.Random); err != nil {
				return done, err
			}
		}
		n, err := k.cfg.Store.Rewrap(ctx, rows)
		if done += n; err != nil {
			return done, err
		}
	}
}

// Format says what it is, whatever the verb.
func (k *Keeper) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault.Keeper") }

// LogValue says what it is.
func (k *Keeper) LogValue() slog.Value { return slog.StringValue("vault.Keeper") }

// mint offers a new key for each class; the store keeps those that are missing.
func (k *Keeper) mint(ctx context.Context, subject id.ID) ([]Row, error) {
	rows := make([]Row, len(classes))
	for i, class := range classes {
		var raw [keySize]byte
		if _, err := io.ReadFull(k.cfg.Random, raw[:]); err != nil {
			return nil, ErrUnavailable.And("randomness", "failed").Because(err)
		}
		rows[i] = Row{Subject: subject, Retention: class, KeyID: k.newID(), State: Live}
		if err := k.cfg.KEKs.wrap(&rows[i], &raw, k.cfg.Random); err != nil {
			return nil, err
		}
	}
	return k.cfg.Store.Mint(ctx, rows)
}

// unlock makes a row's key usable.
func (k *Keeper) unlock(r *Row) (*key, error) {
	if r.State == Erased {
		return &key{id: r.KeyID, class: r.Retention, erased: true}, nil
	}
	raw, err := k.cfg.KEKs.unwrap(r)
	if err != nil {
		return nil, err
	}
	return &key{id: r.KeyID, class: r.Retention, raw: *raw}, nil
}

// begin notes how much had been forgotten before the store was asked.
func (k *Keeper) begin() uint64 {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.forgets
}

// keep caches an answer of the store, unless something was forgotten while it came: it might be what was.
func (k *Keeper) keep(began uint64, put func(until time.Time)) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.forgets == began {
		put(k.cfg.Now().Add(k.cfg.TTL))
	}
}
