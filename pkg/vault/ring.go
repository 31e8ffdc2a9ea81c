package vault

import (
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"log/slog"
	"sync"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/obole-market/obole/proto/gen/obole/event/v1"

	"github.com/obole-market/obole/pkg/id"
)

// key is one data key, ready for use.
type key struct {
	id     id.ID
	class  Retention
	erased bool

	raw  [keySize]byte
	once sync.Once
	gcm  cipher.AEAD
}

// aead is made at first use: most rings use one or two of their keys.
func (k *key) aead() cipher.AEAD {
	k.once.Do(func() {
		var err error
		if k.gcm, err = newGCM(k.raw[:]); err != nil {
			panic(err) // 32 bytes are always a key
		}
	})
	return k.gcm
}

// Ring is one person's keys. It does no I/O, is safe for concurrent use, and shows nothing of itself in any print or log.
type Ring struct {
	subject id.ID
	keys    [len(classes)]*key
	random  io.Reader
}

// Subject is whose keys they are.
func (r *Ring) Subject() id.ID { return r.subject }

// Erased lists the classes that were forgotten.
func (r *Ring) Erased() []Retention {
	var gone []Retention
	for _, k := range r.keys {
		if k.erased {
			gone = append(gone, k.class)
		}
	}
	return gone
}

// Seal moves the personal fields of a message, also of messages within it, out into one Sealed per retention class, and leaves them
// cleared. A message without any costs nothing and gives nil. On an error the message is as it was: ErrErased where it has
// a field of a class that was forgotten.
func (r *Ring) Seal(m proto.Message, aad []byte) ([]*eventv1.Sealed, error) {
	parts, err := takeOut(m.ProtoReflect())
	if err != nil || parts == nil {
		return nil, err
	}
	sealed, err := r.sealParts(parts, aad)
	if err != nil {
		for _, part := range parts {
			if part != nil {
				proto.Merge(m, part.Interface())
			}
		}
		return nil, err
	}
	return sealed, nil
}

func (r *Ring) sealParts(parts *parts, aad []byte) ([]*eventv1.Sealed, error) {
	sealed := make([]*eventv1.Sealed, 0, 2)
	for i, part := range parts {
		if part == nil {
			continue
		}
		k := r.keys[i]
		if k.erased {
			return nil, ErrErased.And("class", k.class)
		}
		// Deterministic, so that the same event with the same randomness is the same bytes.
		plain, err := proto.MarshalOptions{Deterministic: true}.Marshal(part.Interface())
		if err != nil {
			return nil, ErrContract.Because(err)
		}
		box, err := seal(k.aead(), nil, plain, aad, r.random)
		if err != nil {
			return nil, err
		}
		sealed = append(sealed, &eventv1.Sealed{Retention: k.class, KeyId: k.id[:], Box: box})
	}
	return sealed, nil
}

// Meta is the meta of an event about a person: the policy that the decision followed is of the person's country, and stands where it is
// sealed. A meta without a policy is given back as it is; another is not changed.
func Meta(m *eventv1.Meta) *eventv1.Meta {
	if m.GetPolicy() == nil {
		return m
	}
	return &eventv1.Meta{
		EventId: m.EventId, CausationId: m.CausationId, CorrelationId: m.CorrelationId, OccurredAt: m.OccurredAt, RecordedAt: m.RecordedAt,
		Actor: m.Actor, OnBehalfOf: m.OnBehalfOf, PersonalPolicy: m.Policy,
	}
}

// Open is Seal's inverse: it puts the personal fields back. Fields of classes that were forgotten stay empty, and the classes
// are returned. ErrKeyUnknown where the ring does not have a key.
func (r *Ring) Open(m proto.Message, sealed []*eventv1.Sealed, aad []byte) (erased []Retention, err error) {
	return putBack(r.find, m, sealed, aad)
}

// SealBytes seals what is no event: a row, a package's content key. The additional data says what it is and where it
// belongs; nobody else's label, place or key opens it. The box is the key's id, nonce, ciphertext and tag: 44 bytes more.
func (r *Ring) SealBytes(class Retention, aad, plain []byte) ([]byte, error) {
	k, err := r.of(class)
	if err != nil {
		return nil, err
	}
	return seal(k.aead(), k.id[:], plain, bind("obole bytes v1", aad), r.random)
}

// OpenBytes opens what SealBytes sealed: ErrErased after forgetting, ErrKeyUnknown where the ring does not have the key.
func (r *Ring) OpenBytes(class Retention, aad, box []byte) ([]byte, error) {
	return openBytes(r.find, class, aad, box)
}

// Fingerprint hashes under a key of the person that is derived for this label: it tells the same bytes again, to nobody
// but this service, until the class is forgotten. HMAC-SHA-256.
func (r *Ring) Fingerprint(class Retention, label string) (hash.Hash, error) {
	k, err := r.of(class)
	if err != nil {
		return nil, err
	}
	derived, err := hkdf.Key(sha256.New, k.raw[:], nil, "obole fingerprint v1\x00"+label, keySize)
	if err != nil {
		return nil, ErrClass.Because(err) // only lengths can be wrong, and they are not
	}
	return hmac.New(sha256.New, derived), nil
}

// Pseudonym is the person's name within a scope, such as buyer, product and purpose; another scope or epoch gives one that cannot be
// joined with it. It needs the person's key of this class: once that is forgotten nobody can compute it again.
func (r *Ring) Pseudonym(class Retention, epoch uint32, scope ...string) (id.ID, error) {
	h, err := r.Fingerprint(class, "pseudonym")
	if err != nil {
		return id.ID{}, err
	}
	parts := make([][]byte, 0, len(scope)+1)
	parts = append(parts, binary.BigEndian.AppendUint32(nil, epoch))
	for _, s := range scope {
		parts = append(parts, []byte(s))
	}
	h.Write(bind("scope", parts...))
	return id.Derive([]byte("pseudonym"), h.Sum(nil)), nil
}

// Format shows whose ring it is, whatever the verb.
func (r *Ring) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, r.label()) }

// LogValue shows whose ring it is.
func (r *Ring) LogValue() slog.Value { return slog.StringValue(r.label()) }

func (r *Ring) label() string { return "vault.Ring(" + r.subject.String() + ")" }

// of is the live key of a class.
func (r *Ring) of(class Retention) (*key, error) {
	i := int(class) - 1
	if i < 0 || i >= len(r.keys) {
		return nil, ErrClass.And("class", class)
	}
	if r.keys[i].erased {
		return nil, ErrErased.And("class", class)
	}
	return r.keys[i], nil
}

func (r *Ring) find(key id.ID) *key {
	for _, k := range r.keys {
		if k.id == key {
			return k
		}
	}
	return nil
}

// Bunch is keys of many people, to read with. It does no I/O and shows nothing of itself.
type Bunch struct{ keys map[id.ID]*key }

// Open is Ring.Open.
func (b *Bunch) Open(m proto.Message, sealed []*eventv1.Sealed, aad []byte) (erased []Retention, err error) {
	return putBack(b.find, m, sealed, aad)
}

// OpenBytes is Ring.OpenBytes.
func (b *Bunch) OpenBytes(class Retention, aad, box []byte) ([]byte, error) {
	return openBytes(b.find, class, aad, box)
}

// Format shows how many keys there are, whatever the verb.
func (b *Bunch) Format(f fmt.State, _ rune) { _, _ = fmt.Fprintf(f, "vault.Bunch(%d)", len(b.keys)) }

// LogValue shows how many keys there are.
func (b *Bunch) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(b)) }

func (b *Bunch) find(key id.ID) *key { return b.keys[key] }

// KeyIDs lists the keys that sealed fields need, each once, for Keeper.ByID.
func KeyIDs(sealed ...*eventv1.Sealed) []id.ID {
	ids := make([]id.ID, 0, len(sealed))
	seen := make(map[id.ID]bool, len(sealed))
	for _, s := range sealed {
		k, ok := keyID(s.GetKeyId())
		if ok && !seen[k] {
			seen[k] = true
			ids = append(ids, k)
		}
	}
	return ids
}

// KeyID is the key that opens a box of SealBytes.
func KeyID(box []byte) (id.ID, bool) { return keyID(box[:min(len(box), len(id.ID{}))]) }

func keyID(b []byte) (k id.ID, ok bool) {
	if len(b) != len(k) {
		return k, false
	}
	return id.ID(b), true
}

func openBytes(find func(id.ID) *key, class Retention, aad, box []byte) ([]byte, error) {
	name, ok := KeyID(box)
	if !ok {
		return nil, ErrTampered
	}
	k := find(name)
	switch {
	case k == nil:
		return nil, ErrKeyUnknown.And("key", name)
	case k.class != class:
		return nil, ErrTampered.And("key", name)
	case k.erased:
		return nil, ErrErased.And("class", class)
	}
	return open(k.aead(), box[len(name):], bind("obole bytes v1", aad))
}
