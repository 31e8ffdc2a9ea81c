package node_test

import (
	"context"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/obole-market/obole/pkg/boot"
	"github.com/obole-market/obole/pkg/bus"
	"github.com/obole-market/obole/pkg/es"
	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/node"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
)

// dice give the same throws to whoever has the same seed.
type dice struct {
	mu   sync.Mutex
	from *rand.ChaCha8
}

func throws() io.Reader { return &dice{from: rand.NewChaCha8([32]byte{7})} }

func (d *dice) Read(b []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.from.Read(b)
}

// line reaches one place whatever it is asked for, and counts.
type line struct {
	to    string
	calls atomic.Int32
}

func (l *line) dial(ctx context.Context, network, _ string) (net.Conn, error) {
	l.calls.Add(1)
	return new(net.Dialer).DialContext(ctx, network, l.to)
}

// TestWhatASimulatorReplaces: brokers and a database that cannot be reached but by the dialers given, keys in memory, and ids and
// keys that come from the sources given.
func TestWhatASimulatorReplaces(t *testing.T) {
	t.Parallel()
	c := blueprint(t, brokers(t)...)
	topic(t, bus.NewClient(c.Kafka.Brokers, nil), c)
	kafka := &line{to: c.Kafka.Brokers[0]}
	c.Kafka.Brokers, c.Seams.Kafka = []string{"192.0.2.1:9092"}, kafka.dial // an address that is nobody's (RFC 5737)
	u := must(url.Parse(c.Database.URL))
	database := &line{to: u.Host}
	u.Host = "192.0.2.2:" + u.Port()
	c.Database.URL, c.Database.OwnerURL, c.Seams.Database = u.String(), u.String(), database.dial
	if err := node.Migrate(t.Context(), &c.Config, nil); err != nil { // once more, from elsewhere
		t.Error(err)
	}
	var mu sync.Mutex
	var made []id.ID
	c.Seams.NewID = func() id.ID {
		v := id.Random()
		mu.Lock()
		defer mu.Unlock()
		made = append(made, v)
		return v
	}
	p := raise(t, c, "test")
	p.put(3)
	await(t, "what came back", func() bool { return p.heard() == 3 })
	if kafka.calls.Load() == 0 || database.calls.Load() == 0 {
		t.Errorf("%d connections to brokers, %d to the database", kafka.calls.Load(), database.calls.Load())
	}
	for part := range es.Partition(partitions) {
		_, err := p.Log.Scan(t.Context(), part, 0, 10, func(r *es.Record) error {
			mu.Lock()
			defer mu.Unlock()
			if !slices.Contains(made, r.ID) {
				t.Errorf("event %s has an id from elsewhere", r.ID)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}

	who := id.Random()
	minted := func() []vault.Row {
		store := new(vaultmem.Store)
		c := c.Config
		c.Seams.Random, c.Seams.NewID = throws(), nil
		c.Seams.Keys = func(folder string, _ *pgxpool.Pool) (vault.Store, *vault.KEKs, error) {
			if folder != c.Keys {
				t.Errorf("keys of %q", folder)
			}
			keks, err := vault.NewKEKs([]byte(strings.Repeat("k", 32)))
			return store, keks, err
		}
		keys, err := (&node.Node{Config: &c, Pool: p.Pool}).Keys()
		if err != nil {
			t.Fatal(err)
		}
		if _, err := keys.Ring(t.Context(), who); err != nil {
			t.Fatal(err)
		}
		rows := must(store.Load(t.Context(), who))
		slices.SortFunc(rows, func(a, b vault.Row) int { return int(a.Retention - b.Retention) })
		return rows
	}
	if first, again := minted(), minted(); len(first) == 0 || !cmp.Equal(first, again) {
		t.Errorf("equal randomness makes other keys: %d rows, %s", len(first), cmp.Diff(first, again))
	}
	one := boot.Config{Seams: boot.Seams{Random: throws()}}
	two := boot.Config{Seams: boot.Seams{Random: throws()}}
	if a, b := one.NewID(), two.NewID(); a != b || a == one.NewID() {
		t.Errorf("ids of equal randomness: %s and %s", a, b)
	}
}
