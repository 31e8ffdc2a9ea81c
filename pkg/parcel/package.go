package parcel

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/obole-market/obole/pkg/id"
)

// KeySize is the length of a content key in bytes.
const KeySize = 32

const (
	magic     = "OBP1"
	chunkSize = 64 << 10
	tagSize   = 16
)

var (
	// ErrTampered says that a package, or a sealed key, is not what was sealed: altered, cut short, of another delivery or key.
	ErrTampered = errors.New("parcel: the package is not what was sealed under this key for this delivery")
	// ErrFormat says that the bytes are no package of a known version.
	ErrFormat = errors.New("parcel: not a package of this version")
	// ErrKey says that a key is malformed.
	ErrKey = errors.New("parcel: malformed key")
)

// Seal encrypts a file under a content key that is used for nothing else. It gives the whole package and its digest.
func Seal(key []byte, delivery id.ID, file []byte) (sealed []byte, digest [sha256.Size]byte, err error) {
	gcm, err := newGCM(key)
	if err != nil {
		return nil, digest, err
	}
	chunks := max(1, (len(file)+chunkSize-1)/chunkSize)
	if uint64(chunks) > 1<<32 {
		return nil, digest, fmt.Errorf("parcel: %d chunks are too many", chunks)
	}
	sealed = append(make([]byte, 0, len(magic)+len(file)+chunks*tagSize), magic...)
	aad := bind("obole package v1", delivery)
	for i := range chunks {
		chunk := file[i*chunkSize : min(len(file), (i+1)*chunkSize)]
		sealed = gcm.Seal(sealed, nonce(i, i == chunks-1), chunk, aad)
	}
	return sealed, sha256.Sum256(sealed), nil
}

// Open decrypts a package as it is read. It writes what has been authenticated and nothing else; but only when it returns
// without an error is what was written the whole file.
func Open(key []byte, delivery id.ID, sealed io.Reader, file io.Writer) error {
	gcm, err := newGCM(key)
	if err != nil {
		return err
	}
	var head [len(magic)]byte
	if _, err := io.ReadFull(sealed, head[:]); err != nil || string(head[:]) != magic {
		return errors.Join(ErrFormat, unexpected(err))
	}
	aad := bind("obole package v1", delivery)
	// One byte more than a chunk, to know whether the chunk is the last.
	buffer := make([]byte, chunkSize+tagSize+1)
	var plain []byte
	have := 0
	for i := 0; ; i++ {
		n, err := io.ReadFull(sealed, buffer[have:])
		have += n
		if err != nil && unexpected(err) != nil {
			return err
		}
		size, last := have, true
		if have == len(buffer) {
			size, last = have-1, false
		}
		if plain, err = gcm.Open(plain[:0], nonce(i, last), buffer[:size], aad); err != nil {
			return ErrTampered
		}
		if _, err := file.Write(plain); err != nil {
			return err
		}
		if last {
			return nil
		}
		buffer[0] = buffer[size]
		have = 1
	}
}

// unexpected passes on what is not merely the end.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	return err
}

func nonce(chunk int, last bool) []byte {
	var n [12]byte
	binary.BigEndian.PutUint32(n[7:], uint32(chunk))
	if last {
		n[11] = 1
	}
	return n[:]
}

func bind(label string, delivery id.ID) []byte {
	return append(append([]byte(label), 0), delivery.String()...)
}

func newGCM(key []byte) (cipher.AEAD, error) {
	if len(key) != KeySize {
		return nil, ErrKey
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCM(block)
}
