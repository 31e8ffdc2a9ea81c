package parcel_test

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"testing"
	"testing/iotest"

	"github.com/obole-market/obole/pkg/id"
	"github.com/obole-market/obole/pkg/parcel"
)

var (
	key   = bytes.Repeat([]byte{7}, parcel.KeySize)
	other = id.Derive([]byte("another delivery"))
	this  = id.Derive([]byte("a delivery"))
)

func file(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i * 31 >> 3)
	}
	return b
}

func TestSealedOpensToTheSame(t *testing.T) {
	t.Parallel()
	for _, size := range []int{0, 1, 65535, 65536, 65537, 131072, 131073, 300_000} {
		sealed, digest, err := parcel.Seal(key, this, file(size))
		if err != nil || digest != sha256.Sum256(sealed) {
			t.Fatalf("%d bytes: %v, or the digest is of something else", size, err)
		}
		var out bytes.Buffer
		if err := parcel.Open(key, this, iotest.OneByteReader(bytes.NewReader(sealed)), &out); err != nil || !bytes.Equal(out.Bytes(), file(size)) {
			t.Errorf("%d bytes: opened to %d, %v", size, out.Len(), err)
		}
	}
}

func TestWhatWasChangedDoesNotOpen(t *testing.T) {
	t.Parallel()
	const chunk = 65536 + 16
	whole := file(3 * 65536)
	sealed, _, err := parcel.Seal(key, this, whole)
	if err != nil {
		t.Fatal(err)
	}
	for name, broken := range map[string][]byte{
		"a bit flipped":    append(append(bytes.Clone(sealed[:100]), sealed[100]^1), sealed[101:]...),
		"the last missing": sealed[:4+2*chunk],
		"the tail missing": sealed[:len(sealed)-1],
		"chunks swapped":   append(append(append(bytes.Clone(sealed[:4]), sealed[4+chunk:4+2*chunk]...), sealed[4:4+chunk]...), sealed[4+2*chunk:]...),
		"something added":  append(bytes.Clone(sealed), 0),
		"nothing":          sealed[:4],
	} {
		var out bytes.Buffer
		if err := parcel.Open(key, this, bytes.NewReader(broken), &out); !errors.Is(err, parcel.ErrTampered) {
			t.Errorf("%s: %v", name, err)
		}
		if !bytes.HasPrefix(whole, out.Bytes()) {
			t.Errorf("%s: bytes were written that were never sealed", name)
		}
	}
	if err := parcel.Open(key, other, bytes.NewReader(sealed), &bytes.Buffer{}); !errors.Is(err, parcel.ErrTampered) {
		t.Errorf("as another delivery: %v", err)
	}
	if err := parcel.Open(bytes.Repeat([]byte{8}, 32), this, bytes.NewReader(sealed), &bytes.Buffer{}); !errors.Is(err, parcel.ErrTampered) {
		t.Errorf("with another key: %v", err)
	}
	if err := parcel.Open(key, this, bytes.NewReader([]byte("OBP9....")), &bytes.Buffer{}); !errors.Is(err, parcel.ErrFormat) {
		t.Errorf("another format: %v", err)
	}
	if err := parcel.Open(key[:31], this, bytes.NewReader(sealed), &bytes.Buffer{}); !errors.Is(err, parcel.ErrKey) {
		t.Errorf("a short key: %v", err)
	}
}

func TestKeyOpensForItsBuyerAndDelivery(t *testing.T) {
	t.Parallel()
	for _, algorithm := range []string{parcel.X25519, parcel.Hybrid} {
		buyer, err := parcel.NewKeys(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		stranger, err := parcel.NewKeys(algorithm)
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := parcel.SealKey(algorithm, buyer.Public, this, key)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parcel.OpenKey(algorithm, buyer.Private, this, sealed); err != nil || !bytes.Equal(got, key) {
			t.Errorf("%s: the buyer cannot open its key: %v", algorithm, err)
		}
		if _, err := parcel.OpenKey(algorithm, buyer.Private, other, sealed); !errors.Is(err, parcel.ErrTampered) {
			t.Errorf("%s: opened as another delivery: %v", algorithm, err)
		}
		if _, err := parcel.OpenKey(algorithm, stranger.Private, this, sealed); !errors.Is(err, parcel.ErrTampered) {
			t.Errorf("%s: opened by a stranger: %v", algorithm, err)
		}
		if err := parcel.CheckPublic(algorithm, buyer.Public); err != nil {
			t.Errorf("%s: %v", algorithm, err)
		}
		if err := parcel.CheckPublic(algorithm, buyer.Public[1:]); !errors.Is(err, parcel.ErrKey) {
			t.Errorf("%s: a short public key: %v", algorithm, err)
		}
		if err := parcel.CheckPublic(algorithm, make([]byte, len(buyer.Public))); !errors.Is(err, parcel.ErrKey) {
			t.Errorf("%s: a key of zeros: %v", algorithm, err)
		}
	}
	if _, err := parcel.SealKey("ROT13", nil, this, key); !errors.Is(err, parcel.ErrKey) {
		t.Errorf("an unknown algorithm: %v", err)
	}
}

func TestReceiptIsForOneDeliveryAndDigest(t *testing.T) {
	t.Parallel()
	buyer, err := parcel.NewKeys(parcel.X25519)
	if err != nil {
		t.Fatal(err)
	}
	digest := sha256.Sum256([]byte("package"))
	signature := parcel.SignReceipt(buyer.Signer, this, digest)
	if !parcel.VerifyReceipt(buyer.Receipt, this, digest, signature) {
		t.Error("the receipt does not verify")
	}
	if parcel.VerifyReceipt(buyer.Receipt, other, digest, signature) || parcel.VerifyReceipt(buyer.Receipt, this, sha256.Sum256(nil), signature) {
		t.Error("the receipt verifies for something else")
	}
	if parcel.VerifyReceipt(make(ed25519.PublicKey, 31), this, digest, signature) {
		t.Error("a malformed key verifies")
	}
}

// Example shows a buyer's part: the key that came is opened, then the package.
func Example() {
	buyer, _ := parcel.NewKeys(parcel.X25519)
	delivery := id.Derive([]byte("delivery"))

	// The market's part.
	file, _ := parcel.Manifest{Product: "daily-steps", Rows: 1}.File([]byte(`{"steps":8200}` + "\n"))
	contentKey := bytes.Repeat([]byte{1}, parcel.KeySize)
	sealed, _, _ := parcel.Seal(contentKey, delivery, file)
	sealedKey, _ := parcel.SealKey(buyer.Algorithm, buyer.Public, delivery, contentKey)

	// The buyer's.
	opened, _ := parcel.OpenKey(buyer.Algorithm, buyer.Private, delivery, sealedKey)
	var out bytes.Buffer
	if err := parcel.Open(opened, delivery, bytes.NewReader(sealed), &out); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	manifest, rows, _ := parcel.Split(out.Bytes())
	fmt.Print(manifest.Product, " ", string(rows))
	// Output: daily-steps {"steps":8200}
}
