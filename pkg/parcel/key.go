package parcel

import (
	"crypto/ecdh"
	"crypto/ed25519"
	"crypto/hpke"
	"crypto/rand"

	"github.com/obole-market/obole/pkg/id"
)

// Algorithms by which content keys are sealed, as a buyer registers its keys with.
const (
	X25519 = "HPKE-X25519-HKDF-SHA256-AES256GCM"
	// Hybrid resists an adversary who keeps today's traffic for tomorrow's quantum computer.
	Hybrid = "HPKE-MLKEM768X25519-HKDF-SHA256-AES256GCM"
)

func kem(algorithm string) (hpke.KEM, bool) {
	switch algorithm {
	case X25519:
		return hpke.DHKEM(ecdh.X25519()), true
	case Hybrid:
		return hpke.MLKEM768X25519(), true
	}
	return nil, false
}

// CheckPublic says whether content keys can be sealed to a public key. It tries: some points of a curve are well-formed and of no
// use.
func CheckPublic(algorithm string, public []byte) error {
	if _, err := SealKey(algorithm, public, id.ID{}, nil); err != nil {
		return ErrKey
	}
	return nil
}

// SealKey seals a content key to a buyer's public key.
func SealKey(algorithm string, public []byte, delivery id.ID, key []byte) ([]byte, error) {
	k, ok := kem(algorithm)
	if !ok {
		return nil, ErrKey
	}
	to, err := k.NewPublicKey(public)
	if err != nil {
		return nil, ErrKey
	}
	return hpke.Seal(to, hpke.HKDFSHA256(), hpke.AES256GCM(), bind("obole key v1", delivery), key)
}

// OpenKey is SealKey's inverse.
func OpenKey(algorithm string, private []byte, delivery id.ID, sealed []byte) ([]byte, error) {
	k, ok := kem(algorithm)
	if !ok {
		return nil, ErrKey
	}
	own, err := k.NewPrivateKey(private)
	if err != nil {
		return nil, ErrKey
	}
	key, err := hpke.Open(own, hpke.HKDFSHA256(), hpke.AES256GCM(), bind("obole key v1", delivery), sealed)
	if err != nil || len(key) != KeySize {
		return nil, ErrTampered
	}
	return key, nil
}

// Keys are a buyer's: one pair to which content keys are sealed, one that signs receipts. The private halves stay with the
// buyer.
type Keys struct {
	Algorithm string
	// Public and Private in the algorithm's own encoding.
	Public, Private []byte
	// Receipt and Signer are the Ed25519 public and private key.
	Receipt ed25519.PublicKey
	Signer  ed25519.PrivateKey
}

// NewKeys makes a buyer's keys.
func NewKeys(algorithm string) (Keys, error) {
	keys := Keys{Algorithm: algorithm}
	k, ok := kem(algorithm)
	if !ok {
		return keys, ErrKey
	}
	own, err := k.GenerateKey()
	if err != nil {
		return keys, err
	}
	keys.Public = own.PublicKey().Bytes()
	if keys.Private, err = own.Bytes(); err != nil {
		return keys, err
	}
	keys.Receipt, keys.Signer, err = ed25519.GenerateKey(rand.Reader)
	return keys, err
}

// SignReceipt signs that the package with this digest has arrived.
func SignReceipt(signer ed25519.PrivateKey, delivery id.ID, digest [32]byte) []byte {
	return ed25519.Sign(signer, append(bind("obole receipt v1", delivery), digest[:]...))
}

// VerifyReceipt says whether a receipt is the key's.
func VerifyReceipt(key ed25519.PublicKey, delivery id.ID, digest [32]byte, signature []byte) bool {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, append(bind("obole receipt v1", delivery), digest[:]...), signature)
}
