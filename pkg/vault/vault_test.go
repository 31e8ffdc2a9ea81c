package vault_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoregistry"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/vault"
	"github.com/obole-market/obole/pkg/vault/vaultmem"
	"github.com/obole-market/obole/pkg/vault/vaultpg"
	consentv1 "github.com/obole-market/obole/proto/gen/obole/consent/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/delivery/v1"
	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/offers/v1"
	_ "github.com/obole-market/obole/proto/gen/obole/settlement/v1"
)

const (
	content  = eventv1.Retention_RETENTION_CONTENT
	identity = eventv1.Retention_RETENTION_IDENTITY
)

// stores gives a fresh store of each kind; the second handle is another process's.
func stores(t *testing.T) map[string]func() (vault.Store, vault.Store) {
	return map[string]func() (vault.Store, vault.Store){
		"memory": func() (vault.Store, vault.Store) { s := new(vaultmem.Store); return s, s },
		"postgres": func() (vault.Store, vault.Store) {
			p := database(t)
			return vaultpg.New(p), vaultpg.New(p)
		},
	}
}

func database(t *testing.T) *pgxpool.Pool {
	t.Helper()
	url := os.Getenv("DATABASE_URL")
	if url == "" {
		t.Fatal("DATABASE_URL is not set: this test needs a real PostgreSQL; run it with `make test`")
	}
	ctx := context.Background()
	admin, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Fatal(err)
	}
	name := "vault_" + strings.ReplaceAll(id.Random().String(), "-", "")
	if _, err := admin.Exec(ctx, "create database "+name); err != nil {
		t.Fatal(err)
	}
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		t.Fatal(err)
	}
	config.ConnConfig.Database = name
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		pool.Close()
		if _, err := admin.Exec(ctx, "drop database "+name+" with (force)"); err != nil {
			t.Error(err)
		}
		_ = admin.Close(ctx)
	})
	if err := vaultpg.Migrate(ctx, stdlib.OpenDBFromPool(pool)); err != nil {
		t.Fatal(err)
	}
	return pool
}

func kek(b byte) []byte {
	k := make([]byte, 32)
	k[0] = b
	return k
}

func keeper(t *testing.T, s vault.Store, keys ...[]byte) *vault.Keeper {
	t.Helper()
	keks, err := vault.NewKEKs(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return vault.New(vault.Config{Store: s, KEKs: keks})
}

func ring(t *testing.T, k *vault.Keeper, who id.ID) *vault.Ring {
	t.Helper()
	r, err := k.Ring(t.Context(), who)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestStores holds both stores to the same behaviour.
func TestStores(t *testing.T) {
	t.Parallel()
	for name, open := range stores(t) {
		t.Run(name, func(t *testing.T) {
			first, second := open()
			a, b := keeper(t, first, kek(1)), keeper(t, second, kek(1))
			who, aad := id.Random(), []byte("here")
			// Several processes mint at once, and come to the same keys.
			boxes := make([][]byte, 8)
			var wg sync.WaitGroup
			for i := range boxes {
				wg.Go(func() {
					r, err := []*vault.Keeper{a, b}[i%2].Ring(t.Context(), who)
					if err != nil {
						t.Error(err)
						return
					}
					if boxes[i], err = r.SealBytes(content, aad, fmt.Appendf(nil, "value %d", i)); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
			for i, box := range boxes {
				if got, err := ring(t, b, who).OpenBytes(content, aad, box); err != nil || string(got) != fmt.Sprintf("value %d", i) {
					t.Fatalf("box %d opens as %q, %v", i, got, err)
				}
			}
			stranger := ring(t, a, id.Random())
			if _, err := stranger.OpenBytes(content, aad, boxes[0]); !errors.Is(err, vault.ErrKeyUnknown) {
				t.Errorf("a stranger's ring: %v", err)
			}
			if _, err := ring(t, a, who).OpenBytes(content, []byte("elsewhere"), boxes[0]); !errors.Is(err, vault.ErrTampered) {
				t.Errorf("moved elsewhere: %v", err)
			}
			// A new key-encryption key: the old one still unwraps, until everything is wrapped anew.
			newer := keeper(t, second, kek(1), kek(2))
			if n, err := newer.Rewrap(t.Context()); err != nil || n == 0 {
				t.Errorf("rewrapped %d, %v", n, err)
			}
			alone := keeper(t, second, kek(2))
			if got, err := ring(t, alone, who).OpenBytes(content, aad, boxes[0]); err != nil || string(got) != "value 0" {
				t.Errorf("under the new key alone: %q, %v", got, err)
			}
			if _, err := keeper(t, second, kek(1)).Ring(t.Context(), who); !errors.Is(err, vault.ErrKEK) {
				t.Errorf("under the old key alone: %v", err)
			}
			// Forgetting is for good: nothing opens, nothing is sealed, nothing is minted again; other classes stay.
			if err := alone.Forget(t.Context(), who, content); err != nil {
				t.Fatal(err)
			}
			gone := ring(t, keeper(t, first, kek(2)), who)
			if !slices.Equal(gone.Erased(), []vault.Retention{content}) {
				t.Errorf("erased: %v", gone.Erased())
			}
			if _, err := gone.OpenBytes(content, aad, boxes[0]); !errors.Is(err, vault.ErrErased) {
				t.Errorf("after forgetting: %v", err)
			}
			if _, err := gone.SealBytes(content, aad, []byte("x")); !errors.Is(err, vault.ErrErased) {
				t.Errorf("sealed after forgetting: %v", err)
			}
			if _, err := gone.SealBytes(identity, aad, []byte("x")); err != nil {
				t.Errorf("another class: %v", err)
			}
		})
	}
}

func TestPersonalFieldsOfAnEvent(t *testing.T) {
	t.Parallel()
	k := keeper(t, new(vaultmem.Store), kek(1))
	r := ring(t, k, id.Random())
	event := func() *consentv1.Event {
		return &consentv1.Event{Event: &consentv1.Event_RulesSet{RulesSet: &consentv1.RulesSet{
			SubscriberId: r.Subject().String(), Rules: &consentv1.Rules{PurposesNever: []string{"CANARY"}, MaxAgreements: 3},
		}}}
	}
	aad := vault.AAD(id.Random(), "stream", 1, "rules_set", "obole.consent.v1")
	m := event()
	sealed, err := r.Seal(m, aad)
	if err != nil || len(sealed) != 1 || m.GetRulesSet().GetRules() != nil || m.GetRulesSet().GetSubscriberId() == "" {
		t.Fatalf("sealed %v, what is left is %v, %v", sealed, m, err)
	}
	m.Sealed = sealed
	raw, err := proto.Marshal(m)
	if err != nil || strings.Contains(string(raw), "CANARY") {
		t.Fatalf("the canary stands in clear, %v", err)
	}
	if _, err := r.Open(m, m.GetSealed(), aad); err != nil || m.GetRulesSet().GetRules().GetMaxAgreements() != 3 {
		t.Fatalf("opened as %v, %v", m, err)
	}
	other := event()
	other.GetRulesSet().Rules = nil
	if _, err := r.Open(other, sealed, vault.AAD(id.Random(), "stream", 1, "rules_set", "obole.consent.v1")); !errors.Is(err, vault.ErrTampered) {
		t.Errorf("under another event's name: %v", err)
	}
	bunch, err := k.ByID(t.Context(), vault.KeyIDs(sealed...))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bunch.Open(other, sealed, aad); err != nil || other.GetRulesSet().GetRules().GetMaxAgreements() != 3 {
		t.Errorf("opened by a reader as %v, %v", other, err)
	}
	if err := k.Forget(t.Context(), r.Subject(), content); err != nil {
		t.Fatal(err)
	}
	empty := event()
	empty.GetRulesSet().Rules = nil
	erased, err := ring(t, k, r.Subject()).Open(empty, sealed, aad)
	if err != nil || len(erased) != 1 || empty.GetRulesSet().GetRules() != nil {
		t.Errorf("after forgetting: erased %v, %v, %v", erased, empty, err)
	}
}

func TestDerivedNamesTellNothingApartFromTheirUse(t *testing.T) {
	t.Parallel()
	k := keeper(t, new(vaultmem.Store), kek(1))
	a, b := ring(t, k, id.Random()), ring(t, k, id.Random())
	name := func(r *vault.Ring, epoch uint32, scope ...string) id.ID {
		v, err := r.Pseudonym(content, epoch, scope...)
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	all := []id.ID{name(a, 1, "buyer", "steps"), name(a, 1, "buyer", "sleep"), name(a, 2, "buyer", "steps"), name(b, 1, "buyer", "steps"), name(a, 1, "buyerste", "ps")}
	for i := range all {
		for j := range all[:i] {
			if all[i] == all[j] {
				t.Errorf("pseudonyms %d and %d are the same", i, j)
			}
		}
	}
	if name(a, 1, "buyer", "steps") != all[0] {
		t.Error("a pseudonym is not the same again")
	}
	h1, err1 := a.Fingerprint(content, "import")
	h2, err2 := b.Fingerprint(content, "import")
	if err1 != nil || err2 != nil {
		t.Fatal(err1, err2)
	}
	h1.Write([]byte("file"))
	h2.Write([]byte("file"))
	if string(h1.Sum(nil)) == string(h2.Sum(nil)) {
		t.Error("two people's fingerprints of one file are the same")
	}
}

func TestKeysAreNeverShown(t *testing.T) {
	t.Parallel()
	keks, err := vault.NewKEKs([]byte("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"))
	if err != nil {
		t.Fatal(err)
	}
	k := vault.New(vault.Config{Store: new(vaultmem.Store), KEKs: keks})
	r := ring(t, k, id.Random())
	for _, v := range []any{keks, k, r} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			text := fmt.Sprintf(verb, v)
			if strings.Contains(text, "AAAA") || strings.Contains(text, "41414141") || len(text) > 200 {
				t.Errorf("%T printed with %s shows %q", v, verb, text)
			}
		}
	}
}

func TestKeyFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	old, young := filepath.Join(dir, "2026-01-01.kek"), filepath.Join(dir, "2026-06-01.kek")
	for _, path := range []string{old, young} {
		if err := vault.CreateKEK(path, rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if err := vault.CreateKEK(old, rand.Reader); err == nil {
		t.Error("a key was overwritten")
	}
	both, err := vault.OpenKEKs(dir)
	if err != nil {
		t.Fatal(err)
	}
	newest, err := vault.OpenKEKs(young)
	if err != nil || newest.Newest() != both.Newest() {
		t.Errorf("the newest by name wraps: %v", err)
	}
	if err := os.Chmod(young, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := vault.OpenKEKs(young); !errors.Is(err, vault.ErrKeyFile) {
		t.Errorf("a key that others may read: %v", err)
	}
	if _, err := vault.OpenKEKs(filepath.Join(dir, "none.kek")); !errors.Is(err, vault.ErrKeyFile) {
		t.Errorf("no key: %v", err)
	}
}

// TestAnotherProcessForgets: what this process has cached it may use for the agreed time and no longer.
func TestAnotherProcessForgets(t *testing.T) {
	t.Parallel()
	store, now := new(vaultmem.Store), time.Now()
	keks, err := vault.NewKEKs(kek(1))
	if err != nil {
		t.Fatal(err)
	}
	cached := vault.New(vault.Config{Store: store, KEKs: keks, TTL: time.Minute, Now: func() time.Time { return now }})
	who := id.Random()
	box, err := ring(t, cached, who).SealBytes(content, nil, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if err := keeper(t, store, kek(1)).Forget(t.Context(), who, content); err != nil {
		t.Fatal(err)
	}
	now = now.Add(2 * time.Minute)
	if _, err := ring(t, cached, who).OpenBytes(content, nil, box); !errors.Is(err, vault.ErrErased) {
		t.Errorf("two minutes later: %v", err)
	}
}

// TestTheContract: every personal field of every event can be sealed and has a purge route.
func TestTheContract(t *testing.T) {
	t.Parallel()
	for _, f := range vault.Audit(protoregistry.GlobalFiles) {
		t.Errorf("%+v", f)
	}
}
