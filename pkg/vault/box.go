package vault

import (
	"crypto/cipher"
	"encoding/binary"
	"io"

	"github.com/obole-market/obole/pkg/id"
)

// nonceSize and tagSize are those of AES-GCM, in bytes.
const (
	nonceSize = 12
	tagSize   = 16
)

// AAD is what an event's boxes are bound to.
func AAD(event id.ID, stream string, version int64, typ, schema string) []byte {
	return bind("obole event v1", event[:], []byte(stream), binary.BigEndian.AppendUint64(nil, uint64(version)), []byte(typ), []byte(schema))
}

// bind joins a label and parts so that no two lists give the same bytes: each with its length before it.
func bind(label string, parts ...[]byte) []byte {
	n := 4 + len(label)
	for _, p := range parts {
		n += 4 + len(p)
	}
	b := make([]byte, 0, n)
	b = binary.BigEndian.AppendUint32(b, uint32(len(label)))
	b = append(b, label...)
	for _, p := range parts {
		b = binary.BigEndian.AppendUint32(b, uint32(len(p)))
		b = append(b, p...)
	}
	return b
}

// seal appends nonce, ciphertext and tag to dst.
func seal(aead cipher.AEAD, dst, plain, aad []byte, random io.Reader) ([]byte, error) {
	n := len(dst)
	box := make([]byte, n+nonceSize, n+nonceSize+len(plain)+tagSize)
	copy(box, dst)
	if _, err := io.ReadFull(random, box[n:]); err != nil {
		return nil, ErrUnavailable.And("randomness", "failed").Because(err)
	}
	return aead.Seal(box, box[n:], plain, aad), nil
}

// open is seal's inverse.
func open(aead cipher.AEAD, box, aad []byte) ([]byte, error) {
	if len(box) < nonceSize+tagSize {
		return nil, ErrTampered
	}
	plain, err := aead.Open(nil, box[:nonceSize], box[nonceSize:], aad)
	if err != nil {
		return nil, ErrTampered
	}
	return plain, nil
}
