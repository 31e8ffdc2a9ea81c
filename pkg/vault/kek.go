package vault

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// keySize is that of every key, in bytes.
const keySize = 32

// KEKs are the key-encryption keys that a process was given: the newest wraps, all unwrap.
type KEKs struct {
	newest string
	aeads  map[string]cipher.AEAD
}

// NewKEKs takes keys of 32 bytes each, oldest first; at least one.
func NewKEKs(keys ...[]byte) (*KEKs, error) {
	if len(keys) == 0 {
		return nil, ErrKeyFile.And("keys", "none")
	}
	k := &KEKs{aeads: make(map[string]cipher.AEAD, len(keys))}
	for _, key := range keys {
		if len(key) != keySize {
			return nil, ErrKeyFile.And("bytes", len(key))
		}
		aead, err := newGCM(key)
		if err != nil {
			return nil, err
		}
		// The id tells nothing of the key: it is the beginning of a hash with a label of its own.
		sum := sha256.Sum256(append([]byte("obole kek id v1\x00"), key...))
		k.newest = hex.EncodeToString(sum[:8])
		k.aeads[k.newest] = aead
	}
	return k, nil
}

// OpenKEKs reads a key file, or all files *.kek of a directory, of which the last by name is the newest: name them by date. A
// file holds 32 bytes in base64 or hexadecimal and must be nobody else's to read or write (mode 0600 or stricter).
func OpenKEKs(path string) (*KEKs, error) {
	files := []string{path}
	info, err := os.Stat(path)
	if err != nil {
		return nil, ErrKeyFile.And("path", path).Because(err)
	}
	if info.IsDir() {
		if files, err = filepath.Glob(filepath.Join(path, "*.kek")); err != nil || len(files) == 0 {
			return nil, ErrKeyFile.And("path", filepath.Join(path, "*.kek")).Because(err)
		}
		slices.Sort(files)
	}
	keys := make([][]byte, len(files))
	for i, file := range files {
		if keys[i], err = readKey(file); err != nil {
			return nil, err
		}
	}
	return NewKEKs(keys...)
}

// CreateKEK writes a new key file with randomness from r. It never overwrites one: losing a key-encryption key is
// forgetting everybody.
func CreateKEK(path string, r io.Reader) error {
	var key [keySize]byte
	if _, err := io.ReadFull(r, key[:]); err != nil {
		return ErrKeyFile.And("path", path).Because(err)
	}
	if err := writeNew(path, base64.StdEncoding.EncodeToString(key[:])+"\n"); err != nil {
		return ErrKeyFile.And("path", path).Because(err)
	}
	return nil
}

// Newest is the id of the key that wraps.
func (k *KEKs) Newest() string { return k.newest }

// Format shows ids, whatever the verb.
func (k *KEKs) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "vault.KEKs("+k.newest+")") }

// LogValue shows the id of the newest.
func (k *KEKs) LogValue() slog.Value { return slog.StringValue("vault.KEKs(" + k.newest + ")") }

// wrap fills in the wrapped form of a key.
func (k *KEKs) wrap(r *Row, key *[keySize]byte, random io.Reader) error {
	r.KEK = k.newest
	var err error
	r.Wrapped, err = seal(k.aeads[k.newest], nil, key[:], r.binding(), random)
	return err
}

func (k *KEKs) unwrap(r *Row) (*[keySize]byte, error) {
	aead, ok := k.aeads[r.KEK]
	if !ok {
		return nil, ErrKEK.And("kek", r.KEK)
	}
	plain, err := open(aead, r.Wrapped, r.binding())
	if err != nil || len(plain) != keySize {
		return nil, ErrTampered.And("key", r.KeyID)
	}
	return (*[keySize]byte)(plain), nil
}

// binding ties a wrapped key to its row.
func (r *Row) binding() []byte {
	return bind("obole vault key v1", r.Subject[:], []byte{byte(r.Retention)}, r.KeyID[:], []byte(r.KEK))
}

func readKey(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, ErrKeyFile.And("path", path).Because(err)
	}
	if m := info.Mode(); !m.IsRegular() || m.Perm()&0o077 != 0 {
		return nil, ErrKeyFile.And("path", path).And("mode", fmt.Sprintf("%v, want a file that only its owner can read (0600)", m))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, ErrKeyFile.And("path", path).Because(err)
	}
	s := strings.TrimSpace(string(text))
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString} {
		if key, err := decode(s); err == nil && len(key) == keySize {
			return key, nil
		}
	}
	return nil, ErrKeyFile.And("path", path).And("content", "want 32 bytes in base64 or hexadecimal")
}

// writeNew makes a file that was not there, complete on disk when it returns.
func writeNew(path, content string) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	if _, err = f.WriteString(content); err == nil {
		err = f.Sync()
	}
	if closed := f.Close(); err == nil {
		err = closed
	}
	if err != nil {
		_ = os.Remove(path)
	}
	return err
}

func newGCM(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, ErrKeyFile.Because(err)
	}
	return cipher.NewGCM(block)
}
